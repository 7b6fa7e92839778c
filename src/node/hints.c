/* SPDX-License-Identifier: Apache-2.0 */
/* Hinted handoff, first floor: an object taken for a member that was away is stored like any other,
 * with a marker beside it in the same batch; once the member is back it is sent there as a merge,
 * and the marker goes when the member has acknowledged.
 *
 *      'h'  member id (16 bytes)  store key of the object        value: empty
 *
 * Delivery is at least once and in any order: a merge is idempotent.  The object itself goes too,
 * unless this member is one of its owners or holds it for somebody else as well. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/internal.h"

enum { HINTS_IN_FLIGHT_MAX = 128, HINT_TIMEOUT_US = 5 * 1000 * 1000 };

struct hints {
    uint32_t in_flight;
    bool progress; /* something was delivered since the last scan: scan again at once */
};

struct hint_delivery {
    struct bytes key; /* of the object */
    uint16_t member;
    uint64_t digest; /* of what was sent; 0: there was nothing to send */
};

static struct bytes marker_key(struct arena *arena, const struct node_id *member, struct bytes key)
{
    uint8_t *data = arena_allocate(arena, 1 + NODE_ID_SIZE + key.size);
    if (data == NULL)
        return (struct bytes){ 0 };
    data[0] = 'h';
    memcpy(data + 1, member->bytes, NODE_ID_SIZE);
    if (key.size > 0)
        memcpy(data + 1 + NODE_ID_SIZE, key.data, key.size);
    return bytes_make(data, 1 + NODE_ID_SIZE + key.size);
}

kvorum_status hints_open(struct node *node)
{
    node->hints = calloc(1, sizeof(*node->hints));
    return node->hints == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

void hints_close(struct node *node)
{
    free(node->hints);
    node->hints = NULL;
}

bool hints_add(struct node *node, struct engine_batch *batch, uint16_t owner, struct bytes key)
{
    struct bytes marker = marker_key(&node->scratch, &node->config.epoch->members[owner].id, key);
    node->counters.hints_stored++;
    return marker.data != NULL && engine_batch_put(batch, marker, (struct bytes){ 0 }) == KVORUM_OK;
}

/* --- delivering ----------------------------------------------------------------------------- */

static bool send_object(struct node *node, struct request *request, uint16_t member,
                        const struct key_address *address, struct bytes encoding)
{
    Peer__Address to = PEER__ADDRESS__INIT;
    to.type = protobuf_data(address->type);
    to.bucket = protobuf_data(address->bucket);
    to.key = protobuf_data(address->key);
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &to;
    merge.durable = node->config.sync == NODE_SYNC_ALWAYS;
    return node_send(node, placement_of(node, member, address->partition), MESSAGE_MERGE,
                     request->id, node_pack(node, &merge.base), encoding);
}

static struct request *open_delivery(struct node *node, uint16_t member, struct bytes key)
{
    struct request *request = request_open(node, REQUEST_HINT);
    struct hint_delivery *delivery =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*delivery));
    bool fine = delivery != NULL && arena_copy(&request->arena, key, &delivery->key) &&
                request_register(node, request, node->now_us + HINT_TIMEOUT_US);
    if (!fine) {
        if (request != NULL)
            request_close(node, request);
        return NULL;
    }
    delivery->member = member;
    request->hint = delivery;
    request->answered = true; /* nobody waits for it */
    return request;
}

/* False when nothing more can be sent to this member now. */
static bool deliver(struct node *node, uint16_t member, struct bytes marker)
{
    struct key_address address;
    struct bytes key = bytes_from(marker, 1 + NODE_ID_SIZE);
    if (!store_key_parse(key, &address))
        return true; /* not ours to judge; stays for an operator to see */
    struct request *request = open_delivery(node, member, key);
    if (request == NULL)
        return false;
    node->hints->in_flight++;
    struct replica_read read;
    kvorum_status status = replica_read(node, &address, &read);
    if (status == KVORUM_OK && !read.held) {
        hints_on_acknowledged(node, request, KVORUM_OK);
        return true;
    }
    bool sent = false;
    if (status == KVORUM_OK) {
        request->hint->digest = object_digest(read.encoding);
        sent = send_object(node, request, member, &address, read.encoding);
        engine_release(&read.view);
    }
    if (!sent)
        hints_on_acknowledged(node, request, KVORUM_UNAVAILABLE);
    return sent;
}

