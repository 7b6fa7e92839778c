/* SPDX-License-Identifier: Apache-2.0 */
/* Iterators over a state: the merge of all its sources, reduced to what a reader at `sequence`
 * sees.
 *
 *      forward    the source stands on the entry shown; the older versions of its key are skipped
 *      by
 *                 the next move
 *      backward   the source stands before all versions of the key shown, which is a copy; versions
 *                 come oldest first and are folded as they come
 *
 * The state is referenced, so nothing it shows goes away; the active memtable's `readers` keep it
 * from using values again. */
#include "engine/lsm/internal.h"
#include "engine/lsm/merge/fold.h"
#include "engine/lsm/merge/merger.h"

#include <assert.h>
#include <stdlib.h>

struct lsm_iterator {
    struct engine_iterator iterator; /* first */
    struct lsm *lsm;
    struct lsm_state *state;
    struct guard *guard;
    uint64_t sequence;
    struct lsm_source *source;
    struct bytes lower, upper;
    uint8_t *bounds;
    bool keys_only, backward;

    struct lsm_range_set *range_sets[1 + LSM_FROZEN_MAX]; /* of the memtables */
    const struct lsm_ranges **ranges;
    size_t range_count;

    struct buffer key, value, blob; /* copies: see above; `key` also of what is to be skipped */
    struct buffer target;           /* of a seek, whose key may be a view of what is shown */
    struct lsm_fold fold;
};

static struct lsm_iterator *of(struct engine_iterator *iterator)
{
    return (struct lsm_iterator *)iterator;
}

/* --- what a reader sees -------------------------------------------------------------------- */

static uint64_t covered(const struct lsm_iterator *self, struct bytes key)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < self->range_count; i++) {
        uint64_t sequence = lsm_ranges_cover(self->ranges[i], key, self->sequence);
        if (sequence > newest)
            newest = sequence;
    }
    return newest;
}

static void stop(struct lsm_iterator *self, kvorum_status status)
{
    self->iterator.valid = false;
    self->iterator.error = status;
    self->iterator.key = self->iterator.value = (struct bytes){ 0 };
}

static void show(struct lsm_iterator *self, struct bytes key, struct bytes value)
{
    self->iterator.valid = true;
    self->iterator.key = key;
    self->iterator.value = self->keys_only ? (struct bytes){ 0 } : value;
}

/* False: no memory; the iterator stopped. */
static bool copy(struct lsm_iterator *self, struct buffer *to, struct bytes from)
{
    buffer_reset(to);
    buffer_append_bytes(to, from);
    if (to->failed)
        stop(self, KVORUM_NO_MEMORY);
    return !to->failed;
}

/* A view into `blob`, which holds until the next one is read. */
static kvorum_status read_blob(struct lsm_iterator *self, struct bytes address,
                               struct bytes *ret_value)
{
    return lsm_blob_read(self->lsm, address, &self->blob, ret_value);
}

/* Show `key` with what the operands make of `base` (NULL: absent). */
static void show_folded(struct lsm_iterator *self, struct bytes key, bool newest_first,
                        const struct bytes *base)
{
    struct buffer result;
    buffer_init(&result, (size_t)ENGINE_VALUE_SIZE_MAX + 1);
    kvorum_status status =
        lsm_fold_apply(&self->fold, newest_first, self->lsm->options.merge, key, base, &result);
    if (status == KVORUM_OK) {
        buffer_done(&self->value);
        self->value = result;
        show(self, key, buffer_bytes(&self->value));
    } else {
        buffer_done(&result);
        stop(self, status);
    }
}

/* --- forward ------------------------------------------------------------------------------- */

static void skip_key(struct lsm_iterator *self)
{
    struct bytes key = buffer_bytes(&self->key);
    struct lsm_source *source = self->source;
    while (source->valid && bytes_equal(source->entry.key, key))
        source->ops->next(source);
}

/* Operands of the key the source stands on, newest first, then its base.  The source is behind all
 * of them then, so the key is shown as a copy. */
