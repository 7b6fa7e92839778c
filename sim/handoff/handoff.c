/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/handoff/handoff.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/handoff/handoff_internal.h"

enum {
    VALUE_SIZE_MAX = 2000,
    AWAY_MAX = 2,
    LIFE_MIN_MS = 500,
    LIFE_MAX_MS = 120 * 1000,
};

static const uint64_t death_us = 6 * SIM_SECOND;
static const uint64_t limit_us = 400 * SIM_SECOND;

/* --- what a run is made of ------------------------------------------------------------------- */

static const struct solo_bounds bounds = {
    .members_min = 4,
    .replicas_min = 2,
    .latency_steps = 8,
    .delay_steps = 6,
    .loss = 30000,
    .keys_max = HANDOFF_KEYS_MAX,
};

static void draw_plan(struct handoff *h)
{
    struct world *world = h->solo.world;
    struct plan *plan = &h->solo.plan;
    if (choose_one_in(world, 2))
        plan->limits.hints = choose_between(world, 1, 6);
    if (choose_one_in(world, 3))
        plan->limits.hint_rate = choose_between(world, 2000, 100000);
    h->destroys = choose_one_in(world, 4);
    if (h->destroys)
        plan->limits.hint_horizon_ms = choose_between(world, 200, 8000);
    h->moves = !h->destroys && choose_one_in(world, 2);
    bucket_properties_init(&h->properties);
    h->properties.handoff_strategy = (int8_t)choose(world, HANDOFF_STRATEGIES);
    h->properties.levels.n = plan->replica_count;
}

