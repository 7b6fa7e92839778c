/* SPDX-License-Identifier: Apache-2.0 */
/* A new key costs an entry and its first version, cut one behind the other; an overwritten one a
 * version. */
#include "engine/lsm/memtable/memtable.h"

#include "base/planted.h"
#include "engine/common/batch.h"
#include <assert.h>
#include <stdlib.h>

enum {
    CACHE_LINE = 64,
    VALUE_SIZE_AHEAD = 160,
    LEAVING_MIN = 16,
    RANGES_WEIGHT = 16, /* every deleted range that is added copies all of them */
};

/* --- what was replaced --------------------------------------------------------------------- */

/* Without memory to remember it, or too large for the pool to take it back, it stays for good. */
static bool retire(struct lsm_memtable *memtable, struct lsm_retired what)
{
    struct lsm_retired_list *retired = &memtable->retired;
    if (what.size > POOL_BLOCK_MAX)
        return false;
    if (retired->count == retired->capacity) {
        size_t capacity = retired->capacity == 0 ? 64 : retired->capacity * 2;
        struct lsm_retired *list = realloc(retired->list, capacity * sizeof(*list));
        if (list == NULL)
            return false;
        retired->list = list;
        retired->capacity = capacity;
    }
    retired->list[retired->count++] = what;
    return true;
}

static void retire_node(void *context, void *block, size_t size)
{
    (void)retire(context, (struct lsm_retired){ block, size, NULL });
}

/* The chain is cut where it leads to memory that gets another use.  An owner was itself replaced
 * after what it leads to, so it is still there. */
static void use_again(struct lsm_memtable *memtable)
{
    for (size_t i = 0; i < memtable->leaving.count; i++) {
        const struct lsm_retired *what = &memtable->leaving.list[i];
        if (what->owner != NULL)
            what->owner->older = NULL;
        pool_free(&memtable->pool, what->block, what->size);
    }
    memtable->leaving.count = 0;
}

/* All that was retired by now is below what readers were told of: who enters from now on sees what
 * replaced it, and who was inside has left two turns later or stands in `readers`. */
void lsm_memtable_reclaim(struct lsm_memtable *memtable)
{
    if (memtable->leaving.count > 0) {
        if (atomic_load(&memtable->epoch->turn) < memtable->leaving_turn) {
            epoch_advance(memtable->epoch);
            return;
        }
        if (!guards_quiet(&memtable->readers))
            return;
        use_again(memtable);
    }
    if (memtable->retired.count < LEAVING_MIN)
        return;
    struct lsm_retired_list empty = memtable->leaving;
    memtable->leaving = memtable->retired;
    memtable->retired = empty;
    memtable->leaving_turn = atomic_load(&memtable->epoch->turn) + 2;
}

void lsm_memtable_freeze(struct lsm_memtable *memtable)
{
    free(memtable->retired.list);
    free(memtable->leaving.list);
    memtable->retired = memtable->leaving = (struct lsm_retired_list){ 0 };
}

/* --- life ---------------------------------------------------------------------------------- */

void lsm_range_set_release(struct lsm_range_set *set)
{
    if (set == NULL || atomic_fetch_sub(&set->references, 1) != 1)
        return;
    lsm_ranges_destroy(set->ranges);
    free(set);
}

static void range_set_free(struct epoch_item *item)
{
    lsm_range_set_release((struct lsm_range_set *)item);
}

struct lsm_range_set *lsm_memtable_range_set(const struct lsm_memtable *memtable)
{
    struct lsm_range_set *set = atomic_load(&memtable->ranges);
    if (set != NULL)
        atomic_fetch_add(&set->references, 1);
    return set;
}

static void destroy(struct lsm_memtable *memtable)
{
    lsm_range_set_release(atomic_load(&memtable->ranges));
    lsm_range_set_release(memtable->next_ranges);
    lsm_memtable_freeze(memtable);
    index_done(&memtable->index);
    pool_done(&memtable->pool);
    free(memtable);
}

