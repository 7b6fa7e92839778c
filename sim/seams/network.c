/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seams/network.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/planted.h"

enum {
    LOCAL_DELAY_US = 5,           /* between shards of a process */
    RECONNECT_US = 150 * 1000,    /* mean */
    BREAK_AFTER_US = 2000 * 1000, /* of a cut, mean */
    TAIL_LIMIT = 1 << 26,
};

struct frame {
    struct event event;
    struct network *network;
    struct net_address from, to;
    uint32_t generation, life;
    size_t size;
    uint8_t data[];
};

static struct network_link *link_of(struct network *network, uint16_t a, uint16_t b)
{
    assert(a != b);
    return a < b ? &network->links[a][b] : &network->links[b][a];
}

/* --- frames ---------------------------------------------------------------------------------- */

static void frame_free(struct frame *frame)
{
    frame->network->frames_in_flight--;
    free(frame);
}

static void frame_drop(struct event *event)
{
    frame_free(LIST_ENTRY(event, struct frame, event));
}

static bool still_arrives(struct network *network, const struct frame *frame)
{
    uint16_t from = frame->from.member, to = frame->to.member;
    if (!network->running[to] || frame->life != network->life[to])
        return false;
    return from == to || frame->generation == link_of(network, from, to)->generation;
}

static void damaged(struct network *network, const struct frame *frame)
{
    PROBE("network: a damaged frame ended its link");
    network_break(network, frame->from.member, frame->to.member);
}

static void frame_arrive(struct event *event)
{
    struct frame *frame = LIST_ENTRY(event, struct frame, event);
    struct network *network = frame->network;
    if (!still_arrives(network, frame)) {
        frame_free(frame);
        return;
    }
    struct message message;
    size_t size;
    kvorum_status status =
        frame_decode(bytes_make(frame->data, frame->size), TAIL_LIMIT, &message, &size);
    if (status == KVORUM_OK) {
        assert(size == frame->size);
        world_trace(network->world, "n%u.%u <- n%u.%u %s %llx", frame->to.member, frame->to.shard,
                    frame->from.member, frame->from.shard, message_kind_name(message.kind),
                    (unsigned long long)message.request_id);
        network->events->receive(network->context, frame->to, frame->from, &message);
    } else
        damaged(network, frame);
    frame_free(frame);
}

static struct frame *make_frame(struct network *network, struct net_address from,
                                struct net_address to)
{
    struct bytes data = buffer_bytes(&network->scratch);
    struct frame *frame = malloc(sizeof(*frame) + data.size);
    if (frame == NULL)
        abort();
    *frame = (struct frame){ .network = network, .from = from, .to = to, .size = data.size };
    memcpy(frame->data, data.data, data.size);
    event_init(&frame->event, network->gates[to.member], frame_arrive);
    frame->event.drop = frame_drop;
    frame->life = network->life[to.member];
    if (from.member != to.member)
        frame->generation = link_of(network, from.member, to.member)->generation;
    network->frames_in_flight++;
    return frame;
}

static uint64_t arrival(struct network *network, struct net_address from, struct net_address to)
{
    uint64_t now = network->world->now_us;
    if (from.member == to.member)
        return now + 1 + choose(network->world, 2 * LOCAL_DELAY_US);
    struct network_lane *lane = &network->lanes[from.member][to.member];
    uint64_t at = now + 1 + choose_delay(network->world, network->faults.delay_us);
    if (at < lane->clogged_until_us)
        at = lane->clogged_until_us;
    if (!network->faults.reordering && at <= lane->last_delivery_us)
        at = lane->last_delivery_us;
    lane->last_delivery_us = at > lane->last_delivery_us ? at : lane->last_delivery_us;
    return at;
}

static void transmit(struct network *network, struct net_address from, struct net_address to)
{
    struct frame *frame = make_frame(network, from, to);
    if (from.member != to.member && choose_chance(network->world, network->faults.corruption)) {
        unsigned bit = 1u << choose(network->world, 8);
        frame->data[choose(network->world, frame->size)] ^= bit;
    }
    world_at(network->world, &frame->event, arrival(network, from, to));
}

static bool vanishes(struct network *network, uint16_t from, uint16_t to)
{
    if (from == to)
        return false;
    return network->lanes[from][to].cut || choose_chance(network->world, network->faults.loss);
}

/* A forwarded write is not idempotent, and a link never doubles frames by itself; the others are
 * harmless twice, as base/net.h demands. */
