/* SPDX-License-Identifier: Apache-2.0 */
/* Point reads.  From the newest to the oldest place that may hold the key, until one decides:
 *
 *      active, frozen memtables -> tables of level 0 -> one table of each level below
 *
 * A put or a deletion decides, a merge is remembered and the search goes on below it.  A deletion
 * of a range stands in the same place as, or above, everything it deletes, so it is met first.
 *
 * A lent value keeps alive what it lies in: a memtable (its `readers`), a block (pinned), or memory
 * of its own (merged, or read from a blob). */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/merge/fold.h"

#include <assert.h>
#include <stdlib.h>

enum held { HELD_MEMTABLE, HELD_BLOCK, HELD_MEMORY };

struct lookup {
    struct lsm *lsm;
    const struct lsm_state *state;
    struct lsm_search search;
    uint64_t sequence; /* of the reader */
    uint64_t covered;  /* newest deletion of a range met so far that covers the key */
    bool ranged;       /* there are deletions of ranges to look for */
    bool folding;
    struct lsm_fold fold; /* operands met, newest first */
    size_t in_vain;       /* tables of level 0 that did not have the key */

    /* once decided */
    bool present;
    struct lsm_entry base;
    struct lsm_memtable *memtable; /* where it lies; or search.block */
};

static bool has_ranges(const struct lsm_state *state)
{
    bool any = state->levels->ranged_count > 0 || lsm_memtable_ranges(state->active) != NULL;
    for (size_t i = 0; i < state->frozen_count && !any; i++)
        any = lsm_memtable_ranges(state->frozen[i]) != NULL;
    return any;
}

static void cover(struct lookup *l, const struct lsm_ranges *ranges)
{
    uint64_t newest = lsm_ranges_cover(ranges, l->search.key, l->sequence);
    if (newest > l->covered)
        l->covered = newest;
}

/* Sees a version; OK: it decides, NOT_FOUND: go on below it. */
static kvorum_status take(struct lookup *l, const struct lsm_entry *entry)
{
    if (entry->sequence < l->covered || entry->kind == LSM_DELETE) {
        l->present = false;
        return KVORUM_OK;
    }
    if (entry->kind != LSM_MERGE) {
        l->present = true;
        l->base = *entry;
        return KVORUM_OK;
    }
    if (!l->folding)
        lsm_fold_init(&l->fold);
    l->folding = true;
    return lsm_fold_add(&l->fold, entry->value) ? KVORUM_NOT_FOUND : KVORUM_NO_MEMORY;
}

static kvorum_status look_in_memtable(struct lookup *l, struct lsm_memtable *memtable)
{
    if (l->ranged)
        cover(l, lsm_memtable_ranges(memtable));
    const struct version *version = lsm_memtable_find(memtable, l->search.key, l->sequence);
    for (; version != NULL; version = version->older) {
        struct lsm_entry entry = { .value = version_value(version),
                                   .sequence = version->sequence,
                                   .kind = lsm_version_kind(version) };
        l->memtable = memtable;
        kvorum_status status = take(l, &entry);
        if (status != KVORUM_NOT_FOUND)
            return status;
    }
    return KVORUM_NOT_FOUND;
}

static kvorum_status look_in_memtables(struct lookup *l)
{
    kvorum_status status = look_in_memtable(l, l->state->active);
    for (size_t i = 0; i < l->state->frozen_count && status == KVORUM_NOT_FOUND; i++)
        status = look_in_memtable(l, l->state->frozen[i]);
    return status;
}

static kvorum_status look_in_table(struct lookup *l, struct lsm_table *table)
{
    if (l->ranged)
        cover(l, table->ranges);
    l->search.sequence = l->sequence;
    l->memtable = NULL;
    for (;;) {
        kvorum_status status = lsm_table_get(table, &l->search);
        if (status == KVORUM_OK)
            status = take(l, &l->search.found);
        else
            return status;
        if (status != KVORUM_NOT_FOUND || l->search.found.sequence == 0)
            return status;
        l->search.sequence = l->search.found.sequence - 1;
    }
}

static bool table_may_hold(const struct lsm_table *table, struct bytes key)
{
    return lsm_inside(key, table->meta.lower, table->meta.upper);
}

