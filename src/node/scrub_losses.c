/* SPDX-License-Identifier: Apache-2.0 */
/* Losses, from the report of damage to a store without it.
 *
 *      added --batch synced--> on disk --job--> mended --scrub_refill.c--> over, record deleted
 *        ^                                  |
 *        +--- more is damaged than that ----+
 *
 * Reads give no answer from the moment a loss is added: before the store is mended it would answer
 * CORRUPT itself, and afterwards what is older.  A record that is found at the start is mended
 * again: nobody knows how far it got. */
#include "base/hash.h"
#include "base/planted.h"
#include "node/collect.h"
#include "node/scrub_internal.h"

enum { MEND_AGAIN_US = 1000 * 1000, BOUNDS_SIZE_MAX = 2 * ENGINE_KEY_SIZE_MAX + 8 };

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

bool scrub_is_alone(const struct node *node)
{
    return node->config.epoch->member_count < 2;
}

/* --- the list -------------------------------------------------------------------------------- */

static bool upper_covers(struct bytes wide, struct bytes upper)
{
    return wide.size == 0 || (upper.size > 0 && bytes_compare(upper, wide) <= 0);
}

static bool covers(const struct loss *loss, struct bytes lower, struct bytes upper)
{
    return bytes_compare(loss->lower, lower) <= 0 && upper_covers(loss->upper, upper);
}

static bool meets(const struct loss *loss, struct bytes lower, struct bytes upper)
{
    return (upper.size == 0 || bytes_compare(loss->lower, upper) < 0) &&
           (loss->upper.size == 0 || bytes_compare(lower, loss->upper) < 0);
}

static bool set_bounds(struct loss *loss, struct bytes lower, struct bytes upper)
{
    uint8_t *memory = malloc(lower.size + upper.size + 1);
    if (memory == NULL)
        return false;
    if (lower.size > 0)
        memcpy(memory, lower.data, lower.size);
    if (upper.size > 0)
        memcpy(memory + lower.size, upper.data, upper.size);
    free(loss->memory);
    loss->memory = memory;
    loss->lower = bytes_make(memory, lower.size);
    loss->upper = bytes_make(memory + lower.size, upper.size);
    return true;
}

static struct loss *loss_create(struct node *node, uint16_t store, struct bytes lower,
                                struct bytes upper)
{
    struct scrub *scrub = node->scrub;
    struct loss *loss = calloc(1, sizeof(*loss));
    if (loss == NULL || !set_bounds(loss, lower, upper)) {
        free(loss);
        return NULL;
    }
    loss->store = store;
    loss->number = scrub->next_number++;
    list_append(&scrub->losses, &loss->link);
    scrub->loss_count++;
    node->counters.scrub_losses++;
    return loss;
}

void scrub_loss_remove(struct node *node, struct loss *loss)
{
    list_remove(&loss->link);
    node->scrub->loss_count--;
    node->counters.scrub_losses--;
    free(loss->memory);
    free(loss->comparisons);
    free(loss);
}

/* The two as one, which is not mended yet, whatever `loss` was. */
static bool widen(struct loss *loss, struct bytes lower, struct bytes upper, bool harmless)
{
    struct bytes least = bytes_compare(lower, loss->lower) < 0 ? lower : loss->lower;
    struct bytes most = upper_covers(loss->upper, upper) ? loss->upper : upper;
    loss->harmless = loss->harmless && harmless;
    loss->mended = loss->taken = false;
    loss->comparison_count = 0;
    return set_bounds(loss, least, most);
}

static struct loss *find_meeting(const struct node *node, uint16_t store, struct bytes lower,
                                 struct bytes upper)
{
    struct list *losses = &node->scrub->losses;
    struct loss *any = NULL;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != store)
            continue;
        any = loss;
        if (meets(loss, lower, upper))
            return loss;
    }
    return node->scrub->loss_count >= SCRUB_LOSSES_MAX ? any : NULL;
}

static bool is_within(const struct loss *loss, struct bytes lower, struct bytes upper,
                      bool harmless)
{
    return !loss->mended && covers(loss, lower, upper) && (harmless || !loss->harmless);
}

bool scrub_loss_known(const struct node *node, uint16_t store, const struct engine_loss *reported)
{
    const struct loss *loss = find_meeting(node, store, reported->lower, reported->upper);
    return loss != NULL && is_within(loss, reported->lower, reported->upper, !reported->lost);
}

bool scrub_loss_add(struct node *node, uint16_t store, struct bytes lower, struct bytes upper,
                    bool harmless)
{
    struct loss *loss = find_meeting(node, store, lower, upper);
    if (loss != NULL && is_within(loss, lower, upper, harmless))
        return true;
    if (loss != NULL)
        return widen(loss, lower, upper, harmless);
    loss = loss_create(node, store, lower, upper);
    if (loss == NULL)
        return false;
    loss->harmless = harmless;
    return true;
}

