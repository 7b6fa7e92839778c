/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

static void check_process(struct world *world, const struct process *process)
{
    for (uint16_t i = 0; process->running && i < process->shard_count; i++) {
        uint64_t active = node_counters(process->shards[i].node)->requests_active;
        if (active > 0)
            world_fail(world, "bounded", "n%u.%u still has %llu requests in flight",
                       process->member, i, (unsigned long long)active);
    }
    if (!sim_jobs_idle(&process->jobs))
        world_fail(world, "bounded", "n%u still has background work", process->member);
}

void check_bounded(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++)
        check_process(cluster->world, &cluster->processes[i]);
}
