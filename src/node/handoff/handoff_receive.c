/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that come in: which there are, and what their machines say. */
#include "cluster/handoff/streams.h"
#include "codec/protobuf.h"
#include "node/handoff/handoff_inbound.h"

enum {
    PATIENCE_US = 5 * 1000 * 1000,
    REST_US = 250 * 1000,
    RETRIES_WAITING = 8, /* in vain: then it is said whom a stream waits for */
};

/* --- steps ------------------------------------------------------------------------------------ */

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
        inbound_event(node, request, TRANSFER_LATER);
    if (effects->merge)
        inbound_merge(node, request, tail);
    if (effects->save && inbound_save(node, request) != KVORUM_OK)
        inbound_event(node, request, TRANSFER_FAILED);
}

void inbound_step(struct node *node, struct request *request, struct transfer_event event,
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

void inbound_event(struct node *node, struct request *request, enum transfer_event_kind kind)
{
    const struct transfer_event event = { .kind = kind, .page = request->inbound->transfer.page };
    inbound_step(node, request, event, (struct bytes){ 0 });
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
    buffer_init(&inbound->cursor, INBOUND_RECORD_SIZE_MAX);
    buffer_init(&inbound->next, INBOUND_RECORD_SIZE_MAX);
    struct request *request = inbound_load(node, inbound) ? open_stream(node, inbound) : NULL;
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
    inbound_event(node, request, TRANSFER_START);
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

/* --- events ----------------------------------------------------------------------------------- */

void handoff_on_due(struct node *node, struct request *request)
{
    inbound_event(node, request, TRANSFER_TICK);
}

void handoff_on_lost(struct node *node, struct request *request, uint16_t member)
{
    if (request->inbound->source == member)
        inbound_event(node, request, TRANSFER_LATER);
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
        inbound_event(node, request, kind);
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
            inbound_event(node, request, TRANSFER_CLOSE);
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
