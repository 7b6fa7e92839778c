/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of file is damaged in turn.  What a salvage saves was there, value for value; what it
 * does not save, it says. */
#include "engine/lsm/salvage/salvage.h"

#include "tests/support/lsm_script.h"

enum { BATCHES = 230, SCALE = 8 };

static struct {
    struct fault_disk disk; /* a closed store "s" */
    struct history history;
} image;

static struct lsm_options options_of(struct fault_disk *disk, const char *path)
{
    struct lsm_options options = script_options(disk, path, 42);
    options.memtable_size = 30000;
    options.level1_size = 12000;
    options.table_size = 4000;
    options.blob_size *= SCALE;
    options.segment_size *= SCALE;
    return options;
}

static void make_image(void)
{
    struct engine *engine;
    struct engine_batch *batch = engine_batch_create();
    fault_disk_init(&image.disk);
    history_init(&image.history, 2026);
    image.history.scale = SCALE;
    struct lsm_options options = options_of(&image.disk, "s");
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    for (uint32_t i = 1; i <= BATCHES; i++) {
        assert_int_equal(history_make(&image.history, i, batch), KVORUM_OK);
        assert_int_equal(engine_write(engine, batch, ENGINE_LOG), KVORUM_OK);
    }
    engine_close(engine);
    engine_batch_destroy(batch);
    fault_disk_begin(&image.disk);
}

static void done_image(void)
{
    fault_disk_done(&image.disk);
    history_done(&image.history);
}

/* --- what was saved ------------------------------------------------------------------------ */

struct outcome {
    kvorum_status status;
    struct lsm_salvage_report report;
    size_t reported, exact,
        older; /* keys with their newest value (or rightly absent), or another */
};

static void count_report(void *context, const struct engine_damage *damage)
{
    struct outcome *outcome = context;
    assert_non_null(damage->file);
    assert_non_null(damage->what);
    assert_int_not_equal(damage->status, KVORUM_OK);
    outcome->reported++;
}

static bool same(const struct history_value *value, const struct bytes *found)
{
    if (value == NULL || found == NULL)
        return value == NULL && found == NULL;
    return bytes_equal(history_bytes(value), *found);
}

static void judge_key(struct outcome *outcome, uint32_t index, const struct bytes *found)
{
    uint32_t count = image.history.count;
    if (same(image.history.states[count].values[index], found)) {
        outcome->exact++;
        return;
    }
    while (count > 0 && !same(image.history.states[count].values[index], found))
        count--;
    if (count == 0 && !same(NULL, found)) {
        print_message("# key %u has a value that it never had\n", index);
        fail();
    }
    outcome->older++;
}

static void judge(struct outcome *outcome, struct engine *engine)
{
    for (uint32_t i = 0; i < HISTORY_KEYS; i++) {
        char key[32];
        struct engine_view view;
        kvorum_status status = engine_view(engine, history_key(i, key), &view);
        assert_true(status == KVORUM_OK || status == KVORUM_NOT_FOUND);
        judge_key(outcome, i, status == KVORUM_OK ? &view.value : NULL);
        if (status == KVORUM_OK)
            engine_release(&view);
    }
}

static struct outcome salvage(struct fault_disk *disk)
{
    struct outcome outcome = { 0 };
    struct engine *engine;
    struct lsm_options from = options_of(disk, "s"), to = options_of(disk, "new");
    outcome.status = lsm_salvage(&from, &to, count_report, &outcome, &outcome.report);
    if (outcome.status != KVORUM_OK)
        return outcome;
    assert_int_equal(outcome.reported, outcome.report.damages);
    assert_int_equal(lsm_open(&to, &engine), KVORUM_OK);
    assert_int_equal(engine_verify(engine, count_report, &outcome), KVORUM_OK);
    judge(&outcome, engine);
    engine_close(engine);
    return outcome;
}

/* --- damage -------------------------------------------------------------------------------- */

enum damage { NOTHING, GONE, FLIPPED, CUT, EMPTY };

struct row {
    const char *name;
    const char *file; /* how its name begins */
    enum damage damage;
    size_t exact; /* keys at least, whichever file it is */
    bool whole;   /* nothing is lost, and "count" too is right */
};

