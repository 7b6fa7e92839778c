/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that look at tables of level 0 in vain, and the compaction that they pay for. */
#include "engine/lsm/lsm.h"
#include "tests/support/fault_power.h"
#include "tests/support/rows.h"

enum { TABLES = 4, KEYS = 200, LOOKS_MAX = 200000 };

/* A job waits until the test runs it. */
struct waiting_jobs {
    struct jobs jobs;
    struct job *first;
    unsigned submitted;
};

static void waiting_submit(struct jobs *jobs, struct job *job)
{
    struct waiting_jobs *self = (struct waiting_jobs *)jobs;
    job->next = self->first;
    self->first = job;
    self->submitted++;
}

static const struct jobs_ops waiting_ops = { .submit = waiting_submit };

static void run_jobs(struct waiting_jobs *self)
{
    while (self->first != NULL) {
        struct job *job = self->first;
        self->first = job->next;
        job->work(job);
        job->done(job);
    }
}

static struct waiting_jobs jobs;
static struct fault_disk disk;
static struct engine *engine;
static struct engine_batch *batch;
static bool drops_odd; /* the filter does */

static struct bytes key_of(unsigned number)
{
    static char text[16];
    return bytes_make(text, (size_t)snprintf(text, sizeof(text), "key %05u", number));
}

static bool keep_even(void *context, struct bytes key, struct bytes value)
{
    (void)context;
    (void)value;
    return (key.data[key.size - 1] - '0') % 2 == 0;
}

static const struct engine_compaction_filter filter = { .keep = keep_even };

static void put(unsigned number, const char *value)
{
    engine_batch_reset(batch);
    assert_int_equal(engine_batch_put(batch, key_of(number), bytes_of_string(value)), KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_NONE), KVORUM_OK);
}

/* Tables that all reach from the first key to the last. */
static void write_tables(unsigned count)
{
    char value[16];
    for (unsigned table = 0; table < count; table++) {
        for (unsigned i = 0; i < KEYS; i++) {
            snprintf(value, sizeof(value), "value %u", table);
            if (i == 0 || i == KEYS - 1 || i % count == table)
                put(i, value);
        }
        assert_int_equal(engine_flush(engine), KVORUM_OK);
    }
}

static void open_store(uint32_t trigger)
{
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
                                   .jobs = &jobs.jobs,
                                   .identity_seed = 1,
                                   .create = true,
                                   .memtable_size = 64 * 1024,
                                   .level0_trigger = trigger,
                                   .filter = drops_odd ? &filter : NULL };
    jobs = (struct waiting_jobs){ { &waiting_ops }, NULL, 0 };
    fault_disk_init(&disk);
    batch = engine_batch_create();
    assert_non_null(batch);
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    write_tables(TABLES);
    run_jobs(&jobs);
    jobs.submitted = 0;
}

static void close_store(void)
{
    engine_batch_destroy(batch);
    engine_close(engine);
    run_jobs(&jobs);
    fault_disk_done(&disk);
}

static struct engine_stats stats_now(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats;
}

static size_t files_of_tables(void)
{
    size_t count = 0;
    for (int i = 0; i < disk.now.names.count; i++)
        count += strstr(disk.now.names.list[i].path, ".tbl") != NULL;
    return count;
}

/* --- looks --------------------------------------------------------------------------------- */

static const struct engine_range everything = { 0 };
static const struct engine_read plain = { 0 };

static void look_up(unsigned number)
{
    struct engine_view view;
    assert_int_equal(engine_view(engine, key_of(number % (KEYS - 2) + 1), &view), KVORUM_OK);
    engine_release(&view);
}

static void look_up_many(unsigned number)
{
    char texts[8][16];
    struct bytes keys[8];
    struct engine_view views[8];
    kvorum_status statuses[8];
    for (unsigned i = 0; i < 8; i++) {
        int size = snprintf(texts[i], sizeof(texts[i]), "key %05ux", (number + i) % (KEYS - 1));
        keys[i] = bytes_make(texts[i], (size_t)size);
    }
    engine_view_many(engine, keys, 8, &plain, views, statuses);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(statuses[i], KVORUM_NOT_FOUND);
}

static void scan_a_bit(unsigned number)
{
    struct engine_iterator *iterator;
    assert_int_equal(engine_iterate(engine, &everything, &iterator), KVORUM_OK);
    engine_iterator_seek(iterator, key_of(number % KEYS));
    assert_true(iterator->valid);
    engine_iterator_close(iterator);
}

static void scan_backward(unsigned number)
{
    struct engine_iterator *iterator;
    (void)number;
    assert_int_equal(engine_iterate(engine, &everything, &iterator), KVORUM_OK);
    for (engine_iterator_last(iterator); iterator->valid; engine_iterator_previous(iterator))
        continue;
    engine_iterator_close(iterator);
}

static void write_and_look_up(unsigned number)
{
    put(KEYS + number, "value");
    look_up(number);
}

static void look_up_hidden(unsigned number)
{
    struct engine_view view;
    (void)number;
    assert_int_equal(engine_view(engine, key_of(0), &view), KVORUM_OK);
    engine_release(&view);
}

static void look_up_outside(unsigned number)
{
    struct engine_view view;
    (void)number;
    assert_int_equal(engine_view(engine, bytes_of_string("zzz"), &view), KVORUM_NOT_FOUND);
}

static void do_nothing(unsigned number)
{
    (void)number;
}

struct look_row {
    const char *name;
    void (*look)(unsigned number);
    bool pays;
};