static void fold_forward(struct lsm_iterator *self, uint64_t cover)
{
    struct lsm_source *source = self->source;
    struct bytes base = { 0 };
    bool present = false, decided = false;
    lsm_fold_reset(&self->fold);
    if (!copy(self, &self->key, source->entry.key))
        return;
    struct bytes key = buffer_bytes(&self->key);
    for (; source->valid && bytes_equal(source->entry.key, key); source->ops->next(source)) {
        const struct lsm_entry *entry = &source->entry;
        decided |= entry->sequence < cover || entry->kind == LSM_DELETE;
        if (decided)
            continue;
        if (entry->kind == LSM_MERGE) {
            if (!lsm_fold_add(&self->fold, entry->value)) {
                stop(self, KVORUM_NO_MEMORY);
                return;
            }
            continue;
        }
        present = decided = true;
        if (!copy(self, &self->value, entry->value))
            return;
        base = buffer_bytes(&self->value);
        kvorum_status status =
            entry->kind == LSM_BLOB ? read_blob(self, entry->value, &base) : KVORUM_OK;
        if (status != KVORUM_OK) {
            stop(self, status);
            return;
        }
    }
    if (source->status != KVORUM_OK) {
        stop(self, source->status);
        return;
    }
    struct bytes kept = base;
    show_folded(self, key, true, present ? &kept : NULL);
}

static void show_entry(struct lsm_iterator *self, const struct lsm_entry *entry)
{
    if (entry->kind != LSM_BLOB || self->keys_only) {
        show(self, entry->key, entry->value);
        return;
    }
    struct bytes value;
    kvorum_status status = read_blob(self, entry->value, &value);
    if (status == KVORUM_OK)
        show(self, entry->key, value);
    else
        stop(self, status);
}

/* From where the source stands to the first key that the reader sees. */
static void settle_forward(struct lsm_iterator *self)
{
    struct lsm_source *source = self->source;
    self->backward = false;
    while (source->valid) {
        const struct lsm_entry *entry = &source->entry;
        if (!lsm_below_upper(entry->key, self->upper))
            break;
        if (entry->sequence > self->sequence) {
            source->ops->next(source);
            continue;
        }
        uint64_t cover = self->range_count == 0 ? 0 : covered(self, entry->key);
        if (entry->sequence >= cover && entry->kind != LSM_DELETE) {
            if (entry->kind == LSM_MERGE)
                fold_forward(self, cover);
            else
                show_entry(self, entry);
            return;
        }
        if (!copy(self, &self->key, entry->key))
            return;
        skip_key(self);
    }
    stop(self, source->status);
}

/* --- backward ------------------------------------------------------------------------------ */

enum { BASE_ABSENT, BASE_VALUE, BASE_BLOB };

/* One version, older ones were seen before.  False: no memory. */
static bool fold_back(struct lsm_iterator *self, const struct lsm_entry *entry, int *base)
{
    if (entry->kind == LSM_MERGE)
        return lsm_fold_add(&self->fold, entry->value);
    lsm_fold_reset(&self->fold);
    *base = BASE_ABSENT;
    if (entry->kind == LSM_DELETE)
        return true;
    *base = entry->kind == LSM_BLOB ? BASE_BLOB : BASE_VALUE;
    return copy(self, &self->value, entry->value);
}

/* All versions of the key that the source stands on, from the oldest on. */
static bool fold_key_back(struct lsm_iterator *self, int *ret_base)
{
    struct lsm_source *source = self->source;
    struct bytes key = buffer_bytes(&self->key);
    uint64_t cover = self->range_count == 0 ? 0 : covered(self, key);
    *ret_base = BASE_ABSENT;
    lsm_fold_reset(&self->fold);
    for (; source->valid && bytes_equal(source->entry.key, key); source->ops->previous(source)) {
        const struct lsm_entry *entry = &source->entry;
        bool seen = entry->sequence <= self->sequence && entry->sequence >= cover;
        if (seen && !fold_back(self, entry, ret_base))
            return false;
    }
    return true;
}

static void show_back(struct lsm_iterator *self, int base)
{
    struct bytes key = buffer_bytes(&self->key), value = buffer_bytes(&self->value);
    if (base == BASE_BLOB && !self->keys_only) {
        kvorum_status status = read_blob(self, value, &value);
        if (status != KVORUM_OK) {
            stop(self, status);
            return;
        }
    }
    if (self->fold.count == 0)
        show(self, key, value);
    else
        show_folded(self, key, false, base == BASE_ABSENT ? NULL : &value);
}

