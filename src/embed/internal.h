/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the embedded library share.  Public types are told from ours by their names:
 *  kvorum_* is the caller's, struct * is the engine's. */
#ifndef EMBED_INTERNAL_H
#define EMBED_INTERNAL_H

#include <assert.h>
#include <stdatomic.h>

#include "base/disk.h"
#include "base/jobs.h"
#include "base/log.h"
#include "engine/engine.h"
#include "kvorum/kvorum.h"

enum { EMBED_IDLE_BATCHES = 16, EMBED_IDLE_BATCH_SIZE = 256 * 1024 };

struct kvorum_store {
    struct engine *engine;
    struct disk *disk; /* NULL: memory engine */
    struct jobs *jobs; /* NULL: memory engine */
    struct log log;
    kvorum_options options; /* what the callbacks below need for as long as the store is open */
    char *merge_name;
    struct engine_merge_operator merge;
    struct engine_compaction_filter filter;
    /* For single writes, so that they allocate nothing: a thread takes one out and puts it back. */
    _Atomic(struct engine_batch *) idle_batches[EMBED_IDLE_BATCHES];
};

/* callbacks.c: the caller's functions, as the engine wants them */

/** Fill log, merge, filter of `store` from its options.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status embed_callbacks_init(kvorum_store *store);
void embed_callbacks_done(kvorum_store *store);

/* store.c */

struct lsm_options;
struct lsm_options embed_lsm_options(const kvorum_store *store, const char *path);

/* tables.c */

struct embed_listener {
    void (*report)(void *context, const kvorum_damage *damage); /* or NULL */
    void *context;
};
/** `context`: a listener. */
void embed_pass_on(void *context, const struct engine_damage *damage);

/* options.c */

/** INVALID, or UNSUPPORTED when something of a later release is asked for.  NULL is fine. */
KVORUM_CHECKED kvorum_status embed_options_check(const kvorum_options *options);
bool embed_all_zero(const uint64_t *reserved, size_t count);

static inline struct bytes embed_bytes(kvorum_bytes bytes)
{
    return bytes_make(bytes.data, bytes.size);
}

static inline kvorum_bytes embed_public_bytes(struct bytes bytes)
{
    return kvorum_make(bytes.data, bytes.size);
}

static inline bool embed_bytes_valid(kvorum_bytes bytes)
{
    return bytes.data != NULL || bytes.size == 0;
}

/** The engine allows a little more, for those who put an address before the key. */
static inline kvorum_status embed_check_key(kvorum_bytes key)
{
    if (key.data == NULL || key.size == 0)
        return KVORUM_INVALID;
    return key.size > KVORUM_KEY_SIZE_MAX ? KVORUM_TOO_LARGE : KVORUM_OK;
}

static inline struct engine_batch *embed_batch(kvorum_batch *batch)
{
    return (struct engine_batch *)batch; /* never looked into under the public name */
}

#endif
