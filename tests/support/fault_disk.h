/* SPDX-License-Identifier: Apache-2.0 */
/** A disk in memory that keeps a journal of all that was done to it, so that a test can ask: what
 *  if the power had failed right here?
 *
 *      journal  create A | write A 0..95 | sync A | rename A B | write B 96..200 | sync_dir | ...
 *                                         ^ fault_disk_crash: the disk after n operations, with
 *                                           what was not synced kept, dropped, or torn
 *
 *  Faults: the n-th fallible operation answers an error, once or from then on; a limit of bytes.
 *  One directory deep.  Thread: one at a time. */
#ifndef TESTS_SUPPORT_FAULT_DISK_H
#define TESTS_SUPPORT_FAULT_DISK_H

#include "base/disk.h"
#include "base/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FAULT_DISK_FILES = 512,
    FAULT_DISK_PATH = 64,
    FAULT_DISK_SECTOR = 512,
};

enum fault_kind { FAULT_WRITE, FAULT_RESIZE, FAULT_SYNC, FAULT_NAME, FAULT_UNNAME, FAULT_SYNC_DIR };
enum fault_crash { FAULT_KEEP, FAULT_DROP, FAULT_TEAR };

struct fault_operation {
    enum fault_kind kind;
    int inode;
    uint64_t offset;            /* or the new size */
    size_t size;                /* of data */
    uint8_t *data;              /* written bytes */
    char path[FAULT_DISK_PATH]; /* NAME, UNNAME */
    bool joined;                /* lives and dies with the one before (a rename) */
};

struct fault_inode {
    uint8_t *data;
    uint64_t size;
};

struct fault_name {
    char path[FAULT_DISK_PATH];
    int inode;
};

struct fault_names {
    struct fault_name list[FAULT_DISK_FILES];
    int count;
};

struct fault_disk {
    struct disk base;
    struct fault_inode inodes[FAULT_DISK_FILES];
    int inode_count;
    struct fault_names names;
    struct fault_inode starts[FAULT_DISK_FILES]; /* what was there before the journal began */
    struct fault_names start_names;
    bool has_directory;
    struct fault_operation *journal;
    size_t journal_count, journal_capacity;
    bool locked;
    /* faults */
    size_t calls;   /* fallible ones so far */
    size_t fail_at; /* the n-th fails, from 1; 0: none */
    bool fail_on;   /* and all after it */
    kvorum_status failure;
    uint64_t space_limit; /* 0: none */
};

struct fault_file {
    struct disk_file base;
    struct fault_disk *disk;
    int inode;
    bool lock;
};

static const struct disk_ops fault_disk_ops;

static inline void fault_disk_init(struct fault_disk *disk)
{
    memset(disk, 0, sizeof(*disk));
    disk->base.ops = &fault_disk_ops;
    disk->failure = KVORUM_IO;
}

static inline void fault_disk_done(struct fault_disk *disk)
{
    for (int i = 0; i < disk->inode_count; i++) {
        free(disk->inodes[i].data);
        free(disk->starts[i].data);
    }
    for (size_t i = 0; i < disk->journal_count; i++)
        free(disk->journal[i].data);
    free(disk->journal);
}

/* --- names and contents -------------------------------------------------------------------- */

static inline struct fault_name *fault_find(struct fault_names *names, const char *path)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    return NULL;
}

static inline void fault_set_name(struct fault_names *names, const char *path, int inode)
{
    struct fault_name *name = fault_find(names, path);
    if (name == NULL && inode >= 0) {
        assert(names->count < FAULT_DISK_FILES);
        name = &names->list[names->count++];
        snprintf(name->path, sizeof(name->path), "%s", path);
    }
    if (inode >= 0)
        name->inode = inode;
    else if (name != NULL)
        *name = names->list[--names->count];
}

static inline void fault_resize(struct fault_inode *inode, uint64_t size)
{
    if (size > inode->size) {
        inode->data = realloc(inode->data, size);
        assert(inode->data != NULL);
        memset(inode->data + inode->size, 0, size - inode->size);
    }
    inode->size = size;
}

