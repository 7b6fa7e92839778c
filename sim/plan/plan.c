/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plan/plan.h"

static bool one_in(struct world *world, uint64_t n)
{
    return choose_one_in(world, n);
}

static void draw_shape(struct world *world, struct plan *plan)
{
    static const uint16_t sizes[] = { 1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7 };
    plan->member_count = sizes[choose(world, sizeof(sizes) / sizeof(*sizes))];
    plan->partition_count = 1u << choose_between(world, 2, 6);
    uint16_t most = plan->member_count < 5 ? plan->member_count : 5;
    plan->replica_count = (uint8_t)(one_in(world, 3) ? choose_between(world, 1, most)
                                    : most < 3       ? most
                                                     : 3);
    bool many_stores = one_in(world, 2);
    for (uint16_t i = 0; i < SIM_MEMBERS_MAX; i++)
        plan->store_count[i] =
            (uint16_t)(many_stores ? choose_between(world, 1, SIM_STORES_MAX) : 1);
    plan->memory = one_in(world, 12);
    plan->sync = one_in(world, 8) ? (enum node_sync)choose(world, 3) : NODE_SYNC_ALWAYS;
    plan->mapped = one_in(world, 2);
    plan->jobs_latency_us = UINT64_C(20) << choose(world, 11); /* 20 us .. 20 ms */
    sizes_draw(world, &plan->sizes);
    plan->epoch_us = one_in(world, 2) ? 0 : SIM_SECOND / 50 << choose(world, 7);
    if (plan->epoch_us != 0)
        plan->joiner_count = (uint16_t)choose(world, SIM_MEMBERS_MAX - plan->member_count + 1u);
}

/* n is asked for as a number, so the other levels may be anything up to it. */
static void draw_levels(struct world *world, struct plan *plan)
{
    struct quorum_levels *levels = &plan->levels;
    quorum_levels_init(levels);
    uint32_t n = plan->replica_count;
    levels->n = n;
    levels->sloppy = (int8_t)choose(world, 2);
    if (one_in(world, 3)) {
        levels->r = (uint32_t)choose_between(world, 1, n);
        levels->w = (uint32_t)choose_between(world, 1, n);
    } else {
        levels->r = (uint32_t)choose_between(world, 1, n);
        levels->w = n + 1 - levels->r; /* just enough */
    }
    levels->dw = (uint32_t)choose_between(world, plan->memory ? 0 : 1, levels->w);
    levels->pr = one_in(world, 4) ? (uint32_t)choose(world, n + 1) : 0;
    levels->pw = one_in(world, 4) ? (uint32_t)choose(world, n + 1) : 0;
    if (plan->memory)
        levels->dw = 0;
    plan->siblings = !one_in(world, 3);
    plan->mode_changes = plan->member_count > 1 && one_in(world, 3);
    plan->mode_changes_first = one_in(world, 2);
    plan->varied_levels = one_in(world, 5);
    if (one_in(world, 6))
        plan->limits.siblings = (uint32_t)choose_between(world, 2, 10);
    if (one_in(world, 12))
        plan->limits.requests = (uint32_t)choose_between(world, 3, 20);
    if (one_in(world, 4))
        plan->limits.hints = choose_between(world, 1, 8);
    plan->strategy = (enum handoff_strategy)choose(world, HANDOFF_STRATEGIES);
}

static void draw_zones(struct world *world, struct plan *plan)
{
    static const struct {
        uint32_t w, r;
    } pairs[] = { { LEVEL_EACH_QUORUM, LEVEL_LOCAL_QUORUM },
                  { LEVEL_LOCAL_QUORUM, LEVEL_EACH_QUORUM },
                  { LEVEL_LOCAL_QUORUM, LEVEL_LOCAL_QUORUM } };
    struct quorum_levels *levels = &plan->levels;
    plan->zoned = one_in(world, 4);
    if (!plan->zoned)
        return;
    uint64_t pair = choose(world, sizeof(pairs) / sizeof(*pairs));
    levels->w = pairs[pair].w;
    levels->r = pairs[pair].r;
    levels->dw = plan->memory ? 0 : levels->w;
    levels->pr = levels->pw = 0;
    plan->varied_levels = false;
}

