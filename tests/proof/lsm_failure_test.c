/* SPDX-License-Identifier: Apache-2.0 */
/* In each scenario the n-th operation of the disk fails, and the n-th allocation, for every n until
 * the scenario runs through: once, and from then on.  Afterwards nothing acknowledged is lost, what
 * is there is whole, also after a power failure, and the sanitizers find no leak. */
#include "tests/support/fault_memory.h"
/* before the disk */
#include "engine/lsm/salvage/salvage.h"
#include "tests/support/lsm_script.h"

#include <unistd.h>

enum { HANG_S = 60 };

static const uint64_t failures = 1u << KVORUM_IO | 1u << KVORUM_NO_MEMORY | 1u << KVORUM_POISONED;

struct run {
    struct fault_disk disk;
    struct history *history, own;
    struct engine *engine; /* NULL: not open */
    struct engine_batch *batch;
    uint32_t acknowledged, taken, durable; /* batches */
    bool memory;                           /* is what fails */
    bool clean;                            /* so far every failure said that nothing happened */
    const char *wrong;
    char text[256];
};

struct scenario {
    const char *name;
    void (*act)(struct run *run);
    bool fresh;      /* nothing is there yet */
    bool closed;     /* the store is not open when it begins */
    bool torn;       /* and the power failed before */
    bool maps;       /* the disk offers it */
    bool checkpoint; /* it is about the checkpoint "c1" of the image: tables and no log */
};

/* --- images to begin with ------------------------------------------------------------------ */

enum { IMAGE_BATCHES = 60, LAST_BATCHES = 7 /* only in the log */, MORE_BATCHES = 40 };

static struct {
    struct fault_disk closed, torn;
    struct history history;
    uint32_t count;
} image;

static struct lsm_options options_of(struct run *run, const char *path)
{
    struct lsm_options options = script_options(&run->disk, path, 5);
    options.memtable_size = 9000;
    return options;
}

static void make_image(void)
{
    static struct run run;
    struct engine *engine;
    struct engine_batch *batch = engine_batch_create();
    fault_disk_init(&run.disk);
    history_init(&image.history, 99);
    struct lsm_options options = options_of(&run, "s");
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    for (uint32_t i = 1; i <= IMAGE_BATCHES + LAST_BATCHES; i++) {
        assert_int_equal(history_make(&image.history, i, batch), KVORUM_OK);
        assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
        if (i == IMAGE_BATCHES)
            assert_int_equal(engine_checkpoint(engine, "c1"), KVORUM_OK);
    }
    image.count = IMAGE_BATCHES + LAST_BATCHES;
    fault_disk_crash(&run.disk, run.disk.journal_count, FAULT_DROP, 1, &image.torn);
    engine_close(engine);
    fault_disk_crash(&run.disk, run.disk.journal_count, FAULT_KEEP, 1, &image.closed);
    for (uint32_t i = 1; i <= MORE_BATCHES; i++) /* so that no run has to work them out */
        assert_int_equal(history_make(&image.history, image.count + i, batch), KVORUM_OK);
    engine_batch_destroy(batch);
    fault_disk_done(&run.disk);
}

static void done_image(void)
{
    fault_disk_done(&image.closed);
    fault_disk_done(&image.torn);
    history_done(&image.history);
}

/* --- what is noticed ----------------------------------------------------------------------- */

static void wrong(struct run *run, const char *what, const char *why)
{
    if (run->wrong != NULL)
        return;
    snprintf(run->text, sizeof(run->text), "%s: %s", what, why);
    run->wrong = run->text;
}

/* Only what the fault explains. */
static bool note(struct run *run, const char *what, kvorum_status status)
{
    run->clean &= status == KVORUM_OK || status == KVORUM_NO_MEMORY;
    if (status != KVORUM_OK && (failures >> status & 1) == 0)
        wrong(run, what, kvorum_status_name(status));
    return status == KVORUM_OK;
}

static bool arm(bool armed)
{
    bool before = fault_memory_state.armed;
    fault_memory_state.armed = armed;
    return before;
}

static void check_engine(struct run *run, struct engine *engine, const char *when, uint32_t least)
{
    struct history_check check = { 0 };
    if (!history_verify(&check, run->history, engine, HISTORY_COUNT))
        wrong(run, when, check.wrong);
    else if (check.count < least || check.count > run->taken)
        wrong(run, when, "batches are lost, or there are too many");
}

/* --- acts ---------------------------------------------------------------------------------- */

static void open_path(struct run *run, const char *path)
{
    struct lsm_options options = options_of(run, path);
    struct engine *engine;
    if (note(run, "open", lsm_open(&options, &engine)))
        run->engine = engine;
}

