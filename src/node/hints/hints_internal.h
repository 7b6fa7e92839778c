/* SPDX-License-Identifier: Apache-2.0 */
/** What hints_*.c share.  Map: hints.h. */
#ifndef NODE_HINTS_INTERNAL_H
#define NODE_HINTS_INTERNAL_H

#include "node/hints/hints.h"

enum turn_step { TURN_BEGIN, TURN_DELIVERED, TURN_DESTROY, TURN_FORGET };

struct hint_turn {
    struct hint_queue *queue;
    struct hint hint;
    enum turn_step step;
    uint64_t digest; /* DELIVERED: of what was sent */
};

/* hints.c */

/** A hint is in the store, or will be. */
void hints_count(struct node *node, struct hint_queue *queue, uint64_t order, uint64_t size);

/** The place in the queue and the index, into the batch. */
KVORUM_CHECKED kvorum_status hints_put(struct node *node, struct engine_batch *batch,
                                       const struct hint *hint);

/* hints_load.c */

/** Counts what the store holds, before the first event. */
kvorum_status hints_load(struct node *node, struct engine *store);

/* hints_look.c */

struct hint_look {
    struct key_address address;
    struct engine *store;
    struct bytes *keys; /* the object's, the hint's, its index; then the indexes of other targets */
    size_t key_count;
    struct replica_read object;
    bool queued, superseded;
    bool owed_to_others;
};

enum { KEY_OBJECT, KEY_HINT, KEY_INDEX, KEY_OTHERS };

/** On OK the caller owes hint_look_end.  WOULD_BLOCK: nothing was done, and the keys are there. */
KVORUM_CHECKED kvorum_status hint_look_begin(struct node *node, const struct hint_turn *turn,
                                             struct hint_look *ret);
void hint_look_end(struct hint_look *look);

/* hints_turn.c */

/** The turn of a hint, which is in flight (hint_pace_begin) until its end. */
void hint_turn_run(struct node *node, const struct hint_turn *turn);

#endif
