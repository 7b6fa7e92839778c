/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

#include <stdlib.h>

#include "cluster/handoff/hint.h"

/* What is owed to members of `epoch`. */
static uint32_t count_hints(struct engine *store, const struct epoch *epoch)
{
    struct engine_range range = { .lower = BYTES_LITERAL("h"), .upper = BYTES_LITERAL("k") };
    struct engine_iterator *iterator;
    uint32_t count = 0;
    if (engine_iterate(store, &range, &iterator) != KVORUM_OK)
        return 0;
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
        struct hint hint;
        uint32_t unused;
        if (hint_parse(iterator->key, iterator->value, &hint, &unused) == HINT_ENTRY_QUEUE)
            count += ring_member_index(epoch, &hint.target) != RING_NO_MEMBER;
    }
    engine_iterator_close(iterator);
    return count;
}

uint64_t debts_of(const struct process *process)
{
    uint64_t count = 0;
    for (uint16_t shard = 0; shard < process->shard_count; shard++) {
        const struct node *node = process->shards[shard].node;
        for (uint16_t i = 0; node != NULL && i < node_epoch(node)->member_count; i++) {
            struct node_hints hints;
            node_hints(node, i, &hints);
            count += hints.count;
        }
    }
    return count;
}

void check_debts(const struct process *process, const struct epoch *epoch)
{
    uint32_t count = 0;
    if (!process->running || !epoch_book_parted(process->book, process->member))
        return;
    for (uint16_t i = 0; i < process->store_count; i++)
        count += count_hints(process->stores[i], epoch);
    if (count > process->owed_again)
        world_fail(process->world, "debts",
                   "n%u left and took %u hints along (%llu were delivered in an earlier life)",
                   process->member, count, (unsigned long long)process->owed_again);
}