static void act_open(struct run *run)
{
    open_path(run, "s");
}

static void act_open_checkpoint(struct run *run)
{
    open_path(run, "c1");
}

static void act_open_read_only(struct run *run)
{
    struct lsm_options options = options_of(run, "s");
    struct engine *engine;
    options.read_only = true;
    options.create = false;
    if (note(run, "open to read", lsm_open(&options, &engine)))
        engine_close(engine);
}

static bool write_one(struct run *run, enum engine_durability durability)
{
    bool armed = arm(false);
    kvorum_status status = history_make(run->history, run->acknowledged + 1, run->batch);
    assert(status == KVORUM_OK);
    arm(armed);
    if (run->taken > run->acknowledged)
        return false; /* whether the one before is there is not known */
    status = engine_write(run->engine, run->batch, durability);
    if (status != KVORUM_NO_MEMORY)
        run->taken = run->acknowledged + 1;
    if (!note(run, "write", status))
        return false;
    run->acknowledged++;
    if (durability == ENGINE_SYNC)
        run->durable = run->acknowledged;
    return true;
}

static void write_many(struct run *run, unsigned count, enum engine_durability durability)
{
    while (count-- > 0 && run->wrong == NULL)
        (void)write_one(run, durability);
}

static void act_put(struct run *run)
{
    write_many(run, 3, ENGINE_SYNC);
}

static void act_log(struct run *run)
{
    write_many(run, 2, ENGINE_LOG);
    write_many(run, 2, ENGINE_NONE);
    write_many(run, 1, ENGINE_SYNC);
}

static void act_fill(struct run *run)
{
    write_many(run, 35, ENGINE_LOG);
}

static void in_tables(struct run *run, const char *what, kvorum_status status)
{
    if (note(run, what, status))
        run->durable = run->acknowledged;
}

static void act_flush(struct run *run)
{
    in_tables(run, "flush", engine_flush(run->engine));
}

static void act_compact(struct run *run)
{
    in_tables(run, "compact", engine_compact(run->engine, NULL));
}

static void act_compact_range(struct run *run)
{
    char lower[32], upper[32];
    struct engine_range range = { .lower = history_key(5, lower), .upper = history_key(20, upper) };
    in_tables(run, "compact", engine_compact(run->engine, &range));
}

static void act_settle(struct run *run)
{
    in_tables(run, "settle", engine_settle(run->engine));
}

static void act_checkpoint(struct run *run)
{
    kvorum_status status = engine_checkpoint(run->engine, "c9");
    in_tables(run, "checkpoint", status);
    if (status == KVORUM_OK || run->memory || run->disk.fail_on)
        return;
    bool armed = arm(false); /* the disk is well again, and nothing is in the way */
    status = engine_checkpoint(run->engine, "c9");
    arm(armed);
    in_tables(run, "a checkpoint after one that failed", status);
}

static struct history_check check_of(struct run *run, uint32_t count)
{
    return (struct history_check){
        .history = run->history, .engine = run->engine, .count = count, .tolerated = failures
    };
}

static void act_get(struct run *run)
{
    struct history_check check = check_of(run, run->acknowledged);
    if (!history_check_gets(&check))
        wrong(run, "get", check.wrong);
}

static void walk(struct run *run, uint32_t first, uint32_t last, bool back)
{
    struct history_check check = check_of(run, run->acknowledged);
    if (!history_check_iterator(&check, first, last, back))
        wrong(run, "iterator", check.wrong);
}

static void act_forward(struct run *run)
{
    walk(run, 0, HISTORY_KEYS, false);
}

static void act_backward(struct run *run)
{
    walk(run, 0, HISTORY_KEYS, true);
}

static void act_bounded(struct run *run)
{
    walk(run, 11, 17, false);
    walk(run, 11, 17, true);
}

static void act_snapshot(struct run *run)
{
    struct engine_snapshot *snapshot;
    struct history_check check = check_of(run, run->acknowledged);
    if (!note(run, "snapshot", engine_snapshot_take(run->engine, &snapshot)))
        return;
    write_many(run, 20, ENGINE_LOG);
    check.read.snapshot = snapshot;
    if (!history_check_gets(&check) || !history_check_iterator(&check, 0, HISTORY_KEYS, false))
        wrong(run, "snapshot", check.wrong);
    engine_snapshot_release(run->engine, snapshot);
}

static void ignore_damage(void *context, const struct engine_damage *damage)
{
    (void)context;
    (void)damage;
}

