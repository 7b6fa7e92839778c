/* SPDX-License-Identifier: Apache-2.0 */
#include "server/peer_guest.h"

#include "base/text.h"
#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "server/birth.h"
#include "server/greeting.h"
#include "server/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REFUSED_AGAIN_MS = 600 * 1000 };

enum guest_kind { GUEST_STRANGER, GUEST_JOINER, GUEST_MEMBER };

struct peer_guest {
    struct frame_stream stream;
    struct list all;
    struct peers *peers;
    enum guest_kind kind;
    struct net_address from; /* MEMBER */
    struct node_id id;       /* MEMBER */
    uint64_t until_ms;       /* STRANGER: for its HELLO */
    struct member asking;    /* JOINER that asked: who it says it is, */
    struct node_id cluster;  /* and which cluster it was told this is; zeros: none */
    bool asked;
    struct greeting greeting;
    char address[80];
};

static struct peer_guest *guest_of(struct frame_stream *stream)
{
    return (struct peer_guest *)stream; /* its first member */
}

static struct server *server_of(const struct peer_guest *guest)
{
    return guest->peers->reactor->server;
}

static void become_member(struct peer_guest *guest)
{
    if (guest->kind != GUEST_MEMBER)
        guest->peers->strangers--;
    guest->kind = GUEST_MEMBER;
}

static void end(struct peer_guest *guest)
{
    become_member(guest); /* for the count */
    list_remove(&guest->all);
    frame_stream_close(&guest->stream);
}

static void on_closed(struct frame_stream *stream)
{
    free(guest_of(stream));
}

static const struct epoch *epoch_of(const struct peer_guest *guest)
{
    return reactor_epoch(guest->peers->reactor);
}

static const char *name_of(const struct peer_guest *guest)
{
    const struct epoch *epoch = epoch_of(guest);
    bool known = guest->kind == GUEST_MEMBER && guest->from.member < epoch->member_count;
    return known ? epoch->members[guest->from.member].name : "";
}

static void on_failed(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    struct peer_guest *guest = guest_of(stream);
    bool expected = status == KVORUM_CLOSED && (error == UV_EOF || error == UV_ECONNRESET);
    if (expected)
        log_debug(server_of(guest)->log, "peer closed its link", LOG_TEXT("from", guest->address),
                  LOG_TEXT("member", name_of(guest)));
    else
        log_warn(server_of(guest)->log, "link of a peer ended", LOG_TEXT("from", guest->address),
                 LOG_TEXT("member", name_of(guest)), LOG_STATUS(status), LOG_TEXT("why", why));
    end(guest);
}

/* --- HELLO ---------------------------------------------------------------------------------- */

struct verdict {
    kvorum_status status;
    const char *reason;
    uint16_t member;
};

static struct verdict judge_member(const struct server *server, const Peer__Hello *hello)
{
    if (!server->founded)
        return (struct verdict){ KVORUM_NOT_READY, "this node is in no cluster yet", 0 };
    if (memcmp(hello->cluster.data, server->epoch.cluster.bytes, NODE_ID_SIZE) != 0)
        return (struct verdict){ KVORUM_WRONG_CLUSTER, "this node belongs to another cluster", 0 };
    if (peers_have_left(&server->reactors[0]->peers))
        return (struct verdict){ KVORUM_GONE, kvorum_status_text(KVORUM_GONE), 0 };
    struct node_id id;
    memcpy(id.bytes, hello->node.data, NODE_ID_SIZE);
    uint16_t member = ring_member_index(reactor_epoch(server->reactors[0]), &id);
    if (member == RING_NO_MEMBER)
        return (struct verdict){ KVORUM_NOT_ALLOWED,
                                 "not a member of this cluster: it left, or was removed", 0 };
    if (member == server->self)
        return (struct verdict){ KVORUM_INVALID, "it has our own id: was a data directory copied?",
                                 0 };
    if (hello->target_shard >= server->reactor_count)
        return (struct verdict){ KVORUM_INVALID, "there is no such shard", member };
    if (!server->serving)
        return (struct verdict){ KVORUM_NOT_READY, "this node is starting", member };
    return (struct verdict){ KVORUM_OK, "", member };
}

