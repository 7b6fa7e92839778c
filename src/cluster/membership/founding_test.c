/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: who joins in which order, and what each is answered.  A member is written id/name/address.
 */
#include "cluster/membership/founding.h"

#include "tests/support/rows.h"

#include <stdio.h>

struct row {
    const char *name;
    uint16_t wanted;
    const char *events;  /* "b" joins as b; "b=x" under the name x; "b@c" at the address of c;
                            "b!" without a zone; "persisted", "failed" */
    const char *effects; /* a word an event: wait tell name address zone late, +decide, +all */
    uint16_t count;
};

static const struct row rows[] = {
    { "two founders", 2, "b persisted b", "wait+decide -+all tell", 2 },
    { "three, one asks twice", 3, "b b c persisted b c", "wait wait wait+decide -+all tell tell",
      3 },
    { "nothing is told before it is persisted", 2, "b b persisted", "wait+decide wait -+all", 2 },
    { "a stranger after the decision", 2, "b c persisted c", "wait+decide late -+all late", 2 },
    { "a name that is taken", 3, "b=a c", "name wait", 2 },
    { "an address that is taken", 3, "b@a c", "address wait", 2 },
    { "a member comes back under another address", 3, "b b@d c@b", "wait wait wait+decide", 3 },
    { "a member comes back under another name", 3, "b b=e c=b", "wait wait wait+decide", 3 },
    { "a malformed member", 2, "b! b", "zone wait+decide", 2 },
    { "a failure to persist is tried again at the next request", 2, "b failed b persisted",
      "wait+decide - wait+decide -+all", 2 },
    { "a stranger after a failure to persist", 2, "b failed c b", "wait+decide - late wait+decide",
      2 },
};

static struct member member_of(const char *word)
{
    struct member member = { .zone = "z", .weight = 100 };
    memset(member.id.bytes, word[0], NODE_ID_SIZE);
    snprintf(member.name, sizeof(member.name), "%c", word[1] == '=' ? word[2] : word[0]);
    snprintf(member.address, sizeof(member.address), "host-%c:1",
             word[1] == '@' ? word[2] : word[0]);
    if (word[1] == '!')
        member.zone[0] = '\0';
    return member;
}

static const char *refusal(const struct founding_effects *effects)
{
    if (effects->status == KVORUM_NOT_READY)
        return "late";
    if (strstr(effects->why, "--name") != NULL)
        return "name";
    return strstr(effects->why, "--peer") != NULL ? "address" : "zone";
}

static void describe(const struct founding_effects *effects, char *text, size_t size)
{
    const char *const answers[] = { "-", "wait", "tell" };
    bool refused = effects->answer == FOUNDING_REFUSE;
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s%s%s", used > 0 ? " " : "",
             refused ? refusal(effects) : answers[effects->answer],
             effects->decide ? "+decide" : "", effects->tell_all ? "+all" : "");
}

static void step(struct founding *founding, const char *word, struct founding_effects *ret)
{
    struct member member = member_of(word);
    struct founding_event event = { FOUNDING_JOIN, &member };
    if (strcmp(word, "persisted") == 0)
        event.kind = FOUNDING_PERSISTED;
    else if (strcmp(word, "failed") == 0)
        event.kind = FOUNDING_FAILED;
    founding_step(founding, &event, ret);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct member members[8], self = member_of("a");
    struct founding founding;
    founding_init(&founding, members, row->wanted, &self);
    char events[128], effects[256] = "", *rest = NULL;
    snprintf(events, sizeof(events), "%s", row->events);
    for (char *word = strtok_r(events, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        struct founding_effects effect;
        step(&founding, word, &effect);
        describe(&effect, effects, sizeof(effects));
    }
    assert_string_equal(effects, row->effects);
    assert_int_equal(founding.count, row->count);
}

static void check_alone(void **state)
{
    (void)state;
    struct member members[1], self = member_of("a");
    struct founding founding;
    founding_init(&founding, members, 1, &self);
    assert_int_equal(founding.state, FOUNDING_DECIDED);
}

static void check_sorted(void **state)
{
    (void)state;
    struct member members[3], self = member_of("m");
    struct founding founding;
    founding_init(&founding, members, 3, &self);
    struct founding_effects effects;
    step(&founding, "z", &effects);
    step(&founding, "b", &effects);
    assert_true(effects.decide);
    assert_string_equal(members[0].name, "b");
    assert_string_equal(members[1].name, "m");
    assert_string_equal(members[2].name, "z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_alone),
        cmocka_unit_test(check_sorted),
    };
    int failed = cmocka_run_group_tests_name("founding", tests, NULL, NULL);
    return failed + RUN_ROWS("founding rows", rows, check);
}
