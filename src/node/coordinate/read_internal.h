/* SPDX-License-Identifier: Apache-2.0 */
/** Coordinating a get: cluster/replication/get.h decides, these files ask the replicas, keep what
 *  they sent, merge it, answer, and repair those that were behind.
 *
 *      read.c          from the client's question to the last event
 *      read_ask.c      asking: our own replica, and others
 *      read_take.c     what they sent: does it count, and is it kept?
 *      read_reply.c    merging it, and the answer to the client
 *      read_repair.c   replicas that turned out to be stale */
#ifndef NODE_READ_INTERNAL_H
#define NODE_READ_INTERNAL_H

#include "node/internal.h"

/* --- read.c ---------------------------------------------------------------------------------- */

void read_step(struct node *node, struct request *request, struct get_event event);
/** Close a finished request: true.  Every event ends here. */
bool read_settle(struct node *node, struct request *request);

/* --- read_ask.c ------------------------------------------------------------------------------ */

/** Targets as bits: those that are asked for the object, and those for its digest. */
void read_ask(struct node *node, struct request *request, uint32_t full, uint32_t digest);
void read_ask_remote(struct node *node, struct request *request, uint8_t at, bool digest);

/* --- read_take.c ----------------------------------------------------------------------------- */

/** A member that takes no writes counts as absent where somebody may stand in for it: what it lacks
 *  is with whoever does.  Else what it has is as good as before its disk failed. */
bool read_counts_as_absent(const struct request *request);
/** Target `at` says that it had the key, and lost it. */
void read_note_lost(struct request *request, uint8_t at, bool lost);
/** False: what `target` sent may be older than tombstones that others have collected. */
bool read_note_collected(struct request *request, const struct target *target, uint64_t collected);

/* --- read_reply.c ---------------------------------------------------------------------------- */

/** Merge every object in hand; *ret_any tells whether there was one. */
kvorum_status read_merge(struct node *node, struct request *request, struct object *ret_merged,
                         bool *ret_any);
void read_reply(struct node *node, struct request *request, kvorum_status status);
void read_reply_failure(struct node *node, struct request *request, kvorum_status status);

/* --- read_repair.c --------------------------------------------------------------------------- */

/** One answer was read before a tombstone was collected, and another one after it. */
bool read_is_mixed(const struct request *request);
/** Bring owners that answered with something else up to the merge of all answers. */
void read_repair(struct node *node, struct request *request);

#endif
