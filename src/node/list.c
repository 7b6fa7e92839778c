/* SPDX-License-Identifier: Apache-2.0 */
/* Listing keys and buckets: each partition is asked of one live owner, owners one after another, a
 * page at a time, so that nothing grows with the size of a bucket.
 *
 * A cursor is the store key at which to go on.  Keys of a partition are in the same order
 * everywhere, so when a member fails in the middle of a partition another owner continues from the
 * same cursor. */
#include "base/hash.h"
#include "codec/protobuf.h"
#include "node/drop.h"
#include "node/internal.h"
#include "node/scrub.h"

enum {
    PAGE_ENTRIES = 1000,
    PAGE_SIZE = 256 * 1024,
    COUNT_ENTRIES = 20000,
    BUCKETS_MAX = 100000,
    LIST_TIMEOUT_US = 60 * 1000 * 1000,
};

struct listing {
    enum list_kind kind;
    struct bytes type, bucket;
    node_list_fn on_page;
    void *context;
    uint64_t timeout_us;
    uint16_t *members; /* by partition: who is asked; RING_NO_MEMBER: done */
    bool *failed;      /* by member */
    uint32_t *group;   /* partitions of the page being asked for, ascending */
    uint32_t group_count;
    struct net_address to;
    struct buffer cursor; /* empty: from the start of the group */
    bool wanted, waiting, delivering;
    uint32_t page; /* of the question under way */
    uint64_t counted;
    struct map seen; /* LIST_BUCKETS: names already delivered */
    uint32_t seen_count;
};

struct seen_name {
    struct map_item item;
};

/* --- one replica's page --------------------------------------------------------------------- */

struct page {
    struct arena *arena; /* of the names */
    enum list_kind kind;
    struct object_mode mode; /* of the bucket, where there is one */
    uint64_t now_ms;         /* wall clock */
    uint32_t limit;
    struct bytes *names;
    uint64_t *generations; /* LIST_BUCKETS: in which each name was found */
    uint32_t count;
    size_t size;
    uint64_t counted;
    struct bytes next; /* empty: nothing follows */
};

static struct bytes range_prefix(struct arena *arena, uint32_t partition, struct bytes type,
                                 struct bytes bucket, uint64_t generation)
{
    struct key_address address = { type, bucket, { 0 }, partition, generation };
    struct bytes prefix = store_key(arena, &address);
    if (prefix.data != NULL && bucket.size == 0)
        prefix.size -= 2; /* all buckets: without the size of the name */
    return prefix;
}

/* A reader would be shown a value.  When buckets are listed, each has a mode of its own, which a
 * job cannot ask for: there a value counts that a reader of some mode would be shown. */
static bool is_live(const struct page *page, struct arena *temporary, struct bytes encoding)
{
    struct object object;
    arena_reset(temporary);
    if (object_decode(encoding, temporary, &object) != KVORUM_OK ||
        object_expire(&object, page->now_ms, temporary, &object) != KVORUM_OK ||
        object_is_deleted(&object))
        return false;
    if (page->kind == LIST_BUCKETS || object.sibling_count <= 1)
        return true;
    return object_show(&object, page->mode, temporary, &object) == KVORUM_OK &&
           !object_is_deleted(&object);
}

static bool page_full(const struct page *page)
{
    return page->counted + page->count >= page->limit || page->size >= PAGE_SIZE;
}

static bool page_add(struct page *page, struct bytes name, uint64_t generation)
{
    if (page->kind == LIST_COUNT) {
        page->counted++;
        return true;
    }
    page->size += name.size + 8;
    page->generations[page->count] = generation;
    return arena_copy(page->arena, name, &page->names[page->count++]);
}

/* Where to go on after `key`: the next key, or the end of its bucket when buckets are listed. */
static struct bytes after(struct arena *arena, enum list_kind kind, struct bytes key)
{
    struct key_address address;
    if (kind == LIST_BUCKETS && store_key_parse(key, &address))
        return store_key_end(arena, range_prefix(arena, address.partition, address.type,
                                                 address.bucket, address.generation));
    uint8_t *data = arena_allocate(arena, key.size + 1);
    if (data == NULL)
        return (struct bytes){ 0 };
    memcpy(data, key.data, key.size);
    data[key.size] = 0;
    return bytes_make(data, key.size + 1);
}

