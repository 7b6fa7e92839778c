/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for streams that go out.  A source keeps nothing of a stream: each page is read anew behind
 * the cursor that came with the question, in a job, after this member has the move's epoch on its
 * disk.
 *
 * Of the objects only those travel that the receiver must have: a bucket with fewer copies than the
 * table has columns may not be concerned by this move at all. */
#include "base/planted.h"
#include "cluster/handoff/streams.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/collect/collect.h"
#include "node/handoff/handoff.h"
#include "node/internal.h"
#include "node/scrub/scrub.h"

struct page_read {
    struct reading reading; /* first */
    struct engine *store;
    uint32_t partition;
    struct bytes lower, upper;
    struct buffer entries; /* key sized, encoding sized */
    struct bytes next;     /* the key to go on from; empty: nothing follows */

    struct net_address to;
    uint64_t request_id, session, fence; /* promised when the reading began */
    uint32_t page;
    struct transfer_totals totals; /* that the receiver has */
};

/* --- reading --------------------------------------------------------------------------------- */

static void page_drop(struct reading *reading)
{
    buffer_done(&((struct page_read *)reading)->entries);
}

static kvorum_status page_read(struct reading *reading, bool nowait)
{
    struct page_read *page = (struct page_read *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = page->lower, .upper = page->upper };
    struct engine_iterator *iterator;
    uint32_t keys = 0;
    buffer_reset(&page->entries);
    page->next = (struct bytes){ 0 };
    kvorum_status status = engine_iterate_at(page->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    for (; iterator->valid; engine_iterator_next(iterator)) {
        bool full = page->entries.size >= HANDOFF_PAGE_SIZE || keys++ >= HANDOFF_PAGE_KEYS;
        if (full && !arena_copy(&reading->arena, iterator->key, &page->next))
            status = KVORUM_NO_MEMORY;
        if (full)
            break;
        write_sized(&page->entries, iterator->key);
        write_sized(&page->entries, iterator->value);
    }
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status == KVORUM_OK && page->entries.failed ? KVORUM_NO_MEMORY : status;
}

/* --- answering ------------------------------------------------------------------------------- */

static void send_page(struct node *node, struct net_address to, uint64_t request_id,
                      Peer__StreamAnswer *answer, struct bytes tail)
{
    node_send(node, to, MESSAGE_STREAM_ANSWER, request_id, node_pack(node, &answer->base), tail);
}

static void refuse(struct node *node, struct net_address to, const struct message *message,
                   uint32_t page, kvorum_status status)
{
    Peer__StreamAnswer answer = PEER__STREAM_ANSWER__INIT;
    answer.page = page;
    answer.status = status;
    send_page(node, to, message->request_id, &answer, (struct bytes){ 0 });
}

/* Keys of a bucket stand together, so its n is looked up once. */
struct filter {
    struct node *node;
    const struct move *move;
    uint16_t receiver;
    struct bytes type, bucket;
    uint64_t generation;
    bool wanted;
};

static bool is_wanted(struct filter *filter, const struct key_address *address)
{
    if (filter->bucket.data != NULL && filter->generation == address->generation &&
        bytes_equal(filter->type, address->type) && bytes_equal(filter->bucket, address->bucket))
        return filter->wanted;
    struct bucket_properties properties;
    property_table_get(filter->node, address->type, address->bucket, &properties);
    uint8_t columns = filter->node->config.epoch->replica_count;
    uint8_t n = properties.levels.n < columns ? (uint8_t)properties.levels.n : columns;
    filter->type = address->type;
    filter->bucket = address->bucket;
    filter->generation = address->generation;
    filter->wanted = address->generation >= properties.generation &&
                     handoff_needs(filter->node->config.epoch, filter->move, filter->receiver, n);
    return filter->wanted;
}

/* Entries that the receiver must have, to the front of `entries`; what follows them is cut. */
static void keep_wanted(struct filter *filter, struct buffer *entries,
                        struct transfer_totals *totals)
{
    struct reader reader = reader_of(buffer_bytes(entries));
    uint8_t *to = entries->data;
    while (reader.rest.size > 0) {
        const uint8_t *entry = reader.rest.data;
        struct key_address address;
        struct bytes key = read_sized(&reader, ENGINE_KEY_SIZE_MAX);
        struct bytes encoding = read_sized(&reader, ENGINE_VALUE_SIZE_MAX);
        size_t size = reader.failed ? 0 : (size_t)(reader.rest.data - entry);
        assert(!reader.failed); /* written by page_read */
        if (!store_key_parse(key, &address) || !is_wanted(filter, &address))
            continue;
        transfer_count(totals, key, encoding);
        bool moves = to != entry;
        if (moves) {
            memmove(to, entry, size);
            filter->bucket = (struct bytes){ 0 }; /* it pointed to where others are now */
        }
        to += size;
    }
    entries->size = (size_t)(to - entries->data);
}

static void page_done(struct node *node, struct reading *reading)
{
    struct page_read *page = (struct page_read *)reading;
    const struct move *move = ring_move_of(node->config.epoch, page->partition);
    Peer__StreamAnswer answer = PEER__STREAM_ANSWER__INIT;
    node->handoff->page_count--;
    answer.page = page->page;
    answer.status = reading->status;
    if (move == NULL || move->session != page->session)
        answer.status = KVORUM_CONFLICT; /* over while we read */
    if (answer.status == KVORUM_OK) {
        struct filter filter = { .node = node, .move = move, .receiver = page->to.member };
        struct transfer_totals totals = page->totals;
        keep_wanted(&filter, &page->entries, &totals);
        answer.next = protobuf_data(page->next);
        answer.last = page->next.size == 0;
        answer.fence = page->fence;
        answer.collected = collect_committed(node, page->partition);
        answer.stamp = collect_stamp_floor(node, page->partition);
        answer.keys = totals.keys;
        answer.size = totals.size;
        answer.sum = totals.sum;
    } else
        buffer_reset(&page->entries);
    send_page(node, page->to, page->request_id, &answer, buffer_bytes(&page->entries));
    reading_close(reading);
}

/* --- questions ------------------------------------------------------------------------------- */

static bool range_of(struct arena *arena, uint32_t partition, struct bytes after,
                     struct page_read *ret)
{
    if (!store_key_range(arena, partition, &ret->lower, &ret->upper))
        return false;
    if (after.size == 0)
        return true;
    bool inside = bytes_compare(after, ret->lower) >= 0 && bytes_compare(after, ret->upper) < 0;
    return inside && arena_copy(arena, after, &ret->lower);
}

static bool page_start(struct node *node, struct net_address from, const struct message *message,
                       const Peer__Stream *stream)
{
    struct reading *reading = reading_open(sizeof(struct page_read));
    struct page_read *page = (struct page_read *)reading;
    if (reading == NULL)
        return false;
    buffer_init(&page->entries, ENGINE_VALUE_SIZE_MAX);
    reading->read = page_read;
    reading->done = page_done;
    reading->drop = page_drop;
    if (!range_of(&reading->arena, stream->partition, protobuf_bytes(stream->after), page)) {
        reading_close(reading);
        return false;
    }
    page->store = placement_store(node, stream->partition);
    page->partition = stream->partition;
    page->to = from;
    page->request_id = message->request_id;
    page->session = stream->session;
    page->page = stream->page;
    page->fence = collect_promised(node, stream->partition);
    page->totals = (struct transfer_totals){ stream->keys, stream->size, stream->sum };
    node->handoff->page_count++;
    reading_begin(node, reading);
    return true;
}

/* The fence: whoever knows the session has its epoch on disk, since no shard adopts one before. */
static kvorum_status may_stream(struct node *node, const Peer__Stream *stream)
{
    const struct epoch *epoch = node->config.epoch;
    if (!handoff_session_open(epoch, stream->partition, stream->session))
        return stream->session > epoch->number ? KVORUM_NOT_READY : KVORUM_CONFLICT;
    if (handoff_place(epoch, stream->partition, node->config.self) == 0)
        return KVORUM_INVALID;
    return node->ready && !scrub_doubts_partition(node, stream->partition) &&
                   node->handoff->page_count < HANDOFF_PAGES_MAX
               ? KVORUM_OK
               : KVORUM_NOT_READY;
}

void handoff_on_stream(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Stream *stream = node_unpack(node, &peer__stream__descriptor, message->body);
    if (stream == NULL || stream->partition >= node->config.epoch->partition_count ||
        placement_store(node, stream->partition) == NULL) {
        node->counters.messages_bad++;
        return;
    }
    kvorum_status status = may_stream(node, stream);
    if (status == KVORUM_OK && !page_start(node, from, message, stream))
        status = KVORUM_INVALID;
    if (status != KVORUM_OK)
        refuse(node, from, message, stream->page, status);
}
