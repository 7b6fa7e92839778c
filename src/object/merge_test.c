/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include "tests/support/object_text.h"

struct row {
    const char *name;
    const char *a, *b, *expected;
};

static const struct row rows[] = {
    { "an empty object adds nothing", "a1 | a1@5=x", "", "a1 | a1@5=x" },
    { "equal objects merge to themselves", "a1 | a1@5=x", "a1 | a1@5=x", "a1 | a1@5=x" },
    { "writes that did not see each other stay both", "a1 | a1@5=x", "b1 | b1@6=y",
      "a1 b1 | a1@5=x b1@6=y" },
    { "what the other side saw and no longer holds goes", "a1 | a1@5=x", "a1 b1 | b1@6=y",
      "a1 b1 | b1@6=y" },
    { "what the other side saw and still holds stays", "a1 | a1@5=x", "a1 b1 | a1@5=x b1@6=y",
      "a1 b1 | a1@5=x b1@6=y" },
    { "each side replaces what it saw of the other", "a2 b1 | a2@9=x", "a1 b2 | b2@8=y",
      "a2 b2 | a2@9=x b2@8=y" },
    { "siblings of one actor are told apart by their counters", "a3 | a2@5=x a3@6=y",
      "a3 b1 | a3@6=y b1@7=z", "a3 b1 | a3@6=y b1@7=z" },
    { "a clock without siblings still replaces", "a2 b1 | a2@5=x b1@6=y", "a2", "a2 b1 | b1@6=y" },
    { "a tombstone replaces what it saw", "a1 | a1@5=x", "a1 b1 | b1@6!", "a1 b1 | b1@6!" },
    { "a tombstone and a concurrent value stay both", "a2 | a2@7!", "a1 b1 | b1@6=y",
      "a2 b1 | a2@7! b1@6=y" },
    { "a stamp decides nothing among siblings", "a1 | a1@100=x", "a1 b1 | b1@1=y",
      "a1 b1 | b1@1=y" },
    { "one dot with two contents keeps the later stamp", "a1 | a1@5=x", "a1 | a1@6=w",
      "a1 | a1@6=w" },
    { "one dot and stamp with two contents keeps the greater value", "a1 | a1@5=x", "a1 | a1@5=y",
      "a1 | a1@5=y" },
    { "one dot as value and tombstone is a tombstone", "a1 | a1@5=x", "a1 | a1@5!", "a1 | a1@5!" },

    { "the later stamp wins", "a1 | a1~5=x", "b1 | b1~6=y", "a1 b1 | b1~6=y" },
    { "of equal stamps the greater actor wins", "a1 | a1~5=x", "b1 | b1~5=y", "a1 b1 | b1~5=y" },
    { "of equal stamps and actors the greater counter wins", "a1 | a1~5=x", "a2 | a2~5=y",
      "a2 | a2~5=y" },
    { "a later tombstone wins", "a1 | a1~5=x", "b1 | b1~6!", "a1 b1 | b1~6!" },
    { "a value after a tombstone wins", "a1 | a1~7=x", "b1 | b1~6!", "a1 b1 | a1~7=x" },
    { "a clock without siblings adds its clock", "a1 | a1~7=x", "b3", "a1 b3 | a1~7=x" },
    { "two clocks without siblings", "a1", "b3", "a1 b3" },

    { "a kept value and another stay both, whichever is later", "a1 | a1@5=x", "b1 | b1~9=y",
      "a1 b1 | a1@5=x b1~9=y" },
    { "a later one replaces only the other that is not kept", "a1 b1 | a1@5=x b1~6=y",
      "c1 | c1~9=z", "a1 b1 c1 | a1@5=x c1~9=z" },
    { "an earlier one does not come beside them", "a1 b1 | a1@5=x b1~6=y", "c1 | c1~4=z",
      "a1 b1 c1 | a1@5=x b1~6=y" },
    { "a kept value replaces the one it saw", "a1 | a1~5=x", "a1 b1 <a1~5 | b1@6=y",
      "a1 b1 <a1~5 | b1@6=y" },
    { "and those older than that", "c1 | c1~4=z", "a1 b1 <a1~5 | b1@6=y",
      "a1 b1 c1 <a1~5 | b1@6=y" },
    { "and leaves one that is newer", "c1 | c1~7=z", "a1 b1 <a1~5 | b1@6=y",
      "a1 b1 c1 | b1@6=y c1~7=z" },
    { "the newest of what both replaced is remembered", "a1 b1 <a1~5 | b1@6=y",
      "a1 c1 d1 <c1~8 | d1@9=z", "a1 b1 c1 d1 <c1~8 | b1@6=y d1@9=z" },
    { "two that saw all kept values of each other", "a1 | a1@5=x", "a1 b1 | b1~9=y",
      "a1 b1 | b1~9=y" },
};

