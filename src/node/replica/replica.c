/* SPDX-License-Identifier: Apache-2.0 */
/* This shard as a replica: what coordinators ask of it. */
#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/replica/replica_internal.h"
#include "node/scrub/scrub.h"

/* --- get -------------------------------------------------------------------------------------- */

/* Objects up to this size travel whole even where the digest would do: cheaper than a second
 * trip. */
enum { SMALL_OBJECT_SIZE = 1024 };

/* A key in doubt has no answer here. */
static void judge(struct node *node, const struct key_address *address, Peer__GetAnswer *answer)
{
    enum scrub_doubt doubt = scrub_judge(node, address);
    if (doubt == SCRUB_SOUND)
        return;
    answer->status = KVORUM_CORRUPT;
    answer->lost = doubt == SCRUB_LOST;
}

/* Returns what travels whole. */
static struct bytes show(const struct node *node, uint32_t partition, bool digest,
                         struct bytes encoding, Peer__GetAnswer *answer)
{
    answer->digest = encoding.size == 0 ? 0 : object_digest(encoding);
    answer->full = !digest || encoding.size <= SMALL_OBJECT_SIZE;
    if (replica_is_poisoned(node, partition))
        answer->status = KVORUM_POISONED; /* this is what is here, and it may be old */
    return answer->full ? encoding : (struct bytes){ 0 };
}

void replica_on_get(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Get *get = node_unpack(node, &peer__get__descriptor, message->body);
    struct key_address address;
    if (get == NULL || !address_unpack(node, get->address, &address)) {
        node->counters.messages_bad++;
        return;
    }
    collect_hear(node, address.partition, get->collected);
    struct replica_read read = { 0 };
    Peer__GetAnswer answer = PEER__GET_ANSWER__INIT;
    answer.status =
        drop_refuses(node, from, &address) ? KVORUM_DROPPED : replica_read(node, &address, &read);
    if (answer.status == KVORUM_WOULD_BLOCK) {
        answer.status = replica_put_off(node, &address, replica_on_get, from, message);
        if (answer.status == KVORUM_OK)
            return;
    }
    if (answer.status == KVORUM_OK)
        judge(node, &address, &answer);
    answer.fence = collect_promised(node, address.partition);
    answer.collected = collect_committed(node, address.partition);
    node->counters.replica_gets++;
    struct bytes tail = { 0 };
    if (answer.status == KVORUM_OK)
        tail = show(node, address.partition, get->digest, read.encoding, &answer);
    struct bytes body = node_pack(node, &answer.base);
    node_send(node, from, MESSAGE_GET_ANSWER, message->request_id, body, tail);
    replica_release(&read);
}

/* --- merge ------------------------------------------------------------------------------------ */

static void send_fenced(struct node *node, struct net_address to, uint64_t request_id,
                        uint32_t partition)
{
    Peer__MergeAnswer answer = PEER__MERGE_ANSWER__INIT;
    answer.status = KVORUM_FENCED;
    answer.partition = partition;
    answer.collected = collect_committed(node, partition);
    node_send(node, to, MESSAGE_MERGE_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

/* True: not now, and perhaps somebody else. */
static bool is_unready(const struct node *node, const Peer__Merge *merge)
{
    if (!node->ready) { /* the bucket's mode is not known yet: merging could drop siblings */
        PROBE("node: a merge came before the shard was ready");
        return true;
    }
    if (merge->stand_in && parting_is_leaving(node) && !PLANTED(LEAVER_DROPS_HINTS)) {
        PROBE("node: a leaver did not stand in for anybody");
        return true;
    }
    return false;
}

/* OK: it is acknowledged once it is durable, or waits. */
static kvorum_status merge_message(struct node *node, struct net_address from,
                                   const struct message *message, const Peer__Merge *merge,
                                   const struct key_address *address)
{
    const struct target target = { .stand_in = merge->stand_in, .owner = (uint16_t)merge->owner };
    const struct commit_plan plan = { .kind = COMMIT_ANSWER,
                                      .to = from,
                                      .request_id = message->request_id };
    if (drop_refuses(node, from, address))
        return KVORUM_DROPPED;
    return replica_merge(node, address, message->tail, merge->fence, &target, merge->durable, &plan,
                         NULL);
}

void replica_on_merge(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Merge *merge = node_unpack(node, &peer__merge__descriptor, message->body);
    struct key_address address;
    if (merge == NULL || !address_unpack(node, merge->address, &address) ||
        message->tail.size == 0 ||
        (merge->stand_in && merge->owner >= node->config.epoch->member_count)) {
        node->counters.messages_bad++;
        return;
    }
    if (is_unready(node, merge)) {
        replica_send_merge_answer(node, from, message->request_id, KVORUM_NOT_READY, false);
        return;
    }
    collect_hear(node, address.partition, merge->collected);
    kvorum_status status = merge_message(node, from, message, merge, &address);
    if (status == KVORUM_WOULD_BLOCK) {
        status = replica_put_off(node, &address, replica_on_merge, from, message);
        if (status == KVORUM_OK)
            return;
    } else if (status == KVORUM_OVERLOADED) {
        status = replica_wait_for_room(node, &address, from, message);
        if (status == KVORUM_OK)
            return;
    }
    node->counters.replica_merges++;
    node->counters.stand_in_writes += merge->stand_in;
    if (status == KVORUM_FENCED)
        send_fenced(node, from, message->request_id, address.partition);
    else if (status != KVORUM_OK)
        replica_send_merge_answer(node, from, message->request_id, status, false);
}