static struct verdict judge(const struct server *server, const Peer__Hello *hello)
{
    if (hello->nonce.len != 0 && !greeting_is_asked(server))
        return (struct verdict){ KVORUM_INVALID,
                                 "it asks for the key of a cluster, and this node has none: give "
                                 "all nodes the same [cluster] key_file",
                                 0 };
    if (hello->node.len != NODE_ID_SIZE ||
        (hello->cluster.len != 0 && hello->cluster.len != NODE_ID_SIZE))
        return (struct verdict){ KVORUM_INVALID, "a malformed HELLO", 0 };
    if (hello->cluster.len == 0)
        return (struct verdict){ KVORUM_OK, "", RING_NO_MEMBER }; /* a joiner */
    return judge_member(server, hello);
}

static void answer_hello(struct peer_guest *guest, const struct verdict *verdict)
{
    Peer__Hello answer;
    peer_hello(guest->peers->reactor, &answer);
    answer.status = verdict->status;
    answer.reason = (char *)verdict->reason;
    struct buffer record; /* for who was a member, and does not know that it is none any more */
    buffer_init(&record, PEER_RECORD_MAX);
    if (verdict->status == KVORUM_NOT_ALLOWED)
        epoch_encode(epoch_of(guest), &record);
    peer_send(&guest->stream, MESSAGE_HELLO_ANSWER, answer.epoch, &answer.base,
              record.failed ? (struct bytes){ 0 } : buffer_bytes(&record));
    frame_stream_flush(&guest->stream);
    buffer_done(&record);
}

static void hand_over(struct peer_guest *guest, uint16_t shard)
{
    int descriptor = frame_stream_release(&guest->stream);
    const struct mail mail = { .kind = MAIL_LINK,
                               .descriptor = descriptor,
                               .member = guest->from.member,
                               .shard = guest->from.shard };
    if (descriptor >= 0)
        reactor_mail(guest->peers->reactor, shard, &mail);
    else
        log_warn(server_of(guest)->log, "link of a peer could not be handed over",
                 LOG_TEXT("from", guest->address), LOG_TEXT("member", name_of(guest)));
    end(guest);
}

/* One link from each shard: an older one is a leftover that has not noticed its end yet. */
static void end_older(struct peers *peers, struct net_address from)
{
    struct list *next;
    for (struct list *item = peers->guests.next; item != &peers->guests; item = next) {
        next = item->next;
        struct peer_guest *other = LIST_ENTRY(item, struct peer_guest, all);
        if (other->kind == GUEST_MEMBER && other->from.member == from.member &&
            other->from.shard == from.shard)
            end(other);
    }
}

/* Its next message may need an answer: links follow before it is read. */
static void note_address(struct peer_guest *guest, const char *address)
{
    struct server *server = server_of(guest);
    if (!address_book_learn(&server->addresses, epoch_of(guest), guest->from.member, address))
        return;
    log_info(server->log, "a member has moved: it is dialed where it says",
             LOG_TEXT("member", name_of(guest)), LOG_TEXT("address", address));
    peers_follow(guest->peers);
    reactor_mail_all(guest->peers->reactor, &(struct mail){ .kind = MAIL_ADDRESSES });
}

static void welcome(struct peer_guest *guest, const Peer__Hello *hello, uint16_t member)
{
    guest->from = (struct net_address){ member, (uint16_t)hello->shard };
    if (hello->target_shard == 0)
        end_older(guest->peers, guest->from);
    become_member(guest);
    frame_stream_set_options(&guest->stream, &guest->peers->guest_options);
    peers_greeted(guest->peers, member);
    server_learn_shape(server_of(guest), member, hello->shard_count, hello->store_count);
    memcpy(guest->id.bytes, hello->node.data, NODE_ID_SIZE);
    note_address(guest, hello->address);
    server_readdress(server_of(guest), &guest->id, hello->address);
    if (hello->target_shard != 0)
        hand_over(guest, (uint16_t)hello->target_shard);
}

/* Who was removed and does not hear of it asks again and again. */
static bool was_just_told(struct peers *peers, const Peer__Hello *hello)
{
    uint64_t now_ms = reactor_now_ms(peers->reactor);
    bool same = hello->node.len == NODE_ID_SIZE && peers->refused_ms != 0 &&
                memcmp(peers->refused.bytes, hello->node.data, NODE_ID_SIZE) == 0;
    if (same && now_ms - peers->refused_ms < REFUSED_AGAIN_MS)
        return true;
    if (hello->node.len == NODE_ID_SIZE)
        memcpy(peers->refused.bytes, hello->node.data, NODE_ID_SIZE);
    peers->refused_ms = now_ms;
    return false;
}

