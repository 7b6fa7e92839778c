/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a piece of a partition where blocking is allowed: hashes, digests, and where they are
 * wanted the keys.  Which n a bucket has is the shard's to say, so objects come in runs of one
 * bucket. */
#include "base/hash.h"
#include "node/buckets/drop.h"
#include "node/repair/repair_internal.h"

enum {
    PAGE_KEYS = 1024,
    PAGE_KEY_SIZE = 256 << 10,  /* bytes of keys */
    PAGE_VALUE_SIZE = 32 << 20, /* bytes of objects read for a page */
    CHUNK_VALUE_SIZE = 1 << 20, /* and for a piece of a tree */
    STAMP_ARENA_LIMIT = 1 << 30,
};

static uint64_t newest_stamp(struct arena *temporary, struct bytes encoding)
{
    struct object object;
    arena_reset(temporary);
    bool fine = object_decode(encoding, temporary, &object) == KVORUM_OK;
    return fine ? hlc_wall_ms(object_max_stamp(&object)) : 0;
}

static bool same_bucket(const struct chunk *chunk, const struct key_address *address)
{
    if (chunk->run_count == 0)
        return false;
    const struct scanned_run *run = &chunk->runs[chunk->run_count - 1];
    return run->generation == address->generation && bytes_equal(run->bucket, address->bucket) &&
           bytes_equal(run->type, address->type);
}

static bool note_run(struct chunk *chunk, const struct key_address *address)
{
    if (same_bucket(chunk, address))
        return true;
    struct arena *arena = &chunk->reading.arena;
    struct scanned_run *run = &chunk->runs[chunk->run_count++];
    run->first = chunk->count;
    run->generation = address->generation;
    return arena_copy(arena, address->type, &run->type) &&
           arena_copy(arena, address->bucket, &run->bucket);
}

/* What the iterator stands on.  False: no memory. */
static bool note_entry(struct chunk *chunk, struct arena *temporary)
{
    const struct engine_iterator *iterator = chunk->iterator;
    struct key_address address;
    uint64_t key_hash = hash_tree_key(chunk->seed, iterator->key);
    chunk->looked_at++;
    chunk->value_size += iterator->value.size;
    if (!leaf_set_has(&chunk->wanted, hash_tree_leaf(key_hash)) || iterator->value.size == 0 ||
        !store_key_parse(iterator->key, &address))
        return true;
    if (!note_run(chunk, &address))
        return false;
    struct scanned *entry = &chunk->entries[chunk->count++];
    *entry = (struct scanned){ .key_hash = key_hash, .digest = object_digest(iterator->value) };
    if (!chunk->keep_keys)
        return true;
    entry->stamp = newest_stamp(temporary, iterator->value);
    chunk->key_size += iterator->key.size;
    return arena_copy(&chunk->reading.arena, iterator->key, &entry->key);
}

static bool chunk_full(const struct chunk *chunk)
{
    size_t most = chunk->keep_keys ? PAGE_VALUE_SIZE : CHUNK_VALUE_SIZE;
    return chunk->looked_at >= chunk->entries_max || chunk->value_size >= most ||
           (chunk->keep_keys && (chunk->count >= PAGE_KEYS || chunk->key_size >= PAGE_KEY_SIZE));
}

static kvorum_status read_entries(struct chunk *chunk)
{
    struct engine_iterator *iterator = chunk->iterator;
    struct arena temporary;
    bool fine = true;
    arena_init(&temporary, STAMP_ARENA_LIMIT);
    if (!chunk->begun)
        engine_iterator_first(iterator);
    while (iterator->valid && fine && !chunk_full(chunk)) {
        fine = note_entry(chunk, &temporary);
        engine_iterator_next(iterator);
    }
    if (fine && iterator->valid)
        fine = arena_copy(&chunk->reading.arena, iterator->key, &chunk->next);
    arena_done(&temporary);
    return !fine ? KVORUM_NO_MEMORY : iterator->error;
}

