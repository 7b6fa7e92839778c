/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to the members that hold it.
 *
 * The effective preference list has n places.  Strict: the first n owners, dead or not.  Sloppy: an
 * owner believed dead gives its place to the next reachable member of the preference list, its
 * stand-in.  Behind the n places follow spare stand-ins for owners that fail under way.
 *
 * While a partition moves, a write has the places of two lists, of its owners until now and of
 * those to come; those whom reads ask come first, since the coordinator should be one of them.
 * Reads have the places of one list.
 */
#include "base/planted.h"
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

/* The next reachable member of the list from *at on, or RING_NO_MEMBER. */
static uint16_t next_stand_in(struct node *node, const uint16_t *members, uint16_t count,
                              uint16_t *at)
{
    while (*at < count) {
        uint16_t member = members[(*at)++];
        if (placement_reachable(node, member))
            return member;
    }
    return RING_NO_MEMBER;
}

/* Members in order of preference: `places` that are owners, then whoever may stand in. */
struct preference {
    uint16_t members[TARGETS_MAX];
    uint16_t count;
    uint8_t places;
};

static void fill_targets(struct node *node, struct request *request,
                         const struct preference *preference)
{
    const uint16_t *members = preference->members;
    bool sloppy = request->quorum.sloppy;
    uint16_t count = preference->count, spare = preference->places;
    request->places = preference->places;
    request->target_count = 0;
    for (uint8_t i = 0; i < preference->places; i++) {
        uint16_t stand_in = RING_NO_MEMBER;
        if (sloppy && !placement_reachable(node, members[i]))
            stand_in = next_stand_in(node, members, count, &spare);
        if (stand_in == RING_NO_MEMBER)
            add_target(node, request, members[i], RING_NO_MEMBER);
        else
            add_target(node, request, stand_in, members[i]);
    }
    uint16_t member;
    while (sloppy && request->target_count < TARGETS_MAX &&
           (member = next_stand_in(node, members, count, &spare)) != RING_NO_MEMBER)
        add_target(node, request, member, members[0]); /* whose place is known when it is used */
}

static void list_row(struct node *node, struct request *request, const uint16_t *row,
                     struct preference *ret)
{
    ret->places = request->quorum.n;
    ret->count =
        ring_preference_of_row(node->config.epoch, request->address.partition, row, ret->members,
                               request->quorum.sloppy ? TARGETS_MAX : ret->places);
}

static int place_of(const struct preference *preference, uint16_t member)
{
    for (uint8_t i = 0; i < preference->places; i++)
        if (preference->members[i] == member)
            return i;
    return -1;
}

static void add_member(struct preference *preference, uint16_t member)
{
    if (preference->count < TARGETS_MAX)
        preference->members[preference->count++] = member;
}

/* The places of the second list that are not in the first go behind those of the first, before
 * whoever stands in. */
static void join_lists(struct request *request, const struct preference *first,
                       const struct preference *second, struct preference *ret)
{
    *ret = *first;
    ret->count = first->places;
    request->set = (1u << first->places) - 1;
    request->other_set = 0;
    for (uint8_t i = 0; i < second->places; i++) {
        int place = place_of(first, second->members[i]);
        if (place < 0) {
            place = ret->count;
            add_member(ret, second->members[i]);
        }
        request->other_set |= 1u << place;
    }
    ret->places = (uint8_t)ret->count;
    for (uint16_t i = first->places; i < first->count; i++)
        if (place_of(ret, first->members[i]) < 0)
            add_member(ret, first->members[i]);
}

void placement_read_targets(struct node *node, struct request *request)
{
    struct preference preference;
    list_row(node, request, ring_read_row(node->config.epoch, request->address.partition),
             &preference);
    fill_targets(node, request, &preference);
}

/* The row whose owners a write needs beside those of the row that is read; NULL: none. */
static const uint16_t *other_row(const struct epoch *epoch, uint32_t partition)
{
    const struct move *move = ring_move_of(epoch, partition);
    if (move == NULL)
        return NULL;
    return move->phase == MOVE_WRITE_BOTH_READ_NEW ? ring_row(epoch, partition) : move->to;
}

