/* SPDX-License-Identifier: Apache-2.0 */
/* A put that others refused because they promised a newer fence (node/collect/collect.h) than the
 * one under which its object was made.
 *
 * What our own replica holds by now is the write, or what came after it: that is sent, under the
 * fence that we have promised by now.  Where it holds nothing any more, the write was deleted, and
 * all members had the tombstone: it is as good as acknowledged by everybody. */
#include "node/coordinate/write_internal.h"

#include "base/planted.h"
#include "node/collect/collect.h"

struct late_resend {
    uint64_t id;
    uint32_t fenced;
    uint8_t attempt;
};

static void resend(struct node *node, struct request *request);

static void resend_again(struct node *node, struct fetch *fetch)
{
    const struct late_resend *late = fetch->input;
    struct request *request = write_in_time(node, late->id, late->attempt);
    if (request == NULL)
        return;
    request->fenced |= late->fenced;
    resend(node, request);
}

static void put_off_resend(struct node *node, struct request *request)
{
    struct fetch *fetch = fetch_open(node, resend_again, sizeof(struct late_resend), 0);
    if (fetch != NULL)
        *(struct late_resend *)fetch->input =
            (struct late_resend){ request->id, request->fenced, request->attempt };
    request->fenced = 0;
    (void)!replica_wait(node, &request->address, fetch); /* in vain: its time will be over */
}

static bool own_replica_counts(struct node *node, const struct request *request)
{
    int own = write_local_target(request);
    return own >= 0 && !request->targets[own].stand_in && !request_is_outdated(node, request) &&
           request->fence_drops == collect_drops(node, request->address.partition);
}

static void step_fenced(struct node *node, struct request *request, uint32_t fenced,
                        enum put_event_kind kind)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if ((fenced >> i & 1) != 0)
            write_step(
                node, request,
                (struct put_event){ .kind = kind, .target = i, .durable = true, .refused = true });
}

static void resend(struct node *node, struct request *request)
{
    struct replica_read read = { 0 };
    bool counts = own_replica_counts(node, request);
    kvorum_status status = counts ? replica_read(node, &request->address, &read) : KVORUM_FENCED;
    if (status == KVORUM_WOULD_BLOCK) {
        put_off_resend(node, request);
        return;
    }
    uint32_t fenced = request->fenced;
    request->fenced = 0;
    if (status == KVORUM_OK && read.held &&
        arena_copy(&request->arena, read.encoding, &request->encoding)) {
        PROBE("node: a write went out again under a newer fence");
        request->fence = collect_promised(node, request->address.partition);
        for (uint8_t i = 0; i < request->target_count; i++)
            if ((fenced >> i & 1) != 0)
                write_send(node, request, i);
    } else if (status == KVORUM_OK && !read.held) {
        PROBE("node: a write was deleted and collected while it was under way");
        step_fenced(node, request, fenced, PUT_ACK);
    } else
        step_fenced(node, request, fenced, PUT_FAILED);
    replica_release(&read);
    write_settle(node, request);
}

void write_on_fenced(struct node *node, struct request *request, uint8_t at)
{
    bool lost = request->fence_drops != collect_drops(node, request->address.partition);
    request->fenced |= 1u << at;
    if (lost || collect_promised(node, request->address.partition) > request->fence)
        resend(node, request);
    /* else we are asked for the promise too, or have been: write_on_promised */
}

/* Those that were promised to are few; a write may end by what it is told. */
void write_on_promised(struct node *node, uint32_t partition)
{
    struct list *active = &node->active, *item = active->next;
    while (item != active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        item = item->next;
        bool waits = request->kind == REQUEST_PUT && request->fenced != 0 && !request->parked &&
                     request->address.partition == partition &&
                     request->put.state != PUT_FINISHED && request->put.state != PUT_NEW;
        if (waits) {
            resend(node, request);
            item = active->next; /* whoever was told may have submitted, or ended, another */
        }
    }
}
