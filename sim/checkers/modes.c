/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

#include "sim/acts/modes.h"

/* The last decision itself, not only the mode it chose. */
bool mode_known(const struct process *process, uint16_t shard)
{
    struct bucket_properties last, known;
    modes_properties(process->plan, process->plan->siblings, &last);
    node_properties(process->shards[shard].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                    &known);
    return known.levels.r == last.levels.r && known.allow_mult == last.allow_mult &&
           known.last_write_wins == last.last_write_wins;
}

void check_told(struct cluster *cluster, const struct process *asked)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        if (process_alive(process) && !mode_known(process, 0) &&
            node_liveness(asked->shards[0].node, i) != LIVENESS_DEAD)
            world_fail(cluster->world, "modes",
                       "n%u answered a change of the bucket's mode, and n%u, which it does not "
                       "take for dead, does not know of it",
                       asked->member, i);
    }
}

void check_all_told(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++) {
            if (!mode_known(process, shard))
                world_fail(cluster->world, "modes",
                           "n%u.%u never learnt of the change of the bucket's mode", i, shard);
        }
    }
}

void check_birth(struct history *history, const struct record *write, const struct version *version)
{
    if (write->mode_known && version->kept != history->siblings)
        world_fail(history->world, "modes",
                   "operation %d (key %u) was made %s, but the member that took it knew better",
                   write->id, write->key, version->kept ? "a sibling" : "the last write");
}
