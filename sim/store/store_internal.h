/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of store.h share.
 *
 *      store.c          a run, and what may be done in one step
 *      store_batches.c  what is written, and what the store should hold after it
 *      store_lives.c    how it is opened, and what must be left then; its ends
 *      store_model.h    what a store should hold, the plain way
 *      store_readers.h  readers who take their time */
#ifndef SIM_STORE_INTERNAL_H
#define SIM_STORE_INTERNAL_H

#include "engine/lsm/lsm.h"
#include "sim/disk/disk.h"
#include "sim/seams/jobs.h"
#include "sim/store/store_readers.h"

enum { STORE_FUSE_MAX = 60 }; /* operations of the disk until power fails */

struct batch {
    struct engine_commit commit; /* first */
    struct store *store;
    uint32_t number;
    struct model_batch content;
    enum engine_durability durability;
    bool done;
};

/* Batches that a crash took leave `taken`; their memory waits until the end. */
struct store {
    struct world *world;
    struct sim_disk disk;
    struct sim_jobs jobs;
    struct readers readers;
    struct engine *engine;
    struct engine_batch *scratch;
    struct batch **taken, **all;
    uint32_t count, all_count, capacity;
    uint32_t safe_from_kill, safe_from_crash; /* so many batches must survive */
    uint32_t next_piece;
    struct lsm_options sizes;
    bool alone; /* no jobs: whoever writes does the work of the background too */
    bool power_failed;
};

/* store_batches.c */
/** After the first `batches`. */
struct model store_model_of(const struct store *store, uint32_t batches);
/** Every key is as the first `batches` left it. */
void store_check_contents(struct store *store, uint32_t batches, const char *when);
/** A store may answer so when nothing is wrong with it but its disk. */
void store_check_fair(struct store *store, kvorum_status status, const char *what);
void store_submit(struct store *store);
void store_write_and_wait(struct store *store);

/* store_lives.c */
/** Until it is open and holds what was promised, or a violation was found. */
void store_reopen(struct store *store);
/** Without closing it in time: power fails, or the process is killed. */
void store_end(struct store *store, bool power_failure);
void store_close_and_reopen(struct store *store);

#endif
