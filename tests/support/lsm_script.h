/* SPDX-License-Identifier: Apache-2.0 */
/** A long workload on an lsm store whose pieces are so small that everything happens all the time:
 *  flushes, compactions, new segments, values out of line.  Writers do the background work, so the
 *  same seed does the same.  Beside each operation of the disk's journal stands what was promised
 *  by then.
 *
 *      batches known durable  <=  what a store holds after a crash  <=  batches taken */
#ifndef TESTS_SUPPORT_LSM_SCRIPT_H
#define TESTS_SUPPORT_LSM_SCRIPT_H

#include "tests/support/rows.h"

#include "engine/lsm/lsm.h"
#include "tests/support/fault_power.h"
#include "tests/support/lsm_history.h"

enum { SCRIPT_CHECKPOINTS = 8 };

struct script_checkpoint {
    char path[8];
    uint32_t count;      /* batches in it */
    size_t begun;        /* operations of the journal by then */
    size_t acknowledged; /* the same; SIZE_MAX: never */
};

struct script_mark {
    uint32_t durable, taken;
};

struct script {
    struct fault_disk *disk;
    struct history history;
    struct engine *engine;
    struct engine_batch *batch;
    struct random random;
    uint64_t seed;
    uint64_t memtable_size;
    unsigned mix; /* 0: every batch with SYNC */
    uint32_t taken, durable;
    struct script_mark *marks; /* by number of operations done */
    size_t mark_count, mark_capacity;
    struct script_checkpoint checkpoints[SCRIPT_CHECKPOINTS];
    size_t checkpoint_count;
    struct engine_snapshot *snapshot;
    uint32_t snapshot_count; /* batches in it */
};

static inline void script_init(struct script *s, struct fault_disk *disk, uint64_t seed,
                               unsigned mix)
{
    *s = (struct script){ .disk = disk, .batch = engine_batch_create(), .seed = seed, .mix = mix };
    assert(s->batch != NULL);
    history_init(&s->history, seed);
    random_init(&s->random, seed);
}

static inline void script_done(struct script *s)
{
    if (s->snapshot != NULL)
        engine_snapshot_release(s->engine, s->snapshot);
    engine_close(s->engine);
    engine_batch_destroy(s->batch);
    history_done(&s->history);
    free(s->marks);
}

/* Until the next operation, these are the promises. */
static inline void script_mark(struct script *s)
{
    fault_disk_notice(s->disk);
    size_t at = s->disk->journal_count;
    if (at >= s->mark_capacity) {
        s->mark_capacity = at * 2 + 1024;
        s->marks = realloc(s->marks, s->mark_capacity * sizeof(s->marks[0]));
        assert(s->marks != NULL);
    }
    struct script_mark before = { 0, 0 }, mark = { s->durable, s->taken };
    if (s->mark_count > 0)
        before = s->marks[s->mark_count - 1];
    for (; s->mark_count < at; s->mark_count++) /* while the operations before this one ran */
        s->marks[s->mark_count] = (struct script_mark){ before.durable, s->taken };
    s->marks[at] = mark;
    s->mark_count = at + 1;
}

static inline struct lsm_options script_options(struct fault_disk *disk, const char *path,
                                                uint64_t seed)
{
    return (struct lsm_options){ .disk = &disk->base,
                                 .path = path,
                                 .identity_seed = seed,
                                 .create = true,
                                 .memtable_size = 4096,
                                 .segment_size = 4096,
                                 .cache_size = 16 * 1024,
                                 .block_size = 400,
                                 .level0_trigger = 2,
                                 .level1_size = 6000,
                                 .level_multiplier = 2,
                                 .table_size = 3000,
                                 .blob_size = HISTORY_LARGE,
                                 .merge = &history_operator };
}

static inline kvorum_status script_open(struct script *s)
{
    struct lsm_options options = script_options(s->disk, "s", ++s->seed);
    struct engine *engine;
    if (s->memtable_size != 0)
        options.memtable_size = s->memtable_size;
    kvorum_status status = lsm_open(&options, &engine);
    if (status == KVORUM_OK)
        s->engine = engine;
    script_mark(s);
    return status;
}

/* --- what is done -------------------------------------------------------------------------- */

static inline enum engine_durability script_durability(struct script *s)
{
    uint64_t dice = random_below(&s->random, 8);
    if (s->mix == 0)
        return ENGINE_SYNC;
    if (s->mix == 2)
        return dice == 0 ? ENGINE_LOG : ENGINE_NONE;
    return dice < 2 ? ENGINE_SYNC : dice < 4 ? ENGINE_LOG : ENGINE_NONE;
}

