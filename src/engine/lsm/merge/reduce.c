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
 *  next call; so the key is copied (to know its other versions when they come), the value never.
 *
 *  Merge operands are collected, copied, until what lies below them is known: then one PUT replaces
 *  them, or they are handed out one after the other. */
#include "engine/lsm/merge/reduce.h"

#include <assert.h>
#include <stdlib.h>

static const kvorum_status NONE_KEPT = KVORUM_NOT_FOUND; /* nothing to hand out, go on */

enum {
    /* Operands of one key that are combined at once; of more, each such part by itself, so that a
     * counter of a billion steps does not have to fit into memory. */
    OPERANDS_SIZE_MAX = 64 << 20,
};

/* Where a version stands among the snapshots. */
struct stripe {
    size_t index;    /* 0: the oldest */
    uint64_t lowest; /* smallest sequence number in it */
    uint64_t cover;  /* newest deletion of a range over the key in it; 0: none */
};

struct operand {
    size_t offset, size; /* of its value in `values` */
    uint64_t sequence;
};

/* Operands of one key in one stripe, newest first. */
struct operands {
    struct operand *list;
    struct bytes *views; /* for the operator, oldest first */
    size_t count, capacity, handed_out;
    struct buffer values;
};

struct fragment {
    struct bytes lower, upper;
    const uint64_t *sequences;
    size_t count;
};

struct lsm_reduce {
    struct lsm_reduce_options options;
    struct lsm_source *source;
    bool lent;            /* the source stands on what was handed out last */
    bool open;            /* operands of the key stayed: what lies below them is not its newest */
    uint64_t hidden_from; /* versions of the key with this sequence number and above are hidden */
    struct buffer key;    /* whose versions are being read; empty: none yet */
    size_t fragment_index, fragment_count;
    struct fragment fragment; /* of the ranges: the first that does not end before the key */
    struct operands operands;
    struct buffer result, blob; /* of the operator; a base that lies in a blob file */
};

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

/* --- stripes and ranges -------------------------------------------------------------------- */

static size_t stripe_index(const struct lsm_reduce_options *options, uint64_t sequence)
{
    size_t first = 0, count = options->snapshot_count;
    while (count > 0) {
        size_t half = count / 2;
        if (options->snapshots[first + half] >= sequence) {
            count = half;
        } else {
            first += half + 1;
            count -= half + 1;
        }
    }
    return first;
}

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

/* Nothing lies below the output that a version of this stripe could hide, and every reader sees
 * it. */
static inline bool at_bottom(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    return reduce->options.bottom && stripe->index == 0;
}

/* --- keys ---------------------------------------------------------------------------------- */

/* Keys that follow each other mostly have one size and differ at their ends. */
static inline bool is_key(const struct lsm_reduce *reduce, struct bytes key)
{
    struct bytes last = buffer_bytes(&reduce->key);
    if (key.size != last.size)
        return false;
    if (key.size >= sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, key.data + key.size - sizeof(a), sizeof(a));
        memcpy(&b, last.data + key.size - sizeof(b), sizeof(b));
        if (a != b)
            return false;
    }
    return memcmp(key.data, last.data, key.size) == 0;
}

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

static void move_on(struct lsm_reduce *reduce)
{
    reduce->source->ops->next(reduce->source);
}

static kvorum_status drop(struct lsm_reduce *reduce)
{
    move_on(reduce);
    return NONE_KEPT;
}

/* --- values and deletions ------------------------------------------------------------------ */

/* The filter is asked about the newest value of a key, if no snapshot sees it. */
static bool filter_wanted(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    return reduce->options.filter != NULL && !reduce->open &&
           stripe->index == reduce->options.snapshot_count;
}

static bool filter_keeps(const struct lsm_reduce *reduce, struct bytes value)
{
    const struct engine_compaction_filter *filter = reduce->options.filter;
    return filter->keep(filter->context, buffer_bytes(&reduce->key), value);
}

static kvorum_status read_blob(struct lsm_reduce *reduce, struct bytes *ret_value)
{
    buffer_reset(&reduce->blob);
    return reduce->options.blob_read(reduce->options.context, &reduce->source->entry, &reduce->blob,
                                     ret_value);
}

/* A damaged value out of line is a matter for whoever reads the key, and stops no compaction. */
static bool is_damage(kvorum_status status)
{
    return status == KVORUM_CORRUPT || status == KVORUM_NOT_FOUND;
}

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

