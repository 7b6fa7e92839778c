/* SPDX-License-Identifier: Apache-2.0 */
/* The memory engine: the tree of common/tree.h under one read-write lock, with its nodes, keys and
 * values in one pool.
 *
 *      batch -> what it needs, against the limits -> memory reserved -> changes, none can fail now
 *
 * A value that no snapshot and no view can see is overwritten in place when the new one fits its
 * block, and replaced otherwise, so overwriting the same keys for ever holds the same memory.
 * Durability is answered at once: there is none to give. */
#include "engine/memory/memory.h"

#include "engine/common/batch.h"
#include "engine/memory/internal.h"
#include <assert.h>
#include <stdlib.h>

/* --- reads --------------------------------------------------------------------------------- */

static kvorum_status memory_get(struct engine *engine, struct bytes key,
                                const struct engine_read *read, struct engine_view *ret_view)
{
    struct memory *memory = (struct memory *)engine;
    struct version *version = NULL;
    (void)read;
    atomic_fetch_add_explicit(&memory->gets, 1, memory_order_relaxed);
    pthread_rwlock_rdlock(&memory->lock);
    struct entry *entry = tree_find(&memory->tree, key);
    if (entry != NULL)
        version = atomic_load_explicit(&entry->newest, memory_order_relaxed);
    if (version != NULL && version->deleted)
        version = NULL;
    if (version != NULL)
        atomic_fetch_add_explicit(&version->references, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&memory->lock);
    if (version == NULL)
        return KVORUM_NOT_FOUND;
    *ret_view = (struct engine_view){ version_value(version), engine, version, 0 };
    return KVORUM_OK;
}

static void memory_release(struct engine_view *view)
{
    struct memory *memory = (struct memory *)view->engine;
    struct version *version = view->guard;
    if (atomic_fetch_sub_explicit(&version->references, 1, memory_order_acq_rel) != 1)
        return;
    struct version *first = atomic_load_explicit(&memory->released, memory_order_relaxed);
    do
        version->older = first;
    while (!atomic_compare_exchange_weak_explicit(&memory->released, &first, version,
                                                  memory_order_release, memory_order_relaxed));
}

/* --- limits -------------------------------------------------------------------------------- */

static bool hidden_from_snapshots(const struct memory *memory, const struct version *version)
{
    return version->sequence > memory->newest_snapshot;
}

static size_t put_size(const struct batch_change *change)
{
    return pool_block_size(entry_size(change->key.size)) +
           pool_block_size(version_size(change->value.size));
}

struct needs {
    size_t count, small_size, large_size, key_size_max; /* large: blocks outside the chunks */
};

struct growth {
    int64_t size, count;
};

/* What one change adds or gives back.  A key new twice in one batch counts twice. */
static struct growth change_growth(const struct memory *memory, const struct batch_change *change)
{
    const struct entry *entry = tree_find(&memory->tree, change->key);
    const struct version *old = entry == NULL ? NULL : entry->newest;
    bool live = old != NULL && !old->deleted;
    struct growth growth = { 0 };
    if (old != NULL && old->older == NULL && hidden_from_snapshots(memory, old))
        growth.size -= (int64_t)pool_block_size(version_size(old->size));
    if (change->kind == ENGINE_PUT) {
        growth.count = !live;
        growth.size += (int64_t)(old != NULL ? pool_block_size(version_size(change->value.size))
                                             : put_size(change));
    } else {
        growth.count = live ? -1 : 0;
    }
    return growth;
}

static struct growth batch_growth(const struct memory *memory, struct bytes bytes)
{
    struct growth total = { 0 };
    struct batch_cursor cursor = batch_cursor_of(bytes);
    struct batch_change change;
    while (batch_next(&cursor, &change)) {
        struct growth growth = change_growth(memory, &change);
        total.size += growth.size;
        total.count += growth.count;
    }
    return total;
}

/* The keys are looked up only when the batch might not fit.  One that frees is always let in. */
static bool fits(const struct memory *memory, struct bytes bytes, const struct needs *needs)
{
    size_t needed = needs->small_size + needs->large_size;
    uint64_t size_limit = memory->options.size_limit, count_limit = memory->options.count_limit;
    bool size_fits = size_limit == 0 || memory->pool.used_size + needed <= size_limit;
    bool count_fits = count_limit == 0 || memory->live_count + needs->count <= count_limit;
    if (size_fits && count_fits)
        return true;
    struct growth growth = batch_growth(memory, bytes);
    if (!count_fits && growth.count > 0 &&
        memory->live_count + (uint64_t)growth.count > count_limit)
        return false;
    return size_fits || growth.size <= 0 ||
           memory->pool.used_size + (uint64_t)growth.size <= size_limit;
}

