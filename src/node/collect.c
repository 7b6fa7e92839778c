/* SPDX-License-Identifier: Apache-2.0 */
/* Fences as they are kept.
 *
 * Whoever is behind what was collected (cluster/collect/fence.h) drops all of the partition, in one
 * batch with a fence that has promised what was collected and with a salt for our actors, since the
 * counters go too.  Then it is in doubt like what was lost with a damaged block (node/scrub.h): no
 * answers about it until it was compared with every other owner. */
#include "node/collect_internal.h"

#include "base/planted.h"
#include "codec/varint.h"
#include "node/repair_internal.h"
#include "node/scrub_internal.h"

enum { RECORD_SIZE = 1 + 6 * 8, KEY_SIZE = 4, DOUBT_BITS = 3, KNOWN_BIT = 4, REFILLING_BIT = 8 };

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
static const uint8_t base_key[] = { 'm', 'b' };

struct fenced *collect_fenced(const struct node *node, uint32_t partition)
{
    const struct collect *collect = node->collect;
    if (partition >= collect->partition_count ||
        node->config.stores[partition % node->config.store_count] == NULL)
        return NULL;
    return &collect->partitions[partition];
}

/* --- on disk --------------------------------------------------------------------------------- */

static struct bytes record_key(uint32_t partition, uint8_t memory[KEY_SIZE])
{
    memory[0] = 'm';
    memory[1] = 'f';
    memory[2] = (uint8_t)(partition >> 8);
    memory[3] = (uint8_t)partition;
    return bytes_make(memory, KEY_SIZE);
}

kvorum_status collect_put(struct node *node, struct engine_batch *batch, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    const uint64_t numbers[] = { fenced->fence.promised, fenced->fence.committed, fenced->lifted,
                                 fenced->counter,        fenced->stamp,           fenced->salt };
    uint8_t key[KEY_SIZE], record[RECORD_SIZE];
    record[0] = (uint8_t)(fenced->fence.doubt | (fenced->fence.known ? KNOWN_BIT : 0) |
                          (fenced->refilling ? REFILLING_BIT : 0));
    for (size_t i = 0; i < 6; i++) {
        uint64_t little = htole64(numbers[i]);
        memcpy(record + 1 + 8 * i, &little, sizeof(little));
    }
    return engine_batch_put(batch, record_key(partition, key), bytes_make(record, sizeof(record)));
}

static kvorum_status submit(struct node *node, uint32_t partition)
{
    engine_batch_reset(node->batch);
    kvorum_status status = collect_put(node, node->batch, partition);
    return status == KVORUM_OK ? replica_submit(node, placement_store(node, partition), node->batch,
                                                replica_durability(node, false), &nothing)
                               : status;
}

void collect_save(struct node *node, uint32_t partition)
{
    (void)!submit(node, partition); /* in vain: it is heard again */
}

static bool is_sound(const struct fence *fence)
{
    return fence->committed <= fence->promised && fence->doubt <= FENCE_ALL &&
           (fence->doubt == FENCE_SETTLED || (fence->known && fence->committed < fence->promised));
}

static kvorum_status load_record(struct node *node, struct bytes key, struct bytes value)
{
    struct reader reader = reader_of(value);
    uint32_t partition =
        key.size == KEY_SIZE ? (uint32_t)key.data[2] << 8 | key.data[3] : UINT32_MAX;
    struct fenced *fenced = collect_fenced(node, partition);
    uint8_t flags = read_u8(&reader);
    struct fenced read = { 0 };
    read.fence.promised = read_u64(&reader);
    read.fence.committed = read_u64(&reader);
    read.fence.doubt = flags & DOUBT_BITS;
    read.fence.known = (flags & KNOWN_BIT) != 0;
    read.lifted = read_u64(&reader);
    read.counter = read_u64(&reader);
    read.stamp = read_u64(&reader);
    read.salt = read_u64(&reader);
    read.refilling = (flags & REFILLING_BIT) != 0;
    if (!reader_finished(&reader) || !is_sound(&read.fence))
        return KVORUM_CORRUPT;
    if (fenced == NULL)
        return KVORUM_OK;
    fence_restart(&read.fence);
    *fenced = read;
    return KVORUM_OK;
}

