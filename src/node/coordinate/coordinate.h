/* SPDX-License-Identifier: Apache-2.0 */
/** What becomes of a client's operation on the member that coordinates it: how it begins, and which
 *  events it may meet.  A request may be over when any of these returns. */
#ifndef NODE_COORDINATE_H
#define NODE_COORDINATE_H

#include "node/node.h"

struct request;

/* --- read*.c: get ----------------------------------------------------------------------------- */

uint64_t read_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                    void *context);
void read_on_answer(struct node *node, struct net_address from, const struct message *message);
void read_on_failed(struct node *node, struct request *request, uint8_t target);
void read_on_deadline(struct node *node, struct request *request);
void read_reopen(struct node *node, struct request *request);

/* --- write*.c: put ---------------------------------------------------------------------------- */

uint64_t write_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context);
/** From the beginning, with what is kept of it: nothing has happened yet. */
uint64_t write_again(struct node *node, struct request *request);
void write_on_acknowledged(struct node *node, struct request *request, uint8_t target,
                           kvorum_status status, bool durable);
void write_on_answer(struct node *node, struct net_address from, const struct message *message);
void write_on_deadline(struct node *node, struct request *request);
/** A newer fence of `partition` was promised here: writes that others refused go out again. */
void write_on_promised(struct node *node, uint32_t partition);
void write_reopen(struct node *node, struct request *request);

/* --- forward*.c: at another member, or for one ------------------------------------------------ */

/** `request`, a write whose targets are known and of which nothing has happened yet, goes to one of
 *  them.  Returns its id, or 0 when it was answered already. */
uint64_t forward_begin(struct node *node, struct request *request,
                       const struct operation *operation);
/** Its member cannot coordinate it and nothing was written: another may. */
bool forward_is_inability(kvorum_status status);
bool forward_is_unable(const struct request *request, uint16_t member);
void forward_note_unable(struct request *request, uint16_t member, kvorum_status status);
void forward_on_request(struct node *node, struct net_address from, const struct message *message);
void forward_on_answer(struct node *node, struct net_address from, const struct message *message);
void forward_done(struct node *node);
void forward_on_lost(struct node *node, struct request *request);
void forward_on_unsent(struct node *node, struct request *request);

/* --- composite.c: a read and a write ---------------------------------------------------------- */

/** A copy that lives as long as `arena`.  False: no memory. */
bool operation_copy(struct arena *arena, const struct operation *from, struct operation *ret);
bool composite_needed(const struct operation *operation);
uint64_t composite_start(struct node *node, const struct operation *operation,
                         node_answer_fn on_answer, void *context);

/* --- list*.c ---------------------------------------------------------------------------------- */

void list_on_request(struct node *node, struct net_address from, const struct message *message);
void list_on_answer(struct node *node, struct net_address from, const struct message *message);
void list_on_lost(struct node *node, struct request *request, uint16_t member);
void list_cancel(struct node *node, struct request *request);
void list_on_deadline(struct node *node, struct request *request);
void list_reopen(struct node *node, struct request *request);

/* --- reopen.c: a newer epoch ------------------------------------------------------------------ */

/** Refused by somebody who goes by epoch `newer`. */
void reopen_note(struct request *request, uint64_t newer);
/** Instead of failing with `verdict`: true when it will be begun again once this member goes by the
 *  epoch by which it was refused.  Until then it is `parked`, and its events mean nothing. */
bool reopen_later(struct node *node, struct request *request, kvorum_status verdict);
/** It begins anew, by the epoch in force. */
void reopen_begin(struct node *node, struct request *request);
/** At the end of an event that made some request ready (node->reopen_due). */
void reopen_run(struct node *node);

#endif
