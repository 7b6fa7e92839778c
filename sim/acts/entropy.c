/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/entropy.h"

#include <stdlib.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"

enum { DRAWS = 20, SLACK_S = 120, PASSES = 6, BEGUN_S = 20 };

static uint64_t limit_us(const struct plan *plan)
{
    uint64_t refresh_us = plan->loses_object ? plan->repair.refresh_us : 0;
    return PASSES * plan->repair.pass_us + 2 * refresh_us + SLACK_S * SIM_SECOND;
}

bool entropy_converges(struct cluster *cluster, struct history *history)
{
    struct world *world = cluster->world;
    uint64_t end_us = world->now_us + limit_us(cluster->plan);
    uint8_t n = (uint8_t)cluster->plan->levels.n;
    while (!converged(cluster, history, n)) {
        PROBE("entropy: replicas differed after healing");
        if (world->now_us >= end_us) {
            check_converged(cluster, history, n);
            return false;
        }
        if (!world_run_until(world, world->now_us + cluster->plan->repair.pass_us))
            return false;
    }
    return true;
}

/* --- trees ---------------------------------------------------------------------------------- */

static uint64_t count_doubts(const struct cluster *cluster)
{
    uint64_t count = 0;
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++)
            count += node_counters(process->shards[shard].node)->repair_leaves_doubted;
    }
    return count;
}

bool entropy_trees_hold(struct cluster *cluster)
{
    struct world *world = cluster->world;
    uint64_t pass_us = cluster->plan->repair.pass_us;
    /* Exchanges that began earlier may find what another one has just repaired. */
    if (!world_run_until(world, world->now_us + BEGUN_S * SIM_SECOND))
        return false;
    uint64_t before = count_doubts(cluster);
    if (!world_run_until(world, world->now_us + 2 * pass_us + BEGUN_S * SIM_SECOND))
        return false;
    uint64_t after = count_doubts(cluster);
    if (after > before)
        world_fail(world, "trees", "replicas are equal, and %llu leaves of their trees differ",
                   (unsigned long long)(after - before));
    return after == before;
}

/* --- losing --------------------------------------------------------------------------------- */

struct loss {
    struct engine_commit commit; /* first */
    struct engine_batch *batch;
};

static void loss_done(struct engine_commit *commit, kvorum_status status)
{
    struct loss *loss = (struct loss *)commit;
    (void)status; /* a loss that is lost in a crash is none */
    engine_batch_destroy(loss->batch);
    free(loss);
}

/* The object whose key ends in `key`. */
static bool find_object(struct engine *store, const char *key, struct engine_batch *batch)
{
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    size_t size = strlen(key);
    bool found = false;
    if (engine_iterate(store, &objects, &iterator) != KVORUM_OK)
        abort();
    for (engine_iterator_first(iterator); iterator->valid && !found;
         engine_iterator_next(iterator)) {
        struct bytes at = iterator->key;
        found = at.size >= size && memcmp(at.data + at.size - size, key, size) == 0;
        if (found && engine_batch_delete(batch, at) != KVORUM_OK)
            abort();
    }
    engine_iterator_close(iterator);
    return found;
}

static bool lose(struct process *process, const char *key)
{
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct loss *loss = calloc(1, sizeof(*loss));
        if (loss == NULL || (loss->batch = engine_batch_create()) == NULL)
            abort();
        loss->commit.done = loss_done;
        bool found = find_object(process->stores[i], key, loss->batch);
        if (found &&
            engine_submit(process->stores[i], loss->batch, ENGINE_LOG, &loss->commit) == KVORUM_OK)
            return true;
        loss_done(&loss->commit, KVORUM_OK);
    }
    return false;
}

bool entropy_lose_object(struct cluster *cluster, struct history *history)
{
    const struct epoch *epoch = &cluster->epoch;
    uint16_t owners[SIM_MEMBERS_MAX];
    for (int i = 0; i < DRAWS; i++) {
        uint32_t key = (uint32_t)choose(cluster->world, history->key_count);
        char name[SIM_KEY_SIZE];
        history_key(key, name);
        uint32_t partition = ring_partition_of_hash(
            epoch, ring_hash(epoch, BYTES_LITERAL("default"), BYTES_LITERAL(SIM_BUCKET),
                             bytes_of_string(name)));
        uint16_t count =
            ring_preference(epoch, partition, owners, (uint16_t)cluster->plan->levels.n);
        struct process *process = &cluster->processes[owners[choose(cluster->world, count)]];
        if (count < 2 || !process->running || process->gate.closed)
            continue;
        process_enter(process);
        bool lost = lose(process, name);
        process_leave(process, (uint16_t)(partition % process->store_count % process->shard_count));
        if (lost) {
            world_trace(cluster->world, "n%u loses key %u", process->member, key);
            PROBE("entropy: a replica lost an object");
            return true;
        }
    }
    return false;
}

/* --- rot ------------------------------------------------------------------------------------- */

enum { ROTS_MAX = 4, SCRUB_S = 300 };

static bool is_scrubbing(const struct process *process)
{
    bool busy = false;
    for (uint16_t i = 0; process->running && i < process->shard_count; i++) {
        const struct node_counters *counters = node_counters(process->shards[i].node);
        busy = busy || counters->scrub_running > 0 || counters->scrub_losses > 0 ||
               counters->scrub_demands == 0;
    }
    return busy;
}

static bool rot(struct cluster *cluster, struct process *process)
{
    uint64_t count = choose_between(cluster->world, 1, ROTS_MAX);
    bool any = false;
    for (uint64_t i = 0; i < count; i++) {
        const char *file = sim_disk_rot(&process->disk, cluster->world, "table-");
        if (file != NULL)
            world_trace(cluster->world, "n%u: a bit of %s flips", process->member, file);
        any = any || file != NULL;
    }
    return any;
}

bool entropy_rots(struct cluster *cluster, struct history *history)
{
    struct world *world = cluster->world;
    struct process *process = &cluster->processes[choose(world, cluster->count)];
    if (cluster->plan->levels.n < 2 || cluster->plan->memory || !process->running ||
        process->gate.closed || !rot(cluster, process))
        return true;
    PROBE("entropy: files of a node rotted");
    process_enter(process);
    node_scrub(process->shards[0].node);
    process_leave(process, 0);
    uint64_t end_us = world->now_us + SCRUB_S * SIM_SECOND;
    do {
        if (world->now_us >= end_us) {
            world_fail(world, "scrub", "what rotted at n%u is still in doubt after %d s",
                       process->member, SCRUB_S);
            return false;
        }
        if (!world_run_until(world, world->now_us + SIM_SECOND))
            return false;
    } while (is_scrubbing(process));
    return entropy_converges(cluster, history);
}
