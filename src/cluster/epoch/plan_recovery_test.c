/* SPDX-License-Identifier: Apache-2.0 */
/* The first epoch of a new line, of clusters of six members with one partition of a given row, and
 * another that nobody is lost of.  Members are letters, a to f; in `states` A is active, J joining,
 * L leaving, - gone.  Of the first partition: its row, and > the row it moves to, with a small r or
 * n before it for what reads ask. */
#include "cluster/epoch/change.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rows.h"

enum { MEMBERS = 6, PARTITIONS = 2, COLUMNS = 3 };

struct row {
    const char *name;
    const char *states, *before, *lost;
    const char *after_states;
    const char *kept;   /* of the row before, in the row after: in this order */
    uint8_t least;      /* owners it has in the end, once it has moved */
    const char *copies; /* whole, majority, minority, none, of both partitions with n=3 */
};

static const struct row rows[] = {
    { "two of three replicas are lost", "AAAAAA", "abc", "ab", "--AAAA", "c", 3, "1 0 1 0" },
    { "one of three", "AAAAAA", "abc", "a", "-AAAAA", "bc", 3, "1 1 0 0" },
    { "none of three", "AAAAAA", "def", "abc", "---AAA", "def", 3, "2 0 0 0" },
    { "all three: it begins with nothing", "AAAAAA", "abc", "abc", "---AAA", "", 3, "1 0 0 1" },
    { "fewer members than copies are left", "AAA---", "abc", "ab", "--A---", "c", 1, "0 0 2 0" },
    { "a leaver stays until its partition has moved", "AALAAA", "abc", "ab", "--LAAA", "c", 3,
      "1 0 1 0" },
    { "one that has something to give too", "AAAALA", "abc", "abc", "---ALA", "", 2, "1 0 0 1" },
    { "one who joins stays so", "AAAAAJ", "abc", "ab", "--AAAJ", "c", 3, "1 0 1 0" },
    { "a move from a, b, c is planned anew", "AAAAAA", "abc>odef", "ab", "--AAAA", "c", 3,
      "1 0 1 0" },
    { "or is over, where only those to come are left", "AAAAAA", "abc>odef", "abc", "---AAA", "def",
      3, "1 0 0 1" },
    { "a move to d, e, f goes on with most of them", "AAAAAA", "abc>ndef", "abd", "--A-AA", "c", 2,
      "0 2 0 0" },
    { "with fewer, all who are left of both are its owners", "AAAAAA", "abc>ndef", "abde", "--A--A",
      "fc", 2, "0 0 2 0" },
    { "nobody is lost: the same in a new line", "AAAAAA", "abc", "", "AAAAAA", "abc", 3,
      "2 0 0 0" },
    { "nobody is lost, and it goes on moving", "AAAAAA", "abc>odef", "", "AAAAAA", "abc", 3,
      "2 0 0 0" },
};

static uint16_t slot_of(char letter)
{
    return (uint16_t)(letter - 'a');
}

static void fill_row(const char *letters, uint16_t *row)
{
    for (uint8_t c = 0; c < COLUMNS; c++)
        row[c] = c < strlen(letters) ? slot_of(letters[c]) : RING_NO_MEMBER;
}

static enum member_state state_of(char letter)
{
    static const char letters[] = "AJL-";
    return (enum member_state)(strchr(letters, letter) - letters);
}

static void make_members(const char *states, struct member *members)
{
    for (uint16_t i = 0; i < MEMBERS; i++) {
        struct member *member = &members[i];
        memset(member, 0, sizeof(*member));
        member->id.bytes[0] = (uint8_t)(i + 1);
        snprintf(member->name, sizeof(member->name), "%c", 'a' + i);
        snprintf(member->zone, sizeof(member->zone), "z");
        snprintf(member->address, sizeof(member->address), "%c:1", 'a' + i);
        member->weight = RING_WEIGHT_DEFAULT;
        member->state = state_of(states[i]);
    }
}