static void settle_back(struct lsm_iterator *self)
{
    struct lsm_source *source = self->source;
    self->backward = true;
    while (source->valid && bytes_compare(source->entry.key, self->lower) >= 0) {
        int base;
        if (!copy(self, &self->key, source->entry.key))
            return;
        if (!fold_key_back(self, &base)) {
            stop(self, KVORUM_NO_MEMORY);
            return;
        }
        if (source->status != KVORUM_OK)
            break;
        if (base != BASE_ABSENT || self->fold.count > 0) {
            show_back(self, base);
            return;
        }
    }
    stop(self, source->status);
}

/* --- the interface ------------------------------------------------------------------------- */

void lsm_iterator_first(struct engine_iterator *iterator)
{
    lsm_iterator_seek(iterator, of(iterator)->lower);
}

void lsm_iterator_last(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (self->upper.size > 0)
        self->source->ops->seek_before(self->source, self->upper);
    else
        self->source->ops->last(self->source);
    settle_back(self);
    epoch_leave(guard);
}

void lsm_iterator_seek(struct engine_iterator *iterator, struct bytes key)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (bytes_compare(key, self->lower) < 0)
        key = self->lower;
    if (copy(self, &self->target, key)) {
        if (key.size == 0)
            self->source->ops->first(self->source);
        else
            self->source->ops->seek(self->source, buffer_bytes(&self->target), self->sequence);
        settle_forward(self);
    }
    epoch_leave(guard);
}

void lsm_iterator_next(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    struct lsm_source *source = self->source;
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (self->backward)
        source->ops->seek(source, iterator->key, LSM_SEQUENCE_MAX);
    if (self->backward || iterator->key.data != self->key.data) {
        if (!self->backward && !copy(self, &self->key, iterator->key))
            goto out;
        skip_key(self);
    }
    settle_forward(self);
out:
    epoch_leave(guard);
}

void lsm_iterator_previous(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (!self->backward && iterator->key.data != self->key.data &&
        !copy(self, &self->key, iterator->key))
        goto out;
    if (!self->backward)
        self->source->ops->seek_before(self->source, buffer_bytes(&self->key));
    settle_back(self);
out:
    epoch_leave(guard);
}

void lsm_iterator_close(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (self->source != NULL)
        self->source->ops->close(self->source);
    epoch_leave(guard);
    for (size_t i = 0; i < 1 + LSM_FROZEN_MAX; i++)
        lsm_range_set_release(self->range_sets[i]);
    if (self->guard != NULL)
        guard_leave(self->guard);
    lsm_state_release(self->state);
    buffer_done(&self->key);
    buffer_done(&self->target);
    buffer_done(&self->value);
    buffer_done(&self->blob);
    lsm_fold_done(&self->fold);
    free(self->ranges);
    free(self->bounds);
    free(self);
}

/* --- opening ------------------------------------------------------------------------------- */

struct sources {
    struct lsm_source **list;
    size_t count;
};

