/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ring/ring.h"

#include "tests/support/rows.h"

enum { PARTITIONS = 16, COLUMNS = 2, MEMBERS = 4 };

static uint16_t table[PARTITIONS * COLUMNS];
static struct member members[MEMBERS];
static struct move moves[PARTITIONS];

static struct epoch make_epoch(uint32_t moving)
{
    struct epoch epoch = { .number = 9, .partition_count = PARTITIONS, .replica_count = COLUMNS };
    epoch.member_count = MEMBERS;
    epoch.members = members;
    epoch.table = table;
    epoch.moves = moves;
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        table[2 * p] = 0;
        table[2 * p + 1] = 1;
        if ((moving >> p & 1) != 0)
            moves[epoch.move_count++] = (struct move){
                p, p % 2 ? MOVE_WRITE_BOTH_READ_NEW : MOVE_WRITE_BOTH_READ_OLD, 9, { 2, 1 }
            };
    }
    return epoch;
}

static void test_find(void)
{
    for (uint32_t moving = 0; moving < 1u << PARTITIONS; moving++) {
        struct epoch epoch = make_epoch(moving);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            const struct move *move = ring_move_of(&epoch, p);
            if ((moving >> p & 1) == 0)
                assert_null(move);
            else
                assert_int_equal(move->partition, p);
        }
    }
}

static void test_read_row(void)
{
    struct epoch epoch = make_epoch(3 << 2); /* partition 2 reads the old, 3 the new */
    assert_int_equal(ring_read_row(&epoch, 1)[0], 0);
    assert_int_equal(ring_read_row(&epoch, 2)[0], 0);
    assert_int_equal(ring_read_row(&epoch, 3)[0], 2);
}

static void test_short_row(void)
{
    struct epoch epoch = make_epoch(0);
    uint16_t row[COLUMNS] = { 3, RING_NO_MEMBER }, list[MEMBERS];
    assert_int_equal(ring_row_size(&epoch, row), 1);
    assert_int_equal(ring_owner_limit_of_row(&epoch, row), 1);
    assert_int_equal(ring_owner_limit_of_row(&epoch, table), MEMBERS);
    assert_int_equal(ring_preference_of_row(&epoch, 0, row, list, MEMBERS), MEMBERS);
    assert_int_equal(list[0], 3);
}

static const struct named_test tests[] = {
    { "every move is found among any others", test_find },
    { "reads ask the old row, then the new", test_read_row },
    { "a row that is not full names fewer owners", test_short_row },
};

int main(void)
{
    return RUN_TESTS("moves", tests);
}
