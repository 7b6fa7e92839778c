/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/common/pool.h"

#include "base/random.h"
#include "tests/support/rows.h"
#include <string.h>

static void sizes_round_up(const void *context)
{
    (void)context;
    for (size_t size = 1; size <= POOL_BLOCK_MAX; size += size < 3000 ? 1 : 97) {
        size_t block = pool_block_size(size);
        assert_true(block >= size);
        assert_int_equal(block % 16, 0);
        assert_true(block <= size + 15 || block <= size + size / 8 + 1);
        assert_int_equal(pool_block_size(block), block);
    }
}

/* Blocks do not overlap, and freed ones come back. */
static void blocks_are_apart(const void *context)
{
    enum { COUNT = 500 };
    struct block {
        uint8_t *data;
        size_t size;
    } blocks[COUNT] = { 0 };
    struct random random;
    struct pool pool;
    (void)context;
    random_init(&random, 7);
    pool_init(&pool);
    for (int i = 0; i < 40000; i++) {
        size_t index = random_below(&random, COUNT);
        struct block *block = &blocks[index];
        if (block->data != NULL) {
            assert_int_equal(block->data[0], (uint8_t)index);
            assert_int_equal(block->data[block->size - 1], (uint8_t)index);
            pool_free(&pool, block->data, block->size);
        }
        size_t limit = random_chance(&random, 1, 200) ? 2 * POOL_BLOCK_MAX : 2000;
        block->size = 1 + random_below(&random, limit);
        block->data = pool_allocate(&pool, block->size);
        assert_non_null(block->data);
        assert_int_equal((uintptr_t)block->data % 16, 0);
        memset(block->data, (int)index, block->size);
    }
    for (size_t i = 0; i < COUNT; i++)
        if (blocks[i].data != NULL)
            pool_free(&pool, blocks[i].data, blocks[i].size);
    assert_int_equal(pool.used_size, 0);
    pool_done(&pool);
    assert_int_equal(pool.held_size, 0);
}

static void steady_state_holds_still(const void *context)
{
    struct pool pool;
    (void)context;
    pool_init(&pool);
    void *first = pool_allocate(&pool, 100);
    uint64_t held = pool.held_size;
    for (int i = 0; i < 100000; i++) {
        pool_free(&pool, first, 100);
        first = pool_allocate(&pool, 97);
    }
    assert_int_equal(pool.held_size, held);
    pool_done(&pool);
}

static void reserved_is_there(const void *context)
{
    struct pool pool;
    (void)context;
    pool_init(&pool);
    for (size_t size = 1000; size < 40 << 20; size *= 3) {
        assert_true(pool_reserve(&pool, size));
        uint64_t held = pool.held_size;
        size_t rest = size;
        for (; rest > 512; rest -= 512)
            assert_non_null(pool_allocate(&pool, 512));
        assert_non_null(pool_cut(&pool, rest / 16 * 16));
        assert_int_equal(pool.held_size, held);
    }
    pool_done(&pool);
}

struct row {
    const char *name;
    void (*check)(const void *context);
};

static const struct row rows[] = {
    { "a block wastes at most an eighth", sizes_round_up },
    { "blocks stay apart, and all are given back", blocks_are_apart },
    { "freeing and allocating holds the same memory", steady_state_holds_still },
    { "what was reserved is allocated without new chunks", reserved_is_there },
};

static void check(const void *context)
{
    ((const struct row *)context)->check(NULL);
}

int main(void)
{
    return RUN_ROWS("pool", rows, check);
}