static kvorum_status add_memtables(struct lsm_iterator *self, struct sources *sources)
{
    const struct lsm_state *state = self->state;
    kvorum_status status =
        lsm_memtable_source(state->active, self->sequence, &sources->list[sources->count]);
    sources->count += status == KVORUM_OK;
    for (size_t i = 0; i < state->frozen_count && status == KVORUM_OK; i++) {
        status =
            lsm_memtable_source(state->frozen[i], self->sequence, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
    }
    return status;
}

/* Only what may hold something of the range. */
static kvorum_status add_tables(const struct lsm_iterator *self, const struct lsm_table_scan *scan,
                                struct sources *sources)
{
    const struct lsm_levels *levels = self->state->levels;
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < levels->level[0].count && status == KVORUM_OK; i++) {
        struct lsm_table *table = levels->level[0].tables[i];
        if (!lsm_intervals_meet(table->meta.lower, table->meta.upper, self->lower, self->upper))
            continue;
        status = lsm_table_source(table, scan, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
    }
    for (int i = 1; i < ENGINE_LEVELS && status == KVORUM_OK; i++) {
        if (levels->level[i].count == 0)
            continue;
        status = lsm_level_source(&levels->level[i], scan, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
    }
    return status;
}

static kvorum_status open_sources(struct lsm_iterator *self, bool nowait)
{
    struct sources sources = { 0 };
    struct lsm_table_scan scan = { .nowait = nowait };
    size_t most = 1 + LSM_FROZEN_MAX + self->state->levels->level[0].count + ENGINE_LEVELS;
    sources.list = malloc(most * sizeof(sources.list[0]));
    if (sources.list == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = add_memtables(self, &sources);
    if (status == KVORUM_OK)
        status = add_tables(self, &scan, &sources);
    if (status == KVORUM_OK)
        status = lsm_merger_create(sources.list, sources.count, &self->source);
    else
        for (size_t i = 0; i < sources.count; i++)
            sources.list[i]->ops->close(sources.list[i]);
    free(sources.list);
    return status;
}

static void add_ranges(struct lsm_iterator *self, const struct lsm_ranges *ranges)
{
    if (ranges != NULL)
        self->ranges[self->range_count++] = ranges;
}

static void add_range_set(struct lsm_iterator *self, size_t index,
                          const struct lsm_memtable *memtable)
{
    self->range_sets[index] = lsm_memtable_range_set(memtable);
    if (self->range_sets[index] != NULL)
        add_ranges(self, self->range_sets[index]->ranges);
}

static bool collect_ranges(struct lsm_iterator *self)
{
    const struct lsm_state *state = self->state;
    size_t most = 1 + LSM_FROZEN_MAX + state->levels->ranged_count;
    self->ranges = malloc(most * sizeof(self->ranges[0]));
    if (self->ranges == NULL)
        return false;
    add_range_set(self, 0, state->active);
    for (size_t i = 0; i < state->frozen_count; i++)
        add_range_set(self, i + 1, state->frozen[i]);
    if (state->levels->ranged_count == 0)
        return true;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < state->levels->level[i].count; j++)
            add_ranges(self, state->levels->level[i].tables[j]->ranges);
    return true;
}

static bool copy_bounds(struct lsm_iterator *self, const struct engine_range *range)
{
    struct bytes lower = range->lower, upper = range->upper;
    self->bounds = malloc(lower.size + upper.size + 1);
    if (self->bounds == NULL)
        return false;
    if (lower.size > 0)
        memcpy(self->bounds, lower.data, lower.size);
    if (upper.size > 0)
        memcpy(self->bounds + lower.size, upper.data, upper.size);
    self->lower = bytes_make(self->bounds, lower.size);
    self->upper = bytes_make(self->bounds + lower.size, upper.size);
    return true;
}

static kvorum_status open_inside(struct lsm_iterator *self, const struct engine_range *range,
                                 const struct engine_read *read)
{
    self->state = atomic_load(&self->lsm->state);
    lsm_state_reference(self->state);
    self->guard = guard_enter(&self->state->active->readers);
    self->sequence =
        read->snapshot != NULL ? read->snapshot->sequence : atomic_load(&self->lsm->visible);
    if (!copy_bounds(self, range) || !collect_ranges(self))
        return KVORUM_NO_MEMORY;
    return open_sources(self, read->nowait);
}

kvorum_status lsm_iterate(struct engine *engine, const struct engine_range *range,
                          const struct engine_read *read, struct engine_iterator **ret_iterator)
{
    struct lsm_iterator *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return KVORUM_NO_MEMORY;
    self->iterator.ops = engine->ops;
    self->lsm = (struct lsm *)engine;
    self->keys_only = range->keys_only;
    buffer_init(&self->key, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&self->target, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&self->value, (size_t)ENGINE_VALUE_SIZE_MAX + 1);
    buffer_init(&self->blob, LSM_BLOB_RECORD_SIZE_MAX);
    lsm_fold_init(&self->fold);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    kvorum_status status = open_inside(self, range, read);
    epoch_leave(guard);
    if (status != KVORUM_OK) {
        lsm_iterator_close(&self->iterator);
        return status;
    }
    *ret_iterator = &self->iterator;
    return KVORUM_OK;
}
