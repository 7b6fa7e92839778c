/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that come in: cluster/handoff/transfer.h decides, this file asks, merges and saves.
 *
 *      'm' 's' partition u16 place u8  ->  whole u8 | session u64 | keys, size, sum u64 | cursor
 *
 * The record is written behind the merges of its page, in the same store, so it is never safe
 * before they are.  The place is that of the source in the row until now, which stays while the
 * move lasts. */
#include "node/handoff.h"

#include "cluster/handoff/streams.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/collect.h"
#include "node/internal.h"

enum {
    PATIENCE_US = 5 * 1000 * 1000,
    REST_US = 250 * 1000,
    RETRIES_WAITING = 8, /* in vain: then it is said whom a stream waits for */
    RECORD_SIZE_MAX = 64 + ENGINE_KEY_SIZE_MAX,
};

struct inbound {
    struct transfer transfer;
    struct list link; /* handoff->streams */
    uint64_t id;      /* of its request */
    uint32_t partition;
    uint8_t place;
    uint16_t source;
    uint64_t session;
    struct buffer cursor, next; /* where to go on; behind the page under way */
    uint64_t fence;             /* under which the page was read */
    uint32_t merging; /* merges of the page that wait for the disk, and one for the page */
    bool failed;
};

static void step(struct node *node, struct request *request, struct transfer_event event,
                 struct bytes tail);

/* --- the record ------------------------------------------------------------------------------ */

static void read_record(struct inbound *inbound, struct bytes value)
{
    struct reader reader = reader_of(value);
    struct transfer_totals totals = { 0 };
    (void)read_u8(&reader);
    uint64_t session = read_u64(&reader);
    totals.keys = read_u64(&reader);
    totals.size = read_u64(&reader);
    totals.sum = read_u64(&reader);
    if (reader.failed || session != inbound->session)
        return;
    inbound->transfer.totals = totals;
    buffer_append(&inbound->cursor, reader.rest.data, reader.rest.size);
}

static bool load_record(struct node *node, struct inbound *inbound)
{
    struct bytes value,
        key = handoff_stream_key(&node->scratch, inbound->partition, inbound->place);
    if (key.data == NULL)
        return false;
    kvorum_status status =
        engine_get(placement_store(node, inbound->partition), key, &node->scratch, &value);
    if (status == KVORUM_OK)
        read_record(inbound, value);
    return (status == KVORUM_OK || status == KVORUM_NOT_FOUND) && !inbound->cursor.failed;
}

static kvorum_status save(struct node *node, const struct request *request)
{
    const struct inbound *inbound = request->inbound;
    const struct transfer *transfer = &inbound->transfer;
    const struct commit_plan plan = { .kind = COMMIT_STREAM, .request_id = request->id };
    struct bytes key = handoff_stream_key(&node->scratch, inbound->partition, inbound->place);
    struct buffer *record = &node->encoding;
    buffer_reset(record);
    buffer_append_u8(record, transfer->last);
    write_u64(record, inbound->session);
    write_u64(record, transfer->next.keys);
    write_u64(record, transfer->next.size);
    write_u64(record, transfer->next.sum);
    buffer_append(record, inbound->next.data, inbound->next.size);
    if (key.data == NULL || record->failed)
        return KVORUM_NO_MEMORY;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, key, buffer_bytes(record));
    return status == KVORUM_OK ? replica_submit(node, placement_store(node, inbound->partition),
                                                node->batch, ENGINE_SYNC, &plan)
                               : status;
}

void handoff_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    if (plan->kind == COMMIT_TENURE) {
        sweep_on_stored(node, (uint32_t)plan->request_id, status);
        return;
    }
    struct request *request = request_find(node, plan->request_id, REQUEST_STREAM);
    if (request == NULL)
        return;
    if (status == KVORUM_OK) {
        struct inbound *inbound = request->inbound;
        buffer_reset(&inbound->cursor);
        buffer_append(&inbound->cursor, inbound->next.data, inbound->next.size);
    }
    step(node, request,
         (struct transfer_event){ .kind = status == KVORUM_OK ? TRANSFER_SAVED : TRANSFER_FAILED },
         (struct bytes){ 0 });
}

/* --- asking ---------------------------------------------------------------------------------- */

