/* SPDX-License-Identifier: Apache-2.0 */
#include "server/peer_link.h"

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "server/greeting.h"
#include "server/internal.h"

#include <assert.h>
#include <stdlib.h>

struct peer_link {
    struct frame_stream stream;
    uv_timer_t timer;
    struct list dirty;
    struct peers *peers;
    struct net_address to;
    struct member member; /* as it was when the link was made, and where it is dialed */
    enum peer_link_state state;
    unsigned failures;     /* in a row */
    kvorum_status refused; /* what was logged last, so that a refusal is told once */
    struct buffer waiting; /* frames from before it is UP */
    struct greeting greeting;
    bool streaming; /* `stream` is between init and closed */
    bool greeted;   /* the other side has linked to us since: it is worth a dial */
};

static const struct frame_stream_handlers handlers;

static struct peer_link *link_of(struct frame_stream *stream)
{
    return (struct peer_link *)stream; /* its first member */
}

struct peer_link *peer_link_of_dirty(struct list *item)
{
    return LIST_ENTRY(item, struct peer_link, dirty);
}

static struct server *server_of(const struct peer_link *link)
{
    return link->peers->reactor->server;
}

static const struct member *member_of(const struct peer_link *link)
{
    return &link->member;
}

/* --- losing it ------------------------------------------------------------------------------- */

/* Not from inside the node: only where libuv called us. */
static void tell_node(struct peer_link *link, bool refused)
{
    struct reactor *reactor = link->peers->reactor;
    if (reactor->node != NULL)
        node_link_lost(reactor->node, link->to.member, refused);
}

/* Frames that waited for the link to come up never left: their senders may count on that. */
static void give_back(struct peer_link *link, struct bytes waiting)
{
    struct reactor *reactor = link->peers->reactor;
    struct message message;
    size_t size;
    while (reactor->node != NULL && waiting.size > 0) {
        kvorum_status status = frame_decode(waiting, SIZE_MAX, &message, &size);
        assert(status == KVORUM_OK); /* we encoded it */
        node_unsent(reactor->node, link->to.member, &message);
        waiting = bytes_from(waiting, size);
    }
}

static void lose(struct peer_link *link)
{
    if (link->state == PEER_LINK_STOPPED || link->state == PEER_LINK_ENDING)
        return;
    link->state = PEER_LINK_ENDING;
    link->failures++;
    buffer_done(&link->waiting);
    list_remove(&link->dirty);
    uv_timer_stop(&link->timer);
    frame_stream_close(&link->stream);
}

/* The node may send from inside of what it is told: the link is lost before that. */
static void lose_with_frames(struct peer_link *link, bool tell, bool refused)
{
    struct buffer waiting = link->waiting;
    buffer_init(&link->waiting, server_of(link)->config.peer_queue);
    lose(link);
    give_back(link, buffer_bytes(&waiting));
    buffer_done(&waiting);
    if (tell)
        tell_node(link, refused);
}

static void on_failed(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    struct peer_link *link = link_of(stream);
    bool was_up = link->state == PEER_LINK_UP, waited = link->waiting.size > 0;
    if (was_up || status != KVORUM_CLOSED)
        log_warn(server_of(link)->log, "peer link lost", LOG_TEXT("member", member_of(link)->name),
                 LOG_TEXT("address", member_of(link)->address), LOG_U64("shard", link->to.shard),
                 LOG_STATUS(status), LOG_TEXT("why", why));
    else
        log_debug(server_of(link)->log, "peer not reached",
                  LOG_TEXT("member", member_of(link)->name), LOG_TEXT("why", why));
    link->greeted = false;
    lose_with_frames(link, was_up || waited || error == UV_ECONNREFUSED, error == UV_ECONNREFUSED);
}

static void on_timer_dial(uv_timer_t *timer);

static uint64_t backoff_ms(struct peer_link *link)
{
    unsigned doublings = link->failures < 8 ? link->failures - 1 : 7;
    uint64_t delay = (uint64_t)PEER_BACKOFF_MIN_MS << doublings;
    if (delay > PEER_BACKOFF_MAX_MS || link->refused != KVORUM_OK)
        delay = PEER_BACKOFF_MAX_MS;
    return delay / 2 + random_below(&link->peers->random, delay / 2 + 1);
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(LIST_ENTRY(timer, struct peer_link, timer));
}

static void on_closed(struct frame_stream *stream)
{
    struct peer_link *link = link_of(stream);
    link->streaming = false;
    if (link->state == PEER_LINK_STOPPED) {
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
        return;
    }
    link->state = PEER_LINK_WAITING;
    uv_timer_start(&link->timer, on_timer_dial, backoff_ms(link), 0);
}

/* --- dialing -------------------------------------------------------------------------------- */

