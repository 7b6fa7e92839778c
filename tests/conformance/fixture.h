/* SPDX-License-Identifier: Apache-2.0 */
/** The conformance suite's view of an engine: how to open one for a test, and short ways to use it.
 *  Another engine is one more line in `engines_under_test`.
 *
 *      static void reads_what_was_put(struct fixture *f) { put(f, "a", "1"); ... }
 *      static const struct conformance_case cases[] = { { "a sentence", reads_what_was_put } };
 *      int main(void) { return RUN_CONFORMANCE("engine", cases); }
 */
#ifndef TESTS_CONFORMANCE_FIXTURE_H
#define TESTS_CONFORMANCE_FIXTURE_H

#include "tests/support/rows.h"

#include "engine/lsm/lsm.h"
#include "engine/memory/memory.h"
#include "os/disk.h"
#include "os/jobs_thread.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    const struct engine_under_test *kind;
    struct engine *engine;
    struct engine_batch *batch;
    struct arena arena;
    char root[64]; /* of the disk, below /tmp */
    struct disk *disk;
    struct jobs *jobs;
    uint64_t size_limit; /* 0: none */
    uint64_t seed;
};

struct engine_under_test {
    const char *name;
    kvorum_status (*open)(struct fixture *f, struct engine **ret_engine);
};

static inline kvorum_status open_memory(struct fixture *f, struct engine **ret_engine)
{
    struct memory_options options = { .size_limit = f->size_limit };
    return memory_open(&options, ret_engine);
}

static inline kvorum_status open_lsm(struct fixture *f, struct engine **ret_engine)
{
    struct lsm_options options = { .disk = f->disk,
                                   .path = "store",
                                   .jobs = f->jobs,
                                   .identity_seed = ++f->seed,
                                   .create = true };
    return lsm_open(&options, ret_engine);
}

/* The same with memtables, tables and segments so small that everything moves all the time. */
static inline kvorum_status open_lsm_small(struct fixture *f, struct engine **ret_engine)
{
    struct lsm_options options = { .disk = f->disk,
                                   .path = "store",
                                   .jobs = f->jobs,
                                   .identity_seed = ++f->seed,
                                   .create = true,
                                   .memtable_size = 16 * 1024,
                                   .table_size = 4 * 1024,
                                   .compactions = 3,
                                   .level0_trigger = 2,
                                   .level1_size = 16 * 1024,
                                   .level_multiplier = 2,
                                   .cache_size = 32 * 1024,
                                   .block_size = 512,
                                   .blob_size = 4096,
                                   .segment_size = 4096 };
    return lsm_open(&options, ret_engine);
}

/* And with writers that flush and compact by themselves. */
static inline kvorum_status open_lsm_alone(struct fixture *f, struct engine **ret_engine)
{
    struct jobs *jobs = f->jobs;
    f->jobs = NULL;
    kvorum_status status = open_lsm_small(f, ret_engine);
    f->jobs = jobs;
    return status;
}

static const struct engine_under_test engines_under_test[] = {
    { "memory", open_memory },
    { "lsm", open_lsm },
    { "lsm in small pieces", open_lsm_small },
};

/* --- opening and closing ------------------------------------------------------------------- */

static inline void fixture_open_engine(struct fixture *f)
{
    assert_int_equal(f->kind->open(f, &f->engine), KVORUM_OK);
}

static inline void fixture_reopen(struct fixture *f)
{
    f->engine = engine_close(f->engine);
    fixture_open_engine(f);
}

static inline void fixture_init(struct fixture *f, const struct engine_under_test *kind)
{
    *f = (struct fixture){ .kind = kind, .batch = engine_batch_create(), .seed = 1 };
    arena_init(&f->arena, 64 << 20);
    snprintf(f->root, sizeof(f->root), "/tmp/kvorum-conformance-XXXXXX");
    assert_non_null(f->batch);
    assert_non_null(mkdtemp(f->root));
    assert_int_equal(os_disk_open(f->root, true, &f->disk), KVORUM_OK);
    assert_int_equal(jobs_thread_start(3, NULL, NULL, &f->jobs), KVORUM_OK);
    fixture_open_engine(f);
}

static inline bool fixture_remove_name(void *context, const char *name)
{
    struct fixture *f = context;
    char path[512];
    snprintf(path, sizeof(path), "store/%s", name);
    (void)!f->disk->ops->remove(f->disk, path);
    return true;
}

static inline void fixture_done(struct fixture *f)
{
    engine_close(f->engine);
    jobs_thread_stop(f->jobs);
    (void)!f->disk->ops->list(f->disk, "store", fixture_remove_name, f);
    os_disk_close(f->disk);
    char path[128];
    snprintf(path, sizeof(path), "%s/store", f->root);
    rmdir(path);
    rmdir(f->root);
    engine_batch_destroy(f->batch);
    arena_done(&f->arena);
}