void plan_vary_levels(struct world *world, struct quorum_levels *levels)
{
    uint32_t n = levels->n;
    levels->r = (uint32_t)choose_between(world, 1, n);
    levels->w = (uint32_t)choose_between(world, 1, n);
    levels->dw = levels->dw == 0 ? 0 : (uint32_t)choose_between(world, 1, levels->w);
    levels->pr = (uint32_t)choose(world, levels->r + 1);
    levels->pw = (uint32_t)choose(world, levels->w + 1);
    levels->node_confirms = (uint32_t)choose(world, levels->w + 1);
    levels->notfound_ok = (int8_t)choose(world, 2);
    levels->basic_quorum = (int8_t)choose(world, 2);
    levels->sloppy = (int8_t)choose(world, 2);
}

static void draw_workload(struct world *world, struct plan *plan, uint32_t operation_count)
{
    plan->operation_count = operation_count;
    plan->client_count = (uint16_t)choose_between(world, 1, SIM_CLIENTS_MAX);
    plan->key_count =
        (uint32_t)(one_in(world, 2) ? choose_between(world, 1, 4) : choose_between(world, 5, 60));
    plan->hot_keys = plan->key_count > 4 && one_in(world, 2) ? 2 : 0;
    for (int i = 0; i < ACTION_COUNT; i++)
        plan->weights[i] = one_in(world, 2) ? 0 : (uint32_t)choose_between(world, 1, 100);
    plan->weights[ACTION_GET] = (uint32_t)choose_between(world, 20, 100);
    plan->weights[ACTION_PUT_CONTEXT] += 20; /* a run without any write would be a waste */
    plan->weights[ACTION_LIST] /= 10;
    plan->weights[ACTION_PROPERTIES] /= 20;
    plan->return_body = one_in(world, 2) ? 0 : 300000;
    plan->cancelled = one_in(world, 4) ? 100000 : 0;
    plan->value_size_max = one_in(world, 4) ? 6000 : 200;
    plan->think_us = UINT64_C(500) << choose(world, 8); /* 0.5 .. 64 ms */
    plan->timeout_ms = (uint32_t)choose_between(world, 200, 4000);
}

static void draw_network(struct world *world, struct plan *plan)
{
    struct network_faults *faults = &plan->network;
    faults->delay_us = UINT64_C(100) << choose(world, 8); /* 0.1 .. 13 ms */
    faults->reordering = one_in(world, 2);
    if (one_in(world, 2))
        faults->loss = (uint32_t)choose(world, 100000);
    if (one_in(world, 2))
        faults->duplication = (uint32_t)choose(world, 200000);
    if (one_in(world, 4))
        faults->corruption = (uint32_t)choose(world, 5000);
    plan->gossip = *swim_preset(one_in(world, 3) ? SWIM_LAN : SWIM_LOCAL);
    plan->drift_ppm_max = one_in(world, 2) ? 200 : 20000;
    plan->wall_offset_ms_max = one_in(world, 2) ? 50 : 3600 * 1000;
}

static bool forgets(const struct plan *plan)
{
    static const enum fault forgetting[] = { FAULT_CRASH, FAULT_FUSE, FAULT_CRASH_ALL,
                                             FAULT_DISK_ERRORS };
    for (size_t i = 0; i < sizeof(forgetting) / sizeof(*forgetting); i++) {
        if (plan->faults[forgetting[i]] > 0)
            return true;
    }
    return plan->memory && (plan->faults[FAULT_STOP] > 0 || plan->faults[FAULT_DISK_FULL] > 0);
}

static void draw_faults(struct world *world, struct plan *plan)
{
    uint32_t sum = 0;
    for (int i = 0; i < FAULT_YESTERDAY; i++) {
        plan->faults[i] = one_in(world, 2) ? 0 : (uint32_t)choose_between(world, 1, 100);
        sum += plan->faults[i];
    }
    plan->fault_interval_us =
        one_in(world, 10) || sum == 0 ? 0 : SIM_SECOND / 20 << choose(world, 7);
    plan->repair_us = SIM_SECOND / 20 << choose(world, 8);
    if (plan->fault_interval_us == 0) {
        for (int i = 0; i < FAULT_COUNT; i++)
            plan->faults[i] = 0;
    }
    plan->crashes = forgets(plan);
}

