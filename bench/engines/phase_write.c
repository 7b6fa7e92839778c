/* SPDX-License-Identifier: Apache-2.0 */
/* Writing by one thread, and proving afterwards what was written. */
#include "bench/engines/phase.h"

#include <stdlib.h>

#include "base/random.h"

enum { VERIFIED = 50000 /* of the fill, and as many overwritten */, OVERWRITE_SEED = 30 };

struct writer {
    const struct bench *bench;
    const struct phase *phase;
    void *session;
    struct random random;
    uint64_t index;
    uint8_t *value;
};

static uint64_t next_number(struct writer *writer)
{
    const struct records *records = &writer->bench->records;
    uint64_t index = writer->index++;
    if (writer->phase->order == RANDOM)
        return random_below(&writer->random, records->count);
    return writer->phase->order == SHUFFLED ? records_shuffled(records, index) : index;
}

static void write_one(struct writer *writer)
{
    char text[KEY_SIZE];
    uint64_t number = next_number(writer);
    struct bytes key = record_key(number, false, text);
    struct bytes value =
        record_value(&writer->bench->records, number, writer->phase->generation, writer->value);
    writer->bench->peer->put(writer->session, key, value, writer->phase->sync);
}

static void write_batch(struct writer *writer, uint64_t count)
{
    const struct peer_ops *peer = writer->bench->peer;
    peer->batch_begin(writer->session);
    for (uint64_t i = 0; i < count; i++) {
        char text[KEY_SIZE];
        uint64_t number = next_number(writer);
        struct bytes value =
            record_value(&writer->bench->records, number, writer->phase->generation, writer->value);
        peer->batch_put(writer->session, record_key(number, false, text), value);
    }
    peer->batch_commit(writer->session, writer->phase->sync);
}

void phase_fill(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct writer writer = { bench,     phase, bench->peer->session_open(bench->store),
                             { { 0 } }, 0,     bench_new(bench->settings.value_size + 1) };
    uint64_t left = phase_count(bench, phase);
    random_init(&writer.random, OVERWRITE_SEED);
    usage_begin(&ret_outcome->begin);
    uint64_t deadline = phase_deadline(bench, phase), before = ticks();
    while (left > 0 && before < deadline) {
        uint64_t count = phase->batch > left ? left : phase->batch;
        if (phase->batch > 1)
            write_batch(&writer, count);
        else
            write_one(&writer);
        left -= phase->batch > 1 ? count : 1;
        uint64_t now = ticks();
        histogram_add(&ret_outcome->latency, now - before);
        before = now;
    }
    usage_end(&ret_outcome->end);
    ret_outcome->operations = writer.index;
    free(writer.value);
    bench->peer->session_close(writer.session);
}

static void verify_one(struct bench *bench, void *session, uint64_t number, unsigned generation,
                       uint8_t *value, struct outcome *outcome)
{
    char text[KEY_SIZE];
    size_t capacity = bench->settings.value_size + 1;
    long size = bench->peer->get(session, record_key(number, false, text), value, capacity);
    struct bytes found = bytes_make(value, size < 0 ? 0 : (size_t)size);
    outcome->operations++;
    if (size < 0)
        outcome->missing++;
    else if (!record_check(&bench->records, number, found, true))
        outcome->wrong++;
    else
        outcome->wrong += record_generation(found) < generation;
}

void phase_verify(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    void *session = bench->peer->session_open(bench->store);
    uint8_t *value = bench_new(bench->settings.value_size + 1);
    const struct phase *overwrite = phase_find("overwrite");
    struct random random;
    (void)phase;
    uint64_t step = bench->records.count / VERIFIED + 1;
    usage_begin(&ret_outcome->begin);
    for (uint64_t i = 0; i < bench->records.count; i += step)
        verify_one(bench, session, i, 0, value, ret_outcome);
    random_init(&random, OVERWRITE_SEED);
    uint64_t count = phase_count(bench, overwrite);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = random_below(&random, bench->records.count);
        if (i % (count / VERIFIED + 1) == 0)
            verify_one(bench, session, number, overwrite->generation, value, ret_outcome);
    }
    usage_end(&ret_outcome->end);
    free(value);
    bench->peer->session_close(session);
}