static void describe(const struct handoff *h, struct run_result *ret)
{
    const struct plan *plan = &h->solo.plan;
    snprintf(ret->plan, sizeof(ret->plan),
             "handoff, %u nodes, n=%u, %u partitions, %s%s%s, hints %llu, rate %llu, loss %u",
             plan->member_count, plan->replica_count, plan->partition_count,
             handoff_strategy_name((enum handoff_strategy)h->properties.handoff_strategy),
             h->moves ? ", a new epoch" : "", h->destroys ? ", a short horizon" : "",
             (unsigned long long)plan->limits.hints, (unsigned long long)plan->limits.hint_rate,
             plan->network.loss);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct process *handoff_choose_process(void *context)
{
    struct handoff *h = context;
    for (;;) {
        struct process *process =
            &h->solo.cluster.processes[choose(h->solo.world, h->solo.cluster.count)];
        if (process->running)
            return process;
    }
}

static struct bytes make_value(struct handoff *h, int32_t number, char *memory)
{
    int size = snprintf(memory, VALUE_SIZE_MAX, "w%08d ", number);
    size_t whole = (size_t)choose_between(h->solo.world, (uint64_t)size, VALUE_SIZE_MAX);
    memset(memory + size, 'v', whole - (size_t)size);
    return bytes_make(memory, whole);
}

/* One write after another of a key, so the last acknowledged is what counts. */
static bool write_key(struct handoff *h, uint32_t key, bool away)
{
    char name[SIM_KEY_SIZE], memory[VALUE_SIZE_MAX];
    struct written *written = &h->written[key];
    struct process *process = handoff_choose_process(h);
    uint16_t shard = solo_choose_shard(&h->solo, process);
    int32_t number = (int32_t)h->solo.operations++;
    history_key(key, name);
    struct operation operation = solo_operation(OPERATION_PUT, name);
    operation.value = make_value(h, number, memory);
    operation.flags = OPERATION_OVERWRITE;
    operation.levels.sloppy = 1;
    operation.levels.w = (uint32_t)choose_between(h->solo.world, 1, h->solo.plan.replica_count);
    operation.levels.dw = 1;
    /* Else the only copy may be one that the horizon destroys. */
    operation.levels.pw = h->destroys ? 1 : 0;
    if (choose_one_in(h->solo.world, 3))
        operation.deadline_ms =
            handoff_wall_ms(process) + choose_between(h->solo.world, LIFE_MIN_MS, LIFE_MAX_MS);
    if (operation.deadline_ms > h->last_deadline_ms)
        h->last_deadline_ms = operation.deadline_ms;
    struct asked asked;
    written->tried = number;
    world_trace(h->solo.world, "write %d of %s at n%u.%u, w=%u", number, name, process->member,
                shard, operation.levels.w);
    if (!solo_ask(&h->solo, process, shard, &operation, &asked))
        return false;
    world_trace(h->solo.world, "write %d: %s", number,
                asked.answered ? kvorum_status_name(asked.status) : "lost");
    if (!asked.answered || asked.status != KVORUM_OK) {
        written->unsure |= operation.deadline_ms != 0;
        return true;
    }
    h->solo.acknowledged++;
    written->number = number;
    written->away = away;
    written->deadline_ms = operation.deadline_ms;
    return true;
}

static bool write_all(struct handoff *h, bool away)
{
    for (uint32_t key = 0; key < h->solo.keys; key++)
        if (away || choose_one_in(h->solo.world, 2))
            if (!write_key(h, key, away) ||
                !solo_pass_time(&h->solo, choose_delay(h->solo.world, 5 * SIM_MILLISECOND)))
                return false;
    return true;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void send_away(struct handoff *h)
{
    uint64_t count = choose_between(h->solo.world, 1, h->moves ? 1 : AWAY_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct process *process = handoff_choose_process(h);
        h->away[process->member] = true;
        process->held_down = true;
        process_stop(process);
    }
}

static bool all_up(const struct handoff *h)
{
    for (uint16_t i = 0; i < h->solo.cluster.count; i++)
        if (!h->away[i] && !h->solo.cluster.processes[i].running)
            return false;
    return true;
}

static bool wait_all_up(struct handoff *h)
{
    uint64_t end_us = h->solo.world->now_us + limit_us;
    while (!all_up(h) && h->solo.world->now_us < end_us)
        if (!solo_pass_time(&h->solo, SOLO_POLL_US))
            return false;
    return true;
}

/* Whoever is away gives each of its places to a member that is no owner there. */
static void give_places(struct handoff *h)
{
    struct epoch *epoch = &h->solo.cluster.epoch;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t *row = epoch->table + (size_t)p * epoch->replica_count;
        uint16_t list[SIM_MEMBERS_MAX];
        uint16_t count = ring_preference(epoch, p, list, SIM_MEMBERS_MAX);
        for (uint8_t i = 0; i < epoch->replica_count; i++)
            if (h->away[row[i]] && count > epoch->replica_count)
                row[i] = list[choose_between(h->solo.world, epoch->replica_count, count - 1u)];
    }
    epoch->number++;
}

/* While everybody is down, so that nobody is of two minds. */
static bool begin_epoch(struct handoff *h)
{
    struct cluster *cluster = &h->solo.cluster;
    if (!wait_all_up(h) || !solo_pass_time(&h->solo, SOLO_SETTLE_US))
        return false;
    for (uint16_t i = 0; i < cluster->count; i++)
        process_stop(&cluster->processes[i]);
    give_places(h);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        if (identity_save_epoch(&process->disk.base, &process->identity, &cluster->epoch) !=
            KVORUM_OK)
            abort();
    }
    for (uint16_t i = 0; i < cluster->count; i++)
        if (!h->away[i])
            process_start(&cluster->processes[i]);
    return true;
}

static void come_back(struct handoff *h)
{
    for (uint16_t i = 0; i < h->solo.cluster.count; i++) {
        struct process *process = &h->solo.cluster.processes[i];
        process->held_down = false;
        if (h->away[i] && !process->running)
            process_start_after(process, 1 + choose(h->solo.world, SIM_SECOND));
    }
    memset(h->away, 0, sizeof(h->away));
}

