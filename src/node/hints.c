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
#include "node/repair.h"

enum { HINTS_IN_FLIGHT_MAX = 128, HINT_TIMEOUT_US = 5 * 1000 * 1000 };

struct hints {
    uint32_t in_flight;
    uint32_t scans; /* jobs that look for markers */
    bool progress;  /* something was delivered since the last scan: scan again at once */
};

struct hint_delivery {
    struct bytes key; /* of the object */
    uint16_t member;
    uint64_t digest; /* of what was sent; 0: there was nothing to send */
};

struct bytes hints_key(struct arena *arena, const struct node_id *member, struct bytes key)
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
    struct bytes marker = hints_key(&node->scratch, &node->config.epoch->members[owner].id, key);
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

struct late_delivery {
    uint16_t member;
    struct bytes marker;
};

static bool deliver(struct node *node, uint16_t member, struct bytes marker);
static void delivery_ended(struct node *node);

static void deliver_again(struct node *node, struct fetch *fetch)
{
    const struct late_delivery *late = fetch->input;
    deliver(node, late->member, late->marker);
    delivery_ended(node);
}

/* Counted as in flight meanwhile. */
static bool put_delivery_off(struct node *node, uint16_t member, struct bytes marker,
                             const struct key_address *address)
{
    struct fetch *fetch =
        fetch_open(node, deliver_again, sizeof(struct late_delivery), marker.size);
    if (fetch != NULL) {
        struct late_delivery *late = fetch->input;
        late->member = member;
        if (!arena_copy(&fetch->arena, marker, &late->marker)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    bool waits = replica_wait(node, address, fetch) == KVORUM_OK;
    node->hints->in_flight += waits;
    return waits;
}

/* False when nothing more can be sent to this member now. */
static bool deliver(struct node *node, uint16_t member, struct bytes marker)
{
    struct key_address address;
    struct bytes key = bytes_from(marker, 1 + NODE_ID_SIZE);
    if (!store_key_parse(key, &address))
        return true; /* not ours to judge; stays for an operator to see */
    if (hints_astray(node, member, &address)) {
        bool redirected = hints_redirect(node, member, key, &address);
        node->hints->progress |= redirected;
        return redirected;
    }
    struct replica_read read;
    kvorum_status status = replica_read(node, &address, &read);
    if (status == KVORUM_WOULD_BLOCK)
        return put_delivery_off(node, member, marker, &address);
    struct request *request = open_delivery(node, member, key);
    if (request == NULL) {
        if (status == KVORUM_OK && read.held)
            engine_release(&read.view);
        return false;
    }
    node->hints->in_flight++;
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

/* Markers of one member in one store. */
struct marker_scan {
    struct reading reading; /* first */
    struct engine *store;
    uint16_t member;
    struct bytes lower, upper;
    struct bytes markers[HINTS_IN_FLIGHT_MAX];
    size_t count;
};

static kvorum_status read_markers(struct reading *reading, bool nowait)
{
    struct marker_scan *scan = (struct marker_scan *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = scan->lower, .upper = scan->upper, .keys_only = true };
    struct engine_iterator *iterator;
    scan->count = 0;
    kvorum_status status = engine_iterate_at(scan->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && scan->count < HINTS_IN_FLIGHT_MAX &&
           arena_copy(&reading->arena, iterator->key, &scan->markers[scan->count])) {
        scan->count++;
        engine_iterator_next(iterator);
    }
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static void deliver_markers(struct node *node, struct reading *reading)
{
    struct marker_scan *scan = (struct marker_scan *)reading;
    struct hints *hints = node->hints;
    bool more = reading->status == KVORUM_OK;
    hints->scans--;
    for (size_t i = 0; i < scan->count && more && hints->in_flight < HINTS_IN_FLIGHT_MAX; i++)
        more = deliver(node, scan->member, scan->markers[i]);
    reading_close(reading);
}

static void scan(struct node *node, struct engine *store, uint16_t member)
{
    const struct node_id *id = &node->config.epoch->members[member].id;
    struct reading *reading = reading_open(sizeof(struct marker_scan));
    struct marker_scan *scan = (struct marker_scan *)reading;
    if (scan == NULL)
        return;
    reading->read = read_markers;
    reading->done = deliver_markers;
    scan->store = store;
    scan->member = member;
    scan->lower = hints_key(&reading->arena, id, (struct bytes){ 0 });
    scan->upper = hints_key(&reading->arena, id, BYTES_LITERAL("p")); /* after every 'o' */
    if (scan->lower.data == NULL || scan->upper.data == NULL) {
        reading_close(reading);
        return;
    }
    node->hints->scans++;
    reading_start(node, reading);
}

void hints_tick(struct node *node)
{
    if (!node->ready)
        property_pull(node);
    if (node->hints->in_flight > 0 || node->hints->scans > 0)
        return;
    node->hints->progress = false;
    for (uint16_t member = 0; member < node->config.epoch->member_count; member++) {
        bool gone = node->config.epoch->members[member].state == MEMBER_GONE;
        if (member == node->config.self ||
            (!gone && node_liveness(node, member) != LIVENESS_ALIVE))
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
    return placement_is_owner(node, address->partition, (uint8_t)properties.levels.n);
}

/* The object and its markers for the others: what is read before it is forgotten. */
struct forgetting {
    const struct hint_delivery *delivery;
    struct key_address address;
    struct bytes *keys; /* the object's, then markers; [own] is the one that was delivered */
    size_t key_count, own;
};

static bool forgetting_begin(struct node *node, const struct hint_delivery *delivery,
                             struct forgetting *ret)
{
    uint16_t members = node->config.epoch->member_count;
    *ret = (struct forgetting){ .delivery = delivery, .own = 1u + delivery->member };
    if (!store_key_parse(delivery->key, &ret->address))
        return false;
    ret->key_count = 1u + members;
    ret->keys = arena_allocate(&node->scratch, ret->key_count * sizeof(*ret->keys));
    if (ret->keys == NULL)
        return false;
    ret->keys[0] = delivery->key;
    for (uint16_t i = 0; i < members; i++) {
        const struct node_id *id = &node->config.epoch->members[i].id;
        ret->keys[1 + i] = hints_key(&node->scratch, id, delivery->key);
        if (ret->keys[1 + i].data == NULL)
            return false;
    }
    return true;
}

/* OK: somebody else waits for it too, or it cannot be told; NOT_FOUND: nobody. */
static kvorum_status held_for_another(struct node *node, struct engine *store,
                                      const struct forgetting *forgetting)
{
    for (size_t i = 1; i < forgetting->key_count; i++) {
        struct engine_view view;
        if (i == forgetting->own)
            continue;
        kvorum_status status = fetch_view(node, store, forgetting->keys[i], &view);
        if (status == KVORUM_OK)
            engine_release(&view);
        if (status != KVORUM_NOT_FOUND)
            return status == KVORUM_WOULD_BLOCK ? status : KVORUM_OK;
    }
    return KVORUM_NOT_FOUND;
}

static kvorum_status forget_stored(struct node *node, const struct forgetting *forgetting,
                                   bool held)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct engine *store = placement_store(node, forgetting->address.partition);
    kvorum_status others = KVORUM_OK;
    if (held && !is_owner(node, &forgetting->address))
        others = held_for_another(node, store, forgetting);
    if (others == KVORUM_WOULD_BLOCK)
        return others;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_delete(node->batch, forgetting->keys[forgetting->own]);
    if (status == KVORUM_OK && others == KVORUM_NOT_FOUND)
        status = engine_batch_delete(node->batch, forgetting->keys[0]);
    if (status == KVORUM_OK)
        status =
            replica_submit(node, store, node->batch, replica_durability(node, false), &nothing);
    if (status == KVORUM_OK && others == KVORUM_NOT_FOUND)
        repair_note(node, &forgetting->address, forgetting->keys[0], REPAIR_UNKNOWN, 0);
    node->hints->progress |= status == KVORUM_OK;
    PROBE("node: a hint was delivered and forgotten");
    node->counters.hints_delivered += status == KVORUM_OK;
    return status;
}

/* If what is stored is still what was delivered; else the next scan sends it again. */
static kvorum_status forget(struct node *node, const struct forgetting *forgetting)
{
    struct replica_read read;
    kvorum_status status = replica_read(node, &forgetting->address, &read);
    if (status != KVORUM_OK)
        return status;
    uint64_t digest = read.held ? object_digest(read.encoding) : 0;
    if (read.held)
        engine_release(&read.view);
    if (digest == forgetting->delivery->digest)
        return forget_stored(node, forgetting, read.held);
    PROBE("node: an object changed while its hint was delivered");
    return KVORUM_OK;
}

static bool forget_or_wait(struct node *node, const struct hint_delivery *delivery);

static void forget_again(struct node *node, struct fetch *fetch)
{
    if (!forget_or_wait(node, fetch->input))
        delivery_ended(node);
}

/* True: it will be tried again, and stays in flight. */
static bool forget_or_wait(struct node *node, const struct hint_delivery *delivery)
{
    struct forgetting forgetting;
    if (!forgetting_begin(node, delivery, &forgetting) ||
        forget(node, &forgetting) != KVORUM_WOULD_BLOCK)
        return false;
    struct fetch *fetch = fetch_open(node, forget_again, sizeof(*delivery), delivery->key.size);
    if (fetch == NULL)
        return false; /* it is delivered once more */
    struct hint_delivery *late = fetch->input;
    *late = *delivery;
    if (!arena_copy(&fetch->arena, delivery->key, &late->key)) {
        fetch_close(node, fetch);
        return false;
    }
    return fetch_wait(node, fetch, placement_store(node, forgetting.address.partition),
                      forgetting.keys, forgetting.key_count) == KVORUM_OK;
}

static void delivery_ended(struct node *node)
{
    assert(node->hints->in_flight > 0);
    node->hints->in_flight--;
    if (node->hints->in_flight == 0 && node->hints->progress) {
        heap_remove(&node->timers, &node->hint_timer);
        (void)heap_insert(&node->timers, &node->hint_timer, node->now_us);
    }
}

void hints_on_acknowledged(struct node *node, struct request *request, kvorum_status status)
{
    bool waits = status == KVORUM_OK && forget_or_wait(node, request->hint);
    request_close(node, request);
    if (!waits)
        delivery_ended(node);
}
