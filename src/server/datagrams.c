/* SPDX-License-Identifier: Apache-2.0 */
#include "server/datagrams.h"

#include "server/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static_assert((int)NET_DATAGRAM_MAX == (int)GOSSIP_PACKET_MAX &&
                  (int)DATAGRAM_SIZE_MAX == (int)GOSSIP_DATAGRAM_MAX,
              "what the node makes fits");

enum { RESOLVE_AGAIN_MS = 60 * 1000, RESOLVE_RETRY_MS = 2000 };

struct datagram_peer {
    char text[RING_ADDRESS_MAX + 1]; /* as in the epoch; "": never looked at */
    struct sockaddr_storage address;
    bool known, resolving;
    uint64_t resolve_at_ms; /* a name's; UINT64_MAX: it is a number */
};

/* --- addresses -------------------------------------------------------------------------------- */

struct resolving {
    uv_getaddrinfo_t request;
    struct datagrams *datagrams;
    uint16_t slot;
    char text[RING_ADDRESS_MAX + 1];
};

static uint64_t now_ms(const struct datagrams *datagrams)
{
    return reactor_now_ms(datagrams->server->reactors[0]);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct resolving *resolving = LIST_ENTRY(request, struct resolving, request);
    struct datagrams *datagrams = resolving->datagrams;
    struct datagram_peer *peer = NULL;
    if (!datagrams->closing && resolving->slot < datagrams->count)
        peer = &datagrams->peers[resolving->slot];
    if (peer != NULL && strcmp(peer->text, resolving->text) == 0) {
        bool resolved = status == 0 && found != NULL;
        if (resolved)
            memcpy(&peer->address, found->ai_addr, found->ai_addrlen);
        peer->known |= resolved;
        peer->resolving = false;
        peer->resolve_at_ms = now_ms(datagrams) + (resolved ? RESOLVE_AGAIN_MS : RESOLVE_RETRY_MS);
    }
    uv_freeaddrinfo(found);
    free(resolving);
}

static void resolve(struct datagrams *datagrams, uint16_t slot, const char *host, uint16_t port)
{
    struct datagram_peer *peer = &datagrams->peers[slot];
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    char service[8];
    struct resolving *resolving = calloc(1, sizeof(*resolving));
    if (resolving == NULL)
        return;
    resolving->datagrams = datagrams;
    resolving->slot = slot;
    memcpy(resolving->text, peer->text, sizeof(peer->text));
    snprintf(service, sizeof(service), "%u", port);
    peer->resolve_at_ms = now_ms(datagrams) + RESOLVE_RETRY_MS;
    peer->resolving = uv_getaddrinfo(&datagrams->server->reactors[0]->loop, &resolving->request,
                                     on_resolved, host, service, &hints) == 0;
    if (!peer->resolving)
        free(resolving);
}

static void look_up(struct datagrams *datagrams, uint16_t slot)
{
    struct datagram_peer *peer = &datagrams->peers[slot];
    char host[256];
    uint16_t port;
    if (!config_split_address(peer->text, host, sizeof(host), &port)) {
        peer->resolve_at_ms = UINT64_MAX;
        return;
    }
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&peer->address) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&peer->address) == 0) {
        peer->known = true;
        peer->resolve_at_ms = UINT64_MAX;
        return;
    }
    resolve(datagrams, slot, host, port);
}

static const struct epoch *epoch_in_force(const struct datagrams *datagrams)
{
    return reactor_epoch(datagrams->server->reactors[0]);
}

/* NULL: not known (yet). */
static const struct sockaddr *address_of(struct datagrams *datagrams, uint16_t slot)
{
    struct datagram_peer *peer = &datagrams->peers[slot];
    struct member member;
    address_book_member(&datagrams->server->addresses, epoch_in_force(datagrams), slot, &member);
    if (strcmp(peer->text, member.address) != 0) {
        *peer = (struct datagram_peer){ 0 };
        memcpy(peer->text, member.address, sizeof(peer->text));
    }
    if (!peer->resolving && now_ms(datagrams) >= peer->resolve_at_ms)
        look_up(datagrams, slot);
    return peer->known ? (const struct sockaddr *)&peer->address : NULL;
}

