/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of process.h share.
 *
 *      process.c       the machine, before its first life and after its last
 *      process_disk.c  what a life opens on its disk; a disk made, or exchanged, between two lives
 *      process_life.c  how a life begins and ends
 *      process_loop.c  what happens in it: iterations, ticks, frames, pauses */
#ifndef SIM_PROCESS_INTERNAL_H
#define SIM_PROCESS_INTERNAL_H

#include "sim/process/process.h"

/* process_disk.c */
kvorum_status process_open_store(struct process *process, uint16_t store, bool create);
/** "All stores are synced and closed" (identity_mark_clean): false when one refused a write. */
bool process_sync_stores(struct process *process);
uint64_t process_seal_stores(struct process *process);
/** Of those that are open, after their jobs. */
void process_close_stores(struct process *process);
/** Takes the lock, which process_close_lock gives back, also after an error. */
kvorum_status process_open_identity(struct process *process);
void process_close_lock(struct process *process);

/* process_loop.c */
/** The events of the machine, and the seam of its shards. */
void process_loop_init(struct process *process);
void process_arm_tick(struct process *process, struct process_shard *shard);
/** For node_config, with the process as context. */
void process_liveness_changed(void *context, uint16_t member, enum liveness_state state);
/** A pause, if it is in one, is over. */
void process_open_gate(struct process *process);

#endif
