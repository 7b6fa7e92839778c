/* SPDX-License-Identifier: Apache-2.0 */
/** What a store must hold after each batch of a workload, worked out without the engine.
 *
 *      state 0 --batch 1--> state 1 --batch 2--> state 2 ...
 *
 *  Batches are made from the seed and their number: puts (some so large that they live out of
 *  line), deletions, merges (which append), deleted ranges, and "count", the number itself.  A
 *  store that kept its promises holds one of these states, whole; "count" says which. */
#ifndef TESTS_SUPPORT_LSM_HISTORY_H
#define TESTS_SUPPORT_LSM_HISTORY_H

#include "base/random.h"
#include "engine/engine.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HISTORY_KEYS = 40,
    HISTORY_VALUE_MAX = 2400,
    HISTORY_LARGE = 700,
    HISTORY_COUNT = UINT32_MAX
};

/* Immutable; the history owns them all. */
struct history_value {
    struct history_value *next;
    size_t size;
    uint8_t data[];
};

struct history_state {
    const struct history_value *values[HISTORY_KEYS]; /* NULL: absent */
};

struct history {
    uint64_t seed;
    size_t scale; /* of values' sizes */
    struct history_state *states;
    uint32_t count, capacity; /* batches made; states[0] .. states[count] are there */
    struct history_value *values;
};

static inline void history_init(struct history *history, uint64_t seed)
{
    *history = (struct history){ .seed = seed, .scale = 1, .capacity = 1024 };
    history->states = calloc(history->capacity, sizeof(history->states[0]));
    assert(history->states != NULL);
}

static inline void history_done(struct history *history)
{
    while (history->values != NULL) {
        struct history_value *next = history->values->next;
        free(history->values);
        history->values = next;
    }
    free(history->states);
}

/* --- the operator: append, and forget all before a 'R' ------------------------------------- */

static inline kvorum_status history_merge(void *context, struct bytes key, const struct bytes *base,
                                          const struct bytes *operands, size_t count,
                                          struct buffer *ret_value)
{
    (void)context;
    (void)key;
    size_t first = count;
    while (first > 0 && (operands[first - 1].size == 0 || operands[first - 1].data[0] != 'R'))
        first--;
    if (first == 0 && base != NULL)
        buffer_append_bytes(ret_value, *base);
    for (size_t i = first == 0 ? 0 : first - 1; i < count; i++)
        buffer_append_bytes(ret_value, operands[i]);
    return KVORUM_OK;
}

static const struct engine_merge_operator history_operator = { .name = "history",
                                                               .merge = history_merge };

/* --- making batches ------------------------------------------------------------------------ */

static inline struct bytes history_key(uint32_t index, char *storage)
{
    int size = snprintf(storage, 32, "key/%02u%s", index, index % 5 == 0 ? "/long/tail" : "");
    return bytes_make(storage, (size_t)size);
}

static inline struct history_value *history_value(struct history *history, size_t size)
{
    struct history_value *value = malloc(sizeof(*value) + size + 1);
    assert(value != NULL);
    value->next = history->values;
    value->size = size;
    history->values = value;
    return value;
}

static inline const struct history_value *history_fill(struct history *history,
                                                       struct random *random, size_t size)
{
    struct history_value *value = history_value(history, size);
    uint8_t letter = (uint8_t)('a' + random_below(random, 20));
    for (size_t i = 0; i < size; i++)
        value->data[i] = (uint8_t)(letter + (i * i) % 7);
    return value;
}

static inline struct bytes history_bytes(const struct history_value *value)
{
    return bytes_make(value->data, value->size);
}

static inline const struct history_value *history_merged(struct history *history,
                                                         const struct history_value *base,
                                                         const struct history_value *operand)
{
    size_t before = base == NULL || operand->data[0] == 'R' ? 0 : base->size;
    struct history_value *value = history_value(history, before + operand->size);
    if (before > 0)
        memcpy(value->data, base->data, before);
    memcpy(value->data + before, operand->data, operand->size);
    return value;
}

static inline kvorum_status history_add_merge(struct history *history, struct random *random,
                                              struct history_state *state, uint32_t index,
                                              struct engine_batch *batch)
{
    char key[32];
    struct history_value *operand = history_value(history, 1 + random_below(random, 30));
    memset(operand->data, 'a' + (int)random_below(random, 26), operand->size);
    bool resets = state->values[index] != NULL && state->values[index]->size > 1200;
    if (resets || random_chance(random, 1, 8))
        operand->data[0] = 'R';
    state->values[index] = history_merged(history, state->values[index], operand);
    return engine_batch_merge(batch, history_key(index, key), history_bytes(operand));
}

