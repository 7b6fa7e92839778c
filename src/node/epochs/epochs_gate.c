/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of somebody who knows another epoch than we do, and the fetching of newer ones. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum { LATE_PATIENCE_US = 2 * 1000 * 1000 };

struct late_message {
    struct list link;
    struct net_address from;
    struct message message;
    uint64_t since_us;
    size_t size;
};

/* --- what a message is about ---------------------------------------------------------------- */

static bool names_partition(uint8_t kind)
{
    return kind == MESSAGE_GET || kind == MESSAGE_MERGE || kind == MESSAGE_FORWARD ||
           kind == MESSAGE_LIST || kind == MESSAGE_SUSPECT;
}

bool epochs_changed_since(const struct node *node, uint32_t partition, uint64_t number)
{
    return partition < node->config.epoch->partition_count &&
           node->epochs->row_since[partition] > number;
}

bool epochs_slot_changed_since(const struct node *node, uint16_t slot, uint64_t number)
{
    return slot < RING_MEMBERS_MAX && node->epochs->slot_since[slot] > number;
}

static bool address_changed(struct node *node, const Peer__Address *from, uint64_t number)
{
    struct key_address address;
    return from != NULL &&
           placement_address(node, protobuf_bytes(from->type), protobuf_bytes(from->bucket),
                             protobuf_bytes(from->key), &address) &&
           epochs_changed_since(node, address.partition, number);
}

/* Nothing in a write that is to be coordinated is of its sender's epoch: an owner does it by its
 * own. */
static bool is_ours_to_coordinate(struct node *node, const Peer__Address *from)
{
    struct key_address address;
    struct bucket_properties properties;
    if (!placement_address(node, protobuf_bytes(from->type), protobuf_bytes(from->bucket),
                           protobuf_bytes(from->key), &address))
        return false;
    property_table_get(node, address.type, address.bucket, &properties);
    return placement_is_owner(node, address.partition, (uint8_t)properties.levels.n,
                              node->config.self);
}

static bool forward_changed(struct node *node, const Peer__Forward *forward, uint64_t number)
{
    bool changed = address_changed(node, forward->address, number);
    if (!changed || !is_ours_to_coordinate(node, forward->address))
        return changed;
    PROBE("node: a write of an older epoch was coordinated by an owner of ours");
    return false;
}

static bool merge_changed(struct node *node, const struct message *message)
{
    const Peer__Merge *merge = node_unpack(node, &peer__merge__descriptor, message->body);
    if (merge == NULL)
        return false;
    bool other_slot = merge->stand_in && merge->owner < RING_MEMBERS_MAX &&
                      epochs_slot_changed_since(node, (uint16_t)merge->owner, message->epoch);
    return other_slot || address_changed(node, merge->address, message->epoch);
}

static bool suspect_changed(struct node *node, const struct message *message)
{
    const Peer__Suspect *suspect = node_unpack(node, &peer__suspect__descriptor, message->body);
    return suspect != NULL &&
           (epochs_changed_since(node, suspect->partition, message->epoch) ||
            (suspect->member < RING_MEMBERS_MAX &&
             epochs_slot_changed_since(node, (uint16_t)suspect->member, message->epoch)));
}

static bool list_changed(struct node *node, const struct message *message)
{
    const Peer__List *list = node_unpack(node, &peer__list__descriptor, message->body);
    for (size_t i = 0; list != NULL && i < list->n_partitions; i++)
        if (epochs_changed_since(node, list->partitions[i], message->epoch))
            return true;
    return false;
}

/* Whether what it speaks of has changed since its epoch.  Malformed ones are for others to find. */
static bool is_outdated(struct node *node, const struct message *message)
{
    const Peer__Get *get;
    const Peer__Forward *forward;
    switch (message->kind) {
    case MESSAGE_GET:
        get = node_unpack(node, &peer__get__descriptor, message->body);
        return get != NULL && address_changed(node, get->address, message->epoch);
    case MESSAGE_FORWARD:
        forward = node_unpack(node, &peer__forward__descriptor, message->body);
        return forward != NULL && forward_changed(node, forward, message->epoch);
    case MESSAGE_MERGE:
        return merge_changed(node, message);
    case MESSAGE_SUSPECT:
        return suspect_changed(node, message);
    default:
        return list_changed(node, message);
    }
}

/* --- refusing ------------------------------------------------------------------------------- */