static kvorum_status look_in_levels(struct lookup *l)
{
    const struct lsm_levels *levels = l->state->levels;
    const struct lsm_level *top = &levels->level[0];
    kvorum_status status = KVORUM_NOT_FOUND;
    for (size_t i = 0; i < top->count && status == KVORUM_NOT_FOUND; i++)
        if (table_may_hold(top->tables[i], l->search.key)) {
            status = look_in_table(l, top->tables[i]);
            l->in_vain += status == KVORUM_NOT_FOUND;
        }
    for (int i = 1; i < ENGINE_LEVELS && status == KVORUM_NOT_FOUND; i++) {
        struct lsm_table *table = lsm_level_table(&levels->level[i], l->search.key);
        if (table != NULL)
            status = look_in_table(l, table);
    }
    return status;
}

/* --- lending ------------------------------------------------------------------------------- */

/* `value` lies in `memory`, which the view takes over. */
static kvorum_status lend_memory(struct lookup *l, struct buffer *memory, struct bytes value,
                                 struct engine_view *ret_view)
{
    *ret_view = (struct engine_view){ value, &l->lsm->engine, memory->data, HELD_MEMORY };
    return KVORUM_OK;
}

static kvorum_status lend_blob(struct lookup *l, struct engine_view *ret_view)
{
    struct buffer memory;
    struct bytes value;
    buffer_init(&memory, LSM_BLOB_RECORD_SIZE_MAX);
    if (l->search.nowait)
        return KVORUM_WOULD_BLOCK;
    kvorum_status status = lsm_blob_read(l->lsm, l->base.value, &memory, &value);
    if (status == KVORUM_OK)
        return lend_memory(l, &memory, value, ret_view);
    buffer_done(&memory);
    return status;
}

static kvorum_status fold_on(struct lookup *l, const struct bytes *base, struct buffer *value)
{
    return lsm_fold_apply(&l->fold, true, l->lsm->options.merge, l->search.key, base, value);
}

static kvorum_status lend_folded(struct lookup *l, struct engine_view *ret_view)
{
    struct buffer value, blob;
    kvorum_status status = KVORUM_OK;
    buffer_init(&value, (size_t)ENGINE_VALUE_SIZE_MAX + 1);
    buffer_init(&blob, LSM_BLOB_RECORD_SIZE_MAX);
    struct bytes base = l->base.value;
    if (l->present && l->base.kind == LSM_BLOB)
        status = l->search.nowait ? KVORUM_WOULD_BLOCK
                                  : lsm_blob_read(l->lsm, l->base.value, &blob, &base);
    if (status == KVORUM_OK)
        status = fold_on(l, l->present ? &base : NULL, &value);
    buffer_done(&blob);
    if (status == KVORUM_OK)
        return lend_memory(l, &value, buffer_bytes(&value), ret_view);
    buffer_done(&value);
    return status;
}

static kvorum_status lend(struct lookup *l, struct engine_view *ret_view)
{
    if (l->folding)
        return lend_folded(l, ret_view);
    if (!l->present)
        return KVORUM_NOT_FOUND;
    if (l->base.kind == LSM_BLOB)
        return lend_blob(l, ret_view);
    struct engine *engine = &l->lsm->engine;
    if (l->memtable != NULL) {
        struct guard *guard = guard_enter(&l->memtable->readers);
        *ret_view = (struct engine_view){ l->base.value, engine, guard, HELD_MEMTABLE };
        return KVORUM_OK;
    }
    lsm_block_pin(l->search.block);
    *ret_view = (struct engine_view){ l->base.value, engine, l->search.block, HELD_BLOCK };
    return KVORUM_OK;
}

static kvorum_status finish(struct lookup *l, kvorum_status status, struct engine_view *ret_view)
{
    if (status == KVORUM_OK || (status == KVORUM_NOT_FOUND && l->folding))
        status = lend(l, ret_view);
    if (l->folding)
        lsm_fold_done(&l->fold);
    return status;
}

void lsm_release(struct engine_view *view)
{
    switch ((enum held)view->holds) {
    case HELD_MEMTABLE:
        guard_leave(view->guard);
        break;
    case HELD_BLOCK:
        lsm_block_unpin(view->guard);
        break;
    case HELD_MEMORY:
        free(view->guard);
        break;
    }
}

/* --- one key ------------------------------------------------------------------------------- */