static kvorum_status load_records(struct node *node, struct engine *store)
{
    struct engine_range range = { .lower = BYTES_LITERAL("mf"), .upper = BYTES_LITERAL("mg") };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator))
        status = load_record(node, iterator->key, iterator->value);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status is_empty(struct engine *store, bool nowait, struct bytes lower,
                              struct bytes upper, bool *ret_empty)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    const struct engine_read how = { .nowait = nowait };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate_at(store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    *ret_empty = !iterator->valid;
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

struct base {
    uint64_t
        epoch; /* since which the store has been ours, with nothing in it at first; 0: it is older
                       than this record, or not the store that it was */
    bool rebuilt; /* salvaged, or a copy: deletions may have been lost, and nobody knows which */
};

static kvorum_status put_base(struct node *node, struct engine *store, uint64_t epoch,
                              const struct engine_stats *stats)
{
    const uint64_t record[] = { htole64(epoch), htole64(stats->store_id[0]),
                                htole64(stats->store_id[1]) };
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, bytes_make(base_key, sizeof(base_key)),
                                            bytes_make(record, sizeof(record)));
    return status == KVORUM_OK
               ? replica_submit(node, store, node->batch, replica_durability(node, false), &nothing)
               : status;
}

static kvorum_status load_base(struct node *node, struct engine *store, struct base *ret)
{
    struct bytes key = bytes_make(base_key, sizeof(base_key)), value;
    struct engine_stats stats;
    bool empty = false;
    *ret = (struct base){ 0 };
    engine_stats(store, &stats);
    kvorum_status status = engine_get(store, key, &node->scratch, &value);
    if (status == KVORUM_OK) {
        struct reader reader = reader_of(value);
        ret->epoch = read_u64(&reader);
        ret->rebuilt = read_u64(&reader) != stats.store_id[0];
        ret->rebuilt |= read_u64(&reader) != stats.store_id[1];
        if (!reader_finished(&reader))
            return KVORUM_CORRUPT;
        if (!ret->rebuilt)
            return KVORUM_OK;
        ret->epoch = 0;
        return put_base(node, store, 0, &stats);
    }
    if (status == KVORUM_NOT_FOUND)
        status = is_empty(store, false, BYTES_LITERAL("o"), BYTES_LITERAL("p"), &empty);
    if (status != KVORUM_OK)
        return status;
    ret->epoch = empty ? node->config.epoch->number : 0;
    return put_base(node, store, ret->epoch, &stats);
}

/* It may hold what was collected: it has promised nothing. */
static kvorum_status distrust(struct node *node, uint32_t partition)
{
    struct fenced *fenced = collect_fenced(node, partition);
    uint64_t tenure = handoff_tenure(node, partition);
    PROBE("collect: a store was not the one that it was");
    fenced->fence = (struct fence){ 0 };
    if (tenure > fenced->lifted)
        fenced->lifted = tenure;
    return submit(node, partition);
}

static void lift(struct fenced *fenced, uint64_t since)
{
    if (since <= fenced->lifted)
        return;
    fenced->lifted = since;
    fence_lift(&fenced->fence, fence_of_epoch(since));
}

static kvorum_status load_store(struct node *node, uint16_t number)
{
    struct engine *store = node->config.stores[number];
    struct base base;
    kvorum_status status = load_base(node, store, &base);
    if (status == KVORUM_UNSUPPORTED)
        return KVORUM_OK; /* no order of keys: nothing is collected there */
    if (status == KVORUM_OK)
        status = load_records(node, store);
    for (uint32_t p = number; p < node->collect->partition_count && status == KVORUM_OK;
         p += node->config.store_count) {
        struct fenced *fenced = &node->collect->partitions[p];
        if (base.rebuilt && fenced->fence.promised > 0)
            status = distrust(node, p);
        lift(fenced, base.epoch);
        lift(fenced, handoff_tenure(node, p));
        (void)hlc_see(&node->hlc, fenced->stamp, clock_wall_ms(node->config.clock));
    }
    return status;
}

