/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that another node (or another shard of this one) must coordinate, because the coordinator
 * is always an owner.  A forwarded write is with one member at a time, and goes to the next only
 * when it surely did not happen at the one before: the send was refused, that member's store takes
 * no writes, or it goes by a newer epoch (reopen.c).  Otherwise a second try would be a second
 * write. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/drop.h"
#include "node/write_internal.h"

/* --- asking --------------------------------------------------------------------------------- */

static void fill_levels(const struct quorum_levels *levels, Peer__Levels *ret)
{
    ret->n = levels->n;
    ret->r = levels->r;
    ret->w = levels->w;
    ret->dw = levels->dw;
    ret->pr = levels->pr;
    ret->pw = levels->pw;
    ret->node_confirms = levels->node_confirms;
    ret->basic_quorum = levels->basic_quorum;
    ret->notfound_ok = levels->notfound_ok;
    ret->sloppy = levels->sloppy;
}

static bool fill_metadata(struct node *node, const struct operation *operation,
                          Peer__Forward *forward)
{
    size_t count = operation->metadata_count;
    if (count == 0)
        return true;
    Peer__Metadata *items = arena_allocate(&node->scratch, count * sizeof(*items));
    Peer__Metadata **pointers = arena_allocate(&node->scratch, count * sizeof(Peer__Metadata *));
    if (items == NULL || pointers == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        peer__metadata__init(&items[i]);
        items[i].kind = operation->metadata[i].kind;
        items[i].name = protobuf_data(operation->metadata[i].name);
        items[i].value = protobuf_data(operation->metadata[i].value);
        pointers[i] = &items[i];
    }
    forward->n_metadata = count;
    forward->metadata = pointers;
    return true;
}

static struct bytes pack_forward(struct node *node, const struct operation *operation,
                                 const struct key_address *key, uint64_t timeout_us)
{
    Peer__Address address;
    address_pack(key, &address);
    Peer__Levels levels = PEER__LEVELS__INIT;
    fill_levels(&operation->levels, &levels);
    Peer__Forward forward = PEER__FORWARD__INIT;
    forward.operation = operation->kind;
    forward.address = &address;
    forward.levels = &levels;
    forward.context = protobuf_data(operation->context);
    forward.flags = operation->flags;
    forward.timeout_us = timeout_us;
    forward.deadline_ms = operation->deadline_ms;
    forward.seen_stamp = operation->seen_stamp;
    struct bucket_properties ignored;
    struct object_mode mode;
    property_table_mode(node, key->type, key->bucket, &ignored, &mode);
    mode = mode_later(mode, operation->mode);
    if (PLANTED(MODE_NOT_FORWARDED))
        mode = (struct object_mode){ 0 };
    forward.siblings = mode.siblings;
    forward.mode_since = mode.since;
    if (!fill_metadata(node, operation, &forward))
        return (struct bytes){ 0 };
    return node_pack(node, &forward.base);
}

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
    struct bytes body = pack_forward(node, operation, &request->address, timeout_us);
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

/* --- coordinating for another --------------------------------------------------------------- */

struct errand {
    struct list link;
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *answer)
{
    struct errand *errand = context;
    struct node *node = errand->node;
    Peer__ForwardAnswer body = PEER__FORWARD_ANSWER__INIT;
    body.status = answer->status;
    body.answered = answer->answered;
    body.needed = answer->needed;
    body.n = answer->n;
    body.stand_ins = answer->stand_ins;
    body.level = (char *)(answer->level == NULL ? "" : answer->level);
    body.reason = (char *)(answer->reason == NULL ? "" : answer->reason);
    buffer_reset(&node->encoding);
    if (answer->object != NULL)
        object_encode(answer->object, &node->encoding);
    node_send(node, errand->to, MESSAGE_FORWARD_ANSWER, errand->request_id,
              node_pack(node, &body.base), buffer_bytes(&node->encoding));
    list_remove(&errand->link);
    free(errand);
}