/* Both ways round, and into the place of either argument. */
static void check(const void *context)
{
    const struct row *row = context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer text;
    buffer_init(&text, 1 << 16);
    struct object a = object_of_text(row->a, &arena), b = object_of_text(row->b, &arena);
    struct object merged;
    assert_int_equal(object_merge(&a, &b, &arena, &merged), KVORUM_OK);
    assert_string_equal(object_text(&merged, &text), row->expected);
    assert_true(object_contains(&merged, &a));
    assert_true(object_contains(&merged, &b));
    assert_int_equal(object_contains(&a, &b), strcmp(row->a, row->expected) == 0);
    assert_int_equal(object_contains(&b, &a), strcmp(row->b, row->expected) == 0);

    struct object into = b;
    assert_int_equal(object_merge(&into, &a, &arena, &into), KVORUM_OK);
    assert_string_equal(object_text(&into, &text), row->expected);
    into = b;
    assert_int_equal(object_merge(&a, &into, &arena, &into), KVORUM_OK);
    assert_string_equal(object_text(&into, &text), row->expected);
    buffer_done(&text);
    arena_done(&arena);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* `count` concurrent writes of as many actors, or only their clock. */
static struct object many(uint64_t first_actor, uint32_t count, bool siblings, struct arena *arena)
{
    struct object object = { .clock.count = count, .sibling_count = siblings ? count : 0 };
    object.clock.entries = arena_allocate_zero(arena, count * sizeof(struct dot));
    object.siblings = arena_allocate_zero(arena, count * sizeof(struct sibling));
    assert_non_null(object.siblings);
    for (uint32_t i = 0; i < count; i++) {
        object.clock.entries[i] = (struct dot){ first_actor + i, 1 };
        object.siblings[i].dot = object.clock.entries[i];
        object.siblings[i].kept = true;
    }
    return object;
}

static void merge_beyond_limit(bool siblings, uint32_t limit, kvorum_status expected)
{
    struct arena arena;
    arena_init(&arena, 1 << 22);
    struct object a = many(1, limit - 1, siblings, &arena), b = many(limit, 1, siblings, &arena);
    struct object merged = { 0 };
    assert_int_equal(object_merge(&a, &b, &arena, &merged), KVORUM_OK);
    assert_int_equal(merged.clock.count, limit);
    b = many(limit, 2, siblings, &arena);
    merged.sibling_count = 77;
    assert_int_equal(object_merge(&a, &b, &arena, &merged), expected);
    assert_int_equal(merged.sibling_count, 77);
    arena_done(&arena);
}

static void more_siblings_than_decoders_accept(void **state)
{
    (void)state;
    merge_beyond_limit(true, OBJECT_SIBLING_MAX, KVORUM_TOO_MANY_SIBLINGS);
}

static void more_actors_than_decoders_accept(void **state)
{
    (void)state;
    merge_beyond_limit(false, OBJECT_CLOCK_MAX, KVORUM_TOO_LARGE);
}

static void merge_fails_cleanly_without_memory(void **state)
{
    (void)state;
    struct arena plenty, arena;
    arena_init(&plenty, 1 << 20);
    struct object a = object_of_text("a2 b1 | a2@5=x", &plenty);
    struct object b = object_of_text("a1 b2 | b2@6=y", &plenty);
    kvorum_status status = KVORUM_NO_MEMORY;
    size_t refused = 0;
    for (size_t limit = 0; status == KVORUM_NO_MEMORY; limit += 512) {
        struct object merged = { .sibling_count = 77 };
        arena_init(&arena, limit);
        status = object_merge(&a, &b, &arena, &merged);
        assert_int_equal(merged.sibling_count, status == KVORUM_OK ? 2 : 77);
        refused += status == KVORUM_NO_MEMORY;
        arena_done(&arena);
    }
    assert_int_equal(status, KVORUM_OK);
    assert_true(refused > 0);
    arena_done(&plenty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_siblings_than_decoders_accept),
        cmocka_unit_test(more_actors_than_decoders_accept),
        cmocka_unit_test(merge_fails_cleanly_without_memory),
    };
    int failed = RUN_ROWS("merge", rows, check);
    return failed + cmocka_run_group_tests_name("merge limits", tests, NULL, NULL);
}
