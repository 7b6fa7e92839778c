/* SPDX-License-Identifier: Apache-2.0 */
/* Which owner is asked for which partition: "coverage" in Riak's words.  Every partition has one
 * member at a time; who fails loses what it still owed to other owners. */
#include "base/planted.h"
#include "node/coordinate/list_internal.h"

bool coverage_init(const struct node *node, struct arena *arena, struct coverage *coverage)
{
    uint32_t partitions = node->config.epoch->partition_count;
    *coverage = (struct coverage){
        .members = arena_allocate(arena, partitions * sizeof(*coverage->members)),
        .group = arena_allocate(arena, partitions * sizeof(*coverage->group)),
        .failed = arena_allocate_zero(arena, RING_MEMBERS_MAX), /* newcomers too */
    };
    buffer_init(&coverage->cursor, ENGINE_KEY_SIZE_MAX + 16);
    return coverage->members != NULL && coverage->group != NULL && coverage->failed != NULL;
}

void coverage_done(struct coverage *coverage)
{
    buffer_done(&coverage->cursor);
}

/* --- whom ------------------------------------------------------------------------------------ */

/* First reachable owner of `partition` that has not failed this listing; ourselves if we are
 * one. */
static uint16_t choose_member(struct node *node, const struct coverage *coverage,
                              uint32_t partition, uint8_t n)
{
    uint16_t members[TARGETS_MAX], chosen = RING_NO_MEMBER;
    const struct epoch *epoch = node->config.epoch;
    const uint16_t *row = ring_read_row(epoch, partition);
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t count = ring_preference_of_row(epoch, partition, row, members, n < limit ? n : limit);
    for (uint16_t i = count; i-- > 0;) {
        uint16_t member = members[i];
        if (coverage->failed[member] || !placement_reachable(node, member))
            continue;
        if (chosen != node->config.self)
            chosen = member;
    }
    return chosen;
}

/* False: it has no owner left to ask. */
static bool assign(struct node *node, struct coverage *coverage, uint32_t partition, uint8_t n)
{
    coverage->members[partition] = choose_member(node, coverage, partition, n);
    return coverage->members[partition] != RING_NO_MEMBER;
}

bool coverage_assign(struct node *node, struct coverage *coverage, uint8_t n)
{
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++)
        if (!assign(node, coverage, p, n))
            return false;
    return true;
}

bool coverage_replace(struct node *node, struct coverage *coverage, uint8_t n, uint16_t member)
{
    coverage->failed[member] = true;
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++)
        if (coverage->members[p] == member && !assign(node, coverage, p, n))
            return false;
    return true;
}

bool coverage_follow(struct node *node, struct coverage *coverage, uint8_t n, uint64_t former)
{
    memset(coverage->failed, 0, RING_MEMBERS_MAX);
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++) {
        if (coverage->members[p] == RING_NO_MEMBER || !epochs_changed_since(node, p, former))
            continue;
        PROBE("node: a listing followed a partition to its owners of a newer epoch");
        if (!assign(node, coverage, p, n))
            return false;
    }
    return true;
}

/* --- what next ------------------------------------------------------------------------------- */

static uint32_t cursor_partition(const struct coverage *coverage)
{
    const uint8_t *data = coverage->cursor.data;
    return (uint32_t)data[1] << 8 | data[2];
}

/* In the middle of a partition it is that one, and those behind it that the same shard has. */
bool coverage_next(struct node *node, struct coverage *coverage)
{
    uint32_t from = coverage->cursor.size > 0 ? cursor_partition(coverage) : 0;
    coverage->group_count = 0;
    for (uint32_t p = from; p < node->config.epoch->partition_count; p++) {
        uint16_t member = coverage->members[p];
        if (member == RING_NO_MEMBER)
            continue;
        struct net_address address = placement_of(node, member, p);
        if (coverage->group_count == 0)
            coverage->to = address;
        if (address.member == coverage->to.member && address.shard == coverage->to.shard)
            coverage->group[coverage->group_count++] = p;
    }
    return coverage->group_count > 0;
}
void coverage_advance(struct coverage *coverage, struct bytes next)
{
    buffer_reset(&coverage->cursor);
    buffer_append_bytes(&coverage->cursor, next);
    uint32_t limit = next.size >= 3 ? cursor_partition(coverage) : UINT32_MAX;
    for (uint32_t i = 0; i < coverage->group_count; i++)
        if (coverage->group[i] < limit)
            coverage->members[coverage->group[i]] = RING_NO_MEMBER;
}
