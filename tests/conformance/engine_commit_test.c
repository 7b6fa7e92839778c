/* SPDX-License-Identifier: Apache-2.0 */
/* Commits of every engine: order of completion, barriers, closing, opening again. */
#include "tests/conformance/fixture.h"

enum { COMMITS = 16 };

struct commits {
    struct commit {
        struct engine_commit base;
        struct commits *all;
        kvorum_status status;
        int order; /* 1 is first; 0: not done */
    } list[COMMITS];
    int done;
};

static void commit_done(struct engine_commit *base, kvorum_status status)
{
    struct commit *commit = (struct commit *)base;
    assert_int_equal(commit->order, 0);
    commit->status = status;
    commit->order = ++commit->all->done;
}

static void submit(struct fixture *f, struct commits *all, int index, const char *key,
                   enum engine_durability durability)
{
    struct commit *commit = &all->list[index];
    *commit = (struct commit){ .base = { .done = commit_done }, .all = all };
    engine_batch_reset(f->batch);
    if (key != NULL)
        assert_int_equal(engine_batch_put(f->batch, TEXT(key), TEXT("x")), KVORUM_OK);
    assert_int_equal(engine_submit(f->engine, f->batch, durability, &commit->base), KVORUM_OK);
}

/* Let the engine work until `count` commits are done. */
static void settle(struct fixture *f, const struct commits *all, int count)
{
    while (all->done < count) {
        engine_kick(f->engine);
        jobs_thread_drain(f->jobs, true);
    }
}

static void none_is_done_at_once(struct fixture *f)
{
    struct commits all = { 0 };
    submit(f, &all, 0, "a", ENGINE_NONE);
    assert_int_equal(all.done, 1);
    assert_int_equal(all.list[0].status, KVORUM_OK);
    assert_value(f, "a", "x");
}

static void sync_is_done_in_order(struct fixture *f)
{
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    struct commits all = { 0 };
    for (int i = 0; i < 8; i++) {
        submit(f, &all, i, keys[i], i % 3 == 1 ? ENGINE_LOG : ENGINE_SYNC);
        assert_value(f, keys[i], "x"); /* visible before it is durable */
        if (i == 3)
            engine_kick(f->engine);
    }
    settle(f, &all, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(all.list[i].order, i + 1);
        assert_int_equal(all.list[i].status, KVORUM_OK);
    }
}

static void log_is_done_by_a_kick(struct fixture *f)
{
    struct commits all = { 0 };
    submit(f, &all, 0, "a", ENGINE_LOG);
    submit(f, &all, 1, "b", ENGINE_LOG);
    engine_kick(f->engine);
    assert_int_equal(all.done, 2);
}