/* --- merges -------------------------------------------------------------------------------- */

static bool operands_grow(struct operands *operands)
{
    if (operands->count < operands->capacity)
        return true;
    size_t capacity = operands->capacity * 2 + 16;
    struct operand *list = realloc(operands->list, capacity * sizeof(*list));
    if (list == NULL)
        return false;
    operands->list = list;
    struct bytes *views = realloc(operands->views, capacity * sizeof(*views));
    if (views == NULL)
        return false;
    operands->views = views;
    operands->capacity = capacity;
    return true;
}

static bool operands_add(struct operands *operands, const struct lsm_entry *entry)
{
    size_t offset = operands->values.size;
    buffer_append_bytes(&operands->values, entry->value);
    if (operands->values.failed || !operands_grow(operands))
        return false;
    operands->list[operands->count++] =
        (struct operand){ offset, entry->value.size, entry->sequence };
    return true;
}

static struct bytes operand_value(const struct operands *operands, size_t index)
{
    const struct operand *operand = &operands->list[index];
    return bytes_from(bytes_make(operands->values.data, operand->offset + operand->size),
                      operand->offset);
}

/* True: the source stands on a version of the key in `stripe` that is not covered. */
static bool in_stripe(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    const struct lsm_source *source = reduce->source;
    return source->valid && is_key(reduce, source->entry.key) &&
           source->entry.sequence >= stripe->lowest && source->entry.sequence >= stripe->cover;
}

/* The source moves to the first version that is no operand, or out of the stripe. */
static kvorum_status collect(struct lsm_reduce *reduce, const struct stripe *stripe)
{
    struct operands *operands = &reduce->operands;
    operands->count = operands->handed_out = 0;
    buffer_reset(&operands->values);
    do {
        if (!operands_add(operands, &reduce->source->entry))
            return KVORUM_NO_MEMORY;
        move_on(reduce);
        if (reduce->source->status != KVORUM_OK)
            return reduce->source->status;
    } while (in_stripe(reduce, stripe) && reduce->source->entry.kind == LSM_MERGE &&
             operands->values.size < OPERANDS_SIZE_MAX);
    return KVORUM_OK;
}

static kvorum_status find_blob(struct lsm_reduce *reduce, bool *ret_known, struct bytes *ret_base)
{
    kvorum_status status =
        reduce->options.blob_read == NULL ? KVORUM_CORRUPT : read_blob(reduce, ret_base);
    *ret_known = status == KVORUM_OK;
    return is_damage(status) ? KVORUM_OK : status;
}

/* What the operands are merged into, if that is *ret_known: *ret_base, which is `base` or, when the
 * key is absent there, NULL. */
static kvorum_status find_base(struct lsm_reduce *reduce, const struct stripe *stripe,
                               bool *ret_known, const struct bytes **ret_base, struct bytes *base)
{
    const struct lsm_source *source = reduce->source;
    *ret_known = true;
    *ret_base = NULL;
    if (!in_stripe(reduce, stripe)) {
        bool ended = !source->valid || !is_key(reduce, source->entry.key);
        *ret_known = stripe->cover > 0 || (ended && reduce->options.bottom);
        return KVORUM_OK;
    }
    switch (source->entry.kind) {
    case LSM_PUT:
        *base = source->entry.value;
        *ret_base = base;
        return KVORUM_OK;
    case LSM_BLOB:
        *ret_base = base;
        return find_blob(reduce, ret_known, base);
    case LSM_DELETE:
        return KVORUM_OK;
    default: /* more operands than are taken at once */
        *ret_known = false;
        return KVORUM_OK;
    }
}

static kvorum_status hand_out_operand(struct lsm_reduce *reduce, struct lsm_entry *ret_entry)
{
    struct operands *operands = &reduce->operands;
    size_t index = operands->handed_out++;
    *ret_entry = (struct lsm_entry){ buffer_bytes(&reduce->key), operand_value(operands, index),
                                     operands->list[index].sequence, LSM_MERGE };
    return KVORUM_OK;
}

static kvorum_status call_operator(struct lsm_reduce *reduce, const struct bytes *base)
{
    const struct engine_merge_operator *merge = reduce->options.merge;
    struct operands *operands = &reduce->operands;
    for (size_t i = 0; i < operands->count; i++)
        operands->views[operands->count - 1 - i] = operand_value(operands, i);
    buffer_reset(&reduce->result);
    return merge->merge(merge->context, buffer_bytes(&reduce->key), base, operands->views,
                        operands->count, &reduce->result);
}

