/* SPDX-License-Identifier: Apache-2.0 */
/* Reading by one thread.  Every answer is checked: number, size and both ends of the value. */
#include "bench/engines/phase.h"

#include <stdlib.h>

#include "base/random.h"

enum { BLOCK_SIZE = 4096, STEPS = 9 /* of seek + 10, behind the first entry */ };

struct reader {
    struct bench *bench;
    const struct phase *phase;
    void *session;
    struct random random;
    size_t capacity;
    uint8_t *values; /* MANY of them */
    uint64_t deadline;
};

static void reader_init(struct reader *reader, struct bench *bench, const struct phase *phase)
{
    *reader = (struct reader){
        .bench = bench,
        .phase = phase,
        .session = bench->peer->session_open(bench->store),
        .capacity = bench->settings.value_size + 1,
    };
    reader->values = bench_new(reader->capacity * MANY);
    random_init(&reader->random, 40);
}

static void reader_done(struct reader *reader)
{
    free(reader->values);
    reader->bench->peer->session_close(reader->session);
}

static void begin(struct reader *reader, struct outcome *outcome)
{
    usage_begin(&outcome->begin);
    reader->deadline = phase_deadline(reader->bench, reader->phase);
}

static uint64_t next_number(struct reader *reader)
{
    struct records *records = &reader->bench->records;
    return reader->phase->order == ZIPF ? records_zipf(records)
                                        : random_below(&reader->random, records->count);
}

static void read_one(struct reader *reader, uint64_t number, struct outcome *outcome)
{
    char text[KEY_SIZE];
    bool absent = reader->phase->absent;
    struct bytes key = record_key(number, absent, text);
    long size = reader->bench->peer->get(reader->session, key, reader->values, reader->capacity);
    outcome_check(outcome, &reader->bench->records, number, absent, reader->values, size);
    outcome->operations++;
}

/* Half a block on, so that each is read and memory of caches is touched before something is
 * measured. */
static uint64_t warm_step(const struct bench *bench)
{
    uint64_t step = BLOCK_SIZE / 2 / (KEY_SIZE + bench->settings.value_size);
    return step == 0 ? 1 : step;
}

void phase_warm(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct reader reader;
    reader_init(&reader, bench, phase);
    begin(&reader, ret_outcome);
    uint64_t step = warm_step(bench);
    for (uint64_t number = 0; number < bench->records.count; number += step)
        read_one(&reader, number, ret_outcome);
    usage_end(&ret_outcome->end);
    reader_done(&reader);
}

void phase_read(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct reader reader;
    reader_init(&reader, bench, phase);
    if (phase->order == ZIPF)
        records_draw_zipf(&bench->records);
    uint64_t count = phase_count(bench, phase);
    begin(&reader, ret_outcome);
    for (uint64_t before = ticks(); before < reader.deadline && ret_outcome->operations < count;) {
        read_one(&reader, next_number(&reader), ret_outcome);
        uint64_t now = ticks();
        histogram_add(&ret_outcome->latency, now - before);
        before = now;
    }
    usage_end(&ret_outcome->end);
    reader_done(&reader);
}

static void get_in_loop(struct reader *reader, const struct bytes *keys, long *ret_sizes)
{
    for (size_t i = 0; i < MANY; i++)
        ret_sizes[i] = reader->bench->peer->get(
            reader->session, keys[i], reader->values + i * reader->capacity, reader->capacity);
}

static void read_many(struct reader *reader, struct outcome *outcome)
{
    char texts[MANY][KEY_SIZE];
    struct bytes keys[MANY];
    uint64_t numbers[MANY];
    long sizes[MANY];
    const struct peer_ops *peer = reader->bench->peer;
    for (size_t i = 0; i < MANY; i++) {
        numbers[i] = next_number(reader);
        keys[i] = record_key(numbers[i], false, texts[i]);
    }
    if (peer->get_many != NULL)
        peer->get_many(reader->session, keys, MANY, reader->values, reader->capacity, sizes);
    else
        get_in_loop(reader, keys, sizes);
    for (size_t i = 0; i < MANY; i++)
        outcome_check(outcome, &reader->bench->records, numbers[i], false,
                      reader->values + i * reader->capacity, sizes[i]);
    outcome->operations += MANY;
}

void phase_get_many(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct reader reader;
    reader_init(&reader, bench, phase);
    begin(&reader, ret_outcome);
    for (uint64_t before = ticks(); before < reader.deadline;) {
        read_many(&reader, ret_outcome);
        uint64_t now = ticks();
        histogram_add(&ret_outcome->latency, now - before);
        before = now;
    }
    usage_end(&ret_outcome->end);
    reader_done(&reader);
}

/* Entry `number` and the nine behind it are there, in order and right. */
static void seek_one(struct reader *reader, struct outcome *outcome)
{
    const struct peer_ops *peer = reader->bench->peer;
    const struct records *records = &reader->bench->records;
    char text[KEY_SIZE];
    uint64_t number = next_number(reader);
    struct bytes sought = record_key(number, false, text), key, value;
    bool found = peer->cursor_seek(reader->session, &sought, &key, &value);
    for (int step = 0; found; step++, number++) {
        if (record_of_key(key) != number || !record_check(records, number, value, false))
            outcome->wrong++;
        memcpy(reader->values, value.data, value.size < reader->capacity ? value.size : 0);
        if (step == STEPS || number + 1 == records->count)
            break;
        found = peer->cursor_next(reader->session, &key, &value);
    }
    outcome->missing += !found;
    outcome->operations++;
}

void phase_seek(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct reader reader;
    reader_init(&reader, bench, phase);
    bench->peer->cursor_open(reader.session);
    begin(&reader, ret_outcome);
    for (uint64_t before = ticks(); before < reader.deadline;) {
        seek_one(&reader, ret_outcome);
        uint64_t now = ticks();
        histogram_add(&ret_outcome->latency, now - before);
        before = now;
    }
    usage_end(&ret_outcome->end);
    bench->peer->cursor_close(reader.session);
    reader_done(&reader);
}

void phase_scan(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct reader reader;
    struct bytes key, value;
    uint64_t number = 0;
    reader_init(&reader, bench, phase);
    bench->peer->cursor_open(reader.session);
    usage_begin(&ret_outcome->begin);
    bool found = bench->peer->cursor_seek(reader.session, NULL, &key, &value);
    for (; found; number++) {
        if (record_of_key(key) != number || value.size != bench->settings.value_size)
            ret_outcome->wrong++;
        found = bench->peer->cursor_next(reader.session, &key, &value);
    }
    usage_end(&ret_outcome->end);
    if (number < bench->records.count)
        ret_outcome->missing += bench->records.count - number;
    ret_outcome->operations = number;
    bench->peer->cursor_close(reader.session);
    reader_done(&reader);
}
