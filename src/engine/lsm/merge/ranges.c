/* SPDX-License-Identifier: Apache-2.0 */
/* One allocation holds everything:
 *
 *      struct lsm_ranges | fragments | sequence numbers | bytes of bounds
 *
 *  Building from a list walks the bounds of all ranges in order with the set of ranges that are
 *  open there, newest first; adding one splices it into what is in order already.  Neighbours with
 *  the same deletions become one fragment, so taking fragments apart and building them again does
 *  not multiply them. */
#include "engine/lsm/merge/ranges.h"

#include <assert.h>
#include <stdlib.h>

struct fragment {
    struct bytes lower, upper;
    size_t first, count; /* of its sequence numbers */
};

struct lsm_ranges {
    struct fragment *fragments;
    size_t count, size;
    const uint64_t *sequences;
};

/* --- building ------------------------------------------------------------------------------ */

struct builder {
    struct lsm_range *ranges; /* by lower bound */
    size_t range_count, next; /* next: the first range that is not open yet */
    struct bytes *bounds;     /* ascending, without repeats; the last may be empty: no bound */
    size_t bound_count;
    struct lsm_range **open; /* newest first */
    size_t open_count;
    struct fragment *fragments; /* less than two for each range */
    size_t fragment_count;
    uint64_t *sequences; /* grows */
    size_t sequence_count, sequence_capacity;
};

static int range_order(const void *a, const void *b)
{
    return bytes_compare(((const struct lsm_range *)a)->lower,
                         ((const struct lsm_range *)b)->lower);
}

static int bound_order(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void builder_done(struct builder *builder)
{
    free(builder->ranges);
    free(builder->bounds);
    free(builder->open);
    free(builder->fragments);
    free(builder->sequences);
}

static bool builder_init(struct builder *builder, size_t count)
{
    *builder = (struct builder){
        .ranges = calloc(count + 1, sizeof(*builder->ranges)),
        .bounds = calloc(2 * count + 1, sizeof(*builder->bounds)),
        .open = calloc(count + 1, sizeof(struct lsm_range *)),
        .fragments = calloc(2 * count + 1, sizeof(*builder->fragments)),
    };
    return builder->ranges != NULL && builder->bounds != NULL && builder->open != NULL &&
           builder->fragments != NULL;
}

static bool is_empty(const struct lsm_range *range)
{
    return !lsm_below_upper(range->lower, range->upper);
}

static void builder_add(struct builder *builder, const struct lsm_range *range)
{
    if (!is_empty(range))
        builder->ranges[builder->range_count++] = *range;
}

/* An empty upper bound is beyond all others, so it is kept out of the order and put at its end. */
static void collect_bounds(struct builder *builder)
{
    size_t count = 0, kept = 0;
    bool endless = false;
    for (size_t i = 0; i < builder->range_count; i++) {
        builder->bounds[count++] = builder->ranges[i].lower;
        if (builder->ranges[i].upper.size > 0)
            builder->bounds[count++] = builder->ranges[i].upper;
        else
            endless = true;
    }
    qsort(builder->bounds, count, sizeof(*builder->bounds), bound_order);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !bytes_equal(builder->bounds[kept - 1], builder->bounds[i]))
            builder->bounds[kept++] = builder->bounds[i];
    if (endless)
        builder->bounds[kept++] = (struct bytes){ 0 };
    builder->bound_count = kept;
}

static void close_ended(struct builder *builder, struct bytes at)
{
    size_t kept = 0;
    for (size_t i = 0; i < builder->open_count; i++)
        if (lsm_below_upper(at, builder->open[i]->upper))
            builder->open[kept++] = builder->open[i];
    builder->open_count = kept;
}

static void open_beginning(struct builder *builder, struct bytes at)
{
    for (; builder->next < builder->range_count; builder->next++) {
        struct lsm_range *range = &builder->ranges[builder->next];
        if (!bytes_equal(range->lower, at))
            return;
        size_t place = builder->open_count++;
        for (; place > 0 && builder->open[place - 1]->sequence < range->sequence; place--)
            builder->open[place] = builder->open[place - 1];
        builder->open[place] = range;
    }
}

static bool grow_sequences(struct builder *builder, size_t more)
{
    size_t wanted = builder->sequence_count + more;
    if (wanted <= builder->sequence_capacity)
        return true;
    size_t capacity = 2 * wanted + 16;
    uint64_t *larger = realloc(builder->sequences, capacity * sizeof(*larger));
    if (larger == NULL)
        return false;
    builder->sequences = larger;
    builder->sequence_capacity = capacity;
    return true;
}

