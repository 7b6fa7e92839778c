/* SPDX-License-Identifier: Apache-2.0 */
/** Coordinating a put: the coordinator reads its own version, makes the new one with a fresh dot,
 *  stores it, and sends the whole object to the other targets, which merge it.
 *  cluster/replication/put.h decides when that is enough.
 *
 *      write_route.c    here, or at another member: levels, targets, who coordinates
 *      write_object.c   the object: what was here, what the client wrote, and its dot
 *      write_begin.c    into our own store, then off; until then it may wait, or go elsewhere
 *      write.c          carrying out what the machine says; what comes back
 *      write_reply.c    the answer to the client: which level was met, and which was not
 *      write_again.c    a put that met a newer epoch
 *      write_fenced.c   a put that others refused for a newer fence
 *      forward*.c       a put that another member coordinates, or that we do for another
 *
 *  The local store comes first: a dot that could not be stored here must not leave the node, or the
 *  next write would reuse it.  Its durability may lag behind the sends, because after anything but
 *  a clean shutdown the node writes under a new actor (node/members/identity.h). */
#ifndef NODE_WRITE_INTERNAL_H
#define NODE_WRITE_INTERNAL_H

#include "node/internal.h"

/* --- write_route.c --------------------------------------------------------------------------- */

/** Levels and targets, by the epoch in force; else what level cannot be met. */
kvorum_status write_place(struct node *node, struct request *request, const char **ret_level,
                          const char **ret_reason);
/** A new machine for the targets. */
void write_prepare(struct node *node, struct request *request);
/** Answer and close.  Returns 0. */
uint64_t write_refuse(struct node *node, struct request *request, kvorum_status status,
                      const char *level, const char *reason);

/* --- write_object.c -------------------------------------------------------------------------- */

/** What is stored and sent, into request->encoding.  `own`: our target.  WOULD_BLOCK as from
 *  replica_read, before anything was done. */
kvorum_status write_make(struct node *node, struct request *request, int own,
                         const struct operation *operation);

/* --- write_begin.c --------------------------------------------------------------------------- */

/** Make the object and begin, with target `own` as the coordinator.  Returns the request's id, or 0
 *  when it was answered. */
uint64_t write_launch(struct node *node, struct request *request, const struct operation *operation,
                      int own);
/** NULL: its time is over, and its timer answers, or has answered; or it has begun again. */
struct request *write_in_time(struct node *node, uint64_t id, uint8_t attempt);

/* --- write.c --------------------------------------------------------------------------------- */

void write_step(struct node *node, struct request *request, struct put_event event);
void write_apply(struct node *node, struct request *request, const struct put_effects *effects);
/** The object to target `at`, another member or shard. */
void write_send(struct node *node, struct request *request, uint8_t at);
/** Close a finished request: true.  Every event ends here. */
bool write_settle(struct node *node, struct request *request);
int write_local_target(const struct request *request); /* -1: none */

/* --- write_reply.c --------------------------------------------------------------------------- */

void write_reply(struct node *node, struct request *request, kvorum_status status);

/* --- write_again.c --------------------------------------------------------------------------- */

extern const char write_not_written[];
/** Resumed: give the object to our own store, target `at`. */
void write_store_again(struct node *node, struct request *request, uint8_t at);
/** Parked, and its time is over. */
void write_on_parked(struct node *node, struct request *request);

/* --- write_fenced.c -------------------------------------------------------------------------- */

/** Target `at` promised a newer fence than that of the object. */
void write_on_fenced(struct node *node, struct request *request, uint8_t at);

/* --- forward_wire.c -------------------------------------------------------------------------- */

/** The body of a message, whose tail is the value.  Empty: no memory. */
struct bytes forward_pack(struct node *node, const struct operation *operation,
                          const struct key_address *key, uint64_t timeout_us);
/** In scratch memory.  False: it makes no sense, or is too large. */
bool forward_read(struct node *node, const Peer__Forward *from, struct bytes value,
                  struct operation *ret);

#endif
