/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations against a slow model, and many threads at once.
 * KVORUM_SEED=n repeats a run. */
#include "tests/conformance/fixture.h"

#include "base/random.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { KEYS = 150, SNAPSHOTS = 4, VIEWS = 8, STEPS = 4000 };

/* Value of a key: 0 absent, else a number from which the bytes are made. */
struct model {
    uint32_t values[KEYS];
};

struct snapshot {
    struct engine_iterator *iterator;
    struct model model;
    int at; /* key index the iterator stands on, or -1 */
};

struct kept_view {
    struct engine_view view;
    uint32_t value;
    bool kept;
};

struct play {
    struct fixture *f;
    struct random random;
    struct model model;
    struct snapshot snapshots[SNAPSHOTS];
    struct kept_view views[VIEWS];
    uint32_t next_value;
};

static uint64_t seed_now(void)
{
    const char *given = getenv("KVORUM_SEED");
    return given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
}

/* Keys begin alike, are prefixes of each other, and differ in length. */
static struct bytes key_of(int index, uint8_t *storage)
{
    memset(storage, 'p', 32);
    size_t size = 10 + (size_t)(index % 5) * 3;
    storage[9] = (uint8_t)(index / 5);
    if (index % 5 == 4)
        storage[size - 1] = 0;
    return bytes_make(storage, size);
}

static struct bytes value_of(uint32_t value, uint8_t *storage)
{
    size_t size = value % 7 == 0 ? 0 : value * 2654435761u >> 20 & 1023;
    for (size_t i = 0; i < size; i++)
        storage[i] = (uint8_t)(value + i);
    return bytes_make(storage, size);
}

/* Index of the key in key order is not the index itself: neighbours are found by comparing. */
static int model_neighbour(const struct model *model, struct bytes from, int direction)
{
    int best = -1;
    for (int i = 0; i < KEYS; i++) {
        uint8_t a[32], b[32];
        struct bytes key = key_of(i, a);
        if (model->values[i] == 0 || bytes_compare(key, from) * direction <= 0)
            continue;
        if (best < 0 || bytes_compare(key, key_of(best, b)) * direction < 0)
            best = i;
    }
    return best;
}

static void check_position(struct snapshot *snapshot)
{
    uint8_t key[32], value[1024];
    struct engine_iterator *iterator = snapshot->iterator;
    assert_int_equal(iterator->valid, snapshot->at >= 0);
    if (snapshot->at < 0)
        return;
    assert_bytes(iterator->key, key_of(snapshot->at, key));
    assert_bytes(iterator->value, value_of(snapshot->model.values[snapshot->at], value));
}

static void play_batch(struct play *p)
{
    struct model changed = p->model;
    engine_batch_reset(p->f->batch);
    for (uint64_t i = random_below(&p->random, 6); i > 0; i--) {
        uint8_t key[32], value[1024];
        int index = (int)random_below(&p->random, KEYS);
        bool put = random_chance(&p->random, 2, 3);
        changed.values[index] = put ? ++p->next_value : 0;
        struct bytes k = key_of(index, key);
        assert_int_equal(put ? engine_batch_put(p->f->batch, k, value_of(p->next_value, value))
                             : engine_batch_delete(p->f->batch, k),
                         KVORUM_OK);
    }
    enum engine_durability durability =
        random_chance(&p->random, 1, 50) ? ENGINE_SYNC : (int)random_below(&p->random, 2);
    assert_int_equal(engine_write(p->f->engine, p->f->batch, durability), KVORUM_OK);
    p->model = changed;
}

static void play_view(struct play *p)
{
    uint8_t key[32], value[1024];
    int index = (int)random_below(&p->random, KEYS);
    struct kept_view *kept = &p->views[random_below(&p->random, VIEWS)];
    if (kept->kept) {
        assert_bytes(kept->view.value, value_of(kept->value, value));
        engine_release(&kept->view);
    }
    kept->value = p->model.values[index];
    kept->kept = kept->value != 0;
    assert_int_equal(engine_view(p->f->engine, key_of(index, key), &kept->view),
                     kept->kept ? KVORUM_OK : KVORUM_NOT_FOUND);
    if (kept->kept)
        assert_bytes(kept->view.value, value_of(kept->value, value));
}

