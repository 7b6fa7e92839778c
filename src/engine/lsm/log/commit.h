/* SPDX-License-Identifier: Apache-2.0 */
/** Records find their place in the log, and groups of them reach the disk.  All with the mutex.
 *
 *      append.c      a place in a segment and in the filling group, while refusing is possible
 *      commit.c      leader and followers write a group out, and sync; poison
 *      write_back.c  syncs ahead while nobody asks for syncs
 *
 *  The functions of commit.c and write_back.c let the mutex go while the disk works. */
#ifndef ENGINE_LSM_COMMIT_H
#define ENGINE_LSM_COMMIT_H

#include "engine/lsm/internal.h"

/* append.c */

/** Make sure that lsm_append of so much payload cannot fail.  NO_SPACE, NO_MEMORY, IO: nothing
 *  happened.  *ret_waited: the mutex was let go, so all that was checked must be checked again. */
KVORUM_CHECKED kvorum_status lsm_append_reserve(struct lsm *lsm, size_t payload_size,
                                                bool *ret_waited);
/** Take the next batch number for a record, place it, encode it into the filling group. */
void lsm_append(struct lsm *lsm, enum lsm_log_type type, struct bytes payload);
bool lsm_spare_due(const struct lsm *lsm);
/** Make a spare segment, letting the mutex go meanwhile. */
void lsm_prepare_spare(struct lsm *lsm);
void lsm_group_done(struct lsm_group *group);

/* commit.c, write_back.c */

/** Write out the filling group, and sync if somebody wants it.  Nobody else may be committing. */
void lsm_commit_group(struct lsm *lsm);
/** Be a leader or follower until batch `batch` is written, or synced, or cannot be. */
void lsm_commit_until(struct lsm *lsm, uint64_t batch, bool sync);
/** With the mutex: let a job sync ahead, when it is time for that. */
void lsm_write_back(struct lsm *lsm);
/** With the mutex, which it gives up meanwhile: until no job uses a segment's file. */
void lsm_write_back_wait(struct lsm *lsm);
/** The filling group goes on in another segment; only while nobody is committing. */
bool lsm_group_rotates(const struct lsm *lsm);
bool lsm_reached(const struct lsm *lsm, uint64_t batch, bool sync);
/** OK when it was reached, else what its batch is to be told. */
kvorum_status lsm_outcome(const struct lsm *lsm, uint64_t batch, bool sync);
/** Take no more writes: the disk failed in a way that leaves their fate unknown. */
void lsm_poison(struct lsm *lsm, kvorum_status status, const char *what);

#endif
