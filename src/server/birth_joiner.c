/* SPDX-License-Identifier: Apache-2.0 */
/* The joiner: a link to the node that --join names, on which it asks until it is told an epoch. */
#include "server/birth_internal.h"

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"

static const struct frame_stream_handlers handlers;

static struct birth *birth_of(struct frame_stream *stream)
{
    return LIST_ENTRY(stream, struct birth, stream);
}

static void dial(struct birth *birth)
{
    struct server *server = birth->server;
    birth->options = server->reactors[0]->peers.options;
    birth->options.handlers = &handlers;
    birth->streaming = true;
    frame_stream_init(&birth->stream, &server->reactors[0]->loop, &birth->options);
    if (frame_stream_dial(&birth->stream, server->config.join) != 0)
        frame_stream_close(&birth->stream);
}

static void ask(struct birth *birth)
{
    const struct member *member = &birth->server->member;
    Peer__Join join = PEER__JOIN__INIT;
    join.node = protobuf_data(bytes_make(member->id.bytes, NODE_ID_SIZE));
    join.name = (char *)member->name;
    join.zone = (char *)member->zone;
    join.address = (char *)member->address;
    join.weight = member->weight;
    join.cluster = protobuf_data(bytes_make(birth->cluster.bytes, NODE_ID_SIZE));
    peer_send(&birth->stream, MESSAGE_JOIN, 0, &join.base, (struct bytes){ 0 });
    frame_stream_flush(&birth->stream);
}

/* Every half second: dial when there is no connection, ask again when there is one. */
static void on_timer(uv_timer_t *timer)
{
    struct birth *birth = LIST_ENTRY(timer, struct birth, timer);
    if (birth->stopped || birth->server->founded)
        uv_timer_stop(timer);
    else if (!birth->streaming)
        dial(birth);
    else if (birth->stream.open && birth->introduced)
        ask(birth);
}

void birth_joiner_start(struct birth *birth)
{
    struct server *server = birth->server;
    birth_set_waiting(server, WAITING_JOIN, 0, 0);
    log_info(server->log, "joining", LOG_TEXT("founder", server->config.join),
             LOG_TEXT("as", server->member.name));
    uv_timer_init(&server->reactors[0]->loop, &birth->timer);
    birth->timing = true;
    uv_timer_start(&birth->timer, on_timer, 0, JOIN_INTERVAL_MS);
}

static void tell_once(struct birth *birth, kvorum_status status, const char *reason)
{
    if (status != birth->told)
        log_warn(birth->server->log, "not joined yet",
                 LOG_TEXT("founder", birth->server->config.join), LOG_STATUS(status),
                 LOG_TEXT("reason", reason));
    birth->told = status;
}

/* To one who may hear it. */
static void introduce(struct birth *birth)
{
    Peer__Hello hello;
    peer_hello(birth->server->reactors[0], &hello);
    if (birth->greeting.begun && !greeting_prove(&birth->greeting, &hello)) {
        tell_once(birth, KVORUM_INTERNAL, "no proof of the cluster's key can be made");
        frame_stream_close(&birth->stream);
        return;
    }
    peer_send(&birth->stream, MESSAGE_HELLO, 0, &hello.base, (struct bytes){ 0 });
    birth->introduced = true;
    ask(birth);
}

static void on_connected(struct frame_stream *stream)
{
    struct birth *birth = birth_of(stream);
    birth->introduced = birth->greeting.begun = false;
    if (!greeting_is_asked(birth->server)) {
        introduce(birth);
        return;
    }
    Peer__Hello hello;
    greeting_begin(&birth->greeting, &hello);
    peer_send(stream, MESSAGE_HELLO, 0, &hello.base, (struct bytes){ 0 });
    frame_stream_flush(stream);
}

