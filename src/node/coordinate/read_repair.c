/* SPDX-License-Identifier: Apache-2.0 */
/* Read repair: replicas that turned out to be stale are sent the merge of all answers, after the
 * client has its own. */
#include "node/coordinate/read_internal.h"

#include "base/planted.h"
#include "node/repair/repair.h"

bool read_is_mixed(const struct request *request)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if ((request->get.answered >> i & 1) != 0 && request->targets[i].fence < request->collected)
            return true;
    return false;
}

/* Under which what is merged of all answers was read. */
static uint64_t oldest_fence(const struct request *request)
{
    uint64_t oldest = UINT64_MAX;
    for (uint8_t i = 0; i < request->target_count; i++) {
        const struct target *target = &request->targets[i];
        if (target->in_hand && target->encoding.size > 0 && target->fence < oldest)
            oldest = target->fence;
    }
    return PLANTED(FENCE_OF_SENDING) ? UINT64_MAX : oldest;
}

static void repair_target(struct node *node, struct request *request, const struct target *target,
                          struct bytes merged)
{
    node->counters.read_repairs++;
    repair_suspect(node, request->address.partition, target->address.member);
    PROBE("node: a read repaired a replica");
    if (target->local) {
        replica_merge_quietly(node, &request->address, merged, oldest_fence(request));
        return;
    }
    Peer__Address address;
    address_pack(&request->address, &address);
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &address;
    merge.fence = oldest_fence(request);
    merge.collected = request->collected;
    node_send(node, target->address, MESSAGE_MERGE, 0, node_pack(node, &merge.base), merged);
}

/* Bring owners that answered with something else up to the merge of all answers.  Never a blind
 * write: the receiver merges by version. */
void read_repair(struct node *node, struct request *request)
{
    const struct get *get = &request->get;
    bool differ = false;
    for (uint8_t i = 1; i < request->target_count; i++)
        differ |= (get->answered & 1u << i) && get->digests[i] != get->digests[0];
    struct object merged;
    bool any = false;
    if (read_is_mixed(request) || request_is_outdated(node, request))
        return;
    if ((!differ && (get->answered & 1)) || read_merge(node, request, &merged, &any) != KVORUM_OK ||
        !any)
        return;
    struct buffer encoding;
    buffer_init(&encoding, ENGINE_VALUE_SIZE_MAX);
    object_encode(&merged, &encoding);
    uint64_t digest = encoding.failed ? 0 : object_digest(buffer_bytes(&encoding));
    for (uint8_t i = 0; digest != 0 && i < request->target_count; i++)
        if ((get->answered & 1u << i) && (get->owners & 1u << i) && get->digests[i] != digest)
            repair_target(node, request, &request->targets[i], buffer_bytes(&encoding));
    buffer_done(&encoding);
}
