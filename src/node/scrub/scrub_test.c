/* SPDX-License-Identifier: Apache-2.0 */
/* Damage in a store, from where somebody meets it to where it is refilled or given up: small
 * clusters of which one member has an lsm store on a disk that rots. */
#include "tests/support/node_world.h"

#include "engine/lsm/lsm.h"
#include "tests/support/fault_disk.h"

enum {
    KEYS = 40,
    VALUE_SIZE = 100,
    PLACE = 5000 /* in a block of objects, not in the one that begins with own records */
};

static struct fault_disk disk;

/* --- jobs ------------------------------------------------------------------------------------ */

enum { JOBS_MAX = 64 };

static struct job *queue[JOBS_MAX];
static size_t queue_count;

static void queue_job(struct jobs *jobs, struct job *job)
{
    (void)jobs;
    assert_true(queue_count < JOBS_MAX);
    queue[queue_count++] = job;
}

static bool do_jobs(void)
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

static void open_lsm(struct world *world, uint16_t member)
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
static void open_again(struct world *world, uint16_t member)
{
    world->nodes[member] = node_destroy(world->nodes[member]);
    do_jobs();
    world->stores[member] = engine_close(world->stores[member]);
    do_jobs(); /* which find no engine */
    open_lsm(world, member);
    restart(world, member, (struct node_limits){ 0 });
    pass(world, 1000);
}

static const char *key_of(int i)
{
    static char name[16];
    snprintf(name, sizeof(name), "k%02d", i);
    return name;
}

/* KEYS keys everywhere; member 0 has them in one table. */
static struct world *begin(uint16_t count)
{
    struct world *world = world_make(count);
    char value[VALUE_SIZE + 1] = { 0 };
    fault_disk_init(&disk);
    world->work = do_jobs;
    open_again(world, 0);
    memset(value, 'v', VALUE_SIZE);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(put(world, 0, key_of(i), value, NULL).status, KVORUM_OK);
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    return world;
}

static void end(struct world *world)
{
    world_free(world);
    fault_disk_done(&disk);
}

/* In the newest table. */
static void rot(uint64_t offset)
{
    const char *newest = "";
    int inode = -1;
    for (int i = 0; i < disk.now.names.count; i++) {
        const char *path = disk.now.names.list[i].path;
        if (strstr(path, "table-") != NULL && strcmp(path, newest) > 0) {
            newest = path;
            inode = disk.now.names.list[i].inode;
        }
    }
    assert_true(inode >= 0);
    struct fault_bytes *bytes = fault_disk_bytes(&disk, inode);
    uint8_t byte = bytes->data[offset] ^ 1;
    fault_write(bytes, offset, &byte, 1);
}

/* From whoever answers first, member 0 among them. */
static struct outcome read_one(struct world *world, int key)
{
    struct operation operation = operation_on(OPERATION_GET, key_of(key));
    operation.levels.r = 1;
    operation.levels.sloppy = 0;
    operation.timeout_ms = 1000;
    return run(world, 0, &operation);
}

static const struct node_counters *counters(struct world *world)
{
    return node_counters(world->nodes[0]);
}

static void cut_others(struct world *world)
{
    for (uint16_t i = 1; i < world->count; i++)
        cut(world, i);
}

/* How many keys are answered with `status` by member 0 alone; others are OK. */
static int count_alone(struct world *world, kvorum_status status)
{
    int count = 0;
    for (int i = 0; i < KEYS; i++) {
        kvorum_status own = read_one(world, i).status;
        assert_true(own == KVORUM_OK || own == status);
        count += own == status;
    }
    return count;
}

/* --- stories --------------------------------------------------------------------------------- */

