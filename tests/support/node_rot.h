/* SPDX-License-Identifier: Apache-2.0 */
/** Small clusters (node_world.h) of which member 0 has an lsm store on a disk that rots.  Included
 *  by one file a program. */
#ifndef TESTS_SUPPORT_NODE_ROT_H
#define TESTS_SUPPORT_NODE_ROT_H

#include "tests/support/node_world.h"

#include "engine/lsm/lsm.h"
#include "tests/support/fault_disk.h"

enum {
    KEYS = 40,
    VALUE_SIZE = 100,
    PLACE = 5000, /* in a block of objects, not in the one that begins with own records */
    PLACE_OF_HINTS = 1000,
    PLACE_OF_FEW = 1500, /* the same in a table with a third of the keys */
};

static struct fault_disk disk;

/* --- jobs ------------------------------------------------------------------------------------ */

enum { JOBS_MAX = 64 };

static struct job *queue[JOBS_MAX];
static size_t queue_count;

static inline void queue_job(struct jobs *jobs, struct job *job)
{
    (void)jobs;
    assert_true(queue_count < JOBS_MAX);
    queue[queue_count++] = job;
}

static inline bool do_jobs(void)
{
    bool any = queue_count > 0;
    while (queue_count > 0) {
        struct job *job = queue[0];
        memmove(queue, queue + 1, --queue_count * sizeof(*queue));
        job->work(job);
        job->done(job);
    }
    return any;
}

static const struct jobs_ops jobs_ops = { .submit = queue_job };
static struct jobs jobs = { &jobs_ops };

/* --- the cluster ----------------------------------------------------------------------------- */

static inline void open_lsm(struct world *world, uint16_t member)
{
    static uint64_t seed;
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
                                   .identity_seed = ++seed,
                                   .create = true,
                                   .jobs = &jobs,
                                   .memtable_size = 1 << 20,
                                   .block_size = 512 };
    assert_int_equal(lsm_open(&options, &world->stores[member]), KVORUM_OK);
}

/* Another life, with nothing in its caches. */
static inline void open_again(struct world *world, uint16_t member)
{
    world->nodes[member] = node_destroy(world->nodes[member]);
    do_jobs();
    world->stores[member] = engine_close(world->stores[member]);
    do_jobs(); /* which find no engine */
    open_lsm(world, member);
    restart(world, member, (struct node_limits){ 0 });
    pass(world, 1000);
}

static inline const char *key_of(int i)
{
    static char name[16];
    snprintf(name, sizeof(name), "k%02d", i);
    return name;
}

static inline void put_keys(struct world *world, char letter)
{
    char value[VALUE_SIZE + 1] = { 0 };
    memset(value, letter, VALUE_SIZE);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(put(world, 0, key_of(i), value, NULL).status, KVORUM_OK);
}

static inline struct world *begin_empty(uint16_t count)
{
    struct world *world = world_make(count);
    fault_disk_init(&disk);
    world->work = do_jobs;
    open_again(world, 0);
    return world;
}

/* KEYS keys everywhere; member 0 has them in one table. */
static inline struct world *begin(uint16_t count)
{
    struct world *world = begin_empty(count);
    put_keys(world, 'v');
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    return world;
}

static inline void end(struct world *world)
{
    world_free(world);
    fault_disk_done(&disk);
}

enum rot_where { NEWEST, OLDEST };

/* In the newest or the oldest table. */
static inline void rot_of(uint64_t offset, enum rot_where where)
{
    const char *chosen = NULL;
    int inode = -1;
    for (int i = 0; i < disk.now.names.count; i++) {
        const char *path = disk.now.names.list[i].path;
        if (strstr(path, "table-") == NULL)
            continue;
        int order = chosen == NULL ? 0 : strcmp(path, chosen);
        if (chosen != NULL && (where == NEWEST) != (order > 0))
            continue;
        chosen = path;
        inode = disk.now.names.list[i].inode;
    }
    assert_true(inode >= 0);
    struct fault_bytes *bytes = fault_disk_bytes(&disk, inode);
    assert_true(offset < bytes->size);
    uint8_t byte = bytes->data[offset] ^ 1;
    fault_write(bytes, offset, &byte, 1);
}

static inline void rot(uint64_t offset)
{
    rot_of(offset, NEWEST);
}

/* The same, and a block of that table is damaged, which nothing in memory hides. */
static inline struct world *begin_damaged(uint16_t count)
{
    struct world *world = begin(count);
    rot(PLACE);
    open_again(world, 0);
    return world;
}

/* From whoever answers first, member 0 among them. */
static inline struct outcome read_one(struct world *world, int key)
{
    struct operation operation = operation_on(OPERATION_GET, key_of(key));
    operation.levels.r = 1;
    operation.levels.sloppy = 0;
    operation.timeout_ms = 1000;
    return run(world, 0, &operation);
}

static inline const struct node_counters *counters(struct world *world)
{
    return node_counters(world->nodes[0]);
}

static inline void cut_others(struct world *world)
{
    for (uint16_t i = 1; i < world->count; i++)
        cut(world, i);
}

static inline void heal_others(struct world *world)
{
    for (uint16_t i = 1; i < world->count; i++)
        heal(world, i);
}

/* Member 0 reads all its files, and goes on. */
static inline void scrub(struct world *world, uint64_t ms)
{
    node_scrub(world->nodes[0]);
    pass(world, ms);
}

/* How many keys are answered with `status` by member 0 alone; others are OK. */
static inline int count_alone(struct world *world, kvorum_status status)
{
    int count = 0;
    for (int i = 0; i < KEYS; i++) {
        kvorum_status own = read_one(world, i).status;
        assert_true(own == KVORUM_OK || own == status);
        count += own == status;
    }
    return count;
}

#endif