/* What counts is the answer to JOIN. */
static void on_hello_answer(struct birth *birth, const Peer__Hello *answer)
{
    if (birth->introduced) {
        if (answer->cluster.len == NODE_ID_SIZE)
            memcpy(birth->cluster.bytes, answer->cluster.data, NODE_ID_SIZE);
        if (answer->status == KVORUM_NOT_ALLOWED)
            tell_once(birth, KVORUM_NOT_ALLOWED, answer->reason);
    } else if (greeting_check(&birth->greeting, birth->server, answer)) {
        introduce(birth);
    } else {
        tell_once(birth, KVORUM_NOT_ALLOWED,
                  "the node at this address does not know the cluster's key; give all nodes the "
                  "same [cluster] key_file");
        frame_stream_close(&birth->stream);
    }
}

static void on_failed(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    (void)error;
    tell_once(birth_of(stream), status, why);
    frame_stream_close(stream);
}

static void on_closed(struct frame_stream *stream)
{
    birth_of(stream)->streaming = false;
}

static void adopt_epoch(struct birth *birth, struct bytes record)
{
    struct server *server = birth->server;
    struct epoch epoch;
    kvorum_status status = epoch_decode(record, &server->epoch_arena, &epoch);
    if (status == KVORUM_OK && ring_member_index(&epoch, &server->identity.node) == RING_NO_MEMBER)
        status = KVORUM_INVALID;
    if (status == KVORUM_OK)
        status = identity_save_epoch(server->disk, &server->identity, &epoch);
    if (status != KVORUM_OK) {
        log_error(server->log, "the founder's cluster record cannot be taken over",
                  LOG_STATUS(status), LOG_TEXT("founder", server->config.join));
        server_stop(server, status == KVORUM_WRONG_CLUSTER ? EXIT_CODE_UNSAFE : EXIT_CODE_FAILED);
        return;
    }
    log_info(server->log, "joined", LOG_U64("members", epoch.member_count));
    server->epoch = epoch;
    birth_begin(birth);
}

static void on_join_answer(struct birth *birth, const Peer__JoinAnswer *answer, struct bytes tail)
{
    struct server *server = birth->server;
    switch (answer->status) {
    case KVORUM_OK:
        frame_stream_close(&birth->stream);
        adopt_epoch(birth, tail);
        break;
    case KVORUM_NOT_READY:
        if (answer->wanted > 0)
            birth_set_waiting(server, WAITING_FOUNDERS, answer->present, answer->wanted);
        else
            tell_once(birth, KVORUM_NOT_READY, answer->reason);
        break;
    default:
        log_error(server->log, "the founder refused this node",
                  LOG_TEXT("founder", server->config.join),
                  LOG_STATUS((kvorum_status)answer->status), LOG_TEXT("reason", answer->reason));
        server_stop(server, EXIT_CODE_UNSAFE);
    }
}

static void on_message(struct frame_stream *stream, const struct message *message)
{
    struct birth *birth = birth_of(stream);
    struct peers *peers = &birth->server->reactors[0]->peers;
    if (message->kind == MESSAGE_HELLO_ANSWER) {
        const Peer__Hello *hello = peer_unpack(peers, &peer__hello__descriptor, message->body);
        if (hello != NULL)
            on_hello_answer(birth, hello);
        return;
    }
    const Peer__JoinAnswer *answer = NULL;
    if (message->kind == MESSAGE_JOIN_ANSWER)
        answer = peer_unpack(peers, &peer__join_answer__descriptor, message->body);
    if (answer == NULL)
        on_failed(stream, KVORUM_CORRUPT, 0, "an unexpected frame while joining");
    else if (!birth->server->founded)
        on_join_answer(birth, answer, message->tail);
}

static const struct frame_stream_handlers handlers = { on_connected, on_message, on_failed,
                                                       on_closed };

static void on_timer_closed(uv_handle_t *timer)
{
    LIST_ENTRY(timer, struct birth, timer)->timing = false;
}

void birth_joiner_stop(struct birth *birth)
{
    if (birth->streaming)
        frame_stream_close(&birth->stream);
    if (birth->timing)
        uv_close((uv_handle_t *)&birth->timer, on_timer_closed);
}
