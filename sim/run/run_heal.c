/* SPDX-License-Identifier: Apache-2.0 */
#include "node/epochs/epochs.h"
#include "sim/run/run_internal.h"

enum { RECOGNITION_PATIENCES = 3 };

static const uint64_t move_limit_us = 120 * SIM_SECOND;
static const uint64_t drain_us = 12 * SIM_SECOND;

/* --- what is waited for ---------------------------------------------------------------------- */

static bool all_running(const struct simulation *s)
{
    return cluster_all_running(&s->cluster);
}

static bool sees_all(const struct node *node)
{
    const struct epoch *epoch = node_epoch(node);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && node_liveness(node, i) != LIVENESS_ALIVE)
            return false;
    return true;
}

static bool all_see_all(const struct simulation *s)
{
    for (uint16_t i = 0; i < s->cluster.count; i++) {
        const struct process *process = &s->cluster.processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++)
            if (!sees_all(process->shards[shard].node))
                return false;
    }
    return true;
}

/* Members that were taken for dead must hear of it and say that they are not; probes go round. */
static uint64_t recognition_limit_us(const struct simulation *s)
{
    return RECOGNITION_PATIENCES * plan_patience_us(&s->plan) + 10 * SIM_SECOND;
}

static bool settled(const struct simulation *s)
{
    return departures_settled(&s->epoch_changes.departures);
}

/* Another epoch may come of what a voter accepted, or of what this one began. */
static bool is_open(const struct process *process)
{
    return node_epoch(process->shards[0].node)->move_count > 0 ||
           epochs_undecided(process->shards[0].node);
}

/* All shards have the same epoch, in which nothing moves, and no other is about to come: a change
 * that waits in line at some node may begin moves, at whose end a member goes, and a voter may have
 * accepted one that only a member knew to be decided whose disk was lost. */
static bool moved(const struct simulation *s)
{
    const struct cluster *cluster = &s->cluster;
    if (!epoch_changes_settled(&s->epoch_changes))
        return false;
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        bool counts = process->running && !epoch_book_gone(&cluster->book, i);
        if (counts && is_open(process))
            return false;
        for (uint16_t shard = 0; counts && shard < process->shard_count; shard++)
            if (node_epoch(process->shards[shard].node)->number != cluster->book.count)
                return false;
    }
    return true;
}

/* --- healing --------------------------------------------------------------------------------- */

/* Whoever is lost is removed while the rest is well, or comes back; nobody waits for him. */
static bool heal_without_the_lost(struct simulation *s)
{
    if (!run_wait_for(s, settled, move_limit_us, "removing a member that is lost"))
        return false;
    departures_give_back(&s->epoch_changes.departures);
    departures_retire(&s->epoch_changes.departures);
    return true;
}

static bool retire(struct simulation *s)
{
    departures_retire(&s->epoch_changes.departures);
    return true;
}

bool run_heal(struct simulation *s)
{
    mode_change_end_absence(&s->mode_change);
    epoch_changes_end(&s->epoch_changes);
    cluster_heal(&s->cluster);
    if (!heal_without_the_lost(s) ||
        !run_wait_for(s, all_running, RUN_RESTART_LIMIT_US, "restarting after healing") ||
        !run_wait_for(s, run_finished, RUN_RESTART_LIMIT_US, "answering what was in flight") ||
        !run_pass_time(s, RUN_SETTLE_US))
        return false;
    cluster_restart_all(&s->cluster); /* a member whose disk failed confirms nothing before */
    return run_wait_for(s, all_running, RUN_RESTART_LIMIT_US, "restarting everything") &&
           run_wait_for_mode(s) && run_wait_for(s, moved, move_limit_us, "moving partitions") &&
           retire(s) && run_pass_time(s, drain_us) &&
           run_wait_for(s, all_see_all, recognition_limit_us(s),
                        "finding out that all are alive") &&
           run_wait_for_drops(s);
}
