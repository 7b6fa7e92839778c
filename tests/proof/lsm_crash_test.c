/* SPDX-License-Identifier: Apache-2.0 */
/* Crash states of the lsm engine: the power fails after each operation of long workloads, with what
 * was not synced kept, dropped and torn; again while the store is being opened; and again after it
 * went on.  With KVORUM_PROOF=1 all of them, else a sample. */
#include "base/hash.h"
#include "tests/support/lsm_script.h"

#include <time.h>

static uint64_t states;

struct moment {
    struct script *script;
    size_t at;
    const char *how;
    uint64_t seed;
};

static void blame(const struct moment *m, const char *step, const char *why)
{
    print_message("# workload %llu, %s after operation %zu, seed %llu, %s: %s\n",
                  (unsigned long long)m->script->history.seed, m->how, m->at,
                  (unsigned long long)m->seed, step, why);
    fail();
}

/* Opens it and says how many batches it holds. */
static uint32_t reopen(const struct moment *m, struct fault_disk *disk, const char *step,
                       struct engine **ret_engine)
{
    struct lsm_options options = script_options(disk, "s", m->seed + 1000000);
    struct history_check check = { 0 };
    const struct script_mark *mark = &m->script->marks[m->at];
    states++;
    kvorum_status status = lsm_open(&options, ret_engine);
    if (status != KVORUM_OK)
        blame(m, step, kvorum_status_name(status));
    if (!history_verify(&check, &m->script->history, *ret_engine, HISTORY_COUNT))
        blame(m, step, check.wrong);
    if (check.count < mark->durable || check.count > mark->taken) {
        char why[64];
        snprintf(why, sizeof(why), "%u batches, not %u..%u", check.count, mark->durable,
                 mark->taken);
        blame(m, step, why);
    }
    return check.count;
}

/* A checkpoint is what it was made from, or no store. */
static void check_checkpoint(const struct moment *m, struct fault_disk *disk,
                             const struct script_checkpoint *checkpoint)
{
    struct lsm_options options = script_options(disk, checkpoint->path, m->seed + 2000000);
    struct history_check check = { 0 };
    struct engine *engine;
    options.create = false;
    kvorum_status status = lsm_open(&options, &engine);
    if (status == KVORUM_OK) {
        if (!history_verify(&check, &m->script->history, engine, checkpoint->count))
            blame(m, checkpoint->path, check.wrong);
        engine_close(engine);
        return;
    }
    bool no_store = status == KVORUM_NOT_FOUND || status == KVORUM_CORRUPT;
    if (!no_store || checkpoint->acknowledged <= m->at)
        blame(m, checkpoint->path, kvorum_status_name(status));
}

static void check_checkpoints(const struct moment *m, struct fault_disk *disk)
{
    for (size_t i = 0; i < m->script->checkpoint_count; i++) {
        const struct script_checkpoint *checkpoint = &m->script->checkpoints[i];
        bool near = m->at >= checkpoint->begun && m->at <= checkpoint->begun + 100;
        if (checkpoint->begun <= m->at && (near || hash_mix64(m->at) % 16 == 0))
            check_checkpoint(m, disk, checkpoint);
    }
}

/* The power fails again while the store is being opened, and once more after it went on. */
static void fail_again(struct moment *m, struct fault_disk *disk, struct engine *engine,
                       size_t opened_at, uint32_t count)
{
    struct fault_disk again;
    struct engine *second;
    size_t within = hash_mix64(m->seed + m->at) % (opened_at + 1);
    fault_disk_crash(disk, within, FAULT_TEAR, m->seed, &again);
    reopen(m, &again, "again while it was opened", &second);
    engine_close(second);
    fault_disk_done(&again);

    struct script *s = m->script;
    if (count + 1 > s->history.count)
        return;
    assert_int_equal(history_make(&s->history, count + 1, s->batch), KVORUM_OK);
    assert_int_equal(engine_write(engine, s->batch, ENGINE_SYNC), KVORUM_OK);
    fault_disk_crash(disk, disk->journal_count, FAULT_DROP, m->seed, &again);
    struct lsm_options options = script_options(&again, "s", m->seed + 3000000);
    struct history_check check = { 0 };
    kvorum_status status = lsm_open(&options, &second);
    states++;
    if (status != KVORUM_OK)
        blame(m, "after it went on", kvorum_status_name(status));
    if (!history_verify(&check, &s->history, second, count + 1))
        blame(m, "after it went on", check.wrong);
    engine_close(second);
    fault_disk_done(&again);
}