static void on_timer_greeting(uv_timer_t *timer)
{
    struct peer_link *link = LIST_ENTRY(timer, struct peer_link, timer);
    on_failed(&link->stream, KVORUM_CLOSED, UV_ETIMEDOUT, "no answer to connect or HELLO");
}

static void dial(struct peer_link *link)
{
    struct reactor *reactor = link->peers->reactor;
    link->state = PEER_LINK_DIALING;
    link->streaming = true;
    frame_stream_init(&link->stream, &reactor->loop, &link->peers->options);
    uv_timer_start(&link->timer, on_timer_greeting, PEER_GREETING_MS, 0);
    int error = frame_stream_dial(&link->stream, member_of(link)->address);
    if (error != 0) {
        log_warn(server_of(link)->log, "cannot dial peer",
                 LOG_TEXT("address", member_of(link)->address),
                 LOG_TEXT("why", uv_strerror(error)));
        lose(link);
    }
}

static void on_timer_dial(uv_timer_t *timer)
{
    dial(LIST_ENTRY(timer, struct peer_link, timer));
}

static void send_hello(struct peer_link *link, Peer__Hello *hello)
{
    peer_send(&link->stream, MESSAGE_HELLO, 0, &hello->base, (struct bytes){ 0 });
    frame_stream_flush(&link->stream);
}

/* All that it says, to one who may hear it. */
static bool introduce(struct peer_link *link)
{
    Peer__Hello hello;
    peer_hello(link->peers->reactor, &hello);
    hello.target_shard = link->to.shard;
    if (link->greeting.begun && !greeting_prove(&link->greeting, &hello))
        return false;
    send_hello(link, &hello);
    return true;
}

static void on_connected(struct frame_stream *stream)
{
    struct peer_link *link = link_of(stream);
    link->state = PEER_LINK_GREETING;
    link->greeting.begun = false;
    if (!greeting_is_asked(server_of(link))) {
        (void)introduce(link);
        return;
    }
    Peer__Hello hello;
    greeting_begin(&link->greeting, &hello);
    send_hello(link, &hello);
}

/* --- the answer ----------------------------------------------------------------------------- */

static void refuse(struct peer_link *link, kvorum_status status, const char *reason)
{
    bool starting = status == KVORUM_NOT_READY; /* as every node for a while */
    if (!starting && status != link->refused)
        log_warn(server_of(link)->log, "peer refused our link",
                 LOG_TEXT("member", member_of(link)->name),
                 LOG_TEXT("address", member_of(link)->address), LOG_U64("shard", link->to.shard),
                 LOG_STATUS(status), LOG_TEXT("reason", reason));
    link->refused = starting ? KVORUM_OK : status;
    link->greeted &= starting;
    lose_with_frames(link, link->waiting.size > 0, false);
}

static void go_up(struct peer_link *link)
{
    link->state = PEER_LINK_UP;
    link->failures = 0;
    link->greeted = false;
    link->refused = KVORUM_OK;
    uv_timer_stop(&link->timer);
    log_debug(server_of(link)->log, "peer link up", LOG_TEXT("member", member_of(link)->name),
              LOG_U64("shard", link->to.shard));
    buffer_append_bytes(&link->stream.output, buffer_bytes(&link->waiting));
    buffer_done(&link->waiting);
    frame_stream_flush(&link->stream);
}

/* An epoch that does not list us; the node looks at it, and whether it is news. */
static void take_record(struct peer_link *link, uint64_t epoch, struct bytes record)
{
    struct reactor *reactor = link->peers->reactor;
    struct buffer body;
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = epoch;
    buffer_init(&body, FRAME_BODY_MAX);
    protobuf_append(&answer.base, &body);
    const struct message message = {
        .kind = MESSAGE_EPOCH_ANSWER, .epoch = epoch, .body = buffer_bytes(&body), .tail = record
    };
    if (reactor->node != NULL && !body.failed)
        node_receive(reactor->node, link->to, &message);
    buffer_done(&body);
}

static void on_challenge(struct peer_link *link, const Peer__Hello *answer)
{
    if (!greeting_check(&link->greeting, server_of(link), answer))
        refuse(link, KVORUM_NOT_ALLOWED,
               "the node at this address does not know the cluster's key; give all nodes the same "
               "[cluster] key_file");
    else if (!introduce(link))
        refuse(link, KVORUM_INTERNAL, "no proof of the cluster's key can be made");
}