static const struct look_row look_rows[] = {
    { "reads of single keys pay for a compaction", look_up, true },
    { "reads of many keys", look_up_many, true },
    { "iterators that seek", scan_a_bit, true },
    { "iterators that step backward", scan_backward, true },
    { "without reads there is none", do_nothing, false },
    { "the newest table is never looked at in vain", look_up_hidden, false },
    { "nor is one that cannot have the key", look_up_outside, false },
};

static void check_look(const void *context)
{
    const struct look_row *row = context;
    open_store(10);
    assert_int_equal(stats_now().levels[0].tables, TABLES);
    for (unsigned i = 0; i < 10000 && jobs.submitted == 0; i++)
        row->look(i);
    assert_int_equal(jobs.submitted, row->pays);
    run_jobs(&jobs);
    assert_int_equal(stats_now().levels[0].tables, row->pays ? 0 : TABLES);
    assert_int_equal(stats_now().levels[1].tables, row->pays);
    assert_int_equal(stats_now().read_compactions, row->pays);
    for (unsigned i = 0; i < 2000; i++) /* once is enough */
        row->look(i);
    assert_int_equal(jobs.submitted, row->pays);
    close_store();
}

/* --- other things -------------------------------------------------------------------------- */

static unsigned looks_until_due(void)
{
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        if (jobs.submitted > 0)
            return i;
        look_up(i);
    }
    return LOOKS_MAX;
}

static void test_writes(void)
{
    open_store(10);
    unsigned quiet = looks_until_due();
    close_store();
    open_store(10);
    for (unsigned i = 0; i < 350; i++)
        put(KEYS + i, "value");
    assert_in_range(looks_until_due(), quiet + 1, LOOKS_MAX - 1);
    close_store();
    open_store(1000);
    for (unsigned i = 0; i < 5000; i++) { /* reads waste less than is written */
        write_and_look_up(i);
        run_jobs(&jobs);
    }
    assert_int_equal(stats_now().read_compactions, 0);
    assert_in_range(stats_now().flushes, TABLES + 1, 1000);
    close_store();
}

/* An open iterator keeps the tables that a compaction replaced; nobody writes afterwards. */
static void test_tidies(void)
{
    open_store(TABLES + 2);
    struct engine_iterator *iterator;
    assert_int_equal(engine_iterate(engine, NULL, &iterator), KVORUM_OK);
    engine_iterator_first(iterator);
    assert_int_equal(engine_compact(engine, NULL), KVORUM_OK);
    assert_in_range(files_of_tables(), 3, 100);
    engine_iterator_close(iterator);
    for (unsigned i = 0; i < 12 * 1024; i++) {
        look_up(i % KEYS);
        run_jobs(&jobs);
    }
    assert_in_range(files_of_tables(), 1, 2);
    close_store();
}

/* Two tables are still to come until six are there. */
static void test_early(void)
{
    open_store(TABLES + 2);
    assert_in_range(looks_until_due(), 1, LOOKS_MAX - 1);
    run_jobs(&jobs);
    assert_int_equal(stats_now().levels[0].tables, 0);
    write_tables(1);
    run_jobs(&jobs);
    assert_int_equal(stats_now().levels[0].tables, 1);
    write_tables(1);
    run_jobs(&jobs);
    assert_int_equal(stats_now().levels[0].tables, 0);
    assert_int_equal(stats_now().read_compactions, 1);
    write_tables(TABLES); /* and then six again */
    run_jobs(&jobs);
    assert_int_equal(stats_now().levels[0].tables, TABLES);
    close_store();
}

/* --- iterators ----------------------------------------------------------------------------- */

static size_t count_from(struct engine_iterator *iterator, unsigned number)
{
    size_t count = 0;
    for (engine_iterator_seek(iterator, key_of(number)); iterator->valid;
         engine_iterator_next(iterator))
        count++;
    assert_int_equal(iterator->error, KVORUM_OK);
    return count;
}

struct renew_row {
    const char *name;
    bool written, filtered; /* meanwhile */
    bool seeks;             /* after the compaction, or steps on */
    bool old_files;         /* are still there then */
};

static const struct renew_row renew_rows[] = {
    { "after a compaction a seek looks at the new tables", false, false, true, false },
    { "a step stays with the old ones", false, false, false, true },
    { "also a seek, when something was written", true, false, true, true },
    { "or when a filter may have dropped something", false, true, true, true },
};

static void check_renew(const void *context)
{
    const struct renew_row *row = context;
    struct engine_iterator *iterator;
    drops_odd = row->filtered;
    open_store(10);
    assert_int_equal(engine_iterate(engine, &everything, &iterator), KVORUM_OK);
    assert_int_equal(count_from(iterator, 0), KEYS);
    engine_iterator_seek(iterator, key_of(7));
    if (row->written)
        put(8, "newer");
    assert_int_equal(engine_compact(engine, &everything), KVORUM_OK);
    if (row->seeks)
        assert_int_equal(count_from(iterator, 7), KEYS - 7);
    else
        engine_iterator_next(iterator);
    assert_int_equal(engine_settle(engine), KVORUM_OK); /* removes what nobody looks at */
    assert_int_equal(files_of_tables() > 2, row->old_files);
    engine_iterator_seek(iterator, key_of(8));
    assert_true(bytes_equal(iterator->value, bytes_of_string("value 0")));
    engine_iterator_close(iterator);
    close_store();
    drops_odd = false;
}

static const struct named_test tests[] = {
    { "the more was written meanwhile, the more reads have to pay", test_writes },
    { "reads alone see to it that replaced tables go", test_tidies },
    { "tables taken early count until level 0 would have been full", test_early },
};

int main(void)
{
    int failed = RUN_ROWS("lsm reads that pay", look_rows, check_look);
    failed += RUN_ROWS("lsm iterators beside compactions", renew_rows, check_renew);
    return RUN_TESTS("lsm reads", tests) + failed;
}
