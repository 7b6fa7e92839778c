/* SPDX-License-Identifier: Apache-2.0 */
/** A workload whose state is known after every batch, for tests that break disks under an engine.
 *
 *  Batch i sets "count" to i, one of seven keys to a value made from i, and deletes another.  So
 *  the state after i batches is known, and what a store holds must be such a state: whole, and in
 *  order.
 *
 *      batches that were acknowledged with sync  <=  i  <=  batches that were taken */
#ifndef TESTS_SUPPORT_LSM_WORKLOAD_H
#define TESTS_SUPPORT_LSM_WORKLOAD_H

#include "tests/support/rows.h"

#include "engine/lsm/lsm.h"
#include "tests/support/fault_power.h"

enum { BATCHES = 60, KEYS = 7, VALUE_SIZE_MAX = 700 };

struct workload {
    struct fault_disk *disk;
    struct engine *engine;
    struct engine_batch *batch;
    uint32_t taken, synced;
    bool opened; /* `engine` is one */
    uint64_t seed;
    /* for each operation of the journal, what was promised when it was done */
    uint32_t taken_at[4096], synced_at[4096];
    size_t marked;
};

static inline struct bytes text(const char *text)
{
    return bytes_of_string(text);
}

static inline void note(struct workload *w)
{
    fault_disk_notice(w->disk);
    for (; w->marked <= w->disk->journal_count; w->marked++) {
        assert_true(w->marked < 4096);
        w->taken_at[w->marked] = w->taken;
        w->synced_at[w->marked] = w->synced;
    }
    w->synced_at[w->disk->journal_count] = w->synced;
    w->taken_at[w->disk->journal_count] = w->taken;
}

static inline kvorum_status open_store(struct fault_disk *disk, uint64_t seed,
                                       struct engine **ret_engine)
{
    struct lsm_options options = { .disk = &disk->base,
                                   .path = "s",
                                   .identity_seed = seed,
                                   .create = true,
                                   .segment_size = 4096 };
    return lsm_open(&options, ret_engine);
}

static inline size_t value_size(uint32_t i)
{
    return i % 11 == 3 ? VALUE_SIZE_MAX : i * 37 % 120;
}

static inline struct bytes value_of(uint32_t i, uint8_t *storage)
{
    memset(storage, (int)i, VALUE_SIZE_MAX);
    memcpy(storage, &i, sizeof(i));
    return bytes_make(storage, value_size(i) + sizeof(i) - (value_size(i) > 600 ? 4 : 0));
}

static inline void make_batch(struct engine_batch *batch, uint32_t i)
{
    uint8_t value[VALUE_SIZE_MAX];
    char key[8], gone[8];
    snprintf(key, sizeof(key), "k%u", i % KEYS);
    snprintf(gone, sizeof(gone), "k%u", (i + 3) % KEYS);
    engine_batch_reset(batch);
    assert_int_equal(engine_batch_put(batch, text("count"), bytes_make(&i, 4)), KVORUM_OK);
    assert_int_equal(engine_batch_put(batch, text(key), value_of(i, value)), KVORUM_OK);
    assert_int_equal(engine_batch_delete(batch, text(gone)), KVORUM_OK);
}

/* The batch that set key `index` last, when `count` batches are there; 0: absent. */
static inline uint32_t last_setter(uint32_t count, uint32_t index)
{
    for (uint32_t i = count; i > 0; i--) {
        if (i % KEYS == index)
            return i;
        if ((i + 3) % KEYS == index)
            return 0;
    }
    return 0;
}

/* Returns how many batches the store holds, having checked that it holds exactly these. */
static inline uint32_t check_state(struct engine *engine)
{
    struct engine_view view;
    uint32_t count = 0;
    if (engine_view(engine, text("count"), &view) == KVORUM_OK) {
        memcpy(&count, view.value.data, sizeof(count));
        engine_release(&view);
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[8];
        uint8_t value[VALUE_SIZE_MAX];
        uint32_t setter = last_setter(count, k);
        snprintf(key, sizeof(key), "k%u", k);
        kvorum_status status = engine_view(engine, text(key), &view);
        assert_int_equal(status, setter == 0 ? KVORUM_NOT_FOUND : KVORUM_OK);
        if (setter == 0)
            continue;
        assert_true(bytes_equal(view.value, value_of(setter, value)));
        engine_release(&view);
    }
    return count;
}

static inline enum engine_durability durability_of(uint32_t i, unsigned mix)
{
    if (mix == 0)
        return ENGINE_SYNC;
    return i % 5 == 0 ? ENGINE_SYNC : i % 3 == 0 ? ENGINE_LOG : ENGINE_NONE;
}

/* Stops at the first error. */
static inline kvorum_status write_batches(struct workload *w, uint32_t until, unsigned mix)
{
    while (w->taken < until) {
        uint32_t i = w->taken + 1;
        enum engine_durability durability = durability_of(i, mix);
        make_batch(w->batch, i);
        note(w);
        w->taken = i;
        kvorum_status status = engine_write(w->engine, w->batch, durability);
        note(w);
        if (status != KVORUM_OK)
            return status;
        if (durability == ENGINE_SYNC)
            w->synced = i;
        note(w);
    }
    return KVORUM_OK;
}

/* Open, write, close, open, write; the last session stays open. */
static inline kvorum_status run(struct workload *w, struct fault_disk *disk, unsigned mix)
{
    *w = (struct workload){ .disk = disk, .batch = engine_batch_create(), .seed = 100 };
    for (uint32_t until = BATCHES / 2; until <= BATCHES; until += BATCHES / 2) {
        kvorum_status status = open_store(disk, ++w->seed, &w->engine);
        w->opened = status == KVORUM_OK;
        if (status == KVORUM_OK)
            status = write_batches(w, until, mix);
        note(w);
        if (status != KVORUM_OK || until == BATCHES)
            return status;
        w->engine = engine_close(w->engine); /* which syncs */
        note(w);
        w->synced = w->taken;
        note(w);
    }
    return KVORUM_OK;
}

static inline void run_done(struct workload *w)
{
    engine_close(w->engine);
    engine_batch_destroy(w->batch);
}

#endif
