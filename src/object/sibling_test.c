/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about one object, and about its clock. */
#include "tests/support/rows.h"

#include "tests/support/object_text.h"

struct row {
    const char *name;
    const char *object;
    const char *winner; /* its value; NULL: none */
    uint64_t max_stamp;
    bool deleted;
};

static const struct row rows[] = {
    { "an empty object is deleted and nobody wins", "", NULL, 0, true },
    { "so is a clock without siblings", "a3", NULL, 0, true },
    { "a value is not deleted", "a1 | a1@5=x", "x", 5, false },
    { "a tombstone is deleted", "a1 | a1@5!", "", 5, true },
    { "two tombstones are deleted", "a1 b1 | a1@5! b1@6!", "", 6, true },
    { "a tombstone beside a value is not deleted", "a1 b1 | a1@5! b1@6=x", "x", 6, false },
    { "a later tombstone wins over the value that is there", "a1 b1 | a1@5=x b1@6!", "", 6, false },
    { "the largest stamp wins wherever it stands", "a1 b1 c1 | a1@5=x b1@9=y c1@7=z", "y", 9,
      false },
    { "of equal stamps the last actor", "a1 b1 | a1@5=x b1@5=y", "y", 5, false },
    { "of equal stamps and actors the last counter", "a2 | a1@5=x a2@5=y", "y", 5, false },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct object object = object_of_text(row->object, &arena);
    const struct sibling *winner = object_winner(&object);
    assert_int_equal(winner == NULL, row->winner == NULL);
    if (winner != NULL && row->winner != NULL)
        assert_true(bytes_equal(winner->value, bytes_of_string(row->winner)));
    assert_true(object_max_stamp(&object) == row->max_stamp);
    assert_int_equal(object_is_deleted(&object), row->deleted);
    arena_done(&arena);
}

struct pair {
    const char *name;
    const char *a, *b;
    bool a_covers, b_covers;
};

static const struct pair pairs[] = {
    { "empty clocks cover each other", "", "", true, true },
    { "any clock covers an empty one", "a1", "", true, false },
    { "equal clocks cover each other", "a1 b2", "a1 b2", true, true },
    { "a larger counter covers a smaller", "a1 b3", "a1 b2", true, false },
    { "a missing actor is not covered", "a9", "a1 b1", false, false },
    { "nor is the first when it is missing", "b9", "a1 b1", false, false },
    { "other actors of the same number are not", "a1", "b1", false, false },
    { "concurrent clocks do not cover each other", "a2 b1", "a1 b2", false, false },
    { "more actors on the covering side", "a1 b1 c1 d1", "b1 d1", true, false },
};

static void check_pair(const void *context)
{
    const struct pair *row = context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const char *a_text = row->a, *b_text = row->b;
    struct clock_vector a = clock_of_text(&a_text, &arena), b = clock_of_text(&b_text, &arena);
    assert_int_equal(clock_vector_covers(&a, &b), row->a_covers);
    assert_int_equal(clock_vector_covers(&b, &a), row->b_covers);
    arena_done(&arena);
}

static void counters_are_found_wherever_they_stand(void **state)
{
    (void)state;
    struct dot entries[20];
    for (uint32_t count = 0; count <= 20; count++) {
        struct clock_vector clock = { entries, count };
        for (uint32_t i = 0; i < count; i++)
            entries[i] = (struct dot){ 10 * (uint64_t)i + 10, i + 1 };
        for (uint64_t actor = 0; actor < 230; actor++) {
            bool there = actor % 10 == 0 && actor >= 10 && actor / 10 <= count;
            assert_true(clock_vector_counter(&clock, actor) == (there ? actor / 10 : 0));
        }
    }
}

static void metadata_is_found_by_kind(void **state)
{
    (void)state;
    struct metadata metadata[] = {
        { METADATA_USER, BYTES_LITERAL("a"), BYTES_LITERAL("1") },
        { METADATA_CHARSET, { 0 }, BYTES_LITERAL("utf-8") },
        { METADATA_USER, BYTES_LITERAL("b"), BYTES_LITERAL("2") },
    };
    struct sibling sibling = { .metadata = metadata, .metadata_count = 3 };
    assert_ptr_equal(sibling_metadata(&sibling, METADATA_USER), &metadata[0]);
    assert_ptr_equal(sibling_metadata(&sibling, METADATA_CHARSET), &metadata[1]);
    assert_null(sibling_metadata(&sibling, METADATA_LINK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_found_wherever_they_stand),
        cmocka_unit_test(metadata_is_found_by_kind),
    };
    int failed = RUN_ROWS("one object", rows, check);
    failed += RUN_ROWS("clocks", pairs, check_pair);
    return failed + cmocka_run_group_tests_name("look-ups", tests, NULL, NULL);
}
