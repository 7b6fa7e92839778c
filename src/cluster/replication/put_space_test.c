/* SPDX-License-Identifier: Apache-2.0 */
/* Every order of every event, for every small write: all states that can be reached are visited,
 * and what the machine says on the way is held to a record of what really happened, kept beside it.
 * */
#include "cluster/replication/put.h"

#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { DEADLINE_US = 1000, EVENTS_MAX = 96 };

/* Of the row that is explored: a letter for each place, 'a' is the coordinator's. */
static const char *zone_letters;
static uint8_t zone_count;

/* The truth: what went out and came back, and what was said. */
struct world {
    struct put put;
    uint8_t sent, acked, durable, refused;
    uint32_t set, other_set; /* while moving: who counts where */
    bool replied, finished;
    kvorum_status status;
};

struct search {
    struct visited visited;
    struct put_event events[EVENTS_MAX];
    uint32_t event_count;
    uint64_t steps;
};

static void add_event(struct search *search, enum put_event_kind kind, uint8_t target, bool durable,
                      bool refused)
{
    for (uint64_t now_us = 1; now_us <= DEADLINE_US; now_us += DEADLINE_US - 1) {
        assert_true(search->event_count < EVENTS_MAX);
        search->events[search->event_count++] =
            (struct put_event){ now_us, kind, target, durable, refused };
    }
}

/* Answers also come from a target that does not exist. */
static void make_events(struct search *search, uint8_t target_count)
{
    search->event_count = 0;
    add_event(search, PUT_START, 0, false, false);
    add_event(search, PUT_TICK, 0, false, false);
    for (uint8_t target = 0; target <= target_count; target++) {
        add_event(search, PUT_ACK, target, true, false);
        add_event(search, PUT_ACK, target, false, false);
        add_event(search, PUT_FAILED, target, false, true);
        add_event(search, PUT_FAILED, target, false, false);
    }
}

static uint64_t key_of(const struct world *world)
{
    const struct put *put = &world->put;
    uint64_t key = 1;
    const uint64_t parts[] = { put->state,      put->sent,
                               put->acked,      put->durable,
                               put->failed,     put->refused,
                               put->next_spare, put->set,
                               put->other_set,  world->sent,
                               world->acked,    world->durable,
                               world->refused,  world->replied | (world->status == KVORUM_OK) << 1,
                               world->finished };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        assert_true(parts[i] < 16);
        key = key << 4 | parts[i]; /* 15 parts and the one before them: 64 bits */
    }
    return key;
}

static uint8_t count_of(uint32_t set)
{
    return (uint8_t)__builtin_popcount(set);
}

static char zone_of(uint8_t target)
{
    return target < zone_count ? zone_letters[target] : '-'; /* spares are no replicas anywhere */
}

static bool zone_answered(uint32_t answered, uint32_t places, char zone)
{
    uint8_t there = 0, have = 0;
    for (uint8_t i = 0; i < zone_count; i++) {
        bool counts = zone_of(i) == zone && (places >> i & 1);
        there += counts;
        have += counts && (answered >> i & 1);
    }
    return 2 * have > there || there == 0;
}

static bool zones_answered(uint8_t level, uint32_t answered, uint32_t places)
{
    if (level == ZONE_LEVEL_NONE)
        return true;
    if (level == ZONE_LEVEL_LOCAL)
        return zone_answered(answered, places, 'a');
    return zone_answered(answered, places, 'a') && zone_answered(answered, places, 'b') &&
           zone_answered(answered, places, 'c');
}

static bool zones_met_in(const struct world *world, const struct quorum *quorum, uint32_t set)
{
    const struct level_zones *levels = &quorum->zones;
    return zones_answered(levels->w, world->acked, set) &&
           zones_answered(levels->pw, world->acked, set) &&
           zones_answered(levels->dw, world->durable, set);
}

static bool is_met_in(const struct world *world, const struct quorum *quorum, uint32_t set)
{
    return zones_met_in(world, quorum, set) && count_of(world->acked & set) >= quorum->w &&
           count_of(world->acked & set) >= quorum->node_confirms &&
           count_of(world->durable & set) >= quorum->dw &&
           count_of(world->acked & set & world->put.owners) >= quorum->pw;
}

static bool is_met(const struct world *world)
{
    return is_met_in(world, &world->put.quorum, world->set) &&
           (world->other_set == 0 || is_met_in(world, &world->put.other, world->other_set));
}

static uint8_t places_of(const struct put *put)
{
    return put->other_set != 0 ? put->places : put->quorum.n;
}

static void stand_in(struct world *world, uint32_t spare, uint32_t place)
{
    if ((world->set & place) != 0)
        world->set |= spare;
    if ((world->other_set & place) != 0)
        world->other_set |= spare;
}

