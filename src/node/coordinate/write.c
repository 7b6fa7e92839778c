/* SPDX-License-Identifier: Apache-2.0 */
/* A put under way: what its machine says is carried out, and what comes back is told to it. */
#include "node/coordinate/write_internal.h"

#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/repair/repair.h"

void write_step(struct node *node, struct request *request, struct put_event event)
{
    event.now_us = node->now_us;
    struct put_effects effects;
    put_step(&request->put, &event, &effects);
    write_apply(node, request, &effects);
}

void write_apply(struct node *node, struct request *request, const struct put_effects *effects)
{
    bool failed = effects->reply && effects->status != KVORUM_OK;
    if (effects->reply && !(failed && reopen_later(node, request, effects->status)))
        write_reply(node, request, effects->status);
    request->steps_open++;
    for (uint8_t i = 0; effects->send != 0 && i < request->target_count; i++)
        if ((effects->send & (1u << i)) && (request->resumed || !request->targets[i].local))
            write_send(node, request, i);
    request->steps_open--;
}

/* --- sending -------------------------------------------------------------------------------- */

static bool is_taken(const struct request *request, const struct target *spare, uint16_t owner)
{
    const struct put *put = &request->put;
    for (uint8_t j = request->places; j < request->target_count; j++)
        if (&request->targets[j] != spare && (put->sent & ~put->failed & (1u << j)) &&
            request->targets[j].owner == owner)
            return true;
    return false;
}

/* A spare stands in for the first owner that failed and has nobody in its place who did not. */
static void choose_owner(struct request *request, struct target *spare)
{
    for (uint8_t i = 0; i < request->places; i++) {
        uint16_t owner = target_owner(&request->targets[i]);
        if ((request->put.failed & (1u << i)) && !is_taken(request, spare, owner)) {
            spare->owner = owner;
            PROBE("node: a spare stood in for an owner that failed under way");
            return;
        }
    }
}

void write_send(struct node *node, struct request *request, uint8_t at)
{
    struct target *target = &request->targets[at];
    if (at >= request->places)
        choose_owner(request, target);
    if (target->local) { /* resumed: in the first round it is stored before the machine starts */
        write_store_again(node, request, at);
        return;
    }
    Peer__Address address;
    address_pack(&request->address, &address);
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &address;
    merge.durable = request->quorum.dw > 0;
    merge.stand_in = target->stand_in;
    merge.owner = target->stand_in ? target->owner : 0;
    merge.fence = PLANTED(FENCE_OF_SENDING) ? collect_promised(node, request->address.partition)
                                            : request->fence;
    merge.collected = collect_committed(node, request->address.partition);
    struct bytes body = node_pack(node, &merge.base);
    if (!request_send(node, request, target->address, MESSAGE_MERGE, body, request->encoding))
        write_step(node, request,
                   (struct put_event){ .kind = PUT_FAILED, .target = at, .refused = true });
}

/* --- ending ----------------------------------------------------------------------------------- */

int write_local_target(const struct request *request)
{
    for (int i = 0; i < request->target_count; i++)
        if (request->targets[i].local)
            return i;
    return -1;
}

/* Somebody who acknowledged stands in for it. */
static bool is_stood_in_for(const struct request *request, uint16_t owner)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if (request->targets[i].stand_in && request->targets[i].owner == owner &&
            (request->put.acked & (1u << i)))
            return true;
    return false;
}

/* An owner that was away, or did not answer in time, is owed the write by its coordinator, who has
 * it; no level counts that. */
static void owe_to_the_silent(struct node *node, const struct request *request)
{
    const struct put *put = &request->put;
    for (uint8_t i = 0; i < request->places; i++) {
        const struct target *target = &request->targets[i];
        uint16_t owner = target_owner(target);
        if (epochs_slot_changed_since(node, owner, request->epoch))
            continue; /* it is somebody else's, who gets what is there by streams */
        bool has_it = (target->local && !request->resumed) || (put->acked & (1u << i)) ||
                      is_stood_in_for(request, owner);
        if (has_it || owner == node->config.self)
            continue;
        if (write_local_target(request) >= 0)
            hints_owe(node, &request->address, owner, request->encoding.size);
        else /* the key has left this shard meanwhile */
            hints_suspect(node, request->address.partition, owner);
    }
}

