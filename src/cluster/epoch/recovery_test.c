/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at a line, among members 2, 3 and 5: what comes, and what follows.  Words of `comes`:
 *
 *      start          tick (0.6 s later)        stop        choose
 *      p2 a2          member 2 promises, accepts: for the ballot of the attempt
 *      P2 A2          the same, for an older ballot
 *      r2/7           member 2 refuses, since it promised counter 7
 *
 * and of `follows`, for each word: . nothing, p prepare, ! all have promised, a accept, D decided;
 * a capital letter behind it is the state. */
#include "cluster/epoch/recovery.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rows.h"

struct row {
    const char *name, *comes, *follows;
};

static const struct row rows[] = {
    { "all promise, all accept", "start p2 p3 p5 choose a5 a3 a2", "pP .P .P !C aA .A .A DD" },
    { "the same answer twice is one", "start p2 p2 p2 p3", "pP .P .P .P .P" },
    { "who was not asked is not heard", "start p2 p3 p4", "pP .P .P .P" },
    { "what is about an older attempt is not heard", "start P2 P3 P5", "pP .P .P .P" },
    { "one who is silent is asked again", "start p2 p3 tick", "pP .P .P pP" },
    { "also for its acceptance", "start p2 p3 p5 choose a2 tick", "pP .P .P !C aA .A aA" },
    { "nothing is sent before it is chosen", "start p2 p3 p5 tick", "pP .P .P !C .C" },
    { "an acceptance before its time means nothing", "start a2 a3 a5", "pP .P .P .P" },
    { "who is refused rests, then prepares anew", "start r2/7 tick p2 p3 p5", "pP .W pP .P .P !C" },
    { "a refusal of an acceptance too", "start p2 p3 p5 choose r3/9 tick", "pP .P .P !C aA .W pP" },
    { "promises of the attempt before are forgotten then", "start p2 p3 r5/3 tick p5 p2 p3",
      "pP .P .P .W pP .P .P !C" },
    { "stopped, it asks for nothing", "start p2 stop tick p3 p5", "pP .P .I .I .I .I" },
    { "it can be begun again", "start p2 stop start p2 p3 p5", "pP .P .I pP .P .P !C" },
    { "what is decided stays so", "start p2 p3 p5 choose a2 a3 a5 tick r2/9",
      "pP .P .P !C aA .A .A DD .D .D" },
};

static const char states[] = {
    [RECOVERY_IDLE] = 'I',      [RECOVERY_PREPARING] = 'P', [RECOVERY_CHOOSING] = 'C',
    [RECOVERY_ACCEPTING] = 'A', [RECOVERY_WAITING] = 'W',   [RECOVERY_DECIDED] = 'D'
};

static const bool members[RING_MEMBERS_MAX] = { [2] = true, [3] = true, [5] = true };

static struct recovery_event read_word(const struct recovery *recovery, const char *word)
{
    struct recovery_event event = { .members = members, .ballot = recovery->ballot };
    unsigned member = 0, counter = 0;
    (void)sscanf(word + 1, "%u/%u", &member, &counter);
    event.member = (uint16_t)member;
    if (strcmp(word, "start") == 0)
        event.kind = RECOVERY_START;
    else if (strcmp(word, "stop") == 0)
        event.kind = RECOVERY_STOP;
    else if (strcmp(word, "choose") == 0)
        event.kind = RECOVERY_CHOOSE;
    else if (strcmp(word, "tick") == 0)
        event.kind = RECOVERY_TICK;
    else if (word[0] == 'p' || word[0] == 'P')
        event.kind = RECOVERY_PROMISE;
    else if (word[0] == 'a' || word[0] == 'A')
        event.kind = RECOVERY_ACCEPTED;
    else
        event.kind = RECOVERY_REFUSED;
    if (word[0] == 'P' || word[0] == 'A')
        event.ballot.counter--;
    event.other = (struct ballot){ counter, 9 };
    return event;
}

static void check_row(const void *data)
{
    const struct row *row = data;
    struct recovery *recovery = malloc(sizeof(*recovery));
    char comes[256], follows[256] = "", *rest = comes, *word;
    uint64_t now_us = 1000, highest = 0;
    snprintf(comes, sizeof(comes), "%s", row->comes);
    recovery_init(recovery, 77);
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        struct recovery_event event = read_word(recovery, word);
        struct recovery_effects effects;
        now_us += strcmp(word, "tick") == 0 ? RECOVERY_RESEND_US + 100000 : 1000;
        event.now_us = now_us;
        highest = event.other.counter > highest ? event.other.counter : highest;
        recovery_step(recovery, &event, &effects);
        char effect = effects.prepare    ? 'p'
                      : effects.promised ? '!'
                      : effects.accept   ? 'a'
                      : effects.decided  ? 'D'
                                         : '.';
        snprintf(follows + strlen(follows), sizeof(follows) - strlen(follows), "%s%c%c",
                 follows[0] == 0 ? "" : " ", effect, states[recovery->state]);
        if (effects.prepare)
            assert_true(recovery->ballot.counter > highest);
    }
    assert_string_equal(follows, row->follows);
    free(recovery);
}

int main(void)
{
    return RUN_ROWS("one attempt at a line", rows, check_row);
}