static void scan(struct node *node, struct engine *store, uint16_t member)
{
    const struct node_id *id = &node->config.epoch->members[member].id;
    struct bytes lower = marker_key(&node->scratch, id, (struct bytes){ 0 });
    struct bytes upper = marker_key(&node->scratch, id, BYTES_LITERAL("p")); /* after every 'o' */
    struct engine_range range = { .lower = lower, .upper = upper, .keys_only = true };
    struct engine_iterator *iterator = NULL;
    if (lower.data == NULL || upper.data == NULL ||
        engine_iterate(store, &range, &iterator) != KVORUM_OK)
        return;
    engine_iterator_first(iterator);
    while (iterator->valid && node->hints->in_flight < HINTS_IN_FLIGHT_MAX &&
           deliver(node, member, iterator->key))
        engine_iterator_next(iterator);
    engine_iterator_close(iterator);
}

void hints_tick(struct node *node)
{
    if (!node->ready)
        property_pull(node);
    if (node->hints->in_flight > 0)
        return;
    node->hints->progress = false;
    for (uint16_t member = 0; member < node->config.epoch->member_count; member++) {
        if (member == node->config.self || node_liveness(node, member) != LIVENESS_ALIVE)
            continue;
        for (uint16_t i = 0; i < node->config.store_count; i++)
            if (node->config.stores[i] != NULL)
                scan(node, node->config.stores[i], member);
    }
}

/* --- after delivery ------------------------------------------------------------------------- */

static bool is_owner(struct node *node, const struct key_address *address)
{
    struct bucket_properties properties;
    property_table_get(node, address->type, address->bucket, &properties);
    uint16_t members[TARGETS_MAX];
    uint16_t count = ring_preference(node->config.epoch, address->partition, members,
                                     (uint16_t)properties.levels.n);
    for (uint16_t i = 0; i < count; i++)
        if (members[i] == node->config.self)
            return true;
    return false;
}

static bool held_for_another(struct node *node, struct engine *store, struct bytes key,
                             uint16_t but)
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++) {
        struct engine_view view;
        struct bytes marker = marker_key(&node->scratch, &node->config.epoch->members[i].id, key);
        if (i == but)
            continue;
        kvorum_status status =
            marker.data == NULL ? KVORUM_NO_MEMORY : engine_view(store, marker, &view);
        if (status == KVORUM_OK)
            engine_release(&view);
        if (status != KVORUM_NOT_FOUND)
            return true; /* there is one, or we cannot tell */
    }
    return false;
}

/* Forget the hint if what is stored is still what was delivered; else the next scan sends it
 * again. */
static void forget(struct node *node, const struct hint_delivery *delivery)
{
    struct key_address address;
    struct replica_read read;
    if (!store_key_parse(delivery->key, &address) ||
        replica_read(node, &address, &read) != KVORUM_OK)
        return;
    uint64_t digest = read.held ? object_digest(read.encoding) : 0;
    bool held = read.held;
    if (read.held)
        engine_release(&read.view);
    if (digest != delivery->digest) {
        PROBE("node: an object changed while its hint was delivered");
        return;
    }
    struct engine *store = placement_store(node, address.partition);
    struct bytes marker = marker_key(
        &node->scratch, &node->config.epoch->members[delivery->member].id, delivery->key);
    engine_batch_reset(node->batch);
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status =
        marker.data == NULL ? KVORUM_NO_MEMORY : engine_batch_delete(node->batch, marker);
    if (status == KVORUM_OK && held && !is_owner(node, &address) &&
        !held_for_another(node, store, delivery->key, delivery->member))
        status = engine_batch_delete(node->batch, delivery->key);
    if (status == KVORUM_OK)
        status =
            replica_submit(node, store, node->batch, replica_durability(node, false), &nothing);
    node->hints->progress |= status == KVORUM_OK;
    PROBE("node: a hint was delivered and forgotten");
    node->counters.hints_delivered += status == KVORUM_OK;
}

void hints_on_acknowledged(struct node *node, struct request *request, kvorum_status status)
{
    assert(node->hints->in_flight > 0);
    node->hints->in_flight--;
    if (status == KVORUM_OK)
        forget(node, request->hint);
    request_close(node, request);
    if (node->hints->in_flight == 0 && node->hints->progress) {
        heap_remove(&node->timers, &node->hint_timer);
        (void)heap_insert(&node->timers, &node->hint_timer, node->now_us);
    }
}