/* --- writes -------------------------------------------------------------------------------- */

/* Values too large for the pool's chunks are allocated before anything is changed. */
struct large_values {
    struct version *first, **last;
};

static struct version *version_fill(struct version *version, uint64_t sequence,
                                    const struct batch_change *change)
{
    version->older = NULL;
    version->sequence = sequence;
    version->size = (uint32_t)change->value.size;
    version->deleted = change->kind == ENGINE_DELETE;
    atomic_store_explicit(&version->references, 1, memory_order_relaxed);
    if (change->value.size > 0)
        memcpy(version->value, change->value.data, change->value.size);
    return version;
}

static bool is_large(const struct batch_change *change)
{
    return version_size(change->value.size) > POOL_BLOCK_MAX;
}

static void large_free(struct memory *memory, struct large_values *large)
{
    while (large->first != NULL) {
        struct version *version = large->first;
        large->first = version->older;
        pool_free(&memory->pool, version, version_size(version->size));
    }
}

static bool large_prepare(struct memory *memory, struct bytes bytes, struct large_values *large)
{
    struct batch_cursor cursor = batch_cursor_of(bytes);
    struct batch_change change;
    while (batch_next(&cursor, &change)) {
        if (!is_large(&change))
            continue;
        struct version *version = pool_allocate(&memory->pool, version_size(change.value.size));
        if (version == NULL) {
            large_free(memory, large);
            return false;
        }
        *large->last = version_fill(version, memory->sequence + 1, &change);
        large->last = &version->older;
    }
    return true;
}

static struct version *version_create(struct memory *memory, const struct batch_change *change,
                                      struct large_values *large)
{
    struct version *version;
    if (is_large(change)) {
        version = large->first;
        large->first = version->older;
        version->older = NULL;
        return version;
    }
    version = pool_allocate(&memory->pool, version_size(change->value.size));
    assert(version != NULL); /* reserved */
    return version_fill(version, memory->sequence, change);
}

static void entry_create(struct memory *memory, const struct batch_change *change,
                         struct large_values *large)
{
    struct entry *entry = pool_allocate(&memory->pool, entry_size(change->key.size));
    assert(entry != NULL); /* reserved */
    entry->key_size = (uint32_t)change->key.size & INT32_MAX;
    entry->listed = 0;
    memcpy(entry->key, change->key.data, change->key.size);
    atomic_init(&entry->newest, version_create(memory, change, large));
    tree_insert(&memory->tree, entry);
}

static bool overwrite_in_place(struct memory *memory, struct version *old,
                               const struct batch_change *change)
{
    size_t size = version_size(change->value.size);
    if (is_large(change) || old->size > POOL_BLOCK_MAX ||
        pool_block_size(size) != pool_block_size(version_size(old->size)) ||
        atomic_load_explicit(&old->references, memory_order_acquire) != 1)
        return false;
    struct version *older = old->older;
    version_fill(old, memory->sequence, change)->older = older;
    return true;
}

static void replace(struct memory *memory, struct entry *entry, const struct batch_change *change,
                    struct large_values *large)
{
    struct version *old = entry->newest;
    bool hidden = hidden_from_snapshots(memory, old);
    memory->live_count += (change->kind == ENGINE_PUT) - (uint64_t)!old->deleted;
    if (hidden && overwrite_in_place(memory, old, change))
        return;
    struct version *version = version_create(memory, change, large);
    version->older = hidden ? old->older : old;
    atomic_store_explicit(&entry->newest, version, memory_order_relaxed);
    if (hidden)
        memory_drop(memory, old);
    if (version->older != NULL)
        memory_list_stale(memory, entry);
}

static void apply_put(struct memory *memory, const struct batch_change *change,
                      struct large_values *large)
{
    struct entry *entry = tree_find(&memory->tree, change->key);
    memory->puts++;
    if (entry != NULL) {
        replace(memory, entry, change, large);
    } else {
        entry_create(memory, change, large);
        memory->live_count++;
    }
}

static void apply_delete(struct memory *memory, const struct batch_change *change)
{
    struct entry *entry = tree_find(&memory->tree, change->key);
    memory->deletes++;
    if (entry == NULL)
        return;
    struct version *old = entry->newest;
    if (old->older != NULL || !hidden_from_snapshots(memory, old)) {
        replace(memory, entry, change, NULL);
        return;
    }
    memory->live_count -= !old->deleted;
    memory_remove_entry(memory, entry);
}

