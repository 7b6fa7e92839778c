/* SPDX-License-Identifier: Apache-2.0 */
/* From an operation to a write under way: the object is made, our own store takes it, and it
 * leaves.  Until the store has it nothing has happened: the write may wait for the disk or for
 * room, and may go to another owner. */
#include "node/coordinate/write_internal.h"

#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"

struct late_write {
    uint64_t id;
    int own;
    uint8_t attempt;
};

static uint64_t begin(struct node *node, struct request *request, const struct operation *operation,
                      int own);

struct request *write_in_time(struct node *node, uint64_t id, uint8_t attempt)
{
    struct request *request = request_find(node, id, REQUEST_PUT);
    bool same = request != NULL && !request->parked && request->attempt == attempt;
    return same && node->now_us < request->deadline_us ? request : NULL;
}

/* What it is to begin again with, where it may have to. */
static bool keep_operation(struct request *request, const struct operation *operation)
{
    if (request->kept != NULL)
        return true;
    struct operation *copy = arena_new(&request->arena, struct operation);
    if (copy == NULL || !operation_copy(&request->arena, operation, copy))
        return false;
    request->kept = copy;
    return true;
}

/* Nothing was written here, and this store is in no state to: another owner may be. */
static uint64_t give_away(struct node *node, struct request *request,
                          const struct operation *operation, kvorum_status status,
                          const char *reason)
{
    bool forwarded = (request->flags & OPERATION_FORWARDED) != 0;
    if (forwarded || operation == NULL || !forward_is_inability(status))
        return write_refuse(node, request, status, NULL, reason);
    PROBE("node: a write went to another owner since this store takes none");
    forward_note_unable(request, node->config.self, status);
    return forward_begin(node, request, operation);
}

/* --- the object ------------------------------------------------------------------------------- */

static void launch_again(struct node *node, struct fetch *fetch)
{
    const struct late_write *late = fetch->input;
    struct request *request = write_in_time(node, late->id, late->attempt);
    if (request != NULL)
        write_launch(node, request, request->kept, late->own);
}

/* Nothing has happened yet but that the old version is being fetched. */
static kvorum_status put_off(struct node *node, struct request *request,
                             const struct operation *operation, int own)
{
    struct fetch *fetch = NULL;
    if (keep_operation(request, operation) && request_keep(node, request))
        fetch = fetch_open(node, launch_again, sizeof(struct late_write), operation->value.size);
    if (fetch != NULL)
        *(struct late_write *)fetch->input =
            (struct late_write){ request->id, own, request->attempt };
    return replica_wait(node, &request->address, fetch);
}

uint64_t write_launch(struct node *node, struct request *request, const struct operation *operation,
                      int own)
{
    kvorum_status status = write_make(node, request, own, operation);
    if (status == KVORUM_WOULD_BLOCK) {
        status = put_off(node, request, operation, own);
        if (status == KVORUM_OK)
            return request->id;
    }
    if (status == KVORUM_OK && !request_keep(node, request))
        status = KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        return give_away(node, request, operation, status, NULL);
    return begin(node, request, operation, own);
}

/* --- our own store ---------------------------------------------------------------------------- */

static void begin_again(struct node *node, struct fetch *fetch)
{
    const struct late_write *late = fetch->input;
    struct request *request = write_in_time(node, late->id, late->attempt);
    node->fetch_pass = NULL; /* what it would have to read, it has read */
    if (request != NULL)
        begin(node, request, request->kept, late->own);
}

/* The object is made; those who come after it wait behind it, so it stays what is to be written. */
static kvorum_status wait_for_room(struct node *node, struct request *request,
                                   const struct operation *operation, int own)
{
    struct bytes key = store_key(&node->scratch, &request->address);
    struct fetch *fetch = NULL;
    if (key.data != NULL && keep_operation(request, operation))
        fetch = fetch_open(node, begin_again, sizeof(struct late_write), operation->value.size);
    if (fetch == NULL)
        return KVORUM_OVERLOADED;
    *(struct late_write *)fetch->input = (struct late_write){ request->id, own, request->attempt };
    return fetch_wait_room(node, fetch, placement_store(node, request->address.partition), key);
}

