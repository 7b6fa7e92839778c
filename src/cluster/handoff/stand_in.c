/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/stand_in.h"

#include <string.h>

#include "base/hash.h"

static const char *const names[HANDOFF_STRATEGIES] = { "consistent", "any", "proximity" };

const char *handoff_strategy_name(enum handoff_strategy strategy)
{
    return strategy < HANDOFF_STRATEGIES ? names[strategy] : "?";
}

bool handoff_strategy_parse(struct bytes text, enum handoff_strategy *ret)
{
    for (int i = 0; i < HANDOFF_STRATEGIES; i++) {
        if (!bytes_equal(text, bytes_of_string(names[i])))
            continue;
        *ret = (enum handoff_strategy)i;
        return true;
    }
    return false;
}

/* Lowest first: members of the same zone, and among equals an order of the partition's own. */
static uint64_t distance(const struct epoch *epoch, uint32_t partition, uint16_t owner,
                         uint16_t member)
{
    const struct member *a = &epoch->members[owner], *b = &epoch->members[member];
    uint64_t rank = hash64(bytes_make(b->id.bytes, NODE_ID_SIZE), hash_mix64(partition + 1));
    uint64_t elsewhere = strcmp(a->zone, b->zone) != 0;
    return elsewhere << 63 | rank >> 1;
}

uint16_t handoff_stand_in(const struct epoch *epoch, enum handoff_strategy strategy,
                          uint32_t partition, uint16_t owner, const bool *barred,
                          struct random *random)
{
    uint16_t chosen = RING_NO_MEMBER;
    uint64_t least = UINT64_MAX;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (barred[i] || epoch->members[i].state == MEMBER_GONE)
            continue;
        uint64_t rank = strategy == HANDOFF_ANY ? random_next(random) >> 1
                                                : distance(epoch, partition, owner, i);
        if (rank < least) {
            least = rank;
            chosen = i;
        }
    }
    return chosen;
}