void placement_write_targets(struct node *node, struct request *request)
{
    struct preference first, second, both;
    uint32_t partition = request->address.partition;
    const uint16_t *row = other_row(node->config.epoch, partition);
    request->set = request->other_set = 0;
    if (row == NULL) {
        placement_read_targets(node, request);
        return;
    }
    PROBE("node: a write to a partition that moves");
    list_row(node, request, ring_read_row(node->config.epoch, partition), &first);
    second.places = request->other.n;
    second.count =
        ring_preference_of_row(node->config.epoch, partition, row, second.members, second.places);
    join_lists(request, &first, &second, &both);
    fill_targets(node, request, &both);
}

static bool is_owner_by_row(struct node *node, uint32_t partition, const uint16_t *row, uint8_t n)
{
    uint16_t members[TARGETS_MAX];
    const struct epoch *epoch = node->config.epoch;
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t count = ring_preference_of_row(epoch, partition, row, members, n < limit ? n : limit);
    for (uint16_t i = 0; i < count; i++)
        if (members[i] == node->config.self)
            return true;
    return false;
}

bool placement_is_owner(struct node *node, uint32_t partition, uint8_t n)
{
    const struct epoch *epoch = node->config.epoch;
    const uint16_t *other = other_row(epoch, partition);
    return is_owner_by_row(node, partition, ring_read_row(epoch, partition), n) ||
           (other != NULL && is_owner_by_row(node, partition, other, n));
}

static void add_owners_of_row(struct node *node, uint32_t partition, const uint16_t *row, uint8_t n,
                              uint16_t *members, uint16_t *count)
{
    uint16_t listed[TARGETS_MAX];
    const struct epoch *epoch = node->config.epoch;
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t more = ring_preference_of_row(epoch, partition, row, listed, n < limit ? n : limit);
    for (uint16_t i = 0; i < more; i++) {
        uint16_t at = 0;
        while (at < *count && members[at] != listed[i])
            at++;
        if (at == *count)
            members[(*count)++] = listed[i];
    }
}

uint16_t placement_owners(struct node *node, uint32_t partition, uint8_t n, uint16_t *ret_members)
{
    const struct epoch *epoch = node->config.epoch;
    const uint16_t *other = other_row(epoch, partition);
    uint16_t count = 0;
    add_owners_of_row(node, partition, ring_read_row(epoch, partition), n, ret_members, &count);
    if (other != NULL)
        add_owners_of_row(node, partition, other, n, ret_members, &count);
    return count;
}

/* Nearly all requests ask for the same levels: what was asked last is remembered. */
static kvorum_status resolve_row(struct node *node, const struct quorum_levels *asked,
                                 const struct quorum_levels *bucket, const uint16_t *row,
                                 struct quorum *ret_quorum, const char **ret_level)
{
    uint8_t owners = ring_owner_limit_of_row(node->config.epoch, row);
    if (node->resolved.owner_limit != owners ||
        !quorum_levels_equal(&node->resolved.asked, asked) ||
        !quorum_levels_equal(&node->resolved.bucket, bucket)) {
        kvorum_status status =
            quorum_resolve(asked, bucket, owners, &node->resolved.quorum, ret_level);
        node->resolved.owner_limit = status == KVORUM_OK ? owners : 0;
        if (status != KVORUM_OK)
            return status;
        node->resolved.asked = *asked;
        node->resolved.bucket = *bucket;
    }
    *ret_quorum = node->resolved.quorum;
    return KVORUM_OK;
}

kvorum_status placement_quorum(struct node *node, struct request *request,
                               const struct quorum_levels *asked,
                               const struct quorum_levels *bucket, const char **ret_level)
{
    const struct epoch *epoch = node->config.epoch;
    uint32_t partition = request->address.partition;
    const uint16_t *other = other_row(epoch, partition);
    kvorum_status status = resolve_row(node, asked, bucket, ring_read_row(epoch, partition),
                                       &request->quorum, ret_level);
    if (status == KVORUM_OK && other != NULL && request->kind != REQUEST_GET)
        status = resolve_row(node, asked, bucket, other, &request->other, ret_level);
    return status;
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