void forward_done(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->errands)) != NULL)
        free(LIST_ENTRY(item, struct errand, link));
}

static void read_levels(const Peer__Levels *from, struct quorum_levels *ret)
{
    ret->n = from->n;
    ret->r = from->r;
    ret->w = from->w;
    ret->dw = from->dw;
    ret->pr = from->pr;
    ret->pw = from->pw;
    ret->node_confirms = from->node_confirms;
    ret->basic_quorum = from->basic_quorum == 0 ? 0 : from->basic_quorum > 0 ? 1 : -1;
    ret->notfound_ok = from->notfound_ok == 0 ? 0 : from->notfound_ok > 0 ? 1 : -1;
    ret->sloppy = from->sloppy == 0 ? 0 : from->sloppy > 0 ? 1 : -1;
}

static bool read_forward(struct node *node, const Peer__Forward *from, struct bytes value,
                         struct operation *ret)
{
    if (from->address == NULL || from->levels == NULL || from->n_metadata > OBJECT_METADATA_MAX ||
        (from->operation != OPERATION_PUT && from->operation != OPERATION_DELETE))
        return false;
    struct metadata *metadata =
        arena_allocate(&node->scratch, (from->n_metadata + 1) * sizeof(*metadata));
    if (metadata == NULL)
        return false;
    for (size_t i = 0; i < from->n_metadata; i++)
        metadata[i] = (struct metadata){ (uint8_t)from->metadata[i]->kind,
                                         protobuf_bytes(from->metadata[i]->name),
                                         protobuf_bytes(from->metadata[i]->value) };
    *ret = (struct operation){
        .kind = (enum operation_kind)from->operation,
        .type = protobuf_bytes(from->address->type),
        .bucket = protobuf_bytes(from->address->bucket),
        .key = protobuf_bytes(from->address->key),
        .context = protobuf_bytes(from->context),
        .flags = (from->flags & (OPERATION_RETURN_BODY | OPERATION_OVERWRITE | OPERATION_TOUCH)) |
                 OPERATION_FORWARDED,
        .timeout_ms = (uint32_t)(from->timeout_us / 1000),
        .mode = { from->siblings, from->mode_since },
        .pinned = true,
        .generation = from->address->generation,
        .metadata = metadata,
        .metadata_count = (uint32_t)from->n_metadata,
        .value = value,
        .deadline_ms = from->deadline_ms,
        .seen_stamp = from->seen_stamp,
    };
    read_levels(from->levels, &ret->levels);
    struct key_address address;
    return placement_address(node, ret->type, ret->bucket, ret->key, &address) &&
           ret->value.size <= node->config.limits.value_size;
}

void forward_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Forward *forward = node_unpack(node, &peer__forward__descriptor, message->body);
    struct operation operation;
    struct errand *errand = NULL;
    if (forward != NULL && read_forward(node, forward, message->tail, &operation))
        errand = calloc(1, sizeof(*errand));
    if (errand == NULL) {
        node->counters.messages_bad++;
        return; /* the asker's deadline answers */
    }
    *errand = (struct errand){ .node = node, .to = from, .request_id = message->request_id };
    list_append(&node->errands, &errand->link);
    if (!node->ready) { /* the bucket's mode and levels are not known yet */
        struct answer refused = { .status = KVORUM_NOT_READY };
        refused.reason = "the node asked to coordinate is still starting; retry in a moment";
        errand_answer(errand, &refused);
        return;
    }
    const struct key_address bucket = { .type = operation.type.size == 0 ? BYTES_LITERAL("default")
                                                                         : operation.type,
                                        .bucket = operation.bucket,
                                        .generation = operation.generation };
    if (drop_refuses(node, from, &bucket)) {
        struct answer refused = { .status = KVORUM_UNAVAILABLE, .reason = drop_retry_reason };
        errand_answer(errand, &refused);
        return;
    }
    write_start(node, &operation, errand_answer, errand);
}
