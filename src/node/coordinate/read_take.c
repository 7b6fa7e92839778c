/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas send: what counts, and what is kept of it. */
#include "node/coordinate/read_internal.h"

#include "node/buckets/drop.h"
#include "node/collect/collect.h"

bool read_counts_as_absent(const struct request *request)
{
    return request->quorum.sloppy && request->target_count > request->places;
}

void read_note_lost(struct request *request, uint8_t at, bool lost)
{
    if (lost)
        request->lost |= 1u << at;
}

bool read_note_collected(struct request *request, const struct target *target, uint64_t collected)
{
    if (collected > request->collected)
        request->collected = collected;
    return target->fence >= request->collected;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Of a generation that others know to be over: whatever is read of it, nobody may see. */
static void read_dropped(struct node *node, struct request *request)
{
    struct answer answer = { .status = KVORUM_UNAVAILABLE, .level = "r", .n = request->quorum.n };
    answer.reason = drop_retry_reason;
    request_answer(node, request, &answer);
    request_close(node, request);
}

/* Of the present round.  What names a newer epoch is remembered. */
static bool is_news(struct request *request, const Peer__GetAnswer *answer, uint64_t epoch)
{
    if (answer->status != KVORUM_WRONG_EPOCH)
        return true;
    if (epoch <= request->epoch)
        return false;
    reopen_note(request, epoch);
    return true;
}

/* False: what it sent may be older than tombstones that others have collected. */
static bool is_recent(struct node *node, struct request *request, struct target *target,
                      const Peer__GetAnswer *answer)
{
    uint64_t before = target->fence;
    target->fence = answer->fence;
    collect_hear(node, request->address.partition, answer->collected);
    if (read_note_collected(request, target, answer->collected))
        return true;
    if (target->in_hand) /* doubled, or to a question before */
        target->fence = before;
    return false;
}

/* What was sent is an answer.  Whole it is kept, unless the object is in hand already. */
static struct get_event take(struct request *request, uint8_t at, const Peer__GetAnswer *answer,
                             struct bytes tail)
{
    const struct get_event failed = { .kind = GET_FAILED, .target = at };
    struct get_event event = { .kind = GET_ANSWER,
                               .target = at,
                               .digest = answer->digest,
                               .full = answer->full || answer->digest == 0 };
    struct target *target = &request->targets[at];
    if (answer->full && (answer->digest == 0) != (tail.size == 0))
        return failed; /* it contradicts itself */
    if (event.full && !target->in_hand)
        target->in_hand = tail.size == 0 || arena_copy(&request->arena, tail, &target->encoding);
    return event.full && !target->in_hand ? failed : event;
}

static void on_answer(struct node *node, struct request *request, uint8_t at,
                      const Peer__GetAnswer *answer, struct bytes tail)
{
    struct target *target = &request->targets[at];
    struct get_event event = { .kind = GET_FAILED, .target = at };
    bool counts = answer->status == KVORUM_OK ||
                  (answer->status == KVORUM_POISONED && !read_counts_as_absent(request));
    if (answer->status != KVORUM_OK)
        read_note_lost(request, at, answer->lost);
    if (counts && !is_recent(node, request, target, answer)) {
        if (!target->in_hand && !target->asked_again) {
            target->asked_again = true;
            read_ask_remote(node, request, at, false);
            return;
        }
        counts = false;
    }
    if (counts)
        event = take(request, at, answer, tail);
    read_step(node, request, event);
}

void read_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_GET);
    int at = request == NULL ? -1 : request_target_of(request, from.member);
    if (at < 0 || request_is_earlier(request, message))
        return; /* late: answered, finished and forgotten */
    Peer__GetAnswer *answer = node_unpack(node, &peer__get_answer__descriptor, message->body);
    if (answer == NULL) {
        read_on_failed(node, request, (uint8_t)at);
    } else if (answer->status == KVORUM_DROPPED) {
        read_dropped(node, request);
    } else if (is_news(request, answer, message->epoch)) {
        on_answer(node, request, (uint8_t)at, answer, message->tail);
        read_settle(node, request);
    }
}
