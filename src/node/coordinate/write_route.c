/* SPDX-License-Identifier: Apache-2.0 */
/* A put begins: what its levels need, whom it goes to, and whether this shard coordinates it. */
#include "node/coordinate/write_internal.h"

#include "node/buckets/drop.h"

uint64_t write_refuse(struct node *node, struct request *request, kvorum_status status,
                      const char *level, const char *reason)
{
    struct answer answer = { .status = status, .level = level, .n = request->quorum.n };
    answer.outdated = request->newer > request->epoch;
    answer.reason = reason != NULL ? reason
                                   : reason_printf(node, "cannot write %s: %s",
                                                   reason_key(node, &request->address),
                                                   kvorum_status_text(status));
    request_answer(node, request, &answer);
    request_close(node, request);
    return 0;
}

kvorum_status write_place(struct node *node, struct request *request, const char **ret_level,
                          const char **ret_reason)
{
    struct bucket_properties properties;
    struct object_mode given = request->mode;
    property_table_mode(node, request->address.type, request->address.bucket, &properties,
                        &request->mode);
    request->mode = mode_later(request->mode, given);
    uint64_t before = request->address.generation;
    request->address.generation = properties.generation;
    bool dropped = request->resumed && before != properties.generation;
    if (dropped ||
        (request->pinned && drop_pin(node, &request->address, request->pin) != KVORUM_OK)) {
        *ret_reason = drop_retry_reason;
        return KVORUM_UNAVAILABLE;
    }
    request->strategy = bucket_strategy(&properties);
    if (properties.ttl_seconds != PROPERTY_NO_TTL)
        request->ttl_seconds = properties.ttl_seconds;
    kvorum_status status =
        placement_quorum(node, request, &request->asked, &properties.levels, ret_level);
    if (status != KVORUM_OK) {
        *ret_reason = reason_impossible(node, *ret_level, properties.levels.n);
        return status;
    }
    placement_write_targets(node, request);
    return zones_resolve(node, request, ret_level, ret_reason);
}

static bool owner_reachable(struct node *node, const struct request *request)
{
    for (uint8_t i = 0; i < request->places; i++)
        if (!request->targets[i].stand_in &&
            placement_reachable(node, request->targets[i].address.member))
            return true;
    return false;
}

/* While its partition moves, somebody else knows better what is there. */
static bool is_newcomer(struct node *node, const struct request *request, int local)
{
    if ((request->set & 1u << local) != 0 || request->other_set == 0)
        return false;
    for (uint8_t i = 0; i < request->quorum.n; i++)
        if (placement_reachable(node, request->targets[i].address.member))
            return true;
    return false;
}

/* The coordinator is an owner, one of those whom reads ask if possible; a stand-in may take its
 * place where the quorum is sloppy and no owner can be reached, or when another node already chose
 * us. */
static bool coordinates(struct node *node, const struct request *request, int local)
{
    bool read_here = local >= 0 && (request->other_set == 0 || (request->set & 1u << local) != 0);
    if (local < 0 || (parting_is_leaving(node) && (request->targets[local].stand_in || !read_here)))
        return false;
    if (is_newcomer(node, request, local))
        return (request->flags & OPERATION_FORWARDED) != 0;
    if (!request->targets[local].stand_in)
        return true;
    return (request->flags & OPERATION_FORWARDED) != 0 ||
           (local < request->places && !owner_reachable(node, request));
}

void write_prepare(struct node *node, struct request *request)
{
    request->put = (struct put){
        .set = request->set,
        .other_set = request->other_set,
        .places = request->places,
        .target_count = request->target_count,
        .deadline_us = request->deadline_us,
        .zones = zones_fill(node, request),
    };
    request->put.quorum = request->quorum;
    request->put.other = request->other;
    for (uint8_t i = 0; i < request->target_count; i++) {
        if (!request->targets[i].stand_in)
            request->put.owners |= 1u << i;
        if (!placement_reachable(node, request->targets[i].address.member))
            request->put.unreachable |= 1u << i;
    }
}

/* A coordinator that is a spare moves to the front, so that the machine uses it from the start. */
static int promote(struct request *request, int local)
{
    if (local < request->places)
        return local;
    for (uint8_t i = 0; i < request->places; i++)
        if (!(request->put.owners & (1u << i)) || (request->put.unreachable & (1u << i))) {
            struct target *spare = &request->targets[local], place = request->targets[i];
            spare->owner = place.stand_in ? place.owner : place.address.member;
            request->targets[i] = *spare;
            request->targets[local] = place;
            return i;
        }
    return local;
}

/* --- here, or elsewhere ---------------------------------------------------------------------- */

static uint64_t coordinate(struct node *node, struct request *request,
                           const struct operation *operation, int local)
{
    write_prepare(node, request);
    int promoted = promote(request, local);
    if (promoted != local)
        write_prepare(node, request);
    if (promoted >= request->places)
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL,
                            "this node is no owner of the key and none of its owners is away");
    return write_launch(node, request, operation, promoted);
}

/* Here, or where there is an owner. */
static uint64_t route(struct node *node, struct request *request, const struct operation *operation)
{
    const char *level = NULL, *reason = NULL;
    kvorum_status status = write_place(node, request, &level, &reason);
    if (status != KVORUM_OK)
        return write_refuse(node, request, status, level, reason);
    int local = write_local_target(request);
    if (coordinates(node, request, local) && !forward_is_unable(request, node->config.self))
        return coordinate(node, request, operation, local);
    return forward_begin(node, request, operation);
}

uint64_t write_again(struct node *node, struct request *request)
{
    request->kind = REQUEST_PUT;
    request->epoch = node->config.epoch->number;
    return route(node, request, request->kept);
}

uint64_t write_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context)
{
    bool first_hand = (operation->flags & OPERATION_FORWARDED) == 0; /* counted where it came in */
    node->counters.puts += first_hand && operation->kind == OPERATION_PUT;
    node->counters.deletes += first_hand && operation->kind == OPERATION_DELETE;
    struct request *request = request_open(node, REQUEST_PUT);
    if (request == NULL) {
        struct answer answer = { .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
        on_answer(context, &answer);
        return 0;
    }
    request->operation = operation->kind;
    request->on_answer = on_answer;
    request->context = context;
    request->flags = operation->flags;
    request->asked = operation->levels;
    request->mode = operation->mode;
    request->pinned = operation->pinned;
    request->pin = operation->generation;
    request->put.state = PUT_NEW;
    request->deadline_us = request_time_over_us(node, operation);
    bool addressed = placement_address(node, operation->type, operation->bucket, operation->key,
                                       &request->address);
    assert(addressed); /* node_submit checked the sizes */
    return route(node, request, operation);
}