static void snapshot_close(struct snapshot *snapshot)
{
    snapshot->iterator = engine_iterator_close(snapshot->iterator);
}

static void snapshot_move(struct play *p, struct snapshot *snapshot)
{
    uint8_t key[32];
    struct bytes from = { 0 };
    int direction = random_chance(&p->random, 1, 2) ? 1 : -1;
    if (snapshot->at >= 0) {
        from = key_of(snapshot->at, key);
        direction > 0 ? engine_iterator_next(snapshot->iterator)
                      : engine_iterator_previous(snapshot->iterator);
    } else if (direction > 0) {
        engine_iterator_first(snapshot->iterator);
    } else {
        engine_iterator_last(snapshot->iterator);
        from = bytes_make("q", 1); /* behind all keys */
    }
    snapshot->at = model_neighbour(&snapshot->model, from, direction);
    check_position(snapshot);
}

static void snapshot_seek(struct play *p, struct snapshot *snapshot)
{
    uint8_t key[32];
    int index = (int)random_below(&p->random, KEYS);
    struct bytes to = key_of(index, key);
    engine_iterator_seek(snapshot->iterator, to);
    snapshot->at =
        snapshot->model.values[index] != 0 ? index : model_neighbour(&snapshot->model, to, 1);
    check_position(snapshot);
}

static void play_snapshot(struct play *p)
{
    struct snapshot *snapshot = &p->snapshots[random_below(&p->random, SNAPSHOTS)];
    if (snapshot->iterator == NULL) {
        assert_int_equal(engine_iterate(p->f->engine, NULL, &snapshot->iterator), KVORUM_OK);
        snapshot->model = p->model;
        snapshot->at = -1;
    } else if (random_chance(&p->random, 1, 40)) {
        snapshot_close(snapshot);
    } else if (random_chance(&p->random, 1, 10)) {
        snapshot_seek(p, snapshot);
    } else {
        snapshot_move(p, snapshot);
    }
}

static void give_back(struct play *p)
{
    for (int i = 0; i < SNAPSHOTS; i++)
        snapshot_close(&p->snapshots[i]);
    for (int i = 0; i < VIEWS; i++) {
        if (p->views[i].kept)
            engine_release(&p->views[i].view);
        p->views[i].kept = false;
    }
}

static void compare_all(struct play *p)
{
    struct snapshot snapshot = { .model = p->model };
    assert_int_equal(engine_iterate(p->f->engine, NULL, &snapshot.iterator), KVORUM_OK);
    uint8_t key[32];
    engine_iterator_first(snapshot.iterator);
    snapshot.at = model_neighbour(&p->model, (struct bytes){ 0 }, 1);
    check_position(&snapshot);
    while (snapshot.at >= 0) {
        engine_iterator_next(snapshot.iterator);
        snapshot.at = model_neighbour(&p->model, key_of(snapshot.at, key), 1);
        check_position(&snapshot);
    }
    snapshot_close(&snapshot);
}

static void play_reopen(struct play *p)
{
    if (!engine_can(p->f->engine, ENGINE_DURABLE))
        return;
    give_back(p);
    fixture_reopen(p->f);
    compare_all(p);
}

static void random_operations(struct fixture *f)
{
    struct play p = { .f = f };
    uint64_t seed = seed_now();
    printf("# seed %llu\n", (unsigned long long)seed);
    random_init(&p.random, seed);
    for (int i = 0; i < STEPS; i++) {
        uint64_t dice = random_below(&p.random, 1000);
        if (dice < 450)
            play_batch(&p);
        else if (dice < 600)
            play_view(&p);
        else if (dice < 997)
            play_snapshot(&p);
        else
            play_reopen(&p);
    }
    compare_all(&p);
    give_back(&p);
}

/* --- threads ------------------------------------------------------------------------------- */

