/* SPDX-License-Identifier: Apache-2.0 */
/* Every order of every event, for every small write: all states that can be reached are visited,
 * and what the machine says on the way is held to a record of what really happened, kept beside it.
 * */
#include "cluster/replication/put.h"

#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { DEADLINE_US = 1000, EVENTS_MAX = 96 };

/* The truth: what went out and came back, and what was said. */
struct world {
    struct put put;
    uint8_t sent, acked, durable, refused;
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
                               put->next_spare, world->sent,
                               world->acked,    world->durable,
                               world->refused,  world->replied | (world->status == KVORUM_OK) << 1,
                               world->finished };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        assert_true(parts[i] < 16);
        key = key << 4 | parts[i];
    }
    return key;
}

static uint8_t count_of(uint32_t set)
{
    return (uint8_t)__builtin_popcount(set);
}

static bool is_met(const struct world *world)
{
    const struct quorum *quorum = &world->put.quorum;
    return count_of(world->acked) >= quorum->w && count_of(world->acked) >= quorum->node_confirms &&
           count_of(world->durable) >= quorum->dw &&
           count_of(world->acked & world->put.owners) >= quorum->pw;
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
        assert_int_equal(send >> put->quorum.n, 0);
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

/* All levels, owners and reachabilities of one shape. */
static uint64_t explore_shape(uint8_t n, uint8_t target_count, bool sloppy)
{
    static struct search search;
    search.steps = 0;
    make_events(&search, target_count);
    uint32_t shapes = (n + 1u) * n * 3;
    for (uint32_t shape = 0; shape < shapes; shape++) {
        for (uint32_t down = 0; down < 4 && down < 1u << target_count; down++) {
            struct world world = { .put = { .target_count = target_count,
                                            .owners = (1u << n) - 1,
                                            .unreachable = down,
                                            .deadline_us = DEADLINE_US } };
            world.put.quorum = (struct quorum){ .n = n,
                                                .w = (uint8_t)(shape % (n + 1u)),
                                                .dw = (uint8_t)(1 + shape / (n + 1u) % n),
                                                .pw = (uint8_t)(shape / (n + 1u) / n),
                                                .sloppy = sloppy };
            if (world.put.quorum.pw > n)
                continue;
            visited_init(&search.visited, 18);
            explore(&search, &world);
            visited_done(&search.visited);
        }
    }
    return search.steps;
}

struct row {
    const char *name;
    uint8_t n, target_count;
    bool sloppy;
};

static const struct row rows[] = {
    { "one copy", 1, 1, false },
    { "one copy and a spare", 1, 2, true },
    { "one copy and two spares", 1, 3, true },
    { "two copies", 2, 2, false },
    { "two copies, and spares that are not for it", 2, 3, false },
    { "two copies and a spare", 2, 3, true },
    { "three copies", 3, 3, false },
};

static void check(const void *data)
{
    const struct row *row = data;
    uint64_t steps = explore_shape(row->n, row->target_count, row->sloppy);
    print_message("%llu steps\n", (unsigned long long)steps);
    assert_true(steps > 100);
}

int main(void)
{
    return RUN_ROWS("all writes", rows, check);
}