static void refuse(struct peer_guest *guest, const Peer__Hello *hello,
                   const struct verdict *verdict)
{
    bool again = verdict->status == KVORUM_NOT_ALLOWED && was_just_told(guest->peers, hello);
    if (verdict->status == KVORUM_NOT_READY || again)
        log_debug(server_of(guest)->log, "peer link refused", LOG_TEXT("from", guest->address),
                  LOG_TEXT("member", hello->name), LOG_STATUS(verdict->status));
    else
        log_warn(server_of(guest)->log, "peer link refused", LOG_TEXT("from", guest->address),
                 LOG_TEXT("member", hello->name), LOG_STATUS(verdict->status),
                 LOG_TEXT("reason", verdict->reason));
    end(guest);
}

/* Else it is told nothing but that, and may have to prove it with its next HELLO. */
static bool knows_the_key(struct peer_guest *guest, const Peer__Hello *hello)
{
    Peer__Hello answer;
    enum greeting_verdict verdict =
        greeting_judge(&guest->greeting, server_of(guest), hello, &answer);
    if (verdict == GREETING_KNOWN)
        return true;
    peer_send(&guest->stream, MESSAGE_HELLO_ANSWER, 0, &answer.base, (struct bytes){ 0 });
    frame_stream_flush(&guest->stream);
    if (verdict == GREETING_REFUSED && guest->stream.open)
        refuse(guest, hello,
               &(struct verdict){ (kvorum_status)answer.status,
                                  "it does not know the key of this cluster", 0 });
    return false;
}

static void on_hello(struct peer_guest *guest, const struct message *message)
{
    const Peer__Hello *hello = NULL;
    if (message->kind == MESSAGE_HELLO)
        hello = peer_unpack(guest->peers, &peer__hello__descriptor, message->body);
    if (hello == NULL || hello->shard >= REACTORS_MAX) {
        on_failed(&guest->stream, KVORUM_CORRUPT, 0, "its first frame is no good HELLO");
        return;
    }
    if (!knows_the_key(guest, hello))
        return;
    struct verdict verdict = judge(server_of(guest), hello);
    answer_hello(guest, &verdict);
    if (!guest->stream.open)
        return;
    if (verdict.status != KVORUM_OK)
        refuse(guest, hello, &verdict);
    else if (verdict.member == RING_NO_MEMBER)
        guest->kind = GUEST_JOINER;
    else
        welcome(guest, hello, verdict.member);
}

/* --- JOIN ----------------------------------------------------------------------------------- */

static bool read_join(struct peer_guest *guest, struct bytes body)
{
    const Peer__Join *join = peer_unpack(guest->peers, &peer__join__descriptor, body);
    if (join == NULL || join->node.len != NODE_ID_SIZE)
        return false;
    struct member *asking = &guest->asking;
    memset(asking, 0, sizeof(*asking));
    memcpy(asking->id.bytes, join->node.data, NODE_ID_SIZE);
    asking->weight = join->weight;
    guest->cluster = (struct node_id){ { 0 } };
    if (join->cluster.len == NODE_ID_SIZE)
        memcpy(guest->cluster.bytes, join->cluster.data, NODE_ID_SIZE);
    return text_copy(asking->name, sizeof(asking->name), join->name) &&
           text_copy(asking->zone, sizeof(asking->zone), join->zone) &&
           text_copy(asking->address, sizeof(asking->address), join->address);
}

static void answer_join(struct peer_guest *guest)
{
    struct birth_answer answer;
    birth_on_join(server_of(guest), &guest->asking, &guest->cluster, &answer);
    if (answer.status != KVORUM_OK && answer.status != KVORUM_NOT_READY)
        log_warn(server_of(guest)->log, "joiner refused", LOG_TEXT("from", guest->address),
                 LOG_TEXT("name", guest->asking.name), LOG_STATUS(answer.status),
                 LOG_TEXT("reason", answer.reason));
    Peer__JoinAnswer body = PEER__JOIN_ANSWER__INIT;
    body.status = answer.status;
    body.reason = (char *)answer.reason;
    body.present = answer.present;
    body.wanted = answer.wanted;
    peer_send(&guest->stream, MESSAGE_JOIN_ANSWER, 0, &body.base, answer.epoch);
    frame_stream_flush(&guest->stream);
}

static void on_join(struct peer_guest *guest, const struct message *message)
{
    if (message->kind != MESSAGE_JOIN || !read_join(guest, message->body)) {
        on_failed(&guest->stream, KVORUM_CORRUPT, 0, "a joiner sent something else than JOIN");
        return;
    }
    guest->asked = true;
    answer_join(guest);
}

