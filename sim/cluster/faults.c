/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in a cluster: at random moments one fault of the plan begins, and some time later
 * it is undone. */
#include <stdlib.h>

#include "base/planted.h"
#include "sim/cluster/cluster.h"
#include "sim/cluster/decay.h"
#include "sim/cluster/yesterday.h"

enum {
    FUSE_OPERATIONS = 60,
    DISK_ERRORS_PER_MILLION = 20000,
    RESTART_US = 20 * 1000, /* at least */
    HOUR_MS = 3600 * 1000,
};

static uint64_t duration(struct cluster *cluster)
{
    return RESTART_US + choose_delay(cluster->world, cluster->plan->repair_us);
}

static struct process *any_process(struct cluster *cluster)
{
    return &cluster->processes[choose(cluster->world, cluster->count)];
}

static void crash(struct cluster *cluster, struct process *process)
{
    if (!process->running)
        return;
    process_crash(process, choose(cluster->world, 3) == 0);
    process_start_after(process, duration(cluster));
}

static void crash_all(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++)
        crash(cluster, &cluster->processes[i]);
}

static void stop(struct cluster *cluster, struct process *process)
{
    if (!process->running)
        return;
    process_stop(process);
    process_start_after(process, duration(cluster));
}

static void halves(struct cluster *cluster)
{
    uint64_t side = choose(cluster->world, UINT64_C(1) << cluster->count);
    for (uint16_t a = 0; a < cluster->count; a++) {
        for (uint16_t b = 0; b < cluster->count; b++) {
            if (a != b && (side >> a & 1) != (side >> b & 1))
                network_cut(&cluster->network, a, b);
        }
    }
}

static void isolate(struct cluster *cluster, uint16_t member)
{
    for (uint16_t other = 0; other < cluster->count; other++) {
        if (other == member)
            continue;
        network_cut(&cluster->network, member, other);
        network_cut(&cluster->network, other, member);
    }
}

/* Two different members, or false. */
static bool any_pair(struct cluster *cluster, uint16_t *ret_a, uint16_t *ret_b)
{
    if (cluster->count < 2)
        return false;
    *ret_a = (uint16_t)choose(cluster->world, cluster->count);
    *ret_b = (uint16_t)choose(cluster->world, cluster->count - 1u);
    *ret_b += *ret_b >= *ret_a;
    return true;
}

static void fault_between_two(struct cluster *cluster, enum fault fault)
{
    uint16_t a, b;
    if (!any_pair(cluster, &a, &b))
        return;
    if (fault == FAULT_CUT)
        network_cut(&cluster->network, a, b);
    else if (fault == FAULT_CLOG)
        network_clog(&cluster->network, a, b, cluster->world->now_us + duration(cluster));
    else
        network_break(&cluster->network, a, b);
}

static void step_wall_clock(struct cluster *cluster, struct process *process)
{
    int64_t most = cluster->plan->wall_offset_ms_max;
    process->clock.wall_offset_ms =
        (int64_t)choose(cluster->world, (uint64_t)(2 * most + 1)) - most;
}

enum { NEWCOMERS = UINT16_MAX }; /* stand in a zone of their own */

static uint16_t zone_of(const struct cluster *cluster, uint16_t member)
{
    const struct member *members = cluster->epoch.members;
    uint16_t first = 0;
    if (member >= cluster->epoch.member_count)
        return NEWCOMERS;
    while (strcmp(members[first].zone, members[member].zone) != 0)
        first++;
    return first;
}

static bool same_zone(const struct cluster *cluster, uint16_t a, uint16_t b)
{
    return zone_of(cluster, a) == zone_of(cluster, b);
}

/* The zone of `member` loses all others, or only one of them, or is only not heard any more. */
static void cut_zone(struct cluster *cluster, uint16_t member)
{
    enum { FROM_ALL, FROM_ONE, UNHEARD, WAYS };
    uint64_t way = choose(cluster->world, WAYS);
    uint16_t other = any_process(cluster)->member;
    for (uint16_t a = 0; a < cluster->count; a++) {
        for (uint16_t b = 0; b < cluster->count; b++) {
            if (!same_zone(cluster, a, member) || same_zone(cluster, a, b) ||
                (way == FROM_ONE && !same_zone(cluster, b, other)))
                continue;
            PROBE("faults: a zone was cut");
            network_cut(&cluster->network, a, b);
            if (way != UNHEARD)
                network_cut(&cluster->network, b, a);
        }
    }
}

/* Little room is left, not none: the next preallocation fails, perhaps the next but one. */
static void fill_disk(struct cluster *cluster, struct process *process)
{
    uint64_t used = 0;
    for (size_t i = 0; i < process->disk.current.count; i++)
        used += process->disk.current.list[i].inode->current.size;
    process->disk.space_limit =
        used + choose(cluster->world, 2 * cluster->plan->sizes.segment_size) + 1;
}

