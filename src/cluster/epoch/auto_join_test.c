/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of n1 to n4, of which n5 (and n6) want to be: what n5 does after so many seconds. */
#include "cluster/epoch/auto_join.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rows.h"

enum { OLD = 4, MEMBERS = 6, PARTITIONS = 64, NEWCOMER = 4, OTHER = 5, SECOND_US = 1000 * 1000 };

struct row {
    const char *name;
    struct change staged[3]; /* kind 0: none */
    bool moving, member;     /* partitions move; n5 has its share already */
    uint8_t largest_n;
    unsigned seconds; /* in this epoch */
    enum auto_join_verdict verdict;
    const char *why; /* part of it */
};

#define JOIN(slot)                                                                                 \
    {                                                                                              \
        .kind = CHANGE_JOIN, .member = (slot)                                                      \
    }
#define LEAVE(slot)                                                                                \
    {                                                                                              \
        .kind = CHANGE_LEAVE, .member = (slot)                                                     \
    }
#define WEIGHT(slot)                                                                               \
    {                                                                                              \
        .kind = CHANGE_WEIGHT, .member = (slot), .weight = 200                                     \
    }

static const struct row rows[] = {
    { "its join alone is committed", { JOIN(NEWCOMER) }, false, false, 3, 4, AUTO_JOIN_COMMIT, "" },
    { "not before the others of its kind had time to come",
      { JOIN(NEWCOMER) },
      false,
      false,
      3,
      2,
      AUTO_JOIN_WAIT,
      "" },
    { "those who come together move together",
      { JOIN(NEWCOMER), JOIN(OTHER) },
      false,
      false,
      3,
      4,
      AUTO_JOIN_COMMIT,
      "" },
    { "what an operator staged waits for him",
      { JOIN(NEWCOMER), LEAVE(0) },
      false,
      false,
      3,
      4,
      AUTO_JOIN_WAIT,
      "other changes are staged too" },
    { "its weight too",
      { JOIN(NEWCOMER), WEIGHT(NEWCOMER) },
      false,
      false,
      3,
      4,
      AUTO_JOIN_WAIT,
      "other changes are staged too" },
    { "a join that was cleared stays cleared",
      { { 0 } },
      false,
      false,
      3,
      4,
      AUTO_JOIN_WAIT,
      "somebody cleared it" },
    { "another's join is not committed for it",
      { JOIN(OTHER) },
      false,
      false,
      3,
      4,
      AUTO_JOIN_WAIT,
      "somebody cleared it" },
    { "while partitions move it waits",
      { JOIN(NEWCOMER) },
      true,
      false,
      3,
      4,
      AUTO_JOIN_WAIT,
      "partitions are moving" },
    { "a plan that could lose something is not committed",
      { JOIN(NEWCOMER) },
      false,
      false,
      5,
      4,
      AUTO_JOIN_WAIT,
      "bucket" },
    { "who has a share has joined", { { 0 } }, false, true, 3, 4, AUTO_JOIN_OVER, "" },
};

static void fill_members(struct member *members)
{
    memset(members, 0, MEMBERS * sizeof(*members));
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i].id.bytes[0] = (uint8_t)(i + 1);
        snprintf(members[i].name, sizeof(members[i].name), "n%u", i + 1);
        snprintf(members[i].zone, sizeof(members[i].zone), "z%u", i % 2);
        snprintf(members[i].address, sizeof(members[i].address), "n%u:1", i + 1);
        members[i].weight = RING_WEIGHT_DEFAULT;
        members[i].state = i < OLD ? MEMBER_ACTIVE : MEMBER_JOINING;
    }
}

static void make(const struct row *row, struct epoch *epoch, struct arena *arena)
{
    const char *why;
    *epoch = (struct epoch){ .number = 7,
                             .partition_count = PARTITIONS,
                             .replica_count = 3,
                             .replicas_wanted = 3,
                             .member_count = MEMBERS };
    epoch->members = arena_allocate(arena, MEMBERS * sizeof(*epoch->members));
    epoch->table = arena_allocate(arena, PARTITIONS * 3 * sizeof(*epoch->table));
    epoch->changes = arena_allocate_zero(arena, 3 * sizeof(*epoch->changes));
    epoch->moves = arena_allocate_zero(arena, sizeof(*epoch->moves));
    fill_members(epoch->members);
    struct ring_plan_input input = { epoch->members, MEMBERS, PARTITIONS, 3, NULL };
    assert_int_equal(ring_plan(&input, arena, epoch->table, &why), KVORUM_OK);
    epoch->voter_count = ring_choose_voters(epoch->members, OLD, NULL, 0, epoch->voters);
    while (epoch->change_count < 3 && row->staged[epoch->change_count].kind != 0) {
        epoch->changes[epoch->change_count] = row->staged[epoch->change_count];
        epoch->change_count++;
    }
    if (row->member)
        epoch->members[NEWCOMER].state = MEMBER_ACTIVE;
    epoch->move_count = row->moving;
    if (row->moving)
        epoch->moves[0] =
            (struct move){ .phase = MOVE_WRITE_BOTH_READ_OLD, .session = 6, .to = { 1, 2, 3 } };
}

static void check(const void *context)
{
    const struct row *row = context;
    const struct change_options options = { .n = 3, .largest_n = row->largest_n, .can_move = true };
    struct auto_join join = { 0 };
    struct arena arena;
    struct epoch epoch;
    const char *why = NULL;
    enum auto_join_verdict verdict = AUTO_JOIN_WAIT;
    arena_init(&arena, 64 << 20);
    make(row, &epoch, &arena);
    for (unsigned i = 0; i <= row->seconds && verdict == AUTO_JOIN_WAIT; i++) {
        const char *now;
        verdict = auto_join_look(&join, &epoch, NEWCOMER, &options, &arena, i * SECOND_US, &now);
        why = why == NULL || now[0] != '\0' ? now : why;
    }
    assert_int_equal(verdict, row->verdict);
    if (strstr(why, row->why) == NULL || (row->why[0] == '\0' && why[0] != '\0'))
        fail_msg("it says \"%s\", not \"%s\"", why, row->why);
    arena_done(&arena);
}

static void check_another_epoch(void)
{
    const struct change_options options = { .n = 3, .largest_n = 3, .can_move = true };
    struct auto_join join = { 0 };
    struct arena arena;
    struct epoch epoch;
    const char *why;
    arena_init(&arena, 64 << 20);
    make(&rows[0], &epoch, &arena);
    for (unsigned i = 0; i < 20; i++) {
        epoch.number++;
        assert_int_equal(
            auto_join_look(&join, &epoch, NEWCOMER, &options, &arena, i * SECOND_US, &why),
            AUTO_JOIN_WAIT);
    }
    arena_done(&arena);
}

static const struct named_test tests[] = {
    { "while epochs come and go it waits", check_another_epoch },
};

int main(void)
{
    int failed = RUN_ROWS("automatic join", rows, check);
    return failed + RUN_TESTS("automatic join over epochs", tests);
}
