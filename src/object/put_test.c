/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include "tests/support/object_text.h"

#define LWW                                                                                        \
    {                                                                                              \
        false, 0                                                                                   \
    }
#define LWW_SINCE(stamp)                                                                           \
    {                                                                                              \
        false, stamp                                                                               \
    }
#define SIBLINGS                                                                                   \
    {                                                                                              \
        true, 0                                                                                    \
    }
#define SIBLINGS_SINCE(stamp)                                                                      \
    {                                                                                              \
        true, stamp                                                                                \
    }

static const struct object_mode siblings = SIBLINGS;

struct row {
    const char *name;
    struct object_mode mode;
    const char *local;   /* NULL: key unknown */
    const char *context; /* NULL: blind */
    const char *write;   /* actor, 0, what it brings */
    const char *expected;
};

static const struct row rows[] = {
    { "the first write of a key", SIBLINGS, NULL, NULL, "a0@9=x", "a1 | a1@9=x" },
    { "a blind write becomes a sibling", SIBLINGS, "a1 | a1@5=x", NULL, "a0@9=y",
      "a2 | a1@5=x a2@9=y" },
    { "a blind write of another actor too, in order", SIBLINGS, "b1 | b1@5=x", NULL, "a0@9=y",
      "a1 b1 | a1@9=y b1@5=x" },
    { "a write replaces what its context saw", SIBLINGS, "a1 | a1@5=x", "a1 @5", "a0@9=y",
      "a2 | a2@9=y" },
    { "and leaves what its context did not see", SIBLINGS, "a2 b1 | a2@5=x b1@6=y", "a2 @5",
      "a0@9=z", "a3 b1 | a3@9=z b1@6=y" },
    { "an old context replaces only the older of one actor", SIBLINGS, "a2 | a1@5=x a2@6=y",
      "a1 @5", "b0@9=z", "a2 b1 | a2@6=y b1@9=z" },
    { "a context that local has not seen counts as seen", SIBLINGS, "a1 | a1@5=x", "a3 b2 @20",
      "b0@9=y", "a3 b3 | b3@21=y" },
    { "a context for a key unknown here", SIBLINGS, NULL, "a3 b2 @20", "a0@9=y",
      "a4 b2 | a4@21=y" },
    { "a context from the coordinator's own future does not repeat a dot", SIBLINGS, "a1 | a1@5=x",
      "a7 @20", "a0@9=y", "a8 | a8@21=y" },
    { "an empty context is a blind write", SIBLINGS, "a1 | a1@5=x", "", "a0@9=y",
      "a2 | a1@5=x a2@9=y" },
    { "a clock without siblings, left of a reaped tombstone, goes on counting", SIBLINGS, "a5",
      NULL, "a0@9=y", "a6 | a6@9=y" },
    { "a stamp rises above local's", SIBLINGS, "a1 | a1@50=x", NULL, "b0@9=y",
      "a1 b1 | a1@50=x b1@51=y" },
    { "a stamp rises above the largest of several", SIBLINGS, "a1 b1 c1 | a1@5=x b1@50=y c1@6=z",
      "a1 b1 c1 @50", "a0@9=w", "a2 b1 c1 | a2@51=w" },
    { "a stamp equal to local's rises too", SIBLINGS, "a1 | a1@9=x", "a1 @9", "a0@9=y",
      "a2 | a2@10=y" },
    { "a delete leaves a tombstone in the place of what it saw", SIBLINGS, "a1 | a1@5=x", "a1 @5",
      "a0@9!", "a2 | a2@9!" },
    { "a delete does not touch what it did not see", SIBLINGS, "a1 b1 | a1@5=x b1@6=y", "a1 @5",
      "a0@9!", "a2 b1 | a2@9! b1@6=y" },
    { "a blind delete is a sibling", SIBLINGS, "a1 | a1@5=x", NULL, "a0@9!", "a2 | a1@5=x a2@9!" },
    { "a write with the tombstone's context replaces it", SIBLINGS, "a2 | a2@9!", "a2 @9",
      "b0@12=y", "a2 b1 | b1@12=y" },
    { "a blind write beside a tombstone leaves it", SIBLINGS, "a2 | a2@9!", NULL, "b0@12=y",
      "a2 b1 | a2@9! b1@12=y" },

    { "the first write of a key", LWW, NULL, NULL, "a0~9=x", "a1 | a1~9=x" },
    { "a blind write wins over local", LWW, "b1 | b1~5=x", NULL, "a0~9=y", "a1 b1 | a1~9=y" },
    { "even when the wall clock went back", LWW, "b1 | b1~50=x", NULL, "a0~9=y",
      "a1 b1 | a1~51=y" },
    { "a write wins over what its context saw elsewhere", LWW, "a1 | a1~5=x", "b4 @70", "a0~9=y",
      "a2 b4 | a2~71=y" },
    { "a delete wins over local", LWW, "b1 | b1~5=x", NULL, "a0~9!", "a1 b1 | a1~9!" },
    { "a stamp of zero is raised", LWW, NULL, NULL, "a0~0=x", "a1 | a1~1=x" },

    { "what is kept stays, and what is not goes", LWW, "a1 b1 | a1@5=x b1~50=y", NULL, "a0~9=z",
      "a2 b1 | a1@5=x a2~51=z" },
    { "unless the context saw it", LWW, "a1 b1 | a1@5=x b1~50=y", "a1 @5", "a0~9=z",
      "a2 b1 | a2~51=z" },
    { "what was kept before the last write was to win goes", LWW_SINCE(6), "a1 b1 | a1@5=x b1@7=y",
      NULL, "a0~9=z", "a2 b1 | a2~9=z b1@7=y" },
    { "what was kept at that very stamp stays", LWW_SINCE(5), "a1 | a1@5=x", NULL, "b0~9=z",
      "a1 b1 | a1@5=x b1~9=z" },
    { "a kept write leaves what is not kept and its context did not see", SIBLINGS, "a1 | a1~5=x",
      NULL, "b0@9=y", "a1 b1 | a1~5=x b1@9=y" },
    { "and replaces what its context saw", SIBLINGS, "a1 | a1~5=x", "a1 @5 <a1~5", "b0@9=y",
      "a1 b1 <a1~5 | b1@9=y" },
    { "also an older one than the context saw", SIBLINGS, "a1 | a1~5=x", "c1 @6 <c1~6", "b0@9=y",
      "a1 b1 c1 <c1~6 | b1@9=y" },
    { "and leaves a newer one", SIBLINGS, "a1 | a1~8=x", "c1 @6 <c1~6", "b0@9=y",
      "a1 b1 c1 | a1~8=x b1@9=y" },
    { "what a kept write replaced is remembered by the next", SIBLINGS, "a1 b1 <a1~5 | b1@6=x",
      "a1 b1 @6 <a1~5", "b0@9=y", "a1 b2 <a1~5 | b2@9=y" },
    { "a kept write is later than the decision to keep", SIBLINGS_SINCE(20), "a1 | a1~5=x", NULL,
      "b0@9=y", "a1 b1 | a1~5=x b1@21=y" },

    { "the last counter is refused", SIBLINGS, NULL, "a18446744073709551615 @1", "a0@9=x", NULL },
    { "of another actor it does no harm", SIBLINGS, NULL, "a18446744073709551615 @1", "b0@9=x",
      "a18446744073709551615 b1 | b1@9=x" },
    { "the last stamp of a context is refused", LWW, NULL, "a1 @18446744073709551615", "a0@9=x",
      NULL },
    { "the last stamp of local is refused", LWW, "a1 | a1~18446744073709551615=x", NULL, "a0~9=y",
      NULL },
    { "the stamp before the last leads to the last", LWW, "a1 | a1~18446744073709551614=x", NULL,
      "a0~9=y", "a2 | a2~18446744073709551615=y" },
};

