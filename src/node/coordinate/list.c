/* SPDX-License-Identifier: Apache-2.0 */
/* A client's listing: it begins, hands over pages as they come, and ends. */
#include "node/coordinate/list_internal.h"

#include "base/hash.h"
#include "node/buckets/drop.h"

enum {
    BUCKETS_MAX = 100000,
    LIST_TIMEOUT_US = 60 * 1000 * 1000,
};

struct seen_name {
    struct map_item item;
};

const char list_no_owner[] =
    "cannot list: no owner of some partitions can be reached. Next: kvorum status";

static void listing_free(struct listing *listing)
{
    struct map_item *item;
    while ((item = map_any(&listing->seen)) != NULL) {
        map_remove(&listing->seen, item->key);
        free(LIST_ENTRY(item, struct seen_name, item));
    }
    map_done(&listing->seen);
    coverage_done(&listing->coverage);
    listing->on_page = NULL;
}

void list_cancel(struct node *node, struct request *request)
{
    listing_free(request->listing);
    request_close(node, request);
}

/* --- to the client --------------------------------------------------------------------------- */

/* Hand a page to the client.  It may cancel the listing from inside: find it again afterwards. */
void list_deliver(struct node *node, struct request *request, struct list_page *page)
{
    struct listing *listing = request->listing;
    page->counted = listing->counted;
    listing->wanted = false;
    if (page->last) {
        node_list_fn on_page = listing->on_page;
        void *context = listing->context;
        list_cancel(node, request);
        on_page(context, page);
        return;
    }
    uint64_t id = request->id;
    listing->delivering = true;
    listing->on_page(listing->context, page);
    request = request_find(node, id, REQUEST_LIST);
    if (request != NULL)
        request->listing->delivering = false;
}

void list_fail(struct node *node, struct request *request, kvorum_status status, const char *reason)
{
    struct list_page page = { .status = status, .reason = reason, .last = true };
    list_deliver(node, request, &page);
}

/* Names found in the generation in force, or in a later one that we have not heard of. */
static uint32_t keep_current(struct node *node, const struct listing *listing, struct page *page)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < page->count; i++)
        if (page->generations[i] >= drop_generation(node, listing->type, page->names[i]))
            page->names[kept++] = page->names[i];
    return kept;
}

/* A bucket lives in many partitions: keep the names not delivered yet. */
static uint32_t keep_unseen(struct listing *listing, struct bytes *names, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = hash64(names[i], 1);
        if (map_find(&listing->seen, key) != NULL)
            continue;
        struct seen_name *seen =
            listing->seen_count < BUCKETS_MAX ? calloc(1, sizeof(*seen)) : NULL;
        if (seen != NULL && map_insert(&listing->seen, &seen->item, key))
            listing->seen_count++;
        else
            free(seen);
        names[kept++] = names[i];
    }
    return kept;
}

void list_take_page(struct node *node, struct request *request, struct page *page)
{
    struct listing *listing = request->listing;
    listing->waiting = false;
    listing->counted += page->counted;
    coverage_advance(&listing->coverage, page->next);
    uint32_t count = page->count;
    if (listing->kind == LIST_BUCKETS)
        count = keep_unseen(listing, page->names, keep_current(node, listing, page));
    if (count > 0) {
        struct list_page out = { .reason = "", .names = page->names, .count = count };
        list_deliver(node, request, &out);
    }
}

uint8_t list_bucket_n(struct node *node, const struct listing *listing)
{
    struct bucket_properties properties;
    property_table_get(node, listing->type, listing->bucket, &properties);
    uint32_t members = node->config.epoch->member_count;
    return (uint8_t)(properties.levels.n < members ? properties.levels.n : members);
}

/* --- beginning ------------------------------------------------------------------------------- */

