/* SPDX-License-Identifier: Apache-2.0 */
#include "object/sibling.h"

#include "tests/support/rows.h"

enum { NEVER = 0 };

static struct metadata colour = { METADATA_USER, BYTES_LITERAL("Colour"), BYTES_LITERAL("red") };

/* --- one sibling at a time ------------------------------------------------------------------- */

struct row {
    const char *name;
    uint64_t deadline_ms, now_ms;
    bool tombstone; /* before */
    bool over;      /* and at `now_ms` a tombstone */
};

static const struct row rows[] = {
    { "without a deadline a value stays", NEVER, UINT64_MAX, false, false },
    { "before its deadline a value is there", 100, 99, false, false },
    { "at its deadline it is a tombstone", 100, 100, false, true },
    { "afterwards too", 100, 101, false, true },
    { "the last moment of all is one too", UINT64_MAX, UINT64_MAX, false, true },
    { "a deletion stays what it is", NEVER, 5, true, true },
    { "an expired value that was dropped stays what it is", 100, 5, true, true },
};

static struct bytes encode(const struct object *object, struct arena *arena)
{
    struct buffer buffer;
    struct bytes encoding;
    buffer_init(&buffer, 1 << 16);
    object_encode(object, &buffer);
    assert_true(arena_copy(arena, buffer_bytes(&buffer), &encoding));
    buffer_done(&buffer);
    return encoding;
}

static void check(const void *at)
{
    const struct row *row = at;
    struct dot entries[] = { { 7, 3 } };
    struct sibling sibling = { .dot = { 7, 3 },
                               .stamp = 9,
                               .tombstone = row->tombstone,
                               .deadline_ms = row->deadline_ms,
                               .metadata = &colour,
                               .metadata_count = 1,
                               .value = BYTES_LITERAL("value") };
    struct object before = { .clock = { entries, 1 }, .siblings = &sibling, .sibling_count = 1 };
    struct object after, merged;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(object_expire(&before, row->now_ms, &arena, &after), KVORUM_OK);
    assert_int_equal(object_is_deleted(&after), row->over);
    assert_int_equal(after.siblings[0].deadline_ms, row->deadline_ms);
    assert_int_equal(after.siblings[0].dot.counter, 3);

    /* It is the same version, and above the one with its value: nobody takes that back. */
    struct bytes first = encode(&before, &arena), second = encode(&after, &arena);
    assert_int_equal(object_digest(first), object_digest(second));
    assert_true(object_contains(&after, &before));
    assert_int_equal(object_merge(&before, &after, &arena, &merged), KVORUM_OK);
    assert_true(bytes_equal(encode(&merged, &arena), second));
    bool waits = row->deadline_ms != NEVER && !row->tombstone;
    assert_int_equal(object_first_deadline(first), waits ? row->deadline_ms : 0);
    assert_int_equal(object_first_deadline(second), waits && !row->over ? row->deadline_ms : 0);
    arena_done(&arena);
}

/* --- digests --------------------------------------------------------------------------------- */

/* Each differs from the one before in one thing that must count. */
static void digests_see_what_counts(void)
{
    struct dot entries[] = { { 7, 3 }, { 9, 1 } };
    struct sibling siblings[] = {
        { .dot = { 7, 3 }, .stamp = 9, .deadline_ms = 50, .value = BYTES_LITERAL("lease") },
        { .dot = { 9, 1 }, .stamp = 4, .kept = true, .value = BYTES_LITERAL("stays") },
    };
    struct object object = { .clock = { entries, 2 }, .siblings = siblings, .sibling_count = 2 };
    struct arena arena;
    uint64_t seen[8];
    size_t count = 0;
    arena_init(&arena, 1 << 20);
    seen[count++] = object_digest(encode(&object, &arena));
    siblings[0].deadline_ms = 51;
    seen[count++] = object_digest(encode(&object, &arena));
    siblings[0].stamp = 10;
    seen[count++] = object_digest(encode(&object, &arena));
    siblings[1].value = BYTES_LITERAL("other");
    seen[count++] = object_digest(encode(&object, &arena));
    siblings[1].metadata = &colour;
    siblings[1].metadata_count = 1;
    seen[count++] = object_digest(encode(&object, &arena));
    siblings[1].tombstone = true;
    seen[count++] = object_digest(encode(&object, &arena));
    entries[1].counter = 2;
    seen[count++] = object_digest(encode(&object, &arena));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    arena_done(&arena);
}

static void the_first_deadline_is_found_among_many(void)
{
    struct dot entries[] = { { 7, 9 } };
    struct sibling siblings[9];
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (uint64_t i = 0; i < 9; i++)
        siblings[i] = (struct sibling){ .dot = { 7, i + 1 },
                                        .kept = true,
                                        .deadline_ms = i % 3 == 0 ? 0 : 1000 - 100 * i,
                                        .tombstone = i == 8,
                                        .value = BYTES_LITERAL("x") };
    struct object object = { .clock = { entries, 1 }, .siblings = siblings, .sibling_count = 9 };
    assert_int_equal(object_first_deadline(encode(&object, &arena)), 300);
    arena_done(&arena);
}

static void damaged_bytes_have_a_digest_and_no_deadline(void)
{
    struct dot entries[] = { { 7, 3 } };
    struct sibling sibling = { .dot = { 7, 3 }, .deadline_ms = 5, .value = BYTES_LITERAL("x") };
    struct object object = { .clock = { entries, 1 }, .siblings = &sibling, .sibling_count = 1 };
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct bytes whole = encode(&object, &arena);
    for (size_t cut = 0; cut < whole.size; cut++) {
        assert_true(object_digest(bytes_make(whole.data, cut)) != 0);
        (void)object_first_deadline(bytes_make(whole.data, cut)); /* reads nothing outside */
    }
    assert_int_equal(object_first_deadline(bytes_make(whole.data, 12)), 0);
    arena_done(&arena);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "digests see what counts", digests_see_what_counts },
        { "the first deadline is found among many", the_first_deadline_is_found_among_many },
        { "damaged bytes have a digest and no deadline",
          damaged_bytes_have_a_digest_and_no_deadline },
    };
    int failed = RUN_ROWS("deadlines", rows, check);
    return failed + RUN_TESTS("digests", tests);
}
