/* SPDX-License-Identifier: Apache-2.0 */
/** Gossip alone: a batch of seeds finds nothing wrong; and its figures at n = 100, with and without
 *  Lifeguard, in a quiet network and with a quarter of the members slow as in the Lifeguard paper
 *  (5.1: what a slow member sends or is sent waits until it wakes, its timers run on).  With
 *  KVORUM_PROOF=1 each figure takes simulated hours instead of minutes. */
#include "sim/gossip/gossip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants some of the ones above first */
#include <cmocka.h>

#include "sim/run/run.h"

enum { MEMBERS = 100, SEEDS = 2000, TRIALS_MAX = 400 };

static const uint64_t give_up_us = 300 * SIM_SECOND;

static void nothing_is_wrong(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run_options options = { .seed = seed, .kind = KIND_GOSSIP };
        struct run_result result, again;
        run(&options, &result);
        if (result.violation.checker != NULL)
            fail_msg("%s: %s\n%s\nreplay: kvorum-sim --gossip --seed %llu --runs 1 --trace",
                     result.violation.checker, result.violation.text, result.plan,
                     (unsigned long long)seed);
        if (seed % 25 != 0)
            continue;
        run(&options, &again);
        assert_true(result.trace_hash == again.trace_hash);
    }
}

/* --- figures ---------------------------------------------------------------------------------- */

struct figures {
    double first_s[TRIALS_MAX], all_s[TRIALS_MAX]; /* until the first, until all know of a death */
    unsigned trials;
    unsigned false_healthy, false_slow; /* living members that a healthy one came to call dead */
    double hours, bytes_a_second;       /* a node */
};

struct measuring {
    struct world world;
    struct gossip_plan plan;
    struct gossip_world gossip;
    bool calls_dead[MEMBERS][MEMBERS]; /* [who][whom] */
    unsigned called_dead[MEMBERS];     /* by how many */
    uint64_t first_us;
    uint16_t victim;
    struct figures *figures;
};

/* True when that makes the first, or leaves none, who calls it dead. */
static bool note_call(struct measuring *m, uint16_t who, uint16_t whom, bool dead)
{
    if (m->calls_dead[who][whom] == dead)
        return false;
    m->calls_dead[who][whom] = dead;
    m->called_dead[whom] += dead ? 1u : -1u;
    return m->called_dead[whom] == dead;
}

static void on_changed(void *context, const struct gossip_process *process, uint16_t member,
                       enum liveness_state state)
{
    struct measuring *m = context;
    bool dead = state == LIVENESS_DEAD, slow = gossip_is_slow(&m->gossip, member);
    if (gossip_is_slow(&m->gossip, process->number))
        return; /* it calls everybody dead; what counts is whom that convinces */
    if (dead && member == m->victim && m->first_us == 0)
        m->first_us = m->world.now_us;
    bool first = note_call(m, process->number, member, dead) && dead;
    if (!first || !m->gossip.processes[member].running)
        return;
    m->figures->false_healthy += !slow;
    m->figures->false_slow += slow;
}

static bool all_know(const struct measuring *m)
{
    for (uint16_t i = 0; i < MEMBERS; i++) {
        const struct gossip_process *process = &m->gossip.processes[i];
        if (process->running && !gossip_is_slow(&m->gossip, i) &&
            swim_state_of(&process->swim, m->victim) != LIVENESS_DEAD)
            return false;
    }
    return true;
}

static void pass(struct measuring *m, uint64_t duration_us)
{
    assert_true(world_run_until(&m->world, m->world.now_us + duration_us));
}

/* One whom no healthy member calls dead already; false where there is hardly one. */
static bool find_victim(struct measuring *m)
{
    for (unsigned i = 0; i < 100; i++) {
        pass(m, choose(&m->world, SIM_SECOND));
        m->victim = (uint16_t)choose(&m->world, MEMBERS - m->plan.slow_count);
        if (m->called_dead[m->victim] == 0)
            return true;
    }
    return false;
}

/* A healthy member dies without a word, in a cluster that is as it is. */
static void one_death(struct measuring *m)
{
    struct figures *figures = m->figures;
    if (!find_victim(m))
        return;
    m->first_us = 0;
    uint64_t start_us = m->world.now_us;
    gossip_crash(&m->gossip, m->victim, true);
    while (!all_know(m) && m->world.now_us < start_us + give_up_us)
        pass(m, 20 * SIM_MILLISECOND);
    assert_true(m->first_us != 0);
    figures->first_s[figures->trials] = (double)(m->first_us - start_us) / 1e6;
    figures->all_s[figures->trials++] = (double)(m->world.now_us - start_us) / 1e6;
    for (uint16_t i = 0; i < MEMBERS; i++) /* it has forgotten whom it called dead */
        (void)note_call(m, m->victim, i, false);
    gossip_start(&m->gossip, m->victim);
    pass(m, 15 * SIM_SECOND);
}

struct situation {
    const char *name;
    uint16_t slow;
    uint64_t asleep_us, awake_us;
};

static void begin(struct measuring *m, const struct situation *situation, bool lifeguard,
                  struct figures *figures)
{
    memset(m, 0, sizeof(*m));
    m->figures = figures;
    m->victim = SWIM_NOBODY;
    m->plan = (struct gossip_plan){ .member_count = MEMBERS,
                                    .config = *swim_preset(SWIM_LAN),
                                    .delay_us = 500,
                                    .slow_count = situation->slow,
                                    .asleep_us = situation->asleep_us,
                                    .awake_us = situation->awake_us };
    m->plan.config.plain = !lifeguard;
    world_init(&m->world, 1);
    gossip_world_init(&m->gossip, &m->world, &m->plan);
    m->gossip.changed = on_changed;
    m->gossip.context = m;
    pass(m, 60 * SIM_SECOND); /* all come to know each other */
    *figures = (struct figures){ .trials = 0 };
}