/* --- open, close ----------------------------------------------------------------------------- */

struct heap_item *collect_timer(struct node *node)
{
    return &node->collect->timer;
}

void collect_wake(struct node *node, uint64_t due_us)
{
    struct heap_item *timer = &node->collect->timer;
    if (timer->place != 0) {
        if (timer->key <= due_us)
            return;
        heap_remove(&node->timers, timer);
    }
    (void)heap_insert(&node->timers, timer, due_us);
}

static bool doubt_again(struct node *node, uint32_t partition);

kvorum_status collect_open(struct node *node)
{
    struct collect *collect = node->collect = calloc(1, sizeof(*collect));
    if (collect == NULL)
        return KVORUM_NO_MEMORY;
    collect->partition_count = node->config.epoch->partition_count;
    collect->partitions = calloc(collect->partition_count, sizeof(*collect->partitions));
    buffer_init(&collect->after, ENGINE_KEY_SIZE_MAX);
    if (collect->partitions == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++)
        if (node->config.stores[i] != NULL)
            status = load_store(node, i);
    for (uint32_t p = 0; p < collect->partition_count && status == KVORUM_OK; p++) {
        collect->doubts |= collect->partitions[p].fence.doubt != FENCE_SETTLED;
        if (collect->partitions[p].refilling && !doubt_again(node, p))
            status = KVORUM_NO_MEMORY;
    }
    if (collect->doubts)
        collect_wake(node, node->now_us + COLLECT_SETTLE_US);
    if (status == KVORUM_OK && node->config.collect.age_ms > 0)
        collect_wake(node, node->now_us + node->config.collect.interval_us);
    return status;
}

void collect_free_turn(struct collect_turn *turn)
{
    if (turn == NULL)
        return;
    arena_done(&turn->arena);
    free(turn);
}

