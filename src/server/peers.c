/* SPDX-License-Identifier: Apache-2.0 */
#include "server/peers.h"

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "os/entropy.h"
#include "server/internal.h"
#include "server/peer_guest.h"
#include "server/peer_link.h"

#include <assert.h>
#include <stdlib.h>

enum { MESSAGE_ARENA_LIMIT = 64 << 20, TAIL_SLACK = 1 << 20 };

static struct peers *peers_of(struct net *net)
{
    return LIST_ENTRY(net, struct peers, net);
}

/* --- base/net.h ----------------------------------------------------------------------------- */

static bool send_inside(struct reactor *reactor, uint16_t shard, const struct message *message)
{
    struct server *server = reactor->server;
    if (shard >= server->reactor_count)
        return false;
    struct buffer *outbox = &reactor->outboxes[shard];
    struct mailbox *mailbox = &server->reactors[shard]->mailbox;
    if (!mailbox_has_room(mailbox, outbox->size, mail_message_size(message)))
        return false;
    mail_append_message(outbox, reactor->index, message);
    return !outbox->failed;
}

static struct peer_link *link_to(struct peers *peers, struct net_address to)
{
    size_t slot = (size_t)to.member * REACTORS_MAX + to.shard;
    const struct epoch *epoch = reactor_epoch(peers->reactor);
    if (to.shard >= REACTORS_MAX || slot >= peers->link_slots || to.member >= epoch->member_count ||
        epoch->members[to.member].state == MEMBER_GONE)
        return NULL;
    if (peers->links[slot] == NULL)
        peers->links[slot] = peer_link_create(peers, to);
    return peers->links[slot];
}

static bool send_message(struct net *net, struct net_address to, const struct message *message)
{
    struct peers *peers = peers_of(net);
    if (to.member == peers->reactor->server->self)
        return send_inside(peers->reactor, to.shard, message);
    struct peer_link *link = link_to(peers, to);
    return link != NULL && peer_link_send(link, message);
}

static uint16_t shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    const struct server *server = peers_of(net)->reactor->server;
    struct server_shape shape = server_shape(server, member);
    return shape.shard_count == 0 ? 0
                                  : (uint16_t)(partition % shape.store_count % shape.shard_count);
}

/* Gossip is shard 0's. */
static bool send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    struct reactor *reactor = peers_of(net)->reactor;
    return reactor->index == 0 && datagrams_send(&reactor->server->datagrams, member, datagram);
}

static const struct net_ops net_ops = { .send = send_message,
                                        .shard_of = shard_of,
                                        .send_datagram = send_datagram };

/* --- what links and guests share ------------------------------------------------------------ */

void *peer_unpack(struct peers *peers, const ProtobufCMessageDescriptor *descriptor,
                  struct bytes body)
{
    ProtobufCAllocator allocator;
    arena_reset(&peers->arena);
    protobuf_arena_allocator(&peers->arena, &allocator);
    return protobuf_c_message_unpack(descriptor, &allocator, body.size, body.data);
}

void peer_hello(struct reactor *reactor, Peer__Hello *ret)
{
    struct server *server = reactor->server;
    peer__hello__init(ret);
    if (server->founded)
        ret->cluster = protobuf_data(bytes_make(server->epoch.cluster.bytes, NODE_ID_SIZE));
    ret->node = protobuf_data(bytes_make(server->member.id.bytes, NODE_ID_SIZE));
    ret->name = server->member.name;
    ret->shard = reactor->index;
    ret->shard_count = server->reactor_count;
    ret->store_count = server->store_count;
    ret->epoch = server->founded ? reactor_epoch(reactor)->number : 0;
    ret->address = server->address;
}

void peer_send(struct frame_stream *stream, enum message_kind kind, uint64_t epoch,
               const ProtobufCMessage *body, struct bytes tail)
{
    struct buffer packed;
    buffer_init(&packed, FRAME_BODY_MAX);
    protobuf_append(body, &packed);
    const struct message message = {
        .kind = (uint8_t)kind, .epoch = epoch, .body = buffer_bytes(&packed), .tail = tail
    };
    if (!packed.failed)
        frame_stream_send(stream, &message);
    buffer_done(&packed);
}

/* --- life ----------------------------------------------------------------------------------- */

void peers_init(struct peers *peers, struct reactor *reactor)
{
    const struct config *config = &reactor->server->config;
    *peers = (struct peers){ .net = { &net_ops }, .reactor = reactor };
    peers->options = (struct frame_stream_options){
        .read_buffer = reactor->read_buffer,
        .read_size = REACTOR_READ_SIZE,
        .tail_limit = (size_t)ENGINE_VALUE_SIZE_MAX + TAIL_SLACK, /* an object with its siblings */
        .output_limit = config->peer_queue,
    };
    peers->guest_options = peers->stranger_options = peers->options;
    peers->stranger_options.tail_limit = 0; /* no greeting has one */
    list_init(&peers->dirty);
    list_init(&peers->guests);
    arena_init(&peers->arena, MESSAGE_ARENA_LIMIT);
    random_init(&peers->random, os_entropy_u64());
}

