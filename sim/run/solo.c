/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run/solo.h"

#include <stdio.h>

static const uint64_t answer_limit_us = 60 * SIM_SECOND;

/* --- a run ----------------------------------------------------------------------------------- */

void solo_draw(struct solo *solo, struct world *world, uint32_t keys,
               const struct solo_bounds *bounds)
{
    struct plan *plan = &solo->plan;
    solo->world = world;
    solo->keys = keys < bounds->keys_max ? keys : bounds->keys_max;
    plan->member_count = (uint16_t)choose_between(world, bounds->members_min, SIM_MEMBERS_MAX);
    plan->replica_count = (uint8_t)choose_between(world, bounds->replicas_min, 3);
    plan->partition_count = 1u << choose_between(world, 1, 4);
    for (uint16_t i = 0; i < plan->member_count; i++)
        plan->store_count[i] = (uint16_t)choose_between(world, 1, 3);
    plan->sync = NODE_SYNC_ALWAYS;
    plan->jobs_latency_us = UINT64_C(50) << choose(world, bounds->latency_steps);
    sizes_draw(world, &plan->sizes);
    plan->network.delay_us = UINT64_C(200) << choose(world, bounds->delay_steps);
    plan->network.loss = choose_one_in(world, 2) ? bounds->loss : 0;
    plan->drift_ppm_max = 200;
    plan->wall_offset_ms_max = 50;
    plan->levels.n = plan->replica_count;
}

void solo_begin(struct solo *solo, const struct run_result *result)
{
    struct world *world = solo->world;
    world_trace(world, "seed %llu: %s", (unsigned long long)world->seed, result->plan);
    cluster_init(&solo->cluster, world, &solo->plan);
}

void solo_end(struct solo *solo, struct run_result *ret_result)
{
    struct world *world = solo->world;
    ret_result->violation = world->violation;
    ret_result->trace_hash = world->trace_hash;
    ret_result->event_count = world->event_count;
    ret_result->virtual_us = world->now_us;
    ret_result->clustered = true;
    ret_result->operations = solo->operations;
    ret_result->acknowledged = solo->acknowledged;
    cluster_done(&solo->cluster);
    world_drop_events(world); /* datagrams on their way know the network */
}

/* --- chance and time ------------------------------------------------------------------------- */

bool solo_pass_time(struct solo *solo, uint64_t duration_us)
{
    return world_run_until(solo->world, solo->world->now_us + duration_us);
}

uint16_t solo_choose_shard(struct solo *solo, const struct process *process)
{
    return (uint16_t)choose(solo->world, process->shard_count);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct operation solo_operation(enum operation_kind kind, const char *name)
{
    struct operation operation = { .kind = kind,
                                   .bucket = BYTES_LITERAL(SIM_BUCKET),
                                   .key = bytes_of_string(name),
                                   .timeout_ms = 2000 };
    quorum_levels_init(&operation.levels);
    return operation;
}

uint32_t solo_partition(const struct solo *solo, const char *name)
{
    const struct epoch *epoch = &solo->cluster.epoch;
    uint64_t hash = ring_hash(epoch, BYTES_LITERAL("default"), BYTES_LITERAL(SIM_BUCKET),
                              bytes_of_string(name));
    return ring_partition_of_hash(epoch, hash);
}

static void on_answer(void *context, const struct answer *answer)
{
    struct asked *asked = context;
    *asked = (struct asked){ true, answer->status, answer->object != NULL, "" };
    if (answer->status != KVORUM_OK || answer->object == NULL)
        return;
    struct bytes value = object_winner(answer->object)->value;
    size_t size = value.size < SOLO_HEAD_SIZE ? value.size : SOLO_HEAD_SIZE - 1;
    if (size > 0) /* that of a deletion has no bytes to be looked at */
        memcpy(asked->head, value.data, size);
}

static bool await(struct solo *solo, const struct asked *asked, const struct process *process,
                  uint32_t life)
{
    struct world *world = solo->world;
    uint64_t end_us = world->now_us + answer_limit_us;
    while (!asked->answered && process->running && process->lives == life) {
        if (world->now_us >= end_us)
            world_fail(world, "answered", "an operation has no answer after %llu s",
                       (unsigned long long)(answer_limit_us / SIM_SECOND));
        if (!world_step(world))
            return false;
    }
    return true;
}

bool solo_ask(struct solo *solo, struct process *process, uint16_t shard,
              const struct operation *operation, struct asked *ret_asked)
{
    uint32_t life = process->lives;
    *ret_asked = (struct asked){ 0 };
    process_enter(process);
    node_submit(process->shards[shard].node, operation, on_answer, ret_asked);
    process_leave(process, shard);
    return await(solo, ret_asked, process, life);
}

bool solo_set_properties(struct solo *solo, const struct bucket_properties *properties,
                         solo_choose_fn choose_process, void *context)
{
    struct asked asked = { .status = KVORUM_INTERNAL };
    for (int i = 0; i < SOLO_ATTEMPTS_MAX && asked.status != KVORUM_OK; i++) {
        if (!solo_pass_time(solo, SOLO_SETTLE_US))
            return false;
        struct process *process = choose_process(context);
        uint32_t life = process->lives;
        asked.answered = false;
        process_enter(process);
        node_set_properties(process->shards[0].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                            properties, false, on_answer, &asked);
        process_leave(process, 0);
        if (!await(solo, &asked, process, life))
            return false;
    }
    return solo_pass_time(solo, SOLO_SETTLE_US);
}