/* The last reference went through the epoch, so whoever keeps something is in `readers` by now. */
static void destroy_when_quiet(struct epoch_item *item)
{
    struct lsm_memtable *memtable = (struct lsm_memtable *)item;
    if (guards_quiet(&memtable->readers))
        destroy(memtable);
    else
        epoch_put_back(memtable->epoch, item);
}

struct lsm_memtable *lsm_memtable_create(struct epoch *epoch, struct pool_spares *spares)
{
    struct lsm_memtable *memtable = calloc(1, sizeof(*memtable));
    if (memtable == NULL)
        return NULL;
    memtable->epoch = epoch;
    memtable->item = (struct epoch_item){ .free = destroy_when_quiet, .heavy = true };
    memtable->references = 1;
    pool_init(&memtable->pool);
    memtable->pool.spares = spares;
    bool indexed = index_init(&memtable->index);
    bool planted = tree_init(&memtable->tree, &memtable->pool, false);
    memtable->tree.retire = retire_node;
    memtable->tree.context = memtable;
    if (!indexed || !planted) {
        destroy(memtable);
        return NULL;
    }
    return memtable;
}

void lsm_memtable_reference(struct lsm_memtable *memtable)
{
    atomic_fetch_add_explicit(&memtable->references, 1, memory_order_relaxed);
}

void lsm_memtable_release(struct lsm_memtable *memtable)
{
    if (memtable != NULL && atomic_fetch_sub(&memtable->references, 1) == 1)
        epoch_retire(memtable->epoch, &memtable->item);
}

uint64_t lsm_memtable_held(const struct lsm_memtable *memtable)
{
    return memtable->pool.held_size + memtable->index.pool.held_size +
           lsm_ranges_size(lsm_memtable_ranges(memtable));
}

uint64_t lsm_memtable_used(const struct lsm_memtable *memtable)
{
    return memtable->pool.used_size + memtable->index.pool.used_size +
           RANGES_WEIGHT * lsm_ranges_size(lsm_memtable_ranges(memtable));
}

/* --- reserving ----------------------------------------------------------------------------- */

static struct lsm_range_set *next_ranges(struct lsm_memtable *memtable,
                                         const struct lsm_range *range)
{
    struct lsm_range_set *next = memtable->next_ranges, *current = atomic_load(&memtable->ranges);
    const struct lsm_ranges *before = next != NULL      ? next->ranges
                                      : current != NULL ? current->ranges
                                                        : NULL;
    struct lsm_ranges *ranges;
    if (lsm_ranges_add(before, range, &ranges) != KVORUM_OK)
        return NULL;
    if (next != NULL) {
        lsm_ranges_destroy(next->ranges);
        next->ranges = ranges;
        return next;
    }
    next = malloc(sizeof(*next));
    if (next == NULL) {
        lsm_ranges_destroy(ranges);
        return NULL;
    }
    *next = (struct lsm_range_set){ { .free = range_set_free }, 1, ranges };
    return next;
}

static kvorum_status reserve_ranges(struct lsm_memtable *memtable, struct bytes batch,
                                    uint64_t sequence)
{
    struct batch_cursor cursor = batch_cursor_of(batch);
    struct batch_change change;
    for (; batch_next(&cursor, &change); sequence++) {
        if (change.kind != ENGINE_DELETE_RANGE)
            continue;
        struct lsm_range range = { change.key, change.value, sequence };
        struct lsm_range_set *next = next_ranges(memtable, &range);
        if (next == NULL)
            return KVORUM_NO_MEMORY;
        memtable->next_ranges = next;
    }
    return KVORUM_OK;
}

kvorum_status lsm_memtable_reserve(struct lsm_memtable *memtable, struct bytes batch,
                                   const struct batch_totals *totals, uint64_t sequence)
{
    /* Those of a batch that was not taken in the end must not come with this one. */
    if (memtable->next_ranges != NULL && !PLANTED(RANGE_LEFT_BEHIND)) {
        PROBE("lsm: a batch was refused after its deleted ranges were prepared");
        lsm_range_set_release(memtable->next_ranges);
        memtable->next_ranges = NULL;
    }
    size_t each =
        entry_size(0) + version_size(0) + 2 * 16; /* blocks round up to 16, or an eighth */
    size_t size =
        totals->count * each + totals->key_size + totals->value_size + totals->value_size / 8;
    size += tree_insert_size(&memtable->tree, totals->count, totals->key_size_max);
    if (!pool_reserve(&memtable->pool, size))
        return KVORUM_NO_MEMORY;
    return totals->ranges == 0 ? KVORUM_OK : reserve_ranges(memtable, batch, sequence);
}

