/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of disk.h share.
 *
 *      disk.c          the disk as a whole: made, crashed, started again, copied
 *      disk_names.c    names, and what a sync or a crash makes of their changes
 *      disk_files.c    base/disk.h for one file: its bytes, size and mapping; and all operations
 *      disk_folders.c  base/disk.h for names and folders
 *      disk_faults.c   power, errors, space, rot
 *      disk_decay.c    damage that can be taken back (disk_decay.h)
 *
 *  What becomes of the bytes of a file is the matter of inode.h. */
#ifndef SIM_DISK_INTERNAL_H
#define SIM_DISK_INTERNAL_H

#include "sim/disk/disk.h"

static inline struct sim_disk *sim_disk_of(struct disk *base)
{
    return LIST_ENTRY(base, struct sim_disk, base);
}

/* disk_names.c */
struct disk_name *disk_names_find(const struct disk_names *names, const char *path);
/** `inode` NULL: the name is gone. */
void disk_names_set(struct disk_names *names, const char *path, struct inode *inode);
void disk_names_clear(struct disk_names *names);
void disk_names_copy(struct disk_names *to, const struct disk_names *from);
bool disk_names_have_folder(const struct disk_names *names, struct bytes folder);
/** A name whose folder did not survive is out of reach. */
void disk_names_drop_orphans(struct disk_names *names);
/** Of the folder that a path is in; 0: in none. */
size_t disk_parent_size(const char *path);
bool disk_is_in(const char *path, struct bytes folder);
/** Own: free it. */
char *disk_copy_text(const char *text);
/** The disk owns it; it is returned. */
struct inode *sim_disk_add_inode(struct sim_disk *disk, struct inode *inode);
/** Not yet durable. */
void sim_disk_change_name(struct sim_disk *disk, const char *path, struct inode *inode,
                          uint32_t group);
/** Of a new inode. */
kvorum_status sim_disk_create_name(struct sim_disk *disk, const char *path, bool directory,
                                   struct inode **ret_inode);
void sim_disk_sync_names(struct sim_disk *disk, struct bytes folder);
void sim_disk_crash_names(struct sim_disk *disk);

/* disk_files.c */
extern const struct disk_ops sim_disk_ops;

/* disk_folders.c: see base/disk.h */
kvorum_status sim_disk_rename(struct disk *base, const char *from, const char *to);
kvorum_status sim_disk_link(struct disk *base, const char *from, const char *to);
kvorum_status sim_disk_remove(struct disk *base, const char *path);
kvorum_status sim_disk_make_dir(struct disk *base, const char *path);
kvorum_status sim_disk_sync_dir(struct disk *base, const char *path);
kvorum_status sim_disk_list(struct disk *base, const char *path,
                            bool (*visit)(void *context, const char *name), void *context);

/* disk_faults.c */
/** Called first by every operation.  False: power failed before it. */
bool sim_disk_has_power(struct sim_disk *disk);
/** In the middle of a lengthy job: what else happens may happen now. */
void sim_disk_breathe(struct sim_disk *disk);
/** By choice. */
bool sim_disk_fails(struct sim_disk *disk);
/** For `inode` to become `size` bytes. */
bool sim_disk_has_space(const struct sim_disk *disk, const struct inode *inode, uint64_t size);

#endif