/* Hand out what the operator made, as one PUT in place of all. */
static kvorum_status combined(struct lsm_reduce *reduce, const struct stripe *stripe,
                              struct lsm_entry *ret_entry)
{
    uint64_t sequence = reduce->operands.list[0].sequence;
    struct bytes value = buffer_bytes(&reduce->result);
    reduce->operands.count = 0;
    reduce->hidden_from = stripe->lowest;
    bool keep = !filter_wanted(reduce, stripe) || filter_keeps(reduce, value);
    if (!keep && at_bottom(reduce, stripe))
        return NONE_KEPT;
    *ret_entry = (struct lsm_entry){ .key = buffer_bytes(&reduce->key),
                                     .value = keep ? value : (struct bytes){ 0 },
                                     .sequence = at_bottom(reduce, stripe) ? 0 : sequence,
                                     .kind = keep ? LSM_PUT : LSM_DELETE };
    return KVORUM_OK;
}

/* An operator that refuses its operands is a matter for whoever reads the key: here they stay as
 * they are, so that one bad operand does not stop all compactions. */
static bool must_stop(kvorum_status status)
{
    return status == KVORUM_NO_MEMORY || status == KVORUM_IO;
}

static kvorum_status judge_merge(struct lsm_reduce *reduce, const struct stripe *stripe,
                                 struct lsm_entry *ret_entry)
{
    const struct bytes *base;
    struct bytes base_value;
    bool known;
    if (reduce->options.merge == NULL) {
        reduce->open = true;
        reduce->lent = true;
        *ret_entry = reduce->source->entry;
        return KVORUM_OK;
    }
    kvorum_status status = collect(reduce, stripe);
    if (status == KVORUM_OK)
        status = find_base(reduce, stripe, &known, &base, &base_value);
    if (status != KVORUM_OK)
        return status;
    if (known) {
        status = call_operator(reduce, base);
        if (status == KVORUM_OK && !reduce->result.failed)
            return combined(reduce, stripe, ret_entry);
        if (must_stop(status))
            return status;
    }
    reduce->open = true;
    return hand_out_operand(reduce, ret_entry);
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
        return judge_merge(reduce, &stripe, ret_entry);
    }
}

kvorum_status lsm_reduce_next(struct lsm_reduce *reduce, struct lsm_entry *ret_entry)
{
    struct lsm_source *source = reduce->source;
    if (reduce->operands.handed_out < reduce->operands.count)
        return hand_out_operand(reduce, ret_entry);
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

/* --- deletions of ranges ------------------------------------------------------------------- */

static bool clip(struct fragment *fragment, struct bytes lower, struct bytes upper)
{
    if (bytes_compare(fragment->lower, lower) < 0)
        fragment->lower = lower;
    if (upper.size > 0 && !(fragment->upper.size > 0 && bytes_compare(fragment->upper, upper) <= 0))
        fragment->upper = upper;
    return lsm_below_upper(fragment->lower, fragment->upper);
}

/* Of each stripe the newest is enough: it covers whatever the others do, for the same readers. */
static kvorum_status
add_survivors(const struct lsm_reduce_options *options, const struct fragment *fragment,
              kvorum_status (*add)(void *context, const struct lsm_range *range), void *context)
{
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < fragment->count; i++) {
        size_t stripe = stripe_index(options, fragment->sequences[i]);
        if (stripe == before || (stripe == 0 && options->bottom))
            continue;
        before = stripe;
        const struct lsm_range range = { fragment->lower, fragment->upper, fragment->sequences[i] };
        kvorum_status status = add(context, &range);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}

kvorum_status lsm_reduce_ranges(const struct lsm_reduce *reduce, struct bytes lower,
                                struct bytes upper,
                                kvorum_status (*add)(void *context, const struct lsm_range *range),
                                void *context)
{
    for (size_t i = 0; i < reduce->fragment_count; i++) {
        struct fragment fragment;
        lsm_ranges_fragment(reduce->options.ranges, i, &fragment.lower, &fragment.upper,
                            &fragment.sequences, &fragment.count);
        if (!clip(&fragment, lower, upper))
            continue;
        kvorum_status status = add_survivors(&reduce->options, &fragment, add, context);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}