static void answer_with(struct node *node, struct net_address to, const struct message *message,
                        uint8_t kind, const ProtobufCMessage *answer)
{
    node_send(node, to, kind, message->request_id, node_pack(node, answer), (struct bytes){ 0 });
}

static void refuse(struct node *node, struct net_address to, const struct message *message,
                   kvorum_status status)
{
    Peer__GetAnswer get = PEER__GET_ANSWER__INIT;
    Peer__MergeAnswer merge = PEER__MERGE_ANSWER__INIT;
    Peer__ForwardAnswer forward = PEER__FORWARD_ANSWER__INIT;
    Peer__ListAnswer list = PEER__LIST_ANSWER__INIT;
    const Peer__List *asked;
    node->counters.epoch_refusals++;
    get.status = merge.status = forward.status = list.status = status;
    forward.reason = "not written: the cluster has just changed; retry";
    switch (message->kind) {
    case MESSAGE_GET:
        answer_with(node, to, message, MESSAGE_GET_ANSWER, &get.base);
        break;
    case MESSAGE_MERGE:
        answer_with(node, to, message, MESSAGE_MERGE_ANSWER, &merge.base);
        break;
    case MESSAGE_SUSPECT:
        suspect_answer(node, to, message->request_id, status);
        break;
    case MESSAGE_FORWARD:
        answer_with(node, to, message, MESSAGE_FORWARD_ANSWER, &forward.base);
        break;
    default:
        asked = node_unpack(node, &peer__list__descriptor, message->body);
        list.page = asked == NULL ? 0 : asked->page;
        answer_with(node, to, message, MESSAGE_LIST_ANSWER, &list.base);
        break;
    }
}

/* --- waiting -------------------------------------------------------------------------------- */

static struct bytes copy_to(uint8_t *at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return bytes_make(at, bytes.size);
}

static bool keep_late(struct node *node, struct net_address from, const struct message *message)
{
    struct epochs *epochs = node->epochs;
    size_t size = sizeof(struct late_message) + message->body.size + message->tail.size;
    if (epochs->late_count >= LATE_MESSAGES_MAX || size > LATE_SIZE_MAX - epochs->late_size)
        return false;
    struct late_message *late = malloc(size);
    if (late == NULL)
        return false;
    uint8_t *at = (uint8_t *)(late + 1);
    *late = (struct late_message){ { 0 }, from, *message, node->now_us, size };
    list_init(&late->link);
    late->message.body = copy_to(at, message->body);
    late->message.tail = copy_to(at + message->body.size, message->tail);
    list_append(&epochs->late, &late->link);
    epochs->late_count++;
    epochs->late_size += size;
    node->counters.epoch_waits++;
    PROBE("node: a message of a newer epoch waited until it was fetched");
    return true;
}

static void late_end(struct epochs *epochs, struct late_message *late)
{
    epochs->late_count--;
    epochs->late_size -= late->size;
    free(late);
}

void epochs_deliver_late(struct node *node)
{
    struct epochs *epochs = node->epochs;
    struct list waiting, *item;
    list_init(&waiting);
    while ((item = list_take_first(&epochs->late)) != NULL) {
        list_init(item);
        list_append(&waiting, item);
    }
    while ((item = list_take_first(&waiting)) != NULL) {
        struct late_message *late = LIST_ENTRY(item, struct late_message, link);
        list_init(item);
        if (late->message.epoch > node->config.epoch->number) {
            list_append(&epochs->late, item);
            continue;
        }
        if (epochs_admit(node, late->from, &late->message))
            node_dispatch(node, late->from, &late->message);
        late_end(epochs, late);
    }
}

static void refuse_impatient(struct node *node)
{
    struct list *item;
    while ((item = list_first(&node->epochs->late)) != NULL) {
        struct late_message *late = LIST_ENTRY(item, struct late_message, link);
        if (node->now_us < late->since_us + LATE_PATIENCE_US)
            return;
        list_remove(item);
        refuse(node, late->from, &late->message, KVORUM_NOT_READY);
        late_end(node->epochs, late);
    }
}

void epochs_drop_late(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->epochs->late)) != NULL)
        late_end(node->epochs, LIST_ENTRY(item, struct late_message, link));
}

/* --- fetching ------------------------------------------------------------------------------- */

static bool can_learn(const struct node *node)
{
    return node->config.shard != 0 || node->config.disk != NULL;
}

