/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/yesterday.h"

#include "base/planted.h"

static void drop_copy(struct cluster *cluster)
{
    if (cluster->yesterday_of != NULL)
        sim_disk_done(&cluster->yesterday);
    cluster->yesterday_of = NULL;
}

static void take_copy(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    bool clean = choose(cluster->world, 2) == 0 && process->running;
    drop_copy(cluster);
    if (clean) {
        process_stop(process);
        process_start_after(process, duration_us);
    }
    if (process->disk.dead)
        sim_disk_restart(&process->disk);
    world_tell(cluster->world, -1, "n%u: its disk is copied%s", process->member,
               clean ? " after a clean stop" : "");
    sim_disk_copy_synced(&process->disk, &cluster->yesterday);
    cluster->yesterday_of = process;
}

static void put_back(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    struct sim_disk copy;
    PROBE("yesterday: a disk was put back");
    process_crash(process, choose(cluster->world, 3) == 0);
    if (process->disk.dead)
        sim_disk_restart(&process->disk);
    sim_disk_copy_synced(&cluster->yesterday, &copy);
    process_put_back(process, &copy);
    cluster->put_back_us = cluster->world->now_us;
    process_start_after(process, duration_us);
}

void yesterday_happens(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    struct process *victim = cluster->yesterday_of;
    if (victim == NULL)
        take_copy(cluster, process, duration_us);
    else if (choose(cluster->world, 4) == 0)
        take_copy(cluster, victim, duration_us);
    else
        put_back(cluster, victim, duration_us);
}

void yesterday_done(struct cluster *cluster)
{
    drop_copy(cluster);
}
