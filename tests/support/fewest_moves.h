/* SPDX-License-Identifier: Apache-2.0 */
/** The fewest replicas that can move, exactly, with zones and balance obeyed.
 *
 *  What a change of members costs is a circulation of replicas of least cost:
 *
 *      sink -> partition -> (partition, zone) -> member -> sink
 *               columns       zone limit         0 or 1    least..most
 *
 *  An edge into a member costs 1 where it did not own the partition before, so the cost of a table
 *  is what must be sent.  Every legal table whose loads lie between `least` and `most` is such a
 *  circulation, and every whole-numbered circulation such a table; with whole capacities one of the
 *  cheapest is whole-numbered.  A circulation is cheapest when its residual graph has no cycle of
 *  negative cost (Klein, "A primal method for minimal cost flows", 1967): the table to be judged is
 *  the first circulation, cycles found by Bellman and Ford are cancelled until there is none, and
 *  the distances that are left then are the proof, which is checked edge by edge.
 *
 *  The planner has no part in it but to deliver the start, which changes how long it takes and not
 *  what comes out. */
#ifndef TESTS_SUPPORT_FEWEST_MOVES_H
#define TESTS_SUPPORT_FEWEST_MOVES_H

#include "tests/support/rows.h"

#include <string.h>

#include "cluster/ring/shares.h"

#define FEWEST_NONE UINT32_MAX

struct fewest {
    uint32_t partitions;
    uint16_t members, zones;
    uint8_t zone_limit;
    const uint16_t *zone_of;
    uint32_t least[RING_MEMBERS_MAX], most[RING_MEMBERS_MAX], loads[RING_MEMBERS_MAX];
    bool *owns, *owned; /* partition * members + member */
    uint8_t *in_zone;   /* partition * zones + zone: replicas there */
    int32_t *distance;  /* by vertex, see below */
    uint32_t *through;  /* vertex -> the one before it on the cheapest way, or FEWEST_NONE */
    uint32_t vertices, sink;
    bool changed;
};

/* Vertices: members, the sink, partitions, then a zone of each partition. */
static inline uint32_t fewest_partition(const struct fewest *f, uint32_t p)
{
    return f->members + 1u + p;
}

static inline uint32_t fewest_zone(const struct fewest *f, uint32_t p, uint16_t zone)
{
    return f->members + 1u + f->partitions + p * f->zones + zone;
}

static inline void fewest_relax(struct fewest *f, uint32_t from, uint32_t to, int32_t cost)
{
    if (f->distance[from] + cost >= f->distance[to])
        return;
    f->distance[to] = f->distance[from] + cost;
    f->through[to] = from;
    f->changed = true;
}

static inline void fewest_relax_partition(struct fewest *f, uint32_t p)
{
    uint32_t partition = fewest_partition(f, p);
    for (uint16_t z = 0; z < f->zones; z++) {
        uint8_t here = f->in_zone[(size_t)p * f->zones + z];
        if (here < f->zone_limit)
            fewest_relax(f, partition, fewest_zone(f, p, z), 0);
        if (here > 0)
            fewest_relax(f, fewest_zone(f, p, z), partition, 0);
    }
    for (uint16_t m = 0; m < f->members; m++) {
        uint32_t zone = fewest_zone(f, p, f->zone_of[m]);
        int32_t cost = !f->owned[(size_t)p * f->members + m];
        if (f->owns[(size_t)p * f->members + m])
            fewest_relax(f, m, zone, -cost);
        else
            fewest_relax(f, zone, m, cost);
    }
}

/* One look at every edge of the residual graph; true when some distance fell. */
static inline bool fewest_pass(struct fewest *f)
{
    f->changed = false;
    for (uint16_t m = 0; m < f->members; m++) {
        if (f->loads[m] < f->most[m])
            fewest_relax(f, m, f->sink, 0);
        if (f->loads[m] > f->least[m])
            fewest_relax(f, f->sink, m, 0);
    }
    for (uint32_t p = 0; p < f->partitions; p++)
        fewest_relax_partition(f, p);
    return f->changed;
}

/* A vertex on a cycle of the ways found so far; FEWEST_NONE when they are a forest. */
static inline uint32_t fewest_find_cycle(const struct fewest *f, uint32_t *marks)
{
    memset(marks, 0xff, f->vertices * sizeof(*marks));
    for (uint32_t start = 0; start < f->vertices; start++) {
        uint32_t v = start;
        while (v != FEWEST_NONE && marks[v] == FEWEST_NONE) {
            marks[v] = start;
            v = f->through[v];
        }
        if (v != FEWEST_NONE && marks[v] == start)
            return v;
    }
    return FEWEST_NONE;
}

/* Send one replica along the edge. */
static inline void fewest_push(struct fewest *f, uint32_t from, uint32_t to)
{
    uint32_t zones_begin = fewest_zone(f, 0, 0), place = from >= zones_begin ? from : to;
    if (from == f->sink || to == f->sink) {
        uint32_t member = from == f->sink ? to : from;
        f->loads[member] += from == f->sink ? UINT32_MAX : 1;
        return;
    }
    uint32_t p = (place - zones_begin) / f->zones;
    if (from < f->members)
        f->owns[(size_t)p * f->members + from] = false;
    else if (to < f->members)
        f->owns[(size_t)p * f->members + to] = true;
    else
        f->in_zone[place - zones_begin] =
            (uint8_t)(f->in_zone[place - zones_begin] + (to == place ? 1 : -1));
}

