/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of hints that were dropped: somebody may lack writes of a partition, so it is compared.
 *
 *      suspicion, where a hint was dropped --SUSPECT--> order at each owner but the target
 *           |                                                |
 *           ^ removed when all of them have it on disk       --repair_suspect--> compared, removed
 *
 * Every owner is asked, since one alone may lack the same write; once, though another may have to
 * be asked for long: an order that was followed would be given and followed again and again.
 * Marks outlive restarts, and doing it twice is only work. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/hints/suspect_internal.h"

enum { TIMEOUT_US = 5 * 1000 * 1000 };

struct inquiry {
    struct node_id target;
    uint16_t member; /* the target's */
    uint32_t partition;
    uint32_t puts;  /* of the suspicion, when the first owner was asked */
    uint64_t epoch; /* number of the one whose owners are asked */
    uint16_t owners[PLACEMENT_OWNERS_MAX], owner_count;
    uint16_t place; /* of the owner that is being asked */
};

/* Another hint may have been dropped since the first owner was asked, which may have compared by
 * now: then the mark is that hint's too. */
static bool may_be_renewed(struct node *node, const struct inquiry *inquiry)
{
    return *hints_mark_puts(node, &inquiry->target, inquiry->partition, HINT_MARK_SUSPICION) !=
           inquiry->puts;
}

/* All have it: the suspicion is over. */
static void all_asked(struct node *node, struct request *request)
{
    const struct inquiry *inquiry = request->inquiry;
    if (may_be_renewed(node, inquiry)) {
        PROBE("node: a mark was put again while it was handed to the owners");
    } else {
        PROBE("node: a mark was handed to the owners");
        suspect_settle(node, &inquiry->target, inquiry->partition, HINT_MARK_SUSPICION);
    }
    request_close(node, request);
}

/* Of earlier tries, if they were of this suspicion, as it is, to the same owners. */
static struct hint_handover *remember(struct node *node, const struct inquiry *inquiry)
{
    struct hint_handover *handover = hints_handover(node, &inquiry->target, inquiry->partition);
    bool same = handover->epoch == inquiry->epoch && handover->puts == inquiry->puts &&
                handover->partition == inquiry->partition &&
                handover->owner_count == inquiry->owner_count &&
                memcmp(&handover->target, &inquiry->target, sizeof(inquiry->target)) == 0;
    if (!same)
        *handover = (struct hint_handover){ .target = inquiry->target,
                                            .partition = inquiry->partition,
                                            .puts = inquiry->puts,
                                            .epoch = inquiry->epoch,
                                            .owner_count = inquiry->owner_count };
    return handover;
}

static bool has_it(struct node *node, const struct inquiry *inquiry)
{
    uint32_t asked = remember(node, inquiry)->asked;
    return inquiry->owners[inquiry->place] == inquiry->member || (asked >> inquiry->place & 1) != 0;
}

/* From inquiry->place on. */
static void ask_next(struct node *node, struct request *request)
{
    struct inquiry *inquiry = request->inquiry;
    while (inquiry->place < inquiry->owner_count && has_it(node, inquiry))
        inquiry->place++;
    if (inquiry->place >= inquiry->owner_count) {
        all_asked(node, request);
        return;
    }
    uint16_t owner = inquiry->owners[inquiry->place];
    Peer__Suspect body = PEER__SUSPECT__INIT;
    body.partition = inquiry->partition;
    body.member = inquiry->member;
    if (!node_send(node, placement_of(node, owner, inquiry->partition), MESSAGE_SUSPECT,
                   request->id, node_pack(node, &body.base), (struct bytes){ 0 }))
        request_close(node, request); /* the mark is still there */
}

void suspect_hand_over(struct node *node, uint16_t target, uint32_t partition)
{
    struct request *request = request_open(node, REQUEST_SUSPECT);
    struct inquiry *inquiry =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*inquiry));
    if (inquiry == NULL || !request_register(node, request, node->now_us + TIMEOUT_US)) {
        if (request != NULL)
            request_close(node, request);
        return;
    }
    *inquiry = (struct inquiry){ .target = node->config.epoch->members[target].id,
                                 .member = target,
                                 .partition = partition,
                                 .epoch = node->config.epoch->number };
    inquiry->owner_count = suspect_owners(node, partition, inquiry->owners);
    inquiry->puts = *hints_mark_puts(node, &inquiry->target, partition, HINT_MARK_SUSPICION);
    request->inquiry = inquiry;
    request->answered = true;
    ask_next(node, request);
}

void suspect_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Suspect *body = node_unpack(node, &peer__suspect__descriptor, message->body);
    const struct epoch *epoch = node->config.epoch;
    if (body == NULL || body->partition >= epoch->partition_count ||
        body->member >= epoch->member_count || placement_store(node, body->partition) == NULL) {
        node->counters.messages_bad++;
        return;
    }
    const struct commit_plan plan = { .kind = COMMIT_SUSPECT_ANSWER,
                                      .to = from,
                                      .request_id = message->request_id };
    engine_batch_reset(node->batch);
    kvorum_status status = hints_put_mark(node, node->batch, &epoch->members[body->member].id,
                                          body->partition, HINT_MARK_ORDER);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, body->partition), node->batch,
                                ENGINE_SYNC, &plan);
    if (status == KVORUM_OK)
        repair_on_mark(node, body->partition); /* what is being compared may have begun too early */
    if (status != KVORUM_OK)
        suspect_answer(node, from, message->request_id, status);
}

void suspect_answer(struct node *node, struct net_address to, uint64_t request_id,
                    kvorum_status status)
{
    Peer__SuspectAnswer body = PEER__SUSPECT_ANSWER__INIT;
    body.status = status;
    node_send(node, to, MESSAGE_SUSPECT_ANSWER, request_id, node_pack(node, &body.base),
              (struct bytes){ 0 });
}

void suspect_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__SuspectAnswer *body = node_unpack(node, &peer__suspect_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_SUSPECT);
    if (body == NULL)
        node->counters.messages_bad++;
    if (body == NULL || request == NULL)
        return;
    struct inquiry *inquiry = request->inquiry;
    if (inquiry->place >= inquiry->owner_count || inquiry->owners[inquiry->place] != from.member)
        return; /* a doubled answer of the one before */
    if (body->status == KVORUM_OK && inquiry->epoch == node->config.epoch->number) {
        remember(node, inquiry)->asked |= UINT32_C(1) << inquiry->place++;
        ask_next(node, request);
    } else
        request_close(node, request); /* the mark is still there */
}

void suspect_on_deadline(struct node *node, struct request *request)
{
    request_close(node, request); /* the mark is still there */
}
