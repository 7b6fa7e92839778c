/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever holds what may be older than tombstones that were collected.
 *
 * Behind (cluster/collect/fence.h): all of the partition goes, in one batch with a fence that has
 * promised what was collected and with a salt for our actors, since the counters go too.  Then it
 * is in doubt like what was lost with a damaged block (node/scrub/scrub.h): no answers about it
 * until it was compared with every other owner.
 *
 * Damage: a deletion that was lost with a block uncovers what it had deleted.  Between the keys of
 * the block all goes, and comes anew.
 *
 * "All" is what others have too: collect_clear.c.  And while one of those is away, or the partition
 * is on its way to this member, nothing goes, since what is here may be all that is left: the
 * partition *waits*.  It gives no answer and no stream, takes nothing, and what it gives in
 * exchanges is refused by everybody, until the others are there, or an operator takes the copy as
 * it is (kvorum scrub --accept).  A partition on its way from here does not wait: its move would
 * wait for the stream, or for a hint that nobody takes. */
#include "base/planted.h"
#include "node/collect/collect_internal.h"
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub_internal.h"

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

static void forget_turns(struct fenced *fenced)
{
    collect_free_turn(fenced->turn);
    collect_free_turn(fenced->named);
    fenced->turn = fenced->named = NULL;
}

/* --- waiting --------------------------------------------------------------------------------- */

bool collect_waits(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = node->collect == NULL ? NULL : collect_fenced(node, partition);
    return fenced != NULL && fenced->waits_for != 0;
}

static void wait_for_others(struct node *node, uint32_t partition, uint64_t committed)
{
    struct fenced *fenced = collect_fenced(node, partition);
    if (fenced->waits_for == 0) {
        PROBE("collect: who is behind waited for the other owners");
        node->collect->waiting++;
        forget_turns(fenced);
        log_error(node->config.log,
                  "this node's copy of a partition may be older than deletions that all members "
                  "had agreed on, and is kept until every other owner is there to give it anew; "
                  "until then it answers nothing. Next: start the nodes that are down, or remove "
                  "them; if none of them can come back, take the copy as it is with `kvorum scrub "
                  "--accept`",
                  LOG_U64("partition", partition));
    }
    if (committed > fenced->waits_for)
        fenced->waits_for = committed;
    collect_wake(node, node->now_us + COLLECT_SETTLE_US);
}

static void wait_no_more(struct node *node, struct fenced *fenced)
{
    node->collect->waiting -= fenced->waits_for != 0;
    fenced->waits_for = 0;
}

/* --- damage ---------------------------------------------------------------------------------- */

static void bounds_of(uint32_t partition, uint8_t lower[3], uint8_t upper[3])
{
    lower[0] = upper[0] = 'o';
    lower[1] = (uint8_t)(partition >> 8);
    lower[2] = (uint8_t)partition;
    upper[0] += partition == UINT16_MAX;
    upper[1] = (uint8_t)((partition + 1) >> 8);
    upper[2] = (uint8_t)(partition + 1);
}

static bool cut(struct bytes lower, struct bytes upper, uint8_t own_lower[3], uint8_t own_upper[3],
                struct bytes *ret_lower, struct bytes *ret_upper)
{
    *ret_lower = bytes_make(own_lower, 3);
    *ret_upper = bytes_make(own_upper, 3);
    if (bytes_compare(lower, *ret_lower) > 0)
        *ret_lower = lower;
    if (upper.size > 0 && bytes_compare(upper, *ret_upper) < 0)
        *ret_upper = upper;
    return bytes_compare(*ret_lower, *ret_upper) < 0;
}

static void clear_damaged(struct node *node, uint32_t partition, struct bytes from, struct bytes to)
{
    struct fenced *fenced = collect_fenced(node, partition);
    struct engine *store = placement_store(node, partition);
    PROBE("collect: what was left between lost deletions went too");
    engine_batch_reset(node->batch);
    kvorum_status status =
        collect_put_clearing(node, partition, from, to, collect_stamp_floor(node, partition));
    if (status == KVORUM_OK && engine_batch_count(node->batch) > 0)
        status =
            replica_submit(node, store, node->batch, replica_durability(node, false), &nothing);
    if (status != KVORUM_OK) /* then all of it is: it will hear that it is behind */
        fenced->kept.fence = (struct fence){ 0 };
}

void collect_on_mended(struct node *node, uint16_t store, struct bytes lower, struct bytes upper)
{
    struct collect *collect = node->collect;
    for (uint32_t p = store; p < collect->partition_count; p += node->config.store_count) {
        uint8_t own_lower[3], own_upper[3];
        struct bytes from, to;
        struct fenced *fenced = &collect->partitions[p];
        uint64_t committed = fenced->kept.fence.committed;
        bounds_of(p, own_lower, own_upper);
        if (committed == 0 || fenced->waits_for != 0 ||
            !cut(lower, upper, own_lower, own_upper, &from, &to))
            continue;
        if (collect_others_are_there(node, p)) {
            clear_damaged(node, p, from, to);
            continue;
        }
        fenced->kept.fence = (struct fence){ 0 };
        collect_save(node, p);
        wait_for_others(node, p, committed);
    }
}

