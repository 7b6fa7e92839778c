/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a mark: what it asked was done, or it is another's now.
 *
 * A mark does not say of which bucket the hint was.  For buckets of which its target is no owner,
 * it may have been one when the hint was dropped, and then those who are now may lack the write: in
 * the batch that removes the mark they are suspected, and the mark goes on to them.
 *
 * Why that ends.  The rank of a member is the least n for whose buckets it is an owner of the
 * partition; one who is none at all ranks above all.  In one epoch,
 *
 *      an order       is put only by a suspicion of the same target that is handed over
 *      a suspicion    is put for a dropped hint, or by a mark that goes on: to owners for an n that
 *                     its target is none for, so that all of them rank below it
 *      a mark goes    at most as often as it was put: only when it is there, with the batch that
 *                     writes those it goes on to
 *
 * so suspicions of the highest rank are put as often as hints are dropped, each later rank so often
 * for each mark that went from above, and marks of the lowest go on to nobody.  A suspicion that
 * stays is handed over again, but only to those who have not taken the order yet (suspect.c), or
 * when a suspicion was put meanwhile: no order that it gave is a reason.  An order that is astray
 * goes on to all owners; it is from an earlier epoch, for in this one only owners were asked. */
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

bool suspect_is_astray(const struct node *node, uint32_t partition, uint16_t target,
                       enum hint_mark mark)
{
    bool ours = suspect_owns(node, partition, node->config.self) && target != node->config.self;
    return !suspect_owns(node, partition, target) || (mark == HINT_MARK_ORDER && !ours);
}

/* The largest n that a bucket has whose owners the mark goes on to; 0: to nobody. */
static uint8_t goes_on_for(const struct node *node, uint32_t partition, uint16_t target,
                           enum hint_mark mark)
{
    uint8_t n = property_table_largest_n(node);
    uint32_t ns = property_table_ns(node);
    if (suspect_is_astray(node, partition, target, mark))
        return n;
    while (n > 0 && ((ns >> n & 1) == 0 || placement_is_owner(node, partition, n, target)))
        n--;
    return n;
}

/* The mark of that key, by suspicions of the owners for buckets with n replicas; 0: by none. */
static kvorum_status replace(struct node *node, uint32_t partition, struct bytes key, uint8_t n)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = n == 0 ? 0 : placement_owners(node, partition, n, owners);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_delete(node->batch, key);
    for (uint16_t i = 0; i < count && status == KVORUM_OK; i++)
        status = hints_put_mark(node, node->batch, &node->config.epoch->members[owners[i]].id,
                                partition, HINT_MARK_SUSPICION);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    if (status == KVORUM_OK && count > 0)
        PROBE("node: a mark went on to owners of buckets with fewer replicas");
    return status;
}

/* OK: it is.  The deletion of one that is not there would be no harm, but the marks that it goes on
 * to, each time it is taken for there, would be. */
static kvorum_status look(struct node *node, struct engine *store, struct bytes key)
{
    struct engine_view view;
    kvorum_status status = fetch_view(node, store, key, &view);
    if (status == KVORUM_OK)
        engine_release(&view);
    bool taken = status == KVORUM_WOULD_BLOCK && PLANTED(MARK_TAKEN_FOR_THERE);
    return taken ? KVORUM_OK : status;
}

static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark, kvorum_status why);

void suspect_settle(struct node *node, const struct node_id *target, uint32_t partition,
                    enum hint_mark mark)
{
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    if (key.data == NULL)
        return; /* it stays */
    kvorum_status status = look(node, placement_store(node, partition), key);
    if (status == KVORUM_OK) {
        uint16_t member = ring_member_index(node->config.epoch, target);
        status = replace(node, partition, key, goes_on_for(node, partition, member, mark));
        node->counters.hint_marks_settled += status == KVORUM_OK && mark == HINT_MARK_ORDER;
    }
    if (status == KVORUM_WOULD_BLOCK || status == KVORUM_OVERLOADED)
        settle_later(node, target, partition, mark, status);
}

struct late_settling {
    struct node_id target;
    uint32_t partition, puts;
    enum hint_mark mark;
    uint64_t epoch;
};

/* Not if the mark may have been put again, or others own the partition: then it stays. */
static void settle_again(struct node *node, struct fetch *fetch)
{
    const struct late_settling *late = fetch->input;
    if (*hints_mark_puts(node, &late->target, late->partition, late->mark) != late->puts ||
        late->epoch != node->config.epoch->number)
        return;
    suspect_settle(node, &late->target, late->partition, late->mark);
}

/* The disk is to be read first, or the store is behind: it waits in the line of its key.  If it
 * stayed, all that was asked for it would be asked anew, and that brings more marks. */
static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark, kvorum_status why)
{
    struct engine *store = placement_store(node, partition);
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    struct fetch *fetch =
        key.data == NULL ? NULL : fetch_open(node, settle_again, sizeof(struct late_settling), 0);
    if (fetch == NULL)
        return;
    *(struct late_settling *)fetch->input =
        (struct late_settling){ .target = *target,
                                .partition = partition,
                                .puts = *hints_mark_puts(node, target, partition, mark),
                                .mark = mark,
                                .epoch = node->config.epoch->number };
    kvorum_status status = why == KVORUM_WOULD_BLOCK ? fetch_wait(node, fetch, store, &key, 1)
                                                     : fetch_wait_room(node, fetch, store, key);
    if (status == KVORUM_OK && why == KVORUM_WOULD_BLOCK)
        PROBE("node: a mark that was followed was read before it went");
    if (status == KVORUM_OK && why == KVORUM_OVERLOADED)
        PROBE("node: a mark that was followed waited for room to go");
}

void hints_compared(struct node *node, uint32_t partition, uint16_t member)
{
    if (member >= node->config.epoch->member_count || placement_store(node, partition) == NULL ||
        !hints_marked(node, &node->config.epoch->members[member].id))
        return; /* most comparisons are for nobody's mark: nothing is to be deleted */
    suspect_settle(node, &node->config.epoch->members[member].id, partition, HINT_MARK_ORDER);
}