void collect_close(struct node *node)
{
    struct collect *collect = node->collect;
    if (collect == NULL)
        return;
    collect_round_free(node);
    for (uint32_t p = 0; collect->partitions != NULL && p < collect->partition_count; p++) {
        collect_free_turn(collect->partitions[p].turn);
        collect_free_turn(collect->partitions[p].named);
    }
    if (collect->timer.place != 0)
        heap_remove(&node->timers, &collect->timer);
    buffer_done(&collect->after);
    free(collect->partitions);
    free(collect);
    node->collect = NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

uint64_t collect_promised(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->fence.promised;
}

uint64_t collect_committed(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->fence.committed;
}

uint32_t collect_drops(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->drops;
}

uint64_t collect_counter_floor(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL || PLANTED(COLLECT_NO_FLOOR) ? 0 : fenced->counter;
}

uint64_t collect_stamp_floor(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL || PLANTED(COLLECT_NO_FLOOR) ? 0 : fenced->stamp;
}

uint64_t collect_salt(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->salt;
}

struct grave *collect_find(const struct collect_turn *turn, struct bytes key)
{
    size_t low = 0, high = turn == NULL ? 0 : turn->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(turn->graves[middle].key, key);
        if (order == 0)
            return &turn->graves[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_named(const struct fenced *fenced, struct bytes key)
{
    bool promised = fenced->turn != NULL && fenced->turn->number != 0;
    return collect_find(fenced->named, key) != NULL ||
           (promised && collect_find(fenced->turn, key) != NULL);
}

bool collect_is_current(struct node *node, const struct key_address *address, uint64_t under)
{
    const struct fenced *fenced = collect_fenced(node, address->partition);
    if (fenced == NULL)
        return true;
    bool named = false;
    if (fenced->fence.doubt == FENCE_NAMED) {
        struct bytes key = store_key(&node->scratch, address);
        named = key.data == NULL || is_named(fenced, key);
    }
    return fence_admits(&fenced->fence, under, named);
}

bool collect_admits(struct node *node, const struct key_address *address, uint64_t under)
{
    struct fenced *fenced = collect_fenced(node, address->partition);
    if (!collect_is_current(node, address, under)) {
        PROBE("collect: an object was refused that is older than what was collected");
        node->counters.fence_refusals++;
        return false;
    }
    if (fenced != NULL && fence_take(&fenced->fence, under)) {
        PROBE("collect: a newcomer has promised no more than who gave to it");
        return submit(node, address->partition) == KVORUM_OK;
    }
    return true;
}

void collect_note(struct node *node, uint32_t partition, struct bytes key)
{
    const struct fenced *fenced = node->collect == NULL ? NULL : collect_fenced(node, partition);
    struct grave *grave = fenced == NULL ? NULL : collect_find(fenced->turn, key);
    if (grave != NULL)
        grave->changed = true;
}

void collect_on_tenure(struct node *node, uint32_t partition, uint64_t session)
{
    struct fenced *fenced = collect_fenced(node, partition);
    if (fenced == NULL || session <= fenced->lifted)
        return;
    lift(fenced, session);
    collect_save(node, partition);
}

void collect_see_stamp(struct node *node, uint32_t partition, uint64_t stamp)
{
    struct fenced *fenced = collect_fenced(node, partition);
    if (fenced == NULL || stamp <= fenced->stamp)
        return;
    fenced->stamp = stamp;
    (void)hlc_see(&node->hlc, stamp, clock_wall_ms(node->config.clock));
    collect_save(node, partition);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void bounds_of(uint32_t partition, uint8_t lower[3], uint8_t upper[3])
{
    lower[0] = upper[0] = 'o';
    lower[1] = (uint8_t)(partition >> 8);
    lower[2] = (uint8_t)partition;
    upper[0] += partition == UINT16_MAX;
    upper[1] = (uint8_t)((partition + 1) >> 8);
    upper[2] = (uint8_t)(partition + 1);
}

static kvorum_status delete_each(struct node *node, struct engine *store, struct bytes lower,
                                 struct bytes upper)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator))
        status = engine_batch_delete(node->batch, iterator->key);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static bool cut(struct bytes lower, struct bytes upper, uint8_t own_lower[3], uint8_t own_upper[3],
                struct bytes *ret_lower, struct bytes *ret_upper)
{
    *ret_lower = bytes_make(own_lower, 3);
    *ret_upper = bytes_make(own_upper, 3);
    if (bytes_compare(lower, *ret_lower) > 0)
        *ret_lower = lower;
    if (upper.size > 0 && bytes_compare(upper, *ret_upper) < 0)
        *ret_upper = upper;
    return bytes_compare(*ret_lower, *ret_upper) < 0;
}

void collect_on_mended(struct node *node, uint16_t store, struct bytes lower, struct bytes upper)
{
    struct collect *collect = node->collect;
    struct engine *engine = node->config.stores[store];
    kvorum_status status = KVORUM_OK;
    for (uint32_t p = store; p < collect->partition_count; p += node->config.store_count) {
        uint8_t own_lower[3], own_upper[3];
        struct bytes from, to;
        bounds_of(p, own_lower, own_upper);
        if (collect->partitions[p].fence.committed == 0 ||
            !cut(lower, upper, own_lower, own_upper, &from, &to))
            continue;
        PROBE("collect: what was left between lost deletions went too");
        engine_batch_reset(node->batch);
        status = engine_can(engine, ENGINE_RANGES)
                     ? engine_batch_delete_range(node->batch, from, to)
                     : delete_each(node, engine, from, to);
        if (status == KVORUM_OK)
            status = replica_submit(node, engine, node->batch, replica_durability(node, false),
                                    &nothing);
        if (status != KVORUM_OK) /* then all of it is: it will hear that it is behind */
            collect->partitions[p].fence = (struct fence){ 0 };
    }
}

/* --- behind ---------------------------------------------------------------------------------- */

static bool doubt_again(struct node *node, uint32_t partition)
{
    uint8_t lower[3], upper[3];
    uint16_t store = (uint16_t)(partition % node->config.store_count);
    bounds_of(partition, lower, upper);
    /* One in memory forgets everything at each start, and says so to nobody then either. */
    if (scrub_is_alone(node) || !engine_can(node->config.stores[store], ENGINE_TABLES)) {
        node->collect->partitions[partition].refilling = false;
        return true;
    }
    node->collect->refilling++;
    if (!scrub_loss_add(node, store, bytes_make(lower, 3), bytes_make(upper, 3), false))
        return false;
    scrub_wake(node, node->now_us);
    collect_wake(node, node->now_us + SCRUB_TICK_US);
    return true;
}

static kvorum_status drop_objects(struct node *node, uint32_t partition)
{
    struct engine *store = placement_store(node, partition);
    uint8_t lower[3], upper[3];
    bounds_of(partition, lower, upper);
    struct bytes from = bytes_make(lower, 3), to = bytes_make(upper, 3);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_can(store, ENGINE_RANGES)
                               ? engine_batch_delete_range(node->batch, from, to)
                               : delete_each(node, store, from, to);
    if (status == KVORUM_OK)
        status = collect_put(node, node->batch, partition);
    return status == KVORUM_OK
               ? replica_submit(node, store, node->batch, replica_durability(node, false), &nothing)
               : status;
}

static void forget_turns(struct fenced *fenced)
{
    collect_free_turn(fenced->turn);
    collect_free_turn(fenced->named);
    fenced->turn = fenced->named = NULL;
}

void collect_drop(struct node *node, uint32_t partition, uint64_t committed)
{
    struct fenced *fenced = collect_fenced(node, partition), before = *fenced;
    struct repair_partition *compared = node->repair->partitions[partition];
    PROBE("collect: one who was behind dropped what it had");
    fence_renew(&fenced->fence, committed);
    fenced->salt = random_next(&node->random) | 1;
    fenced->refilling = true;
    kvorum_status status = drop_objects(node, partition);
    if (status != KVORUM_OK) {
        *fenced = before; /* it is still refused by everybody, and hears of it again */
        return;
    }
    log_error(node->config.log,
              "this node's copy of a partition is older than deletions that all members had "
              "agreed on: its disk was put back to an older state. The copy is dropped and comes "
              "anew from the other owners",
              LOG_U64("partition", partition));
    node->counters.fence_refills++;
    fenced->drops++;
    forget_turns(fenced);
    if (compared != NULL)
        repair_partition_drop(node, compared);
    if (!before.refilling || !scrub_doubts_partition(node, partition))
        (void)doubt_again(node, partition);
}

void collect_hear(struct node *node, uint32_t partition, uint64_t committed)
{
    struct fenced *fenced = collect_fenced(node, partition);
    uint8_t lower[3], upper[3];
    bool empty = false;
    if (fenced == NULL || committed <= fenced->fence.committed)
        return;
    if (PLANTED(BEHIND_NOT_REFILLED) && committed > fenced->fence.promised)
        fenced->fence = (struct fence){ .promised = committed, .known = true };
    if (fence_hear(&fenced->fence, committed) == FENCE_FINE)
        return; /* whoever said it has it on disk */
    bounds_of(partition, lower, upper);
    kvorum_status status = is_empty(placement_store(node, partition), true, bytes_make(lower, 3),
                                    bytes_make(upper, 3), &empty);
    if (status == KVORUM_OK && empty) {
        fence_renew(&fenced->fence, committed);
        collect_save(node, partition);
    } else
        collect_drop(node, partition, committed);
}
