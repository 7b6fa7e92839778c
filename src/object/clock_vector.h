/* SPDX-License-Identifier: Apache-2.0 */
/** The clock of an object: for each actor, how many of its writes were seen.  A clock is a set of
 *  dots without gaps: (actor, 3) stands for counters 1, 2 and 3 of that actor.  What it can answer
 *  cheaply is declared in object.h; this is what only the object layer needs. */
#ifndef OBJECT_CLOCK_VECTOR_H
#define OBJECT_CLOCK_VECTOR_H

#include "object/object.h"

/** Order of dots: by actor, then counter: <0, 0 or >0. */
static inline int dot_compare(struct dot a, struct dot b)
{
    if (a.actor != b.actor)
        return a.actor < b.actor ? -1 : 1;
    return (a.counter > b.counter) - (a.counter < b.counter);
}

/** True when the write `dot` is among those the clock has seen. */
static inline bool clock_vector_has(const struct clock_vector *clock, struct dot dot)
{
    return dot.counter <= clock_vector_counter(clock, dot.actor);
}

/** Least clock that covers both; shares entries with `a` or `b` where one is enough.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status clock_vector_merge(const struct clock_vector *a,
                                                const struct clock_vector *b, struct arena *arena,
                                                struct clock_vector *ret_clock);
/** `clock` and `dot`, which is above it, in new entries.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status clock_vector_add(const struct clock_vector *clock, struct dot dot,
                                              struct arena *arena, struct clock_vector *ret_clock);

#endif
