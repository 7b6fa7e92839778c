/* SPDX-License-Identifier: Apache-2.0 */
/** A test that cannot fail is a defect: every planted bug must be caught, each in a process of its
 *  own, because the code under test may stop at one of its own assertions. */
#include "sim/bugs/bugs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the ones above first */
#include <cmocka.h>

#include "sim/run/run.h"

enum { OLDER_KINDS = 6 };

/* A kind of runs, or the six older ones, one after the other. */
enum place {
#define X(name, ...) name = KIND_##name,
    KIND_LIST(X)
#undef X
        IN_TURN
};

static const enum kind older[OLDER_KINDS] = { KIND_CLUSTERS, KIND_STORES,  KIND_GOSSIP,
                                              KIND_LIVENESS, KIND_HANDOFF, KIND_YESTERDAY };

enum {
    RUNS_MAX = 6000, /* in turn 1,000 of each kind */
    EXIT_CAUGHT = 3,
    EXIT_NOT_CAUGHT = 4,
};

/* The parent's test library has handlers that would go on with its tests here. */
static void die_of_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigemptyset(&action.sa_mask);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* Those that take many runs from 1 on are looked for near a seed that finds them, and those that
 * only one kind of runs can show in that kind. */
static const struct known {
    enum planted_bug bug;
    enum place place;
    uint64_t seed;
    uint32_t steps; /* 0: as many as its kind has by default */
} known[] = {
    { PLANTED_VOTE_BEFORE_DISK, YESTERDAY, 2070 },
    { PLANTED_ACTOR_UNASKED, YESTERDAY, 120 },
    { PLANTED_ACCEPTED_NOT_FINISHED, COLLECT, 20 },
    { PLANTED_OWN_VALUE_PROPOSED, COLLECT, 1 },
    { PLANTED_MOVE_NEEDS_ONE_SET, CLUSTERS, 7160 },
    { PLANTED_VOTER_REBORN, YESTERDAY, 1130 },
    { PLANTED_EPOCH_REFUSAL_TOLD, CLUSTERS, 130 },
    { PLANTED_MODE_OF_THE_MEMBER, CLUSTERS, 50 },
    { PLANTED_LEAVER_DROPS_HINTS, CLUSTERS, 440 },
    { PLANTED_BARRIER_MISSING, YESTERDAY, 70 },
    { PLANTED_REPAIR_OVERWRITES, LIVENESS, 50 },
    { PLANTED_REPLICA_COUNTED_TWICE, LIVENESS, 40 },
    { PLANTED_RANGE_LEFT_BEHIND, STORES, 400 },
    { PLANTED_FORWARDED_TO_THE_DEAD, LIVENESS, 30 },
    { PLANTED_WRONG_QUORUM_COUNT, LIVENESS, 20 },
    { PLANTED_HINT_FORGOTTEN_EARLY, HANDOFF, 50 },
    { PLANTED_SCRUB_SKIPS_THE_FOOT, DECAY, 1 },
    { PLANTED_SCRUB_SKIPS_THE_LOG, DECAY, 60 },
    { PLANTED_LOST_RANGE_ANSWERED, DECAY, 130 },
    { PLANTED_REFILLED_FROM_ONE, DECAY, 47290 },
    { PLANTED_LOSS_FORGOTTEN, DECAY, 130 },
    { PLANTED_PROPERTIES_CUT_OUT, DECAY, 7300017, .steps = 1500 },
    { PLANTED_COLLECTED_BY_CLOCK, COLLECT, 1 },
    { PLANTED_COLLECT_ASKS_OWNERS, COLLECT, 3490 },
    { PLANTED_FENCE_OF_SENDING, COLLECT, 330 },
    { PLANTED_COLLECT_NO_FLOOR, COLLECT, 1 },
    { PLANTED_STAND_IN_BY_STAMP, COLLECT, 200095 },
    { PLANTED_HINT_AFTER_COLLECTION, COLLECT, 300 },
    { PLANTED_BEHIND_NOT_REFILLED, COLLECT, 1370 },
    { PLANTED_BEHIND_WAITS_FOR_A_MOVE, COLLECT, 3640 },
    { PLANTED_DOUBT_WAITS_FOR_A_MOVE, COLLECT, 51260 },
    { PLANTED_DOUBT_WAITS_FOR_A_REFILL, COLLECT, 3642, .steps = 625 },
    { PLANTED_UNCOVERED_HINT_STAYS, COLLECT, 200370 },
    { PLANTED_GENERATION_NOT_ASKED, DROPS, 1 },
    { PLANTED_HINT_OF_ANY_GENERATION, DROPS, 1 },
    { PLANTED_RECLAIM_TOO_FAR, DROPS, 1 },
    { PLANTED_MARK_TAKEN_FOR_THERE, CLUSTERS, 31990 },
    { PLANTED_RECOVERY_UNFENCED, VOTERS, 890 },
    { PLANTED_RECOVERY_IGNORES_VOTES, VOTERS, 1 },
    { PLANTED_RECOVERY_CHOOSES_AGAIN, VOTERS, 4000 },
    { PLANTED_RECOVERY_WAITS_FOR_THE_AHEAD, VOTERS, 410720 },
    { PLANTED_RECOVERY_TRUSTS_THE_FORGETFUL, VOTERS, 12350 },
    { PLANTED_GENERATION_UNPROVEN, DROPS, 920 },
};

static struct known where_to_look(enum planted_bug bug)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (known[i].bug == bug)
            return known[i];
    return (struct known){ .bug = bug, .place = IN_TURN, .seed = 1 };
}

static void hunt(enum planted_bug bug)
{
    const struct known where = where_to_look(bug);
    bug_plant(bug);
    for (uint64_t i = 0; i < RUNS_MAX; i++) {
        bool in_turn = where.place == IN_TURN;
        enum kind kind = in_turn ? older[i % OLDER_KINDS] : (enum kind)where.place;
        uint64_t seed = where.seed + (in_turn ? i / OLDER_KINDS : i);
        struct run_options options = { .seed = seed, .kind = kind, .operation_count = where.steps };
        struct run_result result;
        run(&options, &result);
        if (result.violation.checker != NULL) {
            fprintf(stderr, "# %s: caught by \"%s\" with seed %llu%s%s", bug_name(bug),
                    result.violation.checker, (unsigned long long)seed,
                    *run_kinds[kind].option == '\0' ? "" : " ", run_kinds[kind].option);
            fprintf(stderr, where.steps == 0 ? "\n" : " --ops %u\n", where.steps);
            _exit(EXIT_CAUGHT);
        }
    }
    _exit(EXIT_NOT_CAUGHT);
}

static void is_caught(void **state)
{
    enum planted_bug bug = (enum planted_bug) * (int *)*state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        die_of_signals();
        hunt(bug);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    bool asserted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (!asserted && !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CAUGHT))
        fail_msg("%s was not caught in %d runs (wait status %x)", bug_name(bug), RUNS_MAX, status);
}

int main(void)
{
    static int bugs[PLANTED_COUNT];
    static struct CMUnitTest tests[PLANTED_COUNT - 1];
    for (int i = 1; i < PLANTED_COUNT; i++) {
        bugs[i] = i;
        tests[i - 1] = (struct CMUnitTest){ .name = bug_name((enum planted_bug)i),
                                            .test_func = is_caught,
                                            .initial_state = &bugs[i] };
    }
    return cmocka_run_group_tests_name("planted bugs", tests, NULL, NULL);
}