/* --- behind ---------------------------------------------------------------------------------- */

bool collect_doubt(struct node *node, uint32_t partition)
{
    uint8_t lower[3], upper[3];
    uint16_t store = (uint16_t)(partition % node->config.store_count);
    bounds_of(partition, lower, upper);
    /* One in memory forgets everything at each start, and says so to nobody then either. */
    if (scrub_is_alone(node) || !engine_can(node->config.stores[store], ENGINE_TABLES)) {
        node->collect->partitions[partition].kept.refilling = false;
        return true;
    }
    node->collect->refilling++;
    if (!scrub_loss_add(node, store, bytes_make(lower, 3), bytes_make(upper, 3), false))
        return false;
    scrub_wake(node, node->now_us);
    collect_wake(node, node->now_us + SCRUB_TICK_US);
    return true;
}

static kvorum_status drop_objects(struct node *node, uint32_t partition)
{
    struct engine *store = placement_store(node, partition);
    uint8_t lower[3], upper[3];
    bounds_of(partition, lower, upper);
    engine_batch_reset(node->batch);
    kvorum_status status = collect_put_clearing(node, partition, bytes_make(lower, 3),
                                                bytes_make(upper, 3), UINT64_MAX);
    if (status == KVORUM_OK)
        status = collect_put(node, node->batch, partition);
    return status == KVORUM_OK
               ? replica_submit(node, store, node->batch, replica_durability(node, false), &nothing)
               : status;
}

static void drop(struct node *node, uint32_t partition, uint64_t committed)
{
    struct fenced *fenced = collect_fenced(node, partition), before = *fenced;
    struct repair_partition *compared = node->repair->partitions[partition];
    PROBE("collect: one who was behind dropped what it had");
    fence_renew(&fenced->kept.fence, committed);
    fenced->kept.salt = random_next(&node->random) | 1;
    fenced->kept.refilling = true;
    kvorum_status status = drop_objects(node, partition);
    if (status != KVORUM_OK) {
        *fenced = before; /* it is still refused by everybody, and hears of it again */
        return;
    }
    log_error(node->config.log,
              "this node's copy of a partition is older than deletions that all members had "
              "agreed on: its disk was put back to an older state. The copy is dropped and comes "
              "anew from the other owners",
              LOG_U64("partition", partition));
    node->counters.fence_refills++;
    fenced->drops++;
    wait_no_more(node, fenced);
    forget_turns(fenced);
    if (compared != NULL)
        repair_partition_drop(node, compared);
    if (!before.kept.refilling || !scrub_doubts_partition(node, partition))
        (void)collect_doubt(node, partition);
}

void collect_hear(struct node *node, uint32_t partition, uint64_t committed)
{
    struct fenced *fenced = collect_fenced(node, partition);
    uint8_t lower[3], upper[3];
    bool empty = false;
    if (fenced == NULL || committed <= fenced->kept.fence.committed)
        return;
    if (PLANTED(BEHIND_NOT_REFILLED) && committed > fenced->kept.fence.promised)
        fenced->kept.fence = (struct fence){ .promised = committed, .known = true };
    if (fence_hear(&fenced->kept.fence, committed) == FENCE_FINE)
        return; /* whoever said it has it on disk */
    bounds_of(partition, lower, upper);
    kvorum_status status = collect_is_empty(placement_store(node, partition), true,
                                            bytes_make(lower, 3), bytes_make(upper, 3), &empty);
    if (status == KVORUM_OK && empty) {
        fence_renew(&fenced->kept.fence, committed);
        collect_save(node, partition);
        wait_no_more(node, fenced);
    } else if (collect_others_are_there(node, partition))
        drop(node, partition, committed);
    else
        wait_for_others(node, partition, committed);
}

void collect_end_waiting(struct node *node)
{
    struct collect *collect = node->collect;
    for (uint32_t p = 0; p < collect->partition_count && collect->waiting > 0; p++)
        if (collect->partitions[p].waits_for != 0 && collect_others_are_there(node, p))
            drop(node, p, collect->partitions[p].waits_for);
    if (collect->waiting > 0)
        collect_wake(node, node->now_us + COLLECT_SETTLE_US);
}

void collect_on_accept(struct node *node)
{
    struct collect *collect = node->collect;
    for (uint32_t p = 0; p < collect->partition_count && collect->waiting > 0; p++) {
        struct fenced *fenced = &collect->partitions[p];
        if (fenced->waits_for == 0)
            continue;
        PROBE("collect: an operator took a copy that is behind as it is");
        log_warn(node->config.log,
                 "this node's copy of a partition was taken as it is; values in it that had been "
                 "deleted may be back",
                 LOG_U64("partition", p));
        node->counters.scrub_accepted++;
        fence_renew(&fenced->kept.fence, fenced->waits_for);
        wait_no_more(node, fenced);
        collect_save(node, p);
    }
}
