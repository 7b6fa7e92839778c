/* SPDX-License-Identifier: Apache-2.0 */
/* A new key costs an entry and its first version, cut one behind the other; an overwritten one a
 * version. */
#include "engine/lsm/memtable.h"

#include "engine/common/batch.h"
#include <assert.h>
#include <stdlib.h>

enum { CACHE_LINE = 64, VALUE_SIZE_AHEAD = 160 };

/* Without memory to remember it, or too large for the pool to take it back, it stays for good. */
static void retire(void *context, void *block, size_t size)
{
    struct lsm_memtable *memtable = context;
    if (size > POOL_BLOCK_MAX)
        return;
    if (memtable->retired_count == memtable->retired_capacity) {
        size_t capacity = memtable->retired_capacity == 0 ? 64 : memtable->retired_capacity * 2;
        struct lsm_retired *retired =
            realloc(memtable->retired, capacity * sizeof(struct lsm_retired));
        if (retired == NULL)
            return;
        memtable->retired = retired;
        memtable->retired_capacity = capacity;
    }
    memtable->retired[memtable->retired_count++] = (struct lsm_retired){ block, size };
}

bool lsm_memtable_init(struct lsm_memtable *memtable, uint64_t limit)
{
    *memtable = (struct lsm_memtable){ .limit = limit };
    pool_init(&memtable->pool);
    bool indexed = index_init(&memtable->index);
    bool planted = tree_init(&memtable->tree, &memtable->pool, false);
    memtable->tree.retire = retire;
    memtable->tree.context = memtable;
    return indexed && planted;
}

void lsm_memtable_done(struct lsm_memtable *memtable)
{
    free(memtable->retired);
    index_done(&memtable->index);
    pool_done(&memtable->pool);
}

uint64_t lsm_memtable_held(const struct lsm_memtable *memtable)
{
    return memtable->pool.held_size + memtable->index.pool.held_size;
}

static struct entry *find(const struct lsm_memtable *memtable, struct bytes key, uint64_t hash)
{
    bool sure;
    struct entry *entry = index_find(&memtable->index, key, hash, &sure);
    return entry != NULL || sure ? entry : tree_find(&memtable->tree, key);
}

kvorum_status lsm_memtable_reserve(struct lsm_memtable *memtable, struct bytes batch)
{
    struct batch_totals totals;
    if (!batch_measure(batch, &totals))
        return KVORUM_CORRUPT;
    size_t each =
        entry_size(0) + version_size(0) + 2 * 16; /* blocks round up to 16, or an eighth */
    size_t size = totals.count * each + totals.key_size + totals.value_size + totals.value_size / 8;
    uint64_t used = memtable->pool.used_size + memtable->index.pool.used_size;
    if (memtable->limit != 0 && used + size > memtable->limit)
        return KVORUM_STORE_FULL;
    size += tree_insert_size(&memtable->tree, totals.count, totals.key_size_max);
    return pool_reserve(&memtable->pool, size) ? KVORUM_OK : KVORUM_NO_MEMORY;
}

static struct version *version_create(struct lsm_memtable *memtable,
                                      const struct batch_change *change, uint64_t sequence)
{
    size_t size = version_size(change->value.size);
    struct version *version = size > POOL_BLOCK_MAX ? pool_cut(&memtable->pool, size)
                                                    : pool_allocate(&memtable->pool, size);
    assert(version != NULL); /* reserved */
    version->older = NULL;
    version->sequence = sequence;
    version->size = (uint32_t)change->value.size & INT32_MAX;
    version->deleted = change->kind == ENGINE_DELETE;
    if (change->value.size > 0)
        memcpy(version->value, change->value.data, change->value.size);
    return version;
}

/* All that was retired is below `visible`: who enters from now on sees what replaced it. */
static void reclaim(struct lsm_memtable *memtable)
{
    if (memtable->retired_count == 0 || !guards_quiet(&memtable->readers))
        return;
    for (size_t i = 0; i < memtable->retired_count; i++)
        pool_free(&memtable->pool, memtable->retired[i].block, memtable->retired[i].size);
    memtable->retired_count = 0;
}

static bool overwrite(struct lsm_memtable *memtable, struct entry *entry,
                      const struct batch_change *change, uint64_t sequence)
{
    struct version *version = version_create(memtable, change, sequence);
    struct version *older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
    version->older = older;
    atomic_store_explicit(&entry->newest, version, memory_order_release);
    retire(memtable, older, version_size(older->size));
    return !older->deleted;
}

static void insert(struct lsm_memtable *memtable, const struct batch_change *change, uint64_t hash,
                   uint64_t sequence)
{
    struct entry *entry = pool_cut(&memtable->pool, entry_size(change->key.size));
    assert(entry != NULL); /* reserved */
    entry->key_size = (uint32_t)change->key.size & INT32_MAX;
    entry->listed = 0;
    memcpy(entry->key, change->key.data, change->key.size);
    atomic_init(&entry->newest, version_create(memtable, change, sequence));
    tree_insert(&memtable->tree, entry);
    index_insert(&memtable->index, entry, hash);
}

static void apply_change(struct lsm_memtable *memtable, const struct batch_change *change,
                         uint64_t sequence)
{
    bool was_live = false, put = change->kind == ENGINE_PUT;
    uint64_t hash = index_hash(change->key);
    struct entry *entry = find(memtable, change->key, hash);
    if (entry != NULL)
        was_live = overwrite(memtable, entry, change, sequence);
    else
        insert(memtable, change, hash, sequence);
    memtable->live_count += (uint64_t)put - (uint64_t)was_live;
    memtable->puts += put;
    memtable->deletes += !put;
}

void lsm_memtable_apply(struct lsm_memtable *memtable, struct bytes batch, uint64_t sequence)
{
    struct batch_cursor cursor = batch_cursor_of(batch);
    struct batch_change change;
    while (batch_next(&cursor, &change))
        apply_change(memtable, &change, sequence);
    assert(!cursor.failed); /* measured when memory was reserved */
    atomic_store_explicit(&memtable->visible, sequence, memory_order_release);
    reclaim(memtable);
}

kvorum_status lsm_memtable_get(const struct lsm_memtable *memtable, struct bytes key,
                               uint64_t sequence, struct bytes *ret_value)
{
    const struct entry *entry = find(memtable, key, index_hash(key));
    const struct version *version = entry == NULL ? NULL : entry_version(entry, sequence);
    if (version == NULL || version->deleted)
        return KVORUM_NOT_FOUND;
    *ret_value = version_value(version);
    return KVORUM_OK;
}

static void prefetch_lines(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i += CACHE_LINE)
        __builtin_prefetch((const char *)memory + i);
}

/* Slot, entry, version: each is known only when the one before it has come, so each step is taken
 * for all keys before the next. */
void lsm_memtable_prefetch(const struct lsm_memtable *memtable, const struct bytes *keys,
                           size_t count)
{
    uint64_t hashes[ENGINE_PREFETCH_MAX];
    const struct entry *entries[ENGINE_PREFETCH_MAX];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = index_hash(keys[i]);
        index_prefetch(&memtable->index, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        entries[i] = index_guess(&memtable->index, hashes[i]);
        prefetch_lines(entries[i], entries[i] == NULL ? 0 : entry_size(keys[i].size));
    }
    for (size_t i = 0; i < count; i++)
        if (entries[i] != NULL)
            prefetch_lines(atomic_load_explicit(&entries[i]->newest, memory_order_acquire),
                           version_size(VALUE_SIZE_AHEAD));
}
