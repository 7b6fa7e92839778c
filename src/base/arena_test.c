/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/random.h"
#include "tests/support/rows.h"

static bool aligned(const void *memory)
{
    return (uintptr_t)memory % 8 == 0;
}

static void test_holds_nothing_at_first(void)
{
    struct arena arena;
    arena_init(&arena, 4096);
    assert_int_equal(arena.held_size, 0);
    arena_reset(&arena);
    assert_int_equal(arena.held_size, 0);
    arena_done(&arena);
}

static void test_size_zero(void)
{
    struct arena arena;
    arena_init(&arena, 4096);
    assert_non_null(arena_allocate(&arena, 0));
    arena_done(&arena);
}

static void test_limit(void)
{
    struct arena arena;
    arena_init(&arena, 4000);
    size_t got = 0;
    while (arena_allocate(&arena, 100) != NULL)
        got += 104;
    assert_true(got > 3500 && arena.held_size <= 4000);
    assert_null(arena_allocate(&arena, 4000));
    assert_null(arena_allocate(&arena, SIZE_MAX));
    assert_null(arena_allocate(&arena, SIZE_MAX - 8));
    arena_reset(&arena);
    assert_non_null(arena_allocate(&arena, 100));
    arena_done(&arena);
}

static void test_limit_zero(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes copy;
    assert_null(arena_allocate(&arena, 0));
    assert_false(arena_copy(&arena, BYTES_LITERAL("x"), &copy));
    assert_null(copy.data);
    assert_null(arena_printf(&arena, "x"));
    arena_done(&arena);
}

static void test_reset_keeps_one_block(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 24);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10000; i++)
            assert_non_null(arena_allocate(&arena, 100));
        arena_reset(&arena);
        assert_true(arena.held_size > 0 && arena.held_size <= 64 * 1024);
    }
    arena_done(&arena);
    assert_int_equal(arena.held_size, 0);
}

static void test_steady_state(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 24);
    struct arena_block *block = NULL;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_allocate(&arena, 200));
        if (round >= 3)
            assert_ptr_equal(arena.block, block);
        block = arena.block;
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void test_large_allocation_keeps_the_block(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 24);
    uint8_t *before = arena_allocate(&arena, 8);
    uint8_t *large = arena_allocate(&arena, 1 << 20);
    uint8_t *after = arena_allocate(&arena, 8);
    memset(large, 1, 1 << 20);
    assert_ptr_equal(after, before + 8);
    arena_done(&arena);
}

static void test_copy_and_printf(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct bytes copy;
    assert_true(arena_copy(&arena, BYTES_LITERAL("abc"), &copy));
    assert_true(bytes_equal(copy, BYTES_LITERAL("abc")));
    assert_true(arena_copy(&arena, (struct bytes){ 0 }, &copy));
    assert_int_equal(copy.size, 0);
    assert_string_equal(arena_printf(&arena, "%s-%d", "n", 7), "n-7");
    uint64_t *zero = arena_new(&arena, uint64_t);
    assert_int_equal(*zero, 0);
    arena_done(&arena);
}

/* Model: the list of all live pieces, each filled with its own number. */
static void test_pieces_never_overlap(void)
{
    enum { PIECES = 500 };
    struct {
        uint8_t *data;
        size_t size;
    } pieces[PIECES];
    struct random random;
    random_init(&random, 1);
    struct arena arena;
    arena_init(&arena, 1 << 26);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < PIECES; i++) {
            size_t scale = (size_t)1 << random_below(&random, 14);
            pieces[i].size = random_below(&random, scale) + 1;
            pieces[i].data = arena_allocate(&arena, pieces[i].size);
            assert_true(pieces[i].data != NULL && aligned(pieces[i].data));
            memset(pieces[i].data, i & 0xff, pieces[i].size);
        }
        for (int i = 0; i < PIECES; i++) {
            for (size_t j = 0; j < pieces[i].size; j++)
                if (pieces[i].data[j] != (i & 0xff))
                    fail_msg("piece %d was overwritten at %zu", i, j);
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
}

#ifdef POISON_ACTIVE
static void test_poison(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    char *piece = arena_allocate(&arena, 5);
    assert_false(__asan_address_is_poisoned(piece + 4));
    assert_true(__asan_address_is_poisoned(piece + 5));
    assert_true(__asan_address_is_poisoned(piece + 8));
    arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(piece));
    arena_done(&arena);
}
#endif

static const struct named_test tests[] = {
    { "an unused arena holds no memory", test_holds_nothing_at_first },
    { "an allocation of nothing is not NULL", test_size_zero },
    { "beyond the limit allocation gives NULL, and reset makes room", test_limit },
    { "a limit of zero allows nothing", test_limit_zero },
    { "reset keeps one block of at most 64 KiB", test_reset_keeps_one_block },
    { "requests of one size soon stay in one block", test_steady_state },
    { "a large allocation does not waste the rest of the block",
      test_large_allocation_keeps_the_block },
    { "copies and texts are whole", test_copy_and_printf },
    { "pieces are aligned and never overlap", test_pieces_never_overlap },
#ifdef POISON_ACTIVE
    { "free space is poisoned", test_poison },
#endif
};

int main(void)
{
    return RUN_TESTS("arena", tests);
}
