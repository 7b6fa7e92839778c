/* SPDX-License-Identifier: Apache-2.0 */
/** When flushes and compactions run, what writers do meanwhile, and who is at work.  With the
 *  mutex, where nothing else is said. */
#ifndef ENGINE_LSM_BACKGROUND_H
#define ENGINE_LSM_BACKGROUND_H

#include "engine/lsm/internal.h"

/** Start whatever is due: as jobs, or (without a jobs object) here and now. */
void lsm_background(struct lsm *lsm);
/** Of engine_kick: the same, now and then. */
void lsm_background_kick(struct lsm *lsm);
/** Make room for a batch of the active memtable before it is taken: freeze it when it is full, wait
 *  or slow down where compactions lag behind.  `may_wait`: of engine_write.  OVERLOADED, or what
 *  keeps flushes from succeeding.  *ret_waited: the mutex was let go. */
KVORUM_CHECKED kvorum_status lsm_make_room(struct lsm *lsm, bool may_wait, bool *ret_waited);
kvorum_status lsm_flush_all(struct engine *engine);
kvorum_status lsm_compact(struct engine *engine, const struct engine_range *range);
kvorum_status lsm_settle(struct engine *engine);
/** `size` more bytes were written in the background; without the mutex.  False: the engine closes,
 *  so the work should end. */
bool lsm_progress(struct lsm *lsm, uint64_t size);

/* makers.c */

/** From now on until the end the caller may write tables that are not installed yet. */
void lsm_maker_begin(struct lsm *lsm, struct lsm_maker *maker);
void lsm_maker_end(struct lsm_maker *maker);
/** Somebody who may have written a table with a number below `file` is still at work. */
bool lsm_making_before(struct lsm *lsm, uint64_t file);

/* reads.c: each says whether it wants the mutex */

/** Reads have looked at tables of level 0 for nothing, of late: LSM_WASTE_ bytes' worth.  Starts a
 *  compaction when that pays for it.  Not inside the epoch; never waits. */
void lsm_reads_wasted(struct lsm *lsm, uint64_t waste);
/** What nobody can look at any more goes in a job: called now and then by reads, without which it
 *  would stay until the next write.  Cheap when there is nothing, or a job is at it. */
void lsm_tidy(struct lsm *lsm);
/** With the mutex: what the picker wants to know. */
struct lsm_reads lsm_reads_now(struct lsm *lsm);
/** With the mutex: another memtable begins, so count from now on. */
void lsm_reads_begin(struct lsm *lsm);
/** With the mutex: by lsm_pick_next. */
void lsm_reads_picked(struct lsm *lsm, const struct lsm_pick *pick);

/* flush.c, compact.c: they let the mutex go while they work */

/** Turn the oldest frozen memtable into a table of level 0.  `flushing_table` was set. */
KVORUM_CHECKED kvorum_status lsm_flush_oldest(struct lsm *lsm);
/** Carry out `pick` and install the outcome; ends the pick. */
KVORUM_CHECKED kvorum_status lsm_compact_pick(struct lsm *lsm, struct lsm_pick *pick);

#endif
