/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of background work.  To add one: a name in enum task_kind, and a row at the end. */
#include "node/drop.h"
#include "node/internal.h"
#include "node/reclaim.h"
#include "node/repair_internal.h"
#include "node/tasks.h"

/* --- partitions that come in ------------------------------------------------------------------ */

struct moving {
    uint32_t count, whole, unready;
};

static struct moving count_moves(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct moving moving = { 0 };
    for (uint32_t i = 0; i < epoch->move_count; i++) {
        const struct move *move = &epoch->moves[i];
        if (placement_store(node, move->partition) == NULL || !handoff_receives(node, move))
            continue;
        moving.count++;
        moving.whole += handoff_is_whole(node, move);
        moving.unready += !handoff_ready(node, move->partition);
    }
    return moving;
}

/* A run lasts from the first move until there is none. */
static void follow_run(struct node *node, const struct moving *moving)
{
    struct tasks *tasks = node->tasks;
    if (tasks->moves.moving == 0 && moving->count > 0) {
        tasks->moves.runs++;
        tasks->moves.total = 0;
        tasks->moves.size_before = node->counters.stream_bytes;
        tasks->moves.done_before = moving->whole;
    }
    if (moving->count > tasks->moves.moving)
        tasks->moves.total += moving->count - tasks->moves.moving;
    tasks->moves.moving = moving->count;
}

/* As if all partitions were alike, and those under way half here. */
static uint64_t estimate_size(const struct tasks *tasks, const struct task_figures *figures)
{
    uint64_t before = tasks->moves.done_before;
    uint64_t halves = 2 * (figures->done - before);
    if (figures->done >= figures->total)
        return figures->size;
    if (figures->done < before + 2)
        return 0;
    return (uint64_t)((double)figures->size * (double)(2 * (figures->total - before)) /
                      (double)(halves + HANDOFF_STREAMS_MAX));
}

static void look_at_moves(struct node *node, struct task_figures *ret)
{
    const struct moving moving = count_moves(node);
    const struct node_counters *counters = &node->counters;
    const struct handoff *handoff = node->handoff;
    struct tasks *tasks = node->tasks;
    follow_run(node, &moving);
    ret->active = moving.count > 0;
    ret->paused = handoff->paused;
    ret->throttled =
        moving.whole < moving.count && throttle_free_us(&handoff->throttle) > node->now_us;
    ret->runs = tasks->moves.runs;
    ret->total = tasks->moves.total;
    ret->done = tasks->moves.total - moving.count + moving.whole;
    ret->size = tasks->moves.runs == 0 ? 0 : counters->stream_bytes - tasks->moves.size_before;
    ret->size_total = tasks->moves.runs == 0 ? 0 : estimate_size(tasks, ret);
    ret->advances = counters->stream_bytes + counters->streams_received + ret->done +
                    node->config.epoch->number + handoff->swept;
    ret->limit = handoff->throttle.rate;
    if (moving.count > 0 && moving.whole == moving.count)
        ret->note = TASK_NOTE_OTHERS;
    else if (receive_waits_for(node, &ret->member))
        ret->note = TASK_NOTE_SOURCE;
    else if (moving.unready > 0 && handoff->stream_count == 0)
        ret->note = TASK_NOTE_SWEEP;
}

/* --- comparisons that somebody asked for ------------------------------------------------------ */

static void look_at_repair(struct node *node, struct task_figures *ret)
{
    const struct node_counters *counters = &node->counters;
    const struct repair_demand *demand = &node->repair->demand;
    struct tasks *tasks = node->tasks;
    uint64_t size = counters->repair_bytes_in + counters->repair_bytes_out;
    if (tasks->repair_demand != demand->number) {
        tasks->repair_demand = demand->number;
        tasks->repair_size_before = size;
    }
    ret->active = counters->repair_demand_done < counters->repair_demand_total;
    ret->paused = demand->paused;
    ret->throttled = throttle_free_us(&demand->throttle) > node->now_us;
    ret->runs = counters->repair_demands;
    ret->done = counters->repair_demand_done;
    ret->total = counters->repair_demand_total;
    ret->failed = counters->repair_demand_failed;
    ret->size = demand->number == 0 ? 0 : size - tasks->repair_size_before;
    ret->advances = counters->repair_exchanges + counters->repair_keys_compared +
                    counters->repair_scanned_keys + size;
    ret->limit = demand->throttle.rate;
}

/* --- what dropped buckets left ---------------------------------------------------------------- */

static void look_at_reclaim(struct node *node, struct task_figures *ret)
{
    const struct reclaim *reclaim = node->reclaim;
    ret->active = reclaim->running;
    ret->paused = reclaim->paused;
    ret->throttled = throttle_free_us(&reclaim->throttle) > node->now_us;
    ret->runs = reclaim->runs;
    ret->done = reclaim->partitions;
    ret->total = reclaim->total;
    ret->size = reclaim->size;
    ret->advances = reclaim->partitions + reclaim->size + reclaim->buckets;
    ret->limit = reclaim->throttle.rate;
}

/* --- the kinds -------------------------------------------------------------------------------- */

const struct task_source task_sources[TASK_KINDS] = {
    [TASK_MOVE] = { "move", "partitions", look_at_moves, handoff_pause, handoff_limit, NULL,
                    "a committed move is not given up: what is written meanwhile goes to the old "
                    "and to the new owners. Let it end, or slow it down (kvorum tasks limit, "
                    "pause); then kvorum cluster leave takes a node out again" },
    [TASK_REPAIR] = { "repair", "pairs", look_at_repair, repair_pause, repair_limit, repair_cancel,
                      NULL },
    [TASK_RECLAIM] = { "reclaim", "partitions", look_at_reclaim, reclaim_pause, reclaim_limit, NULL,
                       "what was dropped is dropped: nobody can read it any more, and only its "
                       "room "
                       "is given back. Slow it down, or pause it (kvorum tasks limit, pause)" },
};