/* --- doubts ---------------------------------------------------------------------------------- */

bool scrub_doubts(struct node *node, const struct key_address *address)
{
    struct list *losses = &node->scrub->losses;
    uint16_t store = (uint16_t)(address->partition % node->config.store_count);
    if (list_empty(losses) || PLANTED(DAMAGE_DROPPED))
        return false;
    struct bytes key = store_key(&node->scratch, address);
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store == store && !loss->harmless && key.data != NULL &&
            bytes_compare(loss->lower, key) <= 0 &&
            (loss->upper.size == 0 || bytes_compare(key, loss->upper) < 0)) {
            PROBE("scrub: no answer about a key in doubt");
            return true;
        }
    }
    return key.data == NULL;
}

bool scrub_doubts_partition(struct node *node, uint32_t partition)
{
    struct list *losses = &node->scrub->losses;
    uint8_t lower[] = { 'o', (uint8_t)(partition >> 8), (uint8_t)partition };
    uint8_t upper[] = { 'o', (uint8_t)((partition + 1) >> 8), (uint8_t)(partition + 1) };
    upper[0] += partition == UINT16_MAX;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store == partition % node->config.store_count && !loss->harmless &&
            meets(loss, bytes_make(lower, sizeof(lower)), bytes_make(upper, sizeof(upper))))
            return true;
    }
    return false;
}

uint64_t scrub_salt(const struct node *node, uint32_t partition)
{
    return node->scrub->salts[partition % node->config.store_count];
}

/* --- on disk --------------------------------------------------------------------------------- */

enum { RECORD_KEY_SIZE = 10 };
static const uint8_t salt_key[] = { 'w', 'a' };

static struct bytes record_key(uint64_t number, uint8_t memory[RECORD_KEY_SIZE])
{
    memory[0] = 'w';
    memory[1] = 'l';
    for (int i = 0; i < 8; i++)
        memory[2 + i] = (uint8_t)(number >> (56 - 8 * i));
    return bytes_make(memory, RECORD_KEY_SIZE);
}

static kvorum_status put_record(struct node *node, const struct loss *loss)
{
    uint8_t memory[RECORD_KEY_SIZE];
    struct buffer value;
    buffer_init(&value, BOUNDS_SIZE_MAX);
    write_u32(&value, (uint32_t)loss->lower.size);
    buffer_append_bytes(&value, loss->lower);
    buffer_append_bytes(&value, loss->upper);
    kvorum_status status =
        value.failed
            ? KVORUM_NO_MEMORY
            : engine_batch_put(node->batch, record_key(loss->number, memory), buffer_bytes(&value));
    buffer_done(&value);
    return status;
}

/* Another salt, every loss of the store, and no hash tree of before: the record by which one was
 * deleted may be lost too. */
static kvorum_status fill_batch(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    struct engine *engine = node->config.stores[store];
    uint64_t salt = random_next(&node->random) | 1, bytes = htole64(salt);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, bytes_make(salt_key, sizeof(salt_key)),
                                            bytes_make(&bytes, sizeof(bytes)));
    if (status == KVORUM_OK && engine_can(engine, ENGINE_RANGES))
        status = engine_batch_delete_range(node->batch, BYTES_LITERAL("t"), BYTES_LITERAL("u"));
    for (struct list *item = losses->next; item != losses && status == KVORUM_OK;
         item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != store)
            continue;
        loss->taken = !loss->mended;
        if (!loss->harmless)
            status = put_record(node, loss);
    }
    if (status == KVORUM_OK)
        node->scrub->salts[store] = salt;
    return status;
}

/* In vain: the record is found at the next start, and the loss is gone through once more. */
static void delete_record(struct node *node, const struct loss *loss)
{
    uint8_t memory[RECORD_KEY_SIZE];
    engine_batch_reset(node->batch);
    if (engine_batch_delete(node->batch, record_key(loss->number, memory)) == KVORUM_OK)
        (void)!replica_submit(node, node->config.stores[loss->store], node->batch, ENGINE_LOG,
                              &nothing);
}

void scrub_loss_over(struct node *node, struct loss *loss)
{
    if (!loss->harmless)
        delete_record(node, loss);
    scrub_loss_remove(node, loss);
}

/* --- mending --------------------------------------------------------------------------------- */

struct mending {
    struct reading reading; /* first */
    struct engine *engine;
    uint16_t store;
    struct engine_range *ranges;
    size_t count;
    uint64_t mended;
    struct scrub_reports reports;
};