/* --- short ways ---------------------------------------------------------------------------- */

#define TEXT(text) bytes_of_string(text)

static inline struct engine_batch *one_put(struct fixture *f, struct bytes key, struct bytes value)
{
    engine_batch_reset(f->batch);
    assert_int_equal(engine_batch_put(f->batch, key, value), KVORUM_OK);
    return f->batch;
}

static inline void put_bytes(struct fixture *f, struct bytes key, struct bytes value)
{
    assert_int_equal(engine_write(f->engine, one_put(f, key, value), ENGINE_LOG), KVORUM_OK);
}

static inline void put(struct fixture *f, const char *key, const char *value)
{
    put_bytes(f, TEXT(key), TEXT(value));
}

static inline void delete (struct fixture *f, const char *key)
{
    engine_batch_reset(f->batch);
    assert_int_equal(engine_batch_delete(f->batch, TEXT(key)), KVORUM_OK);
    assert_int_equal(engine_write(f->engine, f->batch, ENGINE_LOG), KVORUM_OK);
}

static inline void assert_bytes(struct bytes actual, struct bytes expected)
{
    assert_int_equal(actual.size, expected.size);
    assert_true(bytes_equal(actual, expected));
}

/* `expected` NULL: absent. */
static inline void assert_value(struct fixture *f, const char *key, const char *expected)
{
    struct bytes value = { 0 };
    arena_reset(&f->arena);
    kvorum_status status = engine_get(f->engine, TEXT(key), &f->arena, &value);
    assert_int_equal(status, expected == NULL ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (expected != NULL)
        assert_bytes(value, TEXT(expected));
}

static inline struct engine_iterator *iterate(struct fixture *f, const char *lower,
                                              const char *upper)
{
    struct engine_iterator *iterator;
    struct engine_range range = { .lower = TEXT(lower), .upper = TEXT(upper) };
    assert_int_equal(engine_iterate(f->engine, &range, &iterator), KVORUM_OK);
    return iterator;
}

/* Walk on from where the iterator is: "a=1 b=2". */
static inline void assert_rest(struct engine_iterator *iterator,
                               void (*move)(struct engine_iterator *iterator), const char *expected)
{
    char seen[1024] = "";
    size_t size = 0;
    for (; iterator->valid; move(iterator))
        size +=
            (size_t)snprintf(seen + size, sizeof(seen) - size, "%s%.*s=%.*s", size == 0 ? "" : " ",
                             (int)iterator->key.size, (const char *)iterator->key.data,
                             (int)iterator->value.size, (const char *)iterator->value.data);
    assert_string_equal(seen, expected);
    assert_int_equal(iterator->error, KVORUM_OK);
}

static inline void assert_all(struct fixture *f, const char *expected)
{
    struct engine_iterator *iterator = iterate(f, "", "");
    engine_iterator_first(iterator);
    assert_rest(iterator, engine_iterator_next, expected);
    engine_iterator_close(iterator);
}

/* --- running ------------------------------------------------------------------------------- */

struct conformance_case {
    const char *name;
    void (*check)(struct fixture *f);
    uint32_t needs; /* capabilities without which the case says nothing */
};

struct conformance_run {
    const char *name;
    const struct engine_under_test *kind;
    const struct conformance_case *one;
};

static inline void conformance_check(const void *row)
{
    const struct conformance_run *run = row;
    struct fixture f;
    fixture_init(&f, run->kind);
    if (engine_can(f.engine, run->one->needs))
        run->one->check(&f);
    fixture_done(&f);
}

static inline int conformance_run(const char *group, const struct conformance_case *cases,
                                  size_t count)
{
    size_t engines = sizeof(engines_under_test) / sizeof(engines_under_test[0]);
    struct conformance_run *runs = calloc(engines * count, sizeof(*runs));
    char(*names)[200] = calloc(engines * count, sizeof(*names));
    if (runs == NULL || names == NULL)
        abort();
    for (size_t i = 0; i < engines * count; i++) {
        const struct engine_under_test *kind = &engines_under_test[i / count];
        snprintf(names[i], sizeof(names[i]), "%s: %s", kind->name, cases[i % count].name);
        runs[i] = (struct conformance_run){ names[i], kind, &cases[i % count] };
    }
    int failed = rows_run(group, runs, sizeof(*runs), engines * count, conformance_check);
    free(names);
    free(runs);
    return failed;
}

#define RUN_CONFORMANCE(group, cases)                                                              \
    conformance_run((group), (cases), sizeof(cases) / sizeof((cases)[0]))

#endif
