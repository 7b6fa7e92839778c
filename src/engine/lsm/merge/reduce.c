/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a key come newest first.  Once the fate of a version is decided, `hidden_from` says
 * which of the older ones no reader can tell from absent:
 *
 *      snapshots     30        20        10
 *      versions    35  31    28  24    19         9
 *      stripe      3   3     2   2     1          0
 *      kept        35        28        19         9      after 35, hidden_from is 31 = 30 + 1
 *
 *  An entry that is kept is handed out as the source's own view, and the source is moved on at the
 *  next call; so the key is copied (to know its other versions when they come), the value never. */
#include "engine/lsm/merge/reduce_internal.h"

#include <assert.h>
#include <stdlib.h>

/* --- making -------------------------------------------------------------------------------- */

static void load_fragment(struct lsm_reduce *reduce)
{
    struct fragment *fragment = &reduce->fragment;
    if (reduce->fragment_index < reduce->fragment_count)
        lsm_ranges_fragment(reduce->options.ranges, reduce->fragment_index, &fragment->lower,
                            &fragment->upper, &fragment->sequences, &fragment->count);
}

kvorum_status lsm_reduce_create(const struct lsm_reduce_options *options, struct lsm_source *source,
                                struct lsm_reduce **ret_reduce)
{
    struct lsm_reduce *reduce = calloc(1, sizeof(*reduce));
    size_t count = options->snapshot_count;
    uint64_t *snapshots = calloc(count + 1, sizeof(*snapshots));
    if (reduce == NULL || snapshots == NULL) {
        free(reduce);
        free(snapshots);
        return KVORUM_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || options->snapshots[i - 1] < options->snapshots[i]);
        snapshots[i] = options->snapshots[i];
    }
    reduce->options = *options;
    reduce->options.snapshots = snapshots;
    reduce->source = source;
    buffer_init(&reduce->key, ENGINE_KEY_SIZE_MAX);
    buffer_init(&reduce->operands.values, SIZE_MAX / 2);
    buffer_init(&reduce->result, ENGINE_VALUE_SIZE_MAX);
    buffer_init(&reduce->blob, SIZE_MAX / 2); /* whoever reads says how much it is */
    reduce->fragment_count = lsm_ranges_fragments(options->ranges);
    load_fragment(reduce);
    source->ops->first(source);
    *ret_reduce = reduce;
    return KVORUM_OK;
}

void lsm_reduce_destroy(struct lsm_reduce *reduce)
{
    if (reduce == NULL)
        return;
    buffer_done(&reduce->key);
    buffer_done(&reduce->operands.values);
    buffer_done(&reduce->result);
    buffer_done(&reduce->blob);
    free(reduce->operands.list);
    free(reduce->operands.views);
    free((uint64_t *)reduce->options.snapshots);
    free(reduce);
}

/* --- stripes ------------------------------------------------------------------------------- */

/* The newest deletion of a range over the key, at or below `sequence`. */
static uint64_t cover(const struct lsm_reduce *reduce, uint64_t sequence)
{
    const struct fragment *fragment = &reduce->fragment;
    if (reduce->fragment_index == reduce->fragment_count ||
        bytes_compare(fragment->lower, buffer_bytes(&reduce->key)) > 0)
        return 0;
    return lsm_ranges_newest(fragment->sequences, fragment->count, sequence);
}

static inline struct stripe stripe_of(const struct lsm_reduce *reduce, uint64_t sequence)
{
    const struct lsm_reduce_options *options = &reduce->options;
    struct stripe stripe = { 0 };
    uint64_t highest = UINT64_MAX;
    if (options->snapshot_count > 0) {
        stripe.index = stripe_index(options, sequence);
        if (stripe.index > 0)
            stripe.lowest = options->snapshots[stripe.index - 1] + 1;
        if (stripe.index < options->snapshot_count)
            highest = options->snapshots[stripe.index];
    }
    if (reduce->fragment_count > 0) {
        uint64_t newest = cover(reduce, highest);
        stripe.cover = newest >= stripe.lowest ? newest : 0;
    }
    return stripe;
}
/* --- keys ---------------------------------------------------------------------------------- */

/* memcpy, without the call for usual keys. */
static inline void copy_key(uint8_t *to, struct bytes key)
{
    enum { HALF = 16 };
    if (key.size >= HALF && key.size <= 2 * HALF) {
        memcpy(to, key.data, HALF);
        memcpy(to + key.size - HALF, key.data + key.size - HALF, HALF);
    } else {
        memcpy(to, key.data, key.size);
    }
}

