/* SPDX-License-Identifier: Apache-2.0 */
/* What of drops outlives a crash: drops.h. */
#include "sim/checkers/drops.h"

static uint64_t newest_in_force(const struct process *process)
{
    uint64_t newest = 0;
    for (uint16_t shard = 0; shard < process->shard_count; shard++) {
        uint64_t generation = drops_generation(process, shard);
        newest = generation > newest ? generation : newest;
    }
    return newest;
}

static void check_stored(const struct drops *drops, const struct process *process,
                         struct engine *store)
{
    const struct engine_range range = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    uint64_t newest = newest_in_force(process), generation;
    if (engine_iterate(store, &range, &iterator) != KVORUM_OK)
        return;
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        if (check_drop_key(iterator->key, &generation) && generation > newest)
            world_fail(drops->cluster->world, "dropped",
                       "n%u started with generation %llx, and its disk holds an object of %llx",
                       process->member, (unsigned long long)newest, (unsigned long long)generation);
    engine_iterator_close(iterator);
}

/* Blocks that are damaged may have told of it. */
void check_drop_proven(struct drops *drops, const struct process *process)
{
    uint32_t *looked_at = &drops->looked_at[process->member];
    if (*looked_at == process->lives || drops->cluster->struck_us > 0)
        return;
    *looked_at = process->lives;
    for (uint16_t i = 0; i < process->store_count; i++)
        check_stored(drops, process, process->stores[i]);
}