static void check(const void *row_context)
{
    const struct row *row = row_context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer text;
    buffer_init(&text, 1 << 16);
    struct object local = { 0 }, result = { .sibling_count = 77 };
    struct object_context context = { 0 };
    if (row->local != NULL)
        local = object_of_text(row->local, &arena);
    if (row->context != NULL)
        context = context_of_text(row->context, &arena);
    const char *write = row->write;
    struct sibling fresh = sibling_of_text(&write);
    kvorum_status status =
        object_put(row->local == NULL ? NULL : &local, row->context == NULL ? NULL : &context,
                   &fresh, fresh.dot.actor, row->mode, &arena, &result);
    assert_int_equal(status, row->expected == NULL ? KVORUM_INVALID : KVORUM_OK);
    if (row->expected == NULL) {
        assert_int_equal(result.sibling_count, 77);
    } else {
        assert_string_equal(object_text(&result, &text), row->expected);
        assert_true(object_contains(&result, &local));
    }
    buffer_done(&text);
    arena_done(&arena);
}

/* --- limits and small stories ----------------------------------------------------------------- */

static void blind_writes_stop_at_the_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, (size_t)1 << 28);
    struct object object = { 0 };
    struct sibling fresh = { .stamp = 1 };
    for (uint32_t i = 0; i < OBJECT_SIBLING_MAX; i++)
        assert_int_equal(object_put(&object, NULL, &fresh, 7, siblings, &arena, &object),
                         KVORUM_OK);
    assert_int_equal(object.sibling_count, OBJECT_SIBLING_MAX);
    assert_int_equal(object_put(&object, NULL, &fresh, 7, siblings, &arena, &object),
                     KVORUM_TOO_MANY_SIBLINGS);
    struct object_context context = object_context_of(&object);
    assert_int_equal(object_put(&object, &context, &fresh, 7, siblings, &arena, &object),
                     KVORUM_OK);
    assert_int_equal(object.sibling_count, 1);
    arena_done(&arena);
}

