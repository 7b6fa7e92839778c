/* SPDX-License-Identifier: Apache-2.0 */
/** What happens to files at rest.  Who damages a disk here can take it back: what stood there is
 *  remembered.
 *
 *      FLIP          a bit
 *      LOST_WRITE    a sector was never written: zeros
 *      MISDIRECTED   a sector holds what was meant for another place
 *      UNREADABLE    reads of a sector answer IO, until sim_disk_read_again */
#ifndef SIM_DISK_DECAY_H
#define SIM_DISK_DECAY_H

#include "sim/disk/disk.h"

enum disk_decay { DECAY_FLIP, DECAY_LOST_WRITE, DECAY_MISDIRECTED, DECAY_UNREADABLE, DECAYS };

const char *sim_disk_decay_name(enum disk_decay decay);
/** Damage a file, by choice, whose name has `part` in it, in what is synced of it and what readers
 *  see.  Of the log only segments that a later one follows, since nobody promises to notice what
 *  happens to the one that is written to.  The name, or NULL: nothing was done. */
const char *sim_disk_decay(struct sim_disk *disk, enum disk_decay decay, const char *part);
/** Everything is as if nothing of it had happened, but for what was written since.  False: nothing
 *  was to be done. */
bool sim_disk_undo_decay(struct sim_disk *disk);
/** In `copy`, which holds what is synced in `inode`. */
void sim_disk_heal_copy(const struct sim_disk *disk, const struct inode *inode, struct inode *copy);
/** What was damaged so far stays as it is for good. */
void sim_disk_forget_decay(struct sim_disk *disk);
/** No sector is unreadable any more. */
void sim_disk_read_again(struct sim_disk *disk);
/** Some of these bytes cannot be read. */
bool sim_disk_unreadable(const struct sim_disk *disk, const struct inode *inode, uint64_t offset,
                         size_t size);

#endif