/* Take what the iterator stands on, and move it on. */
static kvorum_status scan_entry(struct engine_iterator *iterator, struct arena *temporary,
                                struct page *page)
{
    struct key_address address;
    if (!store_key_parse(iterator->key, &address) || !is_live(page, temporary, iterator->value)) {
        engine_iterator_next(iterator);
        return KVORUM_OK;
    }
    struct bytes name = page->kind == LIST_BUCKETS ? address.bucket : address.key;
    struct bytes next = { 0 };
    bool kept = page_add(page, name, address.generation), full = page_full(page);
    if (page->kind == LIST_BUCKETS || full)
        next = after(page->arena, page->kind, iterator->key);
    if (!kept || (full && next.data == NULL))
        return KVORUM_NO_MEMORY;
    if (full)
        page->next = next;
    if (page->kind == LIST_BUCKETS)
        engine_iterator_seek(iterator, next);
    else
        engine_iterator_next(iterator);
    return KVORUM_OK;
}

static kvorum_status scan_range(struct engine *store, const struct engine_range *range, bool nowait,
                                struct page *page)
{
    const struct engine_read how = { .nowait = nowait };
    struct engine_iterator *iterator;
    struct arena temporary;
    kvorum_status status = engine_iterate_at(store, range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    arena_init(&temporary, SCRATCH_LIMIT);
    engine_iterator_first(iterator);
    while (iterator->valid && status == KVORUM_OK && page->next.size == 0)
        status = scan_entry(iterator, &temporary, page);
    if (status == KVORUM_OK)
        status = iterator->error;
    arena_done(&temporary);
    engine_iterator_close(iterator);
    return status;
}

/* The page behind `cursor` in `partitions` (ascending); those before the cursor's are done. */
struct scan {
    struct reading reading; /* first */
    struct page page;
    struct bytes type, bucket, cursor;
    uint64_t generation; /* of the bucket */
    const uint32_t *partitions;
    struct engine **stores; /* of each of them */
    size_t count;

