/* SPDX-License-Identifier: Apache-2.0 */
/* A hint may outlive what it was for: its member was removed, or its partition moved on while the
 * member was away.  The write counted on the hint, and the streams of that move came from owners
 * that may never have had it; so it goes to all who own the partition now, by a marker for each of
 * them, in one batch with the end of the old marker. */
#include "base/planted.h"
#include "node/internal.h"

static uint16_t list_owners(struct node *node, const struct key_address *address,
                            uint16_t *ret_members)
{
    struct bucket_properties properties;
    property_table_get(node, address->type, address->bucket, &properties);
    return placement_owners(node, address->partition, (uint8_t)properties.levels.n, ret_members);
}

/* Before the buckets' properties are known nobody can tell who owns what. */
bool hints_astray(struct node *node, uint16_t member, const struct key_address *address)
{
    uint16_t owners[OWNERS_MAX];
    uint16_t count = node->ready ? list_owners(node, address, owners) : 0;
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return false;
    return count > 0;
}

static kvorum_status put_markers(struct node *node, struct bytes key,
                                 const struct key_address *address)
{
    uint16_t owners[OWNERS_MAX];
    uint16_t count = list_owners(node, address, owners);
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < count && status == KVORUM_OK; i++) {
        if (owners[i] == node->config.self)
            continue; /* it has the object */
        const struct node_id *id = &node->config.epoch->members[owners[i]].id;
        struct bytes marker = hints_key(&node->scratch, id, key);
        status = marker.data == NULL
                     ? KVORUM_NO_MEMORY
                     : engine_batch_put(node->batch, marker, (struct bytes){ 0 });
    }
    return status;
}

bool hints_redirect(struct node *node, uint16_t member, struct bytes key,
                    const struct key_address *address)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct bytes old =
        hints_key(&node->scratch, &node->config.epoch->members[member].id, key);
    if (old.data == NULL)
        return false;
    engine_batch_reset(node->batch);
    kvorum_status status = put_markers(node, key, address);
    if (status == KVORUM_OK)
        status = engine_batch_delete(node->batch, old);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, address->partition), node->batch,
                                replica_durability(node, false), &nothing);
    PROBE("node: a hint went to those who own its partition now");
    node->counters.hints_redirected += status == KVORUM_OK;
    return status == KVORUM_OK;
}