static void begin(struct cluster *cluster, enum fault fault)
{
    struct process *process = any_process(cluster);
    world_tell(cluster->world, -1, "fault: %s (n%u)", fault_name(fault), process->member);
    switch (fault) {
    case FAULT_CRASH:
        crash(cluster, process);
        break;
    case FAULT_FUSE:
        process->disk.fuse = choose_between(cluster->world, 1, FUSE_OPERATIONS);
        break;
    case FAULT_CRASH_ALL:
        crash_all(cluster);
        break;
    case FAULT_STOP:
        stop(cluster, process);
        break;
    case FAULT_PAUSE:
        process_pause(process, duration(cluster));
        break;
    case FAULT_CUT:
    case FAULT_CLOG:
    case FAULT_BREAK:
        fault_between_two(cluster, fault);
        break;
    case FAULT_HALVES:
        halves(cluster);
        break;
    case FAULT_ISOLATE:
        isolate(cluster, process->member);
        break;
    case FAULT_WALL_STEP:
        step_wall_clock(cluster, process);
        break;
    case FAULT_DISK_ERRORS:
        process->disk.error_per_million = DISK_ERRORS_PER_MILLION;
        break;
    case FAULT_DISK_FULL:
        fill_disk(cluster, process);
        break;
    case FAULT_ZONE:
        cut_zone(cluster, process->member);
        break;
    case FAULT_HOUR_AHEAD:
        process->clock.wall_offset_ms = HOUR_MS;
        break;
    case FAULT_YESTERDAY:
        yesterday_happens(cluster, process, duration(cluster));
        break;
    case FAULT_DECAY:
        decay_happens(cluster, process);
        break;
    case FAULT_HEAL:
    case FAULT_COUNT:
        network_heal(&cluster->network);
        break;
    }
}

static enum fault draw_fault(struct cluster *cluster)
{
    uint64_t sum = 0;
    for (int i = 0; i < FAULT_COUNT; i++)
        sum += cluster->plan->faults[i];
    uint64_t drawn = choose(cluster->world, sum);
    int fault = 0;
    while (drawn >= cluster->plan->faults[fault])
        drawn -= cluster->plan->faults[fault++];
    return (enum fault)fault;
}

static void fault_run(struct event *event)
{
    struct cluster *cluster = LIST_ENTRY(event, struct cluster, fault);
    if (world_ended(cluster->world))
        return;
    begin(cluster, draw_fault(cluster));
    world_after(cluster->world, event,
                1 + choose_delay(cluster->world, cluster->plan->fault_interval_us));
}

/* A store that met an error refuses writes until its process is restarted: somebody does that. */
static void replace_disk_cable(struct cluster *cluster, struct process *process)
{
    bool faulty = process->disk.error_per_million > 0 || process->disk.space_limit > 0;
    process->disk.error_per_million = 0;
    process->disk.space_limit = 0;
    if (!faulty || !process->running)
        return;
    if (choose(cluster->world, 2) == 0)
        stop(cluster, process);
    else if (cluster->plan->crashes)
        crash(cluster, process);
}

static void repair_run(struct event *event)
{
    struct cluster *cluster = LIST_ENTRY(event, struct cluster, repair);
    if (world_ended(cluster->world))
        return;
    network_heal(&cluster->network);
    decay_relieve(cluster);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        replace_disk_cable(cluster, process);
        if (!process->running && !process->held_down && !event_is_set(&process->restart))
            process_start_after(process, duration(cluster));
    }
    world_after(cluster->world, event, duration(cluster));
}

void cluster_begin_faults(struct cluster *cluster)
{
    event_init(&cluster->fault, NULL, fault_run);
    event_init(&cluster->repair, NULL, repair_run);
    cluster->fault.stream = STREAM_FAULTS;
    cluster->repair.stream = STREAM_REPAIRS;
    for (uint16_t i = 0; i < cluster->count; i++)
        cluster->processes[i].calm = false;
    if (cluster->plan->fault_interval_us == 0)
        return;
    world_after(cluster->world, &cluster->fault,
                choose_delay(cluster->world, cluster->plan->fault_interval_us));
    world_after(cluster->world, &cluster->repair, duration(cluster));
}

void cluster_calm(struct process *process)
{
    process->calm = true;
    process->disk.fuse = 0;
    process->disk.error_per_million = 0;
    process->disk.space_limit = 0;
    process_resume(process);
}

void cluster_end_faults(struct cluster *cluster)
{
    world_cancel(cluster->world, &cluster->fault);
    world_cancel(cluster->world, &cluster->repair);
    cluster->calm = true;
    decay_relieve(cluster);
    network_heal(&cluster->network);
    cluster->network.faults.loss = 0;
    cluster->network.faults.duplication = 0;
    cluster->network.faults.corruption = 0;
}

void cluster_heal(struct cluster *cluster)
{
    cluster_end_faults(cluster);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        cluster_calm(process);
        if (!process->running && !process->held_down)
            process_start_after(process, choose(cluster->world, SIM_SECOND));
    }
}

void cluster_restart_all(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        if (process->retired || process->held_down)
            continue;
        if (cluster->plan->crashes && choose(cluster->world, 2) == 0)
            process_crash(process, false);
        else if (!cluster->plan->memory)
            process_stop(process);
        if (!process->running)
            process_start_after(process, 1 + choose(cluster->world, SIM_SECOND));
    }
}
