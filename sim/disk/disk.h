/* SPDX-License-Identifier: Apache-2.0 */
/** A simulated disk behind base/disk.h: files (inode.h), names that are durable only after
 *  sync_dir, power failures at any operation, and faults by choice.
 *
 *      power fails (sim_disk_crash, or the fuse burns down in the middle of some operation):
 *        un-synced bytes  each change alone kept, dropped or torn; what was stored into a mapping
 *                         too, page by page, as it was noticed at one operation or another
 *        un-synced names  any prefix of the changes since they were last synced
 *      then every operation answers IO, without effect, until sim_disk_restart.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/disk.h"
#include "base/list.h"
#include "sim/disk/inode.h"

struct disk_name {
    char *path;
    struct inode *inode;
};

struct disk_names {
    struct disk_name *list; /* in no order */
    size_t count, capacity;
};

/* One step in the life of a name: it now means `inode`, or, when that is NULL, nothing. */
struct name_change {
    char *path;
    struct inode *inode;
    uint32_t group; /* changes of one rename live and die together */
    bool due;       /* being synced now */
};

struct sim_disk {
    struct disk base;
    struct world *world; /* NULL: no faults, no crashes */
    struct inode **inodes;
    size_t inode_count, inode_capacity;
    struct disk_names synced, current;
    struct name_change *changes;
    size_t change_count, change_capacity;
    uint32_t next_group;
    struct list mapped; /* inodes */
    size_t open_files;
    /* faults */
    bool dead;                  /* set it by sim_disk_stop */
    bool maps;                  /* it offers mappings */
    bool peeked;                /* a checker reads: no deed of the process, and it needs no power */
    uint64_t fuse;              /* operations until power fails; 0: it does not */
    uint32_t error_per_million; /* of writes and syncs */
    uint64_t space_limit;       /* bytes of all files; 0: endless */
    uint64_t operations, syncs, errors;
    struct disk_scar *scars; /* disk_decay.h */
    size_t scar_count;
};

/** Own: the caller ends it with sim_disk_done, after all files were closed. */
void sim_disk_init(struct sim_disk *disk, struct world *world);
void sim_disk_done(struct sim_disk *disk);
/** From now on nothing reaches the disk any more, neither by a call nor through a mapping. */
void sim_disk_stop(struct sim_disk *disk);
/** Power fails now; the fuse may have stopped the disk before. */
void sim_disk_crash(struct sim_disk *disk);
/** Power is back.  All files must have been closed. */
void sim_disk_restart(struct sim_disk *disk);
/** Flip a bit, by choice, of a file whose name has `part` in it, in what is synced of it and what
 *  readers see.  The name, or NULL: there is no such file. */
const char *sim_disk_rot(struct sim_disk *disk, struct world *world, const char *part);
/** Make `ret_copy` a disk of its own that holds what this one surely would if power failed now, had
 *  it not decayed. */
void sim_disk_copy_synced(const struct sim_disk *disk, struct sim_disk *ret_copy);

#endif
