/* SPDX-License-Identifier: Apache-2.0 */
/* Voters drawn by hand: a member is its zone's letter, in lower case when it is ACTIVE; J, L and G
 * before it make it JOINING, LEAVING, GONE. */
#include "cluster/ring/ring.h"

#include "tests/support/rows.h"

#include <string.h>

struct row {
    const char *name;
    const char *members;
    const char *former; /* slots as digits */
    const char *voters;
};

static const struct row rows[] = {
    { "one member decides alone", "a", "", "0" },
    { "of two members one decides: two would survive no more", "aa", "", "0" },
    { "three decide together", "aaa", "", "012" },
    { "of four members three decide", "aaaa", "", "012" },
    { "of many members seven decide", "aaaaaaaaa", "", "0123456" },
    { "voters stand in all zones", "aaaabc", "", "01245" },
    { "three of five members in three zones, one zone large", "aaabcGa", "", "01234" },
    { "zones before slots", "aaaaaabbc", "", "0123678" },
    { "who votes already goes on voting", "aaaa", "123", "123" },
    { "but not at the price of a zone", "aab", "01", "012" },
    { "a newcomer is no voter before it owns something", "aaJaJa", "", "0" },
    { "who leaves is no voter", "aLaaa", "012", "023" },
    { "who is gone is no voter", "GaaGaa", "", "1" },
    { "where all leave, they decide", "LaLaLa", "", "012" },
    { "nobody is left", "GaJa", "", "" },
};

static uint16_t draw(const char *text, struct member *members)
{
    uint16_t count = 0;
    for (; *text != 0; text++) {
        struct member *member = &members[count];
        *member = (struct member){ .weight = 100 };
        if (*text == 'J')
            member->state = MEMBER_JOINING;
        else if (*text == 'L')
            member->state = MEMBER_LEAVING;
        else if (*text == 'G')
            member->state = MEMBER_GONE;
        text += member->state != MEMBER_ACTIVE;
        member->id.bytes[0] = (uint8_t)++count;
        member->zone[0] = *text;
    }
    return count;
}

static void check(const void *data)
{
    const struct row *row = data;
    struct member members[16];
    uint16_t former[RING_VOTERS_MAX], voters[RING_VOTERS_MAX];
    uint8_t former_count = 0;
    for (const char *at = row->former; *at != 0; at++)
        former[former_count++] = (uint16_t)(*at - '0');
    uint16_t count = draw(row->members, members);
    uint8_t chosen = ring_choose_voters(members, count, former, former_count, voters);
    char text[RING_VOTERS_MAX + 1] = "";
    for (uint8_t i = 0; i < chosen; i++)
        text[i] = (char)('0' + voters[i]);
    assert_string_equal(text, row->voters);
}

/* --- who may own, and who may stand in --------------------------------------------------------- */

struct owners {
    const char *name;
    const char *members, *row;
    uint8_t limit;          /* of owners */
    const char *preference; /* as a set, behind the owners */
};

static const struct owners owner_rows[] = {
    { "others stand in for owners", "aaaa", "012", 4, "3" },
    { "a newcomer is no stand-in", "aaaJa", "012", 3, "" },
    { "who leaves is no stand-in, but an owner still", "aLaaLa", "012", 3, "" },
    { "who is gone is nobody", "aaaGaa", "012", 4, "4" },
    { "a row that is short has no owners beyond it", "aaaa", "01-", 2, "23" },
};

static void check_owners(const void *data)
{
    const struct owners *row = data;
    struct member members[16];
    uint16_t table[8], list[16];
    struct epoch epoch = { .partition_count = 1, .members = members, .table = table };
    epoch.member_count = draw(row->members, members);
    for (const char *at = row->row; *at != 0; at++)
        table[epoch.replica_count++] = *at == '-' ? RING_NO_MEMBER : (uint16_t)(*at - '0');
    assert_int_equal(ring_owner_limit(&epoch, 0), row->limit);
    uint16_t owned = epoch.replica_count;
    while (table[owned - 1] == RING_NO_MEMBER)
        owned--;
    uint16_t count = ring_preference(&epoch, 0, list, 16);
    assert_int_equal(count, owned + strlen(row->preference));
    assert_memory_equal(list, table, owned * sizeof(*list));
    for (uint16_t i = owned; i < count; i++)
        assert_non_null(strchr(row->preference, '0' + list[i]));
}

int main(void)
{
    int failed = RUN_ROWS("voters", rows, check);
    return failed + RUN_ROWS("owners", owner_rows, check_owners);
}