/* A store that commits at once acknowledges from inside the step that gave it the object: the event
 * around that step closes. */
bool write_settle(struct node *node, struct request *request)
{
    if (request->put.state != PUT_FINISHED || request->parked || request->steps_open > 0)
        return false;
    owe_to_the_silent(node, request);
    request_close(node, request);
    return true;
}

/* --- events --------------------------------------------------------------------------------- */

/* A disk that failed under the write may have kept it; every other refusal came before anything was
 * written. */
void write_on_acknowledged(struct node *node, struct request *request, uint8_t target,
                           kvorum_status status, bool durable)
{
    struct put_event event = {
        .kind = status == KVORUM_OK ? PUT_ACK : PUT_FAILED,
        .target = target,
        .durable = durable,
        .refused = status != KVORUM_IO && status != KVORUM_POISONED,
    };
    if (request->parked)
        return;
    write_step(node, request, event);
    write_settle(node, request);
}

/* Every other answer is of the present round, or as good as one. */
static bool is_stale_refusal(struct request *request, kvorum_status status, uint64_t epoch)
{
    if (status == KVORUM_WRONG_EPOCH && epoch > request->epoch)
        reopen_note(request, epoch);
    return status == KVORUM_WRONG_EPOCH && epoch <= request->epoch;
}

/* Of a generation that others know to be over: what was stored of it, nobody will see. */
static void write_dropped(struct node *node, struct request *request)
{
    struct answer answer = { .status = KVORUM_UNAVAILABLE, .level = "w", .n = request->quorum.n };
    answer.reason = drop_retry_reason;
    request_answer(node, request, &answer);
    request_close(node, request);
}

static void take_answer(struct node *node, struct request *request, struct net_address from,
                        const struct message *message, const Peer__MergeAnswer *answer)
{
    kvorum_status status = (kvorum_status)answer->status;
    if (status == KVORUM_DROPPED) {
        write_dropped(node, request);
        return;
    }
    int at = request_target_of(request, from.member);
    if (at < 0 || request_is_earlier(request, message) ||
        is_stale_refusal(request, status, message->epoch))
        return;
    if (status == KVORUM_FENCED)
        write_on_fenced(node, request, (uint8_t)at);
    else
        write_on_acknowledged(node, request, (uint8_t)at, status, answer->durable);
}

/* Objects are also pushed for hints and repair: the id tells whose answer it is. */
void write_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__MergeAnswer *answer = node_unpack(node, &peer__merge_answer__descriptor, message->body);
    if (answer == NULL) {
        node->counters.messages_bad++;
        return;
    }
    kvorum_status status = (kvorum_status)answer->status;
    if (status == KVORUM_FENCED)
        collect_hear(node, answer->partition, answer->collected);
    struct request *request = request_find(node, message->request_id, REQUEST_PUT);
    if (request != NULL) {
        take_answer(node, request, from, message, answer);
        return;
    }
    request = request_find(node, message->request_id, REQUEST_HINT);
    if (request != NULL)
        hints_on_acknowledged(node, request, status, answer->durable);
    request = request_find(node, message->request_id, REQUEST_REPAIR);
    if (request != NULL)
        repair_on_pushed(node, request, status);
}

void write_on_deadline(struct node *node, struct request *request)
{
    if (request->parked) {
        write_on_parked(node, request);
        return;
    }
    if (request->put.state == PUT_NEW) { /* the old version did not come in time */
        PROBE("node: a write gave up before it began");
        write_refuse(node, request, KVORUM_OVERLOADED, NULL,
                     "the coordinating node's disk is behind: nothing was written; retry later");
        return;
    }
    write_step(node, request, (struct put_event){ .kind = PUT_TICK });
    bool closed = write_settle(node, request);
    assert(closed);
}
