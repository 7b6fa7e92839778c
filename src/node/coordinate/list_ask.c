/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator of a listing: it asks one shard at a time for a page, and for the next one when
 * the client wants more. */
#include "node/coordinate/list_internal.h"

#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/drop.h"

/* --- asking ---------------------------------------------------------------------------------- */

/* Ask somebody else for what `member` still owed; false when the listing ended. */
static bool reassign(struct node *node, struct request *request, uint16_t member)
{
    struct listing *listing = request->listing;
    listing->waiting = false;
    if (coverage_replace(node, &listing->coverage, list_bucket_n(node, listing), member))
        return true;
    list_fail(node, request, KVORUM_UNAVAILABLE, list_no_owner);
    return false;
}

/* Another epoch is in force; false when the listing ended. */
static bool follow_epoch(struct node *node, struct request *request)
{
    struct listing *listing = request->listing;
    if (!coverage_follow(node, &listing->coverage, list_bucket_n(node, listing), request->epoch)) {
        list_fail(node, request, KVORUM_UNAVAILABLE, list_no_owner);
        return false;
    }
    request->epoch = node->config.epoch->number;
    return true;
}

static bool ask_remote(struct node *node, struct request *request)
{
    struct listing *listing = request->listing;
    struct coverage *coverage = &listing->coverage;
    Peer__List list = PEER__LIST__INIT;
    list.type = protobuf_data(listing->type);
    list.bucket = protobuf_data(listing->bucket);
    list.generation = drop_generation(node, listing->type, listing->bucket);
    list.buckets = listing->kind == LIST_BUCKETS;
    list.count_only = listing->kind == LIST_COUNT;
    list.partitions = coverage->group;
    list.n_partitions = coverage->group_count;
    list.after = protobuf_data(buffer_bytes(&coverage->cursor));
    list.page = ++listing->page;
    return request_send(node, request, coverage->to, MESSAGE_LIST, node_pack(node, &list.base),
                        (struct bytes){ 0 });
}

/* --- our own stores -------------------------------------------------------------------------- */

/* Of the question that is still waiting. */
static void take_scan(struct node *node, struct list_scan *scan)
{
    struct request *request = request_find(node, scan->request_id, REQUEST_LIST);
    if (request == NULL || !request->listing->waiting || request->listing->page != scan->number)
        return;
    if (list_scan_is_outdated(node, scan)) /* asked again */
        request->listing->waiting = false;
    else if (scan->reading.status == KVORUM_OK)
        list_take_page(node, request, &scan->page);
    else
        reassign(node, request, node->config.self);
}

static void on_scan(struct node *node, struct reading *reading)
{
    struct list_scan *scan = (struct list_scan *)reading;
    bool late = reading->node != NULL;
    uint64_t id = scan->request_id;
    take_scan(node, scan);
    reading_close(reading);
    if (late) /* else the pump is what called us */
        list_pump(node, id);
}

static void ask_local(struct node *node, struct request *request)
{
    struct listing *listing = request->listing;
    const struct list_question question = {
        .kind = listing->kind,
        .type = listing->type,
        .bucket = listing->bucket,
        .cursor = buffer_bytes(&listing->coverage.cursor),
        .partitions = listing->coverage.group,
        .count = listing->coverage.group_count,
    };
    struct list_scan *scan = list_scan_open(node, &question, on_scan);
    if (scan == NULL) {
        list_fail(node, request, KVORUM_NO_MEMORY, "out of memory");
        return;
    }
    scan->epoch = request->epoch;
    scan->request_id = request->id;
    scan->number = ++listing->page;
    reading_start(node, &scan->reading);
}

/* --- going on -------------------------------------------------------------------------------- */

/* Go on while the client wants more and nothing is under way. */
void list_pump(struct node *node, uint64_t id)
{
    struct request *request;
    while ((request = request_find(node, id, REQUEST_LIST)) != NULL) {
        struct listing *listing = request->listing;
        const struct net_address *to = &listing->coverage.to;
        if (!listing->wanted || listing->waiting || request->parked)
            return;
        if (request->epoch != node->config.epoch->number && !follow_epoch(node, request))
            return;
        if (!coverage_next(node, &listing->coverage)) {
            struct list_page last = { .reason = "", .last = true };
            list_deliver(node, request, &last);
            return;
        }
        listing->waiting = true;
        if (to->member == node->config.self && to->shard == node->config.shard)
            ask_local(node, request);
        else if (!ask_remote(node, request))
            reassign(node, request, to->member);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

/* The answer to the question under way, from whom it was asked. */
static bool is_awaited(const struct request *request, struct net_address from)
{
    const struct net_address *to = &request->listing->coverage.to;
    return request->listing->waiting && to->member == from.member && to->shard == from.shard;
}

/* What cannot be read, or makes no sense, is CORRUPT. */
static kvorum_status answer_status(const Peer__ListAnswer *answer)
{
    if (answer == NULL)
        return KVORUM_CORRUPT;
    if (answer->status == KVORUM_OK && answer->n_generations != 0 &&
        answer->n_generations != answer->n_names)
        return KVORUM_CORRUPT;
    return (kvorum_status)answer->status;
}

static void wait_for_epoch(struct node *node, struct request *request, uint64_t newer)
{
    request->listing->waiting = false;
    reopen_note(request, newer);
    if (!reopen_later(node, request, KVORUM_UNAVAILABLE))
        list_fail(node, request, KVORUM_UNAVAILABLE,
                  "cannot list: the cluster has just changed; retry");
}

static void take_answer(struct node *node, struct request *request, const Peer__ListAnswer *answer)
{
    struct page page = { .kind = request->listing->kind, .counted = answer->count };
    page.names = arena_allocate(&node->scratch, (answer->n_names + 1) * sizeof(*page.names));
    page.next = protobuf_bytes(answer->next);
    page.generations = answer->generations;
    if (answer->n_generations == 0)
        page.generations =
            arena_allocate_zero(&node->scratch, (answer->n_names + 1) * sizeof(*page.generations));
    if (page.generations == NULL)
        page.names = NULL;
    for (size_t i = 0; page.names != NULL && i < answer->n_names; i++)
        page.names[page.count++] = protobuf_bytes(answer->names[i]);
    list_take_page(node, request, &page);
}

void list_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_LIST);
    if (request == NULL || !is_awaited(request, from))
        return;
    Peer__ListAnswer *answer = node_unpack(node, &peer__list_answer__descriptor, message->body);
    if (answer != NULL && answer->page != request->listing->page)
        return;
    switch (answer_status(answer)) {
    case KVORUM_OK:
        take_answer(node, request, answer);
        list_pump(node, message->request_id);
        break;
    case KVORUM_WRONG_EPOCH:
        wait_for_epoch(node, request, message->epoch);
        break;
    case KVORUM_DROPPED:
        list_fail(node, request, KVORUM_UNAVAILABLE, drop_retry_reason);
        break;
    default:
        if (reassign(node, request, from.member))
            list_pump(node, message->request_id);
        break;
    }
}

void list_on_lost(struct node *node, struct request *request, uint16_t member)
{
    uint64_t id = request->id;
    if (request->listing->waiting && request->listing->coverage.to.member == member &&
        reassign(node, request, member))
        list_pump(node, id);
}

void list_reopen(struct node *node, struct request *request)
{
    list_pump(node, request->id);
}
