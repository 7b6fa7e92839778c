/* SPDX-License-Identifier: Apache-2.0 */
/** The workloads: a phase is one of them over an open store, measured from begin to end. */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include "base/histogram.h"
#include "bench/engines/meter.h"
#include "bench/engines/peer.h"
#include "bench/engines/records.h"

struct bench {
    const struct peer_ops *peer;
    struct settings settings;
    struct records records;
    void *store;
    double seconds_factor; /* of phases that are bounded by time */
};

enum order { IN_ORDER, SHUFFLED, RANDOM, ZIPF };

struct outcome {
    uint64_t operations;
    uint64_t writes;         /* of writers beside readers */
    uint64_t wrong, missing; /* answers that are not what was stored */
    struct usage begin, end;
    struct histogram latency; /* in ticks, of an operation */
};

struct phase {
    const char *name;
    void (*run)(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
    enum order order;
    double share;   /* of all records: how many operations at most; 0: any number */
    double seconds; /* how long at most; 0: any time */
    unsigned batch; /* records a write; 0 and 1: one */
    unsigned generation;
    bool sync;
    bool absent; /* read keys that are not there */
    unsigned readers, writers;
};

/** NULL: no such phase. */
const struct phase *phase_find(const char *name);

void phase_fill(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
/** Get every 16th record in order, so that each block is in whatever cache the engine has: filling
 *  it costs more than most reads, and a phase by time would measure little else. */
void phase_warm(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
void phase_read(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
void phase_get_many(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
void phase_seek(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
void phase_scan(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
/** Many records of the fill, and of what overwrote it, are there as they were written last.  Only
 *  after `overwrite`. */
void phase_verify(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
void phase_settle(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
/** Open the store anew with nothing of it in any cache.  What a first opening finds to do, such as
 *  turning its log into a table, is done before, so that it does not warm anything. */
void phase_evict(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);
/** Readers and writers side by side, each on a session of its own, by time. */
void phase_threads(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome);

/** The tick at which a phase has to end, and after how many operations; UINT64_MAX: never. */
uint64_t phase_deadline(const struct bench *bench, const struct phase *phase);
uint64_t phase_count(const struct bench *bench, const struct phase *phase);
/** Count an answer of `get` for record `number`. */
void outcome_check(struct outcome *outcome, const struct records *records, uint64_t number,
                   bool absent, const uint8_t *value, long size);

#endif
