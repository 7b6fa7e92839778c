/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/streams.h"

/* The first n places of both rows, or fewer where a row is shorter. */
struct prefix {
    const uint16_t *from, *to;
    uint8_t from_count, to_count;
};

static struct prefix prefix_of(const struct epoch *epoch, const struct move *move, uint8_t n)
{
    struct prefix prefix = { ring_row(epoch, move->partition), move->to, 0, 0 };
    uint8_t from = ring_row_size(epoch, prefix.from), to = ring_row_size(epoch, prefix.to);
    prefix.from_count = n < from ? n : from;
    prefix.to_count = n < to ? n : to;
    return prefix;
}

static int place_in(const uint16_t *row, uint8_t count, uint16_t member)
{
    for (uint8_t i = 0; i < count; i++)
        if (row[i] == member)
            return i;
    return -1;
}

static uint32_t below(uint8_t count)
{
    return (UINT32_C(1) << count) - 1;
}

/* Places of `from` that do not go on in `to`. */
static uint32_t leaving(const struct prefix *prefix)
{
    uint32_t places = 0;
    for (uint8_t i = 0; i < prefix->from_count; i++)
        if (place_in(prefix->to, prefix->to_count, prefix->from[i]) < 0)
            places |= 1u << i;
    return places;
}

/* How many newcomers stand before `member` in the new row; -1: it is none. */
static int newcomer_rank(const struct prefix *prefix, uint16_t member)
{
    int rank = 0;
    for (uint8_t i = 0; i < prefix->to_count; i++) {
        if (place_in(prefix->from, prefix->from_count, prefix->to[i]) >= 0)
            continue;
        if (prefix->to[i] == member)
            return rank;
        rank++;
    }
    return -1;
}

static int newcomer_count(const struct prefix *prefix)
{
    int count = 0;
    for (uint8_t i = 0; i < prefix->to_count; i++)
        count += place_in(prefix->from, prefix->from_count, prefix->to[i]) < 0;
    return count;
}

static uint32_t drop_lowest(uint32_t places, int count)
{
    while (count-- > 0)
        places &= places - 1;
    return places;
}

/* What one prefix asks of a receiver. */
struct need {
    uint32_t place;  /* of him whose place it takes, 0: there is none */
    uint32_t owners; /* who have it all between them */
    uint32_t all;    /* whose streams must come in any case */
};

/* The k-th newcomer takes the place of the k-th who leaves.  Where more leave than come, what they
 * alone may hold goes to everybody who stays. */
static struct need need_of(const struct prefix *prefix, uint16_t receiver)
{
    struct need need = { 0 };
    uint32_t places = leaving(prefix);
    int rank = newcomer_rank(prefix, receiver);
    if (rank >= 0) {
        uint32_t from = drop_lowest(places, rank);
        need.place = from & -from;
        need.owners = below(prefix->from_count);
    }
    bool stays = place_in(prefix->to, prefix->to_count, receiver) >= 0;
    if (stays)
        need.all = drop_lowest(places, newcomer_count(prefix));
    return need;
}

static bool needs_nothing(const struct need *need)
{
    return need->owners == 0 && need->all == 0;
}

bool handoff_needs(const struct epoch *epoch, const struct move *move, uint16_t receiver, uint8_t n)
{
    struct prefix prefix = prefix_of(epoch, move, n);
    struct need need = need_of(&prefix, receiver);
    return !needs_nothing(&need);
}

uint8_t handoff_receivers(const struct epoch *epoch, const struct move *move,
                          uint16_t ret_receivers[RING_REPLICAS_MAX])
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < ring_row_size(epoch, move->to); i++) {
        bool receives = false;
        for (uint8_t n = 1; n <= epoch->replica_count; n++)
            receives |= handoff_needs(epoch, move, move->to[i], n);
        if (receives)
            ret_receivers[count++] = move->to[i];
    }
    return count;
}

uint32_t handoff_sources(const struct epoch *epoch, const struct move *move, uint16_t receiver,
                         uint32_t lost)
{
    uint32_t sources = 0;
    for (uint8_t n = 1; n <= epoch->replica_count; n++) {
        struct prefix prefix = prefix_of(epoch, move, n);
        struct need need = need_of(&prefix, receiver);
        bool from_one = (need.place & ~lost) != 0;
        sources |= need.all | (from_one ? need.place : need.owners);
    }
    return sources & ~lost;
}

bool handoff_received(const struct epoch *epoch, const struct move *move, uint16_t receiver,
                      uint32_t received, uint8_t w)
{
    for (uint8_t n = 1; n <= epoch->replica_count; n++) {
        struct prefix prefix = prefix_of(epoch, move, n);
        struct need need = need_of(&prefix, receiver);
        int owners = __builtin_popcount(received & need.owners);
        int enough = prefix.from_count - (w < prefix.from_count ? w : prefix.from_count) + 1;
        bool taken = need.owners == 0 || (received & need.place) != 0 || owners >= enough;
        if (!taken || (need.all & ~received) != 0)
            return false;
    }
    return true;
}

bool handoff_session_open(const struct epoch *epoch, uint32_t partition, uint64_t session)
{
    const struct move *move = ring_move_of(epoch, partition);
    return move != NULL && move->session == session;
}

uint32_t handoff_place(const struct epoch *epoch, uint32_t partition, uint16_t member)
{
    const uint16_t *row = ring_row(epoch, partition);
    int place = place_in(row, ring_row_size(epoch, row), member);
    return place < 0 ? 0 : 1u << place;
}