/* Make the last two fragments one, if they touch and are deleted alike. */
static void join_last(struct builder *builder)
{
    if (builder->fragment_count < 2)
        return;
    struct fragment *left = &builder->fragments[builder->fragment_count - 2], *right = left + 1;
    if (left->count != right->count || !bytes_equal(left->upper, right->lower) ||
        memcmp(builder->sequences + left->first, builder->sequences + right->first,
               left->count * sizeof(uint64_t)) != 0)
        return;
    left->upper = right->upper;
    builder->sequence_count = right->first;
    builder->fragment_count--;
}

/* [lower, upper) is covered by the sequence numbers that were appended from `first` on. */
static void add_fragment(struct builder *builder, struct bytes lower, struct bytes upper,
                         size_t first)
{
    builder->fragments[builder->fragment_count++] =
        (struct fragment){ lower, upper, first, builder->sequence_count - first };
    join_last(builder);
}

/* What is open covers [lower, upper). */
static bool emit_open(struct builder *builder, struct bytes lower, struct bytes upper)
{
    if (!grow_sequences(builder, builder->open_count))
        return false;
    size_t first = builder->sequence_count;
    for (size_t i = 0; i < builder->open_count; i++) {
        uint64_t sequence = builder->open[i]->sequence;
        if (i == 0 || sequence != builder->open[i - 1]->sequence)
            builder->sequences[builder->sequence_count++] = sequence;
    }
    add_fragment(builder, lower, upper, first);
    return true;
}

static bool cut(struct builder *builder)
{
    qsort(builder->ranges, builder->range_count, sizeof(*builder->ranges), range_order);
    collect_bounds(builder);
    for (size_t i = 0; i + 1 < builder->bound_count; i++) {
        close_ended(builder, builder->bounds[i]);
        open_beginning(builder, builder->bounds[i]);
        if (builder->open_count > 0 &&
            !emit_open(builder, builder->bounds[i], builder->bounds[i + 1]))
            return false;
    }
    return true;
}

static uint8_t *keep_bytes(struct bytes *bytes, uint8_t *at)
{
    if (bytes->size > 0)
        memcpy(at, bytes->data, bytes->size);
    bytes->data = at;
    return at + bytes->size;
}

static struct lsm_ranges *pack(const struct builder *builder)
{
    size_t bytes_size = 0;
    for (size_t i = 0; i < builder->fragment_count; i++)
        bytes_size += builder->fragments[i].lower.size + builder->fragments[i].upper.size;
    size_t fragments_size = builder->fragment_count * sizeof(struct fragment);
    size_t sequences_size = builder->sequence_count * sizeof(uint64_t);
    size_t size = sizeof(struct lsm_ranges) + fragments_size + sequences_size + bytes_size;
    struct lsm_ranges *ranges = malloc(size);
    if (ranges == NULL)
        return NULL;
    struct fragment *fragments = (struct fragment *)(ranges + 1);
    uint64_t *sequences = (uint64_t *)(fragments + builder->fragment_count);
    uint8_t *at = (uint8_t *)(sequences + builder->sequence_count);
    *ranges = (struct lsm_ranges){ fragments, builder->fragment_count, size, sequences };
    for (size_t i = 0; i < builder->fragment_count; i++) {
        fragments[i] = builder->fragments[i];
        at = keep_bytes(&fragments[i].lower, at);
        at = keep_bytes(&fragments[i].upper, at);
    }
    if (sequences_size > 0)
        memcpy(sequences, builder->sequences, sequences_size);
    return ranges;
}

static kvorum_status finish(struct builder *builder, bool cut, struct lsm_ranges **ret_ranges)
{
    struct lsm_ranges *ranges = cut ? pack(builder) : NULL;
    builder_done(builder);
    if (ranges == NULL)
        return KVORUM_NO_MEMORY;
    *ret_ranges = ranges;
    return KVORUM_OK;
}

kvorum_status lsm_ranges_create(const struct lsm_range *ranges, size_t count,
                                struct lsm_ranges **ret_ranges)
{
    struct builder builder;
    bool made = builder_init(&builder, count);
    for (size_t i = 0; i < count && made; i++)
        builder_add(&builder, &ranges[i]);
    return finish(&builder, made && cut(&builder), ret_ranges);
}

/* --- adding one: what is there is in order already ------------------------------------------- */

/* The deletions of `old` (NULL: none), and of `extra` unless that is 0, cover [lower, upper). */
static bool emit(struct builder *builder, struct bytes lower, struct bytes upper,
                 const struct lsm_ranges *ranges, const struct fragment *old, uint64_t extra)
{
    size_t count = old == NULL ? 0 : old->count;
    if (!lsm_below_upper(lower, upper))
        return true;
    if (!grow_sequences(builder, count + 1))
        return false;
    assert(builder->sequences != NULL);
    size_t first = builder->sequence_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t sequence = ranges->sequences[old->first + i];
        if (extra > sequence)
            builder->sequences[builder->sequence_count++] = extra;
        if (extra >= sequence)
            extra = 0;
        builder->sequences[builder->sequence_count++] = sequence;
    }
    if (extra > 0)
        builder->sequences[builder->sequence_count++] = extra;
    add_fragment(builder, lower, upper, first);
    return true;
}

