/* SPDX-License-Identifier: Apache-2.0 */
/* Tables drawn by hand: members are letters, a member's zone is the digit behind its letter. */
#include "cluster/ring/ring.h"

#include "tests/support/rows.h"

struct row {
    const char *name;
    const char *members; /* "a1 b1 c2" */
    const char *table;   /* "abc bca": a word a partition; "-" is a hole */
    uint8_t n;
    uint16_t nodes, zones;
};

static const struct row rows[] = {
    { "one node survives nothing", "a1", "a", 1, 0, 0 },
    { "asking for three of one node is asking for one", "a1", "a", 3, 0, 0 },
    { "two copies have no majority without both", "a1 b2", "ab", 2, 0, 0 },
    { "three copies survive one node", "a1 b1 c1", "abc", 3, 1, 0 },
    { "three copies in three zones survive one zone", "a1 b2 c3", "abc", 3, 1, 1 },
    { "three copies in two zones survive no zone", "a1 b1 c2", "abc", 3, 1, 0 },
    { "the worst partition counts", "a1 b2 c3 d1", "abc bca abd", 3, 1, 0 },
    { "a bucket with n 1 survives nothing", "a1 b2 c3", "abc bca", 1, 0, 0 },
    { "a bucket with n 2 survives nothing", "a1 b2 c3", "abc bca", 2, 0, 0 },
    { "four copies survive one", "a1 b2 c3 d4", "abcd", 4, 1, 1 },
    { "five copies survive two", "a1 b2 c3 d4 e5", "abcde", 5, 2, 2 },
    { "five copies in three zones survive one zone", "a1 b1 c2 d2 e3", "abcde", 5, 2, 1 },
    { "five copies, three of them in one zone", "a1 b1 c1 d2 e3", "abcde", 5, 2, 0 },
    { "seven copies survive three", "a1 b2 c3 d4 e5 f6 g7", "abcdefg", 7, 3, 3 },
    { "more copies than columns are taken from the stand-ins", "a1 b2 c3", "ab bc", 3, 1, 1 },
    { "only the first n columns count", "a1 b1 c2 d3", "abcd", 2, 0, 0 },
    { "a member twice is one machine", "a1 b2 c3", "aab", 3, 0, 0 },
    { "a hole is a copy already lost", "a1 b2 c3", "ab-", 3, 0, 0 },
    { "two holes leave no majority", "a1 b2 c3", "a--", 3, 0, 0 },
};

enum { MEMBERS = 8, PLACES = 64 };

struct drawing {
    struct epoch epoch;
    struct member members[MEMBERS];
    uint16_t table[PLACES];
};

static void draw(struct drawing *drawing, const struct row *row)
{
    struct epoch *epoch = &drawing->epoch;
    *drawing = (struct drawing){
        .epoch = { .members = drawing->members, .table = drawing->table, .partition_count = 1 }
    };
    for (const char *at = row->members; *at != 0; at += at[2] == ' ' ? 3 : 2) {
        struct member *member = &drawing->members[epoch->member_count++];
        member->id.bytes[0] = (uint8_t)at[0];
        member->zone[0] = at[1];
        member->weight = 100;
    }
    size_t places = 0;
    for (const char *at = row->table; *at != 0; at++) {
        if (*at == ' ')
            epoch->partition_count++;
        else
            drawing->table[places++] = *at == '-' ? RING_NO_MEMBER : (uint16_t)(*at - 'a');
    }
    epoch->replica_count = (uint8_t)(places / epoch->partition_count);
}

static void check(const void *data)
{
    const struct row *row = data;
    struct drawing drawing;
    uint16_t nodes = 99, zones = 99;
    draw(&drawing, row);
    ring_survives(&drawing.epoch, row->n, &nodes, &zones);
    assert_int_equal(nodes, row->nodes);
    assert_int_equal(zones, row->zones);
}

static void imbalance_is_load_over_share(void **state)
{
    (void)state;
    struct drawing drawing;
    draw(&drawing, &(struct row){ "", "a1 b1", "a b a a", 1, 0, 0 });
    assert_true(ring_imbalance(&drawing.epoch) == 1.5);
    drawing.members[0].weight = 300;
    assert_true(ring_imbalance(&drawing.epoch) == 1.0);
}

/* Weight cannot make a member hold a partition twice, so holding each once is perfect. */
static void a_full_member_is_at_its_share(void **state)
{
    (void)state;
    struct drawing drawing;
    draw(&drawing, &(struct row){ "", "a1 b1 c1", "abc bca", 3, 0, 0 });
    drawing.members[0].weight = 10000;
    assert_true(ring_imbalance(&drawing.epoch) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imbalance_is_load_over_share),
        cmocka_unit_test(a_full_member_is_at_its_share),
    };
    int failed = RUN_ROWS("what a table survives", rows, check);
    return failed + cmocka_run_group_tests_name("imbalance", tests, NULL, NULL);
}