bool datagrams_members_changed(struct datagrams *datagrams)
{
    uint16_t count = epoch_in_force(datagrams)->member_count;
    struct datagram_peer *peers = calloc(count, sizeof(*peers));
    if (peers == NULL)
        return false;
    free(datagrams->peers);
    datagrams->peers = peers;
    datagrams->count = count;
    return true;
}

/* --- out and in ------------------------------------------------------------------------------- */

bool datagrams_send(struct datagrams *datagrams, uint16_t member, struct bytes packet)
{
    uint8_t mac[SIGNATURE_SIZE];
    if (!datagrams->open || datagrams->closing || member >= datagrams->count ||
        packet.size > NET_DATAGRAM_MAX)
        return false;
    const struct sockaddr *to = address_of(datagrams, member);
    if (to == NULL || !signature_make(datagrams->signature, packet, mac))
        return false;
    const uv_buf_t parts[] = { { (char *)(uintptr_t)packet.data, packet.size },
                               { (char *)mac, sizeof(mac) } };
    return uv_udp_try_send(&datagrams->socket, parts, 2, to) >= 0;
}

static void refuse(struct datagrams *datagrams, const struct sockaddr *from, const char *why)
{
    char host[64] = "";
    uint64_t before = atomic_fetch_add(&datagrams->refused, 1);
    if (before % 1000 != 0)
        return;
    if (from->sa_family == AF_INET6)
        uv_ip6_name((const struct sockaddr_in6 *)from, host, sizeof(host));
    else
        uv_ip4_name((const struct sockaddr_in *)from, host, sizeof(host));
    log_warn(datagrams->server->log, "a datagram was refused", LOG_TEXT("from", host),
             LOG_TEXT("why", why), LOG_U64("refused", before + 1),
             LOG_TEXT("next", "all members need the same [cluster] key_file"));
}

static void on_received(uv_udp_t *socket, ssize_t size, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct datagrams *datagrams = socket->data;
    struct node *node = datagrams->server->reactors[0]->node;
    if (size < 0 || from == NULL || node == NULL)
        return;
    struct bytes packet = bytes_make(buffer->base, (size_t)size);
    if ((flags & UV_UDP_PARTIAL) != 0 || packet.size > DATAGRAM_SIZE_MAX ||
        packet.size <= SIGNATURE_SIZE) {
        refuse(datagrams, from, "its size");
        return;
    }
    packet.size -= SIGNATURE_SIZE;
    if (signature_matches(datagrams->signature, packet, packet.data + packet.size))
        node_receive_datagram(node, packet);
    else
        refuse(datagrams, from, "its signature");
}

static void on_allocate(uv_handle_t *socket, size_t suggested, uv_buf_t *ret_buffer)
{
    struct datagrams *datagrams = socket->data;
    (void)suggested;
    *ret_buffer = uv_buf_init(datagrams->received, sizeof(datagrams->received));
}

/* --- life ------------------------------------------------------------------------------------- */

static struct bytes key_of(const struct server *server)
{
    return server->key.size > 0
               ? bytes_make(server->key.bytes, server->key.size)
               : bytes_make(server->epoch.cluster.bytes, sizeof(server->epoch.cluster.bytes));
}

static bool open_socket(struct datagrams *datagrams, int descriptor)
{
    uv_udp_init(&datagrams->server->reactors[0]->loop, &datagrams->socket);
    datagrams->socket.data = datagrams;
    datagrams->open = true;
    return uv_udp_open(&datagrams->socket, descriptor) == 0 &&
           uv_udp_recv_start(&datagrams->socket, on_allocate, on_received) == 0;
}

bool datagrams_start(struct datagrams *datagrams, struct server *server)
{
    datagrams->server = server;
    if (server->listeners.datagrams < 0)
        return true; /* alone, without a peer port */
    datagrams->signature = signature_create(key_of(server));
    if (datagrams->signature == NULL || !datagrams_members_changed(datagrams))
        return false;
    int descriptor = server->listeners.datagrams;
    server->listeners.datagrams = -1; /* the handle's now */
    return open_socket(datagrams, descriptor);
}

void datagrams_stop(struct datagrams *datagrams)
{
    datagrams->closing = true;
    if (datagrams->open)
        uv_close((uv_handle_t *)&datagrams->socket, NULL);
    datagrams->open = false;
}

void datagrams_done(struct datagrams *datagrams)
{
    datagrams->signature = signature_destroy(datagrams->signature);
    free(datagrams->peers);
    datagrams->peers = NULL;
}