static kvorum_status chunk_read(struct reading *reading, bool nowait)
{
    struct chunk *chunk = (struct chunk *)reading;
    struct engine_range range = { .lower = chunk->lower, .upper = chunk->upper };
    size_t most =
        chunk->keep_keys && chunk->entries_max > PAGE_KEYS ? PAGE_KEYS : chunk->entries_max;
    (void)nowait; /* it is always a job's, where there are jobs */
    chunk->entries = arena_allocate(&reading->arena, most * sizeof(*chunk->entries));
    chunk->runs = arena_allocate(&reading->arena, most * sizeof(*chunk->runs));
    if (chunk->entries == NULL || chunk->runs == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = KVORUM_OK;
    if (!chunk->held)
        status = engine_iterate(chunk->store, &range, &chunk->iterator);
    if (status == KVORUM_OK)
        status = read_entries(chunk);
    if (!chunk->held)
        chunk->iterator = engine_iterator_close(chunk->iterator);
    return status;
}

static void chunk_drop(struct reading *reading)
{
    struct chunk *chunk = (struct chunk *)reading;
    chunk->iterator = engine_iterator_close(chunk->iterator);
}

/* The first key behind the partition. */
static bool partition_range(struct arena *arena, uint32_t partition, struct chunk *chunk)
{
    uint8_t lower[REPAIR_PREFIX_SIZE], upper[REPAIR_PREFIX_SIZE];
    struct bytes first = repair_prefix(partition, lower);
    struct bytes end = repair_prefix(partition + 1, upper);
    if (partition == UINT16_MAX)
        end = BYTES_LITERAL("p");
    return arena_copy(arena, first, &chunk->lower) && arena_copy(arena, end, &chunk->upper);
}

struct chunk *chunk_open(struct node *node, uint32_t partition,
                         void (*done)(struct node *node, struct reading *reading))
{
    struct reading *reading = reading_open(sizeof(struct chunk));
    struct chunk *chunk = (struct chunk *)reading;
    if (chunk == NULL)
        return NULL;
    if (!partition_range(&reading->arena, partition, chunk)) {
        reading_close(reading);
        return NULL;
    }
    reading->read = chunk_read;
    reading->done = done;
    reading->drop = chunk_drop;
    chunk->store = placement_store(node, partition);
    chunk->seed = node->repair->seed;
    chunk->partition = partition;
    return chunk;
}

void chunk_start(struct node *node, struct chunk *chunk)
{
    reading_begin(node, &chunk->reading);
}

uint8_t repair_bucket_n(struct node *node, struct bytes type, struct bytes bucket)
{
    struct bucket_properties properties;
    property_table_get(node, type, bucket, &properties);
    uint32_t n = properties.levels.n;
    return (uint8_t)(n < TARGETS_MAX ? n : TARGETS_MAX);
}

bool repair_run_is_old(const struct node *node, const struct scanned_run *run)
{
    return run->generation < drop_generation(node, run->type, run->bucket);
}

struct exchange_page chunk_page(struct node *node, const struct chunk *chunk, struct arena *arena)
{
    struct exchange_page page = { 0 };
    struct exchange_entry *entries = arena_allocate(arena, (chunk->count + 1) * sizeof(*entries));
    bool fine = entries != NULL && arena_copy(arena, chunk->next, &page.next);
    for (uint32_t run = 0; fine && run < chunk->run_count; run++) {
        const struct scanned_run *of = &chunk->runs[run];
        uint32_t end = run + 1 < chunk->run_count ? of[1].first : chunk->count;
        if (repair_bucket_n(node, of->type, of->bucket) != chunk->n || repair_run_is_old(node, of))
            continue;
        for (uint32_t i = of->first; fine && i < end; i++) {
            const struct scanned *found = &chunk->entries[i];
            struct exchange_entry *entry = &entries[page.count++];
            entry->leaf = hash_tree_leaf(found->key_hash);
            entry->digest = found->digest;
            entry->stamp = found->stamp;
            fine = arena_copy(arena, found->key, &entry->key);
        }
    }
    page.entries = fine ? entries : NULL;
    return page;
}
