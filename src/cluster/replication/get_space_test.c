/* SPDX-License-Identifier: Apache-2.0 */
/* Every order of every event, for every small read; as in put_space_test.c.  Replicas answer
 * anything: nothing, one of two versions, by digest or in full, again and otherwise. */
#include "cluster/replication/get.h"

#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { DEADLINE_US = 1000, EVENTS_MAX = 96, VERSIONS = 2 };

/* Of the row that is explored: a letter for each owner, 'a' is the coordinator's; "": none asks. */
static const char *zone_letters;

/* The truth: who was asked for what, who answered, and whose objects the caller holds. */
struct world {
    struct get get;
    uint8_t asked, answered, has, in_hand; /* has: answered with an object or a digest */
    bool replied, finished;
};

struct search {
    struct visited visited;
    struct get_event events[EVENTS_MAX];
    uint32_t event_count;
    uint64_t steps;
};

static void add_event(struct search *search, struct get_event event)
{
    for (uint64_t now_us = 1; now_us <= DEADLINE_US; now_us += DEADLINE_US - 1) {
        assert_true(search->event_count < EVENTS_MAX);
        event.now_us = now_us;
        search->events[search->event_count++] = event;
    }
}

static void make_events(struct search *search, uint8_t target_count)
{
    search->event_count = 0;
    add_event(search, (struct get_event){ .kind = GET_START });
    add_event(search, (struct get_event){ .kind = GET_TICK });
    for (uint8_t target = 0; target <= target_count; target++) {
        add_event(search, (struct get_event){ .kind = GET_FAILED, .target = target });
        for (uint64_t digest = 0; digest <= VERSIONS; digest++) {
            struct get_event event = { .kind = GET_ANSWER, .target = target, .digest = digest };
            event.full = true;
            add_event(search, event);
            event.full = false;
            if (digest != 0)
                add_event(search, event);
        }
    }
}

static uint64_t key_of(const struct world *world)
{
    const struct get *get = &world->get;
    uint64_t key = 1;
    const uint64_t sets[] = {
        get->state, get->asked,     get->asked_full, get->answered,
        get->full,  get->not_found, get->failed,     get->next_spare,
        world->has, world->in_hand, world->answered, world->replied | world->finished << 1
    };
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        assert_true(sets[i] < 16);
        key = key << 4 | sets[i];
    }
    for (uint8_t target = 0; target < 4; target++)
        key = key << 2 | get->digests[target];
    return key;
}

static uint8_t count_of(uint32_t set)
{
    return (uint8_t)__builtin_popcount(set);
}

static void record_event(struct world *world, const struct get_event *event)
{
    uint8_t target = (uint8_t)((1u << event->target) & world->asked);
    if (event->kind != GET_ANSWER)
        return;
    world->answered |= target;
    if (event->digest == 0)
        return;
    world->has |= target;
    if (event->full)
        world->in_hand |= target;
}

static void check_asks(const struct world *world, const struct get_effects *effects)
{
    const struct get *get = &world->get;
    uint32_t ask = effects->ask_full | effects->ask_digest;
    assert_int_equal(effects->ask_full & effects->ask_digest, 0);
    assert_int_equal(effects->ask_digest & world->asked, 0); /* nobody twice */
    assert_int_equal(ask & get->unreachable, 0);
    assert_int_equal(ask >> get->target_count, 0);
    if (!get->quorum.sloppy)
        assert_int_equal(ask >> get->quorum.n, 0);
    if (world->replied)
        assert_int_equal(ask & ~world->asked, 0); /* no spares any more */
}

static bool zone_answered(uint32_t answered, char zone)
{
    uint8_t there = 0, have = 0;
    for (uint8_t i = 0; zone_letters[i] != 0; i++) {
        there += zone_letters[i] == zone;
        have += zone_letters[i] == zone && (answered >> i & 1);
    }
    return 2 * have > there || there == 0;
}

static bool zones_answered(uint8_t level, uint32_t answered)
{
    return level == ZONE_LEVEL_NONE ||
           (zone_answered(answered, 'a') &&
            (level == ZONE_LEVEL_LOCAL ||
             (zone_answered(answered, 'b') && zone_answered(answered, 'c'))));
}

/* The levels by what really came, objects in hand or nothing there; a digest alone is no answer. */
static void check_reply(struct world *world, kvorum_status status)
{
    const struct quorum *quorum = &world->get.quorum;
    assert_false(world->replied); /* exactly once */
    world->replied = true;
    uint32_t counted = world->get.full | (world->has & world->get.answered);
    if (!quorum->notfound_ok)
        counted &= ~world->get.not_found;
    bool is_met =
        count_of(counted) >= quorum->r && count_of(counted & world->get.owners) >= quorum->pr &&
        zones_answered(quorum->zones.r, counted) && zones_answered(quorum->zones.pr, counted);
    if (status == KVORUM_OK) {
        assert_true(is_met);
        assert_true((world->get.full & ~world->get.not_found & ~world->in_hand) == 0);
        assert_true(world->in_hand != 0);
    } else if (status == KVORUM_NOT_FOUND) {
        assert_int_equal(world->get.answered, world->get.not_found);
        assert_true(is_met || !quorum->notfound_ok);
        assert_true(count_of(world->get.not_found) >= 1);
    } else {
        assert_true(status == KVORUM_UNAVAILABLE || status == KVORUM_TIMEOUT);
    }
}