static inline void fewest_cancel(struct fewest *f, uint32_t on_cycle)
{
    uint32_t v = on_cycle;
    do {
        uint32_t from = f->through[v];
        fewest_push(f, from, v);
        v = from;
    } while (v != on_cycle);
}

static inline uint32_t fewest_cost(const struct fewest *f)
{
    uint32_t cost = 0;
    for (size_t i = 0; i < (size_t)f->partitions * f->members; i++)
        cost += f->owns[i] && !f->owned[i];
    return cost;
}

static inline void fewest_solve(struct fewest *f)
{
    uint32_t *marks = calloc(f->vertices, sizeof(*marks));
    assert_non_null(marks);
    memset(f->through, 0xff, f->vertices * sizeof(*f->through));
    while (fewest_pass(f)) {
        uint32_t on_cycle = fewest_find_cycle(f, marks);
        if (on_cycle == FEWEST_NONE)
            continue;
        fewest_cancel(f, on_cycle);
        memset(f->through, 0xff, f->vertices * sizeof(*f->through));
    }
    free(marks);
}

/* --- from tables ----------------------------------------------------------------------------- */

struct fewest_table {
    const struct member *members; /* all ACTIVE */
    uint16_t count;
    uint32_t partitions;
    uint8_t columns;
    const uint16_t *owners; /* legal */
};

static inline void fewest_bounds(struct fewest *f, const struct fewest_table *after)
{
    uint64_t shares[RING_MEMBERS_MAX];
    struct ring_zones zones;
    double fullest = 1;
    ring_zones_init(&zones, after->members, after->count);
    ring_shares(&zones, after->members, after->count, after->partitions, after->columns,
                f->zone_limit, shares);
    for (uint16_t m = 0; m < after->count; m++) {
        double share = (double)(shares[m] > 0 ? shares[m] : 1) / (1 << SHARE_BITS);
        fullest = f->loads[m] / share > fullest ? f->loads[m] / share : fullest;
    }
    for (uint16_t m = 0; m < after->count; m++) {
        uint64_t exact = shares[m] + 2; /* they were cut off; a whole share is one all the same */
        double share = (double)(shares[m] > 0 ? shares[m] : 1) / (1 << SHARE_BITS);
        f->least[m] = (uint32_t)(exact >> SHARE_BITS);
        f->most[m] = f->least[m] + ((exact & ((1 << SHARE_BITS) - 1)) > 4);
        if (f->most[m] > f->least[m] && f->most[m] / share > fullest * (1 + 1e-9))
            f->most[m]--;
        assert_in_range(f->loads[m], f->least[m], f->most[m]);
    }
}

static inline void fewest_init(struct fewest *f, const struct fewest_table *before,
                               const struct fewest_table *after, const struct ring_zones *zones)
{
    memset(f, 0, sizeof(*f));
    f->partitions = after->partitions;
    f->members = after->count;
    f->zones = zones->count;
    f->zone_of = zones->of;
    f->zone_limit = ring_zone_limit(zones, after->members, after->count, after->columns);
    f->sink = f->members;
    f->vertices = f->members + 1u + f->partitions * (1u + f->zones);
    f->owns = calloc((size_t)f->partitions * f->members, sizeof(*f->owns));
    f->owned = calloc((size_t)f->partitions * f->members, sizeof(*f->owned));
    f->in_zone = calloc((size_t)f->partitions * f->zones, sizeof(*f->in_zone));
    f->distance = calloc(f->vertices, sizeof(*f->distance));
    f->through = calloc(f->vertices, sizeof(*f->through));
    assert_true(f->owns != NULL && f->owned != NULL && f->in_zone != NULL && f->distance != NULL &&
                f->through != NULL);
    for (uint32_t p = 0; p < f->partitions; p++) {
        for (uint8_t c = 0; c < before->columns; c++) {
            uint16_t m = before->owners[(size_t)p * before->columns + c];
            if (m < f->members)
                f->owned[(size_t)p * f->members + m] = true;
        }
        for (uint8_t c = 0; c < after->columns; c++) {
            uint16_t m = after->owners[(size_t)p * after->columns + c];
            f->owns[(size_t)p * f->members + m] = true;
            f->in_zone[(size_t)p * f->zones + f->zone_of[m]]++;
            f->loads[m]++;
        }
    }
}

static inline void fewest_done(struct fewest *f)
{
    free(f->owns);
    free(f->owned);
    free(f->in_zone);
    free(f->distance);
    free(f->through);
}

/** What had to be sent from `before` to `after` (*ret_moves), and the fewest that any legal table
 *  would have cost in which every load is within one of its share, and nobody fuller than the
 *  fullest of `after`; with `same_loads`, in which everybody holds as much as in `after`. */
static inline uint32_t fewest_moves(const struct fewest_table *before,
                                    const struct fewest_table *after, bool same_loads,
                                    uint32_t *ret_moves)
{
    static struct fewest f;
    struct ring_zones zones;
    ring_zones_init(&zones, after->members, after->count);
    fewest_init(&f, before, after, &zones);
    fewest_bounds(&f, after);
    for (uint16_t m = 0; same_loads && m < f.members; m++)
        f.least[m] = f.most[m] = f.loads[m];
    *ret_moves = fewest_cost(&f);
    fewest_solve(&f);
    uint32_t fewest = fewest_cost(&f);
    fewest_done(&f);
    return fewest;
}

#endif
