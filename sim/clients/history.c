/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clients/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/checkers/checkers.h"

enum { VALUE_LIMIT = 1 << 20, VALUE_HEAD_SIZE = 40 };

static void *clear_memory(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL)
        abort();
    return memory;
}

void history_init(struct history *history, struct world *world, bool siblings, uint32_t key_count,
                  int32_t capacity)
{
    *history = (struct history){
        .world = world, .siblings = siblings, .key_count = key_count, .capacity = capacity
    };
    history->records = clear_memory((size_t)capacity, sizeof(*history->records));
    history->by_key = clear_memory(key_count, sizeof(*history->by_key));
    history->by_key_count = clear_memory(key_count, sizeof(*history->by_key_count));
    for (uint32_t i = 0; i < key_count; i++)
        history->by_key[i] = clear_memory((size_t)capacity, sizeof(**history->by_key));
    map_init(&history->dots);
    buffer_init(&history->scratch, VALUE_LIMIT);
}

void history_done(struct history *history)
{
    for (int32_t i = 0; i < history->count; i++) {
        free(history->records[i].sure);
        free(history->records[i].maybe);
        free(history->records[i].reading.versions);
    }
    for (uint32_t i = 0; i < history->key_count; i++)
        free(history->by_key[i]);
    dots_done(history);
    buffer_done(&history->scratch);
    free(history->by_key);
    free(history->by_key_count);
    free(history->records);
}

/* --- values ---------------------------------------------------------------------------------- */

void history_key(uint32_t key, char ret_name[SIM_KEY_SIZE])
{
    snprintf(ret_name, SIM_KEY_SIZE, "key-%05u.", key);
}

bool history_key_number(struct bytes name, uint32_t *ret_key)
{
    char text[SIM_KEY_SIZE] = "";
    if (name.size >= sizeof(text))
        return false;
    memcpy(text, name.data, name.size);
    return sscanf(text, "key-%5u.", ret_key) == 1;
}

struct bytes history_value(struct history *history, const struct record *record)
{
    struct buffer *buffer = &history->scratch;
    buffer_reset(buffer);
    buffer_printf(buffer, "o%08d k%05u s%08u ", record->id, record->key, record->value_size);
    for (uint32_t i = 0; buffer->size < record->value_size; i++)
        buffer_append_u8(buffer, (uint8_t)('a' + (record->id * 7 + i * 3 + i / 26) % 26));
    if (buffer->failed)
        abort();
    return buffer_bytes(buffer);
}

int32_t history_writer(struct history *history, uint32_t key, struct bytes value)
{
    char head[VALUE_HEAD_SIZE] = "";
    int id;
    memcpy(head, value.data, value.size < sizeof(head) - 1 ? value.size : sizeof(head) - 1);
    if (sscanf(head, "o%08d k", &id) != 1 || id < 0 || id >= history->count)
        return NO_OPERATION;
    const struct record *record = &history->records[id];
    if (record->key != key || !action_writes_value(record->action) ||
        !bytes_equal(value, history_value(history, record)))
        return NO_OPERATION;
    return id;
}

/* --- what replaces what ---------------------------------------------------------------------- */

bool action_writes_value(enum action action)
{
    return action >= ACTION_PUT_BLIND && action <= ACTION_PUT_IF_MATCH;
}

bool action_deletes(enum action action)
{
    return action == ACTION_DELETE_BLIND || action == ACTION_DELETE_CONTEXT;
}

static bool decides_itself(enum action action)
{
    return action == ACTION_PUT_OVERWRITE || action == ACTION_PUT_IF_ABSENT ||
           action == ACTION_DELETE_BLIND;
}

bool record_acknowledged(const struct record *record)
{
    return record->state == RECORD_ANSWERED && record->status == KVORUM_OK;
}

bool record_may_happen(const struct record *record)
{
    return record->state != RECORD_ANSWERED || record->status == KVORUM_OK ||
           kvorum_status_class(record->status) == KVORUM_UNKNOWN;
}

static bool has(const uint64_t *set, int32_t id)
{
    return set != NULL && (set[id / 64] >> (id % 64) & 1) != 0;
}

static void add(uint64_t *set, int32_t id)
{
    set[id / 64] |= UINT64_C(1) << (id % 64);
}

static size_t set_words(const struct history *history)
{
    return (size_t)history->capacity / 64 + 1;
}

static void add_all(const struct history *history, uint64_t *set, const uint64_t *from)
{
    for (size_t i = 0; from != NULL && i < set_words(history); i++)
        set[i] |= from[i];
}

bool surely_replaces(const struct record *later, const struct record *earlier)
{
    return has(later->sure, earlier->id);
}

bool maybe_replaces(const struct record *later, const struct record *earlier)
{
    if (later == earlier)
        return false;
    if (later->maybe_all) /* one of unknown outcome may happen at any time */
        return !record_acknowledged(later) || earlier->invoked_us <= later->done_us;
    return has(later->maybe, earlier->id);
}

bool record_is_kept(const struct history *history, const struct record *write)
{
    if (!history->siblings || !history->changes)
        return history->siblings;
    return write->version_known ? write->version.kept : write->mode_known;
}

bool maybe_deleted(const struct history *history, const struct record *earlier)
{
    const int32_t *ids = history->by_key[earlier->key];
    for (uint32_t i = 0; i < history->by_key_count[earlier->key]; i++) {
        const struct record *record = &history->records[ids[i]];
        if (action_deletes(record->action) && record_may_happen(record) &&
            maybe_replaces(record, earlier))
            return true;
    }
    return false;
}