static inline kvorum_status history_add_range(struct random *random, struct history_state *state,
                                              uint32_t index, struct engine_batch *batch)
{
    char lower[32], upper[32];
    uint32_t end = index + 1 + (uint32_t)random_below(random, 12);
    bool open = end >= HISTORY_KEYS;
    for (uint32_t i = index; i < HISTORY_KEYS && i < end; i++)
        state->values[i] = NULL;
    return engine_batch_delete_range(batch, history_key(index, lower),
                                     open ? (struct bytes){ 0 } : history_key(end, upper));
}

static inline size_t history_size(struct random *random)
{
    if (random_chance(random, 1, 12))
        return HISTORY_LARGE + random_below(random, HISTORY_VALUE_MAX - HISTORY_LARGE);
    return random_below(random, random_chance(random, 1, 3) ? 300 : 40);
}

static inline kvorum_status history_add(struct history *history, struct random *random,
                                        struct history_state *state, struct engine_batch *batch)
{
    char key[32];
    uint32_t index = (uint32_t)random_below(random, HISTORY_KEYS);
    uint64_t dice = random_below(random, 100);
    if (dice < 60) {
        state->values[index] = history_fill(history, random, history_size(random) * history->scale);
        return engine_batch_put(batch, history_key(index, key),
                                history_bytes(state->values[index]));
    }
    if (dice < 72) {
        state->values[index] = NULL;
        return engine_batch_delete(batch, history_key(index, key));
    }
    if (dice < 93)
        return history_add_merge(history, random, state, index, batch);
    return history_add_range(random, state, index, batch);
}

/** Fill `batch` with batch `number`, at most one more than there were: then its state is added. */
static inline kvorum_status history_make(struct history *history, uint32_t number,
                                         struct engine_batch *batch)
{
    struct random random;
    assert(number <= history->count + 1 && number + 1 < history->capacity);
    random_init(&random, history->seed * 1000003 + number);
    struct history_state state = history->states[number - 1];
    engine_batch_reset(batch);
    kvorum_status status =
        engine_batch_put(batch, bytes_of_string("count"), bytes_make(&number, sizeof(number)));
    for (uint64_t i = 1 + random_below(&random, 4); i > 0 && status == KVORUM_OK; i--)
        status = history_add(history, &random, &state, batch);
    if (status == KVORUM_OK && number > history->count)
        history->states[history->count = number] = state;
    return status;
}

/* --- checking ------------------------------------------------------------------------------ */

static const uint64_t history_damage =
    1u << KVORUM_CORRUPT | 1u << KVORUM_FOREIGN | 1u << KVORUM_NEWER_FORMAT;

struct history_check {
    const struct history *history;
    struct engine *engine;
    struct engine_read read;
    uint64_t tolerated; /* bits of statuses: these will do, a wrong answer will not */
    uint32_t count;
    char wrong[160]; /* what is; empty: nothing */
    uint64_t errors; /* that were tolerated */
};

static inline bool history_wrong(struct history_check *check, const char *what, const char *about,
                                 kvorum_status status)
{
    if ((check->tolerated >> status & 1) != 0) {
        check->errors++;
        return true;
    }
    if (check->wrong[0] == '\0')
        snprintf(check->wrong, sizeof(check->wrong), "%s %s (%s) in state %u", what, about,
                 kvorum_status_name(status), check->count);
    return false;
}

static inline bool history_read_count(struct history_check *check)
{
    struct engine_view view;
    uint32_t count = 0;
    kvorum_status status =
        engine_view_at(check->engine, bytes_of_string("count"), &check->read, &view);
    if (status != KVORUM_OK && status != KVORUM_NOT_FOUND)
        return history_wrong(check, "get", "count", status);
    if (status == KVORUM_OK) {
        if (view.value.size == sizeof(count))
            memcpy(&count, view.value.data, sizeof(count));
        engine_release(&view);
    }
    if (check->count == HISTORY_COUNT)
        check->count = count;
    if (count != check->count || count > check->history->count)
        return history_wrong(check, "count", "is another", KVORUM_OK);
    return true;
}