static inline kvorum_status script_write(struct script *s)
{
    enum engine_durability durability = script_durability(s);
    kvorum_status status = history_make(&s->history, s->taken + 1, s->batch);
    assert(status == KVORUM_OK);
    script_mark(s);
    s->taken++;
    status = engine_write(s->engine, s->batch, durability);
    script_mark(s);
    if (status == KVORUM_OK && durability == ENGINE_SYNC)
        s->durable = s->taken;
    script_mark(s);
    return status;
}

/* What is in tables is durable. */
static inline kvorum_status script_in_tables(struct script *s, kvorum_status status)
{
    script_mark(s);
    if (status == KVORUM_OK)
        s->durable = s->taken;
    script_mark(s);
    return status;
}

static inline kvorum_status script_compact(struct script *s)
{
    char lower[32], upper[32];
    uint32_t from = (uint32_t)random_below(&s->random, HISTORY_KEYS - 10);
    struct engine_range range = { .lower = history_key(from, lower),
                                  .upper = history_key(from + 10, upper) };
    bool all = random_chance(&s->random, 1, 3);
    return script_in_tables(s, engine_compact(s->engine, all ? NULL : &range));
}

static inline kvorum_status script_checkpoint(struct script *s)
{
    if (s->checkpoint_count == SCRIPT_CHECKPOINTS)
        return KVORUM_OK;
    struct script_checkpoint *checkpoint = &s->checkpoints[s->checkpoint_count++];
    snprintf(checkpoint->path, sizeof(checkpoint->path), "c%zu", s->checkpoint_count);
    script_mark(s);
    checkpoint->count = s->taken;
    checkpoint->begun = s->disk->journal_count;
    checkpoint->acknowledged = SIZE_MAX;
    kvorum_status status = engine_checkpoint(s->engine, checkpoint->path);
    if (status == KVORUM_OK)
        checkpoint->acknowledged = s->disk->journal_count;
    return script_in_tables(s, status);
}

static inline kvorum_status script_snapshot(struct script *s)
{
    struct history_check check = { .read = { .snapshot = s->snapshot } };
    kvorum_status status = KVORUM_OK;
    if (s->snapshot == NULL) {
        status = engine_snapshot_take(s->engine, &s->snapshot);
        s->snapshot_count = s->taken;
    } else {
        if (!history_verify(&check, &s->history, s->engine, s->snapshot_count)) {
            print_message("# snapshot: %s\n", check.wrong);
            status = KVORUM_INTERNAL;
        }
        engine_snapshot_release(s->engine, s->snapshot);
        s->snapshot = NULL;
    }
    script_mark(s);
    return status;
}

static inline kvorum_status script_reopen(struct script *s)
{
    if (s->snapshot != NULL)
        engine_snapshot_release(s->engine, s->snapshot);
    s->snapshot = NULL;
    script_mark(s);
    s->engine = engine_close(s->engine); /* which syncs */
    script_mark(s);
    s->durable = s->taken;
    script_mark(s);
    return script_open(s);
}

static inline kvorum_status script_check(struct script *s)
{
    struct history_check check = { 0 };
    if (history_verify(&check, &s->history, s->engine, s->taken))
        return KVORUM_OK;
    print_message("# while it is written: %s\n", check.wrong);
    return KVORUM_INTERNAL;
}

static inline kvorum_status script_step(struct script *s)
{
    kvorum_status status = script_write(s);
    if (status != KVORUM_OK)
        return status;
    switch (random_below(&s->random, 60)) {
    case 0:
        return script_in_tables(s, engine_flush(s->engine));
    case 1:
        return script_compact(s);
    case 2:
        return script_checkpoint(s);
    case 3:
    case 4:
    case 5:
        return script_snapshot(s);
    case 6:
        return script_in_tables(s, engine_settle(s->engine));
    case 7:
        return script_reopen(s);
    case 8:
        return script_check(s);
    default:
        return KVORUM_OK;
    }
}

/** Stops at the first error; the engine stays open. */
static inline kvorum_status script_run(struct script *s, uint32_t batches)
{
    kvorum_status status = s->engine == NULL ? script_open(s) : KVORUM_OK;
    while (status == KVORUM_OK && s->taken < batches)
        status = script_step(s);
    return status;
}

#endif
