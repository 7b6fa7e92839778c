/* SPDX-License-Identifier: Apache-2.0 */
/* The object of a put: what this replica held, what the client wrote, and the dot by which it is
 * told from all other writes. */
#include "node/coordinate/write_internal.h"

#include "base/hash.h"
#include "base/planted.h"
#include "node/collect/collect.h"
#include "node/repair/repair.h"
#include "node/scrub/scrub.h"
#include "object/clock_vector.h"

enum { CONTEXT_AHEAD_MAX_MS = 24 * 60 * 60 * 1000 };

static void warn_size(struct node *node, const struct request *request, uint32_t siblings)
{
    const struct node_limits *limits = &node->config.limits;
    if (request->encoding.size > limits->value_size_warning)
        log_warn(node->config.log, "a large object is written",
                 LOG_TEXT("key", reason_key(node, &request->address)),
                 LOG_U64("size", request->encoding.size));
    if (siblings > limits->siblings_warning)
        log_warn(node->config.log, "many siblings: write with the context of a read",
                 LOG_TEXT("key", reason_key(node, &request->address)),
                 LOG_U64("siblings", siblings));
}

/* A stand-in gives its object away and forgets it, so it cannot find its counter again: each of its
 * writes has an actor of its own.  That is named by what the clock of this life gave, and by
 * nothing that two writes can share: not by the stamp of the write, which is raised to the same one
 * again and again while the clock is behind the floor of stamps, nor by an actor that was taken up
 * from a life whose clock was another. */
static uint64_t stand_in_actor(const struct node *node, uint64_t tick)
{
    PROBE("node: a stand-in coordinated a write");
    return hash_mix64(node->life_actor ^ hash_mix64(tick));
}

/* Who comes to a partition has forgotten what it wrote when it was there before, so each ownership
 * has an actor too, and so has each time something rotted away, and each generation of a bucket:
 * contexts of an earlier one must not cover what is written in it. */
static uint64_t owner_actor(const struct node *node, const struct request *request)
{
    uint64_t tenure = handoff_tenure(node, request->address.partition);
    uint64_t salt = scrub_salt(node, request->address.partition);
    salt ^= collect_salt(node, request->address.partition);
    uint64_t base = salt == 0 ? node->config.actor : hash_mix64(node->config.actor ^ salt);
    if (request->address.generation != 0) /* counters of a key begin again in each */
        base = hash_mix64(base ^ hash_mix64(request->address.generation));
    uint64_t line = ring_line(node->config.epoch->number);
    if (line != 0) /* who owns a partition of which nobody was left may have been there before */
        base = hash_mix64(base ^ hash_mix64(line ^ UINT64_C(0x6c696e65)));
    return tenure == 0 ? base : hash_mix64(base ^ hash_mix64(~tenure));
}

/* Where the client saw nothing: RESP's SET replaces what is here, and so does every write to a key
 * that holds nothing but tombstones. */
static void adopt_context(const struct operation *operation, const struct object *local,
                          struct object_context *context)
{
    bool replaces = (operation->flags & OPERATION_OVERWRITE) != 0;
    if (local == NULL || operation->context.size > 0 || !(replaces || object_is_deleted(local)))
        return;
    *context = object_context_of(local);
}

/* "Store an absolute deadline inside the versioned value." */
static uint64_t choose_deadline(const struct request *request, const struct operation *operation,
                                uint64_t wall_ms)
{
    if (operation->kind == OPERATION_DELETE || operation->deadline_ms == NODE_NEVER)
        return 0;
    if (operation->deadline_ms != 0)
        return operation->deadline_ms;
    return request->ttl_seconds == 0 ? 0 : wall_ms + request->ttl_seconds * UINT64_C(1000);
}

/* Between the read of a TOUCH and its write here another write may have come: that one stays, with
 * the new deadline.  NOT_FOUND: it was a deletion. */
static kvorum_status take_newer(const struct operation *operation, const struct object *local,
                                struct sibling *fresh)
{
    const struct sibling *winner = local == NULL ? NULL : object_winner(local);
    bool touches = (operation->flags & OPERATION_TOUCH) != 0;
    if (!touches || winner == NULL || winner->stamp <= operation->seen_stamp)
        return KVORUM_OK;
    if (winner->tombstone)
        return KVORUM_NOT_FOUND;
    fresh->value = winner->value;
    fresh->metadata = winner->metadata;
    fresh->metadata_count = winner->metadata_count;
    return KVORUM_OK;
}

