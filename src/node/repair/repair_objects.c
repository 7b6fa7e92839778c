/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of an exchange.  What is fetched is merged like any write of a peer; what is pushed
 * is a MERGE like any other, and counts when it is acknowledged. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/collect/collect.h"
#include "node/repair/repair_internal.h"

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

/* --- fetching ------------------------------------------------------------------------------- */

bool exchange_fetch(struct node *node, struct repair_exchange *exchange, uint32_t question)
{
    Peer__Repair objects = PEER__REPAIR__INIT;
    uint8_t memory[REPAIR_PREFIX_SIZE];
    struct bytes before = repair_prefix(exchange->partition, memory);
    objects.kind = REPAIR_OBJECTS;
    buffer_reset(&node->encoding);
    for (uint32_t i = 0; i < exchange->count; i++) {
        const struct exchange_difference *difference =
            &exchange->machine.differences[exchange->indices[i]];
        bool check = difference->action == EXCHANGE_CHECK;
        struct repair_want *want = &exchange->wants[i];
        *want =
            (struct repair_want){ difference->key, check ? difference->ours : difference->theirs,
                                  check ? REPAIR_UNLESS_EQUAL : REPAIR_IF_EQUAL };
        repair_write_want(&node->encoding, before, want);
        before = want->key;
    }
    return !node->encoding.failed &&
           exchange_send(node, exchange, &objects, question, buffer_bytes(&node->encoding));
}

struct fetched {
    uint64_t exchange;
    uint32_t question, index, partition;
    struct bytes key, encoding;
    uint64_t fence; /* under which it was read */
};

static bool address_of(struct node *node, uint32_t partition, struct bytes key,
                       struct key_address *ret)
{
    struct key_address address;
    bool fine = store_key_parse(key, &address) &&
                placement_address(node, address.type, address.bucket, address.key, ret) &&
                ret->partition == partition;
    if (fine)
        ret->generation = address.generation;
    return fine;
}

static void merge_again(struct node *node, struct fetch *fetch);

static kvorum_status put_off(struct node *node, const struct key_address *address,
                             const struct fetched *fetched)
{
    struct fetch *fetch =
        fetch_open(node, merge_again, sizeof(*fetched), fetched->key.size + fetched->encoding.size);
    if (fetch != NULL) {
        struct fetched *late = fetch->input;
        *late = *fetched;
        if (!arena_copy(&fetch->arena, fetched->key, &late->key) ||
            !arena_copy(&fetch->arena, fetched->encoding, &late->encoding)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    return replica_wait(node, address, fetch);
}

static kvorum_status merge(struct node *node, const struct key_address *address,
                           struct bytes encoding, uint64_t fence, uint64_t *ret_digest)
{
    if (PLANTED(REPAIR_OVERWRITES)) {
        *ret_digest = object_digest(encoding);
        return replica_store(node, address, REPAIR_UNKNOWN, encoding, NULL, false, &nothing);
    }
    return replica_merge(node, address, encoding, fence, NULL, false, &nothing, ret_digest);
}

static void merge_fetched(struct node *node, const struct fetched *fetched)
{
    struct key_address address;
    enum exchange_result result = EXCHANGE_FAILED;
    uint64_t digest = 0;
    if (address_of(node, fetched->partition, fetched->key, &address)) {
        kvorum_status status = merge(node, &address, fetched->encoding, fetched->fence, &digest);
        if (status == KVORUM_WOULD_BLOCK && put_off(node, &address, fetched) == KVORUM_OK)
            return;
        if (status == KVORUM_OK) {
            PROBE("repair: an object was fetched");
            result = EXCHANGE_MOVED;
        } else if (status == KVORUM_DROPPED)
            result = EXCHANGE_LEFT;
    }
    exchange_object_done(node, fetched->exchange, fetched->question, fetched->index, result,
                         digest);
}

static void merge_again(struct node *node, struct fetch *fetch)
{
    merge_fetched(node, fetch->input);
}

static bool is_wanted(const struct repair_want *want, struct bytes encoding)
{
    uint64_t digest = object_digest(encoding);
    return want->mode == REPAIR_IF_EQUAL ? digest == want->digest : digest != want->digest;
}

/* The exchange may end at any object: what is needed of it is copied first. */
void exchange_take_objects(struct node *node, struct repair_exchange *exchange,
                           const Peer__RepairAnswer *answer, struct bytes tail)
{
    uint32_t indices[EXCHANGE_BATCH_MAX], count = exchange->count, index;
    bool came[EXCHANGE_BATCH_MAX] = { false };
    struct fetched fetched = { .exchange = exchange->id,
                               .question = answer->question,
                               .partition = exchange->partition,
                               .fence = answer->fence };
    collect_hear(node, fetched.partition, answer->collected);
    struct bytes keys[EXCHANGE_BATCH_MAX];
    struct reader reader = reader_of(tail);
    for (uint32_t i = 0; i < count; i++) {
        indices[i] = exchange->indices[i];
        if (!arena_copy(&node->scratch, exchange->wants[i].key, &keys[i]))
            return; /* it asks again in a while */
    }
    while (repair_read_object(&reader, count, &index, &fetched.encoding)) {
        exchange = exchange_find(node, fetched.exchange);
        if (exchange == NULL || exchange->machine.question != fetched.question || came[index])
            return;
        came[index] = true;
        fetched.key = keys[index];
        fetched.index = indices[index];
        if (is_wanted(&exchange->wants[index], fetched.encoding))
            merge_fetched(node, &fetched);
        else
            exchange_object_done(node, fetched.exchange, fetched.question, fetched.index,
                                 EXCHANGE_FAILED, 0);
    }
    node->counters.messages_bad += reader.failed;
    for (uint32_t i = 0; i < count; i++)
        if (!came[i])
            exchange_object_done(node, fetched.exchange, fetched.question, indices[i],
                                 reader.failed             ? EXCHANGE_FAILED
                                 : i >= answer->considered ? EXCHANGE_LATER
                                                           : EXCHANGE_LEFT,
                                 0);
}

/* --- pushing -------------------------------------------------------------------------------- */

struct late_push {
    uint64_t exchange;
    uint32_t question, index;
};

static void push_one(struct node *node, uint64_t id, uint32_t question, uint32_t index);

static void push_again(struct node *node, struct fetch *fetch)
{
    const struct late_push *late = fetch->input;
    push_one(node, late->exchange, late->question, late->index);
}

static struct request *open_push(struct node *node, const struct repair_push *push)
{
    struct request *request = request_open(node, REQUEST_REPAIR);
    struct repair_push *kept =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*kept));
    if (kept == NULL || !request_register(node, request, node->now_us + REPAIR_QUESTION_US)) {
        if (request != NULL)
            request_close(node, request);
        return NULL;
    }
    *kept = *push;
    request->push = kept;
    request->answered = true; /* nobody waits for it */
    return request;
}

