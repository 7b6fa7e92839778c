/* SPDX-License-Identifier: Apache-2.0 */
/* A get, from the client's question to its last event. */
#include "node/coordinate/read_internal.h"

#include "base/planted.h"

static void apply(struct node *node, struct request *request, const struct get_effects *effects);
static void prepare(struct node *node, struct request *request);

void read_step(struct node *node, struct request *request, struct get_event event)
{
    event.now_us = node->now_us;
    struct get_effects effects;
    get_step(&request->get, &event, &effects);
    apply(node, request, &effects);
}

static void ask_anew(struct node *node, struct request *request)
{
    PROBE("node: a read met a collection and was made again");
    for (uint8_t i = 0; i < request->target_count; i++) {
        request->targets[i].in_hand = false;
        request->targets[i].encoding = (struct bytes){ 0 };
    }
    request->lost = 0;
    prepare(node, request);
    read_step(node, request, (struct get_event){ .kind = GET_START });
}

static void apply(struct node *node, struct request *request, const struct get_effects *effects)
{
    bool answers = effects->status == KVORUM_OK || effects->status == KVORUM_NOT_FOUND;
    if (effects->reply && answers && read_is_mixed(request) &&
        node->now_us < request->get.deadline_us) {
        ask_anew(node, request);
        return;
    }
    /* A step made from inside read_ask may reply and finish: the request is closed once, at the end
     * of the outermost event (read_settle). */
    if (effects->reply)
        read_reply(node, request, effects->status);
    if (effects->ask_full | effects->ask_digest)
        read_ask(node, request, effects->ask_full, effects->ask_digest);
}

bool read_settle(struct node *node, struct request *request)
{
    if (request->get.state != GET_FINISHED || request->parked)
        return false;
    if (request->target_count > 1)
        read_repair(node, request);
    request_close(node, request);
    return true;
}

/* --- beginning -------------------------------------------------------------------------------- */

static void prepare(struct node *node, struct request *request)
{
    request->get = (struct get){
        .quorum = request->quorum,
        .target_count = request->target_count,
        .deadline_us = request->deadline_us,
        .zones = zones_fill(node, request),
    };
    for (uint8_t i = 0; i < request->target_count; i++) {
        if (!request->targets[i].stand_in)
            request->get.owners |= 1u << i;
        if (!placement_reachable(node, request->targets[i].address.member))
            request->get.unreachable |= 1u << i;
    }
}

static uint64_t refuse(node_answer_fn on_answer, void *context, kvorum_status status,
                       const char *level, const char *reason)
{
    struct answer answer = { .status = status, .level = level, .reason = reason };
    on_answer(context, &answer);
    return 0;
}

/* Whom to ask, and how many of them, by the epoch in force. */
static kvorum_status place(struct node *node, struct request *request, const char **ret_level,
                           const char **ret_reason)
{
    struct bucket_properties properties;
    property_table_mode(node, request->address.type, request->address.bucket, &properties,
                        &request->mode);
    request->address.generation = properties.generation;
    request->strategy = bucket_strategy(&properties);
    kvorum_status status =
        placement_quorum(node, request, &request->asked, &properties.levels, ret_level);
    if (status != KVORUM_OK) {
        *ret_reason = reason_impossible(node, *ret_level, properties.levels.n);
        return status;
    }
    placement_read_targets(node, request);
    status = zones_resolve(node, request, ret_level, ret_reason);
    if (status == KVORUM_OK)
        prepare(node, request);
    return status;
}

uint64_t read_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                    void *context)
{
    node->counters.gets++;
    struct request *request = request_open(node, REQUEST_GET);
    if (request == NULL)
        return refuse(on_answer, context, KVORUM_NO_MEMORY, NULL, "out of memory");
    request->operation = OPERATION_GET;
    request->on_answer = on_answer;
    request->context = context;
    bool addressed = placement_address(node, operation->type, operation->bucket, operation->key,
                                       &request->address);
    assert(addressed); /* node_submit checked the sizes */
    request->asked = operation->levels;
    request->deadline_us = request_time_over_us(node, operation);
    const char *level = NULL, *reason = NULL;
    kvorum_status status = place(node, request, &level, &reason);
    if (status != KVORUM_OK) {
        request_close(node, request);
        return refuse(on_answer, context, status, level, reason);
    }
    bool alone = request->target_count == 1 && request->targets[0].local;
    if (!alone && !request_keep(node, request)) {
        request_close(node, request);
        return refuse(on_answer, context, KVORUM_NO_MEMORY, NULL, "out of memory");
    }
    uint64_t id = request->id;
    read_step(node, request, (struct get_event){ .kind = GET_START });
    bool answered = request->answered;
    bool closed = read_settle(node, request);
    assert(closed || request->registered);
    return closed || answered ? 0 : id;
}

void read_reopen(struct node *node, struct request *request)
{
    struct answer refused = { .reason = "" };
    request->lost = 0; /* bits of the targets of before */
    refused.status = place(node, request, &refused.level, &refused.reason);
    if (refused.status != KVORUM_OK) {
        request_answer(node, request, &refused);
        request_close(node, request);
        return;
    }
    read_step(node, request, (struct get_event){ .kind = GET_START });
    read_settle(node, request);
}

/* --- events ----------------------------------------------------------------------------------- */

void read_on_failed(struct node *node, struct request *request, uint8_t target)
{
    read_step(node, request, (struct get_event){ .kind = GET_FAILED, .target = target });
    read_settle(node, request);
}

void read_on_deadline(struct node *node, struct request *request)
{
    if (request->parked) {
        request->parked = false;
        read_reply_failure(node, request, request->verdict);
        request->get.state = GET_FINISHED;
    } else
        read_step(node, request, (struct get_event){ .kind = GET_TICK });
    bool closed = read_settle(node, request);
    assert(closed);
}