static void judge_strength(struct plan *plan)
{
    const struct quorum_levels *levels = &plan->levels;
    bool meets = levels->r + levels->w > levels->n;
    if (plan->zoned) /* a zone that is given another label, or a replica, has not what it had */
        meets = plan->epoch_us == 0 && levels->r != levels->w;
    /* One who is taken for lost, and is not, may answer a read by himself. */
    plan->strong = plan->durable && !plan->varied_levels && plan->losses_max == 0 &&
                   levels->sloppy == 0 && meets;
}

/* It forgets what it acknowledged, whatever was synced.  The cluster has room for one such member:
 * where one voter decides alone, or of several that forgot, nobody knows what they had promised. */
void plan_put_back(struct world *world, struct plan *plan)
{
    plan->memory = false;
    if (plan->member_count < 3)
        plan->member_count = 3;
    if (plan->joiner_count > SIM_MEMBERS_MAX - plan->member_count)
        plan->joiner_count = (uint16_t)(SIM_MEMBERS_MAX - plan->member_count);
    plan->losses_max = 0;
    plan->faults[FAULT_YESTERDAY] = 150;
    plan->crashes = true;
    plan->durable = false;
    plan->mode_changes = false; /* it may forget the mode, and write in the old one until told */
    if (plan->levels.dw == 0)
        plan->levels.dw = 1;
    if (plan->fault_interval_us == 0)
        plan->fault_interval_us = SIM_SECOND / 2;
    if (plan->epoch_us == 0)
        plan->epoch_us = SIM_SECOND / 50 << choose(world, 5);
    judge_strength(plan);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* In a third of the runs the disk of one member is put back besides: what is acknowledged is on two
 * disks then, so a delete is not forgotten. */
void plan_collect(struct world *world, struct plan *plan)
{
    static const uint64_t ages_ms[] = { 1, 10, 50, 200, 1000 };
    struct quorum_levels *levels = &plan->levels;
    world_span(world, STREAM_PLAN);
    plan->collect.age_ms = ages_ms[choose(world, sizeof(ages_ms) / sizeof(*ages_ms))];
    plan->collect.pause_us = SIM_MILLISECOND << choose(world, 6);
    plan->collect.interval_us = (10 * SIM_MILLISECOND) << choose(world, 7);
    plan->weights[ACTION_DELETE_CONTEXT] += 40;
    plan->weights[ACTION_DELETE_BLIND] += (uint32_t)choose(world, 40);
    plan->weights[ACTION_PUT_BLIND] += (uint32_t)choose(world, 40);
    bool put_back = choose(world, 3) == 2 && plan->replica_count >= 2;
    if (put_back) {
        plan_put_back(world, plan);
        plan->varied_levels = plan->zoned = false;
        plan->sync = NODE_SYNC_ALWAYS;
        levels->r = level_is_zoned(levels->r) ? 1 : levels->r;
        levels->w = level_is_zoned(levels->w) ? 2 : larger(levels->w, 2);
        levels->dw = level_is_zoned(levels->dw) ? 2 : larger(levels->dw, 2);
        judge_strength(plan);
    }
    plan->deletes_hold = put_back || plan->durable;
}

/* Nobody can give back what is lost, and nothing may move: all that is asked is that it is said. */
static void leave_one_replica(struct plan *plan)
{
    struct quorum_levels *levels = &plan->levels;
    levels->n = levels->r = levels->w = levels->dw = plan->replica_count = 1;
    plan->epoch_us = 0;
    plan->joiner_count = 0;
    plan->mode_changes = plan->unread = false;
}

/* What is acknowledged must be on one disk more than may be damaged, each an owner's: who stands in
 * for one holds hints, which nobody else can give back.  Reads are of owners too. */
void plan_decay(struct world *world, struct plan *plan)
{
    struct quorum_levels *levels = &plan->levels;
    plan->decays = true;
    plan->memory = false;
    if (plan->member_count < 3)
        plan->member_count = 3;
    if (plan->joiner_count > SIM_MEMBERS_MAX - plan->member_count)
        plan->joiner_count = (uint16_t)(SIM_MEMBERS_MAX - plan->member_count);
    plan->replica_count = plan->replica_count < 3 ? 3 : plan->replica_count;
    plan->zoned = plan->varied_levels = false;
    plan->losses_max = 0;
    plan->departures = false;
    plan->sync = NODE_SYNC_ALWAYS;
    levels->n = plan->replica_count;
    levels->sloppy = 0;
    levels->w = levels->dw = levels->n / 2 + 1;
    levels->r = (uint32_t)choose_between(world, levels->n - levels->w + 1, levels->n);
    levels->pr = levels->pw = 0;
    plan->faults[FAULT_DECAY] = 150;
    if (plan->fault_interval_us == 0)
        plan->fault_interval_us = SIM_SECOND / 2;
    plan->scrub.period_us = SIM_SECOND << choose_between(world, 1, 3);
    plan->durable = true;
    plan->only_detected = one_in(world, 5);
    if (plan->only_detected)
        leave_one_replica(plan);
    judge_strength(plan);
}

uint64_t plan_patience_us(const struct plan *plan)
{
    return swim_patience_us(&plan->gossip, plan->member_count + plan->joiner_count);
}

void plan_ask_majorities(struct plan *plan)
{
    struct quorum_levels *levels = &plan->levels;
    uint32_t majority = levels->n / 2 + 1;
    plan->zoned = false;
    levels->r = levels->w = majority;
    levels->dw = smaller(levels->dw, majority);
    levels->pr = smaller(levels->pr, majority);
    levels->pw = smaller(levels->pw, majority);
    judge_strength(plan);
}

/* Nothing may wait for those outside: no change of the mode, no move. */
void plan_lone_core(struct world *world, struct plan *plan)
{
    plan->lone_core = true;
    plan->mode_changes = false;
    plan->epoch_us = 0;
    plan->joiner_count = 0;
    plan->departures = false;
    plan->losses_max = 0;
    if (choose(world, 4) != 3)
        plan_ask_majorities(plan);
}

void plan_drops(struct world *world, struct plan *plan)
{
    (void)world;
    plan->drops = true;
}

/* Passes of seconds instead of an hour. */
static void draw_repair(struct world *world, struct plan *plan)
{
    struct node_repair_config *repair = &plan->repair;
    repair->pass_us = SIM_SECOND << choose_between(world, 1, 4);
    repair->settle_us = (SIM_SECOND / 10) << choose(world, 5);
    repair->suspect_us = (SIM_SECOND / 2) << choose(world, 5);
    if (one_in(world, 3))
        repair->hashed_size_max = UINT64_C(50) << choose(world, 4);
    plan->unread = one_in(world, 2);
    plan->loses_object = plan->unread && one_in(world, 2);
    if (plan->loses_object) /* nothing else finds that */
        repair->refresh_us = SIM_SECOND << choose_between(world, 3, 6);
}

/* What is acknowledged must be on one disk more than may be lost, each before the next. */
static void draw_departures(struct world *world, struct plan *plan)
{
    struct quorum_levels *levels = &plan->levels;
    plan->departures = plan->epoch_us != 0 && one_in(world, 2);
    bool losses = one_in(world, 2) && plan->departures && !plan->memory && !plan->mode_changes &&
                  plan->replica_count >= 3 && !plan->varied_levels && !plan->zoned;
    if (!losses)
        return;
    levels->w = levels->w < 2 ? 2 : levels->w;
    levels->dw = levels->dw < 2 ? 2 : levels->dw;
    plan->losses_max = (uint16_t)smaller(levels->dw - 1, 2);
}

void plan_draw(struct world *world, uint32_t operation_count, struct plan *ret_plan)
{
    *ret_plan = (struct plan){ 0 };
    world_span(world, STREAM_PLAN);
    draw_shape(world, ret_plan);
    world_span(world, STREAM_PLAN);
    draw_levels(world, ret_plan);
    draw_zones(world, ret_plan);
    world_span(world, STREAM_PLAN);
    draw_workload(world, ret_plan, operation_count);
    world_span(world, STREAM_PLAN);
    draw_network(world, ret_plan);
    world_span(world, STREAM_PLAN);
    draw_faults(world, ret_plan);
    draw_repair(world, ret_plan);
    draw_departures(world, ret_plan);
    ret_plan->durable =
        !ret_plan->crashes || (!ret_plan->memory && ret_plan->sync == NODE_SYNC_ALWAYS);
    judge_strength(ret_plan);
}