static void a_read_meets_damage(void)
{
    struct world *world = begin(3);
    rot(PLACE);
    open_again(world, 0);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(read_one(world, i).status, KVORUM_OK); /* from the others */
    assert_true(counters(world)->scrub_damaged + counters(world)->scrub_losses > 0);
    pass(world, 30000);
    assert_int_equal(counters(world)->scrub_losses, 0);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_refilled > 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

/* Nobody reads, and no pass is due for days. */
static void a_compaction_meets_damage(void)
{
    struct world *world = begin(3);
    rot(PLACE);
    open_again(world, 0);
    for (int i = 0; i < 12; i++) { /* until level 0 is due */
        assert_int_equal(put(world, 1, key_of(i), "new", NULL).status, KVORUM_OK);
        assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
        do_jobs();
    }
    pass(world, 30000);
    assert_true(counters(world)->scrub_passes > 0 && counters(world)->scrub_mended > 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

static void a_lost_range_is_not_absent(void)
{
    struct world *world = begin(3);
    rot(PLACE);
    open_again(world, 0);
    cut_others(world);
    node_scrub(world->nodes[0]);
    pass(world, 10000);
    assert_true(counters(world)->scrub_mended > 0);
    assert_true(counters(world)->scrub_losses > 0);
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0); /* and none NOT_FOUND */
    open_again(world, 0);                                    /* nor after a restart */
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0);
    for (uint16_t i = 1; i < world->count; i++)
        heal(world, i);
    pass(world, 60000);
    assert_int_equal(counters(world)->scrub_losses, 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

/* Member 2 was away when the keys were written, and never gets what is owed to it. */
static void every_owner_is_asked(void)
{
    struct world *world = world_make(3);
    char value[VALUE_SIZE + 1] = { 0 };
    fault_disk_init(&disk);
    world->work = do_jobs;
    open_again(world, 0);
    world->deaf_to_merges[2] = true;
    memset(value, 'v', VALUE_SIZE);
    for (int i = 0; i < KEYS; i++) {
        struct operation operation = operation_on(OPERATION_PUT, key_of(i));
        operation.value = bytes_of_string(value);
        operation.levels.sloppy = 0;
        assert_int_equal(run(world, 0, &operation).status, KVORUM_OK);
    }
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    rot(PLACE);
    cut(world, 1);
    open_again(world, 0);
    node_scrub(world->nodes[0]);
    pass(world, 30000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_losses > 0);
    cut(world, 2);
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0);
    heal(world, 2);
    heal(world, 1);
    pass(world, 60000);
    assert_int_equal(counters(world)->scrub_losses, 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

/* Two of four members have a partition whose third copy is still to be made. */
static void those_who_own_nothing_yet_are_not_asked(void)
{
    struct world *world = begin(4);
    struct epoch *epoch = &world->epoch;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t *row = &epoch->table[p * epoch->replica_count];
        if (row[0] != 0)
            row[1] = 0;
        row[2] = RING_NO_MEMBER;
    }
    rot(PLACE);
    open_again(world, 0);
    node_scrub(world->nodes[0]);
    pass(world, 60000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_refilled > 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

/* Which of its own records were there nobody knows: all of the store is compared. */
static void a_start_on_damage(void)
{
    struct world *world = begin(3);
    struct engine_batch *batch = engine_batch_create();
    assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("wa"), BYTES_LITERAL("12345678")),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    rot(100);
    cut_others(world);
    open_again(world, 0);
    assert_true(counters(world)->scrub_mended > 0);
    assert_int_equal(counters(world)->scrub_losses, 1);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), KEYS);
    for (uint16_t i = 1; i < world->count; i++)
        heal(world, i);
    pass(world, 60000);
    assert_int_equal(counters(world)->scrub_losses, 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

static void the_only_replica_is_lost(void)
{
    struct world *world = begin(1);
    rot(PLACE);
    open_again(world, 0);
    node_scrub(world->nodes[0]);
    pass(world, 10000);
    assert_int_equal(counters(world)->scrub_lost, 1);
    int lost = count_alone(world, KVORUM_CORRUPT);
    assert_true(lost > 0 && lost < KEYS);
    open_again(world, 0);
    pass(world, 10000);
    assert_int_equal(counters(world)->scrub_lost, 1);
    assert_int_equal(count_alone(world, KVORUM_CORRUPT), lost);
    node_scrub_accept(world->nodes[0]);
    settle(world);
    assert_int_equal(counters(world)->scrub_losses, 0);
    assert_int_equal(counters(world)->scrub_accepted, 1);
    assert_true(count_alone(world, KVORUM_NOT_FOUND) > 0);
    open_again(world, 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

static void accepting_waits_for_those_who_may_have_it(void)
{
    struct world *world = begin(3);
    rot(PLACE);
    open_again(world, 0);
    cut_others(world);
    node_scrub(world->nodes[0]);
    pass(world, 10000);
    uint64_t losses = counters(world)->scrub_losses;
    assert_true(losses > 0);
    node_scrub_accept(world->nodes[0]);
    assert_int_equal(counters(world)->scrub_losses, losses);
    assert_int_equal(counters(world)->scrub_accepted, 0);
    end(world);
}

static void the_last_pass_is_remembered(void)
{
    struct world *world = begin(1);
    assert_int_equal(node_scrub_last_ms(world->nodes[0]), 0);
    node_scrub(world->nodes[0]);
    pass(world, 5000);
    uint64_t last_ms = node_scrub_last_ms(world->nodes[0]);
    assert_true(last_ms > 1700000000000ull);
    open_again(world, 0);
    assert_int_equal(node_scrub_last_ms(world->nodes[0]), last_ms);
    end(world);
}

static const struct named_test tests[] = {
    { "a read that meets damage is answered by others, and what it met is refilled",
      a_read_meets_damage },
    { "what a compaction meets is found by a pass at once, and refilled",
      a_compaction_meets_damage },
    { "a replica does not say that a key is absent that it may have lost",
      a_lost_range_is_not_absent },
    { "a loss is over when every other owner was asked, for one alone may have it",
      every_owner_is_asked },
    { "those who own nothing yet are not asked", those_who_own_nothing_yet_are_not_asked },
    { "a node starts on a store whose own records are damaged, and answers when all were asked",
      a_start_on_damage },
    { "what the only replica lost is an error until it is given up", the_only_replica_is_lost },
    { "nothing is given up that another owner may have",
      accepting_waits_for_those_who_may_have_it },
    { "when the last pass ended outlives a restart", the_last_pass_is_remembered },
};

int main(void)
{
    return RUN_TESTS("scrub", tests);
}