static void damage(struct fault_disk *disk, const struct fault_name *name, enum damage how)
{
    struct fault_bytes *bytes = fault_disk_bytes(disk, name->inode);
    switch (how) {
    case NOTHING:
        break;
    case GONE:
        fault_unset_name(&disk->now.names, name->path);
        break;
    case FLIPPED:
        bytes->data[bytes->size / 2] ^= 0x10;
        break;
    case CUT:
        bytes->size = bytes->size / 2;
        break;
    case EMPTY:
        bytes->size = 0;
        break;
    }
}

static void check_one(const struct row *row, const struct fault_name *name)
{
    struct fault_disk disk;
    fault_disk_crash(&image.disk, 0, FAULT_KEEP, 1, &disk);
    damage(&disk, name, row->damage);
    struct outcome outcome = salvage(&disk);
    assert_int_equal(outcome.status, KVORUM_OK);
    print_message("# %s: %zu exact, %zu older; %llu damages, %llu bytes lost\n", name->path,
                  outcome.exact, outcome.older, (unsigned long long)outcome.report.damages,
                  (unsigned long long)outcome.report.lost_size);
    assert_true(outcome.exact >= row->exact);
    bool all_there = outcome.exact == HISTORY_KEYS; /* perhaps nothing but garbage was in it */
    assert_true(all_there || outcome.reported > 0);
    if (row->whole)
        assert_int_equal(outcome.exact, HISTORY_KEYS);
    if (row->damage == NOTHING)
        assert_int_equal(outcome.reported, 0);
    fault_disk_done(&disk);
}

/* Nothing to save, or nowhere to put it. */
static void check_refusals(void)
{
    struct fault_disk disk;
    struct lsm_salvage_report report;
    struct lsm_options from = options_of(&disk, "s"), to = options_of(&disk, "new");
    fault_disk_crash(&image.disk, 0, FAULT_KEEP, 1, &disk);
    from.path = "nowhere";
    assert_int_equal(lsm_salvage(&from, &to, NULL, NULL, &report), KVORUM_NOT_FOUND);
    assert_int_equal(disk.base.ops->make_dir(&disk.base, "nowhere"), KVORUM_OK);
    assert_int_equal(lsm_salvage(&from, &to, NULL, NULL, &report), KVORUM_FOREIGN);
    from.path = to.path = "s";
    assert_int_equal(lsm_salvage(&from, &to, NULL, NULL, &report), KVORUM_EXISTS);
    struct engine *engine;
    assert_int_equal(lsm_open(&from, &engine), KVORUM_OK);
    to.path = "new";
    assert_int_equal(lsm_salvage(&from, &to, NULL, NULL, &report), KVORUM_LOCKED);
    engine_close(engine);
    fault_disk_done(&disk);
}

static void check(const void *context)
{
    const struct row *row = context;
    size_t checked = 0;
    make_image();
    check_refusals();
    for (int i = 0; i < image.disk.now.names.count; i++) {
        const struct fault_name *name = &image.disk.now.names.list[i];
        if (name->inode == FAULT_FOLDER ||
            strncmp(name->path + 2, row->file, strlen(row->file)) != 0)
            continue;
        check_one(row, name);
        checked++;
    }
    assert_true(checked > 0);
    done_image();
}

static const struct row rows[] = {
    { "nothing is damaged", "FORMAT", NOTHING, HISTORY_KEYS, true },
    { "FORMAT is gone", "FORMAT", GONE, HISTORY_KEYS, true },
    { "FORMAT is damaged", "FORMAT", FLIPPED, HISTORY_KEYS, true },
    { "the manifest is gone", "MANIFEST", GONE, 20, false },
    { "the manifest is damaged", "MANIFEST", FLIPPED, 20, false },
    { "a table is gone", "table-", GONE, 5, false },
    { "a table is damaged", "table-", FLIPPED, 5, false },
    { "a table is cut off", "table-", CUT, 5, false },
    { "a table is empty", "table-", EMPTY, 5, false },
    { "a blob file is gone", "blob-", GONE, 20, false },
    { "a blob file is damaged", "blob-", FLIPPED, 35, false },
    { "a blob file is cut off", "blob-", CUT, 20, false },
    { "a segment of the log is gone", "log-", GONE, 5, false },
    { "a segment of the log is damaged", "log-", FLIPPED, 5, false },
    { "a segment of the log is cut off", "log-", CUT, 5, false },
};

int main(void)
{
    return RUN_ROWS("lsm salvage", rows, check);
}
