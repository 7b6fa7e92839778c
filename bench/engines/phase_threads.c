/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and writers side by side, until the time is up. */
#include "bench/engines/phase.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"

enum { WORKERS_MAX = 16 };

struct crew {
    struct bench *bench;
    const struct phase *phase;
    pthread_barrier_t start;
    uint64_t deadline; /* set before the start */
};

struct worker {
    struct crew *crew;
    bool writes;
    pthread_t thread;
    struct random random;
    struct outcome *outcome;
};

static void work_once(struct worker *worker, void *session, uint8_t *value)
{
    struct bench *bench = worker->crew->bench;
    const struct phase *phase = worker->crew->phase;
    char text[KEY_SIZE];
    uint64_t number = random_below(&worker->random, bench->records.count);
    struct bytes key = record_key(number, false, text);
    if (worker->writes) {
        struct bytes stored = record_value(&bench->records, number, phase->generation, value);
        bench->peer->put(session, key, stored, phase->sync);
    } else {
        size_t capacity = bench->settings.value_size + 1;
        long size = bench->peer->get(session, key, value, capacity);
        outcome_check(worker->outcome, &bench->records, number, false, value, size);
    }
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    void *session = crew->bench->peer->session_open(crew->bench->store);
    uint8_t *value = bench_new(crew->bench->settings.value_size + 1);
    pthread_barrier_wait(&crew->start); /* all are ready */
    pthread_barrier_wait(&crew->start); /* the deadline is set */
    for (uint64_t before = ticks(); before < crew->deadline;) {
        work_once(worker, session, value);
        uint64_t now = ticks();
        histogram_add(&worker->outcome->latency, now - before);
        worker->outcome->operations++;
        before = now;
    }
    crew->bench->peer->session_close(session);
    free(value);
    return NULL;
}

/* Latencies are the readers' where there are any. */
static void gather(struct worker *worker, const struct phase *phase, struct outcome *outcome)
{
    pthread_join(worker->thread, NULL);
    if (worker->writes && phase->readers > 0) {
        outcome->writes += worker->outcome->operations;
    } else {
        outcome->operations += worker->outcome->operations;
        histogram_merge(&outcome->latency, &worker->outcome->latency);
    }
    outcome->wrong += worker->outcome->wrong;
    outcome->missing += worker->outcome->missing;
    free(worker->outcome);
}

void phase_threads(struct bench *bench, const struct phase *phase, struct outcome *ret_outcome)
{
    struct worker workers[WORKERS_MAX];
    unsigned count = phase->readers + phase->writers;
    struct crew crew = { .bench = bench, .phase = phase };
    pthread_barrier_init(&crew.start, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        *worker = (struct worker){ .crew = &crew, .writes = i >= phase->readers };
        worker->outcome = calloc(1, sizeof(*worker->outcome));
        random_init(&worker->random, 50 + i);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            bench_fail("cannot start a thread");
    }
    pthread_barrier_wait(&crew.start);
    crew.deadline = phase_deadline(bench, phase);
    usage_begin(&ret_outcome->begin);
    pthread_barrier_wait(&crew.start);
    for (unsigned i = 0; i < count; i++)
        gather(&workers[i], phase, ret_outcome);
    usage_end(&ret_outcome->end);
    pthread_barrier_destroy(&crew.start);
}
