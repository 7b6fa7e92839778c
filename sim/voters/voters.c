/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/voters/voters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/voters/voters_internal.h"

enum { TROUBLE_MAX = 8, CHANGES_MAX = 4 };

/* --- what a run is made of ------------------------------------------------------------------- */

static const struct solo_bounds bounds = {
    .members_min = 3,
    .replicas_min = 1,
    .latency_steps = 10,
    .delay_steps = 7,
    .loss = 50000,
    .keys_max = VOTERS_KEYS_MAX,
};

static void draw_plan(struct voters *v)
{
    v->moves = choose_one_in(v->solo.world, 3);
    v->trouble = (uint32_t)choose(v->solo.world, TROUBLE_MAX + 1);
}

static void describe(const struct voters *v, struct run_result *ret)
{
    const struct plan *plan = &v->solo.plan;
    snprintf(ret->plan, sizeof(ret->plan), "voters, %u nodes, n=%u, %u partitions%s, loss %u",
             plan->member_count, plan->replica_count, plan->partition_count,
             v->moves ? ", moving" : "", plan->network.loss);
}

/* --- asking ---------------------------------------------------------------------------------- */

bool voters_ask(struct voters *v, struct process *process, const struct operation *operation,
                struct asked *ret)
{
    return solo_ask(&v->solo, process, solo_choose_shard(&v->solo, process), operation, ret);
}

static struct process *choose_any(void *context)
{
    return voters_choose_left(context);
}

static bool set_properties(struct voters *v)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.levels.n = v->solo.plan.replica_count;
    return solo_set_properties(&v->solo, &properties, choose_any, v);
}

bool voters_write_key(struct voters *v, uint32_t key, uint32_t w)
{
    char name[SIM_KEY_SIZE];
    struct asked asked;
    struct process *process = voters_choose_left(v);
    history_key(key, name);
    struct operation operation = solo_operation(OPERATION_PUT, name);
    operation.value = bytes_of_string(name);
    operation.flags = OPERATION_OVERWRITE;
    operation.levels.sloppy = 0;
    operation.levels.w = w;
    operation.levels.dw = 1;
    v->solo.operations++;
    if (process == NULL || !voters_ask(v, process, &operation, &asked))
        return false;
    bool acknowledged = asked.answered && asked.status == KVORUM_OK;
    v->solo.acknowledged += acknowledged;
    return acknowledged;
}

static bool write_all(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++) {
        world_span(v->solo.world, STREAM_CLIENTS);
        if (world_ended(v->solo.world))
            break;
        uint32_t w = (uint32_t)choose_between(v->solo.world, 1, v->solo.plan.replica_count);
        v->acknowledged[key] = voters_write_key(v, key, w);
        if (v->solo.world->violation.checker != NULL)
            return false;
    }
    world_noise(v->solo.world);
    return solo_pass_time(&v->solo, choose(v->solo.world, 2) * SOLO_SETTLE_US);
}

/* --- the shape changes ----------------------------------------------------------------------- */

static void forget_answer(void *context, const struct answer *answer)
{
    struct voters *v = context;
    world_trace(v->solo.world, "voters: a change: %s %s", kvorum_status_name(answer->status),
                answer->reason);
}

void voters_ask_change(struct voters *v, struct process *process, enum change_ask ask)
{
    struct world *world = v->solo.world;
    struct change_request request = { .kind = ask, .allow_zone_loss = true };
    request.change.kind = CHANGE_WEIGHT;
    request.change.weight = (uint32_t)choose_between(world, 50, 300);
    snprintf(request.name, sizeof(request.name), "n%u",
             (unsigned)choose(world, v->solo.cluster.count));
    world_trace(world, "voters: n%u is asked to change the shape, %d", process->member, (int)ask);
    process_enter(process);
    node_change_epoch(process->shards[0].node, &request, forget_answer, v);
    process_leave(process, 0);
}

/* Without waiting: the last may be half decided when the voters are lost. */
static bool change_shape(struct voters *v)
{
    world_span(v->solo.world, STREAM_PLAN);
    uint64_t count = choose(v->solo.world, CHANGES_MAX + 1);
    for (uint64_t i = 0; i < count; i++) {
        world_span(v->solo.world, STREAM_CHANGES);
        if (world_ended(v->solo.world))
            break;
        struct process *process = voters_choose_left(v);
        bool commits = v->moves && i > 0 && choose_one_in(v->solo.world, 2);
        voters_ask_change(v, process, commits ? ASK_COMMIT : ASK_STAGE);
        if (!solo_pass_time(&v->solo, 1 + choose_delay(v->solo.world, 300 * SIM_MILLISECOND)))
            return false;
    }
    world_noise(v->solo.world);
    return true;
}

/* --- a run ----------------------------------------------------------------------------------- */

static void play(struct voters *v)
{
    if (!set_properties(v) || !write_all(v))
        return;
    world_begin_part(v->solo.world);
    v->solo.cluster.network.faults = v->solo.plan.network;
    if (!change_shape(v))
        return;
    world_begin_part(v->solo.world);
    voters_lose_majority(v);
    if (!solo_pass_time(&v->solo, SIM_SECOND))
        return;
    voters_find_holders(v);
    voters_note_votes(v);
    v->solo.cluster.never_lost = 1u << v->anchor;
    voters_yesterday_begin(&v->yesterday);
    if (!solo_pass_time(&v->solo, choose(v->solo.world, 7) * SIM_SECOND) || !voters_recover_all(v))
        return;
    voters_yesterday_end(&v->yesterday);
    if (v->needless && !voters_line_is_known(v)) {
        PROBE("voters: enough voters came back in time");
        return;
    }
    voters_readmit(v);
    if (!voters_come_to_rest(v) || !voters_check_reads(v) || !voters_give_back(v) ||
        !voters_come_to_rest(v) || !voters_check_reads(v))
        return;
    for (uint32_t key = 0; key < v->solo.keys; key++)
        if (!voters_check_writes(v, key))
            return;
}

void voters_play(struct world *world, uint32_t keys, struct run_result *ret_result)
{
    struct voters *v = calloc(1, sizeof(*v));
    if (v == NULL)
        abort();
    solo_draw(&v->solo, world, keys, &bounds);
    draw_plan(v);
    describe(v, ret_result);
    solo_begin(&v->solo, ret_result);
    voters_yesterday_init(&v->yesterday, &v->solo.cluster, &v->lost);
    v->solo.cluster.watch = voters_on_frame;
    v->solo.cluster.watch_context = v;
    play(v);
    voters_yesterday_end(&v->yesterday);
    ret_result->asked = v->solo.operations;
    ret_result->gone = (uint32_t)__builtin_popcount(v->solo.cluster.book.gone);
    solo_end(&v->solo, ret_result);
    free(v);
}