static void apply(struct memory *memory, struct bytes bytes, struct large_values *large)
{
    struct batch_cursor cursor = batch_cursor_of(bytes);
    struct batch_change change;
    memory->sequence++;
    memory->batches++;
    while (batch_next(&cursor, &change)) {
        if (change.kind == ENGINE_PUT)
            apply_put(memory, &change, large);
        else
            apply_delete(memory, &change);
    }
}

/* Most that a batch may take: no key there yet, nothing overwritten in place. */
static struct needs batch_needs(struct bytes bytes)
{
    struct needs needs = { 0 };
    struct batch_cursor cursor = batch_cursor_of(bytes);
    struct batch_change change;
    while (batch_next(&cursor, &change)) {
        size_t version = pool_block_size(version_size(change.value.size));
        needs.count++;
        needs.small_size += pool_block_size(entry_size(change.key.size));
        if (is_large(&change))
            needs.large_size += version;
        else
            needs.small_size += version;
        if (change.key.size > needs.key_size_max)
            needs.key_size_max = change.key.size;
    }
    assert(!cursor.failed); /* made by engine_batch_put and _delete */
    return needs;
}

static bool reserve(struct memory *memory, const struct needs *needs)
{
    size_t size =
        needs->small_size + tree_insert_size(&memory->tree, needs->count, needs->key_size_max);
    if (!list_empty(&memory->snapshots))
        size += needs->count * pool_block_size(sizeof(struct memory_stale));
    return pool_reserve(&memory->pool, size);
}

static kvorum_status write_locked(struct memory *memory, struct bytes bytes)
{
    struct needs needs = batch_needs(bytes);
    struct large_values large = { NULL, &large.first };
    memory_collect(memory);
    if (!fits(memory, bytes, &needs))
        return KVORUM_STORE_FULL;
    if (!reserve(memory, &needs))
        return KVORUM_NO_MEMORY;
    if (needs.large_size > 0 && !large_prepare(memory, bytes, &large))
        return KVORUM_NO_MEMORY;
    apply(memory, bytes, &large);
    return KVORUM_OK;
}

static kvorum_status memory_write(struct engine *engine, const struct engine_batch *batch,
                                  enum engine_durability durability)
{
    struct memory *memory = (struct memory *)engine;
    (void)durability;
    pthread_rwlock_wrlock(&memory->lock);
    kvorum_status status = write_locked(memory, engine_batch_bytes(batch));
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

static kvorum_status memory_submit(struct engine *engine, const struct engine_batch *batch,
                                   enum engine_durability durability, struct engine_commit *commit)
{
    kvorum_status status = memory_write(engine, batch, durability);
    if (status == KVORUM_OK)
        commit->done(commit, KVORUM_OK);
    return status;
}

/* --- the rest ------------------------------------------------------------------------------ */

static void memory_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    struct memory *memory = (struct memory *)engine;
    pthread_rwlock_rdlock(&memory->lock);
    ret_stats->live_entries = memory->live_count;
    ret_stats->memory_size = memory->pool.held_size;
    ret_stats->memory_limit = memory->options.size_limit;
    ret_stats->batches = memory->batches;
    ret_stats->puts = memory->puts;
    ret_stats->deletes = memory->deletes;
    ret_stats->gets = atomic_load_explicit(&memory->gets, memory_order_relaxed);
    pthread_rwlock_unlock(&memory->lock);
}

static void memory_close(struct engine *engine)
{
    struct memory *memory = (struct memory *)engine;
    assert(list_empty(&memory->snapshots)); /* iterators must have been given back */
    pool_done(&memory->pool);
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static const struct engine_ops memory_ops = {
    .name = "memory",
    .capabilities = ENGINE_ORDERED | ENGINE_SNAPSHOT,
    .close = memory_close,
    .get = memory_get,
    .release = memory_release,
    .write = memory_write,
    .submit = memory_submit,
    .iterate = memory_iterate,
    .iterator_close = memory_iterator_close,
    .iterator_first = memory_iterator_first,
    .iterator_last = memory_iterator_last,
    .iterator_seek = memory_iterator_seek,
    .iterator_next = memory_iterator_next,
    .iterator_previous = memory_iterator_previous,
    .stats = memory_stats,
};

kvorum_status memory_open(const struct memory_options *options, struct engine **ret_engine)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        return KVORUM_NO_MEMORY;
    memory->engine.ops = &memory_ops;
    if (options != NULL)
        memory->options = *options;
    pool_init(&memory->pool);
    list_init(&memory->snapshots);
    if (!tree_init(&memory->tree, &memory->pool, true) ||
        pthread_rwlock_init(&memory->lock, NULL) != 0) {
        pool_done(&memory->pool);
        free(memory);
        return KVORUM_NO_MEMORY;
    }
    *ret_engine = &memory->engine;
    return KVORUM_OK;
}