static inline bool begin_key(struct lsm_reduce *reduce, struct bytes key)
{
    buffer_reset(&reduce->key);
    uint8_t *to = buffer_reserve(&reduce->key, key.size);
    if (to == NULL)
        return false;
    copy_key(to, key);
    reduce->key.size = key.size;
    reduce->hidden_from = UINT64_MAX;
    reduce->open = false;
    while (reduce->fragment_index < reduce->fragment_count &&
           !lsm_below_upper(key, reduce->fragment.upper)) {
        reduce->fragment_index++;
        load_fragment(reduce);
    }
    return true;
}

static kvorum_status drop(struct lsm_reduce *reduce)
{
    move_on(reduce);
    return NONE_KEPT;
}

/* --- values and deletions ------------------------------------------------------------------ */

static kvorum_status judge_delete(struct lsm_reduce *reduce, const struct stripe *stripe,
                                  struct lsm_entry *ret_entry)
{
    reduce->hidden_from = stripe->lowest;
    if (at_bottom(reduce, stripe))
        return drop(reduce);
    *ret_entry = reduce->source->entry;
    reduce->lent = true;
    return KVORUM_OK;
}

/* The filter drops what the source stands on: a deletion in its place. */
static kvorum_status filtered(struct lsm_reduce *reduce, const struct stripe *stripe,
                              struct lsm_entry *ret_entry)
{
    reduce->hidden_from = stripe->lowest;
    if (at_bottom(reduce, stripe))
        return drop(reduce);
    *ret_entry = (struct lsm_entry){ .key = reduce->source->entry.key,
                                     .sequence = reduce->source->entry.sequence,
                                     .kind = LSM_DELETE };
    reduce->lent = true;
    return KVORUM_OK;
}

static kvorum_status ask_filter(struct lsm_reduce *reduce, bool *ret_keep)
{
    struct bytes value = reduce->source->entry.value;
    *ret_keep = true;
    if (reduce->source->entry.kind == LSM_BLOB) {
        if (reduce->options.blob_read == NULL)
            return KVORUM_OK;
        kvorum_status status = read_blob(reduce, &value);
        if (status != KVORUM_OK)
            return is_damage(status) ? KVORUM_OK : status;
    }
    *ret_keep = filter_keeps(reduce, value);
    return KVORUM_OK;
}

static inline kvorum_status judge_value(struct lsm_reduce *reduce, const struct stripe *stripe,
                                        struct lsm_entry *ret_entry)
{
    if (filter_wanted(reduce, stripe)) {
        bool keep;
        kvorum_status status = ask_filter(reduce, &keep);
        if (status != KVORUM_OK)
            return status;
        if (!keep)
            return filtered(reduce, stripe, ret_entry);
    }
    reduce->hidden_from = stripe->lowest;
    *ret_entry = reduce->source->entry;
    /* The deletions of ranges that survive at the bottom are newer than the oldest stripe, so they
     * cover what they covered, whatever its number. */
    if (at_bottom(reduce, stripe))
        ret_entry->sequence = 0;
    reduce->lent = true;
    return KVORUM_OK;
}

/* --- the stream ---------------------------------------------------------------------------- */

/* Of the version that the source stands on, the newest that is not hidden: hand it out (OK), or
 * leave it out and move on. */
static inline kvorum_status judge(struct lsm_reduce *reduce, struct lsm_entry *ret_entry)
{
    const struct lsm_entry *entry = &reduce->source->entry;
    struct stripe stripe = stripe_of(reduce, entry->sequence);
    if (stripe.cover > entry->sequence) {
        reduce->hidden_from = stripe.lowest;
        return drop(reduce);
    }
    switch (entry->kind) {
    case LSM_PUT:
    case LSM_BLOB:
        return judge_value(reduce, &stripe, ret_entry);
    case LSM_DELETE:
        return judge_delete(reduce, &stripe, ret_entry);
    default:
        assert(entry->kind == LSM_MERGE);
        return lsm_reduce_merge(reduce, &stripe, ret_entry);
    }
}

kvorum_status lsm_reduce_next(struct lsm_reduce *reduce, struct lsm_entry *ret_entry)
{
    struct lsm_source *source = reduce->source;
    if (reduce->operands.handed_out < reduce->operands.count) {
        *ret_entry = lsm_reduce_operand(reduce);
        return KVORUM_OK;
    }
    if (reduce->lent)
        move_on(reduce);
    reduce->lent = false;
    while (source->valid) {
        if (!is_key(reduce, source->entry.key)) {
            if (!begin_key(reduce, source->entry.key))
                return KVORUM_NO_MEMORY;
        } else if (source->entry.sequence >= reduce->hidden_from) {
            drop(reduce);
            continue;
        }
        kvorum_status status = judge(reduce, ret_entry);
        if (status != NONE_KEPT)
            return status;
    }
    return source->status == KVORUM_OK ? KVORUM_NOT_FOUND : source->status;
}
