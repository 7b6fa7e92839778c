/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run/run_internal.h"

enum { CHANGE_ATTEMPTS = 12 };

static const uint64_t founding_limit_us = 60 * SIM_SECOND;

/* --- properties ------------------------------------------------------------------------------ */

struct set_up {
    bool answered;
    kvorum_status status;
};

static void on_properties(void *context, const struct answer *answer)
{
    struct set_up *set_up = context;
    set_up->answered = true;
    set_up->status = answer->status;
}

/* The properties of the bucket are agreed on before anything goes wrong; its mode may change. */
static bool set_properties_of(struct simulation *s, struct bytes bucket,
                              const struct bucket_properties *properties)
{
    uint64_t end_us = s->world.now_us + founding_limit_us;
    struct set_up set_up = { .status = KVORUM_INTERNAL };
    while (set_up.status != KVORUM_OK) {
        if (s->world.now_us >= end_us)
            world_fail(&s->world, "liveness",
                       "bucket properties cannot be set in a healthy "
                       "cluster: %s",
                       kvorum_status_name(set_up.status));
        if (!run_pass_time(s, RUN_SETTLE_US))
            return false;
        struct process *process = &s->cluster.processes[choose(&s->world, s->cluster.count)];
        set_up.answered = false;
        process_enter(process);
        node_set_properties(process->shards[0].node, (struct bytes){ 0 }, bucket, properties, false,
                            on_properties, &set_up);
        process_leave(process, 0);
        while (!set_up.answered && s->world.now_us < end_us) {
            if (!run_pass_time(s, RUN_POLL_US))
                return false;
        }
    }
    return run_pass_time(s, RUN_SETTLE_US);
}

bool run_set_properties(struct simulation *s)
{
    struct bucket_properties properties;
    modes_properties(&s->plan, s->plan.siblings != s->plan.mode_changes, &properties);
    if (!set_properties_of(s, BYTES_LITERAL(SIM_BUCKET), &properties))
        return false;
    if (!s->drops.enabled)
        return true;
    bucket_properties_init(&properties);
    properties.levels.n = s->plan.levels.n; /* no more than partitions move with */
    return set_properties_of(s, BYTES_LITERAL(DROPS_BUCKET), &properties);
}

/* --- the change of mode ---------------------------------------------------------------------- */

/* A change waits until members that are away are known to be dead, and may have to be repeated:
 * each attempt is given up after gossip's patience and two seconds of slack. */
static uint64_t change_limit_us(const struct simulation *s)
{
    return CHANGE_ATTEMPTS * (plan_patience_us(&s->plan) + 2 * SIM_SECOND);
}

static bool mode_changed(const struct simulation *s)
{
    return s->mode_change.done || !s->plan.mode_changes;
}

/* The clients begin somewhere in the middle of the change, or exactly at its end. */
bool run_begin_mode_change(struct simulation *s)
{
    if (!s->plan.mode_changes)
        return true;
    uint64_t busy_us = s->plan.think_us * s->plan.operation_count / s->plan.client_count;
    mode_change_begin(&s->mode_change,
                      s->plan.mode_changes_first ? 0 : choose(&s->world, busy_us + 1));
    return !s->plan.mode_changes_first ||
           run_wait_step(s, mode_changed, change_limit_us(s), "changing the bucket's mode");
}

bool run_wait_for_mode(struct simulation *s)
{
    return run_wait_for(s, mode_changed, change_limit_us(s), "changing the bucket's mode");
}

/* --- drops ----------------------------------------------------------------------------------- */

static bool dropped(const struct simulation *s)
{
    return drops_settled(&s->drops);
}

bool run_wait_for_drops(struct simulation *s)
{
    return run_wait_for(s, dropped, RUN_RESTART_LIMIT_US, "reclaiming what was dropped");
}
