/* SPDX-License-Identifier: Apache-2.0 */
/** The files of the log: made, published, written to, and what is remembered of full ones. */
#ifndef ENGINE_LSM_SEGMENT_H
#define ENGINE_LSM_SEGMENT_H

#include "engine/lsm/internal.h"

/** A file with a temporary name, allocated, perhaps filled with zeros, and synced; no header yet.
 *  NO_SPACE, IO, NO_MEMORY; nothing but an empty file is left then. */
KVORUM_CHECKED kvorum_status lsm_segment_create(struct lsm *lsm, uint64_t number, uint64_t capacity,
                                                bool filled, struct lsm_segment **ret_segment);
/** Write the header, sync, give the file its name, sync the directory. */
KVORUM_CHECKED kvorum_status lsm_segment_publish(struct lsm *lsm, struct lsm_segment *segment);
/** Records, at a place that was allocated for them.  Who commits, only. */
KVORUM_CHECKED kvorum_status lsm_segment_write(struct lsm *lsm, struct lsm_segment *segment,
                                               struct bytes bytes, uint64_t offset,
                                               bool sync_follows);
/** Say behind the `end` of a segment that the next one is published, which begins with the record
 *  `next_sequence`.  Costs one small write, and no sync. */
void lsm_segment_has_next(struct disk_file *file, const struct lsm_id *id, uint64_t end,
                          uint64_t next_sequence);
/** Closes the file and frees; removes the file if it is still temporary and `remove`.  NULL is
 *  fine. */
void lsm_segment_close(struct lsm *lsm, struct lsm_segment *segment, bool remove);
/** With the mutex: make room for `count` more notes.  False: no memory. */
bool lsm_segment_notes_reserve(struct lsm *lsm, size_t count);
/** With the mutex: remember a segment that is no longer written to.  Room was reserved. */
void lsm_segment_note(struct lsm *lsm, const struct lsm_segment_note *note);

#endif