bool epochs_is_behind(const struct node *node)
{
    return node->epochs->heard > node->config.epoch->number;
}

static uint16_t somebody_reachable(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    uint16_t start = (uint16_t)random_below(&node->random, epoch->member_count);
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        uint16_t member = (uint16_t)((start + i) % epoch->member_count);
        if (member != node->config.self && placement_reachable(node, member))
            return member;
    }
    return RING_NO_MEMBER;
}

/* Other shards have it from our shard 0, which tells them by itself; this is for when that was
 * lost.  Who spoke of it is asked first. */
void epochs_fetch(struct node *node)
{
    struct epochs *epochs = node->epochs;
    Peer__EpochRequest request = PEER__EPOCH_REQUEST__INIT;
    struct net_address to = { node->config.self, 0 };
    if (node->config.shard == 0) {
        bool first = epochs->asked_us == 0 && epochs->teller.member != node->config.self;
        to.member = first ? epochs->teller.member : somebody_reachable(node);
    }
    refuse_impatient(node);
    epochs->asked_us = node->now_us;
    if (to.member >= node->config.epoch->member_count)
        return;
    request.have = node->config.epoch->number;
    request.heard = epochs->heard;
    request.teller = epochs->teller.member;
    node_send(node, to, MESSAGE_EPOCH_REQUEST, 0, node_pack(node, &request.base),
              (struct bytes){ 0 });
}

void epochs_hear(struct node *node, uint64_t number, struct net_address teller)
{
    struct epochs *epochs = node->epochs;
    if (!can_learn(node) || number <= node->config.epoch->number || number <= epochs->heard)
        return;
    epochs->heard = number;
    epochs->teller = teller;
    epochs->asked_us = 0;
    epochs_fetch(node);
    epochs_arm(node);
}

void epochs_on_request(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__EpochRequest *request =
        node_unpack(node, &peer__epoch_request__descriptor, message->body);
    if (request == NULL) {
        node->counters.messages_bad++;
        return;
    }
    const struct epoch *epoch = node->config.epoch;
    if (from.member == node->config.self && request->teller < RING_MEMBERS_MAX)
        epochs_hear(node, request->heard, (struct net_address){ (uint16_t)request->teller, 0 });
    if (epoch->number <= request->have)
        return;
    epochs_send_record(node, from);
}

void epochs_send_record(struct node *node, struct net_address to)
{
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = node->config.epoch->number;
    buffer_reset(&node->encoding);
    epoch_encode(node->config.epoch, &node->encoding);
    if (!node->encoding.failed)
        node_send(node, to, MESSAGE_EPOCH_ANSWER, 0, node_pack(node, &answer.base),
                  buffer_bytes(&node->encoding));
}

/* --- the gate ------------------------------------------------------------------------------- */

static bool admit_newer(struct node *node, struct net_address from, const struct message *message)
{
    if (!can_learn(node)) {
        node->counters.messages_bad++;
        return false;
    }
    epochs_hear(node, message->epoch, from);
    if (!names_partition(message->kind))
        return true;
    if (!keep_late(node, from, message))
        refuse(node, from, message, KVORUM_OVERLOADED);
    return false;
}

/* An exchange between replicas is between owners of one epoch: what it was about to mend may have
 * moved away, or be swept.  It is given up, and begun again in the epoch in force; so is a round of
 * collecting, in which all members of an epoch take part. */
static bool ends_with_its_epoch(uint8_t kind)
{
    return kind == MESSAGE_REPAIR || kind == MESSAGE_REPAIR_ANSWER || kind == MESSAGE_COLLECT ||
           kind == MESSAGE_COLLECT_ANSWER;
}

bool epochs_admit(struct node *node, struct net_address from, const struct message *message)
{
    uint64_t number = node->config.epoch->number;
    if (message->epoch == number)
        return true;
    if (ends_with_its_epoch(message->kind)) {
        PROBE("node: a comparison of replicas ended with its epoch");
        if (message->epoch > number)
            epochs_hear(node, message->epoch, from);
        return false;
    }
    if (message->epoch > number)
        return admit_newer(node, from, message);
    if (!names_partition(message->kind) || !is_outdated(node, message))
        return true;
    PROBE("node: a message of an older epoch was refused");
    refuse(node, from, message, KVORUM_WRONG_EPOCH);
    return false;
}