static kvorum_status mending_read(struct reading *reading, bool nowait)
{
    struct mending *mending = (struct mending *)reading;
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    return engine_mend(mending->engine, mending->ranges, mending->count, scrub_report,
                       &mending->reports, &mending->mended);
}

static void forget_trees(struct node *node, const struct loss *loss)
{
    for (uint32_t p = loss->store; p < node->repair->partition_count;
         p += node->config.store_count) {
        struct repair_partition *partition = node->repair->partitions[p];
        const uint8_t lower[] = { 'o', (uint8_t)(p >> 8), (uint8_t)p };
        uint8_t upper[] = { 'o', (uint8_t)((p + 1) >> 8), (uint8_t)(p + 1) };
        upper[0] += p == UINT16_MAX;
        if (partition != NULL && meets(loss, bytes_make(lower, 3), bytes_make(upper, 3)))
            repair_partition_drop(node, partition);
    }
}

static void on_mended(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (loss->store != store || !loss->taken)
            continue;
        loss->taken = false;
        loss->mended = true;
        loss->mended_us = node->now_us;
        if (!PLANTED(DAMAGE_DROPPED))
            forget_trees(node, loss);
        if (loss->harmless || PLANTED(DAMAGE_DROPPED))
            scrub_loss_over(node, loss);
        else {
            collect_on_mended(node, store, loss->lower, loss->upper);
            scrub_refill(node, loss);
        }
    }
}

static void mending_done(struct node *node, struct reading *reading)
{
    struct mending *mending = (struct mending *)reading;
    struct scrub *scrub = node->scrub;
    uint16_t store = mending->store;
    kvorum_status status = reading->status;
    scrub->mending[store] = false;
    scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
    node->counters.scrub_mended += mending->mended;
    bool more = mending->reports.damages > 0 && scrub_take_reports(node, store, &mending->reports);
    if (status == KVORUM_OK)
        on_mended(node, store);
    else if (!more)
        log_warn(node->config.log, "a damaged store could not be mended; it will be tried again",
                 LOG_U64("store", store), LOG_STATUS(status));
    reading_close(reading);
    if (more)
        scrub->mend_us[store] = 0;
    scrub_wake(node, more ? node->now_us : scrub->mend_us[store]);
}

/* The ranges as they are now on disk: a loss that is widened meanwhile is not taken any more. */
static bool copy_ranges(struct node *node, struct mending *mending)
{
    struct list *losses = &node->scrub->losses;
    struct arena *arena = &mending->reading.arena;
    mending->ranges =
        arena_allocate(arena, (node->scrub->loss_count + 1) * sizeof(*mending->ranges));
    if (mending->ranges == NULL)
        return false;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != mending->store || !loss->taken)
            continue;
        struct engine_range *range = &mending->ranges[mending->count++];
        *range = (struct engine_range){ 0 };
        if (!arena_copy(arena, loss->lower, &range->lower) ||
            !arena_copy(arena, loss->upper, &range->upper))
            return false;
    }
    return true;
}

static void mending_begin(struct node *node, uint16_t store)
{
    struct reading *reading = reading_open(sizeof(struct mending));
    struct mending *mending = (struct mending *)reading;
    if (reading != NULL) {
        mending->engine = node->config.stores[store];
        mending->store = store;
        reading->job.urgency = JOB_LENGTHY;
        reading->read = mending_read;
        reading->done = mending_done;
    }
    if (reading == NULL || !scrub_reports_open(&mending->reports, &reading->arena) ||
        !copy_ranges(node, mending)) {
        if (reading != NULL)
            reading_close(reading);
        node->scrub->mending[store] = false;
        node->scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
        return;
    }
    reading_start(node, reading);
}

void scrub_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    uint16_t store = (uint16_t)plan->request_id;
    if (status == KVORUM_OK) {
        mending_begin(node, store);
        return;
    }
    node->scrub->mending[store] = false;
    node->scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
}

static bool has_unmended(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store == store && !loss->mended)
            return true;
    }
    return false;
}

void scrub_mend(struct node *node, uint16_t store)
{
    struct scrub *scrub = node->scrub;
    struct commit_plan plan = { .kind = COMMIT_LOSS, .request_id = store };
    if (scrub->mending[store] || node->now_us < scrub->mend_us[store] || scrub_is_alone(node) ||
        node->config.stores[store] == NULL || !has_unmended(node, store))
        return;
    kvorum_status status = fill_batch(node, store);
    scrub->mending[store] = true; /* it may be stored before the call returns */
    if (status == KVORUM_OK)
        status = replica_submit(node, node->config.stores[store], node->batch, ENGINE_SYNC, &plan);
    if (status == KVORUM_OK)
        return;
    scrub->mending[store] = false;
    scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
    scrub_wake(node, scrub->mend_us[store]);
}