/* Of a former life of the key, or of another one, counters were collected: this actor's go on
 * behind them.  Whatever it wrote here itself is in `local`, so the clock says nothing that is not
 * so. */
static kvorum_status raise_counters(struct node *node, const struct request *request,
                                    uint64_t actor, const struct object *local,
                                    struct object *ret_local)
{
    uint64_t floor = collect_counter_floor(node, request->address.partition);
    *ret_local = local == NULL ? (struct object){ 0 } : *local;
    if (clock_vector_counter(&ret_local->clock, actor) >= floor)
        return KVORUM_OK;
    return clock_vector_add(&ret_local->clock, (struct dot){ actor, floor }, &node->scratch,
                            &ret_local->clock);
}

static kvorum_status make_object(struct node *node, struct request *request, int own,
                                 const struct operation *operation, const struct object *local,
                                 struct object *ret_object)
{
    struct object_context context = { 0 };
    kvorum_status status = KVORUM_OK;
    uint64_t wall_ms = clock_wall_ms(node->config.clock);
    if (operation->context.size > 0)
        status = context_decode(operation->context, &node->scratch, &context);
    if (status == KVORUM_OK && hlc_wall_ms(context.stamp) > wall_ms + CONTEXT_AHEAD_MAX_MS)
        status = KVORUM_INVALID; /* forged: it would leave no stamp for anybody else */
    if (status != KVORUM_OK)
        return status;
    (void)hlc_see(&node->hlc, context.stamp, wall_ms);
    const uint64_t tick = hlc_now(&node->hlc, wall_ms); /* never given before in this life */
    struct sibling fresh = {
        .stamp = tick,
        .tombstone = operation->kind == OPERATION_DELETE,
        .metadata = (struct metadata *)operation->metadata,
        .metadata_count = operation->metadata_count,
        .value = operation->value,
        .deadline_ms = choose_deadline(request, operation, wall_ms),
    };
    uint64_t floor = collect_stamp_floor(node, request->address.partition);
    if (fresh.stamp <= floor)
        fresh.stamp = floor + 1;
    status = take_newer(operation, local, &fresh);
    if (status != KVORUM_OK)
        return status;
    adopt_context(operation, local, &context);
    if (PLANTED(MODE_OF_THE_MEMBER) && !request->mode.siblings && local != NULL)
        request->mode.since = object_max_stamp(local) + 1;
    bool stand_in = request->targets[own].stand_in;
    uint64_t name = PLANTED(STAND_IN_BY_STAMP) ? fresh.stamp : tick;
    uint64_t actor = stand_in ? stand_in_actor(node, name) : owner_actor(node, request);
    struct object raised;
    if (!stand_in && collect_counter_floor(node, request->address.partition) > 0) {
        status = raise_counters(node, request, actor, local, &raised);
        local = &raised;
    }
    return status != KVORUM_OK ? status
                               : object_put(local, &context, &fresh, actor, request->mode,
                                            &node->scratch, ret_object);
}

kvorum_status write_make(struct node *node, struct request *request, int own,
                         const struct operation *operation)
{
    struct replica_read read;
    struct object local, object;
    kvorum_status status = replica_read(node, &request->address, &read);
    if (status != KVORUM_OK)
        return status;
    request->before = repair_digest(node, request->address.partition, read.encoding);
    request->fence = collect_promised(node, request->address.partition);
    request->fence_drops = collect_drops(node, request->address.partition);
    if (read.held)
        status = object_decode(read.encoding, &node->scratch, &local);
    if (status == KVORUM_OK && read.held)
        status = object_expire(&local, expiry_passed_ms(node), &node->scratch, &local);
    if (status == KVORUM_OK)
        status = make_object(node, request, own, operation, read.held ? &local : NULL, &object);
    if (status == KVORUM_OK && object.sibling_count > node->config.limits.siblings) {
        node->counters.siblings_refused++;
        status = KVORUM_TOO_MANY_SIBLINGS;
    }
    if (status == KVORUM_OK)
        status = object_encode_in(&object, &request->arena, &request->encoding);
    replica_release(&read);
    if (status == KVORUM_OK)
        warn_size(node, request, object.sibling_count);
    return status;
}