static bool doubles(struct network *network, uint16_t from, uint16_t to, uint8_t kind)
{
    return from != to && kind != MESSAGE_FORWARD &&
           choose_chance(network->world, network->faults.duplication);
}

bool network_send(struct network *network, struct net_address from, struct net_address to,
                  const struct message *message)
{
    assert(to.member < network->member_count);
    if (!network->running[from.member])
        return false; /* the last moments of a process that has lost its power */
    bool remote = from.member != to.member;
    if (remote && !link_of(network, from.member, to.member)->up)
        return false;
    buffer_reset(&network->scratch);
    frame_encode(message, &network->scratch);
    if (network->scratch.failed)
        abort();
    network->frames_sent++;
    uint64_t checksum;
    memcpy(&checksum, network->scratch.data + 32, sizeof(checksum));
    world_mix(network->world, checksum, (uint64_t)from.member << 32 | to.member);
    world_trace(network->world, "n%u.%u -> n%u.%u %s %llx (%zu B)", from.member, from.shard,
                to.member, to.shard, message_kind_name(message->kind),
                (unsigned long long)message->request_id, network->scratch.size);
    network->events->watch(network->context, message);
    if (!vanishes(network, from.member, to.member))
        transmit(network, from, to);
    if (doubles(network, from.member, to.member, message->kind)) {
        PROBE("network: frame doubled");
        transmit(network, from, to);
    }
    return true;
}

/* --- datagrams ------------------------------------------------------------------------------- */

struct datagram {
    struct event event;
    struct network *network;
    uint16_t from, to;
    uint32_t life;
    size_t size;
    uint8_t data[];
};

static void datagram_drop(struct event *event)
{
    struct datagram *datagram = LIST_ENTRY(event, struct datagram, event);
    datagram->network->frames_in_flight--;
    free(datagram);
}

/* One that was meant for an earlier life is dropped here: a port is not quite as quick to be
 * bound again.  What comes late of an earlier life of its sender does arrive. */
static void datagram_arrive(struct event *event)
{
    struct datagram *datagram = LIST_ENTRY(event, struct datagram, event);
    struct network *network = datagram->network;
    if (network->running[datagram->to] && datagram->life == network->life[datagram->to]) {
        world_trace(network->world, "n%u <~ n%u datagram (%zu B)", datagram->to, datagram->from,
                    datagram->size);
        network->events->receive_datagram(network->context, datagram->to,
                                          bytes_make(datagram->data, datagram->size));
    }
    datagram_drop(event);
}

static void throw_datagram(struct network *network, uint16_t from, uint16_t to, struct bytes data)
{
    struct datagram *datagram = malloc(sizeof(*datagram) + data.size);
    if (datagram == NULL)
        abort();
    *datagram = (struct datagram){
        .network = network, .from = from, .to = to, .life = network->life[to], .size = data.size
    };
    memcpy(datagram->data, data.data, data.size);
    event_init(&datagram->event, network->gates[to], datagram_arrive);
    datagram->event.drop = datagram_drop;
    network->frames_in_flight++;
    uint64_t at =
        network->world->now_us + 1 + choose_delay(network->world, network->faults.delay_us);
    if (at < network->lanes[from][to].clogged_until_us)
        at = network->lanes[from][to].clogged_until_us;
    world_at(network->world, &datagram->event, at);
}

bool network_send_datagram(struct network *network, uint16_t from, uint16_t to, struct bytes data)
{
    assert(to < network->member_count && from != to && data.size <= NET_DATAGRAM_MAX);
    if (!network->running[from])
        return false;
    network->frames_sent++;
    world_mix(network->world, hash64(data, 0), (uint64_t)from << 32 | to);
    if (!vanishes(network, from, to) && !choose_chance(network->world, network->faults.corruption))
        throw_datagram(network, from, to, data);
    if (!network->lanes[from][to].cut &&
        choose_chance(network->world, network->faults.duplication)) {
        PROBE("network: datagram doubled");
        throw_datagram(network, from, to, data);
    }
    return true;
}

/* --- links ----------------------------------------------------------------------------------- */

static void tell(struct network *network, uint16_t to, uint16_t member, bool refused)
{
    if (!network->running[to])
        return;
    world_trace(network->world, "n%u: link to n%u %s", to, member, refused ? "refused" : "lost");
    network->events->link_lost(network->context, to, member, refused);
}