static inline void fault_write(struct fault_inode *inode, uint64_t offset, const uint8_t *data,
                               size_t size)
{
    if (offset + size > inode->size)
        fault_resize(inode, offset + size);
    if (size > 0)
        memcpy(inode->data + offset, data, size);
}

static inline struct fault_operation *fault_record(struct fault_disk *disk, enum fault_kind kind,
                                                   int inode)
{
    if (disk->journal_count == disk->journal_capacity) {
        disk->journal_capacity = disk->journal_capacity * 2 + 64;
        disk->journal = realloc(disk->journal, disk->journal_capacity * sizeof(*disk->journal));
        assert(disk->journal != NULL);
    }
    struct fault_operation *operation = &disk->journal[disk->journal_count++];
    *operation = (struct fault_operation){ .kind = kind, .inode = inode };
    return operation;
}

static inline void fault_rename_to(struct fault_disk *disk, enum fault_kind kind, const char *path,
                                   int inode, bool joined)
{
    struct fault_operation *operation = fault_record(disk, kind, inode);
    snprintf(operation->path, sizeof(operation->path), "%s", path);
    operation->joined = joined;
    fault_set_name(&disk->names, path, kind == FAULT_NAME ? inode : -1);
}

static inline bool fault_due(struct fault_disk *disk)
{
    disk->calls++;
    return disk->fail_at != 0 &&
           (disk->calls == disk->fail_at || (disk->fail_on && disk->calls > disk->fail_at));
}

static inline uint64_t fault_disk_size(const struct fault_disk *disk)
{
    uint64_t size = 0;
    for (int i = 0; i < disk->names.count; i++)
        size += disk->inodes[disk->names.list[i].inode].size;
    return size;
}

static inline bool fault_no_space(const struct fault_disk *disk, int inode, uint64_t size)
{
    uint64_t now = disk->inodes[inode].size;
    return disk->space_limit != 0 && size > now &&
           fault_disk_size(disk) + size - now > disk->space_limit;
}

/* --- the operations ------------------------------------------------------------------------ */

static inline struct disk_file *fault_file_create(struct fault_disk *disk, int inode, bool lock)
{
    struct fault_file *file = calloc(1, sizeof(*file));
    assert(file != NULL);
    *file = (struct fault_file){ { &fault_disk_ops }, disk, inode, lock };
    return &file->base;
}

static inline kvorum_status fault_open(struct disk *base, const char *path, unsigned flags,
                                       struct disk_file **ret_file)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->names, path);
    if (name == NULL && (flags & DISK_CREATE) == 0)
        return KVORUM_NOT_FOUND;
    if (name != NULL && (flags & DISK_EXCLUSIVE) != 0)
        return KVORUM_EXISTS;
    int inode = name == NULL ? disk->inode_count++ : name->inode;
    assert(inode < FAULT_DISK_FILES);
    if (name == NULL)
        fault_rename_to(disk, FAULT_NAME, path, inode, false);
    *ret_file = fault_file_create(disk, inode, false);
    return KVORUM_OK;
}

static inline void fault_close(struct disk_file *base)
{
    struct fault_file *file = (struct fault_file *)base;
    if (file->lock)
        file->disk->locked = false;
    free(file);
}

static inline kvorum_status fault_pread(struct disk_file *base, void *data, size_t size,
                                        uint64_t offset, size_t *ret_size)
{
    struct fault_file *file = (struct fault_file *)base;
    struct fault_inode *inode = &file->disk->inodes[file->inode];
    if (fault_due(file->disk))
        return file->disk->failure;
    uint64_t rest = offset < inode->size ? inode->size - offset : 0;
    *ret_size = size < rest ? size : (size_t)rest;
    if (*ret_size > 0)
        memcpy(data, inode->data + offset, *ret_size);
    return KVORUM_OK;
}