    /* who asked: another shard, or a listing here */
    bool local;
    struct net_address from;
    uint64_t request_id;
    uint32_t question; /* the listing's number of it */
};

static kvorum_status scan_partition(struct scan *scan, size_t index, bool nowait)
{
    struct arena *arena = &scan->reading.arena;
    struct bytes prefix =
        range_prefix(arena, scan->partitions[index], scan->type, scan->bucket, scan->generation);
    struct bytes cursor = scan->cursor;
    if (prefix.data == NULL)
        return KVORUM_NO_MEMORY;
    struct engine_range range = { .lower = prefix, .upper = store_key_end(arena, prefix) };
    if (cursor.size > 0 && bytes_compare(cursor, prefix) > 0 && cursor.size >= 3 &&
        memcmp(cursor.data, prefix.data, 3) == 0)
        range.lower = cursor;
    if (range.upper.data == NULL)
        return KVORUM_NO_MEMORY;
    return scan_range(scan->stores[index], &range, nowait, &scan->page);
}

static kvorum_status scan_page(struct reading *reading, bool nowait)
{
    struct scan *scan = (struct scan *)reading;
    struct page *page = &scan->page;
    struct bytes cursor = scan->cursor;
    uint32_t from = cursor.size >= 3 ? (uint32_t)cursor.data[1] << 8 | cursor.data[2] : 0;
    *page = (struct page){
        .arena = &reading->arena, .kind = page->kind, .mode = page->mode, .now_ms = page->now_ms
    };
    page->limit = page->kind == LIST_COUNT ? COUNT_ENTRIES : PAGE_ENTRIES;
    page->names = arena_allocate(&reading->arena, (PAGE_ENTRIES + 1) * sizeof(*page->names));
    page->generations =
        arena_allocate(&reading->arena, (PAGE_ENTRIES + 1) * sizeof(*page->generations));
    if (page->names == NULL || page->generations == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < scan->count && status == KVORUM_OK && page->next.size == 0; i++)
        if (scan->partitions[i] >= from)
            status = scan_partition(scan, i, nowait);
    return status;
}

static void scan_done(struct node *node, struct reading *reading);

/* All is copied.  NULL: no memory. */
static struct scan *scan_open(struct node *node, enum list_kind kind, struct bytes type,
                              struct bytes bucket, struct bytes cursor, const uint32_t *partitions,
                              size_t count)
{
    struct reading *reading = reading_open(sizeof(struct scan));
    struct scan *scan = (struct scan *)reading;
    if (scan == NULL)
        return NULL;
    struct arena *arena = &reading->arena;
    struct bytes all = bytes_make(partitions, count * sizeof(*partitions)), kept;
    reading->read = scan_page;
    reading->done = scan_done;
    scan->page.kind = kind;
    scan->page.now_ms = clock_wall_ms(node->config.clock);
    struct bucket_properties properties;
    property_table_mode(node, type, bucket, &properties, &scan->page.mode);
    scan->generation = properties.generation;
    scan->count = count;
    scan->stores = arena_allocate(arena, (count + 1) * sizeof(struct engine *));
    if (scan->stores == NULL || !arena_copy(arena, all, &kept) ||
        !arena_copy(arena, type, &scan->type) || !arena_copy(arena, bucket, &scan->bucket) ||
        !arena_copy(arena, cursor, &scan->cursor)) {
        reading_close(reading);
        return NULL;
    }
    scan->partitions = (const uint32_t *)(const void *)kept.data;
    for (size_t i = 0; i < count; i++)
        scan->stores[i] = placement_store(node, partitions[i]);
    return scan;
}

/* Only partitions that this shard has. */
static bool scan_is_ours(struct node *node, const uint32_t *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (partitions[i] >= node->config.epoch->partition_count ||
            placement_store(node, partitions[i]) == NULL ||
            scrub_doubts_partition(node, partitions[i]))
            return false;
    return true;
}

static enum list_kind message_kind(const Peer__List *list)
{
    if (list->buckets)
        return LIST_BUCKETS;
    return list->count_only ? LIST_COUNT : LIST_KEYS;
}

static void send_page(struct node *node, struct net_address to, uint64_t request_id,
                      uint32_t question, kvorum_status status, const struct page *page)
{
    Peer__ListAnswer answer = PEER__LIST_ANSWER__INIT;
    ProtobufCBinaryData *names = arena_allocate(&node->scratch, (page->count + 1) * sizeof(*names));
    if (names == NULL)
        return;
    for (uint32_t i = 0; i < page->count; i++)
        names[i] = protobuf_data(page->names[i]);
    answer.status = status;
    answer.names = names;
    answer.n_names = page->count;
    answer.count = page->counted;
    answer.next = protobuf_data(page->next);
    answer.page = question;
    uint64_t dropped = 0;
    for (uint32_t i = 0; page->kind == LIST_BUCKETS && i < page->count; i++)
        dropped |= page->generations[i];
    if (dropped != 0) {
        answer.generations = page->generations;
        answer.n_generations = page->count;
    }
    node_send(node, to, MESSAGE_LIST_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

void list_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__List *list = node_unpack(node, &peer__list__descriptor, message->body);
    if (list == NULL || list->bucket.len > NODE_BUCKET_SIZE_MAX ||
        list->type.len > NODE_TYPE_SIZE_MAX) {
        node->counters.messages_bad++;
        return;
    }
    const struct key_address listed = { .type = protobuf_bytes(list->type),
                                        .bucket = protobuf_bytes(list->bucket),
                                        .generation = list->generation };
    kvorum_status status = KVORUM_INVALID;
    struct scan *scan = NULL;
    if (!list->buckets && drop_refuses(node, from, &listed))
        status = KVORUM_DROPPED;
    else if (scan_is_ours(node, list->partitions, list->n_partitions)) {
        scan = scan_open(node, message_kind(list), protobuf_bytes(list->type),
                         protobuf_bytes(list->bucket), protobuf_bytes(list->after),
                         list->partitions, list->n_partitions);
        status = KVORUM_NO_MEMORY;
    }
    if (scan == NULL) {
        const struct page none = { 0 };
        send_page(node, from, message->request_id, list->page, status, &none);
        return;
    }
    scan->from = from;
    scan->request_id = message->request_id;
    scan->question = list->page;
    reading_start(node, &scan->reading);
}

/* --- the coordinator ------------------------------------------------------------------------ */

static void listing_free(struct listing *listing)
{
    struct map_item *item;
    while ((item = map_any(&listing->seen)) != NULL) {
        map_remove(&listing->seen, item->key);
        free(LIST_ENTRY(item, struct seen_name, item));
    }
    map_done(&listing->seen);
    buffer_done(&listing->cursor);
    listing->on_page = NULL;
}

void list_cancel(struct node *node, struct request *request)
{
    listing_free(request->listing);
    request_close(node, request);
}

/* First reachable owner of `partition` that has not failed this listing; ourselves if we are
 * one. */
static uint16_t choose_member(struct node *node, const struct listing *listing, uint32_t partition,
                              uint8_t n)
{
    uint16_t members[TARGETS_MAX], chosen = RING_NO_MEMBER;
    const struct epoch *epoch = node->config.epoch;
    const uint16_t *row = ring_read_row(epoch, partition);
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t count = ring_preference_of_row(epoch, partition, row, members, n < limit ? n : limit);
    for (uint16_t i = count; i-- > 0;) {
        uint16_t member = members[i];
        if (listing->failed[member] || !placement_reachable(node, member))
            continue;
        if (chosen != node->config.self)
            chosen = member;
    }
    return chosen;
}

static uint8_t bucket_n(struct node *node, const struct listing *listing)
{
    struct bucket_properties properties;
    property_table_get(node, listing->type, listing->bucket, &properties);
    uint32_t members = node->config.epoch->member_count;
    return (uint8_t)(properties.levels.n < members ? properties.levels.n : members);
}

/* False when some partition has no owner left to ask. */
static bool assign(struct node *node, struct listing *listing, uint16_t lost)
{
    uint8_t n = bucket_n(node, listing);
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++) {
        bool open = lost == RING_NO_MEMBER || listing->members[p] == lost;
        if (open)
            listing->members[p] = choose_member(node, listing, p, n);
        if (open && listing->members[p] == RING_NO_MEMBER)
            return false;
    }
    return true;
}

static uint32_t cursor_partition(const struct listing *listing)
{
    const uint8_t *data = listing->cursor.data;
    return (uint32_t)data[1] << 8 | data[2];
}

/* The partitions to ask for next and whom; false when all are done.  In the middle of a partition
 * it is that one, and those behind it that the same shard has. */
static bool next_group(struct node *node, struct listing *listing)
{
    uint32_t from = listing->cursor.size > 0 ? cursor_partition(listing) : 0;
    listing->group_count = 0;
    for (uint32_t p = from; p < node->config.epoch->partition_count; p++) {
        uint16_t member = listing->members[p];
        if (member == RING_NO_MEMBER)
            continue;
        struct net_address address = placement_of(node, member, p);
        if (listing->group_count == 0)
            listing->to = address;
        if (address.member == listing->to.member && address.shard == listing->to.shard)
            listing->group[listing->group_count++] = p;
    }
    return listing->group_count > 0;
}

static void advance(struct listing *listing, struct bytes next)
{
    buffer_reset(&listing->cursor);
    buffer_append_bytes(&listing->cursor, next);
    uint32_t limit = next.size >= 3 ? cursor_partition(listing) : UINT32_MAX;
    for (uint32_t i = 0; i < listing->group_count; i++)
        if (listing->group[i] < limit)
            listing->members[listing->group[i]] = RING_NO_MEMBER;
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

/* Hand a page to the client.  It may cancel the listing from inside: find it again afterwards. */
static void deliver(struct node *node, struct request *request, struct list_page *page)
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

static void fail(struct node *node, struct request *request, kvorum_status status,
                 const char *reason)
{
    struct list_page page = { .status = status, .reason = reason, .last = true };
    deliver(node, request, &page);
}

static void take_page(struct node *node, struct request *request, struct page *page)
{
    struct listing *listing = request->listing;
    listing->waiting = false;
    listing->counted += page->counted;
    advance(listing, page->next);
    uint32_t count = page->count;
    if (listing->kind == LIST_BUCKETS)
        count = keep_unseen(listing, page->names, keep_current(node, listing, page));
    if (count > 0) {
        struct list_page out = { .reason = "", .names = page->names, .count = count };
        deliver(node, request, &out);
    }
}

static bool ask_remote(struct node *node, struct request *request)
{
    struct listing *listing = request->listing;
    Peer__List list = PEER__LIST__INIT;
    list.type = protobuf_data(listing->type);
    list.bucket = protobuf_data(listing->bucket);
    list.generation = drop_generation(node, listing->type, listing->bucket);
    list.buckets = listing->kind == LIST_BUCKETS;
    list.count_only = listing->kind == LIST_COUNT;
    list.partitions = listing->group;
    list.n_partitions = listing->group_count;
    list.after = protobuf_data(buffer_bytes(&listing->cursor));
    list.page = ++listing->page;
    return node_send(node, listing->to, MESSAGE_LIST, request->id, node_pack(node, &list.base),
                     (struct bytes){ 0 });
}

/* Ask somebody else for what `member` still owed; false when the listing ended. */
static bool reassign(struct node *node, struct request *request, uint16_t member)
{
    struct listing *listing = request->listing;
    listing->failed[member] = true;
    listing->waiting = false;
    if (assign(node, listing, member))
        return true;
    fail(node, request, KVORUM_UNAVAILABLE,
         "cannot list: no owner of some partitions can be reached. Next: kvorum status");
    return false;
}

/* Of the question that is still waiting. */
static void take_scan(struct node *node, const struct scan *scan, struct page *page)
{
    struct request *request = request_find(node, scan->request_id, REQUEST_LIST);
    if (request == NULL || !request->listing->waiting || request->listing->page != scan->question)
        return;
    if (scan->reading.status == KVORUM_OK)
        take_page(node, request, page);
    else
        reassign(node, request, node->config.self);
}

static void pump(struct node *node, uint64_t id);

static void scan_done(struct node *node, struct reading *reading)
{
    struct scan *scan = (struct scan *)reading;
    struct page none = { 0 };
    struct page *page = reading->status == KVORUM_OK ? &scan->page : &none;
    bool local = scan->local, late = reading->node != NULL;
    uint64_t id = scan->request_id;
    if (local)
        take_scan(node, scan, page);
    else
        send_page(node, scan->from, id, scan->question, reading->status, page);
    reading_close(reading);
    if (local && late) /* else the pump is what called us */
        pump(node, id);
}

static void ask_local(struct node *node, struct request *request)
{
    struct listing *listing = request->listing;
    struct scan *scan =
        scan_open(node, listing->kind, listing->type, listing->bucket,
                  buffer_bytes(&listing->cursor), listing->group, listing->group_count);
    if (scan == NULL) {
        fail(node, request, KVORUM_NO_MEMORY, "out of memory");
        return;
    }
    scan->local = true;
    scan->request_id = request->id;
    scan->question = ++listing->page;
    reading_start(node, &scan->reading);
}

/* Go on while the client wants more and nothing is under way. */
static void pump(struct node *node, uint64_t id)
{
    struct request *request;
    while ((request = request_find(node, id, REQUEST_LIST)) != NULL) {
        struct listing *listing = request->listing;
        if (!listing->wanted || listing->waiting)
            return;
        if (!next_group(node, listing)) {
            struct list_page last = { .reason = "", .last = true };
            deliver(node, request, &last);
            return;
        }
        bool local =
            listing->to.member == node->config.self && listing->to.shard == node->config.shard;
        listing->waiting = true;
        if (local)
            ask_local(node, request);
        else if (!ask_remote(node, request))
            reassign(node, request, listing->to.member);
    }
}

static struct listing *listing_open(struct node *node, struct request *request, enum list_kind kind,
                                    struct bytes type, struct bytes bucket)
{
    struct arena *arena = &request->arena;
    uint32_t partitions = node->config.epoch->partition_count;
    struct listing *listing = arena_new(arena, struct listing);
    if (listing == NULL)
        return NULL;
    listing->kind = kind;
    listing->members = arena_allocate(arena, partitions * sizeof(*listing->members));
    listing->group = arena_allocate(arena, partitions * sizeof(*listing->group));
    listing->failed = arena_allocate_zero(arena, RING_MEMBERS_MAX); /* newcomers too */
    bool fine = listing->members != NULL && listing->group != NULL && listing->failed != NULL &&
                arena_copy(arena, type, &listing->type) &&
                arena_copy(arena, bucket, &listing->bucket);
    buffer_init(&listing->cursor, ENGINE_KEY_SIZE_MAX + 16);
    map_init(&listing->seen);
    return fine ? listing : NULL;
}

static uint64_t refuse_list(node_list_fn on_page, void *context, kvorum_status status,
                            const char *reason)
{
    struct list_page page = { .status = status, .reason = reason, .last = true };
    on_page(context, &page);
    return 0;
}

uint64_t node_list(struct node *node, enum list_kind kind, struct bytes type, struct bytes bucket,
                   uint32_t timeout_ms, node_list_fn on_page, void *context)
{
    if (!node->ready)
        return refuse_list(on_page, context, KVORUM_NOT_READY, "this node is still starting");
    if (bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX ||
        (kind != LIST_BUCKETS && bucket.size == 0))
        return refuse_list(on_page, context, KVORUM_INVALID, "bucket name: empty or too long");
    node_enter(node);
    node->counters.lists++;
    if (type.size == 0)
        type = BYTES_LITERAL("default");
    if (kind == LIST_BUCKETS)
        bucket = (struct bytes){ 0 };
    struct request *request = request_open(node, REQUEST_LIST);
    struct listing *listing =
        request == NULL ? NULL : listing_open(node, request, kind, type, bucket);
    uint64_t timeout_us = timeout_ms > 0 ? timeout_ms * 1000ull : LIST_TIMEOUT_US, id = 0;
    if (listing == NULL || !request_register(node, request, node->now_us + timeout_us)) {
        if (request != NULL)
            request_close(node, request);
        refuse_list(on_page, context, KVORUM_NO_MEMORY, "out of memory");
    } else {
        id = request->id;
        request->listing = listing;
        request->answered = true; /* pages, not answers */
        listing->on_page = on_page;
        listing->context = context;
        listing->timeout_us = timeout_us;
        listing->wanted = true;
        if (assign(node, listing, RING_NO_MEMBER))
            pump(node, id);
        else
            fail(node, request, KVORUM_UNAVAILABLE,
                 "cannot list: no owner of some partitions can be reached. Next: kvorum status");
        id = request_find(node, id, REQUEST_LIST) == NULL ? 0 : id;
    }
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
        pump(node, id);
    node_leave(node);
}

/* --- events --------------------------------------------------------------------------------- */

void list_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_LIST);
    if (request == NULL || !request->listing->waiting ||
        request->listing->to.member != from.member || request->listing->to.shard != from.shard)
        return;
    Peer__ListAnswer *answer = node_unpack(node, &peer__list_answer__descriptor, message->body);
    if (answer != NULL && answer->page != request->listing->page)
        return;
    bool sane = answer != NULL && answer->status == KVORUM_OK;
    if (sane && answer->n_generations != 0 && answer->n_generations != answer->n_names)
        sane = false;
    if (answer != NULL && answer->status == KVORUM_DROPPED) {
        fail(node, request, KVORUM_UNAVAILABLE, drop_retry_reason);
        return;
    }
    if (!sane) {
        if (reassign(node, request, from.member))
            pump(node, message->request_id);
        return;
    }
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
    take_page(node, request, &page);
    pump(node, message->request_id);
}

void list_on_lost(struct node *node, struct request *request, uint16_t member)
{
    uint64_t id = request->id;
    if (request->listing->waiting && request->listing->to.member == member &&
        reassign(node, request, member))
        pump(node, id);
}

void list_on_deadline(struct node *node, struct request *request)
{
    fail(node, request, KVORUM_TIMEOUT, "timeout");
}
