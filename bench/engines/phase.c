/* SPDX-License-Identifier: Apache-2.0 */
/* The table of phases, and what needs no loop over records. */
#include "bench/engines/phase.h"

#include <string.h>

static const struct phase phases[] = {
    { .name = "fillseq", .run = phase_fill, .order = IN_ORDER, .share = 1 },
    { .name = "fillrandom", .run = phase_fill, .order = SHUFFLED, .share = 1 },
    { .name = "fillbatch", .run = phase_fill, .order = SHUFFLED, .share = 1, .batch = 100 },
    { .name = "overwrite", .run = phase_fill, .order = RANDOM, .share = 0.25, .generation = 1 },
    { .name = "sync", .run = phase_fill, .order = RANDOM, .seconds = 2, .sync = true },
    { .name = "syncbatch",
      .run = phase_fill,
      .order = RANDOM,
      .seconds = 2,
      .batch = 100,
      .sync = true },
    { .name = "sync8", .run = phase_threads, .seconds = 2, .writers = 8, .sync = true },
    { .name = "warm", .run = phase_warm },
    { .name = "readrandom", .run = phase_read, .order = RANDOM, .seconds = 1.5 },
    { .name = "readzipf", .run = phase_read, .order = ZIPF, .seconds = 1.5 },
    { .name = "readmissing", .run = phase_read, .order = RANDOM, .seconds = 1.5, .absent = true },
    { .name = "readcold", .run = phase_read, .order = RANDOM, .share = 0.01, .seconds = 2 },
    { .name = "read2", .run = phase_threads, .seconds = 1.5, .readers = 2 },
    { .name = "multiget", .run = phase_get_many, .seconds = 1.5 },
    { .name = "seek10", .run = phase_seek, .seconds = 1.5 },
    { .name = "scan", .run = phase_scan },
    { .name = "readwrite",
      .run = phase_threads,
      .seconds = 4,
      .readers = 1,
      .writers = 1,
      .generation = 1 },
    { .name = "verify", .run = phase_verify },
    { .name = "settle", .run = phase_settle },
    { .name = "evict", .run = phase_evict },
};

const struct phase *phase_find(const char *name)
{
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        if (strcmp(phases[i].name, name) == 0)
            return &phases[i];
    }
    return NULL;
}

uint64_t phase_deadline(const struct bench *bench, const struct phase *phase)
{
    if (phase->seconds == 0)
        return UINT64_MAX;
    return ticks() + (uint64_t)(phase->seconds * bench->seconds_factor * ticks_per_second());
}

uint64_t phase_count(const struct bench *bench, const struct phase *phase)
{
    return phase->share > 0 ? (uint64_t)((double)bench->records.count * phase->share) : UINT64_MAX;
}

void outcome_check(struct outcome *outcome, const struct records *records, uint64_t number,
                   bool absent, const uint8_t *value, long size)
{
    if (absent)
        outcome->wrong += size >= 0;
    else if (size < 0)
        outcome->missing++;
    else
        outcome->wrong += !record_check(records, number, bytes_make(value, (size_t)size), false);
}

void phase_settle(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    (void)phase;
    usage_begin(&ret_outcome->begin);
    bench->peer->settle(bench->store);
    ret_outcome->operations = 1;
    usage_end(&ret_outcome->end);
}

void phase_evict(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    (void)phase;
    bench->peer->close(bench->store);
    bench->store = bench->peer->open(&bench->settings);
    bench->peer->settle(bench->store);
    bench->peer->close(bench->store);
    files_evict(bench->settings.path);
    usage_begin(&ret_outcome->begin);
    bench->store = bench->peer->open(&bench->settings);
    ret_outcome->operations = 1;
    usage_end(&ret_outcome->end);
}
