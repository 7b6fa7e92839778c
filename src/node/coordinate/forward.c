/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that another node (or another shard of this one) must coordinate, because the coordinator
 * is always an owner.  A forwarded write is with one member at a time, and goes to the next only
 * when it surely did not happen at the one before: the send was refused, that member's store takes
 * no writes, or it goes by a newer epoch (reopen.c).  Otherwise a second try would be a second
 * write. */
#include "base/planted.h"
#include "node/coordinate/write_internal.h"

/* --- to whom -------------------------------------------------------------------------------- */

/* Refusals that come before anything was written, for what is wrong with that member's store. */
bool forward_is_inability(kvorum_status status)
{
    return status == KVORUM_POISONED || status == KVORUM_IO || status == KVORUM_NO_SPACE ||
           status == KVORUM_CORRUPT;
}

void forward_note_unable(struct request *request, uint16_t member, kvorum_status status)
{
    request->unable_status = status;
    if (request->unable_count < UNABLE_MAX)
        request->unable[request->unable_count++] = member;
}

bool forward_is_unable(const struct request *request, uint16_t member)
{
    for (uint8_t i = 0; i < request->unable_count; i++)
        if (request->unable[i] == member)
            return true;
    return false;
}

/* A write that was forwarded to us may only go to another shard of this node, never on to a
 * third. */
static bool is_candidate(struct node *node, const struct request *request,
                         const struct target *target)
{
    bool own = target->address.member == node->config.self;
    bool forwarded = (request->flags & OPERATION_FORWARDED) != 0;
    bool reachable =
        placement_reachable(node, target->address.member) || PLANTED(FORWARDED_TO_THE_DEAD);
    bool too_far = zones_must_be_near(request) && !zones_is_near(node, target->address.member);
    return !target->local && reachable && !too_far && (own || !forwarded) &&
           !forward_is_unable(request, target->address.member);
}

/* Send to the first candidate that takes it: owners before others, stand-ins only in a sloppy
 * quorum. */
static bool send_to_candidate(struct node *node, struct request *request, struct bytes body,
                              struct bytes value)
{
    uint8_t last = request->quorum.sloppy ? request->target_count : request->places;
    for (int stand_ins = 0; stand_ins <= 1; stand_ins++) {
        for (uint8_t i = 0; i < last; i++) {
            const struct target *target = &request->targets[i];
            if (target->stand_in != (stand_ins == 1) || !is_candidate(node, request, target))
                continue;
            if (request_send(node, request, target->address, MESSAGE_FORWARD, body, value)) {
                request->forward.member = target->address.member;
                return true;
            }
        }
    }
    return false;
}

static size_t operation_size(const struct operation *operation)
{
    size_t size = sizeof(*operation) + operation->type.size + operation->bucket.size +
                  operation->key.size + operation->context.size + operation->value.size;
    for (size_t i = 0; i < operation->metadata_count; i++)
        size += operation->metadata[i].name.size + operation->metadata[i].value.size;
    return size;
}

/* A copy to try another member with.  Without one, where memory for them is used up, what was
 * refused is told to the client. */
static void keep_operation(struct node *node, struct request *request,
                           const struct operation *operation)
{
    size_t size = operation_size(operation);
    if (request->kept != NULL || size > KEPT_SIZE_MAX - node->kept_size)
        return;
    struct operation *copy = arena_new(&request->arena, struct operation);
    if (copy == NULL || !operation_copy(&request->arena, operation, copy))
        return;
    request->kept = copy;
    request->kept_size = size;
    node->kept_size += size;
}

static uint64_t refuse(struct node *node, struct request *request, kvorum_status status,
                       const char *reason)
{
    struct answer answer = { .status = status,
                             .level = "w",
                             .needed = request->quorum.w,
                             .n = request->quorum.n,
                             .outdated = request->newer > request->epoch,
                             .reason = reason };
    request_answer(node, request, &answer);
    request_close(node, request);
    return 0;
}

static uint64_t refuse_for_want_of_members(struct node *node, struct request *request)
{
    bool forwarded = (request->flags & OPERATION_FORWARDED) != 0;
    if (forwarded && request->attempt > 0) /* it was ours when it came: its sender looks again */
        return refuse(node, request, KVORUM_WRONG_EPOCH, write_not_written);
    if (forwarded && request->unable_count == 0)
        return refuse(node, request, KVORUM_UNAVAILABLE,
                      "the nodes disagree on who is alive; retry in a moment");
    if (request->unable_count == 0)
        return refuse(node, request, KVORUM_UNAVAILABLE,
                      reason_quorum(node, request, KVORUM_UNAVAILABLE, "w", 0, request->quorum.w));
    uint16_t last = request->unable[request->unable_count - 1];
    return refuse(node, request, request->unable_status,
                  reason_printf(node,
                                "not written: no owner of %s can coordinate the write; node %s "
                                "said: %s. Next: kvorum status",
                                reason_key(node, &request->address),
                                node->config.epoch->members[last].name,
                                kvorum_status_text(request->unable_status)));
}

