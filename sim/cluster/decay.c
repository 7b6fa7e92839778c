/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster/decay.h"

#include "base/planted.h"
#include "sim/disk/disk_decay.h"

enum { SCRUB_S = 300 };

static uint16_t limit_of(const struct cluster *cluster)
{
    return cluster->plan->only_detected ? cluster->count
                                        : (uint16_t)((cluster->plan->levels.n - 1) / 2);
}

/* --- who is whole again ---------------------------------------------------------------------- */

static uint64_t passes_of(const struct process *process)
{
    uint64_t most = 0;
    for (uint16_t i = 0; process->running && i < process->shard_count; i++) {
        uint64_t own = node_counters(process->shards[i].node)->scrub_passes;
        most = own > most ? own : most;
    }
    return most;
}

/* One pass may have been under way when it was struck. */
static bool shard_is_whole(const struct cluster *cluster, const struct process *process,
                           uint16_t shard)
{
    const struct decay_strike *strike = &cluster->strikes[process->member];
    const struct node_counters *counters = node_counters(process->shards[shard].node);
    uint64_t needed = strike->life == process->lives ? strike->passes + 2 : 1;
    return counters->scrub_passes >= needed && counters->scrub_losses == counters->scrub_lost &&
           counters->scrub_unmended == 0;
}

static bool is_whole(const struct cluster *cluster, const struct process *process)
{
    bool whole = process->running && !sim_disk_unreadable(&process->disk, NULL, 0, 0);
    for (uint16_t i = 0; whole && i < process->shard_count; i++)
        whole = shard_is_whole(cluster, process, i);
    return whole;
}

static void note_the_whole(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        if ((cluster->struck >> i & 1) == 0 || !is_whole(cluster, process))
            continue;
        PROBE("decay: a member was whole again");
        world_tell(cluster->world, -1, "n%u: its disk is whole again", i);
        cluster->struck &= ~(1u << i);
        sim_disk_forget_decay(&process->disk);
    }
}

/* --- striking -------------------------------------------------------------------------------- */

static struct process *nth_struck(struct cluster *cluster, uint64_t n)
{
    for (uint16_t i = 0; i < cluster->count; i++)
        if ((cluster->struck >> i & 1) != 0 && n-- == 0)
            return &cluster->processes[i];
    return NULL;
}

static struct process *choose_victim(struct cluster *cluster, struct process *process)
{
    uint64_t count = (uint64_t)__builtin_popcount(cluster->struck);
    bool may = (cluster->struck >> process->member & 1) != 0 || count < limit_of(cluster);
    return may ? process : nth_struck(cluster, choose(cluster->world, count));
}

static const char *choose_part(struct world *world)
{
    static const char *const parts[] = { "table-", "table-", "table-",   "blob-",
                                         "log-",   "log-",   "MANIFEST", "FORMAT" };
    return parts[choose(world, sizeof(parts) / sizeof(*parts))];
}

void decay_happens(struct cluster *cluster, struct process *process)
{
    note_the_whole(cluster);
    struct process *victim = choose_victim(cluster, process);
    if (victim->retired || limit_of(cluster) == 0)
        return;
    enum disk_decay decay = (enum disk_decay)choose(cluster->world, DECAYS);
    const char *file = sim_disk_decay(&victim->disk, decay, choose_part(cluster->world));
    if (file == NULL)
        return;
    PROBE("decay: a disk was damaged");
    world_tell(cluster->world, -1, "n%u: %s of %s", victim->member, sim_disk_decay_name(decay),
               file);
    cluster->struck |= 1u << victim->member;
    cluster->struck_us = cluster->world->now_us;
    cluster->strikes[victim->member] =
        (struct decay_strike){ .life = victim->lives, .passes = passes_of(victim) };
}

void decay_relieve(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++)
        sim_disk_read_again(&cluster->processes[i].disk);
}

/* --- the end --------------------------------------------------------------------------------- */

bool decay_ends(struct cluster *cluster)
{
    struct world *world = cluster->world;
    uint64_t end_us = world->now_us + SCRUB_S * SIM_SECOND;
    decay_relieve(cluster);
    for (note_the_whole(cluster); cluster->struck != 0; note_the_whole(cluster)) {
        if (world->now_us >= end_us) {
            world_fail(world, "scrub", "what decayed is still in doubt after %d s (members %x)",
                       SCRUB_S, cluster->struck);
            return false;
        }
        if (!world_run_until(world, world->now_us + SIM_SECOND))
            return false;
    }
    return true;
}
