/* SPDX-License-Identifier: Apache-2.0 */
/** Files of one directory behind base/disk.h.
 *
 *  Paths that are empty, absolute or climb ("..") are INVALID.  Files are made 0600, directories
 *  0700.  A lock is flock(2): it also keeps out a second open in this process.  Thread: any. */
#ifndef OS_DISK_H
#define OS_DISK_H

#include "base/disk.h"

/** A disk rooted at the directory `path`, which is made durably if `create` and it is missing (its
 *  parent must be there).  Own: the caller ends it with os_disk_close().  Blocks: on disk.
 *  Errors: NOT_FOUND, NOT_ALLOWED, INVALID (no directory), NO_SPACE, NO_MEMORY, IO. */
KVORUM_CHECKED kvorum_status os_disk_open(const char *path, bool create, struct disk **ret_disk);
/** All its files must be closed.  NULL is fine; always returns NULL. */
struct disk *os_disk_close(struct disk *disk);

#endif