void scrub_on_corrupt(struct node *node, uint32_t partition, struct bytes key)
{
    uint16_t store = (uint16_t)(partition % node->config.store_count);
    uint8_t *upper = arena_allocate(&node->scratch, key.size + 1);
    if (upper == NULL)
        return; /* who reads it next says it again */
    memcpy(upper, key.data, key.size);
    upper[key.size] = 0;
    PROBE("scrub: a read met damage");
    if (scrub_loss_add(node, store, key, bytes_make(upper, key.size + 1), false))
        scrub_wake(node, node->now_us);
}

/* --- at the start ---------------------------------------------------------------------------- */

static kvorum_status load_record(struct node *node, uint16_t store, struct bytes key,
                                 struct bytes value)
{
    struct reader reader = reader_of(value);
    if (bytes_equal(key, bytes_make(salt_key, sizeof(salt_key)))) {
        node->scrub->salts[store] = read_u64(&reader);
        return reader_finished(&reader) ? KVORUM_OK : KVORUM_CORRUPT;
    }
    uint32_t lower_size = read_u32(&reader);
    if (key.size != RECORD_KEY_SIZE || reader.failed || lower_size > value.size - 4)
        return KVORUM_CORRUPT;
    struct loss *loss = loss_create(node, store, bytes_make(value.data + 4, lower_size),
                                    bytes_from(value, 4 + lower_size));
    if (loss == NULL)
        return KVORUM_NO_MEMORY;
    loss->number = 0;
    for (int i = 0; i < 8; i++)
        loss->number = loss->number << 8 | key.data[2 + i];
    if (node->scrub->next_number <= loss->number)
        node->scrub->next_number = loss->number + 1;
    return KVORUM_OK;
}

static kvorum_status load_store(struct node *node, uint16_t store)
{
    struct engine_range range = { .lower = BYTES_LITERAL("w"), .upper = BYTES_LITERAL("x") };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(node->config.stores[store], &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator))
        status = load_record(node, store, iterator->key, iterator->value);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

/* What the other parts of the node read when they open, which are not among the objects. */
static kvorum_status read_through(struct engine *engine, struct bytes lower, struct bytes upper)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(engine, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    for (engine_iterator_first(iterator); iterator->valid;)
        engine_iterator_next(iterator);
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status check_store(struct node *node, uint16_t store)
{
    struct engine *engine = node->config.stores[store];
    kvorum_status status = load_store(node, store);
    if (status == KVORUM_OK)
        status = read_through(engine, BYTES_LITERAL("m"), BYTES_LITERAL("n"));
    if (status == KVORUM_OK)
        status = read_through(engine, BYTES_LITERAL("p"), BYTES_LITERAL("w"));
    return status;
}

/* Which of its own records are lost nobody knows: all of the store is in doubt. */
static kvorum_status rescue(struct node *node, uint16_t store)
{
    struct engine *engine = node->config.stores[store];
    const struct engine_range all = { 0 };
    struct scrub_reports reports = { 0 };
    struct arena arena;
    uint64_t mended = 0;
    PROBE("scrub: a store was mended when the node started");
    log_error(node->config.log,
              "records of the node itself are damaged; all of the store is compared with the "
              "other owners",
              LOG_U64("store", store));
    if (!scrub_loss_add(node, store, (struct bytes){ 0 }, (struct bytes){ 0 }, false))
        return KVORUM_NO_MEMORY;
    arena_init(&arena, BOUNDS_SIZE_MAX * SCRUB_REPORTS_MAX);
    kvorum_status status =
        scrub_reports_open(&reports, &arena) ? fill_batch(node, store) : KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = engine_write(engine, node->batch, ENGINE_SYNC);
    if (status == KVORUM_OK)
        status = engine_mend(engine, &all, 1, scrub_report, &reports, &mended);
    arena_done(&arena);
    node->counters.scrub_mended += mended;
    node->counters.scrub_damaged += mended;
    return status;
}

static void forget_store(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (loss->store == store)
            scrub_loss_remove(node, loss);
    }
}

kvorum_status scrub_losses_load(struct node *node)
{
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++) {
        struct engine *engine = node->config.stores[i];
        if (engine == NULL || !engine_can(engine, ENGINE_DURABLE | ENGINE_ORDERED | ENGINE_TABLES))
            continue;
        status = check_store(node, i);
        if (status != KVORUM_CORRUPT || scrub_is_alone(node))
            continue;
        forget_store(node, i);
        status = rescue(node, i);
        if (status == KVORUM_OK)
            status = check_store(node, i);
    }
    return status;
}
