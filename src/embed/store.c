/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: a disk, threads for jobs, and the engine on top of them.
 *
 *      kvorum_store -> engine -> disk   rooted at "/", since a checkpoint may go anywhere on the
 *                             |         file system; the store is an absolute path below it
 *                             -> jobs  os/jobs_pool
 */
#include <stdlib.h>

#include "embed/internal.h"
#include "engine/lsm/lsm.h"
#include "engine/memory/memory.h"
#include "os/disk.h"
#include "os/entropy.h"
#include "os/jobs_pool.h"
#include "os/path.h"

enum { BACKGROUND_THREADS_DEFAULT = 2, COMPACTIONS_MAX = 4 };

static unsigned threads_of(const kvorum_options *options)
{
    return options->background_threads == 0 ? BACKGROUND_THREADS_DEFAULT
                                            : options->background_threads;
}

/* A flush finds a thread though compactions run: writers wait for it. */
static uint32_t compactions_of(const kvorum_options *options)
{
    unsigned threads = threads_of(options);
    return threads <= 2 ? 1 : threads > COMPACTIONS_MAX ? COMPACTIONS_MAX : threads - 1;
}

static_assert((int)KVORUM_COMPRESSION_DEFAULT == (int)LSM_PACK_DEFAULT, "one is the other");
static_assert((int)KVORUM_COMPRESSION_NONE == (int)LSM_PACK_NONE, "one is the other");
static_assert((int)KVORUM_COMPRESSION_LZ4 == (int)LSM_PACK_LZ4, "one is the other");
static_assert((int)KVORUM_COMPRESSION_ZSTD == (int)LSM_PACK_ZSTD, "one is the other");

struct lsm_options embed_lsm_options(const kvorum_store *store, const char *path)
{
    const kvorum_options *options = &store->options;
    bool filters = options->filter_bits != KVORUM_NO_FILTER;
    struct lsm_options lsm = {
        .disk = store->disk,
        .path = path,
        .jobs = store->jobs,
        .log = &store->log,
        .identity_seed = os_entropy_u64(),
        .create = !options->must_exist && !options->read_only,
        .read_only = options->read_only,
        .memtable_size = options->memtable_size,
        .segment_size = options->log_segment_size,
        .cache_size = options->cache_size,
        .table_memory_size = options->table_memory_size,
        .open_files = options->open_files,
        .block_size = options->block_size,
        .filter_bits = filters ? (uint8_t)options->filter_bits : (uint8_t)LSM_FILTER_BITS_NONE,
        .compactions = compactions_of(options),
        .blob_size = options->large_value_size,
        .merge = options->merge.merge == NULL ? NULL : &store->merge,
        .filter = options->filter.keep == NULL ? NULL : &store->filter,
    };
    for (int i = 0; i < ENGINE_LEVELS; i++)
        lsm.packing[i] = (enum lsm_packing)options->compression;
    return lsm;
}

/* EXISTS when there is a store, be it damaged or somebody else's at the moment. */
static kvorum_status open_new(const struct lsm_options *options, struct engine **ret_engine)
{
    struct lsm_options probe = *options;
    struct engine *engine;
    probe.create = false;
    kvorum_status status = lsm_open(&probe, &engine);
    if (status == KVORUM_NOT_FOUND)
        return lsm_open(options, ret_engine);
    if (status == KVORUM_OK)
        engine_close(engine);
    bool there = status == KVORUM_OK || status == KVORUM_LOCKED || status == KVORUM_CORRUPT ||
                 status == KVORUM_NEWER_FORMAT;
    return there ? KVORUM_EXISTS : status;
}

static kvorum_status open_world(kvorum_store *store)
{
    kvorum_status status = os_disk_open("/", false, &store->disk);
    if (status != KVORUM_OK)
        return status;
    return jobs_pool_start(threads_of(&store->options), &store->jobs);
}

static kvorum_status open_lsm(kvorum_store *store, const char *path)
{
    char *whole;
    if (path == NULL)
        return KVORUM_INVALID;
    kvorum_status status = os_path_absolute(path, &whole);
    if (status != KVORUM_OK)
        return status;
    status = open_world(store);
    if (status == KVORUM_OK) {
        const struct lsm_options options = embed_lsm_options(store, whole + 1);
        status = store->options.must_be_new ? open_new(&options, &store->engine)
                                            : lsm_open(&options, &store->engine);
    }
    free(whole);
    return status;
}

static kvorum_status open_memory(kvorum_store *store)
{
    const struct memory_options options = { .size_limit = store->options.size_limit };
    if (store->options.must_exist || store->options.read_only)
        return KVORUM_NOT_FOUND;
    return memory_open(&options, &store->engine);
}

static bool wants_memory(const kvorum_store *store)
{
    return store->options.engine != NULL && strcmp(store->options.engine, "memory") == 0;
}

/* The engine may still have jobs under way when it is closed; they need the disk. */
kvorum_store *kvorum_close(kvorum_store *store)
{
    if (store == NULL)
        return NULL;
    engine_close(store->engine);
    jobs_pool_stop(store->jobs);
    os_disk_close(store->disk);
    for (size_t i = 0; i < EMBED_IDLE_BATCHES; i++)
        engine_batch_destroy(atomic_load(&store->idle_batches[i]));
    embed_callbacks_done(store);
    free(store);
    return NULL;
}

kvorum_status kvorum_open(const char *path, const kvorum_options *options, kvorum_store **ret_store)
{
    if (ret_store == NULL)
        return KVORUM_INVALID;
    kvorum_status status = embed_options_check(options);
    if (status != KVORUM_OK)
        return status;
    kvorum_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return KVORUM_NO_MEMORY;
    if (options != NULL)
        store->options = *options;
    status = embed_callbacks_init(store);
    if (status == KVORUM_OK)
        status = wants_memory(store) ? open_memory(store) : open_lsm(store, path);
    if (status != KVORUM_OK) {
        kvorum_close(store);
        return status;
    }
    *ret_store = store;
    return KVORUM_OK;
}

const char *kvorum_version(void)
{
    return KVORUM_VERSION;
}