void peers_tell_joiners(struct peers *peers)
{
    struct list *next;
    for (struct list *item = peers->guests.next; item != &peers->guests; item = next) {
        next = item->next;
        struct peer_guest *guest = LIST_ENTRY(item, struct peer_guest, all);
        if (guest->kind == GUEST_JOINER && guest->asked)
            answer_join(guest);
    }
}

/* --- messages ------------------------------------------------------------------------------- */

static void on_message(struct frame_stream *stream, const struct message *message)
{
    struct peer_guest *guest = guest_of(stream);
    struct node *node = guest->peers->reactor->node;
    if (guest->kind == GUEST_STRANGER)
        on_hello(guest, message);
    else if (guest->kind == GUEST_JOINER)
        on_join(guest, message);
    else if (message_is_greeting(message->kind))
        on_failed(stream, KVORUM_CORRUPT, 0, "a frame of a greeting in the middle of a link");
    else if (node != NULL)
        node_receive(node, guest->from, message);
}

static const struct frame_stream_handlers handlers = { NULL, on_message, on_failed, on_closed };

static struct peer_guest *create(struct peers *peers, int descriptor, enum guest_kind kind)
{
    struct peer_guest *guest = calloc(1, sizeof(*guest));
    if (guest == NULL) {
        close(descriptor);
        return NULL;
    }
    guest->peers = peers;
    guest->kind = kind;
    guest->until_ms = reactor_now_ms(peers->reactor) + PEER_GREETING_MS;
    server_describe_remote(descriptor, guest->address, sizeof(guest->address));
    peers->strangers += kind == GUEST_STRANGER;
    peers->guest_options.handlers = peers->stranger_options.handlers = &handlers;
    list_append(&peers->guests, &guest->all);
    frame_stream_init(&guest->stream, &peers->reactor->loop,
                      kind == GUEST_STRANGER ? &peers->stranger_options : &peers->guest_options);
    int error = frame_stream_adopt(&guest->stream, descriptor);
    if (error == 0)
        return guest;
    on_failed(&guest->stream, KVORUM_CLOSED, error, uv_strerror(error));
    return NULL;
}

void peers_accept(struct peers *peers, int descriptor)
{
    if (peers->strangers < PEER_STRANGERS_MAX) {
        create(peers, descriptor, GUEST_STRANGER);
        return;
    }
    log_warn(peers->reactor->server->log, "too many peer connections without HELLO: one refused");
    close(descriptor);
}

void peers_adopt(struct peers *peers, int descriptor, uint16_t member, uint16_t shard)
{
    struct net_address from = { member, shard };
    end_older(peers, from);
    struct peer_guest *guest = create(peers, descriptor, GUEST_MEMBER);
    if (guest == NULL)
        return;
    const struct epoch *epoch = epoch_of(guest);
    guest->from = from;
    if (member < epoch->member_count) /* else we are behind, and learn of it by its messages */
        guest->id = epoch->members[member].id;
    peers_greeted(peers, member);
}

static bool is_member_still(const struct peer_guest *guest)
{
    static const struct node_id none;
    const struct epoch *epoch = epoch_of(guest);
    if (peers_have_left(guest->peers))
        return false;
    if (guest->from.member >= epoch->member_count || memcmp(&guest->id, &none, sizeof(none)) == 0)
        return true;
    const struct member *member = &epoch->members[guest->from.member];
    return member->state != MEMBER_GONE && memcmp(&member->id, &guest->id, sizeof(none)) == 0;
}

void guests_follow(struct peers *peers)
{
    struct list *next;
    for (struct list *item = peers->guests.next; item != &peers->guests; item = next) {
        next = item->next;
        struct peer_guest *guest = LIST_ENTRY(item, struct peer_guest, all);
        if (guest->kind == GUEST_MEMBER && !is_member_still(guest))
            end(guest);
    }
}

void guests_sweep(struct peers *peers)
{
    uint64_t now_ms = reactor_now_ms(peers->reactor);
    struct list *next;
    for (struct list *item = peers->guests.next; item != &peers->guests; item = next) {
        next = item->next;
        struct peer_guest *guest = LIST_ENTRY(item, struct peer_guest, all);
        if (guest->kind == GUEST_STRANGER && now_ms >= guest->until_ms)
            on_failed(&guest->stream, KVORUM_TIMEOUT, 0, "no HELLO in time");
    }
}

void guests_close(struct peers *peers)
{
    struct list *item;
    while ((item = list_first(&peers->guests)) != NULL)
        end(LIST_ENTRY(item, struct peer_guest, all));
}