static void on_answer(struct peer_link *link, const Peer__Hello *answer, struct bytes record)
{
    struct server *server = server_of(link);
    if (greeting_is_asked(server) && !link->greeting.begun) {
        on_challenge(link, answer);
        return;
    }
    bool same_node = answer->node.len == NODE_ID_SIZE &&
                     memcmp(answer->node.data, member_of(link)->id.bytes, NODE_ID_SIZE) == 0;
    if (same_node)
        server_learn_shape(server, link->to.member, answer->shard_count, answer->store_count);
    if (same_node && answer->status == KVORUM_NOT_ALLOWED && record.size > 0)
        take_record(link, answer->epoch, record);
    if (answer->status != KVORUM_OK)
        refuse(link, (kvorum_status)answer->status, answer->reason);
    else if (!same_node)
        refuse(link, KVORUM_INVALID, "another node answers at this address");
    else
        go_up(link);
}

static void on_message(struct frame_stream *stream, const struct message *message)
{
    struct peer_link *link = link_of(stream);
    const Peer__Hello *answer = NULL;
    if (link->state == PEER_LINK_GREETING && message->kind == MESSAGE_HELLO_ANSWER)
        answer =
            (const Peer__Hello *)peer_unpack(link->peers, &peer__hello__descriptor, message->body);
    if (answer != NULL)
        on_answer(link, answer, message->tail);
    else
        on_failed(stream, KVORUM_CORRUPT, 0, "an unexpected frame on a link that we send on");
}

static const struct frame_stream_handlers handlers = { on_connected, on_message, on_failed,
                                                       on_closed };

/* --- use ------------------------------------------------------------------------------------ */

struct peer_link *peer_link_create(struct peers *peers, struct net_address to)
{
    struct peer_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    link->peers = peers;
    link->to = to;
    address_book_member(&server_of(link)->addresses, reactor_epoch(peers->reactor), to.member,
                        &link->member);
    list_init(&link->dirty);
    buffer_init(&link->waiting, server_of(link)->config.peer_queue);
    uv_timer_init(&peers->reactor->loop, &link->timer);
    peers->options.handlers = &handlers;
    return link;
}

void peer_link_start(struct peer_link *link)
{
    if (link->state == PEER_LINK_IDLE)
        dial(link);
}

static bool send_when_up(struct peer_link *link, const struct message *message)
{
    if (!link->stream.open || !frame_stream_has_room(&link->stream, message))
        return false;
    frame_stream_send(&link->stream, message);
    if (list_empty(&link->dirty))
        list_append(&link->peers->dirty, &link->dirty);
    return !link->stream.output.failed;
}

/* Fails whole: a frame that does not fit leaves what was queued before as it is. */
static bool send_later(struct peer_link *link, const struct message *message)
{
    size_t size = link->waiting.size;
    frame_encode(message, &link->waiting);
    if (!link->waiting.failed)
        return true;
    link->waiting.failed = false;
    link->waiting.size = size;
    return false;
}

/* Who came back asks at once; our answers cannot wait for the end of the back-off. */
static bool redial(struct peer_link *link)
{
    uv_timer_stop(&link->timer);
    dial(link);
    return link->state == PEER_LINK_DIALING;
}

bool peer_link_send(struct peer_link *link, const struct message *message)
{
    switch (link->state) {
    case PEER_LINK_UP:
        return send_when_up(link, message);
    case PEER_LINK_IDLE:
        dial(link);
        return link->state == PEER_LINK_DIALING && send_later(link, message);
    case PEER_LINK_DIALING:
    case PEER_LINK_GREETING:
        return send_later(link, message);
    case PEER_LINK_WAITING:
        return link->greeted && redial(link) && send_later(link, message);
    default:
        return false;
    }
}

void peer_link_greeted(struct peer_link *link)
{
    link->greeted = true;
}

void peer_link_flush(struct peer_link *link)
{
    list_remove(&link->dirty);
    frame_stream_flush(&link->stream);
}

void peer_link_inherit(struct peer_link *link, struct peer_link *old)
{
    buffer_done(&link->waiting);
    link->waiting = old->waiting;
    buffer_init(&old->waiting, server_of(link)->config.peer_queue);
    if (old->state != PEER_LINK_IDLE)
        dial(link);
}

bool peer_link_is_of(const struct peer_link *link, const struct member *member)
{
    return member->state != MEMBER_GONE &&
           memcmp(&link->member.id, &member->id, sizeof(member->id)) == 0;
}

bool peer_link_leads_to(const struct peer_link *link, const struct member *member)
{
    return peer_link_is_of(link, member) && strcmp(link->member.address, member->address) == 0;
}

void peer_link_stop(struct peer_link *link)
{
    if (link->state == PEER_LINK_STOPPED)
        return;
    list_remove(&link->dirty);
    buffer_done(&link->waiting);
    uv_timer_stop(&link->timer);
    link->state = PEER_LINK_STOPPED;
    if (link->streaming)
        frame_stream_close(&link->stream); /* does nothing when it is closing already */
    else
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}
