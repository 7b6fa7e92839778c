/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of random entries against the sorted array that they were made of. */
#include "engine/lsm/table/table.h"

#include "tests/support/rows.h"
#include "tests/support/table_model.h"

struct row {
    const char *name;
    struct model_shape shape;
    struct lsm_table_options options;
    uint64_t cache_limit;
    uint64_t seed;
};

static const struct row rows[] = {
    { "small keys and values",
      { 3000, 24, 100, 1, 26, false },
      { 0, 0, 10, LSM_STORED },
      1 << 20,
      1 },
    { "one entry", { 1, 24, 100, 1, 26, false }, { 0, 0, 10, LSM_STORED }, 1 << 20, 2 },
    { "keys that begin alike",
      { 3000, 40, 100, 1, 2, false },
      { 0, 0, 10, LSM_STORED },
      1 << 20,
      3 },
    { "many versions over blocks",
      { 100, 16, 60, 200, 4, false },
      { 512, 4, 10, LSM_STORED },
      1 << 20,
      4 },
    { "empty values, tiny blocks",
      { 3000, 12, 0, 2, 3, false },
      { 64, 2, 10, LSM_STORED },
      1 << 20,
      5 },
    { "the lowest level", { 3000, 24, 100, 1, 26, true }, { 0, 0, 10, LSM_STORED }, 1 << 20, 6 },
    { "bytes of all kinds, no filter",
      { 3000, 20, 100, 3, 256, false },
      { 0, 16, 0, LSM_STORED },
      1 << 20,
      7 },
    { "large keys and values",
      { 300, 64 * 1024, 2 << 20, 2, 26, false },
      { 0, 0, 10, LSM_STORED },
      4 << 20,
      8 },
    { "lz4", { 3000, 24, 1000, 2, 26, false }, { 0, 0, 10, LSM_LZ4 }, 1 << 20, 9 },
    { "zstd", { 3000, 24, 1000, 2, 26, false }, { 0, 0, 10, LSM_ZSTD }, 1 << 20, 10 },
    { "lz4, large ones",
      { 300, 64 * 1024, 2 << 20, 2, 26, false },
      { 0, 8, 10, LSM_LZ4 },
      4 << 20,
      11 },
    { "zstd, large ones",
      { 300, 64 * 1024, 2 << 20, 2, 256, false },
      { 16384, 8, 10, LSM_ZSTD },
      4 << 20,
      12 },
    { "a cache smaller than the table",
      { 4000, 24, 300, 2, 26, false },
      { 1024, 0, 10, LSM_STORED },
      64 * 1024,
      13 },
    { "a cache for less than a block",
      { 500, 24, 300, 2, 26, false },
      { 0, 0, 10, LSM_LZ4 },
      1000,
      14 },
    { "no cache", { 500, 24, 300, 2, 26, false }, { 0, 0, 10, LSM_STORED }, 0, 15 },
    { "one group a block",
      { 2000, 24, 50, 2, 26, false },
      { 0, 4096, 10, LSM_STORED },
      1 << 20,
      16 },
    { "no sharing", { 2000, 24, 50, 2, 26, false }, { 0, 1, 20, LSM_STORED }, 1 << 20, 17 },
    { "blocks of 256 KiB",
      { 9000, 24, 200, 2, 26, false },
      { 256 * 1024, 16, 10, LSM_STORED },
      8 << 20,
      18 },
};

struct fixture {
    struct fault_disk disk;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *table;
    struct model model;
    struct lsm_table_meta meta;
};

static void setup(struct fixture *f, const struct row *row)
{
    fault_disk_init(&f->disk);
    epoch_init(&f->epoch);
    model_init(&f->model, &row->shape, row->seed);
    assert_int_equal(
        model_write(&f->model, &f->disk.base, "db/t", &row->options, NULL, 0, &f->meta), KVORUM_OK);
    assert_int_equal(lsm_cache_create(&f->epoch, row->cache_limit, 0, 0, &f->cache), KVORUM_OK);
    assert_int_equal(
        lsm_table_create(&f->disk.base, "db/t", &model_store, &f->meta, f->cache, &f->table),
        KVORUM_OK);
}