enum { READERS = 3, WRITERS = 2, PAIRS = 100, ROUNDS = 400 };

/* A writer's batch sets its two keys of a pair to the same number: readers must never see halves,
 * and a number never goes back. */
struct crowd {
    struct fixture *f;
    atomic_int writing;
    uint32_t id;
};

static struct bytes pair_key(uint8_t *storage, uint32_t writer, uint32_t pair, bool second)
{
    int size = snprintf((char *)storage, 32, "%c%u/%04u", second ? 'z' : 'a', writer, pair);
    return bytes_make(storage, (size_t)size);
}

static void *write_pairs(void *context)
{
    struct crowd *crowd = context;
    struct engine_batch *batch = engine_batch_create();
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint32_t pair = round * 7 % PAIRS;
        uint8_t one[32], two[32];
        struct bytes value = bytes_make(&round, sizeof(round));
        engine_batch_reset(batch);
        kvorum_status status =
            engine_batch_put(batch, pair_key(one, crowd->id, pair, false), value);
        if (status == KVORUM_OK)
            status = engine_batch_put(batch, pair_key(two, crowd->id, pair, true), value);
        if (status == KVORUM_OK)
            status = engine_write(crowd->f->engine, batch,
                                  round % 16 == 0 ? ENGINE_SYNC : (int)(round % 2));
        if (status != KVORUM_OK)
            abort();
    }
    engine_batch_destroy(batch);
    atomic_fetch_sub(&crowd[-(int)crowd->id].writing, 1);
    return NULL;
}

static uint32_t number_of(struct bytes value)
{
    uint32_t number;
    if (value.size != sizeof(number))
        abort();
    memcpy(&number, value.data, sizeof(number));
    return number;
}

/* In a snapshot the second half of the keys holds what the first half holds. */
static void check_halves(struct engine *engine)
{
    struct engine_iterator *iterator, *twin;
    if (engine_iterate(engine, NULL, &iterator) != KVORUM_OK)
        abort();
    static _Thread_local uint32_t seen[WRITERS * PAIRS * 2];
    size_t count = 0;
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        seen[count++] = number_of(iterator->value);
    twin = iterator;
    for (size_t i = 0; i < count / 2; i++)
        if (seen[i] != seen[count / 2 + i])
            abort();
    size_t back = count;
    for (engine_iterator_last(twin); twin->valid; engine_iterator_previous(twin))
        if (back == 0 || seen[--back] != number_of(twin->value))
            abort();
    if (count % 2 != 0 || back != 0)
        abort();
    engine_iterator_close(iterator);
}

static void *read_pairs(void *context)
{
    struct crowd *crowd = context;
    uint32_t last[PAIRS] = { 0 };
    for (uint32_t i = 0; atomic_load(&crowd->writing) > 0 || i < 10; i++) {
        uint8_t key[32];
        struct engine_view view;
        uint32_t pair = i % PAIRS;
        kvorum_status status =
            engine_view(crowd->f->engine, pair_key(key, 0, pair, i % 2 != 0), &view);
        if (status == KVORUM_OK) {
            uint32_t number = number_of(view.value);
            if (number < last[pair])
                abort();
            last[pair] = number;
            engine_release(&view);
        }
        if (i % 64 == 0)
            check_halves(crowd->f->engine);
    }
    return NULL;
}

static void many_threads(struct fixture *f)
{
    struct crowd crowds[WRITERS] = { { .f = f, .writing = WRITERS, .id = 0 }, { .f = f, .id = 1 } };
    pthread_t writers[WRITERS], readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_pairs, &crowds[0]), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_pairs, &crowds[i]), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    check_halves(f->engine);
    fixture_reopen(f);
    check_halves(f->engine);
}

static const struct conformance_case cases[] = {
    { "random operations agree with a slow model", random_operations,
      ENGINE_ORDERED | ENGINE_SNAPSHOT },
    { "readers beside writers see whole batches, in order", many_threads,
      ENGINE_ORDERED | ENGINE_SNAPSHOT },
};

int main(void)
{
    return RUN_CONFORMANCE("engine model", cases);
}