/* NULL: nothing is against it. */
static const char *problem(struct node *node, enum list_kind kind, struct bytes type,
                           struct bytes bucket, kvorum_status *ret_status)
{
    *ret_status = KVORUM_GONE;
    if (node->left_epoch != 0)
        return left_reason(node);
    *ret_status = KVORUM_NOT_READY;
    if (!node->ready)
        return "this node is still starting";
    *ret_status = KVORUM_INVALID;
    if (bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX ||
        (kind != LIST_BUCKETS && bucket.size == 0))
        return "bucket name: empty or too long";
    return NULL;
}

static struct listing *listing_open(struct node *node, struct arena *arena, enum list_kind kind,
                                    struct bytes type, struct bytes bucket)
{
    struct listing *listing = arena_new(arena, struct listing);
    if (listing == NULL)
        return NULL;
    listing->kind = kind;
    map_init(&listing->seen);
    bool fine =
        coverage_init(node, arena, &listing->coverage) && arena_copy(arena, type, &listing->type) &&
        arena_copy(arena, kind == LIST_BUCKETS ? (struct bytes){ 0 } : bucket, &listing->bucket);
    return fine ? listing : NULL;
}

/* NULL: no memory. */
static struct request *open_request(struct node *node, enum list_kind kind, struct bytes type,
                                    struct bytes bucket, uint64_t timeout_us)
{
    struct request *request = request_open(node, REQUEST_LIST);
    if (request == NULL)
        return NULL;
    struct listing *listing = listing_open(node, &request->arena, kind, type, bucket);
    if (listing == NULL || !request_register(node, request, node->now_us + timeout_us)) {
        request_close(node, request);
        return NULL;
    }
    request->listing = listing;
    request->deadline_us = UINT64_MAX; /* its timer knows: each page moves it */
    request->answered = true;          /* pages, not answers */
    listing->timeout_us = timeout_us;
    listing->wanted = true;
    return request;
}

static uint64_t refuse_list(node_list_fn on_page, void *context, kvorum_status status,
                            const char *reason)
{
    struct list_page page = { .status = status, .reason = reason, .last = true };
    on_page(context, &page);
    return 0;
}

static uint64_t begin(struct node *node, enum list_kind kind, struct bytes type,
                      struct bytes bucket, uint32_t timeout_ms, node_list_fn on_page, void *context)
{
    kvorum_status status;
    const char *reason = problem(node, kind, type, bucket, &status);
    if (reason != NULL)
        return refuse_list(on_page, context, status, reason);
    node->counters.lists++;
    uint64_t timeout_us = timeout_ms > 0 ? timeout_ms * 1000ull : LIST_TIMEOUT_US;
    struct request *request = open_request(
        node, kind, type.size == 0 ? BYTES_LITERAL("default") : type, bucket, timeout_us);
    if (request == NULL)
        return refuse_list(on_page, context, KVORUM_NO_MEMORY, "out of memory");
    struct listing *listing = request->listing;
    uint64_t id = request->id;
    listing->on_page = on_page;
    listing->context = context;
    if (coverage_assign(node, &listing->coverage, list_bucket_n(node, listing)))
        list_pump(node, id);
    else
        list_fail(node, request, KVORUM_UNAVAILABLE, list_no_owner);
    return request_find(node, id, REQUEST_LIST) == NULL ? 0 : id;
}

uint64_t node_list(struct node *node, enum list_kind kind, struct bytes type, struct bytes bucket,
                   uint32_t timeout_ms, node_list_fn on_page, void *context)
{
    node_enter(node);
    uint64_t id = begin(node, kind, type, bucket, timeout_ms, on_page, context);
    node_leave(node);
    return id;
}

void node_list_next(struct node *node, uint64_t id)
{
    struct request *request = request_find(node, id, REQUEST_LIST);
    if (request == NULL || request->listing->wanted)
        return;
    node_enter(node);
    request->listing->wanted = true;
    request_postpone(node, request, node->now_us + request->listing->timeout_us);
    if (!request->listing->delivering)
        list_pump(node, id);
    node_leave(node);
}

/* --- events --------------------------------------------------------------------------------- */

void list_on_deadline(struct node *node, struct request *request)
{
    list_fail(node, request, KVORUM_TIMEOUT, "timeout");
}
