/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 of a process that writes with several threads, while jobs flush and compact: whatever was
 * acknowledged with LOG or SYNC is there afterwards, whole and in order.  With KVORUM_PROOF=1 500
 * times, else a few.
 *
 *      parent  fork -> wait a little -> kill -9 -> open, check, close -> again, on the same store
 *      child   threads, each with keys of its own and batches 1, 2, 3 ... of which each says all */
#include "engine/lsm/lsm.h"
#include "os/disk.h"
#include "os/jobs_thread.h"
#include "tests/support/lsm_history.h"
#include "tests/support/rows.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 4,
    KEYS = 50,
    VALUE_SIZE_MAX = 6000,
    RANGE_EVERY = 97,
    RESET_EVERY = 20,
    KILLS = 15,
    PROOF_KILLS = 500,
    DELAY_US = 120000,
    ROUNDS_A_STORE = 50
};

/* Outlives the child. */
struct promises {
    _Atomic uint32_t taken[THREADS], acknowledged[THREADS];
};

static struct promises *promises;
static uint64_t checked_batches;

/* --- batches and what they lead to --------------------------------------------------------- */

static struct bytes key_of(unsigned thread, const char *what, uint32_t number, char *storage)
{
    int size = snprintf(storage, 32, "%u/%s%02u", thread, what, number);
    return bytes_make(storage, (size_t)size);
}

static struct bytes value_of(uint32_t number, uint8_t *storage)
{
    size_t size = number % 13 == 0 ? 5000 + number % 500 : sizeof(number) + number * 37 % 200;
    memset(storage, (int)(number % 251), size);
    memcpy(storage, &number, sizeof(number));
    return bytes_make(storage, size);
}

static bool deletes(uint32_t number)
{
    return number % 7 == 3;
}

static void make_batch(struct engine_batch *batch, unsigned thread, uint32_t number)
{
    char key[32], upper[32];
    uint8_t value[VALUE_SIZE_MAX];
    uint8_t operand = number % RESET_EVERY == 0 ? 'R' : (uint8_t)('a' + number % RESET_EVERY);
    kvorum_status status = KVORUM_OK;
    engine_batch_reset(batch);
    if (number % RANGE_EVERY == 0)
        status = engine_batch_delete_range(batch, key_of(thread, "k", 0, key),
                                           key_of(thread, "l", 0, upper));
    struct bytes place = key_of(thread, "k", number % KEYS, key);
    if (status == KVORUM_OK)
        status = deletes(number) ? engine_batch_delete(batch, place)
                                 : engine_batch_put(batch, place, value_of(number, value));
    if (status == KVORUM_OK)
        status = engine_batch_merge(batch, key_of(thread, "m", 0, key), bytes_make(&operand, 1));
    if (status == KVORUM_OK)
        status = engine_batch_put(batch, key_of(thread, "count", 0, key),
                                  bytes_make(&number, sizeof(number)));
    if (status != KVORUM_OK)
        abort();
}

/* --- the child ----------------------------------------------------------------------------- */

static kvorum_status open_store(struct disk *disk, struct jobs *jobs, uint64_t seed,
                                struct engine **ret_engine)
{
    struct lsm_options options = { .disk = disk,
                                   .path = "s",
                                   .jobs = jobs,
                                   .identity_seed = seed,
                                   .create = true,
                                   .memtable_size = 48 * 1024,
                                   .segment_size = 32 * 1024,
                                   .cache_size = 256 * 1024,
                                   .table_size = 32 * 1024,
                                   .level0_trigger = 2,
                                   .level1_size = 64 * 1024,
                                   .level_multiplier = 3,
                                   .compactions = 2,
                                   .blob_size = 2000,
                                   .merge = &history_operator };
    return lsm_open(&options, ret_engine);
}

struct writer {
    struct engine *engine;
    unsigned thread;
};

static uint32_t count_of(struct engine *engine, unsigned thread)
{
    char key[32];
    struct engine_view view;
    uint32_t count = 0;
    kvorum_status status = engine_view(engine, key_of(thread, "count", 0, key), &view);
    if (status == KVORUM_NOT_FOUND)
        return 0;
    if (status != KVORUM_OK)
        return UINT32_MAX;
    memcpy(&count, view.value.data, sizeof(count));
    engine_release(&view);
    return count;
}

/* A failure ends the child, which the parent tells from its being killed. */
static void *write_on(void *context)
{
    static const enum engine_durability durabilities[] = { ENGINE_NONE, ENGINE_LOG, ENGINE_LOG,
                                                           ENGINE_SYNC };
    struct writer *w = context;
    struct engine_batch *batch = engine_batch_create();
    for (uint32_t number = count_of(w->engine, w->thread) + 1;; number++) {
        enum engine_durability durability = durabilities[(number + w->thread) % 4];
        make_batch(batch, w->thread, number);
        atomic_store(&promises->taken[w->thread], number);
        kvorum_status status = engine_write(w->engine, batch, durability);
        if (status != KVORUM_OK)
            _exit(10 + (int)status);
        if (durability != ENGINE_NONE)
            atomic_store(&promises->acknowledged[w->thread], number);
    }
    return NULL;
}

static void run_child(const char *root, uint64_t seed)
{
    static struct writer writers[THREADS];
    struct disk *disk;
    struct jobs *jobs;
    struct engine *engine;
    pthread_t thread;
    if (os_disk_open(root, true, &disk) != KVORUM_OK ||
        jobs_thread_start(2, NULL, NULL, &jobs) != KVORUM_OK)
        _exit(1);
    kvorum_status status = open_store(disk, jobs, seed, &engine);
    if (status != KVORUM_OK)
        _exit(100 + (int)status);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ engine, i };
        if (pthread_create(&thread, NULL, write_on, &writers[i]) != 0)
            _exit(2);
    }
    for (uint32_t i = 1;; i++) {
        jobs_thread_drain(jobs, false);
        if (seed % 5 == 0 && i % 20 == 0)
            (void)!engine_compact(engine, NULL);
        usleep(500);
    }
}

