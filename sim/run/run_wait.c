/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run/run_internal.h"

bool run_pass_time(struct simulation *s, uint64_t duration_us)
{
    return world_run_until(&s->world, s->world.now_us + duration_us);
}

/* `advance` by a little, false at a violation, until the condition holds. */
static bool wait_for(struct simulation *s, bool (*advance)(struct simulation *s),
                     bool (*condition)(const struct simulation *s), uint64_t limit_us,
                     const char *what)
{
    uint64_t end_us = s->world.now_us + limit_us;
    while (!condition(s)) {
        if (s->world.now_us >= end_us)
            world_fail(&s->world, "liveness", "%s took longer than %llu s", what,
                       (unsigned long long)(limit_us / SIM_SECOND));
        if (!advance(s))
            return false;
    }
    return true;
}

static bool by_a_while(struct simulation *s)
{
    return run_pass_time(s, RUN_POLL_US);
}

static bool by_an_event(struct simulation *s)
{
    return world_step(&s->world);
}

bool run_wait_for(struct simulation *s, bool (*condition)(const struct simulation *s),
                  uint64_t limit_us, const char *what)
{
    return wait_for(s, by_a_while, condition, limit_us, what);
}

bool run_wait_step(struct simulation *s, bool (*condition)(const struct simulation *s),
                   uint64_t limit_us, const char *what)
{
    return wait_for(s, by_an_event, condition, limit_us, what);
}

/* --- rest ------------------------------------------------------------------------------------ */

static bool process_quiet(const struct process *process)
{
    bool quiet = sim_jobs_idle(&process->jobs);
    for (uint16_t i = 0; process->running && i < process->shard_count; i++)
        quiet = quiet && node_counters(process->shards[i].node)->requests_active == 0;
    return quiet;
}

/* Nodes look for hints every second: a moment in which none of them has anything to do. */
static bool quiet(const struct simulation *s)
{
    for (uint16_t i = 0; i < s->cluster.count; i++)
        if (!process_quiet(&s->cluster.processes[i]))
            return false;
    return true;
}

static bool come_to_rest_within(struct simulation *s, uint64_t limit_us)
{
    uint64_t end_us = s->world.now_us + limit_us;
    while (!quiet(s) && s->world.now_us < end_us)
        if (!world_step(&s->world))
            return false;
    return true;
}

bool run_come_to_rest(struct simulation *s)
{
    return come_to_rest_within(s, RUN_RESTART_LIMIT_US);
}

/* What is still owed must end, however slow the disk: a damaged block leaves marks for all
 * partitions and members, and a store that flushes for each batch takes a few of them a second.  So
 * a minute, and one more for each millisecond that a step of a job may take. */
bool run_come_to_rest_at_last(struct simulation *s)
{
    return come_to_rest_within(s, RUN_RESTART_LIMIT_US *
                                      (1 + s->plan.jobs_latency_us / SIM_MILLISECOND));
}
