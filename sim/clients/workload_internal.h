/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of workload.h share.
 *
 *      workload.c        the clients: who begins what, and when
 *      workload_ask.c    how each operation is put to a node
 *      workload_calls.c  one that is in flight: answered, or lost, or overdue */
#ifndef SIM_WORKLOAD_INTERNAL_H
#define SIM_WORKLOAD_INTERNAL_H

#include "sim/clients/workload.h"

/* workload.c */
/** It has nothing in flight, and begins the next operation after a while. */
void workload_client_rests(struct client *client);

/* workload_ask.c */
/** By lot; NULL: it does not run, or is paused. */
struct process *workload_choose_process(struct workload *workload);
/** A read, write or delete; a read, when `action` needs a context and the client has none. */
void workload_begin_access(struct client *client, enum action action, uint32_t key,
                           struct process *process);
void workload_begin_list(struct client *client, struct process *process);
/** Of another bucket: this one keeps its mode, which the checkers rely on. */
void workload_begin_properties(struct client *client, struct process *process);

/* workload_calls.c */
/** `client` NULL: the run itself asks. */
struct call *workload_open_call(struct workload *workload, struct record *record,
                                struct client *client, uint16_t member);
/** `context` is the call; for the operations of the node. */
void workload_on_answer(void *context, const struct answer *answer);
/** The node that had the operations is gone: its clients see the connections break. */
void workload_lose_calls(void *context, uint16_t member);

#endif