uint64_t forward_begin(struct node *node, struct request *request,
                       const struct operation *operation)
{
    request->kind = REQUEST_FORWARD;
    request->forward.member = RING_NO_MEMBER;
    uint64_t timeout_us =
        node->now_us < request->deadline_us ? request->deadline_us - node->now_us : 1;
    keep_operation(node, request, operation);
    struct bytes body = forward_pack(node, operation, &request->address, timeout_us);
    if (body.data == NULL || !request_keep(node, request))
        return refuse(node, request, KVORUM_NO_MEMORY, "out of memory");
    node->counters.forwards++;
    if (!send_to_candidate(node, request, body, operation->value))
        return refuse_for_want_of_members(node, request);
    return request->id;
}

/* --- what became of it ---------------------------------------------------------------------- */

/* Nothing was written there. */
static bool try_another(struct node *node, struct request *request, kvorum_status status)
{
    if (request->kept == NULL || request->unable_count == UNABLE_MAX ||
        node->now_us >= request->deadline_us)
        return false;
    PROBE("node: a forwarded write went to another owner");
    forward_note_unable(request, request->forward.member, status);
    write_again(node, request);
    return true;
}

/* The member we gave the write to is gone, or too slow: nobody here knows what became of it. */
void forward_on_lost(struct node *node, struct request *request)
{
    if (request->parked) {
        write_on_parked(node, request);
        return;
    }
    struct answer answer = { .status = KVORUM_TIMEOUT, .level = "w", .n = request->quorum.n };
    answer.needed = request->quorum.w;
    answer.reason =
        reason_printf(node,
                      "outcome unknown: node %s was coordinating the write and did not answer. "
                      "Next: read the key, or repeat the write with the context of a read",
                      node->config.epoch->members[request->forward.member].name);
    request_answer(node, request, &answer);
    request_close(node, request);
}

/* It never left this node, so nobody can have written anything. */
void forward_on_unsent(struct node *node, struct request *request)
{
    if (try_another(node, request, KVORUM_UNAVAILABLE))
        return;
    refuse(node, request, KVORUM_UNAVAILABLE,
           reason_printf(node,
                         "not written: node %s was to coordinate the write and cannot be reached. "
                         "Next: retry",
                         node->config.epoch->members[request->forward.member].name));
}

/* True: it was refused before anything was written, and goes on elsewhere, or will.  A refusal that
 * names no newer epoch than the request's is a copy of an earlier one. */
static bool goes_on(struct node *node, struct request *request, kvorum_status status,
                    uint64_t epoch)
{
    if (status == KVORUM_WRONG_EPOCH && epoch <= request->epoch)
        return true;
    if (status == KVORUM_WRONG_EPOCH) {
        reopen_note(request, epoch);
        return request->kept != NULL && reopen_later(node, request, KVORUM_UNAVAILABLE);
    }
    return forward_is_inability(status) && try_another(node, request, status);
}

void forward_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_FORWARD);
    if (request == NULL || request->parked || request->forward.member != from.member)
        return;
    Peer__ForwardAnswer *remote =
        node_unpack(node, &peer__forward_answer__descriptor, message->body);
    if (remote == NULL) {
        node->counters.messages_bad++;
        return;
    }
    kvorum_status status = (kvorum_status)remote->status;
    if (goes_on(node, request, status, message->epoch))
        return;
    struct answer answer = { .status = status == KVORUM_WRONG_EPOCH ? KVORUM_UNAVAILABLE : status,
                             .outdated = status == KVORUM_WRONG_EPOCH,
                             .level = remote->level,
                             .answered = (uint8_t)remote->answered,
                             .needed = (uint8_t)remote->needed,
                             .n = (uint8_t)remote->n,
                             .stand_ins = (uint8_t)remote->stand_ins,
                             .reason = remote->reason };
    struct object object;
    if (message->tail.size > 0 &&
        object_decode(message->tail, &node->scratch, &object) == KVORUM_OK)
        answer.object = &object;
    request_answer(node, request, &answer);
    request_close(node, request);
}