bool history_wants_object(const struct history *history, enum action action)
{
    bool stamps_decide = !history->siblings || history->changes;
    return history->collects && stamps_decide &&
           (action_writes_value(action) || action_deletes(action));
}

/* Where the last write wins. */
static bool may_hide(const struct record *record, const struct record *earlier)
{
    if (!action_deletes(record->action) || !record_may_happen(record))
        return false;
    if (!record_acknowledged(record) || record->grave.stamp == 0 || !earlier->version_known)
        return true;
    return version_compare(&record->grave, &earlier->version) > 0;
}

bool maybe_collected(const struct history *history, const struct record *earlier)
{
    const int32_t *ids = history->by_key[earlier->key];
    bool kept = record_is_kept(history, earlier);
    if (!history->collects)
        return false;
    if ((kept || history->changes) && maybe_deleted(history, earlier))
        return true;
    if (kept && !history->changes)
        return false;
    for (uint32_t i = 0; i < history->by_key_count[earlier->key]; i++)
        if (may_hide(&history->records[ids[i]], earlier))
            return true;
    return false;
}

static void add_maybe(const struct history *history, struct record *record,
                      const struct record *seen)
{
    const int32_t *ids = history->by_key[record->key];
    add_all(history, record->maybe, seen->maybe);
    for (uint32_t i = 0; seen->maybe_all && i < history->by_key_count[record->key]; i++)
        add(record->maybe, ids[i]);
}

/* A tombstone does not tell whose it is, nor what it took with it when a write replaced it: any
 * delete of the key may have been below what was seen. */
static void add_deleted(const struct history *history, struct record *record)
{
    const int32_t *ids = history->by_key[record->key];
    for (uint32_t i = 0; i < history->by_key_count[record->key]; i++) {
        const struct record *other = &history->records[ids[i]];
        if (action_deletes(other->action) && record_may_happen(other))
            add_maybe(history, record, other);
    }
}

static void take_context(const struct history *history, struct record *record,
                         const struct record *source)
{
    add_deleted(history, record);
    for (uint32_t i = 0; i < source->reading.count; i++) {
        const struct version *version = &source->reading.versions[i];
        if (version->writer == NO_OPERATION)
            continue;
        const struct record *seen = &history->records[version->writer];
        add(record->sure, seen->id);
        add(record->maybe, seen->id);
        add_all(history, record->sure, seen->sure);
        add_maybe(history, record, seen);
    }
}

struct record *history_begin(struct history *history, enum action action, uint16_t client,
                             uint32_t key, const struct record *source)
{
    assert(history->count < history->capacity);
    struct record *record = &history->records[history->count];
    *record = (struct record){ .id = history->count++,
                               .action = action,
                               .client = client,
                               .key = key,
                               .invoked_us = history->world->now_us };
    if (!action_writes_value(action) && !action_deletes(action))
        return record;
    record->sure = clear_memory(set_words(history), sizeof(*record->sure));
    record->maybe = clear_memory(set_words(history), sizeof(*record->maybe));
    record->maybe_all = decides_itself(action);
    if (source != NULL)
        take_context(history, record, source);
    history->by_key[key][history->by_key_count[key]++] = record->id;
    return record;
}

/* --- what is seen ---------------------------------------------------------------------------- */

int version_compare(const struct version *a, const struct version *b)
{
    if (a->stamp != b->stamp)
        return a->stamp < b->stamp ? -1 : 1;
    if (a->dot.actor != b->dot.actor)
        return a->dot.actor < b->dot.actor ? -1 : 1;
    return (a->dot.counter > b->dot.counter) - (a->dot.counter < b->dot.counter);
}

static struct version version_of(struct history *history, uint32_t key,
                                 const struct sibling *sibling)
{
    struct version version = { .writer = NO_OPERATION,
                               .tombstone = sibling->tombstone,
                               .kept = sibling->kept,
                               .dot = sibling->dot,
                               .stamp = sibling->stamp };
    if (!sibling->tombstone)
        version.writer = history_writer(history, key, sibling->value);
    return version;
}

void history_see(struct history *history, uint32_t key, const struct object *object)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        struct version version = version_of(history, key, sibling);
        check_invented_value(history, key, sibling, &version);
        check_dot(history, key, sibling, &version);
        if (version.writer == NO_OPERATION)
            continue;
        check_birth(history, &history->records[version.writer], &version);
        history->records[version.writer].version = version;
        history->records[version.writer].version_known = true;
    }
}

static void take_reading(struct history *history, struct record *record,
                         const struct object *object)
{
    struct reading *reading = &record->reading;
    record->object = true;
    reading->count = object->sibling_count;
    reading->versions = clear_memory(reading->count, sizeof(*reading->versions));
    for (uint32_t i = 0; i < reading->count; i++) {
        const struct version *version = &reading->versions[i];
        reading->versions[i] = version_of(history, record->key, &object->siblings[i]);
        if (action_deletes(record->action) && version->tombstone &&
            version_compare(version, &record->grave) > 0)
            record->grave = *version;
    }
}

void history_end(struct history *history, struct record *record, kvorum_status status,
                 const struct object *object)
{
    assert(record->state == RECORD_OPEN);
    record->state = RECORD_ANSWERED;
    record->status = status;
    record->done_us = history->world->now_us;
    if (object == NULL)
        return;
    history_see(history, record->key, object);
    take_reading(history, record, object);
}

void history_lose(struct history *history, struct record *record)
{
    assert(record->state == RECORD_OPEN);
    record->state = RECORD_LOST;
    record->done_us = history->world->now_us;
}
