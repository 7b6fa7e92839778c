/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments as text, and look-ups against a walk over the list of ranges. */
#include "engine/lsm/merge/ranges.h"

#include "base/buffer.h"
#include "base/random.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { RANGES_MAX = 16 };

/* Ranges and fragments are written "a-c:9" and "a-c:9,4"; an empty upper bound is beyond all. */
struct row {
    const char *name, *ranges, *fragments;
};

static const struct row rows[] = {
    { "one range is one fragment", "a-m:9", "a-m:9" },
    { "the picture of ranges.h", "a-m:9 c-z:4", "a-c:9 c-m:9,4 m-z:4" },
    { "the order does not matter", "c-z:4 a-m:9", "a-c:9 c-m:9,4 m-z:4" },
    { "a range inside another", "a-z:3 f-g:8", "a-f:3 f-g:8,3 g-z:3" },
    { "ranges apart from each other", "a-b:1 x-y:2", "a-b:1 x-y:2" },
    { "ranges that touch stay two when they differ", "a-b:1 b-c:2", "a-b:1 b-c:2" },
    { "and become one when they do not", "b-c:2 a-b:2", "a-c:2" },
    { "a repeated range counts once", "a-c:5 a-c:5 a-c:5", "a-c:5" },
    { "the same interval deleted three times", "a-c:5 a-c:9 a-c:7", "a-c:9,7,5" },
    { "parts of one deletion that overlap are one", "a-m:5 c-z:5", "a-z:5" },
    { "no upper bound", "m-:4 a-p:2", "a-m:2 m-p:4,2 p-:4" },
    { "two without upper bound", "m-:4 p-:2", "m-p:4 p-:4,2" },
    { "no lower bound either", "-:4 c-d:2", "-c:4 c-d:4,2 d-:4" },
    { "an empty interval deletes nothing", "c-c:4 d-b:5 e-f:1", "e-f:1" },
    { "nothing but empty intervals", "c-c:4", "" },
    { "an empty interval inside another", "a-z:4 m-f:5 g-g:6", "a-z:4" },
    { "a bound that another begins with", "a-aa:4 a-b:2", "a-aa:4,2 aa-b:2" },
};

static const char *parse(const char *text, struct lsm_range *ret)
{
    const char *dash = strchr(text, '-'), *colon = strchr(text, ':');
    char *end;
    ret->lower = bytes_make(text, (size_t)(dash - text));
    ret->upper = bytes_make(dash + 1, (size_t)(colon - dash - 1));
    ret->sequence = strtoull(colon + 1, &end, 10);
    return *end == ' ' ? end + 1 : end;
}

static size_t parse_all(const char *text, struct lsm_range *ret)
{
    size_t count = 0;
    while (*text != 0)
        text = parse(text, &ret[count++]);
    return count;
}

static void print(const struct lsm_ranges *ranges, struct buffer *ret)
{
    for (size_t i = 0; i < lsm_ranges_fragments(ranges); i++) {
        struct bytes lower, upper;
        const uint64_t *sequences;
        size_t count;
        lsm_ranges_fragment(ranges, i, &lower, &upper, &sequences, &count);
        buffer_printf(ret, "%s%.*s-%.*s", i > 0 ? " " : "", (int)lower.size,
                      (const char *)lower.data, (int)upper.size, (const char *)upper.data);
        for (size_t j = 0; j < count; j++)
            buffer_printf(ret, "%c%llu", j > 0 ? ',' : ':', (unsigned long long)sequences[j]);
    }
    buffer_append_u8(ret, 0);
}

static void assert_fragments(const struct lsm_ranges *ranges, const char *expected)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    print(ranges, &text);
    assert_string_equal((const char *)text.data, expected);
    buffer_done(&text);
}

/* The list at once and one by one give the same. */
static struct lsm_ranges *add_all(const struct lsm_range *list, size_t count)
{
    struct lsm_ranges *ranges = NULL, *more;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(lsm_ranges_add(ranges, &list[i], &more), KVORUM_OK);
        lsm_ranges_destroy(ranges);
        ranges = more;
    }
    return ranges;
}