void peers_done(struct peers *peers)
{
    arena_done(&peers->arena);
    free(peers->links);
}

static bool make_room(struct peers *peers, uint16_t member_count)
{
    size_t slots = (size_t)member_count * REACTORS_MAX;
    if (slots <= peers->link_slots)
        return true;
    struct peer_link **links = realloc(peers->links, slots * sizeof(struct peer_link *));
    if (links == NULL)
        return false;
    memset(links + peers->link_slots, 0, (slots - peers->link_slots) * sizeof(struct peer_link *));
    peers->links = links;
    peers->link_slots = slots;
    return true;
}

/* Heartbeats go there at once. */
static void dial_members(struct peers *peers)
{
    const struct epoch *epoch = reactor_epoch(peers->reactor);
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        struct peer_link *link =
            i == peers->reactor->server->self ? NULL : link_to(peers, (struct net_address){ i, 0 });
        if (link != NULL)
            peer_link_start(link);
    }
}

bool peers_start(struct peers *peers)
{
    if (!make_room(peers, reactor_epoch(peers->reactor)->member_count))
        return false;
    dial_members(peers);
    struct reactor *reactor = peers->reactor;
    return reactor->index != 0 || datagrams_start(&reactor->server->datagrams, reactor->server);
}

/* --- members come, go and move -------------------------------------------------------------- */

void peers_on_members(struct peers *peers)
{
    peers->members_changed = true;
}

/* To another address of the same member goes what waited to be sent to it. */
static void replace_link(struct peers *peers, struct net_address to, const struct member *member)
{
    struct peer_link **link = &peers->links[(size_t)to.member * REACTORS_MAX + to.shard];
    struct peer_link *old = *link;
    *link = NULL;
    if (peer_link_is_of(old, member) && (*link = peer_link_create(peers, to)) != NULL)
        peer_link_inherit(*link, old);
    peer_link_stop(old); /* it frees itself */
}

static void follow_member(struct peers *peers, uint16_t slot)
{
    struct member member;
    address_book_member(&peers->reactor->server->addresses, reactor_epoch(peers->reactor), slot,
                        &member);
    for (uint16_t shard = 0; shard < REACTORS_MAX; shard++) {
        const struct peer_link *link = peers->links[(size_t)slot * REACTORS_MAX + shard];
        if (link != NULL && !peer_link_leads_to(link, &member))
            replace_link(peers, (struct net_address){ slot, shard }, &member);
    }
}

void peers_follow(struct peers *peers)
{
    if (peers->link_slots == 0)
        return; /* not started yet */
    const struct epoch *epoch = reactor_epoch(peers->reactor);
    peers->members_changed = false;
    if (!make_room(peers, epoch->member_count)) {
        peers->members_changed = true; /* next time, perhaps */
        return;
    }
    for (uint16_t i = 0; i < epoch->member_count; i++)
        follow_member(peers, i);
    if (peers->reactor->index == 0 &&
        !datagrams_members_changed(&peers->reactor->server->datagrams))
        peers->members_changed = true;
    guests_follow(peers);
    dial_members(peers);
}

void peers_greeted(struct peers *peers, uint16_t member)
{
    size_t first = (size_t)member * REACTORS_MAX;
    for (size_t i = first; i < first + REACTORS_MAX && i < peers->link_slots; i++)
        if (peers->links[i] != NULL)
            peer_link_greeted(peers->links[i]);
}

bool peers_have_left(const struct peers *peers)
{
    return peers->reactor->node != NULL && node_left_epoch(peers->reactor->node) != 0;
}

static void stop_links(struct peers *peers)
{
    for (size_t i = 0; i < peers->link_slots; i++) {
        if (peers->links[i] != NULL)
            peer_link_stop(peers->links[i]);
        peers->links[i] = NULL; /* it frees itself */
    }
    peers->link_slots = 0;
}

/* No member any more: nobody is ours to talk to, nor are we theirs.  Strangers are still told. */
static void part(struct peers *peers)
{
    if (peers->link_slots == 0)
        return;
    stop_links(peers);
    guests_follow(peers);
    if (peers->reactor->index == 0)
        datagrams_stop(&peers->reactor->server->datagrams);
}

void peers_flush(struct peers *peers)
{
    struct list *item;
    bool left = peers_have_left(peers);
    if (!left && peers->members_changed)
        peers_follow(peers);
    while ((item = list_first(&peers->dirty)) != NULL)
        peer_link_flush(peer_link_of_dirty(item));
    if (left) /* the last that it had to say is on its way: node/epochs/epochs_left.c */
        part(peers);
}

void peers_sweep(struct peers *peers)
{
    guests_sweep(peers);
}

void peers_close(struct peers *peers)
{
    stop_links(peers);
    guests_close(peers);
    if (peers->reactor->index == 0)
        datagrams_stop(&peers->reactor->server->datagrams);
}
