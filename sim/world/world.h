/* SPDX-License-Identifier: Apache-2.0 */
/** A simulated world: virtual time, one queue of events, and the only source of chance.
 *
 *      seed --> choose() --> every decision of a run, recorded on the tape
 *                 |
 *      events (time, sequence) --> run one --> it may schedule others --> ... --> trace hash
 *
 *  The same seed gives the same events in the same order, so the same trace hash.  A run that found
 *  a violation keeps the first one.  Units: microseconds.  Thread: one. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/heap.h"
#include "base/list.h"
#include "base/random.h"
#include "sim/world/tape.h"

#define SIM_SECOND UINT64_C(1000000)
#define SIM_MILLISECOND UINT64_C(1000)

/** A valve before the events of one process: while it is closed (the process is paused) due events
 *  queue up, and run in order when it opens. */
struct gate {
    bool closed;
    struct list held;
};

struct event {
    struct heap_item item;
    struct list held_link;
    struct gate *gate;  /* or NULL */
    enum stream stream; /* its choices are of; event_init makes it noise */
    void (*run)(struct event *event);
    void (*drop)(struct event *event); /* the world ends first: free what `run` would; or NULL */
};

struct violation {
    const char *checker; /* NULL: none */
    char text[1024];
    uint64_t at_us;
};

struct world {
    uint64_t seed, now_us;
    struct heap events;
    struct random random, apart;
    struct tape tape;
    uint64_t choice_count;
    enum stream stream; /* whose choices these are now */
    bool in_span;       /* and it has begun its span */
    bool ended;         /* the tape has none for it any more */
    bool replaying;     /* choices come from `reader` */
    bool noise_redrawn; /* but noise is drawn anew */
    struct tape_reader reader;
    uint64_t trace_hash, event_count;
    bool tracing;     /* print the narrative to stdout */
    bool telling;     /* print its outline: what was asked, answered and broken */
    int64_t told_key; /* only operations of this key; -1: all */
    struct violation violation;
};

void world_init(struct world *world, uint64_t seed);
/** From now on choices come from the tape, which the caller keeps alive. */
void world_replay(struct world *world, const struct tape *tape);
/** Noise does not come from the tape, but from another seed. */
void world_redraw_noise(struct world *world, uint64_t seed);
/** The events still queued, which may point to what the caller frees next. */
void world_drop_events(struct world *world);
/** Drops the events still queued. */
void world_done(struct world *world);

/* --- chance -------------------------------------------------------------------------------- */

/** Uniform in [0, limit); limit >= 1.  All chance of a run comes from here; 0 is calm. */
uint64_t choose(struct world *world, uint64_t limit);
/** Uniform in [low, high]. */
uint64_t choose_between(struct world *world, uint64_t low, uint64_t high);
/** The same, where `calm` is what a shrunk tape should say. */
uint64_t choose_calm(struct world *world, uint64_t limit, uint64_t calm);
/** True once in `n` times; calm is false. */
bool choose_one_in(struct world *world, uint64_t n);
/** The same by a generator of its own: what it adds to some runs shifts no choice of the others. */
bool choose_one_in_apart(struct world *world, uint64_t n);
/** True `per_million` times in a million; draws nothing for 0; calm is false. */
bool choose_chance(struct world *world, uint32_t per_million);
/** A delay around `mean_us` with a tail: now and then 8 times, rarely 64 times as long. */
uint64_t choose_delay(struct world *world, uint64_t mean_us);

/** What follows is chosen by the actor of `stream`, in a new span.  Events do this themselves. */
void world_span(struct world *world, enum stream stream);
/** What follows in this event is noise. */
static inline void world_noise(struct world *world)
{
    world->stream = STREAM_NOISE;
}
/** A new part of the run: noise goes on in a span of its own, so that what is taken out of a tape
 *  before shifts no noise behind. */
void world_begin_part(struct world *world);
/** The tape had no further span for the actor of this event: it should do nothing any more. */
static inline bool world_ended(const struct world *world)
{
    return world->ended;
}

/* --- events -------------------------------------------------------------------------------- */

void gate_init(struct gate *gate);
/** Let the held events run, now, in the order in which they became due. */
void gate_open(struct world *world, struct gate *gate);

void event_init(struct event *event, struct gate *gate, void (*run)(struct event *event));
static inline bool event_is_set(const struct event *event)
{
    return event->item.place != 0 || !list_empty(&event->held_link);
}
/** Schedule; it must not be set. */
void world_at(struct world *world, struct event *event, uint64_t at_us);
static inline void world_after(struct world *world, struct event *event, uint64_t delay_us)
{
    world_at(world, event, world->now_us + delay_us);
}
/** Does nothing when it is not set. */
void world_cancel(struct world *world, struct event *event);
/** Run the next event.  False when there is none, or a violation was found. */
bool world_step(struct world *world);
/** Run the events up to and including `until_us`, then be there.  False after a violation. */
bool world_run_until(struct world *world, uint64_t until_us);

/* --- what is observed ---------------------------------------------------------------------- */

/** Mix numbers into the trace hash. */
void world_mix(struct world *world, uint64_t a, uint64_t b);
/** One line of the narrative; nothing unless tracing. */
void world_trace(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** One line of the outline, which is in the narrative too.  `key`: of the operation it tells of, or
 *  -1. */
void world_tell(struct world *world, int64_t key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** `checker` found that a rule is broken; only the first is kept, and the run ends. */
void world_fail(struct world *world, const char *checker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