static bool reachable(const struct network *network, const struct network_link *link)
{
    return network->running[link->a] && network->running[link->b] &&
           !network->lanes[link->a][link->b].cut && !network->lanes[link->b][link->a].cut;
}

static void refuse(struct network *network, uint16_t from, uint16_t to)
{
    if (!network->running[to] && !network->host_silent[to] && !network->lanes[from][to].cut &&
        !network->lanes[to][from].cut)
        tell(network, from, to, true);
}

static void retry(struct network *network, struct network_link *link, uint64_t mean_us)
{
    world_cancel(network->world, &link->event);
    world_after(network->world, &link->event, 1 + choose_delay(network->world, mean_us));
}

static void try_to_connect(struct network *network, struct network_link *link)
{
    if (reachable(network, link)) {
        link->up = true;
        world_trace(network->world, "link n%u - n%u up", link->a, link->b);
        return;
    }
    refuse(network, link->a, link->b);
    refuse(network, link->b, link->a);
    retry(network, link, RECONNECT_US);
}

static void link_run(struct event *event)
{
    struct network_link *link = LIST_ENTRY(event, struct network_link, event);
    struct network *network = link->network;
    if (link->up)
        network_break(network, link->a, link->b);
    else
        try_to_connect(network, link);
}

void network_break(struct network *network, uint16_t a, uint16_t b)
{
    struct network_link *link = link_of(network, a, b);
    if (!link->up)
        return;
    link->up = false;
    link->generation++;
    tell(network, a, b, false);
    tell(network, b, a, false);
    retry(network, link, RECONNECT_US);
}

void network_stopped(struct network *network, uint16_t member, bool silent)
{
    network->running[member] = false;
    network->host_silent[member] = silent;
    for (uint16_t other = 0; other < network->member_count; other++) {
        if (other == member)
            continue;
        struct network_link *link = link_of(network, member, other);
        link->generation++;
        if (link->up && !silent)
            retry(network, link, network->faults.delay_us); /* then it breaks */
    }
}

void network_started(struct network *network, uint16_t member)
{
    network->running[member] = true;
    network->host_silent[member] = false;
    network->life[member]++;
    for (uint16_t other = 0; other < network->member_count; other++) {
        if (other == member)
            continue;
        struct network_link *link = link_of(network, member, other);
        network_break(network, member,
                      other); /* the old one, which the other side may still hold */
        retry(network, link, network->faults.delay_us);
    }
}

void network_cut(struct network *network, uint16_t from, uint16_t to)
{
    struct network_link *link = link_of(network, from, to);
    network->lanes[from][to].cut = true;
    if (link->up && !event_is_set(&link->event))
        retry(network, link, BREAK_AFTER_US);
}

void network_clog(struct network *network, uint16_t from, uint16_t to, uint64_t until_us)
{
    network->lanes[from][to].clogged_until_us = until_us;
}

/* What waits in a clogged lane is lost with its link, or it would wait for the clog's old end. */
static void unclog(struct network *network, uint16_t from, uint16_t to)
{
    struct network_lane *lane = &network->lanes[from][to];
    if (lane->clogged_until_us > network->world->now_us)
        network_break(network, from, to);
    lane->clogged_until_us = 0;
    lane->last_delivery_us = 0;
}

void network_heal(struct network *network)
{
    for (uint16_t a = 0; a < network->member_count; a++) {
        for (uint16_t b = 0; b < network->member_count; b++) {
            network->lanes[a][b].cut = false;
            unclog(network, a, b);
        }
    }
}

void network_init(struct network *network, struct world *world, uint16_t member_count,
                  const struct network_events *events, void *context)
{
    *network = (struct network){
        .world = world, .events = events, .context = context, .member_count = member_count
    };
    buffer_init(&network->scratch, TAIL_LIMIT);
    network->faults.delay_us = 500;
    for (uint16_t a = 0; a < member_count; a++) {
        for (uint16_t b = a + 1; b < member_count; b++) {
            struct network_link *link = &network->links[a][b];
            *link = (struct network_link){ .network = network, .a = a, .b = b };
            event_init(&link->event, NULL, link_run);
        }
    }
}

void network_done(struct network *network)
{
    for (uint16_t a = 0; a < network->member_count; a++) {
        for (uint16_t b = a + 1; b < network->member_count; b++)
            world_cancel(network->world, &network->links[a][b].event);
    }
    buffer_done(&network->scratch);
}
