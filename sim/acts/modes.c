/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/modes.h"

#include <assert.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"

enum { ASK_AGAIN_US = 100 * 1000, AWAY_MAX_US = 60 * 1000 * 1000, BACK_US_MAX = 20 * 1000 };

enum absence { ABSENCE_PAUSE, ABSENCE_CUT, ABSENCE_STOP, ABSENCE_CRASH, ABSENCE_COUNT };

void modes_properties(const struct plan *plan, bool siblings, struct bucket_properties *ret)
{
    bucket_properties_init(ret);
    ret->levels.n = plan->levels.n;
    ret->levels.r = siblings == plan->siblings ? LEVEL_ALL : LEVEL_ONE;
    ret->allow_mult = siblings;
    ret->last_write_wins = !siblings;
    ret->handoff_strategy = (int8_t)plan->strategy;
}

/* --- going and coming back ------------------------------------------------------------------- */

/* The absence must not cost acknowledged writes that the plan's faults would not cost. */
static enum absence choose_absence(const struct cluster *cluster)
{
    const struct plan *plan = cluster->plan;
    uint64_t kinds = plan->memory                     ? ABSENCE_STOP
                     : plan->sync != NODE_SYNC_ALWAYS ? ABSENCE_CRASH
                                                      : ABSENCE_COUNT;
    return (enum absence)choose(cluster->world, kinds);
}

static void cut_off(struct cluster *cluster, uint16_t member)
{
    for (uint16_t other = 0; other < cluster->count; other++) {
        if (other == member)
            continue;
        network_cut(&cluster->network, member, other);
        network_cut(&cluster->network, other, member);
    }
}

static void send_away(struct cluster *cluster, struct process *process)
{
    enum absence absence = choose_absence(cluster);
    if (!process->running)
        return; /* it is away */
    switch (absence) {
    case ABSENCE_PAUSE:
        process_pause(process, AWAY_MAX_US);
        break;
    case ABSENCE_CUT:
        cut_off(cluster, process->member);
        break;
    case ABSENCE_STOP:
        process_stop(process);
        process->held_down = true;
        break;
    case ABSENCE_CRASH:
    case ABSENCE_COUNT:
        process_crash(process, choose(cluster->world, 3) == 0);
        process->held_down = true;
        break;
    }
}

/* At least one goes, and one stays. */
static void send_some_away(struct mode_change *change)
{
    struct cluster *cluster = change->cluster;
    uint64_t all = (UINT64_C(1) << cluster->count) - 1, away = 1 + choose(cluster->world, all - 1);
    for (uint16_t i = 0; i < cluster->count; i++) {
        if (away >> i & 1)
            send_away(cluster, &cluster->processes[i]);
    }
    change->away = true;
    world_tell(cluster->world, -1, "modes: members %llx go away", (unsigned long long)away);
}

void mode_change_end_absence(struct mode_change *change)
{
    struct cluster *cluster = change->cluster;
    change->no_absence = true;
    if (change->away)
        network_heal(&cluster->network);
    for (uint16_t i = 0; change->away && i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        process_resume(process);
        if (!process->held_down)
            continue;
        process->held_down = false;
        if (!process->running && !event_is_set(&process->restart))
            process_start_after(process, 1 + choose(cluster->world, BACK_US_MAX));
    }
    change->away = false;
}

/* --- the change ------------------------------------------------------------------------------ */

static void on_answer(void *context, const struct answer *answer)
{
    struct mode_change *change = context;
    struct process *process = &change->cluster->processes[change->member];
    if (!process_alive(process) || change->done)
        return;
    change->asked = false;
    world_trace(change->cluster->world, "modes: n%u answers %s", change->member,
                kvorum_status_name(answer->status));
    if (answer->status != KVORUM_OK)
        return;
    PROBE("modes: a bucket changed its mode");
    change->done = true;
    if (!change->cluster->plan->memory) /* which forgets, and may do so after it was told */
        check_told(change->cluster, process);
    world_cancel(change->cluster->world, &change->event);
    world_after(change->cluster->world, &change->event, 1); /* we are inside of a node */
}

static void ask(struct mode_change *change)
{
    struct cluster *cluster = change->cluster;
    struct process *process = &cluster->processes[choose(cluster->world, cluster->count)];
    if (!process->running || process->gate.closed)
        return;
    struct bucket_properties properties;
    modes_properties(cluster->plan, change->history->siblings, &properties);
    change->asked = true;
    change->member = process->member;
    change->life = process->lives;
    uint16_t shard = (uint16_t)choose(cluster->world, process->shard_count);
    process_enter(process);
    node_set_properties(process->shards[shard].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                        &properties, false, on_answer, change);
    process_leave(process, shard);
}

static void change_run(struct event *event)
{
    struct mode_change *change = LIST_ENTRY(event, struct mode_change, event);
    const struct process *asked = &change->cluster->processes[change->member];
    if (change->done) {
        mode_change_end_absence(change);
        return;
    }
    if (!change->away && !change->no_absence)
        send_some_away(change);
    if (change->asked && (!asked->running || asked->lives != change->life))
        change->asked = false; /* its promise went with it */
    if (!change->asked)
        ask(change);
    if (!event_is_set(event))
        world_after(change->cluster->world, event, ASK_AGAIN_US);
}

void mode_change_init(struct mode_change *change, struct cluster *cluster, struct history *history)
{
    *change = (struct mode_change){ .cluster = cluster, .history = history };
    event_init(&change->event, NULL, change_run);
    change->event.stream = STREAM_CHANGES;
}

void mode_change_begin(struct mode_change *change, uint64_t delay_us)
{
    world_after(change->cluster->world, &change->event, delay_us);
}

void mode_change_done(struct mode_change *change)
{
    world_cancel(change->cluster->world, &change->event);
}
