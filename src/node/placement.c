/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to the members that hold it.
 *
 * The effective preference list has n places.  Strict: the first n owners, dead or not.  Sloppy: an
 * owner believed dead gives its place to a reachable member that is no owner, its stand-in, which
 * the bucket's handoff strategy chooses (cluster/handoff/stand_in.h).  Behind the n places follow
 * spare stand-ins for owners that fail under way.
 */
#include "cluster/handoff/stand_in.h"
#include "node/internal.h"

static const struct bytes default_type = { (const uint8_t *)"default", 7 };

bool placement_address(struct node *node, struct bytes type, struct bytes bucket, struct bytes key,
                       struct key_address *ret_address)
{
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || key.size == 0 ||
        key.size > NODE_KEY_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return false;
    *ret_address = (struct key_address){ type.size == 0 ? default_type : type, bucket, key, 0 };
    const struct epoch *epoch = node->config.epoch;
    ret_address->partition = ring_partition_of_hash(
        epoch, ring_hash(epoch, ret_address->type, ret_address->bucket, ret_address->key));
    return true;
}

bool address_copy(struct arena *arena, struct key_address *address)
{
    return arena_copy(arena, address->type, &address->type) &&
           arena_copy(arena, address->bucket, &address->bucket) &&
           arena_copy(arena, address->key, &address->key);
}

struct engine *placement_store(struct node *node, uint32_t partition)
{
    return node->config.stores[partition % node->config.store_count];
}

struct net_address placement_of(struct node *node, uint16_t member, uint32_t partition)
{
    if (member != node->config.self)
        return (struct net_address){ member, net_shard_of(node->config.net, member, partition) };
    uint16_t store = (uint16_t)(partition % node->config.store_count);
    return (struct net_address){ member, (uint16_t)(store % node->config.shard_count) };
}

bool placement_reachable(struct node *node, uint16_t member)
{
    return member == node->config.self || node->peers[member].state != LIVENESS_DEAD;
}

static void add_target(struct node *node, struct request *request, uint16_t member,
                       uint16_t stand_in_for)
{
    struct target *target = &request->targets[request->target_count++];
    bool local =
        member == node->config.self && placement_store(node, request->address.partition) != NULL;
    *target = (struct target){
        .address = placement_of(node, member, request->address.partition),
        .local = local,
        .stand_in = stand_in_for != RING_NO_MEMBER,
        .owner = stand_in_for,
    };
}

/* Chooses stand-ins, each once. */
struct choice {
    enum handoff_strategy strategy;
    uint32_t partition;
    const uint16_t *members; /* CONSISTENT: the preference list */
    uint16_t count, at;
    bool *barred; /* the others: by member */
};

static uint16_t next_of_list(struct node *node, struct choice *choice)
{
    while (choice->at < choice->count) {
        uint16_t member = choice->members[choice->at++];
        if (placement_reachable(node, member))
            return member;
    }
    return RING_NO_MEMBER;
}

static uint16_t next_stand_in(struct node *node, struct choice *choice, uint16_t owner)
{
    if (choice->strategy == HANDOFF_CONSISTENT || choice->barred == NULL)
        return next_of_list(node, choice);
    uint16_t member = node->config.self; /* ANY: who has the write already is as good as others */
    if (choice->strategy != HANDOFF_ANY || choice->barred[member])
        member = handoff_stand_in(node->config.epoch, choice->strategy, choice->partition, owner,
                                  choice->barred, &node->random);
    if (member != RING_NO_MEMBER)
        choice->barred[member] = true;
    return member;
}

/* NULL (no memory): by the list after all. */
static bool *bar_owners(struct node *node, const uint16_t *owners, uint8_t n)
{
    uint16_t count = node->config.epoch->member_count;
    bool *barred = arena_allocate_zero(&node->scratch, count * sizeof(*barred));
    for (uint16_t i = 0; barred != NULL && i < count; i++)
        barred[i] = !placement_reachable(node, i);
    for (uint8_t i = 0; barred != NULL && i < n; i++)
        barred[owners[i]] = true;
    return barred;
}

void placement_targets(struct node *node, struct request *request)
{
    uint16_t members[TARGETS_MAX];
    uint8_t n = request->quorum.n;
    bool sloppy = request->quorum.sloppy;
    struct choice choice = { request->strategy, request->address.partition, members, 0, n, NULL };
    choice.count = ring_preference(node->config.epoch, request->address.partition, members,
                                   sloppy ? TARGETS_MAX : n);
    if (sloppy && choice.strategy != HANDOFF_CONSISTENT)
        choice.barred = bar_owners(node, members, n);
    request->target_count = 0;
    for (uint8_t i = 0; i < n; i++) {
        uint16_t stand_in = RING_NO_MEMBER;
        if (sloppy && !placement_reachable(node, members[i]))
            stand_in = next_stand_in(node, &choice, members[i]);
        if (stand_in == RING_NO_MEMBER)
            add_target(node, request, members[i], RING_NO_MEMBER);
        else
            add_target(node, request, stand_in, members[i]);
    }
    uint16_t member;
    while (sloppy && request->target_count < TARGETS_MAX &&
           (member = next_stand_in(node, &choice, members[0])) != RING_NO_MEMBER)
        add_target(node, request, member, members[0]); /* whose place is known when it is used */
}

/* --- keys in stores --------------------------------------------------------------------------
 *
 *      'o'  partition u16  type size u8  type  bucket size u16  bucket  key        (big-endian)
 *
 * so a partition is a range, a bucket in it too, and its keys are in order.
 */

static uint8_t *append(uint8_t *at, struct bytes part)
{
    if (part.size > 0)
        memcpy(at, part.data, part.size);
    return at + part.size;
}

struct bytes store_key(struct arena *arena, const struct key_address *address)
{
    size_t size = 6 + address->type.size + address->bucket.size + address->key.size;
    uint8_t *data = arena_allocate(arena, size), *at = data;
    if (data == NULL)
        return (struct bytes){ 0 };
    *at++ = 'o';
    *at++ = (uint8_t)(address->partition >> 8);
    *at++ = (uint8_t)address->partition;
    *at++ = (uint8_t)address->type.size;
    at = append(at, address->type);
    *at++ = (uint8_t)(address->bucket.size >> 8);
    *at++ = (uint8_t)address->bucket.size;
    append(append(at, address->bucket), address->key);
    return bytes_make(data, size);
}

bool store_key_parse(struct bytes key, struct key_address *ret_address)
{
    if (key.size < 6 || key.data[0] != 'o')
        return false;
    size_t type_size = key.data[3];
    if (key.size < 6 + type_size)
        return false;
    const uint8_t *sizes = key.data + 4 + type_size;
    size_t bucket_size = (size_t)sizes[0] << 8 | sizes[1];
    if (key.size < 6 + type_size + bucket_size)
        return false;
    ret_address->partition = (uint32_t)key.data[1] << 8 | key.data[2];
    ret_address->type = bytes_make(key.data + 4, type_size);
    ret_address->bucket = bytes_make(sizes + 2, bucket_size);
    ret_address->key = bytes_from(key, 6 + type_size + bucket_size);
    return true;
}