static void teardown(struct fixture *f)
{
    lsm_table_release(f->table);
    lsm_cache_destroy(f->cache);
    epoch_done(&f->epoch);
    model_done(&f->model);
    fault_disk_done(&f->disk);
}

/* --- point reads --------------------------------------------------------------------------- */

static struct lsm_search search_of(struct bytes key, uint64_t sequence)
{
    return (struct lsm_search){ .key = key, .hash = lsm_key_hash(key), .sequence = sequence };
}

static void check_found(const struct lsm_search *search, kvorum_status status,
                        const struct lsm_entry *wanted)
{
    assert_int_equal(status, wanted == NULL ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (wanted == NULL)
        return;
    assert_int_equal(search->found.sequence, wanted->sequence);
    assert_int_equal(search->found.kind, wanted->kind);
    assert_true(bytes_equal(search->found.value, wanted->value));
}

static void check_get(struct fixture *f, struct bytes key, uint64_t sequence)
{
    struct lsm_search search = search_of(key, sequence);
    epoch_guard guard = epoch_enter(&f->epoch);
    check_found(&search, lsm_table_get(f->table, &search), model_get(&f->model, key, sequence));
    epoch_leave(guard);
}

static void check_gets(struct fixture *f)
{
    for (size_t i = 0; i < f->model.count; i++) {
        const struct lsm_entry *entry = &f->model.entries[i];
        check_get(f, entry->key, entry->sequence);
        check_get(f, entry->key, LSM_SEQUENCE_MAX);
        if (entry->sequence > 0)
            check_get(f, entry->key, entry->sequence - 1);
        uint8_t *longer = malloc(entry->key.size + 1);
        memcpy(longer, entry->key.data, entry->key.size);
        longer[entry->key.size] = 0;
        check_get(f, bytes_make(longer, entry->key.size + 1), LSM_SEQUENCE_MAX);
        longer[entry->key.size - 1]++;
        check_get(f, bytes_make(longer, entry->key.size), LSM_SEQUENCE_MAX);
        free(longer);
    }
}

enum { MANY = 50 };

static void check_get_many(struct fixture *f, struct random *random)
{
    struct lsm_search searches[MANY], *pointers[MANY];
    kvorum_status statuses[MANY];
    for (int i = 0; i < MANY; i++) {
        const struct lsm_entry *entry = &f->model.entries[random_below(random, f->model.count)];
        struct bytes key = entry->key;
        if (random_chance(random, 1, 4) && key.size > 1)
            key.size--;
        searches[i] = search_of(key, random_below(random, 2) ? entry->sequence : 1 << 23);
        pointers[i] = &searches[i];
    }
    epoch_guard guard = epoch_enter(&f->epoch);
    lsm_table_get_many(f->table, pointers, MANY, statuses);
    for (int i = 0; i < MANY; i++)
        check_found(&searches[i], statuses[i],
                    model_get(&f->model, searches[i].key, searches[i].sequence));
    epoch_leave(guard);
}

/* --- sources ------------------------------------------------------------------------------- */

struct cursor {
    struct fixture *f;
    struct lsm_source *source;
};

/* `index` outside: the source is at its end. */
static void check_at(const struct cursor *c, size_t index)
{
    assert_int_equal(c->source->status, KVORUM_OK);
    assert_int_equal(c->source->valid, index < c->f->model.count);
    if (!c->source->valid)
        return;
    const struct lsm_entry *wanted = &c->f->model.entries[index], *got = &c->source->entry;
    assert_true(bytes_equal(got->key, wanted->key));
    assert_true(bytes_equal(got->value, wanted->value));
    assert_int_equal(got->sequence, wanted->sequence);
    assert_int_equal(got->kind, wanted->kind);
}

typedef void move_function(struct lsm_source *source);

static void make_move(struct cursor *c, move_function *move)
{
    epoch_guard guard = epoch_enter(&c->f->epoch);
    move(c->source);
    epoch_leave(guard);
    epoch_poll(&c->f->epoch);
}

static void check_whole(struct cursor *c)
{
    make_move(c, c->source->ops->first);
    for (size_t i = 0; i < c->f->model.count; i++) {
        check_at(c, i);
        make_move(c, c->source->ops->next);
    }
    check_at(c, SIZE_MAX);
    make_move(c, c->source->ops->last);
    for (size_t i = c->f->model.count; i-- > 0;) {
        check_at(c, i);
        make_move(c, c->source->ops->previous);
    }
    check_at(c, SIZE_MAX);
}

static void check_walk(struct cursor *c, struct random *random, size_t index)
{
    for (int i = 0; i < 60 && c->source->valid; i++) {
        bool forward = random_chance(random, 1, 2);
        make_move(c, forward ? c->source->ops->next : c->source->ops->previous);
        index += forward ? 1 : SIZE_MAX;
        check_at(c, index);
    }
}

static void check_seeks(struct cursor *c, struct random *random)
{
    for (int i = 0; i < 300; i++) {
        size_t index = (size_t)random_below(random, c->f->model.count);
        struct bytes key = c->f->model.entries[index].key;
        uint64_t sequence = c->f->model.entries[index].sequence;
        if (random_chance(random, 1, 3) && key.size > 1)
            key.size = 1 + (size_t)random_below(random, key.size);
        if (random_chance(random, 1, 2))
            sequence += random_below(random, 3);
        bool before = random_chance(random, 1, 2);
        epoch_guard guard = epoch_enter(&c->f->epoch);
        if (random_chance(random, 1, 5)) /* to itself: all is forgotten, and the memory kept */
            assert_int_equal(lsm_table_source_turn(c->source, c->f->table), KVORUM_OK);
        for (unsigned step = 0; step < LSM_ASK_STEPS && random_chance(random, 3, 4); step++)
            c->source->ops->ask(c->source, key, step);
        if (before)
            c->source->ops->seek_before(c->source, key);
        else
            c->source->ops->seek(c->source, key, sequence);
        epoch_leave(guard);
        index = before ? model_seek(&c->f->model, key, LSM_SEQUENCE_MAX) - 1
                       : model_seek(&c->f->model, key, sequence);
        check_at(c, index);
        check_walk(c, random, index);
    }
}

static void check_source(struct fixture *f, struct random *random, bool sequential)
{
    const struct lsm_table_scan scan = { .sequential = sequential };
    struct cursor c = { .f = f };
    epoch_guard guard = epoch_enter(&f->epoch);
    assert_int_equal(lsm_table_source(f->table, &scan, &c.source), KVORUM_OK);
    epoch_leave(guard);
    check_whole(&c);
    check_seeks(&c, random);
    make_move(&c, c.source->ops->close);
}

/* --- all together -------------------------------------------------------------------------- */

static void check_meta(const struct fixture *f)
{
    const struct lsm_entry *entries = f->model.entries, *last = &entries[f->model.count - 1];
    uint64_t deletes = 0, min = UINT64_MAX, max = 0;
    for (size_t i = 0; i < f->model.count; i++) {
        deletes += entries[i].kind == LSM_DELETE;
        min = entries[i].sequence < min ? entries[i].sequence : min;
        max = entries[i].sequence > max ? entries[i].sequence : max;
    }
    assert_int_equal(f->meta.entries, f->model.count);
    assert_int_equal(f->meta.deletes, deletes);
    assert_int_equal(f->meta.sequence_min, min);
    assert_int_equal(f->meta.sequence_max, max);
    assert_true(bytes_equal(f->meta.lower, entries[0].key));
    assert_int_equal(f->meta.upper.size, last->key.size + 1);
    assert_memory_equal(f->meta.upper.data, last->key.data, last->key.size);
    assert_int_equal(f->meta.upper.data[last->key.size], 0);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct fixture *f = calloc(1, sizeof(*f));
    struct random random;
    struct engine_stats stats = { 0 };
    random_init(&random, row->seed);
    setup(f, row);
    check_meta(f);
    check_gets(f);
    for (int i = 0; i < 100; i++)
        check_get_many(f, &random);
    check_source(f, &random, false);
    check_source(f, &random, true);
    lsm_cache_stats(f->cache, &stats);
    epoch_poll(&f->epoch);
    assert_true(stats.cache_size <= row->cache_limit + 64 * 1024 || row->shape.value_max > 1 << 20);
    teardown(f);
    free(f);
}

int main(void)
{
    return RUN_ROWS("table", rows, check);
}