static struct bytes larger_lower(struct bytes a, struct bytes b)
{
    return bytes_compare(a, b) < 0 ? b : a;
}

static struct bytes smaller_upper(struct bytes a, struct bytes b)
{
    if (a.size == 0 || b.size == 0)
        return a.size == 0 ? b : a;
    return bytes_compare(a, b) < 0 ? a : b;
}

/* The part of `old` before the range, inside, and behind it. */
static bool splice_fragment(struct builder *builder, const struct lsm_ranges *ranges,
                            const struct fragment *old, const struct lsm_range *range)
{
    struct bytes lower = larger_lower(old->lower, range->lower);
    struct bytes upper = smaller_upper(old->upper, range->upper);
    if (is_empty(range) || !lsm_intervals_meet(old->lower, old->upper, range->lower, range->upper))
        return emit(builder, old->lower, old->upper, ranges, old, 0);
    if (bytes_compare(old->lower, lower) < 0 && !emit(builder, old->lower, lower, ranges, old, 0))
        return false;
    if (!emit(builder, lower, upper, ranges, old, range->sequence))
        return false;
    return upper.size == 0 || emit(builder, upper, old->upper, ranges, old, 0);
}

static bool splice(struct builder *builder, const struct lsm_ranges *ranges,
                   const struct lsm_range *range)
{
    struct bytes begin = range->lower; /* of what is left of the range */
    bool left = !is_empty(range);
    for (size_t i = 0; i < lsm_ranges_fragments(ranges); i++) {
        const struct fragment *old = &ranges->fragments[i];
        if (left && bytes_compare(begin, old->lower) < 0 &&
            !emit(builder, begin, smaller_upper(old->lower, range->upper), ranges, NULL,
                  range->sequence))
            return false;
        if (!splice_fragment(builder, ranges, old, range))
            return false;
        left = left && lsm_below_upper(old->upper, range->upper) && old->upper.size > 0;
        if (left)
            begin = larger_lower(begin, old->upper);
    }
    return !left || emit(builder, begin, range->upper, ranges, NULL, range->sequence);
}

kvorum_status lsm_ranges_add(const struct lsm_ranges *ranges, const struct lsm_range *range,
                             struct lsm_ranges **ret_ranges)
{
    size_t most = 2 * lsm_ranges_fragments(ranges) + 3; /* gaps between, two cut by the bounds */
    struct builder builder = { .fragments = malloc(most * sizeof(*builder.fragments)) };
    return finish(&builder, builder.fragments != NULL && splice(&builder, ranges, range),
                  ret_ranges);
}

void lsm_ranges_destroy(struct lsm_ranges *ranges)
{
    free(ranges);
}

/* --- reading ------------------------------------------------------------------------------- */

/* How many fragments begin at or before `key`. */
static size_t count_begun(const struct lsm_ranges *ranges, struct bytes key)
{
    size_t first = 0, count = ranges->count;
    while (count > 0) {
        size_t half = count / 2;
        if (bytes_compare(ranges->fragments[first + half].lower, key) > 0) {
            count = half;
        } else {
            first += half + 1;
            count -= half + 1;
        }
    }
    return first;
}

uint64_t lsm_ranges_cover(const struct lsm_ranges *ranges, struct bytes key, uint64_t sequence)
{
    if (ranges == NULL)
        return 0;
    size_t begun = count_begun(ranges, key);
    if (begun == 0 || !lsm_below_upper(key, ranges->fragments[begun - 1].upper))
        return 0;
    const struct fragment *fragment = &ranges->fragments[begun - 1];
    return lsm_ranges_newest(ranges->sequences + fragment->first, fragment->count, sequence);
}

size_t lsm_ranges_fragments(const struct lsm_ranges *ranges)
{
    return ranges == NULL ? 0 : ranges->count;
}

void lsm_ranges_fragment(const struct lsm_ranges *ranges, size_t index, struct bytes *ret_lower,
                         struct bytes *ret_upper, const uint64_t **ret_sequences, size_t *ret_count)
{
    assert(index < ranges->count);
    const struct fragment *fragment = &ranges->fragments[index];
    *ret_lower = fragment->lower;
    *ret_upper = fragment->upper;
    *ret_sequences = ranges->sequences + fragment->first;
    *ret_count = fragment->count;
}

size_t lsm_ranges_size(const struct lsm_ranges *ranges)
{
    return ranges == NULL ? 0 : ranges->size;
}