static void begin(struct lookup *l, struct lsm *lsm, const struct lsm_state *state,
                  const struct engine_read *read, uint64_t sequence, struct bytes key)
{
    l->lsm = lsm;
    l->state = state;
    l->search.key = key;
    l->search.nowait = read->nowait;
    l->sequence = sequence;
    l->covered = 0;
    l->ranged = has_ranges(state);
    l->folding = l->present = false;
    l->in_vain = 0;
    l->memtable = NULL;
}

static uint64_t sequence_of(const struct lsm *lsm, const struct engine_read *read)
{
    return read->snapshot != NULL ? read->snapshot->sequence : atomic_load(&lsm->visible);
}

static kvorum_status get_inside(struct lsm *lsm, const struct lsm_state *state,
                                const struct engine_read *read, uint64_t sequence, struct bytes key,
                                struct engine_view *ret_view, size_t *in_vain)
{
    struct lookup l;
    begin(&l, lsm, state, read, sequence, key);
    kvorum_status status = look_in_memtables(&l);
    if (status == KVORUM_NOT_FOUND) {
        l.search.hash = lsm_key_hash(key);
        status = look_in_levels(&l);
        *in_vain += l.in_vain;
    }
    return finish(&l, status, ret_view);
}

static uint64_t add_to(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + more, memory_order_relaxed);
    return before;
}

/* Races between threads that share a slot lose a count now and then; they are only statistics. */
static void count_gets(struct lsm *lsm, uint64_t gets, size_t in_vain)
{
    enum { STEP = LSM_WASTE_REPORT / LSM_WASTE_GET };
    struct lsm_counter *counter = &lsm->gets[(uintptr_t)pthread_self() * 0x9e3779b97f4a7c15 >> 61];
    uint64_t counted = add_to(&counter->count, gets);
    if ((counted + gets) / LSM_TIDY_READS != counted / LSM_TIDY_READS)
        lsm_tidy(lsm);
    if (in_vain == 0)
        return;
    uint64_t before = add_to(&counter->in_vain, in_vain);
    uint64_t steps = (before + in_vain) / STEP - before / STEP;
    if (steps > 0)
        lsm_reads_wasted(lsm, steps * LSM_WASTE_REPORT);
}

kvorum_status lsm_get(struct engine *engine, struct bytes key, const struct engine_read *read,
                      struct engine_view *ret_view)
{
    struct lsm *lsm = (struct lsm *)engine;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    const struct lsm_state *state = atomic_load(&lsm->state);
    size_t in_vain = 0;
    kvorum_status status =
        get_inside(lsm, state, read, sequence_of(lsm, read), key, ret_view, &in_vain);
    epoch_leave(guard);
    count_gets(lsm, 1, in_vain);
    return status;
}

void lsm_prefetch(struct engine *engine, const struct bytes *keys, size_t count)
{
    struct lsm *lsm = (struct lsm *)engine;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    lsm_memtable_prefetch(atomic_load(&lsm->state)->active, keys, count);
    epoch_leave(guard);
}

/* --- many keys ----------------------------------------------------------------------------- */

/* A chunk of keys on their way down together.  One that meets a merge, or has ranges to heed, goes
 * its way alone. */
struct many {
    struct lookup lookups[ENGINE_PREFETCH_MAX];
    kvorum_status *statuses;
    struct lsm_search *pending[ENGINE_PREFETCH_MAX];
    size_t of[ENGINE_PREFETCH_MAX]; /* which lookup is pending */
    size_t pending_count;
    size_t in_vain;
};

static void drop_decided(struct many *many)
{
    size_t kept = 0;
    for (size_t i = 0; i < many->pending_count; i++) {
        size_t index = many->of[i];
        if (many->statuses[index] != KVORUM_NOT_FOUND)
            continue;
        many->of[kept] = index;
        many->pending[kept++] = &many->lookups[index].search;
    }
    many->pending_count = kept;
}

static void look_together(struct many *many, struct lsm_table *table, const size_t *chosen,
                          size_t count)
{
    struct lsm_search *searches[ENGINE_PREFETCH_MAX] = { NULL };
    kvorum_status statuses[ENGINE_PREFETCH_MAX];
    for (size_t i = 0; i < count; i++)
        searches[i] = &many->lookups[chosen[i]].search;
    lsm_table_get_many(table, searches, count, statuses);
    for (size_t i = 0; i < count; i++) {
        struct lookup *l = &many->lookups[chosen[i]];
        if (statuses[i] == KVORUM_OK)
            statuses[i] = take(l, &l->search.found);
        if (l->folding) /* begin again, alone: nothing was decided yet */
            statuses[i] = KVORUM_INTERNAL;
        many->statuses[chosen[i]] = statuses[i];
    }
}

