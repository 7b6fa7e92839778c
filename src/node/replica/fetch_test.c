/* SPDX-License-Identifier: Apache-2.0 */
/* One node over a store that may be cold: reads without waiting then answer WOULD_BLOCK.  A row is
 * a script and what clients hear:
 *
 *      cold       from now on nothing is in memory but what is written later
 *      stubborn   not even that: as if the cache held nothing
 *      put:k=v  get:k  count      operations
 *      job        the oldest job works and is done
 *      wait       ten seconds pass
 *      full room  the store refuses writes as OVERLOADED; no longer
 *      tick       a few milliseconds pass
 */
#include "tests/support/rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "engine/memory/memory.h"
#include "node/node.h"

struct cold_store {
    struct engine engine; /* first */
    struct engine *inner;
    bool cold, stubborn, full;
    char warm[256]; /* written since it is cold, by the last byte of the key */
};

struct world {
    struct clock clock;
    struct net net;
    struct jobs jobs;
    struct job *first, **last;
    uint64_t now_us;
    struct epoch epoch;
    struct member member;
    uint16_t table[1];
    struct cold_store store;
    struct engine *stores[1];
    struct node *node;
    struct buffer heard;
};

/* --- a store that is cold -------------------------------------------------------------------- */

static struct cold_store *cold_of(struct engine *engine)
{
    return (struct cold_store *)engine;
}

static bool is_cold(const struct cold_store *store, struct bytes key)
{
    return store->stubborn || (store->cold && !store->warm[key.data[key.size - 1]]);
}

static kvorum_status cold_get(struct engine *engine, struct bytes key,
                              const struct engine_read *read, struct engine_view *ret_view)
{
    struct cold_store *store = cold_of(engine);
    if (read->nowait && is_cold(store, key))
        return KVORUM_WOULD_BLOCK;
    return engine_view(store->inner, key, ret_view);
}

static kvorum_status cold_submit(struct engine *engine, const struct engine_batch *batch,
                                 enum engine_durability durability, struct engine_commit *commit)
{
    struct cold_store *store = cold_of(engine);
    struct bytes bytes = engine_batch_bytes(batch);
    if (store->full && bytes.size > 0)
        return KVORUM_OVERLOADED;
    if (bytes.size > 2) /* kind, key size, key ... */
        store->warm[bytes.data[2 + bytes.data[1] - 1]] = 1;
    return engine_submit(store->inner, batch, durability, commit);
}

static void cold_kick(struct engine *engine)
{
    engine_kick(cold_of(engine)->inner);
}

static kvorum_status cold_iterate(struct engine *engine, const struct engine_range *range,
                                  const struct engine_read *read,
                                  struct engine_iterator **ret_iterator)
{
    struct cold_store *store = cold_of(engine);
    if (read->nowait && (store->cold || store->stubborn))
        return KVORUM_WOULD_BLOCK;
    return engine_iterate(store->inner, range, ret_iterator);
}

/* --- the world around the node --------------------------------------------------------------- */

static uint64_t test_monotonic_us(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock)->now_us;
}

static uint64_t test_wall_ms(struct clock *clock)
{
    return 1700000000000ull + test_monotonic_us(clock) / 1000;
}

static bool test_send(struct net *net, struct net_address to, const struct message *message)
{
    (void)net;
    (void)to;
    (void)message;
    return false;
}

static uint16_t test_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    (void)net;
    (void)member;
    (void)partition;
    return 0;
}

static void test_submit(struct jobs *jobs, struct job *job)
{
    struct world *world = LIST_ENTRY(jobs, struct world, jobs);
    job->next = NULL;
    *world->last = job;
    world->last = &job->next;
}

static const struct clock_ops test_clock_ops = { test_monotonic_us, test_wall_ms };
static const struct net_ops test_net_ops = { test_send, test_shard_of };
static const struct jobs_ops test_jobs_ops = { test_submit };

static bool run_job(struct world *world)
{
    struct job *job = world->first;
    if (job == NULL)
        return false;
    world->first = job->next;
    if (world->first == NULL)
        world->last = &world->first;
    job->work(job);
    job->done(job);
    return true;
}

static void open_store(struct world *world)
{
    static struct engine_ops ops;
    assert_int_equal(memory_open(NULL, &world->store.inner), KVORUM_OK);
    ops = *world->store.inner->ops;
    ops.get = cold_get;
    ops.submit = cold_submit;
    ops.kick = cold_kick;
    ops.iterate = cold_iterate;
    world->store.engine.ops = &ops;
    world->stores[0] = &world->store.engine;
}

static void open(struct world *world)
{
    *world = (struct world){ .clock = { &test_clock_ops }, .net = { &test_net_ops } };
    world->jobs.ops = &test_jobs_ops;
    world->last = &world->first;
    world->now_us = 1000 * 1000;
    world->member = (struct member){ .name = "n1", .weight = RING_WEIGHT_DEFAULT };
    world->epoch = (struct epoch){ .number = 1,
                                   .partition_count = 1,
                                   .replica_count = 1,
                                   .member_count = 1,
                                   .members = &world->member,
                                   .table = world->table };
    buffer_init(&world->heard, 4096);
    open_store(world);
    struct node_config config = {
        .epoch = &world->epoch,
        .shard_count = 1,
        .store_count = 1,
        .stores = world->stores,
        .actor = 1,
        .clock = &world->clock,
        .net = &world->net,
        .jobs = &world->jobs,
    };
    quorum_levels_init(&config.default_levels);
    config.default_levels.n = 1;
    assert_int_equal(node_create(&config, &world->node), KVORUM_OK);
}