/* --- changing ------------------------------------------------------------------------------ */

static struct version *version_create(struct lsm_memtable *memtable,
                                      const struct batch_change *change, uint64_t sequence)
{
    size_t size = version_size(change->value.size);
    struct version *version = size > POOL_BLOCK_MAX ? pool_cut(&memtable->pool, size)
                                                    : pool_allocate(&memtable->pool, size);
    assert(version != NULL); /* reserved */
    version->older = NULL;
    version->sequence = sequence & LSM_SEQUENCE_MAX;
    version->size = (uint32_t)change->value.size;
    version->deleted = change->kind == ENGINE_DELETE;
    version->merge = change->kind == ENGINE_MERGE;
    if (change->value.size > 0)
        memcpy(version->value, change->value.data, change->value.size);
    return version;
}

/* A merge needs what is below it; anything else makes all of that invisible, down to and including
 * the first version that is not a merge (what was below that one went before).  Only the link to
 * the first has to be cut: the others are reached through it. */
static void retire_below(struct lsm_memtable *memtable, struct version *version)
{
    struct version *owner = version, *older = version->older;
    bool more = !version->merge;
    while (more && older != NULL) {
        struct version *next = older->older;
        more = older->merge;
        if (!retire(memtable, (struct lsm_retired){ older, version_size(older->size), owner }))
            return;
        owner = NULL;
        older = next;
    }
}

static bool overwrite(struct lsm_memtable *memtable, struct entry *entry,
                      const struct batch_change *change, uint64_t sequence)
{
    struct version *version = version_create(memtable, change, sequence);
    struct version *older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
    bool was_live = !older->deleted;
    version->older = older;
    atomic_store_explicit(&entry->newest, version, memory_order_release);
    retire_below(memtable, version);
    return was_live;
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

static struct entry *find(const struct lsm_memtable *memtable, struct bytes key, uint64_t hash)
{
    bool sure;
    struct entry *entry = index_find(&memtable->index, key, hash, &sure);
    return entry != NULL || sure ? entry : tree_find(&memtable->tree, key);
}

static void apply_change(struct lsm_memtable *memtable, const struct batch_change *change,
                         uint64_t sequence)
{
    bool was_live = false, put = change->kind != ENGINE_DELETE;
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

/* Readers below `sequence` do not heed the new ranges, so these may be seen early. */
static void publish_ranges(struct lsm_memtable *memtable)
{
    struct lsm_range_set *before = atomic_load(&memtable->ranges);
    if (memtable->next_ranges == NULL)
        return;
    atomic_store(&memtable->ranges, memtable->next_ranges);
    memtable->next_ranges = NULL;
    if (before != NULL)
        epoch_retire(memtable->epoch, &before->item);
}

uint64_t lsm_memtable_apply(struct lsm_memtable *memtable, struct bytes batch, uint64_t sequence)
{
    struct batch_cursor cursor = batch_cursor_of(batch);
    struct batch_change change;
    publish_ranges(memtable);
    for (; batch_next(&cursor, &change); sequence++) {
        memtable->changes++;
        if (change.kind != ENGINE_DELETE_RANGE)
            apply_change(memtable, &change, sequence);
    }
    assert(!cursor.failed); /* measured when memory was reserved */
    memtable->sequence_last = sequence - 1;
    return sequence - 1;
}

/* --- reading ------------------------------------------------------------------------------- */

const struct version *lsm_memtable_find(const struct lsm_memtable *memtable, struct bytes key,
                                        uint64_t sequence)
{
    const struct entry *entry = find(memtable, key, index_hash(key));
    return entry == NULL ? NULL : entry_version(entry, sequence);
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
