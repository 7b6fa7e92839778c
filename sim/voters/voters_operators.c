/* SPDX-License-Identifier: Apache-2.0 */
/* Those who recover the cluster, and until when they have to. */
#include <stdio.h>

#include "base/planted.h"
#include "node/recover/recover.h"
#include "sim/voters/voters_internal.h"

enum {
    NAME_SIZE = 8, /* of a member */
    BUSY_POLL_US = 4 * 1000,
};

static const uint64_t recover_limit_us = 300 * SIM_SECOND;
static const uint64_t move_limit_us = 120 * SIM_SECOND;

static void on_report(void *context, const Peer__RecoverReport *report)
{
    struct voter_operator *asker = context;
    struct voters *v = asker->run;
    world_trace(v->solo.world, "voters: operator %u: %s %s", (unsigned)(asker - v->operators),
                kvorum_status_name((kvorum_status)report->status), report->reason);
    if (report->status == KVORUM_NOT_ALLOWED &&
        strstr(report->reason, "which is a majority") != NULL)
        v->needless = true;
    if (report->status == KVORUM_CONFLICT)
        PROBE("voters: an operator came second");
    asker->waiting = false;
}

/* Operators go on for ever, also when their tape has ended: then they ask calmly. */
static void recover(struct voters *v, struct voter_operator *asker)
{
    char names[SIM_MEMBERS_MAX][NAME_SIZE];
    const char *lost[SIM_MEMBERS_MAX];
    struct recover_order order = { .does = !choose_one_in(v->solo.world, 8), .lost = lost };
    struct process *process = voters_choose_left(v);
    if (process == NULL)
        return;
    order.switched_off = !choose_one_in_apart(v->solo.world, 16);
    order.expected = choose_one_in_apart(v->solo.world, 16) ? v->solo.cluster.epoch.number : 0;
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        if (!voters_is_lost(v, i))
            continue;
        snprintf(names[i], NAME_SIZE, "n%u", i);
        lost[order.lost_count++] = names[i];
    }
    uint16_t shard = solo_choose_shard(&v->solo, process);
    asker->asked = process;
    asker->life = process->lives;
    asker->waiting = true;
    world_trace(v->solo.world, "voters: operator %u asks n%u.%u", (unsigned)(asker - v->operators),
                process->member, shard);
    process_enter(process);
    node_recover(process->shards[shard].node, &order, on_report, asker);
    process_leave(process, shard);
}

static void work(struct voters *v, struct voter_operator *asker)
{
    const struct process *asked = asker->asked;
    if (asker->waiting && (!asked->running || asked->lives != asker->life))
        asker->waiting = false; /* it took the answer along */
    if (asker->waiting || v->solo.world->now_us < asker->next_us)
        return;
    world_span(v->solo.world, (enum stream)(STREAM_CLIENTS + 1 + (asker - v->operators)));
    asker->next_us = v->solo.world->now_us + choose_delay(v->solo.world, 2 * SIM_SECOND);
    recover(v, asker);
    world_noise(v->solo.world);
}

/* --- until all go by the new line ------------------------------------------------------------ */

bool voters_line_is_known(const struct voters *v)
{
    return v->solo.cluster.book.lines > 0;
}

static bool all_left_follow(const struct voters *v, bool still)
{
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        const struct process *process = &v->solo.cluster.processes[i];
        if (!voters_is_left(v, i))
            continue;
        if (!process->running)
            return false;
        for (uint16_t s = 0; s < process->shard_count; s++) {
            const struct epoch *epoch = node_epoch(process->shards[s].node);
            if (ring_line(epoch->number) == 0 || (still && epoch->move_count > 0) ||
                (still && epoch->number != v->solo.cluster.book.count))
                return false;
        }
    }
    return true;
}

bool voters_recover_all(struct voters *v)
{
    uint64_t end_us = v->solo.world->now_us + recover_limit_us;
    for (int i = 0; i < VOTERS_OPERATORS; i++)
        v->operators[i] = (struct voter_operator){
            .run = v, .next_us = v->solo.world->now_us + choose_delay(v->solo.world, 2 * SIM_SECOND)
        };
    while (!(v->needless && !voters_line_is_known(v)) &&
           (!voters_line_is_known(v) || !all_left_follow(v, false))) {
        for (int i = 0; i < VOTERS_OPERATORS; i++)
            work(v, &v->operators[i]);
        voters_make_trouble(v);
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "liveness", "nothing is recovered after %llu s",
                       (unsigned long long)(recover_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, voters_are_busy(v)
                                          ? 1 + choose_delay(v->solo.world, BUSY_POLL_US)
                                          : SOLO_POLL_US))
            return false;
    }
    return true;
}

bool voters_come_to_rest(struct voters *v)
{
    uint64_t end_us = v->solo.world->now_us + move_limit_us;
    v->solo.cluster.network.faults.loss = 0;
    while (!all_left_follow(v, true)) {
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "liveness", "a new line still moves after %llu s",
                       (unsigned long long)(move_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    return solo_pass_time(&v->solo, SOLO_SETTLE_US);
}