static bool ask(struct node *node, const struct request *request)
{
    const struct inbound *inbound = request->inbound;
    const struct transfer *transfer = &inbound->transfer;
    Peer__Stream stream = PEER__STREAM__INIT;
    stream.session = inbound->session;
    stream.partition = inbound->partition;
    stream.page = transfer->page;
    stream.after = protobuf_data(buffer_bytes(&inbound->cursor));
    stream.keys = transfer->totals.keys;
    stream.size = transfer->totals.size;
    stream.sum = transfer->totals.sum;
    return node_send(node, placement_of(node, inbound->source, inbound->partition), MESSAGE_STREAM,
                     request->id, node_pack(node, &stream.base), (struct bytes){ 0 });
}

/* --- merging --------------------------------------------------------------------------------- */

static void merged(struct node *node, struct request *request)
{
    struct inbound *inbound = request->inbound;
    assert(inbound->merging > 0);
    if (--inbound->merging > 0)
        return;
    step(node, request,
         (struct transfer_event){ .kind = inbound->failed ? TRANSFER_FAILED : TRANSFER_MERGED },
         (struct bytes){ 0 });
}

struct late_entry {
    uint64_t id;
    struct key_address address;
    struct bytes encoding;
    uint64_t fence;
};

static kvorum_status merge_entry(struct node *node, const struct key_address *address,
                                 struct bytes encoding, uint64_t fence)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status =
        replica_merge(node, address, encoding, fence, NULL, false, &nothing, NULL);
    return status == KVORUM_DROPPED ? KVORUM_OK : status; /* the source knows less than we do */
}

static void merge_again(struct node *node, struct fetch *fetch)
{
    const struct late_entry *late = fetch->input;
    struct request *request = request_find(node, late->id, REQUEST_STREAM);
    if (request == NULL)
        return; /* the session is over, and so is what belongs to it */
    if (merge_entry(node, &late->address, late->encoding, late->fence) != KVORUM_OK)
        request->inbound->failed = true;
    merged(node, request);
}