static void barrier_waits(struct fixture *f)
{
    struct commits all = { 0 };
    submit(f, &all, 0, NULL, ENGINE_SYNC); /* nothing before it */
    settle(f, &all, 1);
    submit(f, &all, 1, "a", ENGINE_SYNC);
    submit(f, &all, 2, NULL, ENGINE_LOG);
    submit(f, &all, 3, NULL, ENGINE_SYNC);
    submit(f, &all, 4, "b", ENGINE_SYNC);
    settle(f, &all, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(all.list[i].order, i + 1);
}

static void close_completes(struct fixture *f)
{
    struct commits all = { 0 };
    submit(f, &all, 0, "a", ENGINE_SYNC);
    engine_kick(f->engine);
    submit(f, &all, 1, "b", ENGINE_SYNC);
    submit(f, &all, 2, "c", ENGINE_LOG);
    f->engine = engine_close(f->engine);
    assert_int_equal(all.done, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(all.list[i].status, KVORUM_OK);
    jobs_thread_drain(f->jobs, true);
    fixture_open_engine(f);
    if (engine_can(f->engine, ENGINE_DURABLE))
        assert_all(f, "a=x b=x c=x");
}

/* `done` submits the next one, as a coordinator does. */
struct chain {
    struct engine_commit commit;
    struct fixture *f;
    int left;
};

static void chain_done(struct engine_commit *base, kvorum_status status)
{
    struct chain *chain = (struct chain *)base;
    assert_int_equal(status, KVORUM_OK);
    if (--chain->left == 0)
        return;
    enum engine_durability durability = chain->left % 2 == 0 ? ENGINE_SYNC : ENGINE_LOG;
    assert_int_equal(engine_submit(chain->f->engine,
                                   one_put(chain->f, bytes_make(&chain->left, 1), TEXT("x")),
                                   durability, &chain->commit),
                     KVORUM_OK);
    engine_kick(chain->f->engine);
}

static void done_may_submit(struct fixture *f)
{
    struct chain chain = { .commit = { .done = chain_done }, .f = f, .left = 20 };
    assert_int_equal(
        engine_submit(f->engine, one_put(f, TEXT("a"), TEXT("x")), ENGINE_SYNC, &chain.commit),
        KVORUM_OK);
    engine_kick(f->engine);
    for (int i = 0; i < 1000 && chain.left > 0; i++)
        jobs_thread_drain(f->jobs, true);
    assert_int_equal(chain.left, 0);
}

static void writes_and_submits_mix(struct fixture *f)
{
    struct commits all = { 0 };
    submit(f, &all, 0, "a", ENGINE_SYNC);
    put(f, "a", "written");
    submit(f, &all, 1, "b", ENGINE_SYNC);
    assert_int_equal(engine_write(f->engine, one_put(f, TEXT("b"), TEXT("written")), ENGINE_SYNC),
                     KVORUM_OK);
    settle(f, &all, 2);
    fixture_reopen(f);
    if (engine_can(f->engine, ENGINE_DURABLE))
        assert_all(f, "a=written b=written");
}

/* --- opening again ------------------------------------------------------------------------- */

static size_t count_entries(struct fixture *f)
{
    struct engine_iterator *iterator;
    size_t count = 0;
    assert_int_equal(engine_iterate(f->engine, NULL, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        count++;
    assert_int_equal(iterator->error, KVORUM_OK);
    engine_iterator_close(iterator);
    return count;
}

static void survives_reopening(struct fixture *f)
{
    char key[16];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof(key), "%03d", (i * 37 + round) % 500);
            i % 4 == 3 ? delete (f, key) : put(f, key, "some value that takes a little room");
        }
        struct engine_stats after;
        size_t before = count_entries(f);
        fixture_reopen(f);
        engine_stats(f->engine, &after);
        assert_int_equal(before, count_entries(f));
        assert_int_equal(after.dropped_tail_size, 0);
        fixture_reopen(f); /* and with nothing written in between */
        assert_int_equal(before, count_entries(f));
    }
}

static void large_batches_survive(struct fixture *f)
{
    char key[16];
    uint8_t *value = calloc(1, 1 << 20);
    for (int i = 0; i < 6; i++) {
        engine_batch_reset(f->batch);
        for (int j = 0; j < 3; j++) {
            snprintf(key, sizeof(key), "%d-%d", i, j);
            value[0] = (uint8_t)(i * 3 + j);
            assert_int_equal(engine_batch_put(f->batch, TEXT(key), bytes_make(value, 1 << 20)),
                             KVORUM_OK);
        }
        assert_int_equal(engine_write(f->engine, f->batch, i % 3), KVORUM_OK);
    }
    fixture_reopen(f);
    for (int i = 0; i < 18; i++) {
        struct engine_view view;
        snprintf(key, sizeof(key), "%d-%d", i / 3, i % 3);
        assert_int_equal(engine_view(f->engine, TEXT(key), &view), KVORUM_OK);
        assert_int_equal(view.value.size, 1 << 20);
        assert_int_equal(view.value.data[0], i);
        engine_release(&view);
    }
    free(value);
}

static void one_opener(struct fixture *f)
{
    struct engine *second;
    assert_int_equal(f->kind->open(f, &second), KVORUM_LOCKED);
    put(f, "a", "1");
    assert_value(f, "a", "1");
}

static const struct conformance_case cases[] = {
    { "a commit that asks for nothing is done at once", none_is_done_at_once, 0 },
    { "commits are done in the order they were submitted", sync_is_done_in_order, 0 },
    { "a commit that asks for the log is done by a kick", log_is_done_by_a_kick, 0 },
    { "an empty batch is a barrier", barrier_waits, 0 },
    { "closing completes what was submitted", close_completes, 0 },
    { "a completion may submit and kick", done_may_submit, 0 },
    { "waiting and submitted writes mix", writes_and_submits_mix, 0 },
    { "all is there after reopening", survives_reopening, ENGINE_DURABLE },
    { "batches larger than a segment are there after reopening", large_batches_survive,
      ENGINE_DURABLE },
    { "a store is opened once at a time", one_opener, ENGINE_DURABLE },
};

int main(void)
{
    return RUN_CONFORMANCE("engine commits", cases);
}