static bool send_object(struct node *node, const struct repair_exchange *exchange,
                        const struct request *request, const struct key_address *address,
                        struct bytes encoding)
{
    Peer__Address to = PEER__ADDRESS__INIT;
    if (!bytes_equal(address->type, BYTES_LITERAL("default"))) /* which is what none means */
        to.type = protobuf_data(address->type);
    to.bucket = protobuf_data(address->bucket);
    to.key = protobuf_data(address->key);
    to.generation = address->generation;
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &to;
    merge.durable = node->config.sync == NODE_SYNC_ALWAYS;
    merge.fence = collect_promised(node, address->partition);
    merge.collected = collect_committed(node, address->partition);
    struct bytes body = node_pack(node, &merge.base);
    bool sent = node_send(node, placement_of(node, exchange->member, exchange->partition),
                          MESSAGE_MERGE, request->id, body, encoding);
    if (sent)
        node->counters.repair_bytes_out += FRAME_HEADER_SIZE + body.size + encoding.size;
    return sent;
}

static enum exchange_result push_object(struct node *node, const struct repair_exchange *exchange,
                                        const struct repair_push *push,
                                        const struct key_address *address, struct bytes encoding,
                                        bool *ret_waits)
{
    *ret_waits = false;
    if (encoding.size == 0 || object_digest(encoding) != push->digest)
        return EXCHANGE_LEFT;
    struct request *request = open_push(node, push);
    if (request == NULL)
        return EXCHANGE_FAILED;
    *ret_waits = send_object(node, exchange, request, address, encoding);
    PROBE("repair: an object was pushed");
    if (!*ret_waits)
        request_close(node, request);
    return EXCHANGE_FAILED;
}

static void push_one(struct node *node, uint64_t id, uint32_t question, uint32_t index)
{
    struct repair_exchange *exchange = exchange_find(node, id);
    if (exchange == NULL || exchange->machine.question != question ||
        exchange->machine.state != EXCHANGE_ACTING)
        return;
    const struct exchange_difference *difference = &exchange->machine.differences[index];
    struct repair_push push = { id, question, index, difference->ours };
    struct key_address address;
    struct replica_read read = { 0 };
    kvorum_status status = KVORUM_INVALID;
    if (address_of(node, exchange->partition, difference->key, &address))
        status = replica_read(node, &address, &read);
    if (status == KVORUM_WOULD_BLOCK) {
        struct fetch *fetch = fetch_open(node, push_again, sizeof(struct late_push), 0);
        if (fetch != NULL)
            *(struct late_push *)fetch->input = (struct late_push){ id, question, index };
        if (replica_wait(node, &address, fetch) == KVORUM_OK)
            return;
    }
    enum exchange_result result = EXCHANGE_FAILED;
    bool waits = false;
    if (status == KVORUM_OK)
        result = push_object(node, exchange, &push, &address, read.encoding, &waits);
    replica_release(&read);
    if (!waits)
        exchange_object_done(node, id, question, index, result, 0);
}

void exchange_push(struct node *node, struct repair_exchange *exchange, uint32_t question)
{
    uint32_t indices[EXCHANGE_BATCH_MAX], count = exchange->count;
    uint64_t id = exchange->id;
    memcpy(indices, exchange->indices, count * sizeof(*indices));
    for (uint32_t i = 0; i < count; i++)
        push_one(node, id, question, indices[i]);
}

void repair_on_pushed(struct node *node, struct request *request, kvorum_status status)
{
    struct repair_push push = *request->push;
    request_close(node, request);
    enum exchange_result result = status == KVORUM_OK        ? EXCHANGE_MOVED
                                  : status == KVORUM_DROPPED ? EXCHANGE_LEFT
                                                             : EXCHANGE_FAILED;
    exchange_object_done(node, push.exchange, push.question, push.index, result, push.digest);
}