static void check_finish(struct world *world, const struct get_event *event)
{
    const struct get *get = &world->get;
    assert_false(world->finished);
    world->finished = true;
    assert_true(world->replied);
    if (event->now_us >= DEADLINE_US)
        return;
    assert_int_equal(get->asked & ~get->answered & ~get->failed, 0);
    for (uint8_t target = 0; target < get->target_count; target++) {
        bool complete = false;
        for (uint8_t other = 0; other < get->target_count; other++)
            complete |= (get->full >> other & 1) && get->digests[other] == get->digests[target];
        assert_true(complete || !(get->answered >> target & 1));
    }
}

static void check_step(struct world *world, const struct get_event *event,
                       const struct get_effects *effects)
{
    bool was_over = world->finished;
    if (world->get.state != GET_NEW && !was_over)
        record_event(world, event);
    check_asks(world, effects);
    world->asked |= (uint8_t)(effects->ask_full | effects->ask_digest);
    if (effects->reply)
        check_reply(world, effects->status);
    if (effects->finished)
        check_finish(world, event);
    assert_false(was_over && (effects->ask_full != 0 || effects->ask_digest != 0 ||
                              effects->reply || effects->finished));
    assert_int_equal(world->get.answered & ~world->answered, 0);
    bool is_tick = event->kind != GET_START && world->get.state != GET_NEW;
    if (is_tick && event->now_us >= DEADLINE_US)
        assert_true(world->replied && world->finished);
    bool silent = (world->get.asked & ~world->get.answered & ~world->get.failed) == 0 &&
                  (world->get.asked_full & ~world->get.full & ~world->get.failed) == 0;
    if (world->get.state != GET_NEW && silent)
        assert_true(world->replied); /* there is nobody left to wait for */
}

static void explore(struct search *search, const struct world *from)
{
    for (uint32_t i = 0; i < search->event_count; i++) {
        struct world world = *from;
        struct get_effects effects;
        get_step(&world.get, &search->events[i], &effects);
        check_step(&world, &search->events[i], &effects);
        search->steps++;
        if (visited_add(&search->visited, key_of(&world)))
            explore(search, &world);
    }
}

struct row {
    const char *name;
    uint8_t n, target_count;
    bool sloppy;
    const char *zones;
};

static const struct row rows[] = {
    { "one copy", 1, 1, false, "" },
    { "one copy and a spare", 1, 2, true, "" },
    { "one copy and two spares", 1, 3, true, "" },
    { "two copies", 2, 2, false, "" },
    { "two copies, and a spare that is not for it", 2, 3, false, "" },
    { "two copies and a spare", 2, 3, true, "" },
    { "three copies", 3, 3, false, "" },
    { "two copies in one zone", 2, 2, false, "aa" },
    { "two copies in two zones", 2, 2, false, "ab" },
    { "two copies in two zones, and a spare", 2, 3, true, "ab" },
    { "three copies in three zones", 3, 3, false, "abc" },
    { "three copies in two zones, two here", 3, 3, false, "aab" },
    { "three copies in two zones, one here", 3, 3, false, "abb" },
};

/* r and pr of no zone, of one or of all, with the three ways to take "not found". */
static void set_zones(const struct row *row, uint32_t levels, struct get *get)
{
    static struct target_zones zones; /* of the row at hand */
    zones = (struct target_zones){ .count = 3 };
    get->zones = &zones;
    for (uint8_t i = 0; row->zones[i] != 0; i++) {
        struct target_zone *zone = &zones.zones[row->zones[i] - 'a'];
        zone->owners |= 1u << i;
        zone->places++;
    }
    get->quorum.r = 1;
    get->quorum.pr = 0;
    get->quorum.zones.r = (uint8_t)(levels % 3);
    get->quorum.zones.pr = (uint8_t)(levels / 3 % 3);
    get->quorum.notfound_ok = levels / 9 == 0;
    get->quorum.basic_quorum = levels / 9 == 2;
}

static void explore_levels(struct search *search, const struct row *row, uint32_t levels)
{
    for (uint32_t down = 0; down < 2 && down < 1u << row->target_count; down++) {
        struct world world = { .get = { .target_count = row->target_count,
                                        .owners = (1u << row->n) - 1,
                                        .unreachable = down,
                                        .deadline_us = DEADLINE_US } };
        world.get.quorum = (struct quorum){ .n = row->n,
                                            .r = (uint8_t)(1 + levels % row->n),
                                            .pr = (uint8_t)(levels / row->n % 2),
                                            .notfound_ok = levels / row->n / 2 % 3 == 0,
                                            .basic_quorum = levels / row->n / 2 % 3 == 2,
                                            .sloppy = row->sloppy };
        if (row->zones[0] != 0)
            set_zones(row, levels, &world.get);
        visited_init(&search->visited, 20);
        explore(search, &world);
        visited_done(&search->visited);
    }
}

static void check(const void *data)
{
    static struct search search;
    const struct row *row = data;
    search.steps = 0;
    make_events(&search, row->target_count);
    zone_letters = row->zones;
    uint32_t count = row->zones[0] != 0 ? 27 : row->n * 6u;
    for (uint32_t levels = 0; levels < count; levels++)
        explore_levels(&search, row, levels);
    print_message("%llu steps\n", (unsigned long long)search.steps);
    assert_true(search.steps > 100);
}

int main(void)
{
    return RUN_ROWS("all reads", rows, check);
}