/* Spares take the places of those that are down, in order, and later of those that fail. */
static void record_spares(struct world *world, const struct put_event *event, uint32_t send)
{
    uint32_t spares = send & ~((1u << places_of(&world->put)) - 1);
    uint32_t places = 1u << event->target;
    if (event->kind == PUT_START)
        places = world->put.unreachable & ((1u << places_of(&world->put)) - 1);
    for (; spares != 0; spares &= spares - 1, places &= places - 1)
        stand_in(world, spares & -spares, places & -places);
    assert_true(world->other_set == 0 || world->set == world->put.set);
    assert_int_equal(world->other_set, world->put.other_set);
}

static bool may_be_held(const struct world *world)
{
    return (world->acked | (world->sent & ~world->refused)) != 0;
}

static void record_event(struct world *world, const struct put_event *event)
{
    uint8_t target = (uint8_t)((1u << event->target) & world->sent);
    if (event->kind == PUT_ACK) {
        world->acked |= target;
        world->durable |= event->durable ? target : 0;
    } else if (event->kind == PUT_FAILED && event->refused) {
        world->refused |= target;
    }
}

static void check_sends(const struct world *world, uint32_t send)
{
    const struct put *put = &world->put;
    assert_int_equal(send & world->sent, 0); /* nobody twice */
    assert_int_equal(send & put->unreachable, 0);
    assert_int_equal(send >> put->target_count, 0);
    if (!put->quorum.sloppy)
        assert_int_equal(send >> places_of(put), 0);
    if (world->replied)
        assert_int_equal(send == 0 || world->status == KVORUM_OK, true);
}

static void check_reply(struct world *world, const struct put_effects *effects)
{
    assert_false(world->replied); /* exactly once */
    world->replied = true;
    world->status = effects->status;
    assert_int_equal(effects->status == KVORUM_OK, is_met(world));
    if (effects->status == KVORUM_UNAVAILABLE)
        assert_false(may_be_held(world));
    else if (effects->status != KVORUM_OK)
        assert_int_equal(effects->status, KVORUM_TIMEOUT);
    if (effects->status == KVORUM_TIMEOUT)
        assert_true(may_be_held(world));
}

static void check_finish(struct world *world, const struct put_event *event)
{
    assert_false(world->finished);
    world->finished = true;
    assert_true(world->replied);
    uint32_t silent = world->put.sent & ~world->put.acked & ~world->put.failed;
    assert_true(silent == 0 || event->now_us >= DEADLINE_US);
}

static void check_step(struct world *world, const struct put_event *event,
                       const struct put_effects *effects)
{
    bool was_over = world->finished;
    if (world->put.state != PUT_NEW && !was_over)
        record_event(world, event);
    check_sends(world, effects->send);
    record_spares(world, event, effects->send);
    world->sent |= (uint8_t)effects->send;
    if (effects->reply)
        check_reply(world, effects);
    if (effects->finished)
        check_finish(world, event);
    assert_false(was_over && (effects->send != 0 || effects->reply || effects->finished));
    if (world->put.state != PUT_NEW && is_met(world) && !was_over)
        assert_true(world->replied);
    bool is_tick = event->kind != PUT_START && world->put.state != PUT_NEW;
    if (is_tick && event->now_us >= DEADLINE_US)
        assert_true(world->replied && world->finished);
    if (effects->reply && effects->status == KVORUM_UNAVAILABLE)
        assert_true(world->finished);
}

/* Depth first; a path is at most as long as the machine has steps in it, some dozens. */
static void explore(struct search *search, const struct world *from)
{
    for (uint32_t i = 0; i < search->event_count; i++) {
        struct world world = *from;
        struct put_effects effects;
        put_step(&world.put, &search->events[i], &effects);
        check_step(&world, &search->events[i], &effects);
        search->steps++;
        if (visited_add(&search->visited, key_of(&world)))
            explore(search, &world);
    }
}

static uint64_t explore_write(const struct world *world)
{
    static struct search search;
    search.steps = 0;
    make_events(&search, world->put.target_count);
    visited_init(&search.visited, 18);
    explore(&search, world);
    visited_done(&search.visited);
    return search.steps;
}

struct row {
    const char *name;
    uint8_t n, target_count;
    bool sloppy;
    uint8_t set, other_set, places; /* of a move; the levels are those of both sets */
    const char *zones;              /* of the places; NULL: no level is about zones */
};

static void set_zones(const struct row *row, struct put *put)
{
    static struct target_zones zones; /* of the row at hand */
    zones = (struct target_zones){ .count = 3, .local = 0 };
    put->zones = &zones;
    uint8_t places = row->other_set != 0 ? row->places : row->n;
    for (uint8_t i = 0; i < places; i++) {
        struct target_zone *zone = &zones.zones[row->zones[i] - 'a'];
        zone->owners |= 1u << i;
        zone->places += row->other_set == 0 || (row->set >> i & 1);
        zone->other_places += row->other_set >> i & 1;
    }
}

