/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a mark: what it asked was done, or it is another's now. */
#include "base/planted.h"
#include "node/hints/suspect_internal.h"

/* For whatever bucket. */
uint16_t suspect_owners(const struct node *node, uint32_t partition,
                        uint16_t ret_owners[PLACEMENT_OWNERS_MAX])
{
    return placement_owners(node, partition, property_table_largest_n(node), ret_owners);
}

bool suspect_owns(const struct node *node, uint32_t partition, uint16_t member)
{
    return member != RING_NO_MEMBER &&
           placement_is_owner(node, partition, property_table_largest_n(node), member);
}

/* The largest n that a bucket has for which `member` is no owner; 0: it is one for every bucket. */
static uint8_t n_without(const struct node *node, uint32_t partition, uint16_t member)
{
    uint32_t ns = property_table_ns(node);
    for (uint8_t n = property_table_largest_n(node); n > 0; n--)
        if ((ns >> n & 1) != 0 &&
            (member == RING_NO_MEMBER || !placement_is_owner(node, partition, n, member)))
            return n;
    return 0;
}

/* Removes it, and suspects the owners for buckets with n replicas instead (0: nobody). */
kvorum_status suspect_replace(struct node *node, const struct node_id *target, uint32_t partition,
                              enum hint_mark mark, uint8_t n)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = n == 0 ? 0 : placement_owners(node, partition, n, owners);
    engine_batch_reset(node->batch);
    kvorum_status status =
        key.data == NULL ? KVORUM_NO_MEMORY : engine_batch_delete(node->batch, key);
    for (uint16_t i = 0; i < count && status == KVORUM_OK; i++)
        status = hints_put_mark(node, node->batch, &node->config.epoch->members[owners[i]].id,
                                partition, HINT_MARK_SUSPICION);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    return status;
}

static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark);

/* What the mark asked of the target is done.  A mark does not say of which bucket the hint was: for
 * those where the target is not among the owners, it may have been one when the hint was dropped,
 * and then those who are now may lack the write.  They come before the target in every row, so
 * marks that replace marks come to an end. */
void suspect_settle(struct node *node, const struct node_id *target, uint32_t partition,
                    enum hint_mark mark)
{
    uint16_t member = ring_member_index(node->config.epoch, target);
    uint8_t n = n_without(node, partition, member);
    if (n > 0)
        PROBE("node: a mark went on to owners of buckets with fewer replicas");
    if (suspect_replace(node, target, partition, mark, n) == KVORUM_OVERLOADED)
        settle_later(node, target, partition, mark);
}

struct late_settling {
    struct node_id target;
    uint32_t partition, marks_put;
    enum hint_mark mark;
    uint64_t epoch;
};

/* Not if another mark may have taken its place, or others own the partition: then it stays. */
static void settle_again(struct node *node, struct fetch *fetch)
{
    const struct late_settling *late = fetch->input;
    const struct hint_queue *queue = hints_queue(node, &late->target);
    node->fetch_pass = NULL; /* it has nothing to read */
    if (queue == NULL || queue->marks_put != late->marks_put ||
        late->epoch != node->config.epoch->number)
        return;
    PROBE("node: a mark was settled when its store had room");
    suspect_settle(node, &late->target, late->partition, late->mark);
}

/* The store is behind.  All that was asked for the mark would be asked anew if it stayed, and that
 * brings more marks; so it waits for room, in the line of a key that nobody reads. */
static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark)
{
    const struct hint_queue *queue = hints_queue(node, target);
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    if (queue == NULL || key.data == NULL)
        return;
    struct fetch *fetch = fetch_open(node, settle_again, sizeof(struct late_settling), 0);
    if (fetch == NULL)
        return;
    *(struct late_settling *)fetch->input =
        (struct late_settling){ .target = *target,
                                .partition = partition,
                                .marks_put = queue->marks_put,
                                .mark = mark,
                                .epoch = node->config.epoch->number };
    if (fetch_wait_room(node, fetch, placement_store(node, partition), key) == KVORUM_OK)
        PROBE("node: a mark that was followed waited for room to go");
}

/* WOULD_BLOCK: it may be. */
static bool is_ordered(struct node *node, const struct node_id *target, uint32_t partition)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    struct bytes key = hint_mark_key(&node->scratch, target, partition, HINT_MARK_ORDER);
    if (key.data == NULL)
        return false; /* it stays */
    kvorum_status status = engine_view_at(placement_store(node, partition), key, &how, &view);
    if (status == KVORUM_OK)
        engine_release(&view);
    return status != KVORUM_NOT_FOUND;
}

void hints_compared(struct node *node, uint32_t partition, uint16_t member)
{
    if (member >= node->config.epoch->member_count || placement_store(node, partition) == NULL ||
        !hints_marked(node, &node->config.epoch->members[member].id))
        return; /* most comparisons are for nobody's mark: nothing is to be deleted */
    const struct node_id *target = &node->config.epoch->members[member].id;
    node->counters.hint_marks_settled++;
    if (is_ordered(node, target, partition))
        suspect_settle(node, target, partition, HINT_MARK_ORDER);
}
