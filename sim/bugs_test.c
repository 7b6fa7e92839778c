/* SPDX-License-Identifier: Apache-2.0 */
/** A test that cannot fail is a defect: every planted bug must be caught, each in a process of its
 *  own, because the code under test may stop at one of its own assertions. */
#include "sim/bugs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the ones above first */
#include <cmocka.h>

#include "sim/run.h"

enum {
    KINDS = 8,
    RUNS_MAX = 8000, /* 1,000 of each kind */
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

/* Those that take many runs from 1 on are looked for near a seed that finds them. */
static const struct {
    enum planted_bug bug;
    uint64_t seed;
} rare[] = {
    { PLANTED_VOTE_BEFORE_DISK, 1980 },     { PLANTED_MOVE_NEEDS_ONE_SET, 7130 },
    { PLANTED_VOTER_REBORN, 1790 },         { PLANTED_RANGE_LEFT_BEHIND, 400 },
    { PLANTED_FORWARDED_TO_THE_DEAD, 130 }, { PLANTED_WRONG_QUORUM_COUNT, 65 },
    { PLANTED_MODE_OF_THE_MEMBER, 50 },     { PLANTED_HINT_FORGOTTEN_EARLY, 50 },
    { PLANTED_SCRUB_SKIPS_THE_LOG, 60 },    { PLANTED_LOST_RANGE_ANSWERED, 130 },
    { PLANTED_REFILLED_FROM_ONE, 2965 },    { PLANTED_LOSS_FORGOTTEN, 130 },
    { PLANTED_COLLECT_ASKS_OWNERS, 3490 },  { PLANTED_FENCE_OF_SENDING, 330 },
};

/* Found only where a bucket is dropped, which nobody else is looked for in. */
static bool is_of_drops(enum planted_bug bug)
{
    return bug == PLANTED_GENERATION_NOT_ASKED || bug == PLANTED_HINT_OF_ANY_GENERATION ||
           bug == PLANTED_RECLAIM_TOO_FAR;
}

static uint64_t first_seed(enum planted_bug bug)
{
    for (size_t i = 0; i < sizeof(rare) / sizeof(*rare); i++)
        if (rare[i].bug == bug)
            return rare[i].seed;
    return 1;
}

static void hunt(enum planted_bug bug)
{
    bug_plant(bug);
    for (uint64_t i = 0; i < RUNS_MAX; i++) { /* a cluster, a store, gossip, ... */
        uint64_t seed = first_seed(bug) + i / KINDS;
        struct run_options options = { .seed = seed,
                                       .store = i % KINDS == 1,
                                       .gossip = i % KINDS == 2,
                                       .liveness = i % KINDS == 3,
                                       .handoff = i % KINDS == 4,
                                       .yesterday = i % KINDS == 5,
                                       .collect = i % KINDS == 6,
                                       .decay = i % KINDS == 7 };
        if (is_of_drops(bug))
            options = (struct run_options){ .seed = seed = first_seed(bug) + i, .drops = true };
        struct run_result result;
        run(&options, &result);
        if (result.violation.checker != NULL) {
            fprintf(stderr, "# %s: caught by \"%s\" with seed %llu%s\n", bug_name(bug),
                    result.violation.checker, (unsigned long long)seed,
                    options.store       ? " --store"
                    : options.gossip    ? " --gossip"
                    : options.liveness  ? " --liveness"
                    : options.handoff   ? " --handoff"
                    : options.yesterday ? " --yesterday"
                    : options.drops     ? " --drops"
                    : options.collect   ? " --collect"
                    : options.decay     ? " --decay"
                                        : "");
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