static void crash_one(struct handoff *h)
{
    struct process *process = handoff_choose_process(h);
    process_crash(process, choose_one_in(h->solo.world, 2));
    process_start_after(process, 1 + choose(h->solo.world, SIM_SECOND));
}

/* --- running dry ----------------------------------------------------------------------------- */

static uint64_t count_owed(const struct process *process)
{
    uint64_t owed = 0;
    for (uint16_t i = 0; i < process->shard_count; i++)
        for (uint16_t member = 0; member < SIM_MEMBERS_MAX; member++) {
            struct node_hints hints;
            node_hints(process->shards[i].node, member, &hints);
            owed += hints.count + hints.marks;
        }
    return owed;
}

static bool all_dry(const struct handoff *h)
{
    uint64_t owed = 0;
    for (uint16_t i = 0; i < h->solo.cluster.count; i++) {
        const struct process *process = &h->solo.cluster.processes[i];
        if (!process->running)
            return false;
        owed += count_owed(process);
    }
    return owed == 0;
}

static bool run_dry(struct handoff *h)
{
    uint64_t end_us = h->solo.world->now_us + limit_us;
    uint64_t crashes = choose(h->solo.world, 4);
    while (!all_dry(h)) {
        if (h->solo.world->now_us >= end_us) {
            world_fail(h->solo.world, "liveness", "what is owed is not handed over after %llu s",
                       (unsigned long long)(limit_us / SIM_SECOND));
            return false;
        }
        if (!solo_pass_time(&h->solo, 1 + choose(h->solo.world, SIM_SECOND)))
            return false;
        if (crashes > 0 && choose_one_in(h->solo.world, 3)) {
            crashes--;
            crash_one(h);
        }
    }
    return wait_all_up(h) && solo_pass_time(&h->solo, SOLO_SETTLE_US);
}

/* --- a run ----------------------------------------------------------------------------------- */

static void play(struct handoff *h)
{
    if (!solo_set_properties(&h->solo, &h->properties, handoff_choose_process, h) ||
        !write_all(h, false) || !solo_pass_time(&h->solo, SOLO_SETTLE_US))
        return;
    send_away(h);
    h->solo.cluster.network.faults = h->solo.plan.network;
    if (!solo_pass_time(&h->solo, choose(h->solo.world, 2) * death_us) || !write_all(h, true) ||
        !solo_pass_time(&h->solo, death_us))
        return;
    if (choose_one_in(h->solo.world, 2))
        crash_one(h);
    if (!wait_all_up(h) || !write_all(h, true) || (h->moves && !begin_epoch(h)))
        return;
    if (h->destroys &&
        !solo_pass_time(&h->solo, h->solo.plan.limits.hint_horizon_ms * SIM_MILLISECOND))
        return;
    if (!solo_pass_time(&h->solo, SOLO_SETTLE_US))
        return;
    come_back(h);
    if (!solo_pass_time(&h->solo, SOLO_SETTLE_US) || !run_dry(h))
        return;
    for (uint32_t key = 0; key < h->solo.keys && h->solo.world->violation.checker == NULL; key++)
        handoff_check_key(h, key);
    h->solo.cluster.network.faults.loss = 0;
    handoff_check_deadlines(h);
    if (h->solo.world->violation.checker == NULL)
        handoff_outlive_all(h);
}

void handoff_play(struct world *world, uint32_t keys, struct run_result *ret_result)
{
    struct handoff *h = calloc(1, sizeof(*h));
    if (h == NULL)
        abort();
    solo_draw(&h->solo, world, keys, &bounds);
    draw_plan(h);
    describe(h, ret_result);
    for (uint32_t key = 0; key < h->solo.keys; key++)
        h->written[key] = (struct written){ .number = -1, .tried = -1 };
    solo_begin(&h->solo, ret_result);
    play(h);
    ret_result->durable = true;
    solo_end(&h->solo, ret_result);
    free(h);
}