static inline kvorum_status fault_pwrite(struct disk_file *base, const void *data, size_t size,
                                         uint64_t offset)
{
    struct fault_file *file = (struct fault_file *)base;
    struct fault_disk *disk = file->disk;
    bool fails = fault_due(disk) || fault_no_space(disk, file->inode, offset + size);
    if (fails) /* some of it may have been written */
        size /= 2;
    struct fault_operation *operation = fault_record(disk, FAULT_WRITE, file->inode);
    operation->offset = offset;
    operation->size = size;
    operation->data = malloc(size + 1);
    assert(operation->data != NULL);
    if (size > 0)
        memcpy(operation->data, data, size);
    fault_write(&disk->inodes[file->inode], offset, data, size);
    if (!fails)
        return KVORUM_OK;
    return disk->space_limit != 0 ? KVORUM_NO_SPACE : disk->failure;
}

static inline kvorum_status fault_sync(struct disk_file *base)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    fault_record(file->disk, FAULT_SYNC, file->inode);
    return KVORUM_OK;
}

static inline kvorum_status fault_size(struct disk_file *base, uint64_t *ret_size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    *ret_size = file->disk->inodes[file->inode].size;
    return KVORUM_OK;
}

static inline kvorum_status fault_truncate(struct disk_file *base, uint64_t size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    fault_record(file->disk, FAULT_RESIZE, file->inode)->offset = size;
    fault_resize(&file->disk->inodes[file->inode], size);
    return KVORUM_OK;
}

static inline kvorum_status fault_allocate(struct disk_file *base, uint64_t size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_no_space(file->disk, file->inode, size))
        return KVORUM_NO_SPACE;
    if (size <= file->disk->inodes[file->inode].size)
        return KVORUM_OK;
    return fault_truncate(base, size);
}

static inline kvorum_status fault_rename(struct disk *base, const char *from, const char *to)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->names, from);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    int inode = name->inode;
    fault_rename_to(disk, FAULT_UNNAME, from, inode, false);
    fault_rename_to(disk, FAULT_NAME, to, inode, true);
    return KVORUM_OK;
}

static inline kvorum_status fault_link(struct disk *base, const char *from, const char *to)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->names, from);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    if (fault_find(&disk->names, to) != NULL)
        return KVORUM_EXISTS;
    fault_rename_to(disk, FAULT_NAME, to, name->inode, false);
    return KVORUM_OK;
}

static inline kvorum_status fault_remove(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->names, path);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    fault_rename_to(disk, FAULT_UNNAME, path, name->inode, false);
    return KVORUM_OK;
}

static inline kvorum_status fault_make_dir(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    (void)path;
    if (fault_due(disk))
        return disk->failure;
    disk->has_directory = true;
    return KVORUM_OK;
}

static inline kvorum_status fault_sync_dir(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    if (path[0] != '\0')
        fault_record(disk, FAULT_SYNC_DIR, -1);
    return KVORUM_OK;
}

static inline int fault_compare_names(const void *a, const void *b)
{
    return strcmp(((const struct fault_name *)a)->path, ((const struct fault_name *)b)->path);
}

static inline kvorum_status fault_list(struct disk *base, const char *path,
                                       bool (*visit)(void *context, const char *name),
                                       void *context)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    if (!disk->has_directory)
        return KVORUM_NOT_FOUND;
    qsort(disk->names.list, (size_t)disk->names.count, sizeof(disk->names.list[0]),
          fault_compare_names);
    size_t prefix = strlen(path) + 1;
    for (int i = 0; i < disk->names.count; i++) {
        const char *name = disk->names.list[i].path;
        bool inside = strncmp(name, path, prefix - 1) == 0 && name[prefix - 1] == '/';
        if (inside && !visit(context, name + prefix))
            break;
    }
    return KVORUM_OK;
}

static inline kvorum_status fault_lock(struct disk *base, const char *path,
                                       struct disk_file **ret_file)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    (void)path;
    if (fault_due(disk))
        return disk->failure;
    if (disk->locked)
        return KVORUM_LOCKED;
    disk->locked = true;
    *ret_file = fault_file_create(disk, -1, true);
    return KVORUM_OK;
}

