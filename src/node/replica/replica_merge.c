/* SPDX-License-Identifier: Apache-2.0 */
/* An object is merged into what is stored here, and what comes out is stored; hints, deadlines and
 * hash trees follow it in the same batch, or right behind. */
#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/repair/repair.h"
#include "node/replica/replica_internal.h"

/* --- storing ---------------------------------------------------------------------------------- */

kvorum_status replica_store(struct node *node, const struct key_address *address, uint64_t before,
                            struct bytes encoding, const struct target *target, bool must_sync,
                            const struct commit_plan *plan)
{
    uint32_t partition = address->partition; /* `address` may go with the request, once stored */
    struct engine *store = placement_store(node, partition);
    struct bytes key = store_key(&node->scratch, address);
    uint64_t after = repair_digest(node, partition, encoding);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    if (!handoff_ready(node, partition))
        return KVORUM_NOT_READY;
    repair_expect(node, partition, key);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, key, encoding);
    if (status == KVORUM_OK)
        status = expiry_add(node, node->batch, key, encoding);
    if (status == KVORUM_OK)
        status = drop_prove(node, address);
    struct hint_change change = { 0 };
    if (status == KVORUM_OK && target != NULL && target->stand_in) {
        status =
            hints_add(node, node->batch, target->owner, partition, key, encoding.size, &change);
        if (status == KVORUM_STORE_FULL)
            return hints_refuse(node, address, target->owner, plan);
    }
    if (status != KVORUM_OK)
        return status;
    hints_added(node, &change);
    status = replica_submit(node, store, node->batch, replica_durability(node, must_sync), plan);
    if (status != KVORUM_OK)
        hints_not_added(node, &change);
    bool forgets = PLANTED(TREE_NOT_UPDATED) && plan->kind != COMMIT_TARGET;
    if (status == KVORUM_OK && !forgets)
        repair_note(node, partition, key, before, after);
    return status;
}

/* --- merging ---------------------------------------------------------------------------------- */

/* The stamp orders writes for ever: take note of it even if the object changes nothing here. */
static void see_stamp(struct node *node, const struct object *object)
{
    (void)hlc_see(&node->hlc, object_max_stamp(object), clock_wall_ms(node->config.clock));
}

static kvorum_status barrier(struct node *node, const struct key_address *address, bool must_sync,
                             const struct commit_plan *plan)
{
    node->counters.replica_merges_needless++;
    PROBE("node: a merge changed nothing and waited for what is there");
    if (PLANTED(BARRIER_MISSING)) {
        replica_carry_out(node, plan, KVORUM_OK, true);
        return KVORUM_OK;
    }
    engine_batch_reset(node->batch);
    return replica_submit(node, placement_store(node, address->partition), node->batch,
                          replica_durability(node, must_sync), plan);
}

/* The mistake: this member's word on the bucket's mode counts for more than the versions'. */
static void forget_mode(struct node *node, const struct key_address *address, struct object *merged)
{
    struct bucket_properties properties;
    struct object_mode mode;
    property_table_mode(node, address->type, address->bucket, &properties, &mode);
    if (mode.siblings || merged->sibling_count < 2)
        return;
    merged->siblings[0] = *object_winner(merged);
    merged->sibling_count = 1;
}

static void tell_digest(struct bytes encoding, uint64_t *ret_digest)
{
    if (ret_digest != NULL)
        *ret_digest = object_digest(encoding);
}

/** One merge, as replica_merge is asked for it. */
struct merge {
    const struct key_address *address;
    const struct target *target; /* NULL, or with a stand-in's owner */
    const struct commit_plan *plan;
    uint64_t *ret_digest; /* NULL: nobody asks */
    bool must_sync;
};

static kvorum_status wait_behind(struct node *node, const struct merge *merge)
{
    return barrier(node, merge->address, merge->must_sync, merge->plan);
}

/* The digest first: what storing sets off may use the same buffer. */
static kvorum_status store(struct node *node, const struct merge *merge, uint64_t before,
                           struct bytes encoding)
{
    tell_digest(encoding, merge->ret_digest);
    return replica_store(node, merge->address, before, encoding, merge->target, merge->must_sync,
                         merge->plan);
}