static kvorum_status put_off(struct node *node, struct request *request,
                             const struct key_address *address, struct bytes encoding)
{
    struct fetch *fetch = fetch_open(node, merge_again, sizeof(struct late_entry), encoding.size);
    if (fetch != NULL) {
        struct late_entry *late = fetch->input;
        *late = (struct late_entry){ request->id, *address, encoding, request->inbound->fence };
        if (!address_copy(&fetch->arena, &late->address) ||
            !arena_copy(&fetch->arena, encoding, &late->encoding)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    return replica_wait(node, address, fetch);
}

static bool take_entry(struct reader *reader, uint32_t partition, struct key_address *ret_address,
                       struct bytes *ret_key, struct bytes *ret_encoding)
{
    *ret_key = read_sized(reader, ENGINE_KEY_SIZE_MAX);
    *ret_encoding = read_sized(reader, ENGINE_VALUE_SIZE_MAX);
    return !reader->failed && ret_encoding->size > 0 && store_key_parse(*ret_key, ret_address) &&
           ret_address->partition == partition;
}

static void merge_page(struct node *node, struct request *request, struct bytes tail)
{
    struct inbound *inbound = request->inbound;
    struct reader reader = reader_of(tail);
    inbound->merging = 1;
    inbound->failed = false;
    while (reader.rest.size > 0) {
        struct key_address address;
        struct bytes key, encoding;
        bool fine = take_entry(&reader, inbound->partition, &address, &key, &encoding);
        assert(fine); /* counted before */
        kvorum_status status = merge_entry(node, &address, encoding, inbound->fence);
        if (status == KVORUM_WOULD_BLOCK) {
            status = put_off(node, request, &address, encoding);
            inbound->merging += status == KVORUM_OK;
        }
        inbound->failed |= status != KVORUM_OK;
    }
    merged(node, request);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void arm(struct node *node, struct request *request)
{
    request_postpone(node, request, transfer_due_us(&request->inbound->transfer));
}

static void end(struct node *node, struct request *request)
{
    struct inbound *inbound = request->inbound;
    struct holding *holding = &node->handoff->holdings[inbound->partition];
    if (holding->session == inbound->session) {
        holding->asking &= ~(1u << inbound->place);
        if (inbound->transfer.state == TRANSFER_COMPLETE)
            holding->received |= 1u << inbound->place;
    }
    node->handoff->stream_count--;
    list_remove(&inbound->link);
    buffer_done(&inbound->cursor);
    buffer_done(&inbound->next);
    free(inbound);
    request_close(node, request);
}

static void apply(struct node *node, struct request *request,
                  const struct transfer_effects *effects, struct bytes tail)
{
    if (effects->ask && !ask(node, request))
        step(node, request,
             (struct transfer_event){ .kind = TRANSFER_LATER,
                                      .page = request->inbound->transfer.page },
             (struct bytes){ 0 });
    if (effects->merge)
        merge_page(node, request, tail);
    if (effects->save && save(node, request) != KVORUM_OK)
        step(node, request, (struct transfer_event){ .kind = TRANSFER_FAILED },
             (struct bytes){ 0 });
}

static void step(struct node *node, struct request *request, struct transfer_event event,
                 struct bytes tail)
{
    struct transfer_effects effects;
    event.now_us = node->now_us;
    transfer_step(&request->inbound->transfer, &event, &effects);
    if (effects.ended) {
        bool whole = request->inbound->transfer.state == TRANSFER_COMPLETE;
        node->counters.streams_received += whole;
        end(node, request);
        if (whole) {
            drive_tell(node);
            receive_pump(node);
        }
        return;
    }
    arm(node, request);
    apply(node, request, &effects, tail);
}

/* --- starting -------------------------------------------------------------------------------- */

static struct request *open_stream(struct node *node, struct inbound *inbound)
{
    struct request *request = request_open(node, REQUEST_STREAM);
    if (request == NULL)
        return NULL;
    request->inbound = inbound;
    request->answered = true; /* nobody waits for it */
    if (request_register(node, request, UINT64_MAX))
        return request;
    request_close(node, request);
    return NULL;
}

static void start(struct node *node, const struct move *move, uint8_t place)
{
    struct inbound *inbound = calloc(1, sizeof(*inbound));
    if (inbound == NULL)
        return;
    inbound->partition = move->partition;
    inbound->session = move->session;
    inbound->place = place;
    inbound->source = ring_row(node->config.epoch, move->partition)[place];
    inbound->transfer.throttle = &node->handoff->throttle;
    inbound->transfer.patience_us = PATIENCE_US;
    inbound->transfer.rest_us = REST_US;
    inbound->transfer.page = (uint32_t)random_next(&node->random); /* none of an earlier life */
    inbound->transfer.paused = node->handoff->paused;
    buffer_init(&inbound->cursor, RECORD_SIZE_MAX);
    buffer_init(&inbound->next, RECORD_SIZE_MAX);
    struct request *request = load_record(node, inbound) ? open_stream(node, inbound) : NULL;
    if (request == NULL) {
        buffer_done(&inbound->cursor);
        buffer_done(&inbound->next);
        free(inbound);
        return;
    }
    inbound->id = request->id;
    list_init(&inbound->link);
    list_append(&node->handoff->streams, &inbound->link);
    node->handoff->stream_count++;
    node->handoff->holdings[move->partition].asking |= 1u << place;
    step(node, request, (struct transfer_event){ .kind = TRANSFER_START }, (struct bytes){ 0 });
}

static uint32_t missing(struct node *node, const struct move *move)
{
    const struct holding *holding = &node->handoff->holdings[move->partition];
    if (placement_store(node, move->partition) == NULL || holding->unready ||
        holding->session != move->session || move->phase != MOVE_WRITE_BOTH_READ_OLD)
        return 0;
    return handoff_sources(node->config.epoch, move, node->config.self, 0) & ~holding->received &
           ~holding->asking;
}

void receive_pump(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct handoff *handoff = node->handoff;
    for (uint32_t i = 0; i < epoch->move_count && handoff->stream_count < HANDOFF_STREAMS_MAX;
         i++) {
        const struct move *move = &epoch->moves[i];
        uint32_t places = missing(node, move);
        for (; places != 0 && handoff->stream_count < HANDOFF_STREAMS_MAX; places &= places - 1)
            start(node, move, (uint8_t)__builtin_ctz(places));
    }
}

/* --- events ---------------------------------------------------------------------------------- */

/* What came, counted here; false: it makes no sense. */
static bool count_page(const struct inbound *inbound, struct bytes tail,
                       struct transfer_totals *ret_found)
{
    struct reader reader = reader_of(tail);
    *ret_found = (struct transfer_totals){ 0 };
    while (reader.rest.size > 0) {
        struct key_address address;
        struct bytes key, encoding;
        if (!take_entry(&reader, inbound->partition, &address, &key, &encoding))
            return false;
        transfer_count(ret_found, key, encoding);
    }
    return !reader.failed;
}

static void take_page(struct node *node, struct request *request, const Peer__StreamAnswer *answer,
                      struct bytes tail)
{
    struct inbound *inbound = request->inbound;
    struct transfer_event event = { .kind = TRANSFER_PAGE, .page = answer->page };
    event.last = answer->last;
    event.claimed = (struct transfer_totals){ answer->keys, answer->size, answer->sum };
    bool is_current =
        inbound->transfer.state == TRANSFER_ASKING && answer->page == inbound->transfer.page;
    if (!is_current)
        return;
    if (answer->status != KVORUM_OK || answer->next.len > ENGINE_KEY_SIZE_MAX ||
        (!answer->last && answer->next.len == 0) || !count_page(inbound, tail, &event.found))
        event.kind = TRANSFER_LATER;
    buffer_reset(&inbound->next);
    buffer_append(&inbound->next, answer->next.data, answer->next.len);
    inbound->fence = answer->fence;
    if (event.kind == TRANSFER_PAGE) {
        collect_hear(node, inbound->partition, answer->collected);
        collect_see_stamp(node, inbound->partition, answer->stamp);
    }
    node->counters.stream_keys += event.found.keys;
    node->counters.stream_bytes += event.found.size;
    step(node, request, event, tail);
}

void handoff_on_page(struct node *node, struct net_address from, const struct message *message)
{
    Peer__StreamAnswer *answer = node_unpack(node, &peer__stream_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_STREAM);
    if (answer == NULL) {
        node->counters.messages_bad++;
        return;
    }
    if (request != NULL && request->inbound->source == from.member)
        take_page(node, request, answer, message->tail);
}

void handoff_on_due(struct node *node, struct request *request)
{
    step(node, request, (struct transfer_event){ .kind = TRANSFER_TICK }, (struct bytes){ 0 });
}

void handoff_on_lost(struct node *node, struct request *request, uint16_t member)
{
    if (request->inbound->source != member)
        return;
    struct transfer_event event = { .kind = TRANSFER_LATER };
    event.page = request->inbound->transfer.page;
    step(node, request, event, (struct bytes){ 0 });
}

/* --- steering --------------------------------------------------------------------------------- */

static void step_all(struct node *node, enum transfer_event_kind kind)
{
    struct list *streams = &node->handoff->streams, *item = streams->next;
    while (item != streams) {
        struct inbound *inbound = LIST_ENTRY(item, struct inbound, link);
        struct request *request = request_find(node, inbound->id, REQUEST_STREAM);
        item = item->next;
        assert(request != NULL);
        step(node, request, (struct transfer_event){ .kind = kind }, (struct bytes){ 0 });
    }
}

void handoff_pause(struct node *node, bool on)
{
    node->handoff->paused = on;
    step_all(node, on ? TRANSFER_PAUSE : TRANSFER_RESUME);
}

void handoff_limit(struct node *node, uint64_t rate)
{
    throttle_set(&node->handoff->throttle, rate, node->now_us);
    if (!node->handoff->paused)
        step_all(node, TRANSFER_RESUME); /* they rest for what they owed to the old one */
}

bool receive_waits_for(const struct node *node, uint16_t *ret_member)
{
    const struct list *streams = &node->handoff->streams;
    for (const struct list *item = streams->next; item != streams; item = item->next) {
        const struct inbound *inbound = LIST_ENTRY(item, struct inbound, link);
        *ret_member = inbound->source;
        if (inbound->transfer.retries >= RETRIES_WAITING)
            return true;
    }
    return false;
}

/* --- ending ----------------------------------------------------------------------------------- */

static void close_streams(struct node *node, bool all)
{
    struct list *streams = &node->handoff->streams, *item = streams->next;
    while (item != streams) {
        struct inbound *inbound = LIST_ENTRY(item, struct inbound, link);
        item = item->next;
        bool is_open =
            handoff_session_open(node->config.epoch, inbound->partition, inbound->session);
        struct request *request = request_find(node, inbound->id, REQUEST_STREAM);
        assert(request != NULL);
        if (all || !is_open)
            step(node, request, (struct transfer_event){ .kind = TRANSFER_CLOSE },
                 (struct bytes){ 0 });
    }
}

void receive_on_adopted(struct node *node)
{
    close_streams(node, false);
}

void receive_close_all(struct node *node)
{
    close_streams(node, true);
}
