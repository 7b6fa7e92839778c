/* SPDX-License-Identifier: Apache-2.0 */
/** Seam: files.  Real in os/disk.c, simulated (crashes, torn writes, faults) in sim/disk/disk.c.
 *
 *  Paths are relative to the root the disk object was made with.  Writes become durable only by
 *  sync (bytes, size) and sync_dir (names: create, rename, link, remove).  Until then a crash may
 *  keep, drop or tear each of them alone, in any order.
 *  Errors: NOT_FOUND, EXISTS, NO_SPACE, IO, LOCKED, INVALID, TOO_LARGE, NOT_ALLOWED, and NO_MEMORY
 *  (of file descriptors too).  Thread: any; one file may be read and written by many at a time.
 *  Blocks: every call. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include "base/bytes.h"
#include "kvorum/status.h"

struct disk {
    const struct disk_ops *ops;
};

struct disk_file {
    const struct disk_ops *ops;
};

enum disk_open_flags {
    DISK_READ = 0,
    DISK_WRITE = 1,     /* read and write */
    DISK_CREATE = 2,    /* with WRITE: make it when it is missing */
    DISK_EXCLUSIVE = 4, /* with CREATE: EXISTS when it is there */
    DISK_RANDOM = 8,    /* a hint: what is read next cannot be guessed */
};

struct disk_ops {
    kvorum_status (*open)(struct disk *disk, const char *path, unsigned flags,
                          struct disk_file **ret_file);
    void (*close)(struct disk_file *file); /* does not sync */
    /** Read up to `size` bytes at `offset`; *ret_size is smaller only at the end of the file. */
    kvorum_status (*pread)(struct disk_file *file, void *data, size_t size, uint64_t offset,
                           size_t *ret_size);
    /** A hint: these bytes will be read soon.  They may be fetched meanwhile; nothing waits for
     *  them, and nothing is told.  NULL: never offered. */
    void (*will_read)(struct disk_file *file, uint64_t offset, uint64_t size);
    /** Write all of `size` bytes, growing the file as needed; on error any part may be written. */
    kvorum_status (*pwrite)(struct disk_file *file, const void *data, size_t size, uint64_t offset);
    /** All bytes written and the size are durable.  After an error the file's fate is unknown:
     *  never call it again to "retry". */
    kvorum_status (*sync)(struct disk_file *file);
    kvorum_status (*size)(struct disk_file *file, uint64_t *ret_size);
    kvorum_status (*truncate)(struct disk_file *file, uint64_t size);
    /** Reserve blocks up to `size` (the size grows, new bytes read as zero): later writes below it
     *  cannot meet NO_SPACE. */
    kvorum_status (*allocate)(struct disk_file *file, uint64_t size);
    /** The first `size` bytes, all of them allocated, as memory that is written like the file: what
     *  is copied there survives the process, costs no system call, and becomes durable by sync,
     *  which also tells of errors.  UNSUPPORTED where writing there could fail in other ways (a
     *  file system that copies on write has no blocks reserved).  NULL: never offered. */
    kvorum_status (*map)(struct disk_file *file, uint64_t size, uint8_t **ret_memory);
    void (*unmap)(struct disk_file *file, uint8_t *memory, uint64_t size);        /* before close */
    kvorum_status (*rename)(struct disk *disk, const char *from, const char *to); /* over `to` */
    /** Give the file `from` a second name.  EXISTS: `to` is there. */
    kvorum_status (*link)(struct disk *disk, const char *from, const char *to);
    kvorum_status (*remove)(struct disk *disk, const char *path);   /* file or empty folder */
    kvorum_status (*make_dir)(struct disk *disk, const char *path); /* OK when it is there */
    kvorum_status (*sync_dir)(struct disk *disk, const char *path); /* "" is the root */
    /** Call `visit` with each name in `path`, sorted; stops when it returns false. */
    kvorum_status (*list)(struct disk *disk, const char *path,
                          bool (*visit)(void *context, const char *name), void *context);
    /** Make and hold `path` as an exclusive lock across processes until close. */
    kvorum_status (*lock)(struct disk *disk, const char *path, struct disk_file **ret_file);
};

#endif
