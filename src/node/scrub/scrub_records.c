/* SPDX-License-Identifier: Apache-2.0 */
/* Losses and the salt of actors beside the objects of a store: layout in scrub.h. */
#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/buckets/property_table.h"
#include "node/records.h"
#include "node/scrub/scrub_internal.h"

enum { BOUNDS_SIZE_MAX = 2 * ENGINE_KEY_SIZE_MAX + 8 };

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

enum { RECORD_KEY_SIZE = 10 };
static const uint8_t salt_key[] = { 'w', 'a' }, pass_key[] = { 'w', 'p' };

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

/* Properties and generations of buckets, and what was promised of drops. */
bool scrub_loss_meets_records(const struct loss *loss)
{
    return loss->store == 0 && !loss->harmless && !PLANTED(PROPERTIES_CUT_OUT) &&
           scrub_loss_meets(loss, BYTES_LITERAL("p"), BYTES_LITERAL("r"));
}

static bool lacks_records(const struct node *node)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next; item != losses; item = item->next)
        if (scrub_loss_meets_records(LIST_ENTRY(item, struct loss, link)))
            return true;
    return false;
}

/* What this shard has in memory of them is on disk before the damage that they may stand in is cut
 * out. */
static kvorum_status put_own_records(struct node *node, uint16_t store)
{
    if (node->config.shard != 0 || store != 0 || !lacks_records(node))
        return KVORUM_OK;
    kvorum_status status = property_put_all(node);
    return status == KVORUM_OK ? drop_put_promise(node) : status;
}

/* Another salt, every loss of the store, and no hash tree of before: the record by which one was
 * deleted may be lost too. */
kvorum_status scrub_fill_batch(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    struct engine *engine = node->config.stores[store];
    uint64_t salt = random_next(&node->random) | 1, bytes = htole64(salt);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, bytes_make(salt_key, sizeof(salt_key)),
                                            bytes_make(&bytes, sizeof(bytes)));
    if (status == KVORUM_OK && engine_can(engine, ENGINE_RANGES))
        status = engine_batch_delete_range(node->batch, BYTES_LITERAL("t"), BYTES_LITERAL("u"));
    if (status == KVORUM_OK && engine_can(engine, ENGINE_RANGES)) /* reclaim.c: what is deleted */
        status = engine_batch_delete_range(node->batch, BYTES_LITERAL("g"), BYTES_LITERAL("h"));
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
        status = put_own_records(node, store);
    if (status == KVORUM_OK)
        node->scrub->salts[store] = salt;
    return status;
}

/* In every store: after a restart with another number of shards the oldest of theirs counts. */
void scrub_keep_pass(struct node *node)
{
    uint64_t bytes = htole64(node->scrub->last_ms);
    for (uint16_t i = 0; i < node->config.store_count; i++) {
        struct engine *engine = node->config.stores[i];
        if (engine == NULL || !engine_can(engine, ENGINE_TABLES))
            continue;
        engine_batch_reset(node->batch);
        if (engine_batch_put(node->batch, bytes_make(pass_key, sizeof(pass_key)),
                             bytes_make(&bytes, sizeof(bytes))) == KVORUM_OK)
            (void)!replica_submit(node, engine, node->batch, ENGINE_LOG, &nothing);
    }
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

uint64_t scrub_salt(const struct node *node, uint32_t partition)
{
    return node->scrub->salts[partition % node->config.store_count];
}

/* --- reading ---------------------------------------------------------------------------------- */

static kvorum_status load_record(struct node *node, struct bytes key, struct bytes value,
                                 void *context)
{
    uint16_t store = *(const uint16_t *)context;
    struct reader reader = reader_of(value);
    if (bytes_equal(key, bytes_make(salt_key, sizeof(salt_key)))) {
        node->scrub->salts[store] = read_u64(&reader);
        return reader_finished(&reader) ? KVORUM_OK : KVORUM_CORRUPT;
    }
    if (bytes_equal(key, bytes_make(pass_key, sizeof(pass_key)))) {
        uint64_t last_ms = read_u64(&reader);
        if (node->scrub->last_ms == 0 || last_ms < node->scrub->last_ms)
            node->scrub->last_ms = last_ms;
        return reader_finished(&reader) ? KVORUM_OK : KVORUM_CORRUPT;
    }
    uint32_t lower_size = read_u32(&reader);
    if (key.size != RECORD_KEY_SIZE || reader.failed || lower_size > value.size - 4)
        return KVORUM_CORRUPT;
    struct loss *loss = scrub_loss_create(node, store, bytes_make(value.data + 4, lower_size),
                                          bytes_from(value, 4 + lower_size));
    if (loss == NULL)
        return KVORUM_NO_MEMORY;
    loss->inherited = true;
    loss->number = 0;
    for (int i = 0; i < 8; i++)
        loss->number = loss->number << 8 | key.data[2 + i];
    if (node->scrub->next_number <= loss->number)
        node->scrub->next_number = loss->number + 1;
    return KVORUM_OK;
}

kvorum_status scrub_load_store(struct node *node, uint16_t store)
{
    static const struct record_area losses = { "losses", "w", "x" };
    return records_load(node, node->config.stores[store], &losses, load_record, &store);
}