static void act_verify(struct run *run)
{
    uint64_t size;
    kvorum_status status = engine_verify(run->engine, ignore_damage, NULL);
    if (status != KVORUM_CORRUPT || run->disk.fail_at == 0) /* what cannot be read is damaged */
        note(run, "verify", status);
    note(run, "size", engine_range_size(run->engine, &(struct engine_range){ 0 }, &size));
}

static void act_salvage(struct run *run)
{
    struct lsm_options from = options_of(run, "s"), to = options_of(run, "new");
    struct lsm_salvage_report report;
    struct engine *engine;
    to.memtable_size = 1 << 20; /* its flushes fail elsewhere */
    kvorum_status status = lsm_salvage(&from, &to, NULL, NULL, &report);
    if (!note(run, "salvage", status) || report.damages > 0)
        return;
    bool armed = arm(false);
    run->disk.fail_at = 0;
    status = lsm_open(&to, &engine);
    if (status != KVORUM_OK) {
        wrong(run, "what was salvaged", kvorum_status_name(status));
        return;
    }
    check_engine(run, engine, "what was salvaged", run->acknowledged);
    engine_close(engine);
    arm(armed);
}

static void act_close(struct run *run)
{
    write_many(run, 3, ENGINE_NONE);
    run->engine = engine_close(run->engine); /* which cannot say that it failed */
    run->clean &= run->disk.fail_at == 0;
}

/* A batch that no seed makes: its state, and those after it, belong to this run alone. */
static void begin_own_history(struct run *run, uint32_t first, uint32_t end)
{
    size_t size = image.history.capacity * sizeof(image.history.states[0]);
    run->own = image.history;
    run->own.values = NULL;
    run->own.states = malloc(size);
    assert_non_null(run->own.states);
    memcpy(run->own.states, image.history.states, size);
    run->own.count = run->acknowledged + 1;
    struct history_state *state = &run->own.states[run->own.count];
    *state = state[-1];
    for (uint32_t i = first; i < end; i++)
        state->values[i] = NULL;
    run->history = &run->own;
}

static void act_range(struct run *run)
{
    char lower[32], upper[32];
    bool armed = arm(false);
    uint32_t count = run->acknowledged + 1;
    begin_own_history(run, 3, 30);
    engine_batch_reset(run->batch);
    kvorum_status status =
        engine_batch_put(run->batch, bytes_of_string("count"), bytes_make(&count, sizeof(count)));
    assert_int_equal(status, KVORUM_OK);
    status = engine_batch_delete_range(run->batch, history_key(3, lower), history_key(30, upper));
    assert_int_equal(status, KVORUM_OK);
    arm(armed);
    status = engine_write(run->engine, run->batch, ENGINE_SYNC);
    if (status == KVORUM_NO_MEMORY) {
        history_done(&run->own);
        run->history = &image.history;
    } else {
        run->taken = count;
    }
    if (!note(run, "delete a range", status))
        return;
    run->durable = run->acknowledged = count;
    act_get(run);
    act_backward(run);
    act_flush(run);
    act_forward(run);
}

static const struct scenario scenarios[] = {
    { .name = "open a new store", .act = act_open, .fresh = true, .closed = true },
    { .name = "open a store", .act = act_open, .closed = true },
    { .name = "open a store after a power failure", .act = act_open, .closed = true, .torn = true },
    { .name = "open a checkpoint", .act = act_open_checkpoint, .closed = true, .checkpoint = true },
    { .name = "open a store to read", .act = act_open_read_only, .closed = true, .torn = true },
    { .name = "write and sync", .act = act_put },
    { .name = "write with less than a sync", .act = act_log },
    { .name = "write with less than a sync, mapped", .act = act_log, .maps = true },
    { .name = "write until memtables are flushed and compacted", .act = act_fill },
    { .name = "delete a range", .act = act_range },
    { .name = "flush", .act = act_flush },
    { .name = "compact everything", .act = act_compact },
    { .name = "compact a range", .act = act_compact_range },
    { .name = "settle", .act = act_settle },
    { .name = "get, and get many", .act = act_get },
    { .name = "iterate forward", .act = act_forward },
    { .name = "iterate backward", .act = act_backward },
    { .name = "iterate inside bounds", .act = act_bounded },
    { .name = "read from a snapshot while others write", .act = act_snapshot },
    { .name = "make a checkpoint", .act = act_checkpoint },
    { .name = "verify", .act = act_verify },
    { .name = "salvage", .act = act_salvage, .closed = true },
    { .name = "close", .act = act_close },
    { .name = "close what is mapped", .act = act_close, .maps = true },
};

/* --- afterwards ---------------------------------------------------------------------------- */

