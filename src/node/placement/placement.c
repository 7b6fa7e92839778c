/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to the members that hold it.
 *
 * The effective preference list has n places.  Strict: the first n owners, dead or not.  Sloppy: an
 * owner believed dead gives its place to a reachable member that is no owner, its stand-in, which
 * the bucket's handoff strategy chooses (cluster/handoff/stand_in.h).  Behind the n places follow
 * spare stand-ins for owners that fail under way.
 *
 * While a partition moves, a write has the places of two lists, of its owners until now and of
 * those to come; those whom reads ask come first, since the coordinator should be one of them.
 * Reads have the places of one list.
 */
#include "base/planted.h"
#include "cluster/handoff/stand_in.h"
#include "node/internal.h"

static const struct bytes default_type = { (const uint8_t *)"default", 7 };

bool placement_address(struct node *node, struct bytes type, struct bytes bucket, struct bytes key,
                       struct key_address *ret_address)
{
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || key.size == 0 ||
        key.size > NODE_KEY_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return false;
    *ret_address = (struct key_address){ type.size == 0 ? default_type : type, bucket, key, 0, 0 };
    const struct epoch *epoch = node->config.epoch;
    ret_address->partition = ring_partition_of_hash(
        epoch, ring_hash(epoch, ret_address->type, ret_address->bucket, ret_address->key));
    return true;
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
    uint8_t places = preference->places;
    struct choice choice = { .strategy = request->strategy,
                             .partition = request->address.partition,
                             .members = members,
                             .count = preference->count,
                             .at = places };
    if (sloppy && choice.strategy != HANDOFF_CONSISTENT)
        choice.barred = bar_owners(node, members, places);
    request->places = places;
    request->target_count = 0;
    for (uint8_t i = 0; i < places; i++) {
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
    zones_order(node, request);
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

static uint16_t add_owners(const struct epoch *epoch, uint32_t partition, const uint16_t *row,
                           uint8_t n, uint16_t *owners, uint16_t count)
{
    uint16_t members[RING_OWNERS_MAX];
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t found = ring_preference_of_row(epoch, partition, row, members, n < limit ? n : limit);
    for (uint16_t i = 0; i < found; i++) {
        uint16_t at = 0;
        while (at < count && owners[at] != members[i])
            at++;
        owners[at] = members[i];
        count += at == count;
    }
    return count;
}

uint16_t placement_owners(const struct node *node, uint32_t partition, uint8_t n,
                          uint16_t ret_owners[PLACEMENT_OWNERS_MAX])
{
    const struct epoch *epoch = node->config.epoch;
    const uint16_t *other = other_row(epoch, partition);
    uint16_t count =
        add_owners(epoch, partition, ring_read_row(epoch, partition), n, ret_owners, 0);
    return other == NULL ? count : add_owners(epoch, partition, other, n, ret_owners, count);
}

bool placement_is_owner(const struct node *node, uint32_t partition, uint8_t n, uint16_t member)
{
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = placement_owners(node, partition, n, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return true;
    return false;
}

/* Where nothing was asked about disks, dw means what the node's sync policy gives anyway. */
static void relax_dw(const struct node *node, const struct quorum_levels *asked,
                     const struct quorum_levels *bucket, struct quorum *quorum)
{
    bool stated = asked->dw != LEVEL_DEFAULT || bucket->dw != LEVEL_DEFAULT;
    if (!stated && node->config.sync != NODE_SYNC_ALWAYS)
        quorum->dw = quorum->zones.dw = 0;
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
        relax_dw(node, asked, bucket, &node->resolved.quorum);
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
