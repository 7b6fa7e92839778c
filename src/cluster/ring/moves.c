/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions on their way. */
#include "cluster/ring/ring.h"

/* Nearly always there is none. */
const struct move *ring_move_of(const struct epoch *epoch, uint32_t partition)
{
    uint32_t low = 0, high = epoch->move_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct move *move = &epoch->moves[middle];
        if (move->partition == partition)
            return move;
        if (move->partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const uint16_t *ring_read_row(const struct epoch *epoch, uint32_t partition)
{
    const struct move *move = ring_move_of(epoch, partition);
    return move != NULL && move->phase == MOVE_WRITE_BOTH_READ_NEW ? move->to
                                                                   : ring_row(epoch, partition);
}