static void check_state(struct moment *m, const struct fault_power *power, enum fault_crash how)
{
    static const char *const names[] = { "all kept", "un-synced dropped", "un-synced torn",
                                         "un-synced scattered" };
    struct fault_disk survivor;
    struct engine *engine;
    m->how = names[how];
    fault_power_fail(power, how, m->seed, &survivor);
    check_checkpoints(m, &survivor);
    uint32_t count = reopen(m, &survivor, "opened", &engine);
    if (hash_mix64(m->seed * 7 + m->at) % 8 == 0)
        fail_again(m, &survivor, engine, survivor.journal_count, count);
    engine_close(engine);
    fault_disk_done(&survivor);
}

struct crash_row {
    const char *name;
    unsigned mix;
    uint64_t memtable_size; /* bytes; the smaller, the more is flushed */
    bool maps;              /* the disk offers it, and the log is stored into */
};

enum {
    SAMPLE_BATCHES = 220,
    PROOF_BATCHES = 420,
    SAMPLE_STRIDE = 5,
    SAMPLE_ROUNDS = 1,
    PROOF_ROUNDS = 5
};

static void fail_everywhere(const void *context)
{
    const struct crash_row *row = context;
    bool proof = getenv("KVORUM_PROOF") != NULL;
    struct fault_disk disk;
    struct script script;
    struct fault_power power;
    fault_disk_init(&disk);
    disk.maps = row->maps;
    script_init(&script, &disk, 77 + row->mix + row->memtable_size, row->mix);
    script.memtable_size = row->memtable_size;
    assert_int_equal(script_run(&script, proof ? PROOF_BATCHES : SAMPLE_BATCHES), KVORUM_OK);
    script_mark(&script);
    fault_power_init(&power, &disk);
    uint64_t before = states;
    for (size_t at = 0; at <= disk.journal_count; at += proof ? 1 : SAMPLE_STRIDE) {
        struct moment m = { .script = &script, .at = at };
        fault_power_to(&power, at);
        unsigned rounds = proof ? PROOF_ROUNDS : SAMPLE_ROUNDS;
        check_state(&m, &power, FAULT_KEEP);
        check_state(&m, &power, FAULT_DROP);
        for (unsigned round = 0; round < rounds && power.pending_count > 0; round++) {
            m.seed = at * 64 + round;
            check_state(&m, &power, FAULT_TEAR);
            check_state(&m, &power, FAULT_SCATTER);
        }
    }
    print_message("# %llu crash states over %zu operations\n",
                  (unsigned long long)(states - before), disk.journal_count);
    fault_power_done(&power);
    script_done(&script);
    fault_disk_done(&disk);
}

static const struct crash_row crash_rows[] = {
    { "each batch is synced, and flushed", 0, 4096, false },
    { "each batch is synced, some are flushed", 0, 6000, false },
    { "batches are synced, logged or not even that, and flushed", 1, 4096, false },
    { "batches are synced, logged or not even that, some are flushed", 1, 6000, false },
    { "batches are synced, logged or not even that, few are flushed", 1, 12000, false },
    { "hardly any batch is synced, each is flushed", 2, 4096, false },
    { "hardly any batch is synced, some are flushed", 2, 6000, false },
    { "hardly any batch is synced, few are flushed", 2, 12000, false },
    { "mapped: batches are synced, logged or not even that, some are flushed", 1, 6000, true },
    { "mapped: batches are synced, logged or not even that, few are flushed", 1, 12000, true },
    { "mapped: hardly any batch is synced, few are flushed", 2, 12000, true },
};

int main(void)
{
    return RUN_ROWS("lsm crash states", crash_rows, fail_everywhere);
}