/* --- the parent ---------------------------------------------------------------------------- */

static void check_key(struct engine *engine, unsigned thread, uint32_t count, uint32_t index)
{
    char key[32];
    uint8_t storage[VALUE_SIZE_MAX];
    struct engine_view view;
    uint32_t setter = count - (count + KEYS - index) % KEYS;
    uint32_t deleted = count - count % RANGE_EVERY; /* before its own put */
    bool present =
        count > 0 && setter <= count && setter > 0 && setter >= deleted && !deletes(setter);
    kvorum_status status = engine_view(engine, key_of(thread, "k", index, key), &view);
    assert_int_equal(status, present ? KVORUM_OK : KVORUM_NOT_FOUND);
    if (status != KVORUM_OK)
        return;
    assert_true(bytes_equal(view.value, value_of(setter, storage)));
    engine_release(&view);
}

static void check_merged(struct engine *engine, unsigned thread, uint32_t count)
{
    char key[32];
    uint8_t expected[RESET_EVERY + 1];
    size_t size = 0;
    struct engine_view view;
    for (uint32_t i = count - count % RESET_EVERY; i <= count; i++)
        if (i > 0)
            expected[size++] = i % RESET_EVERY == 0 ? 'R' : (uint8_t)('a' + i % RESET_EVERY);
    kvorum_status status = engine_view(engine, key_of(thread, "m", 0, key), &view);
    assert_int_equal(status, count == 0 ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (status != KVORUM_OK)
        return;
    assert_true(bytes_equal(view.value, bytes_make(expected, size)));
    engine_release(&view);
}

static size_t walk(struct engine *engine, bool back)
{
    struct engine_iterator *iterator;
    size_t entries = 0;
    assert_int_equal(engine_iterate(engine, NULL, &iterator), KVORUM_OK);
    (back ? engine_iterator_last : engine_iterator_first)(iterator);
    for (; iterator->valid; entries++)
        (back ? engine_iterator_previous : engine_iterator_next)(iterator);
    assert_int_equal(iterator->error, KVORUM_OK);
    engine_iterator_close(iterator);
    return entries;
}

static void no_damage(void *context, const struct engine_damage *damage)
{
    (void)context;
    print_message("# %s: %s\n", damage->file, damage->what);
    fail();
}

static void check_store(const char *root, uint64_t seed)
{
    struct disk *disk;
    struct engine *engine;
    assert_int_equal(os_disk_open(root, true, &disk), KVORUM_OK);
    assert_int_equal(open_store(disk, NULL, seed, &engine), KVORUM_OK);
    for (unsigned thread = 0; thread < THREADS; thread++) {
        uint32_t count = count_of(engine, thread);
        assert_in_range(count, promises->acknowledged[thread], promises->taken[thread]);
        for (uint32_t i = 0; i < KEYS; i++)
            check_key(engine, thread, count, i);
        check_merged(engine, thread, count);
        promises->taken[thread] = promises->acknowledged[thread] = count; /* closing syncs it */
    }
    assert_int_equal(walk(engine, false), walk(engine, true));
    if (seed % 10 == 0)
        assert_int_equal(engine_verify(engine, no_damage, NULL), KVORUM_OK);
    engine_close(engine);
    os_disk_close(disk);
}

/* True when it was killed, and not ended by an error of its own. */
static bool kill_child(const char *root, uint64_t seed, useconds_t delay_us)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(root, seed);
    usleep(delay_us);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        print_message("# the writing process ended by itself: %d\n", WEXITSTATUS(status));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool remove_name(void *context, const char *name)
{
    char path[128];
    struct disk *disk = context;
    snprintf(path, sizeof(path), "s/%s", name);
    (void)!disk->ops->remove(disk, path);
    return true;
}

static void remove_store(const char *root)
{
    struct disk *disk;
    assert_int_equal(os_disk_open(root, true, &disk), KVORUM_OK);
    (void)!disk->ops->list(disk, "s", remove_name, disk);
    (void)!disk->ops->remove(disk, "s");
    os_disk_close(disk);
}

static void forget_promises(void)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        checked_batches += promises->acknowledged[thread];
        promises->taken[thread] = promises->acknowledged[thread] = 0;
    }
}

static void test_kills(void)
{
    char root[] = "/tmp/kvorum-kill-XXXXXX";
    struct random random;
    unsigned kills = getenv("KVORUM_PROOF") != NULL ? PROOF_KILLS : KILLS;
    assert_non_null(mkdtemp(root));
    promises =
        mmap(NULL, sizeof(*promises), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(promises, MAP_FAILED);
    random_init(&random, 1);
    for (unsigned i = 1; i <= kills; i++) {
        assert_true(kill_child(root, 2 * i, (useconds_t)random_below(&random, DELAY_US)));
        if (random_chance(&random, 1, 4)) /* killed again before anyone looked */
            assert_true(kill_child(root, 3 * i, (useconds_t)random_below(&random, 8000)));
        check_store(root, 2 * i + 1);
        if (i % ROUNDS_A_STORE == 0) {
            remove_store(root);
            forget_promises();
        }
    }
    forget_promises();
    print_message("# %u kills, %llu batches\n", kills, (unsigned long long)checked_batches);
    remove_store(root);
    rmdir(root);
    munmap(promises, sizeof(*promises));
}

static const struct named_test tests[] = {
    { "a process that is killed loses nothing it acknowledged", test_kills },
};

int main(void)
{
    return RUN_TESTS("lsm kills", tests);
}