/* "abc>odef" */
static void make_epoch(const struct row *row, struct epoch *ret)
{
    static struct member members[MEMBERS];
    static uint16_t table[PARTITIONS * COLUMNS];
    static struct move move;
    char before[16];
    snprintf(before, sizeof(before), "%s", row->before);
    char *to = strchr(before, '>');
    make_members(row->states, members);
    *ret = (struct epoch){ .number = 12,
                           .partition_count = PARTITIONS,
                           .replica_count = COLUMNS,
                           .replicas_wanted = COLUMNS,
                           .member_count = MEMBERS,
                           .members = members,
                           .table = table };
    if (to != NULL) {
        move = (struct move){ .partition = 0, .session = 9 };
        move.phase = to[1] == 'o' ? MOVE_WRITE_BOTH_READ_OLD : MOVE_WRITE_BOTH_READ_NEW;
        fill_row(to + 2, move.to);
        ret->moves = &move;
        ret->move_count = 1;
        *to = '\0';
    }
    fill_row(before, table);
    fill_row(strcmp(row->states, "AAA---") == 0 ? "abc" : "def", table + COLUMNS);
    ret->voter_count = ring_choose_voters(members, MEMBERS, NULL, 0, ret->voters);
}

static void check_states(const struct epoch *next, const char *expected)
{
    char states[MEMBERS + 1] = "";
    for (uint16_t i = 0; i < MEMBERS; i++)
        states[i] = "AJL-"[next->members[i].state];
    assert_string_equal(states, expected);
    for (uint8_t i = 0; i < next->voter_count; i++)
        assert_int_equal(next->members[next->voters[i]].state, MEMBER_ACTIVE);
}

static void check_kept(const struct epoch *next, const char *expected)
{
    const uint16_t *row = ring_row(next, 0);
    char kept[RING_REPLICAS_MAX + 1] = "";
    uint8_t size = ring_row_size(next, row);
    assert_in_range(size, 1, RING_REPLICAS_MAX);
    for (uint8_t c = 0; c < size; c++)
        kept[c] = (char)('a' + row[c]);
    if (expected[0] != '\0')
        assert_string_equal(kept, expected);
}

static void check_end(const struct epoch *next, const uint16_t *table, uint8_t least)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const struct move *move = ring_move_of(next, p);
        const uint16_t *row = move == NULL ? ring_row(next, p) : move->to;
        assert_true(ring_row_size(next, row) >= (p == 0 ? least : 1));
        for (uint8_t c = 0; c < ring_row_size(next, row); c++)
            assert_int_not_equal(next->members[row[c]].state, MEMBER_GONE);
    }
    assert_non_null(table);
}

static void check_readable(const struct epoch *next, struct arena *arena)
{
    struct buffer record;
    struct epoch again;
    buffer_init(&record, 1 << 20);
    epoch_encode(next, &record);
    assert_int_equal(epoch_decode(buffer_bytes(&record), arena, &again), KVORUM_OK);
    buffer_done(&record);
}

static void check_row(const void *data)
{
    const struct row *row = data;
    bool lost[RING_MEMBERS_MAX] = { false };
    struct change_options options = { .n = 3, .largest_n = 3, .can_move = true };
    struct change_plan plan;
    struct change_copies copies;
    struct epoch base;
    struct arena arena;
    const char *why;
    char text[64];
    arena_init(&arena, 1 << 24);
    make_epoch(row, &base);
    for (const char *letter = row->lost; *letter != '\0'; letter++)
        lost[slot_of(*letter)] = true;
    assert_int_equal(change_recover(&base, lost, &options, &arena, &plan, &why), KVORUM_OK);
    assert_int_equal(plan.next.number, RING_LINE + 13);
    check_states(&plan.next, row->after_states);
    check_kept(&plan.next, row->kept);
    check_end(&plan.next, plan.table, row->least);
    check_readable(&plan.next, &arena);
    change_count_copies(&base, lost, 3, &copies);
    snprintf(text, sizeof(text), "%u %u %u %u", copies.whole, copies.majority, copies.minority,
             copies.none);
    assert_string_equal(text, row->copies);
    arena_done(&arena);
}

int main(void)
{
    return RUN_ROWS("plans of recoveries", rows, check_row);
}