static void check_disk(struct run *run, enum fault_crash how, const char *path, const char *when,
                       uint32_t least)
{
    struct fault_disk copy;
    struct engine *engine;
    fault_disk_crash(&run->disk, run->disk.journal_count, how, 1, &copy);
    struct lsm_options options = script_options(&copy, path, 6);
    kvorum_status status = lsm_open(&options, &engine);
    if (status == KVORUM_OK) {
        check_engine(run, engine, when, least);
        engine_close(engine);
    } else {
        wrong(run, when, kvorum_status_name(status));
    }
    fault_disk_done(&copy);
}

/* What said that nothing happened left a store that goes on. */
static void check_goes_on(struct run *run)
{
    if (run->taken > run->acknowledged || !run->clean)
        return;
    if (!write_one(run, ENGINE_SYNC) && (run->memory || run->clean))
        wrong(run, "it does not go on", "the next write failed");
}

static void begin(struct run *run, const struct scenario *scenario, bool memory)
{
    *run = (struct run){ .history = &image.history, .clean = true, .memory = memory };
    const struct fault_disk *from = scenario->torn ? &image.torn : &image.closed;
    run->batch = engine_batch_create();
    assert_non_null(run->batch);
    if (scenario->fresh)
        fault_disk_init(&run->disk);
    else
        fault_disk_crash(from, 0, FAULT_KEEP, 1, &run->disk);
    run->disk.maps = scenario->maps;
    run->acknowledged = scenario->fresh ? 0 : scenario->checkpoint ? IMAGE_BATCHES : image.count;
    run->taken = run->durable = run->acknowledged;
    if (scenario->closed)
        return;
    act_open(run);
    assert_null(run->wrong);
}

static void end(struct run *run, const struct scenario *scenario)
{
    const char *path = scenario->checkpoint ? "c1" : "s";
    run->disk.fail_at = 0;
    fault_memory_state.fail_at = 0;
    if (run->engine != NULL && run->wrong == NULL) {
        check_engine(run, run->engine, "at once", run->acknowledged);
        check_goes_on(run);
    }
    if (run->wrong == NULL)
        check_disk(run, FAULT_DROP, path, "after a power failure", run->durable);
    engine_close(run->engine);
    if (run->wrong == NULL)
        check_disk(run, FAULT_KEEP, path, "after closing",
                   run->clean ? run->acknowledged : run->durable);
    engine_batch_destroy(run->batch);
    if (run->history == &run->own)
        history_done(&run->own);
    fault_disk_done(&run->disk);
}

/* --- every n ------------------------------------------------------------------------------- */

struct failure_row {
    const char *name;
    const struct scenario *scenario;
    bool memory, from_then_on;
};

static size_t total;

/* False: the scenario ended before the n-th. */
static bool fail_nth(const struct failure_row *row, size_t n)
{
    static struct run run;
    alarm(HANG_S);
    begin(&run, row->scenario, row->memory);
    run.disk.calls = fault_memory_state.calls = 0;
    run.disk.fail_at = row->memory ? 0 : n;
    fault_memory_state.fail_at = row->memory ? n : 0;
    run.disk.fail_on = fault_memory_state.fail_on = row->from_then_on;
    arm(true);
    row->scenario->act(&run);
    arm(false);
    bool met = (row->memory ? fault_memory_state.calls : run.disk.calls) >= n;
    end(&run, row->scenario);
    alarm(0);
    if (run.wrong != NULL) {
        print_message("# %s: when the %zu-th fails: %s\n", row->name, n, run.wrong);
        fail();
    }
    total++;
    return met;
}

static void check(const void *context)
{
    const struct failure_row *row = context;
    make_image();
    size_t n = 1;
    while (fail_nth(row, n))
        n++;
    print_message("# %s: %zu\n", row->name, n - 1);
    done_image();
}

int main(void)
{
    enum { COUNT = sizeof(scenarios) / sizeof(scenarios[0]) };
    static struct failure_row rows[COUNT * 4];
    static char names[COUNT * 4][160];
    for (size_t i = 0; i < COUNT * 4; i++) {
        rows[i] = (struct failure_row){ names[i], &scenarios[i / 4], i & 1, i & 2 };
        snprintf(names[i], sizeof(names[i]), "%s: any %s fails, %s", scenarios[i / 4].name,
                 rows[i].memory ? "allocation" : "operation of the disk",
                 rows[i].from_then_on ? "and all after it" : "once");
    }
    int failed = RUN_ROWS("lsm failures", rows, check);
    print_message("# %zu failures\n", total);
    return failed;
}