static void check(const void *context)
{
    const struct row *row = context;
    struct lsm_range list[RANGES_MAX];
    struct lsm_ranges *ranges;
    size_t count = parse_all(row->ranges, list);
    assert_int_equal(lsm_ranges_create(list, count, &ranges), KVORUM_OK);
    assert_fragments(ranges, row->fragments);
    assert_true(lsm_ranges_size(ranges) > 0);
    lsm_ranges_destroy(ranges);
    ranges = add_all(list, count);
    assert_fragments(ranges, row->fragments);
    lsm_ranges_destroy(ranges);
}

/* --- against the list ------------------------------------------------------------------------ */

static uint64_t cover_slowly(const struct lsm_range *list, size_t count, struct bytes key,
                             uint64_t sequence)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < count; i++)
        if (lsm_inside(key, list[i].lower, list[i].upper) && list[i].sequence <= sequence &&
            list[i].sequence > newest)
            newest = list[i].sequence;
    return newest;
}

static struct bytes random_key(struct random *random, char *memory)
{
    size_t size = random_below(random, 4);
    for (size_t i = 0; i < size; i++)
        memory[i] = (char)('a' + random_below(random, 3));
    return bytes_make(memory, size);
}

static void check_structure(const struct lsm_ranges *ranges)
{
    struct bytes before = { 0 };
    for (size_t i = 0; i < lsm_ranges_fragments(ranges); i++) {
        struct bytes lower, upper;
        const uint64_t *sequences;
        size_t count;
        lsm_ranges_fragment(ranges, i, &lower, &upper, &sequences, &count);
        assert_true(lsm_below_upper(lower, upper));
        assert_true(i == 0 || (before.size > 0 && bytes_compare(before, lower) <= 0));
        assert_true(count > 0);
        for (size_t j = 1; j < count; j++)
            assert_true(sequences[j] < sequences[j - 1]);
        before = upper;
    }
}

static void assert_alike(const struct lsm_ranges *a, const struct lsm_ranges *b)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    print(a, &text);
    assert_fragments(b, (const char *)text.data);
    buffer_done(&text);
}

static void test_model(void)
{
    struct random random;
    random_init(&random, 5);
    for (int round = 0; round < 4000; round++) {
        char bounds[RANGES_MAX][2][4], text[4];
        struct lsm_range list[RANGES_MAX];
        struct lsm_ranges *ranges, *added;
        size_t count = 1 + random_below(&random, RANGES_MAX);
        for (size_t i = 0; i < count; i++)
            list[i] = (struct lsm_range){ random_key(&random, bounds[i][0]),
                                          random_key(&random, bounds[i][1]),
                                          1 + random_below(&random, 20) };
        assert_int_equal(lsm_ranges_create(list, count, &ranges), KVORUM_OK);
        added = add_all(list, count);
        check_structure(ranges);
        assert_alike(ranges, added);
        for (int i = 0; i < 60; i++) {
            struct bytes key = random_key(&random, text);
            uint64_t sequence = random_below(&random, 23);
            uint64_t wanted = cover_slowly(list, count, key, sequence);
            assert_int_equal(lsm_ranges_cover(ranges, key, sequence), wanted);
            assert_int_equal(lsm_ranges_cover(added, key, sequence), wanted);
        }
        lsm_ranges_destroy(ranges);
        lsm_ranges_destroy(added);
    }
}

static void test_copies(void)
{
    char lower[] = "b", upper[] = "d";
    struct lsm_range range = { bytes_make(lower, 1), bytes_make(upper, 1), 7 };
    struct lsm_ranges *ranges;
    assert_int_equal(lsm_ranges_create(&range, 1, &ranges), KVORUM_OK);
    lower[0] = upper[0] = 'z';
    assert_int_equal(lsm_ranges_cover(ranges, BYTES_LITERAL("c"), 100), 7);
    lsm_ranges_destroy(ranges);
}

static void test_null(void)
{
    assert_int_equal(lsm_ranges_cover(NULL, BYTES_LITERAL("c"), LSM_SEQUENCE_MAX), 0);
    assert_int_equal(lsm_ranges_fragments(NULL), 0);
    assert_int_equal(lsm_ranges_size(NULL), 0);
    lsm_ranges_destroy(NULL);
}

static const struct named_test tests[] = {
    { "look-ups agree with a walk over the list", test_model },
    { "bounds are copied", test_copies },
    { "no ranges cover nothing", test_null },
};

int main(void)
{
    int failed = RUN_ROWS("ranges", rows, check);
    return RUN_TESTS("ranges look-ups", tests) + failed;
}