static void look_in_level0_table(struct many *many, struct lsm_table *table)
{
    size_t chosen[ENGINE_PREFETCH_MAX], count = 0;
    for (size_t i = 0; i < many->pending_count; i++)
        if (table_may_hold(table, many->pending[i]->key))
            chosen[count++] = many->of[i];
    if (count > 0)
        look_together(many, table, chosen, count);
    for (size_t i = 0; i < count; i++)
        many->in_vain += many->statuses[chosen[i]] == KVORUM_NOT_FOUND;
    drop_decided(many);
}

/* Keys that meet in one table are looked up together. */
static void look_in_level(struct many *many, const struct lsm_level *level)
{
    struct lsm_table *tables[ENGINE_PREFETCH_MAX] = { NULL };
    size_t chosen[ENGINE_PREFETCH_MAX];
    for (size_t i = 0; i < many->pending_count; i++)
        tables[i] = lsm_level_table(level, many->pending[i]->key);
    for (size_t i = 0; i < many->pending_count; i++) {
        struct lsm_table *table = tables[i];
        size_t count = 0;
        for (size_t j = i; j < many->pending_count && table != NULL; j++) {
            if (tables[j] != table)
                continue;
            chosen[count++] = many->of[j];
            tables[j] = NULL;
        }
        if (count > 0)
            look_together(many, table, chosen, count);
    }
    drop_decided(many);
}

static void look_everywhere(struct many *many, const struct lsm_levels *levels)
{
    for (size_t i = 0; i < levels->level[0].count && many->pending_count > 0; i++)
        look_in_level0_table(many, levels->level[0].tables[i]);
    for (int i = 1; i < ENGINE_LEVELS && many->pending_count > 0; i++)
        if (levels->level[i].count > 0)
            look_in_level(many, &levels->level[i]);
}

static void get_chunk(struct lsm *lsm, const struct lsm_state *state,
                      const struct engine_read *read, uint64_t sequence, const struct bytes *keys,
                      size_t count, struct engine_view *ret_views, kvorum_status *ret_statuses,
                      size_t *in_vain)
{
    struct many many;
    many.statuses = ret_statuses;
    many.pending_count = many.in_vain = 0;
    memset(many.of, 0, sizeof(many.of));
    lsm_memtable_prefetch(state->active, keys, count);
    for (size_t i = 0; i < count; i++) {
        struct lookup *l = &many.lookups[i];
        begin(l, lsm, state, read, sequence, keys[i]);
        ret_statuses[i] = look_in_memtables(l);
        if (ret_statuses[i] != KVORUM_NOT_FOUND)
            continue;
        l->search.hash = lsm_key_hash(keys[i]);
        l->search.sequence = sequence;
        if (l->folding || l->ranged)
            ret_statuses[i] = look_in_levels(l);
        else
            many.of[many.pending_count++] = i;
    }
    drop_decided(&many);
    look_everywhere(&many, state->levels);
    for (size_t i = 0; i < count; i++) {
        if (ret_statuses[i] != KVORUM_INTERNAL) {
            ret_statuses[i] = finish(&many.lookups[i], ret_statuses[i], &ret_views[i]);
            continue;
        }
        lsm_fold_done(&many.lookups[i].fold);
        ret_statuses[i] = get_inside(lsm, state, read, sequence, keys[i], &ret_views[i], in_vain);
    }
    *in_vain += many.in_vain;
}

void lsm_get_many(struct engine *engine, const struct bytes *keys, size_t count,
                  const struct engine_read *read, struct engine_view *ret_views,
                  kvorum_status *ret_statuses)
{
    struct lsm *lsm = (struct lsm *)engine;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    const struct lsm_state *state = atomic_load(&lsm->state);
    uint64_t sequence = sequence_of(lsm, read);
    size_t in_vain = 0;
    for (size_t i = 0; i < count; i += ENGINE_PREFETCH_MAX) {
        size_t chunk = count - i < ENGINE_PREFETCH_MAX ? count - i : ENGINE_PREFETCH_MAX;
        get_chunk(lsm, state, read, sequence, keys + i, chunk, ret_views + i, ret_statuses + i,
                  &in_vain);
    }
    epoch_leave(guard);
    count_gets(lsm, count, in_vain);
}
