/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store_readers.h"

#include "base/planted.h"

/* What a disk without power answers says nothing. */
static void expect(struct readers *readers, bool good, const char *who, int key)
{
    if (!good && !readers->disk->dead)
        world_fail(readers->world, "store", "%s no longer sees key %d as it was when it came", who,
                   key);
}

static void check_key(struct readers *readers, struct engine *engine,
                      const struct reader_held *held, uint8_t key)
{
    const struct engine_read read = { .snapshot = held->snapshot };
    struct engine_view view;
    kvorum_status status = engine_view_at(engine, bytes_make(&key, 1), &read, &view);
    struct bytes found = status == KVORUM_OK ? view.value : (struct bytes){ 0 };
    expect(readers, model_agrees(&held->model.values[key], status, found), "a snapshot", key);
    if (status == KVORUM_OK)
        engine_release(&view);
}

/* --- iterators ------------------------------------------------------------------------------ */

static int first_from(const struct model *model, int key)
{
    while (key < MODEL_KEYS && !model->values[key].present)
        key++;
    return key < MODEL_KEYS ? key : -1;
}

static int last_to(const struct model *model, int key)
{
    while (key >= 0 && !model->values[key].present)
        key--;
    return key;
}

static void move(struct readers *readers, struct reader_held *held)
{
    struct engine_iterator *iterator = held->iterator;
    uint8_t key = (uint8_t)choose(readers->world, MODEL_KEYS);
    uint64_t way = choose(readers->world, held->at < 0 ? 3 : 8);
    if (way == 0) {
        engine_iterator_first(iterator);
        held->at = first_from(&held->model, 0);
    } else if (way == 1) {
        engine_iterator_last(iterator);
        held->at = last_to(&held->model, MODEL_KEYS - 1);
    } else if (way == 2) {
        engine_iterator_seek(iterator, bytes_make(&key, 1));
        held->at = first_from(&held->model, key);
    } else if (way < 6) {
        engine_iterator_next(iterator);
        held->at = first_from(&held->model, held->at + 1);
    } else {
        engine_iterator_previous(iterator);
        held->at = last_to(&held->model, held->at - 1);
    }
}

static void check_place(struct readers *readers, struct reader_held *held)
{
    const struct engine_iterator *iterator = held->iterator;
    bool good = iterator->valid == (held->at >= 0) && iterator->error == KVORUM_OK;
    if (good && iterator->valid)
        good = iterator->key.size == 1 && iterator->key.data[0] == held->at &&
               model_agrees(&held->model.values[held->at], KVORUM_OK, iterator->value);
    expect(readers, good, "an iterator", held->at);
    if (!iterator->valid)
        held->at = -1;
}

/* --- coming, looking, going ------------------------------------------------------------------ */

static void check(struct readers *readers, struct engine *engine, struct reader_held *held)
{
    switch (held->kind) {
    case READER_SNAPSHOT:
        check_key(readers, engine, held, (uint8_t)choose(readers->world, MODEL_KEYS));
        break;
    case READER_ITERATOR:
        move(readers, held);
        check_place(readers, held);
        break;
    case READER_VIEW:
        expect(readers, model_agrees(&held->model.values[held->key], KVORUM_OK, held->view.value),
               "a lent value", held->key);
        break;
    case READER_NONE:
        break;
    }
}

static void leave(struct engine *engine, struct reader_held *held)
{
    if (held->kind == READER_VIEW)
        engine_release(&held->view);
    engine_iterator_close(held->iterator);
    engine_snapshot_release(engine, held->snapshot);
    *held = (struct reader_held){ 0 };
}

static void come(struct readers *readers, struct engine *engine, const struct model *now,
                 struct reader_held *held)
{
    static const uint8_t end = MODEL_KEYS;
    const struct engine_range range = { .upper = bytes_make(&end, 1) };
    enum reader_kind kind = (enum reader_kind)choose_between(readers->world, 1, READER_VIEW);
    *held = (struct reader_held){ .model = *now, .at = -1 };
    held->key = (uint8_t)choose(readers->world, MODEL_KEYS);
    kvorum_status status = KVORUM_OK;
    if (kind == READER_VIEW)
        status = engine_view(engine, bytes_make(&held->key, 1), &held->view);
    else if (kind == READER_SNAPSHOT || choose(readers->world, 2) == 0)
        status = engine_snapshot_take(engine, &held->snapshot);
    const struct engine_read read = { .snapshot = held->snapshot };
    if (kind == READER_ITERATOR)
        status = engine_iterate_at(engine, &range, &read, &held->iterator);
    if (status == KVORUM_OK) {
        held->kind = kind;
        return;
    }
    bool absent = kind == READER_VIEW && status == KVORUM_NOT_FOUND;
    expect(readers, absent && !now->values[held->key].present, "a newcomer", held->key);
    leave(engine, held);
}

void readers_step(struct readers *readers, struct engine *engine, const struct model *now)
{
    struct reader_held *held = &readers->held[choose(readers->world, READERS_MAX)];
    if (held->kind == READER_NONE)
        come(readers, engine, now, held);
    else if (choose(readers->world, 6) == 0)
        leave(engine, held);
    else
        check(readers, engine, held);
}

void readers_leave(struct readers *readers, struct engine *engine)
{
    for (int i = 0; i < READERS_MAX; i++)
        leave(engine, &readers->held[i]);
}