/* Jobs that are under way when the node goes find nobody. */
static void close(struct world *world)
{
    node_destroy(world->node);
    while (run_job(world))
        continue;
    engine_close(world->store.inner);
    buffer_done(&world->heard);
}

/* --- scripts --------------------------------------------------------------------------------- */

static void hear(void *context, const struct answer *answer)
{
    struct world *world = context;
    if (answer->status == KVORUM_OK && answer->object != NULL)
        buffer_append_bytes(&world->heard, answer->object->siblings[0].value);
    else
        buffer_append_text(&world->heard, kvorum_status_name(answer->status));
    buffer_append_u8(&world->heard, ' ');
}

static void hear_page(void *context, const struct list_page *page)
{
    struct world *world = context;
    if (page->last)
        buffer_printf(&world->heard, "%llu ", (unsigned long long)page->counted);
}

static void submit(struct world *world, enum operation_kind kind, struct bytes key,
                   struct bytes value)
{
    struct operation operation = {
        .kind = kind, .bucket = BYTES_LITERAL("b"), .key = key, .value = value
    };
    quorum_levels_init(&operation.levels);
    operation.flags = kind == OPERATION_PUT ? OPERATION_OVERWRITE : 0;
    operation.timeout_ms = 5000;
    node_submit(world->node, &operation, hear, world);
}

static void pass(struct world *world, uint64_t ms)
{
    world->now_us += ms * 1000;
    node_tick(world->node);
}

static void step(struct world *world, const char *word)
{
    struct bytes key = bytes_make(word + 4, 1);
    if (strncmp(word, "put:", 4) == 0)
        submit(world, OPERATION_PUT, key, bytes_make(word + 6, 1));
    else if (strncmp(word, "get:", 4) == 0)
        submit(world, OPERATION_GET, key, (struct bytes){ 0 });
    else if (strncmp(word, "count", 5) == 0)
        node_list(world->node, LIST_COUNT, (struct bytes){ 0 }, BYTES_LITERAL("b"), 0, hear_page,
                  world);
    else if (strncmp(word, "job", 3) == 0)
        assert_true(run_job(world));
    else if (strncmp(word, "wait", 4) == 0)
        pass(world, 10 * 1000);
    else if (strncmp(word, "tick", 4) == 0)
        pass(world, 5);
    else if (strncmp(word, "full", 4) == 0)
        world->store.full = true;
    else if (strncmp(word, "room", 4) == 0)
        world->store.full = false;
    else {
        memset(world->store.warm, 0, sizeof(world->store.warm));
        world->store.cold = true;
        world->store.stubborn = strncmp(word, "stubborn", 8) == 0;
    }
    node_flush(world->node);
    buffer_append_text(&world->heard, "| ");
}

struct row {
    const char *name, *script, *heard;
};

static const struct row rows[] = {
    { "what is in memory is answered at once", "put:a=1 get:a", "OK | 1 | " },
    { "a read of a cold key is answered by its job", "put:a=1 cold get:a job", "OK | | | 1 | " },
    { "so is a write, which needs the old version", "put:a=1 cold put:a=2 job get:a",
      "OK | | | OK | 2 | " },
    { "what is not there may have to be looked for too", "cold get:a job", "| | NOT_FOUND | " },
    { "a read behind a write of its key sees it", "put:a=1 cold put:a=2 get:a job",
      "OK | | | | OK 2 | " },
    { "writes of a key keep their order", "cold put:a=1 put:a=2 put:a=3 get:a job",
      "| | | | | OK OK OK 3 | " },
    { "those behind read for themselves when nothing stays in memory",
      "stubborn put:a=1 put:a=2 get:a job job job", "| | | | OK | OK | 2 | " },
    { "keys do not wait for each other", "cold put:a=1 put:b=2 put:c=3 job job job",
      "| | | | OK | OK | OK | " },
    { "a key in memory passes one that is not", "cold put:a=1 job put:b=2 get:a get:b job",
      "| | OK | | 1 | | OK 2 | " },
    { "a read that comes too late finds nobody", "put:a=1 cold get:a wait job",
      "OK | | | TIMEOUT | | " },
    { "a write whose old version does not come in time has not happened",
      "cold put:a=1 wait job job get:a job", /* the second one looks for expired values */
      "| | OVERLOADED | | | | NOT_FOUND | " },
    { "keys are counted by a job", "put:a=1 put:b=2 cold count job", "OK | OK | | | 2 | " },
    { "a write waits until its store has room", "full put:a=1 tick room tick get:a",
      "| | | | OK | 1 | " },
    { "those behind it keep their order", "full put:a=1 put:a=2 get:a tick room tick",
      "| | | | | | OK OK 2 | " },
    { "other keys wait in turn, and are read meanwhile",
      "put:a=1 full put:a=2 put:b=3 get:c room tick", "OK | | | | NOT_FOUND | | OK OK | " },
    { "when its time is over it has not happened", "full put:a=1 wait room tick get:a",
      "| | OVERLOADED | | | NOT_FOUND | " },
    { "what waits for room when the node goes is dropped", "full put:a=1 put:a=2 put:b=1",
      "| | | | " },
    { "what is waiting when the node goes is dropped", "cold put:a=1 get:a count", "| | | | " },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct world world;
    open(&world);
    for (const char *word = row->script; *word != '\0';) {
        step(&world, word);
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    buffer_append_u8(&world.heard, 0);
    assert_string_equal((const char *)world.heard.data, row->heard);
    close(&world);
}

int main(void)
{
    return RUN_ROWS("fetch", rows, check);
}