static void end(struct measuring *m)
{
    gossip_world_done(&m->gossip);
    world_done(&m->world);
    free(m);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct situation *situation, bool lifeguard, unsigned trials,
                    uint64_t quiet_us, struct figures *figures)
{
    struct measuring *m = malloc(sizeof(*m));
    assert_non_null(m);
    begin(m, situation, lifeguard, figures);
    uint64_t bytes = m->gossip.bytes, start_us = m->world.now_us;
    pass(m, quiet_us);
    figures->bytes_a_second = (double)(m->gossip.bytes - bytes) * 1e6 / (double)quiet_us / MEMBERS;
    for (unsigned i = 0; i < trials; i++)
        one_death(m);
    figures->hours = (double)(m->world.now_us - start_us) / 3600e6;
    end(m);
    qsort(figures->first_s, figures->trials, sizeof(double), compare);
    qsort(figures->all_s, figures->trials, sizeof(double), compare);
}

static double median(const double *sorted, unsigned count)
{
    return count == 0 ? NAN : sorted[count / 2];
}

static double p99(const double *sorted, unsigned count)
{
    return count == 0 ? NAN : sorted[(count * 99 + 99) / 100 - 1];
}

static void print_row(const struct situation *situation, bool lifeguard, const struct figures *f)
{
    printf("# %-26s %-9s %6.1f %6.1f %8.1f %6.1f %10.1f %10.1f %9.0f\n", situation->name,
           lifeguard ? "Lifeguard" : "SWIM", median(f->first_s, f->trials),
           p99(f->first_s, f->trials), median(f->all_s, f->trials), p99(f->all_s, f->trials),
           f->false_healthy / f->hours, f->false_slow / f->hours, f->bytes_a_second);
    fflush(stdout); /* the next one may take minutes */
}

/* Over the situations in which some are slow, with Lifeguard and without. */
struct slowest {
    unsigned situations;
    double first_s, first_p99_s;                 /* the longest */
    double deaths_an_hour, plain_deaths_an_hour; /* of healthy members, false; the means */
};

static void note_slow(struct slowest *slowest, const struct figures *plain,
                      const struct figures *lifeguard)
{
    slowest->situations++;
    slowest->first_s = fmax(slowest->first_s, median(lifeguard->first_s, lifeguard->trials));
    slowest->first_p99_s = fmax(slowest->first_p99_s, p99(lifeguard->first_s, lifeguard->trials));
    slowest->deaths_an_hour += lifeguard->false_healthy / lifeguard->hours;
    slowest->plain_deaths_an_hour += plain->false_healthy / plain->hours;
}

/* For tests/proof/table. */
static void print_slowest(const struct slowest *slowest)
{
    printf(
        "# figure gossip-first-s %.1f in the middle, 99 %% within %.1f; n = %d, 25 of them slow, "
        "the worst of %u ways to be slow\n",
        slowest->first_s, slowest->first_p99_s, MEMBERS, slowest->situations);
    printf("# figure gossip-false-deaths %.4f (%.2f against %.1f an hour); the same, mean of the "
           "ways\n",
           slowest->deaths_an_hour / slowest->plain_deaths_an_hour,
           slowest->deaths_an_hour / slowest->situations,
           slowest->plain_deaths_an_hour / slowest->situations);
}

static void figures_at_a_hundred(void **state)
{
    static const struct situation situations[] = {
        { "quiet", 0, 0, 0 },
        { "25 slow: 1 s of every 2 s", 25, SIM_SECOND, SIM_SECOND },
        { "25 slow: 4 s of every 5 s", 25, 4 * SIM_SECOND, SIM_SECOND },
        { "25 slow: 16 s of 16.5 s", 25, 16 * SIM_SECOND, SIM_SECOND / 2 },
    };
    (void)state;
    bool proof = getenv("KVORUM_PROOF") != NULL;
    unsigned trials = proof ? 60 : 8, count = sizeof(situations) / sizeof(situations[0]);
    uint64_t quiet_us = (proof ? 1800 : 120) * SIM_SECOND;
    struct slowest slowest = { 0 };
    printf("# n = 100, LAN preset; the figures of memberlist at n = 100: a suspicion lasts 8 s to "
           "48 s\n"
           "# %-36s %13s  %15s %21s %9s\n# %-36s %6s %6s %8s %6s %10s %10s %9s\n",
           "", "first knows, s", "all know, s", "false deaths an hour", "bytes/s", "", "median",
           "p99", "median", "p99", "healthy", "slow", "a node");
    for (unsigned i = 0; i < (proof ? count : 3); i++) {
        struct figures plain, lifeguard;
        measure(&situations[i], false, trials, quiet_us, &plain);
        measure(&situations[i], true, trials, quiet_us, &lifeguard);
        print_row(&situations[i], false, &plain);
        print_row(&situations[i], true, &lifeguard);
        assert_true(median(lifeguard.first_s, lifeguard.trials) < 15);
        if (situations[i].slow > 0) {
            assert_true(50 * lifeguard.false_healthy <= plain.false_healthy); /* as in the paper */
            note_slow(&slowest, &plain, &lifeguard);
            continue;
        }
        assert_int_equal(lifeguard.false_healthy, 0);
        assert_true(p99(lifeguard.all_s, lifeguard.trials) < 20);
        assert_true(lifeguard.bytes_a_second < 500);
    }
    print_slowest(&slowest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong),
        cmocka_unit_test(figures_at_a_hundred),
    };
    return cmocka_run_group_tests_name("gossip", tests, NULL, NULL);
}
