/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include "tests/support/object_text.h"

#define LWW OBJECT_LAST_WRITE_WINS
#define SIBLINGS OBJECT_SIBLINGS

struct row {
    const char *name;
    enum object_mode mode;
    const char *a, *b, *expected;
};

static const struct row rows[] = {
    { "an empty object adds nothing", SIBLINGS, "a1 | a1@5=x", "", "a1 | a1@5=x" },
    { "equal objects merge to themselves", SIBLINGS, "a1 | a1@5=x", "a1 | a1@5=x", "a1 | a1@5=x" },
    { "writes that did not see each other stay both", SIBLINGS, "a1 | a1@5=x", "b1 | b1@6=y",
      "a1 b1 | a1@5=x b1@6=y" },
    { "what the other side saw and no longer holds goes", SIBLINGS, "a1 | a1@5=x", "a1 b1 | b1@6=y",
      "a1 b1 | b1@6=y" },
    { "what the other side saw and still holds stays", SIBLINGS, "a1 | a1@5=x",
      "a1 b1 | a1@5=x b1@6=y", "a1 b1 | a1@5=x b1@6=y" },
    { "each side replaces what it saw of the other", SIBLINGS, "a2 b1 | a2@9=x", "a1 b2 | b2@8=y",
      "a2 b2 | a2@9=x b2@8=y" },
    { "siblings of one actor are told apart by their counters", SIBLINGS, "a3 | a2@5=x a3@6=y",
      "a3 b1 | a3@6=y b1@7=z", "a3 b1 | a3@6=y b1@7=z" },
    { "a clock without siblings still replaces", SIBLINGS, "a2 b1 | a2@5=x b1@6=y", "a2",
      "a2 b1 | b1@6=y" },
    { "a tombstone replaces what it saw", SIBLINGS, "a1 | a1@5=x", "a1 b1 | b1@6!",
      "a1 b1 | b1@6!" },
    { "a tombstone and a concurrent value stay both", SIBLINGS, "a2 | a2@7!", "a1 b1 | b1@6=y",
      "a2 b1 | a2@7! b1@6=y" },
    { "a stamp decides nothing among siblings", SIBLINGS, "a1 | a1@100=x", "a1 b1 | b1@1=y",
      "a1 b1 | b1@1=y" },
    { "one dot with two contents keeps the later stamp", SIBLINGS, "a1 | a1@5=x", "a1 | a1@6=w",
      "a1 | a1@6=w" },
    { "one dot and stamp with two contents keeps the greater value", SIBLINGS, "a1 | a1@5=x",
      "a1 | a1@5=y", "a1 | a1@5=y" },
    { "one dot as value and tombstone is a tombstone", SIBLINGS, "a1 | a1@5=x", "a1 | a1@5!",
      "a1 | a1@5!" },

    { "the later stamp wins", LWW, "a1 | a1@5=x", "b1 | b1@6=y", "a1 b1 | b1@6=y" },
    { "of equal stamps the greater actor wins", LWW, "a1 | a1@5=x", "b1 | b1@5=y",
      "a1 b1 | b1@5=y" },
    { "of equal stamps and actors the greater counter wins", LWW, "a1 | a1@5=x", "a2 | a2@5=y",
      "a2 | a2@5=y" },
    { "a later tombstone wins", LWW, "a1 | a1@5=x", "b1 | b1@6!", "a1 b1 | b1@6!" },
    { "a value after a tombstone wins", LWW, "a1 | a1@7=x", "b1 | b1@6!", "a1 b1 | a1@7=x" },
    { "a clock without siblings adds its clock", LWW, "a1 | a1@7=x", "b3", "a1 b3 | a1@7=x" },
    { "two clocks without siblings", LWW, "a1", "b3", "a1 b3" },
    { "left-over siblings are reduced to the winner", LWW, "a1 b1 | a1@7=x b1@6=y", "",
      "a1 b1 | a1@7=x" },
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
    assert_int_equal(object_merge(&a, &b, row->mode, &arena, &merged), KVORUM_OK);
    assert_string_equal(object_text(&merged, &text), row->expected);
    assert_true(object_contains(&merged, &a, row->mode));
    assert_true(object_contains(&merged, &b, row->mode));
    assert_int_equal(object_contains(&a, &b, row->mode), strcmp(row->a, row->expected) == 0);
    assert_int_equal(object_contains(&b, &a, row->mode), strcmp(row->b, row->expected) == 0);

    struct object into = b;
    assert_int_equal(object_merge(&into, &a, row->mode, &arena, &into), KVORUM_OK);
    assert_string_equal(object_text(&into, &text), row->expected);
    into = b;
    assert_int_equal(object_merge(&a, &into, row->mode, &arena, &into), KVORUM_OK);
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
    }
    return object;
}

static void merge_beyond_limit(bool siblings, uint32_t limit, kvorum_status expected)
{
    struct arena arena;
    arena_init(&arena, 1 << 22);
    struct object a = many(1, limit - 1, siblings, &arena), b = many(limit, 1, siblings, &arena);
    struct object merged = { 0 };
    assert_int_equal(object_merge(&a, &b, OBJECT_SIBLINGS, &arena, &merged), KVORUM_OK);
    assert_int_equal(merged.clock.count, limit);
    b = many(limit, 2, siblings, &arena);
    merged.sibling_count = 77;
    assert_int_equal(object_merge(&a, &b, OBJECT_SIBLINGS, &arena, &merged), expected);
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
        status = object_merge(&a, &b, OBJECT_SIBLINGS, &arena, &merged);
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
