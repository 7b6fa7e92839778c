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
 * Where they look is in sight.c; a seek goes over to a newer state that shows the same. */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/merge/fold.h"
#include "engine/lsm/sight.h"

#include <assert.h>
#include <stdlib.h>

struct lsm_iterator {
    struct engine_iterator iterator; /* first */
    struct lsm *lsm;
    struct lsm_sight sight;
    uint8_t *bounds; /* the sight's */
    bool keys_only, backward;
    uint64_t waste; /* not yet told to the engine: reads.c */

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
    for (size_t i = 0; i < self->sight.range_count; i++) {
        uint64_t sequence = lsm_ranges_cover(self->sight.ranges[i], key, self->sight.sequence);
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
    struct lsm_source *source = self->sight.source;
    while (source->valid && bytes_equal(source->entry.key, key))
        source->ops->next(source);
}

/* Operands of the key the source stands on, newest first, then its base.  The source is behind all
 * of them then, so the key is shown as a copy. */
static void fold_forward(struct lsm_iterator *self, uint64_t cover)
{
    struct lsm_source *source = self->sight.source;
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
    struct lsm_source *source = self->sight.source;
    self->backward = false;
    while (source->valid) {
        const struct lsm_entry *entry = &source->entry;
        if (!lsm_below_upper(entry->key, self->sight.upper))
            break;
        if (entry->sequence > self->sight.sequence) {
            source->ops->next(source);
            continue;
        }
        uint64_t cover = self->sight.range_count == 0 ? 0 : covered(self, entry->key);
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
    struct lsm_source *source = self->sight.source;
    struct bytes key = buffer_bytes(&self->key);
    uint64_t cover = self->sight.range_count == 0 ? 0 : covered(self, key);
    *ret_base = BASE_ABSENT;
    lsm_fold_reset(&self->fold);
    for (; source->valid && bytes_equal(source->entry.key, key); source->ops->previous(source)) {
        const struct lsm_entry *entry = &source->entry;
        bool seen = entry->sequence <= self->sight.sequence && entry->sequence >= cover;
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
    struct lsm_source *source = self->sight.source;
    self->backward = true;
    while (source->valid && bytes_compare(source->entry.key, self->sight.lower) >= 0) {
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

static void note_waste(struct lsm_iterator *self, uint64_t looks)
{
    self->waste += looks * self->sight.level0_count;
}

/* Not inside the epoch. */
static void report_waste(struct lsm_iterator *self)
{
    if (self->waste < LSM_WASTE_REPORT)
        return;
    lsm_reads_wasted(self->lsm, self->waste);
    self->waste = 0;
}

void lsm_iterator_first(struct engine_iterator *iterator)
{
    lsm_iterator_seek(iterator, of(iterator)->sight.lower);
}

void lsm_iterator_last(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    lsm_sight_renew(&self->sight);
    note_waste(self, LSM_WASTE_SEEK);
    if (self->sight.upper.size > 0)
        self->sight.source->ops->seek_before(self->sight.source, self->sight.upper);
    else
        self->sight.source->ops->last(self->sight.source);
    settle_back(self);
    epoch_leave(guard);
    report_waste(self);
}

void lsm_iterator_seek(struct engine_iterator *iterator, struct bytes key)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    if (bytes_compare(key, self->sight.lower) < 0)
        key = self->sight.lower;
    if (copy(self, &self->target, key)) {
        lsm_sight_renew(&self->sight);
        note_waste(self, LSM_WASTE_SEEK);
        if (key.size == 0)
            self->sight.source->ops->first(self->sight.source);
        else
            self->sight.source->ops->seek(self->sight.source, buffer_bytes(&self->target),
                                          self->sight.sequence);
        settle_forward(self);
    }
    epoch_leave(guard);
    report_waste(self);
}

void lsm_iterator_next(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    struct lsm_source *source = self->sight.source;
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    note_waste(self, LSM_WASTE_STEP);
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
    note_waste(self, LSM_WASTE_STEP);
    if (!self->backward && iterator->key.data != self->key.data &&
        !copy(self, &self->key, iterator->key))
        goto out;
    if (!self->backward)
        self->sight.source->ops->seek_before(self->sight.source, buffer_bytes(&self->key));
    settle_back(self);
out:
    epoch_leave(guard);
}

void lsm_iterator_close(struct engine_iterator *iterator)
{
    struct lsm_iterator *self = of(iterator);
    epoch_guard guard = epoch_enter(&self->lsm->epoch);
    lsm_sight_close(&self->sight);
    epoch_leave(guard);
    if (self->waste > 0)
        lsm_reads_wasted(self->lsm, self->waste);
    if (atomic_fetch_add(&self->lsm->iterators_closed, 1) % LSM_TIDY_ITERATORS == 0)
        lsm_tidy(self->lsm);
    buffer_done(&self->key);
    buffer_done(&self->target);
    buffer_done(&self->value);
    buffer_done(&self->blob);
    lsm_fold_done(&self->fold);
    free(self->bounds);
    free(self);
}

/* --- opening ------------------------------------------------------------------------------- */

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
    self->sight.lower = bytes_make(self->bounds, lower.size);
    self->sight.upper = bytes_make(self->bounds + lower.size, upper.size);
    return true;
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
    kvorum_status status = KVORUM_NO_MEMORY;
    if (copy_bounds(self, range))
        status = lsm_sight_open(self->lsm, read, &self->sight);
    epoch_leave(guard);
    if (status != KVORUM_OK) {
        lsm_iterator_close(&self->iterator);
        return status;
    }
    *ret_iterator = &self->iterator;
    return KVORUM_OK;
}
