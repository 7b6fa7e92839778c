/* SPDX-License-Identifier: Apache-2.0 */
/** Reads that would wait for the disk.  A shard's thread never waits: it reads what is in memory,
 *  and what is not is read by a job.
 *
 *      event --> fetch_view --in memory--> goes on as if there were no disk
 *                    |  WOULD_BLOCK
 *                    v
 *      fetch_open, fetch_wait: the event is put off,   line of a key   [first] [second] [third]
 *      in the line of its key                                             ^
 *                                           a job reads for the first one-+
 *                                           then `again`: the same event from its beginning
 *
 *  While a key has a line, whoever else reads it waits there too.  So events of one key happen in
 *  the order in which they came, and what was read for the first of them is still true when it is
 *  its turn: whoever writes an object reads it before.
 *
 *  A write that its store refuses as OVERLOADED waits in the same line, until flushes and
 *  compactions have caught up (it is tried every few milliseconds): clients feel a store that is
 *  behind as a slow one, and hear of it only when their time is over.
 *
 *  Without jobs (node_config.jobs) reads wait in place. */
#ifndef NODE_FETCH_H
#define NODE_FETCH_H

#include "base/jobs.h"
#include "base/list.h"
#include "base/map.h"
#include "node/node.h"

/* --- one read without the node --------------------------------------------------------------- */

/** Reads from stores on the shard's thread or on a job's: embedded first in what it is for. */
struct reading {
    struct job job;
    struct list link;  /* node->readings, while a job is under way */
    struct node *node; /* NULL: it went away */
    struct arena arena;
    /** With `nowait` from memory alone, WOULD_BLOCK leaving no trace; touches no node. */
    kvorum_status (*read)(struct reading *reading, bool nowait);
    /** On the shard's thread. */
    void (*done)(struct node *node, struct reading *reading);
    /** Give back what was read; the arena goes after it. NULL: nothing to give back. */
    void (*drop)(struct reading *reading);
    kvorum_status status;
};

/** `size` bytes of memory with a reading at the beginning, else zero.  NULL: no memory. */
struct reading *reading_open(size_t size);
void reading_close(struct reading *reading);
/** Read from memory, or else in a job; then `done`, which closes it.  True: done from inside. */
bool reading_start(struct node *node, struct reading *reading);
/** In a job if there are jobs, however much is in memory. */
void reading_begin(struct node *node, struct reading *reading);
/** In a job in any case. */
void reading_submit(struct node *node, struct reading *reading);
/** The node goes: those under way will find nobody. */
void readings_leave(struct node *node);

/* --- events that wait for a key -------------------------------------------------------------- */

struct fetch {
    struct list link;
    struct arena arena; /* for what `again` needs */
    size_t size;        /* counted against the limit */
    bool must_read;     /* it was the disk that put it off, not the line */
    void (*again)(struct node *node, struct fetch *fetch);
    void *input;
    struct engine *store;
    struct bytes *keys; /* the first has the line; all are read */
    size_t key_count;
};

/** Lend what `key` holds.  NOT_FOUND; WOULD_BLOCK: put the event off, and have done nothing. */
KVORUM_CHECKED kvorum_status fetch_view(struct node *node, struct engine *store, struct bytes key,
                                        struct engine_view *ret_view);
/** An event that holds on to `size` bytes beside its input; NULL: too much waits already, or there
 *  is no memory: OVERLOADED. */
struct fetch *fetch_open(struct node *node, void (*again)(struct node *node, struct fetch *fetch),
                         size_t input_size, size_t size);
/** Line up behind keys[0].  The keys are copied.  Own: the line's from here on; ends when `again`
 *  returns.  OVERLOADED: no memory, and the fetch is gone. */
KVORUM_CHECKED kvorum_status fetch_wait(struct node *node, struct fetch *fetch,
                                        struct engine *store, const struct bytes *keys,
                                        size_t key_count);
/** The same until the store may have room; `again` need not read.  From an event that has read the
 *  key: its turn it remains. */
KVORUM_CHECKED kvorum_status fetch_wait_room(struct node *node, struct fetch *fetch,
                                             struct engine *store, struct bytes key);
/** Of the timer that fetch_wait_room set. */
void fetch_room_tick(struct node *node);
void fetch_close(struct node *node, struct fetch *fetch);
/** The node goes, and what waits with it. */
void fetches_leave(struct node *node);

#endif