static const struct disk_ops fault_disk_ops = {
    .open = fault_open,
    .close = fault_close,
    .pread = fault_pread,
    .pwrite = fault_pwrite,
    .sync = fault_sync,
    .size = fault_size,
    .truncate = fault_truncate,
    .allocate = fault_allocate,
    .rename = fault_rename,
    .link = fault_link,
    .remove = fault_remove,
    .make_dir = fault_make_dir,
    .sync_dir = fault_sync_dir,
    .list = fault_list,
    .lock = fault_lock,
};

/* --- power failure ------------------------------------------------------------------------- */

/* Was operation `index` made durable before operation `count`? */
static inline bool fault_was_synced(const struct fault_disk *disk, size_t index, size_t count)
{
    const struct fault_operation *operation = &disk->journal[index];
    bool is_name = operation->kind == FAULT_NAME || operation->kind == FAULT_UNNAME;
    for (size_t i = index + 1; i < count; i++) {
        const struct fault_operation *later = &disk->journal[i];
        if (is_name ? later->kind == FAULT_SYNC_DIR
                    : later->kind == FAULT_SYNC && later->inode == operation->inode)
            return true;
    }
    return false;
}

/* Each sector of the write alone is kept, dropped, or cut at some byte. */
static inline void fault_tear(struct fault_inode *inode, const struct fault_operation *operation,
                              struct random *random)
{
    for (size_t at = 0; at < operation->size;) {
        size_t size = FAULT_DISK_SECTOR - (operation->offset + at) % FAULT_DISK_SECTOR;
        if (size > operation->size - at)
            size = operation->size - at;
        uint64_t dice = random_below(random, 3);
        size_t kept = dice == 0 ? 0 : dice == 1 ? size : (size_t)random_below(random, size + 1);
        fault_write(inode, operation->offset + at, operation->data + at, kept);
        at += size;
    }
}

static inline void fault_redo(struct fault_disk *into, const struct fault_operation *operation,
                              bool torn, struct random *random)
{
    struct fault_inode *inode = operation->inode < 0 ? NULL : &into->inodes[operation->inode];
    switch (operation->kind) {
    case FAULT_WRITE:
        if (torn)
            fault_tear(inode, operation, random);
        else
            fault_write(inode, operation->offset, operation->data, operation->size);
        break;
    case FAULT_RESIZE:
        fault_resize(inode, operation->offset);
        break;
    case FAULT_NAME:
    case FAULT_UNNAME:
        fault_set_name(&into->names, operation->path,
                       operation->kind == FAULT_NAME ? operation->inode : -1);
        break;
    default:
        break;
    }
}

static inline bool fault_survives(enum fault_crash how, struct random *random)
{
    return how == FAULT_KEEP || (how == FAULT_TEAR && random_chance(random, 1, 2));
}

/** Make `ret` (uninitialised) the disk after the first `count` operations of `disk` and a crash. */
static inline void fault_disk_crash(const struct fault_disk *disk, size_t count,
                                    enum fault_crash how, uint64_t seed, struct fault_disk *ret)
{
    struct random random;
    bool names_live = true, kept = true;
    random_init(&random, seed);
    fault_disk_init(ret);
    ret->has_directory = disk->has_directory;
    ret->inode_count = disk->inode_count;
    ret->names = disk->start_names;
    for (int i = 0; i < disk->inode_count; i++)
        fault_write(&ret->inodes[i], 0, disk->starts[i].data, disk->starts[i].size);
    if (count < disk->journal_count && disk->journal[count].joined)
        count++; /* a rename is one */
    for (size_t i = 0; i < count; i++) {
        const struct fault_operation *operation = &disk->journal[i];
        bool is_name = operation->kind == FAULT_NAME || operation->kind == FAULT_UNNAME;
        if (!operation->joined || i == 0)
            kept = fault_was_synced(disk, i, count) || fault_survives(how, &random);
        if (is_name) /* of names a prefix survives */
            kept = names_live = names_live && kept;
        bool torn = how == FAULT_TEAR && !fault_was_synced(disk, i, count);
        if (kept)
            fault_redo(ret, operation, torn, &random);
    }
    for (int i = 0; i < ret->inode_count; i++)
        fault_write(&ret->starts[i], 0, ret->inodes[i].data, ret->inodes[i].size);
    ret->start_names = ret->names;
}

#endif