/* NULL: the status says it all. */
static const char *no_room(struct node *node, const struct request *request, kvorum_status status,
                           int own)
{
    const struct target *target = &request->targets[own];
    if (status != KVORUM_STORE_FULL || !target->stand_in)
        return NULL;
    return reason_printf(node,
                         "cannot write %s: no owner of it answers, and this node holds as much for "
                         "%s as [limits] hints and hints_size allow. Next: kvorum status",
                         reason_key(node, &request->address),
                         node->config.epoch->members[target->owner].name);
}

/* The object was made, and waited: what it was made of may be gone. */
static bool was_overtaken(struct node *node, const struct request *request)
{
    return request->fence_drops != collect_drops(node, request->address.partition) ||
           !collect_is_current(node, &request->address, request->fence);
}

/* It came too late to begin, and is over; or it waits for the epoch that it met. */
static uint64_t meet_epoch(struct node *node, struct request *request)
{
    PROBE("node: a write met a new epoch before it began");
    reopen_note(request, node->config.epoch->number);
    if (request->kept != NULL && reopen_later(node, request, KVORUM_UNAVAILABLE))
        return request->id;
    return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL, write_not_written);
}

/* NULL: it is over. */
static struct request *on_stored(struct node *node, struct request *request, uint64_t id,
                                 const struct put_effects *effects)
{
    node->counters.own_puts++;
    if (!request_is(request, id, REQUEST_PUT))
        return NULL;
    write_apply(node, request, effects);
    return write_settle(node, request) ? NULL : request;
}

/* The same. */
static struct request *on_not_stored(struct node *node, struct request *request,
                                     const struct operation *operation, int own,
                                     kvorum_status status)
{
    if (status == KVORUM_OVERLOADED)
        status = wait_for_room(node, request, operation, own);
    if (status == KVORUM_OK)
        return request;
    const char *reason = no_room(node, request, status, own);
    return give_away(node, request, operation, status, reason) == 0 ? NULL : request;
}

/* The machine starts first, so that an acknowledgement from inside the store finds it waiting;
 * nothing has left the node before the store has taken the write. */
static uint64_t start(struct node *node, struct request *request, const struct operation *operation,
                      int own)
{
    uint64_t id = request->id;
    const struct commit_plan plan = {
        .kind = COMMIT_TARGET,
        .request_id = id,
        .request = request,
        .target = (uint8_t)own,
        .attempt = request->attempt,
    };
    const struct put_event event = { .now_us = node->now_us, .kind = PUT_START };
    struct put_effects effects;
    put_step(&request->put, &event, &effects);
    if (effects.reply) { /* hopeless from the start: nothing was stored or sent */
        write_apply(node, request, &effects);
        request_close(node, request);
        return 0;
    }
    node->depth++; /* a nested answer must not end the scratch memory this frame uses */
    kvorum_status status =
        replica_store(node, &request->address, request->before, request->encoding,
                      &request->targets[own], request->quorum.dw > 0, &plan);
    if (status == KVORUM_OK) {
        request = on_stored(node, request, id, &effects);
    } else {
        write_prepare(node, request); /* as if it had not started */
        request = on_not_stored(node, request, operation, own, status);
    }
    node->depth--;
    return request == NULL || request->answered ? 0 : id;
}

/* The object is made.  It may have waited: for the disk, or for room. */
static uint64_t begin(struct node *node, struct request *request, const struct operation *operation,
                      int own)
{
    if (drop_is_old(node, &request->address)) {
        PROBE("node: a write met a drop before it began");
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL, drop_retry_reason);
    }
    if (was_overtaken(node, request)) {
        PROBE("node: a write waited for room while older tombstones were collected");
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL,
                            "not written: deletions were collected meanwhile; retry");
    }
    if (request_is_outdated(node, request)) /* it waited for the disk: its operation is kept */
        return meet_epoch(node, request);
    return start(node, request, operation, own);
}