/* Why nothing is taken here, now or ever; OK: it is. */
static kvorum_status admit(const struct node *node, const struct key_address *address)
{
    if (!handoff_ready(node, address->partition))
        return KVORUM_NOT_READY;
    if (!node->ready && node->config.shard != 0)
        return KVORUM_NOT_READY; /* what was dropped is not known yet */
    if (drop_is_old(node, address))
        return KVORUM_DROPPED; /* whoever it comes from, and however late */
    return KVORUM_OK;
}

static kvorum_status encode_merged(struct node *node, const struct merge *merge,
                                   const struct object *local, const struct object *incoming)
{
    struct object merged;
    kvorum_status status = object_merge(local, incoming, &node->scratch, &merged);
    if (status != KVORUM_OK)
        return status;
    if (PLANTED(MODE_OF_THE_MEMBER))
        forget_mode(node, merge->address, &merged);
    buffer_reset(&node->encoding);
    object_encode(&merged, &node->encoding);
    return node->encoding.failed ? KVORUM_NO_MEMORY : KVORUM_OK;
}

static kvorum_status merge_into(struct node *node, const struct merge *merge, struct bytes held,
                                const struct object *incoming)
{
    struct object local;
    bool stands_in = merge->target != NULL && merge->target->stand_in;
    kvorum_status status = object_decode(held, &node->scratch, &local);
    if (status == KVORUM_OK && object_contains(&local, incoming) && !stands_in) {
        tell_digest(held, merge->ret_digest);
        return wait_behind(node, merge);
    }
    if (status == KVORUM_OK)
        status = encode_merged(node, merge, &local, incoming);
    if (status != KVORUM_OK)
        return status;
    uint64_t before = repair_digest(node, merge->address->partition, held);
    return store(node, merge, before, buffer_bytes(&node->encoding));
}

kvorum_status replica_merge(struct node *node, const struct key_address *address,
                            struct bytes encoding, uint64_t fence, const struct target *target,
                            bool must_sync, const struct commit_plan *plan, uint64_t *ret_digest)
{
    const struct merge merge = { address, target, plan, ret_digest, must_sync };
    struct replica_read read = { 0 };
    struct object incoming;
    if (PLANTED(EXPIRY_FROM_INSERT))
        encoding = expiry_from_insert(node, encoding);
    kvorum_status status = object_decode(encoding, &node->scratch, &incoming);
    if (status != KVORUM_OK)
        return status;
    see_stamp(node, &incoming);
    if (!collect_admits(node, address, fence))
        return KVORUM_FENCED;
    if (PLANTED(ACKNOWLEDGE_AND_FORGET) ||
        (PLANTED(HINT_DROPPED) && target != NULL && target->stand_in))
        return wait_behind(node, &merge);
    status = admit(node, address);
    if (status == KVORUM_OK)
        status = replica_read(node, address, &read);
    if (status != KVORUM_OK)
        return status;
    if (PLANTED(REPAIR_WITHOUT_VERSION_CHECK) && plan->request_id == 0)
        replica_release(&read);
    status = read.held ? merge_into(node, &merge, read.encoding, &incoming)
                       : store(node, &merge, 0, encoding);
    replica_release(&read);
    return status;
}

/* --- for nobody's sake ------------------------------------------------------------------------ */

struct late_merge {
    struct key_address address;
    struct bytes encoding;
    uint64_t fence;
};

static void merge_again(struct node *node, struct fetch *fetch)
{
    const struct late_merge *late = fetch->input;
    replica_merge_quietly(node, &late->address, late->encoding, late->fence);
}

/* Errors of the disk are counted where they are met. */
void replica_merge_quietly(struct node *node, const struct key_address *address,
                           struct bytes encoding, uint64_t fence)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status =
        replica_merge(node, address, encoding, fence, NULL, false, &nothing, NULL);
    if (status != KVORUM_WOULD_BLOCK)
        return;
    struct fetch *fetch = fetch_open(node, merge_again, sizeof(struct late_merge), encoding.size);
    if (fetch != NULL) {
        struct late_merge *late = fetch->input;
        late->address = *address;
        late->fence = fence;
        if (!address_copy(&fetch->arena, &late->address) ||
            !arena_copy(&fetch->arena, encoding, &late->encoding)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    (void)replica_wait(node, address, fetch);
}
