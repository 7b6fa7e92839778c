/* SPDX-License-Identifier: Apache-2.0 */
/* A put that met a newer epoch (reopen.c).  Before its object was made it begins from the
 * beginning. Afterwards it is resumed: the same object with the same dot goes to those who own the
 * key now, and levels are counted anew among them.  Who has it already merges it into itself and
 * acknowledges it again, behind a barrier, so nothing is counted that is not on the new owners'
 * side. */
#include "node/coordinate/write_internal.h"

#include "base/planted.h"

const char write_not_written[] = "not written: the cluster has just changed; retry";

/* --- our own store --------------------------------------------------------------------------- */

struct late_store {
    uint64_t id;
    uint8_t at, attempt;
};

static void store_again(struct node *node, struct fetch *fetch)
{
    const struct late_store *late = fetch->input;
    struct request *request = request_find(node, late->id, REQUEST_PUT);
    if (request == NULL || request->parked || request->attempt != late->attempt)
        return;
    write_store_again(node, request, late->at);
    write_settle(node, request);
}

static kvorum_status put_off(struct node *node, const struct request *request, uint8_t at)
{
    struct fetch *fetch = fetch_open(node, store_again, sizeof(struct late_store), 0);
    if (fetch != NULL)
        *(struct late_store *)fetch->input =
            (struct late_store){ request->id, at, request->attempt };
    return replica_wait(node, &request->address, fetch);
}

void write_store_again(struct node *node, struct request *request, uint8_t at)
{
    const struct commit_plan plan = {
        .kind = COMMIT_TARGET,
        .request_id = request->id,
        .request = request,
        .target = at,
        .attempt = request->attempt,
    };
    uint64_t id = request->id;
    kvorum_status status =
        replica_merge(node, &request->address, request->encoding, request->fence,
                      &request->targets[at], request->quorum.dw > 0, &plan, NULL);
    if (status == KVORUM_WOULD_BLOCK)
        status = put_off(node, request, at);
    if (status == KVORUM_OK) /* the commit tells more */
        return;
    request = request_find(node, id, REQUEST_PUT);
    if (request != NULL && request->attempt == plan.attempt)
        write_step(node, request,
                   (struct put_event){ .kind = PUT_FAILED, .target = at, .refused = true });
}

/* --- another round --------------------------------------------------------------------------- */

static void resume(struct node *node, struct request *request)
{
    const char *level = NULL, *reason = NULL;
    request->resumed = true;
    request->fenced = 0; /* bits of the targets of before, who refuse again if they still do */
    request->held |= put_may_be_held(&request->put);
    kvorum_status status = write_place(node, request, &level, &reason);
    if (status != KVORUM_OK) {
        write_refuse(node, request, request->held ? KVORUM_TIMEOUT : status, level, reason);
        return;
    }
    PROBE("node: a write under way went to the owners of a newer epoch");
    write_prepare(node, request);
    int local = write_local_target(request);
    if (local >= request->places) /* no spare: it has the object, or had it, as an owner */
        request->put.unreachable |= 1u << local;
    write_step(node, request, (struct put_event){ .kind = PUT_START });
    write_settle(node, request);
}

void write_reopen(struct node *node, struct request *request)
{
    if (request->kind == REQUEST_PUT && request->put.state != PUT_NEW)
        resume(node, request);
    else
        write_again(node, request);
}

void write_on_parked(struct node *node, struct request *request)
{
    bool unknown =
        request->held || (request->kind == REQUEST_PUT && request->put.state != PUT_NEW &&
                          put_may_be_held(&request->put));
    write_refuse(node, request, unknown ? KVORUM_TIMEOUT : KVORUM_UNAVAILABLE, "w",
                 unknown ? "outcome unknown: the cluster has just changed, and its newest layout "
                           "did not reach this node in time. Next: read the key"
                         : write_not_written);
}
