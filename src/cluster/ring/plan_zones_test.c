/* SPDX-License-Identifier: Apache-2.0 */
/* One replica a zone while there are as many zones as replicas: in every table that is planned, for
 * clusters of any shape that come about by chance, afresh and from any table before. */
#include "cluster/ring/ring.h"

#include <stdio.h>

#include "base/random.h"
#include "tests/support/rows.h"

enum { MEMBERS = 24, PARTITIONS = 64, ARENA = 4 << 20 };

struct row {
    const char *name;
    uint16_t zones;         /* at most */
    uint32_t weight_max;    /* 1..weight_max each */
    uint32_t changes, runs; /* planned one after the other, each from the one before */
};

static const struct row rows[] = {
    { "equal weights, zones of any size", 6, 1, 6, 300 },
    { "weights up to a hundred to one", 6, 100, 6, 300 },
    { "one giant among dwarfs, wherever it is", 4, 10000, 6, 300 },
    { "a zone for nearly each", MEMBERS, 10, 6, 300 },
    { "hardly enough zones", 3, 100, 12, 300 },
};

struct cluster {
    struct random random;
    struct member members[MEMBERS];
    uint16_t count;
    uint16_t tables[2][PARTITIONS * RING_REPLICAS_MAX];
};

static void change_one(struct cluster *cluster, const struct row *row, uint16_t i)
{
    struct member *member = &cluster->members[i];
    snprintf(member->zone, sizeof(member->zone), "z%u",
             (unsigned)random_below(&cluster->random, row->zones));
    member->weight = 1 + (uint32_t)random_below(&cluster->random, row->weight_max);
    member->state = random_below(&cluster->random, 5) == 0 ? MEMBER_LEAVING : MEMBER_ACTIVE;
}

/* Zones with a member that may own anything. */
static uint16_t zones_of(const struct cluster *cluster, uint16_t *ret_active)
{
    uint16_t zones = 0;
    *ret_active = 0;
    for (uint16_t i = 0; i < cluster->count; i++) {
        bool is_first = cluster->members[i].state == MEMBER_ACTIVE;
        *ret_active += is_first;
        for (uint16_t j = 0; j < i; j++)
            is_first &= cluster->members[j].state != MEMBER_ACTIVE ||
                        strcmp(cluster->members[i].zone, cluster->members[j].zone) != 0;
        zones += is_first;
    }
    return zones;
}

static void check_row(const struct cluster *cluster, const uint16_t *owners, uint8_t columns,
                      bool one_each)
{
    for (uint8_t a = 0; a < columns; a++) {
        assert_int_equal(cluster->members[owners[a]].state, MEMBER_ACTIVE);
        for (uint8_t b = 0; b < a; b++) {
            assert_int_not_equal(owners[a], owners[b]);
            if (one_each)
                assert_string_not_equal(cluster->members[owners[a]].zone,
                                        cluster->members[owners[b]].zone);
        }
    }
}

/* Returns the columns of the table. */
static uint8_t plan(struct cluster *cluster, uint8_t replicas, const uint16_t *previous,
                    uint16_t *table, struct arena *arena)
{
    const char *why = NULL;
    uint16_t active, zones = zones_of(cluster, &active);
    uint8_t columns = replicas < active ? replicas : (uint8_t)active;
    struct ring_plan_input input = { cluster->members, cluster->count, PARTITIONS, replicas,
                                     previous };
    arena_reset(arena);
    assert_int_equal(ring_plan(&input, arena, table, &why), KVORUM_OK);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        check_row(cluster, table + (size_t)p * columns, columns, zones >= columns);
    return columns;
}

static void run_once(struct cluster *cluster, const struct row *row, struct arena *arena)
{
    uint8_t replicas = (uint8_t)(1 + random_below(&cluster->random, 5)), columns = 0;
    cluster->count = (uint16_t)(1 + random_below(&cluster->random, MEMBERS));
    for (uint16_t i = 0; i < cluster->count; i++)
        change_one(cluster, row, i);
    for (uint32_t step = 0; step < row->changes; step++) {
        uint16_t active;
        cluster->members[0].state = MEMBER_ACTIVE;
        zones_of(cluster, &active);
        uint8_t next = replicas < active ? replicas : (uint8_t)active;
        const uint16_t *previous = next == columns ? cluster->tables[step % 2] : NULL;
        columns = plan(cluster, replicas, previous, cluster->tables[(step + 1) % 2], arena);
        for (uint32_t i = 0; i < 3; i++)
            change_one(cluster, row, (uint16_t)random_below(&cluster->random, cluster->count));
    }
}

static void check(const void *data)
{
    static struct cluster cluster;
    const struct row *row = data;
    struct arena arena;
    arena_init(&arena, ARENA);
    for (uint32_t run = 0; run < row->runs; run++) {
        memset(&cluster, 0, sizeof(cluster));
        random_init(&cluster.random, run + 1);
        run_once(&cluster, row, &arena);
    }
    arena_done(&arena);
}

int main(void)
{
    return RUN_ROWS("one replica a zone", rows, check);
}