static inline bool history_judge(struct history_check *check, uint32_t index, kvorum_status status,
                                 struct engine_view *view)
{
    char key[33] = "";
    const struct history_value *expected = check->history->states[check->count].values[index];
    history_key(index, key);
    if (status == KVORUM_NOT_FOUND)
        return expected == NULL || history_wrong(check, "get lacks", key, status);
    if (status != KVORUM_OK)
        return history_wrong(check, "get", key, status);
    bool same = expected != NULL && bytes_equal(view->value, history_bytes(expected));
    engine_release(view);
    return same || history_wrong(check, "get gives another value of", key, status);
}

static inline bool history_check_gets(struct history_check *check)
{
    char storage[HISTORY_KEYS][32];
    struct bytes keys[HISTORY_KEYS];
    struct engine_view views[HISTORY_KEYS], view;
    kvorum_status statuses[HISTORY_KEYS];
    bool good = true;
    for (uint32_t i = 0; i < HISTORY_KEYS; i++)
        keys[i] = history_key(i, storage[i]);
    engine_view_many(check->engine, keys, HISTORY_KEYS, &check->read, views, statuses);
    for (uint32_t i = 0; i < HISTORY_KEYS; i++)
        good &= history_judge(check, i, statuses[i], &views[i]);
    for (uint32_t i = 0; i < HISTORY_KEYS && good; i++) {
        kvorum_status status = engine_view_at(check->engine, keys[i], &check->read, &view);
        good &= history_judge(check, i, status, &view);
    }
    return good;
}

/* The next key below `from` (or at and above it) that is there; HISTORY_KEYS: none. */
static inline uint32_t history_present(const struct history_check *check, uint32_t from, bool back)
{
    const struct history_state *state = &check->history->states[check->count];
    while (from < HISTORY_KEYS && state->values[from] == NULL)
        from = back ? from - 1 : from + 1; /* wraps round below 0 */
    return from < HISTORY_KEYS ? from : HISTORY_KEYS;
}

static inline bool history_check_iterator(struct history_check *check, uint32_t first,
                                          uint32_t last, bool back)
{
    char lower[32], upper[32], storage[33] = "";
    struct engine_iterator *iterator;
    struct engine_range range = { .lower = history_key(first, lower) };
    if (last < HISTORY_KEYS)
        range.upper = history_key(last, upper);
    kvorum_status status = engine_iterate_at(check->engine, &range, &check->read, &iterator);
    if (status != KVORUM_OK)
        return history_wrong(check, "iterate", "", status);
    (back ? engine_iterator_last : engine_iterator_first)(iterator);
    uint32_t index = history_present(check, back ? last - 1 : first, back);
    bool same = true;
    while (iterator->valid && same) {
        same = index >= first && index < last;
        if (same)
            same = bytes_equal(iterator->key, history_key(index, storage)) &&
                   bytes_equal(iterator->value,
                               history_bytes(check->history->states[check->count].values[index]));
        (back ? engine_iterator_previous : engine_iterator_next)(iterator);
        index = history_present(check, back ? index - 1 : index + 1, back);
    }
    status = iterator->error;
    engine_iterator_close(iterator);
    const char *way = back ? "iterator back shows another" : "iterator shows another";
    if (!same)
        return history_wrong(check, way, storage, KVORUM_OK);
    if (status != KVORUM_OK)
        return history_wrong(check, "iterator", "stopped", status);
    bool over = index >= last || index < first;
    return over ||
           history_wrong(check, back ? "iterator back ends" : "iterator ends", "early", KVORUM_OK);
}

/** Everything, by every way of reading; false: `wrong` says what is.  `count`: which state it must
 *  be, or HISTORY_COUNT, and then check->count is what was found. */
static inline bool history_verify(struct history_check *check, const struct history *history,
                                  struct engine *engine, uint32_t count)
{
    check->history = history;
    check->engine = engine;
    check->count = count;
    check->wrong[0] = '\0';
    if (!history_read_count(check))
        return false;
    uint32_t middle = check->count * 7 % (HISTORY_KEYS - 10);
    return history_check_gets(check) && history_check_iterator(check, 0, HISTORY_KEYS, false) &&
           history_check_iterator(check, 0, HISTORY_KEYS, true) &&
           history_check_iterator(check, middle, middle + 9, false) &&
           history_check_iterator(check, middle, middle + 9, true);
}

#endif