/* w, dw and pw each of no zone, of one or of all, beside the least numbers. */
static struct quorum zoned_quorum(const struct row *row, uint32_t shape)
{
    struct quorum quorum = { .n = row->n, .dw = 1, .sloppy = row->sloppy };
    quorum.zones.w = (uint8_t)(shape % 3);
    quorum.zones.dw = (uint8_t)(shape / 3 % 3);
    quorum.zones.pw = (uint8_t)(shape / 9 % 3);
    quorum.w = shape >= 27; /* a number beside them */
    return quorum;
}

/* One combination of levels and of members that are down; false: there is none of that number. */
static bool make_world(const struct row *row, uint32_t shape, uint32_t down, struct world *ret)
{
    uint8_t n = row->n;
    struct quorum quorum = { .n = n,
                             .w = (uint8_t)(shape % (n + 1u)),
                             .dw = (uint8_t)(1 + shape / (n + 1u) % n),
                             .pw = (uint8_t)(shape / (n + 1u) / n),
                             .sloppy = row->sloppy };
    if (row->zones != NULL)
        quorum = zoned_quorum(row, shape);
    bool moving = row->other_set != 0;
    *ret = (struct world){ .put = { .quorum = quorum,
                                    .target_count = row->target_count,
                                    .owners = (1u << (moving ? row->places : n)) - 1,
                                    .unreachable = down,
                                    .deadline_us = DEADLINE_US },
                           .set = moving ? row->set : UINT32_MAX,
                           .other_set = row->other_set };
    if (moving) {
        ret->put.other = quorum;
        ret->put.set = row->set;
        ret->put.other_set = row->other_set;
        ret->put.places = row->places;
    }
    if (row->zones != NULL)
        set_zones(row, &ret->put);
    return quorum.pw <= n;
}

/* All levels and reachabilities of one shape. */
static uint64_t explore_shape(const struct row *row)
{
    uint32_t shapes = row->zones != NULL ? 54 : (row->n + 1u) * row->n * 3;
    zone_letters = row->zones;
    zone_count = row->zones == NULL ? 0 : (uint8_t)strlen(row->zones);
    uint64_t steps = 0;
    for (uint32_t shape = 0; shape < shapes; shape++) {
        for (uint32_t down = 0; down < 4 && down < 1u << row->target_count; down++) {
            struct world world;
            if (make_world(row, shape, down, &world))
                steps += explore_write(&world);
        }
    }
    return steps;
}

static const struct row rows[] = {
    { "one copy", 1, 1, false, 0, 0, 0, NULL },
    { "one copy and a spare", 1, 2, true, 0, 0, 0, NULL },
    { "one copy and two spares", 1, 3, true, 0, 0, 0, NULL },
    { "two copies", 2, 2, false, 0, 0, 0, NULL },
    { "two copies, and spares that are not for it", 2, 3, false, 0, 0, 0, NULL },
    { "two copies and a spare", 2, 3, true, 0, 0, 0, NULL },
    { "three copies", 3, 3, false, 0, 0, 0, NULL },
    { "one copy moves", 1, 2, false, 1, 2, 2, NULL },
    { "one copy moves, and a spare", 1, 3, true, 1, 2, 2, NULL },
    { "one copy moves, and two spares", 1, 4, true, 1, 2, 2, NULL },
    { "two copies, one of them moves", 2, 3, false, 3, 6, 3, NULL },
    { "two copies, one of them moves, and a spare", 2, 4, true, 3, 6, 3, NULL },
    { "two copies, both move", 2, 4, false, 3, 12, 4, NULL },
    { "two copies in one zone", 2, 2, false, 0, 0, 0, "aa" },
    { "two copies in two zones", 2, 2, false, 0, 0, 0, "ab" },
    { "two copies in two zones, and a spare", 2, 3, true, 0, 0, 0, "ab" },
    { "three copies in three zones", 3, 3, false, 0, 0, 0, "abc" },
    { "three copies in two zones, two here", 3, 3, false, 0, 0, 0, "aab" },
    { "three copies in two zones, one here", 3, 3, false, 0, 0, 0, "abb" },
    { "two copies in two zones, the other one moves to a third", 2, 3, false, 3, 5, 3, "abc" },
    { "two copies in two zones, one moves within its zone, and a spare", 2, 4, true, 3, 6, 3,
      "aba" },
    { "two copies of one zone spread over two", 2, 3, false, 3, 5, 3, "aab" },
    { "two copies in two zones, both move within theirs", 2, 4, false, 3, 12, 4, "abab" },
};

static void check(const void *data)
{
    const struct row *row = data;
    uint64_t steps = explore_shape(row);
    print_message("%llu steps\n", (unsigned long long)steps);
    assert_true(steps > 100);
}

int main(void)
{
    return RUN_ROWS("all writes", rows, check);
}