static void too_much_metadata_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    static struct metadata metadata[OBJECT_METADATA_MAX + 1];
    struct sibling fresh = { .metadata = metadata, .metadata_count = OBJECT_METADATA_MAX + 1 };
    struct object result;
    assert_int_equal(object_put(NULL, NULL, &fresh, 1, siblings, &arena, &result),
                     KVORUM_TOO_LARGE);
    fresh.metadata_count--;
    assert_int_equal(object_put(NULL, NULL, &fresh, 1, siblings, &arena, &result), KVORUM_OK);
    arena_done(&arena);
}

static void too_many_actors_are_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    static struct dot entries[OBJECT_CLOCK_MAX];
    for (uint32_t i = 0; i < OBJECT_CLOCK_MAX; i++)
        entries[i] = (struct dot){ i + 1, 1 };
    struct object_context context = { .clock = { entries, OBJECT_CLOCK_MAX }, .stamp = 1 };
    struct sibling fresh = { 0 };
    struct object result;
    assert_int_equal(object_put(NULL, &context, &fresh, 5, siblings, &arena, &result), KVORUM_OK);
    assert_int_equal(
        object_put(NULL, &context, &fresh, OBJECT_CLOCK_MAX + 1, siblings, &arena, &result),
        KVORUM_TOO_LARGE);
    arena_done(&arena);
}

static void put_fails_cleanly_without_memory(void **state)
{
    (void)state;
    struct arena plenty, arena;
    arena_init(&plenty, 1 << 20);
    struct object local = object_of_text("a2 | a2@5=x", &plenty);
    struct object_context context = context_of_text("b2 @7", &plenty);
    struct sibling fresh = { .stamp = 1 };
    kvorum_status status = KVORUM_NO_MEMORY;
    size_t refused = 0;
    for (size_t limit = 0; status == KVORUM_NO_MEMORY; limit += 512) {
        struct object result = { .sibling_count = 77 };
        arena_init(&arena, limit);
        status = object_put(&local, &context, &fresh, 'c', siblings, &arena, &result);
        assert_int_equal(result.sibling_count, status == KVORUM_OK ? 2 : 77);
        refused += status == KVORUM_NO_MEMORY;
        arena_done(&arena);
    }
    assert_int_equal(status, KVORUM_OK);
    assert_true(refused > 0);
    arena_done(&plenty);
}

/* "100 interleaved puts": each of two clients writes on top of the answer to its own last write and
 * never reads.  Where versions are told by one counter a server they end as 100 siblings; here only
 * the other client's last write is ever concurrent. */
static void interleaved_clients_do_not_explode(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 22);
    struct object server = { 0 };
    struct object_context seen[2] = { { .stamp = 0 } };
    for (uint64_t i = 0; i < 100; i++) {
        struct sibling fresh = { .stamp = i };
        assert_int_equal(object_put(&server, &seen[i % 2], &fresh, 7, siblings, &arena, &server),
                         KVORUM_OK);
        assert_int_equal(server.sibling_count, i == 0 ? 1 : 2);
        seen[i % 2] = (struct object_context){ server.clock, object_max_stamp(&server) };
    }
    assert_int_equal(clock_vector_counter(&server.clock, 7), 100);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blind_writes_stop_at_the_limit),
        cmocka_unit_test(too_much_metadata_is_refused),
        cmocka_unit_test(too_many_actors_are_refused),
        cmocka_unit_test(put_fails_cleanly_without_memory),
        cmocka_unit_test(interleaved_clients_do_not_explode),
    };
    int failed = RUN_ROWS("put", rows, check);
    return failed + cmocka_run_group_tests_name("put limits and stories", tests, NULL, NULL);
}
