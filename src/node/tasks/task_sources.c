/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of background work.  To add one: a name in enum task_kind, and a row at the end. */
#include "node/buckets/drop.h"
#include "node/buckets/reclaim.h"
#include "node/hints/hints.h"
#include "node/internal.h"
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub_internal.h"
#include "node/tasks/tasks.h"

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
    ret->asked_us = demand->asked_us;
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

/* --- hints for members that are back ---------------------------------------------------------- */

struct owed {
    uint64_t count, size; /* to members that are alive; of who leaves, to all */
    bool throttled;
    uint16_t away; /* one that is owed something, and away */
};

static struct owed count_owed(struct node *node)
{
    struct owed owed = { .away = RING_NO_MEMBER };
    struct list *queues = &node->hints->queues;
    for (struct list *item = queues->next; item != queues; item = item->next) {
        const struct hint_queue *queue = LIST_ENTRY(item, struct hint_queue, link);
        uint16_t member = hints_target(node, queue);
        if (queue->used.count == 0)
            continue;
        if (member == RING_NO_MEMBER || node_liveness(node, member) != LIVENESS_ALIVE) {
            owed.away = member;
            if (!parting_is_leaving(node))
                continue;
        }
        owed.count += queue->used.count;
        owed.size += queue->used.size;
        owed.throttled |= queue->pace.failures == 0 && queue->pace.credit <= 0;
    }
    return owed;
}

static void look_at_hints(struct node *node, struct task_figures *ret)
{
    const struct node_counters *counters = &node->counters;
    const struct hints *hints = node->hints;
    const struct owed owed = count_owed(node);
    struct tasks *tasks = node->tasks;
    uint64_t settled =
        counters->hints_delivered + counters->hints_rerouted + counters->hints_destroyed;
    if (tasks->hints.left == 0 && owed.count > 0) {
        tasks->hints.runs++;
        tasks->hints.settled_before = settled;
        tasks->hints.size_before = hints->sent_size;
    }
    tasks->hints.left = owed.count;
    ret->active = owed.count > 0;
    ret->paused = hints->paused;
    ret->throttled = owed.throttled;
    ret->runs = tasks->hints.runs;
    ret->done = ret->runs == 0 ? 0 : settled - tasks->hints.settled_before;
    ret->total = ret->done + owed.count;
    ret->size = ret->runs == 0 ? 0 : hints->sent_size - tasks->hints.size_before;
    ret->size_total = ret->size + owed.size;
    ret->advances = settled + hints->sent_size;
    ret->limit = hints->pace.rate >= HINTS_UNLIMITED ? 0 : hints->pace.rate;
    if (owed.away != RING_NO_MEMBER) {
        ret->note = TASK_NOTE_AWAY;
        ret->member = owed.away;
    }
}

/* --- the comparison of all pairs, over and over ----------------------------------------------- */

static void look_at_compare(struct node *node, struct task_figures *ret)
{
    const struct node_counters *counters = &node->counters;
    const struct repair *repair = node->repair;
    struct tasks *tasks = node->tasks;
    uint64_t size = counters->repair_bytes_in + counters->repair_bytes_out;
    if (tasks->compare.runs != repair->passes + 1) {
        tasks->compare.runs = repair->passes + 1;
        tasks->compare.size_before = size;
        tasks->compare.failed_before = counters->repair_failures;
    }
    ret->active = repair->pass_total > 0;
    ret->paused = repair->pass_paused;
    ret->throttled = repair->pass_us > node->now_us; /* it keeps to its timetable */
    ret->runs = tasks->compare.runs;
    ret->done = repair->pass_done;
    ret->total = repair->pass_total > ret->done ? repair->pass_total : ret->done;
    ret->failed = counters->repair_failures - tasks->compare.failed_before;
    ret->size = size - tasks->compare.size_before;
    ret->advances = repair->pass_done + counters->repair_exchanges;
    ret->left_us = (ret->total - ret->done) * repair->pair_us;
}

/* --- looking for rot -------------------------------------------------------------------------- */

enum { KILO = 1000 };

static void look_at_scrub(struct node *node, struct task_figures *ret)
{
    const struct node_counters *counters = &node->counters;
    const struct scrub *scrub = node->scrub;
    struct tasks *tasks = node->tasks;
    uint64_t runs = counters->scrub_passes + scrub->active;
    if (tasks->scrub.runs != runs) {
        tasks->scrub.runs = runs;
        tasks->scrub.damaged_before = counters->scrub_damaged;
    }
    ret->active = scrub->active;
    ret->paused = scrub->paused;
    ret->throttled = throttle_free_us(&scrub->throttle) > node->now_us;
    ret->runs = runs;
    ret->size = counters->scrub_pass_size;
    ret->size_total =
        counters->scrub_pass_total > ret->size ? counters->scrub_pass_total : ret->size;
    ret->done = ret->size / KILO;
    ret->total = ret->size_total / KILO;
    ret->failed = counters->scrub_damaged - tasks->scrub.damaged_before;
    ret->advances = counters->scrub_size + counters->scrub_passes;
    ret->limit = scrub->throttle.rate;
}

/* --- the kinds -------------------------------------------------------------------------------- */

const struct task_source task_sources[TASK_KINDS] = {
    [TASK_MOVE] = { "move", "partitions", TASK_ASKED, look_at_moves, handoff_pause, handoff_limit,
                    NULL,
                    "a committed move is not given up: what is written meanwhile goes to the old "
                    "and to the new owners. Let it end, or slow it down (kvorum tasks limit, "
                    "pause); then kvorum cluster leave takes a node out again" },
    [TASK_REPAIR] = { "repair", "pairs", TASK_ASKED, look_at_repair, repair_pause, repair_limit,
                      repair_cancel, NULL },
    [TASK_HINTS] = { "hints", "hints", TASK_ASKED, look_at_hints, hints_pause, hints_limit, NULL,
                     "hints are writes that were acknowledged, and what they are for is owed. Let "
                     "it end, or slow it down (kvorum tasks limit, pause)" },
    [TASK_COMPARE] = { "compare", "pairs", TASK_ENDLESS, look_at_compare, repair_pass_pause, NULL,
                       NULL,
                       "it begins anew each time it is through; kvorum tasks pause stops it" },
    [TASK_SCRUB] = { "scrub", "kB", TASK_BACKGROUND, look_at_scrub, scrub_pause, scrub_limit, NULL,
                     "it would only begin again; kvorum tasks pause stops it" },
    [TASK_RECLAIM] = { "reclaim", "partitions", TASK_ASKED, look_at_reclaim, reclaim_pause,
                       reclaim_limit, NULL,
                       "what was dropped is dropped: nobody can read it any more, and only its "
                       "room "
                       "is given back. Slow it down, or pause it (kvorum tasks limit, pause)" },
};
