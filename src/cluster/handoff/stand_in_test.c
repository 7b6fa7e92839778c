/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/stand_in.h"

#include "tests/support/rows.h"

#include <stdio.h>

enum { MEMBERS = 12 };

static struct member members[MEMBERS];
static struct epoch epoch = { .member_count = MEMBERS, .members = members };

static void set_up(void)
{
    for (uint8_t i = 0; i < MEMBERS; i++) {
        members[i].id.bytes[0] = i;
        snprintf(members[i].zone, sizeof(members[i].zone), "z%u", i % 3);
    }
}

struct row {
    const char *name;
    enum handoff_strategy strategy;
    uint16_t owner;
    const char *barred; /* a letter a member: x barred */
    const char *wanted; /* w: may be chosen; empty: nobody */
};

static const struct row rows[] = {
    { "proximity stays in the owner's zone", HANDOFF_PROXIMITY, 0, "x...........", "   w  w  w  " },
    { "proximity leaves the zone when nobody else is in it", HANDOFF_PROXIMITY, 0, "x..x..x..x..",
      " ww ww ww ww" },
    { "proximity takes the last one that is left", HANDOFF_PROXIMITY, 2, "xxxxxxx.xxxx",
      "       w    " },
    { "any takes whoever is not barred", HANDOFF_ANY, 0, "xxxx........", "    wwwwwwww" },
    { "nobody is left", HANDOFF_ANY, 0, "xxxxxxxxxxxx", "" },
};

static void check(const void *at)
{
    const struct row *row = at;
    struct random random;
    random_init(&random, 1);
    bool barred[MEMBERS], met[MEMBERS] = { 0 };
    size_t different = 0;
    for (uint16_t i = 0; i < MEMBERS; i++)
        barred[i] = row->barred[i] == 'x';
    for (uint32_t p = 0; p < 400; p++) {
        uint16_t chosen = handoff_stand_in(&epoch, row->strategy, p, row->owner, barred, &random);
        if (row->wanted[0] == '\0') {
            assert_int_equal(chosen, RING_NO_MEMBER);
            continue;
        }
        assert_int_equal(row->wanted[chosen], 'w');
        different += !met[chosen];
        met[chosen] = true;
    }
    size_t wanted = 0;
    for (const char *c = row->wanted; *c != '\0'; c++)
        wanted += *c == 'w';
    assert_int_equal(different, wanted); /* the load is spread over all of them */
}

static void proximity_is_the_same_for_everybody(void)
{
    bool barred[MEMBERS] = { [4] = true };
    struct random one, other;
    random_init(&one, 1);
    random_init(&other, 2);
    for (uint32_t p = 0; p < 50; p++)
        assert_int_equal(handoff_stand_in(&epoch, HANDOFF_PROXIMITY, p, 4, barred, &one),
                         handoff_stand_in(&epoch, HANDOFF_PROXIMITY, p, 4, barred, &other));
}

static void who_is_gone_stands_in_for_nobody(void)
{
    bool barred[MEMBERS] = { 0 };
    struct random random;
    random_init(&random, 1);
    for (uint16_t i = 1; i < MEMBERS; i++)
        members[i].state = MEMBER_GONE;
    barred[0] = true;
    assert_int_equal(handoff_stand_in(&epoch, HANDOFF_ANY, 1, 0, barred, &random), RING_NO_MEMBER);
    for (uint16_t i = 1; i < MEMBERS; i++)
        members[i].state = MEMBER_ACTIVE;
}

static void names_are_read_and_written(void)
{
    for (int i = 0; i < HANDOFF_STRATEGIES; i++) {
        enum handoff_strategy read;
        const char *name = handoff_strategy_name((enum handoff_strategy)i);
        assert_true(handoff_strategy_parse(bytes_of_string(name), &read));
        assert_int_equal(read, i);
    }
    enum handoff_strategy unused;
    assert_false(handoff_strategy_parse(BYTES_LITERAL("nearest"), &unused));
    assert_string_equal(handoff_strategy_name(HANDOFF_STRATEGIES), "?");
}

int main(void)
{
    static const struct named_test tests[] = {
        { "proximity is the same for everybody", proximity_is_the_same_for_everybody },
        { "who is gone stands in for nobody", who_is_gone_stands_in_for_nobody },
        { "names are read and written", names_are_read_and_written },
    };
    set_up();
    int failed = RUN_ROWS("stand-ins", rows, check);
    return failed + RUN_TESTS("strategies of handoff", tests);
}
