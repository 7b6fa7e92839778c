/* SPDX-License-Identifier: Apache-2.0 */
/* Hints that rotted away with a block.  Which they were nobody knows any more: keys of all three
 * kinds begin with the target, so the bounds of what is lost say at least whose they may have been.
 * Each of those is suspected in every partition of the store that it owns, as if its hints had been
 * dropped for want of room.
 *
 * With a block deletions are lost too: hints that were removed are back, and keep back the
 * tombstones of their keys. */
#include "base/planted.h"
#include "node/collect/collect.h"
#include "node/hints/hints.h"
#include "node/hints/suspect_internal.h"
#include "node/scrub/scrub.h"

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

/* Some key of `target` of one kind may be in [lower, upper); upper empty: to the end. */
static bool meets(struct bytes lower, struct bytes upper, char kind, const struct node_id *target)
{
    uint8_t first[HINT_PREFIX_SIZE];
    first[0] = (uint8_t)kind;
    memcpy(first + 1, target->bytes, NODE_ID_SIZE);
    struct bytes prefix = bytes_make(first, sizeof(first)), least = lower;
    if (least.size > prefix.size)
        least.size = prefix.size;
    return bytes_compare(least, prefix) <= 0 &&
           (upper.size == 0 || bytes_compare(prefix, upper) < 0);
}

static bool may_have_lost(struct bytes lower, struct bytes upper, const struct node_id *target)
{
    return meets(lower, upper, 'h', target) || meets(lower, upper, 'i', target) ||
           meets(lower, upper, 'j', target);
}

/* Nobody counts hints while the node runs.  So their queues are walked until there is nothing. */
void hints_on_mended(struct node *node, struct bytes lower, struct bytes upper)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (!may_have_lost(lower, upper, &epoch->members[i].id) || PLANTED(UNCOVERED_HINT_STAYS))
            continue;
        struct hint_queue *queue = hints_queue(node, &epoch->members[i].id);
        if (queue == NULL)
            continue;
        queue->oldest_met = 0; /* a walk under way may be past them */
        hints_regain_begin(node, queue);
        hints_wake(node, node->now_us);
    }
}

/* A hint is about an object in the same store: where the partition has none, and lost none, there
 * was no hint either. */
static bool may_have_objects(struct node *node, uint16_t store, uint32_t partition)
{
    const uint8_t lower[] = { 'o', (uint8_t)(partition >> 8), (uint8_t)partition };
    uint8_t upper[] = { 'o', (uint8_t)((partition + 1) >> 8), (uint8_t)(partition + 1) };
    upper[0] += partition == UINT16_MAX;
    bool empty = false;
    kvorum_status status =
        collect_is_empty(node->config.stores[store], true, bytes_make(lower, sizeof(lower)),
                         bytes_make(upper, sizeof(upper)), &empty);
    return status != KVORUM_OK || !empty || scrub_doubts_partition(node, partition);
}

static kvorum_status put_marks(struct node *node, uint16_t store, uint16_t member)
{
    const struct epoch *epoch = node->config.epoch;
    kvorum_status status = KVORUM_OK;
    for (uint32_t p = store; p < epoch->partition_count && status == KVORUM_OK;
         p += node->config.store_count)
        if (suspect_owns(node, p, member) && may_have_objects(node, store, p))
            status = hints_put_mark(node, node->batch, &epoch->members[member].id, p,
                                    HINT_MARK_SUSPICION);
    return status;
}

kvorum_status hints_on_lost(struct node *node, uint16_t store, struct bytes lower,
                            struct bytes upper, bool counted)
{
    const struct epoch *epoch = node->config.epoch;
    kvorum_status status = KVORUM_OK;
    engine_batch_reset(node->batch);
    for (uint16_t i = 0; i < epoch->member_count && status == KVORUM_OK; i++)
        if (i != node->config.self && epoch->members[i].state != MEMBER_GONE &&
            may_have_lost(lower, upper, &epoch->members[i].id) &&
            (!counted || hints_owed(node, &epoch->members[i].id)))
            status = put_marks(node, store, i);
    if (status != KVORUM_OK || engine_batch_count(node->batch) == 0)
        return status;
    PROBE("node: hints were lost with a damaged block, and left marks");
    return replica_submit(node, node->config.stores[store], node->batch, ENGINE_SYNC, &nothing);
}
