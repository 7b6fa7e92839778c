/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/process/process.h"

#include "sim/process/process_internal.h"

enum { EPOCH_ARENA_LIMIT = 1 << 24 };

static void narrate(void *context, enum log_level level, struct bytes line)
{
    const struct process *process = context;
    (void)level;
    world_trace(process->world, "n%u: %.*s", process->member, (int)line.size - 1,
                (const char *)line.data);
}

static void init_clock(struct process *process)
{
    struct world *world = process->world;
    int64_t drift_max = process->plan->drift_ppm_max;
    int64_t offset_max = process->plan->wall_offset_ms_max;
    int64_t offset = (int64_t)choose(world, (uint64_t)(2 * offset_max + 1)) - offset_max;
    int64_t drift = (int64_t)choose(world, (uint64_t)(2 * drift_max + 1)) - drift_max;
    uint64_t start_us = choose(world, 1000 * SIM_SECOND);
    sim_clock_init(&process->clock, world, start_us, drift, offset);
}

void process_init(struct process *process, struct world *world, struct network *network,
                  const struct plan *plan, uint16_t member, struct process *peers)
{
    *process = (struct process){
        .world = world, .network = network, .plan = plan, .member = member, .peers = peers
    };
    process->store_count = plan->store_count[member];
    process->shard_count = 1;
    init_clock(process);
    process->log.level = world->tracing ? LOG_LEVEL_INFO : LOG_LEVEL_NONE;
    process->log.write = narrate;
    process->log.context = process;
    gate_init(&process->gate);
    sim_disk_init(&process->disk, world);
    process->disk.maps = plan->mapped;
    sim_jobs_init(&process->jobs, world, &process->gate, plan->jobs_latency_us);
    arena_init(&process->arena, EPOCH_ARENA_LIMIT);
    process_loop_init(process);
    network->gates[member] = &process->gate;
}

void process_done(struct process *process)
{
    process->world->tracing = false;
    process_crash(process, true);
    world_cancel(process->world, &process->restart);
    debts_done(&process->debts);
    sim_disk_done(&process->disk);
    arena_done(&process->arena);
}
