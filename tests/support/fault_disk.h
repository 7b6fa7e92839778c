/* SPDX-License-Identifier: Apache-2.0 */
/** A disk in memory that keeps a journal of all that was done to it, so that a test can ask: what
 *  if the power had failed right here?  (fault_power.h)
 *
 *      journal  make_dir s | create s/A | write A 0..95 | sync A | rename s/A s/B | sync_dir s ...
 *
 *  Files are inodes with names, several where `link` was used; folders are names too.  Contents are
 *  shared between copies of a disk until one of them is written to, so a copy costs no bytes.
 *
 *  Faults: the n-th fallible operation answers an error, once or from then on; a limit of bytes.
 *  Thread: one at a time. */
#ifndef TESTS_SUPPORT_FAULT_DISK_H
#define TESTS_SUPPORT_FAULT_DISK_H

#include "base/disk.h"
#include "base/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULT_DISK_PATH = 96, FAULT_FOLDER = -1 /* the inode of every folder */ };

enum fault_kind { FAULT_WRITE, FAULT_RESIZE, FAULT_SYNC, FAULT_NAME, FAULT_UNNAME, FAULT_SYNC_DIR };

struct fault_operation {
    enum fault_kind kind;
    int inode;
    uint64_t offset;            /* or the new size */
    size_t size;                /* of data */
    uint8_t *data;              /* written bytes */
    char path[FAULT_DISK_PATH]; /* NAME, UNNAME, SYNC_DIR */
    bool joined;                /* lives and dies with the one before (a rename) */
};

struct fault_bytes {
    unsigned references;
    uint64_t size, capacity;
    uint8_t *data;
};

struct fault_name {
    char path[FAULT_DISK_PATH];
    int inode;
};

struct fault_names {
    struct fault_name *list;
    int count, capacity;
};

/** What is on a disk at one moment. */
struct fault_image {
    struct fault_bytes **inodes;
    int inode_count;
    struct fault_names names;
};

struct fault_file {
    struct disk_file base;
    struct fault_disk *disk;
    int inode;
    char lock[FAULT_DISK_PATH]; /* empty: an ordinary file */
    struct fault_file *next;    /* lock held */
};

struct fault_disk {
    struct disk base;
    struct fault_image now;
    struct fault_image start; /* what was there before the journal began */
    struct fault_operation *journal;
    size_t journal_count, journal_capacity;
    struct fault_file *locks;
    /* faults */
    size_t calls;   /* fallible ones so far */
    size_t fail_at; /* the n-th fails, from 1; 0: none */
    bool fail_on;   /* and all after it */
    kvorum_status failure;
    uint64_t space_limit; /* 0: none */
    bool keep_names;      /* removing fails */
};

#ifndef FAULT_REALLOC
#define FAULT_REALLOC realloc
#endif

/* --- contents ------------------------------------------------------------------------------ */

static inline void *fault_memory(void *memory, size_t size)
{
    void *more = FAULT_REALLOC(memory, size + 1);
    assert(more != NULL);
    return more;
}

static inline void fault_bytes_release(struct fault_bytes *bytes)
{
    if (--bytes->references > 0)
        return;
    free(bytes->data);
    free(bytes);
}

static inline struct fault_bytes *fault_bytes_create(const uint8_t *data, uint64_t size)
{
    struct fault_bytes *bytes = fault_memory(NULL, sizeof(*bytes));
    *bytes = (struct fault_bytes){ 1, size, size, fault_memory(NULL, size) };
    if (size > 0)
        memcpy(bytes->data, data, size);
    return bytes;
}

/** Those of inode `index`, which may be changed. */
static inline struct fault_bytes *fault_image_bytes(struct fault_image *image, int index)
{
    struct fault_bytes *bytes = image->inodes[index];
    if (bytes->references == 1)
        return bytes;
    image->inodes[index] = fault_bytes_create(bytes->data, bytes->size);
    bytes->references--;
    return image->inodes[index];
}

static inline void fault_resize(struct fault_bytes *bytes, uint64_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = size;
        bytes->data = fault_memory(bytes->data, size);
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static inline void fault_write(struct fault_bytes *bytes, uint64_t offset, const uint8_t *data,
                               size_t size)
{
    if (offset + size > bytes->size)
        fault_resize(bytes, offset + size);
    if (size > 0)
        memcpy(bytes->data + offset, data, size);
}

/* --- names --------------------------------------------------------------------------------- */

static inline struct fault_name *fault_find(const struct fault_names *names, const char *path)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    return NULL;
}

static inline void fault_set_name(struct fault_names *names, const char *path, int inode)
{
    struct fault_name *name = fault_find(names, path);
    if (name == NULL) {
        if (names->count == names->capacity) {
            names->capacity = names->capacity * 2 + 16;
            names->list =
                fault_memory(names->list, (size_t)names->capacity * sizeof(names->list[0]));
        }
        name = &names->list[names->count++];
        snprintf(name->path, sizeof(name->path), "%s", path);
    }
    name->inode = inode;
}

static inline void fault_unset_name(struct fault_names *names, const char *path)
{
    struct fault_name *name = fault_find(names, path);
    if (name != NULL)
        *name = names->list[--names->count];
}

static inline bool fault_is_in(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/';
}

/* --- images -------------------------------------------------------------------------------- */

static inline int fault_image_add(struct fault_image *image)
{
    size_t size = (size_t)(image->inode_count + 1) * sizeof(image->inodes[0]);
    image->inodes = fault_memory(image->inodes, size);
    image->inodes[image->inode_count] = fault_bytes_create(NULL, 0);
    return image->inode_count++;
}

/** `to` is empty. */
static inline void fault_image_copy(struct fault_image *to, const struct fault_image *from)
{
    size_t inodes_size = (size_t)from->inode_count * sizeof(from->inodes[0]);
    size_t names_size = (size_t)from->names.count * sizeof(from->names.list[0]);
    *to = *from;
    to->inodes = fault_memory(NULL, inodes_size);
    to->names.list = fault_memory(NULL, names_size);
    to->names.capacity = to->names.count;
    if (inodes_size > 0)
        memcpy(to->inodes, from->inodes, inodes_size);
    if (names_size > 0)
        memcpy(to->names.list, from->names.list, names_size);
    for (int i = 0; i < to->inode_count; i++)
        to->inodes[i]->references++;
}

static inline void fault_image_done(struct fault_image *image)
{
    for (int i = 0; i < image->inode_count; i++)
        fault_bytes_release(image->inodes[i]);
    free(image->inodes);
    free(image->names.list);
    *image = (struct fault_image){ 0 };
}

/* --- the disk ------------------------------------------------------------------------------ */

static const struct disk_ops fault_disk_ops;

static inline void fault_disk_init(struct fault_disk *disk)
{
    memset(disk, 0, sizeof(*disk));
    disk->base.ops = &fault_disk_ops;
    disk->failure = KVORUM_IO;
}

static inline void fault_disk_forget(struct fault_disk *disk)
{
    for (size_t i = 0; i < disk->journal_count; i++)
        free(disk->journal[i].data);
    free(disk->journal);
    disk->journal = NULL;
    disk->journal_count = disk->journal_capacity = 0;
    fault_image_done(&disk->start);
}

static inline void fault_disk_done(struct fault_disk *disk)
{
    fault_disk_forget(disk);
    fault_image_done(&disk->now);
}

/** The journal begins here: all that is there counts as durable. */
static inline void fault_disk_begin(struct fault_disk *disk)
{
    fault_disk_forget(disk);
    fault_image_copy(&disk->start, &disk->now);
}

/** The bytes of inode `index` as they are now, to be damaged. */
static inline struct fault_bytes *fault_disk_bytes(struct fault_disk *disk, int index)
{
    return fault_image_bytes(&disk->now, index);
}

static inline struct fault_operation *fault_record(struct fault_disk *disk, enum fault_kind kind,
                                                   int inode, const char *path)
{
    if (disk->journal_count == disk->journal_capacity) {
        disk->journal_capacity = disk->journal_capacity * 2 + 64;
        disk->journal =
            fault_memory(disk->journal, disk->journal_capacity * sizeof(*disk->journal));
    }
    struct fault_operation *operation = &disk->journal[disk->journal_count++];
    *operation = (struct fault_operation){ .kind = kind, .inode = inode };
    int size = snprintf(operation->path, sizeof(operation->path), "%s", path);
    assert(size >= 0 && (size_t)size < sizeof(operation->path));
    return operation;
}

static inline void fault_name_it(struct fault_disk *disk, const char *path, int inode, bool joined)
{
    fault_record(disk, FAULT_NAME, inode, path)->joined = joined;
    fault_set_name(&disk->now.names, path, inode);
}

static inline void fault_unname_it(struct fault_disk *disk, const char *path)
{
    fault_record(disk, FAULT_UNNAME, 0, path);
    fault_unset_name(&disk->now.names, path);
}

static inline bool fault_due(struct fault_disk *disk)
{
    disk->calls++;
    return disk->fail_at != 0 &&
           (disk->calls == disk->fail_at || (disk->fail_on && disk->calls > disk->fail_at));
}

/** Bytes under names; a file with two counts twice. */
static inline uint64_t fault_disk_size(const struct fault_disk *disk)
{
    uint64_t size = 0;
    for (int i = 0; i < disk->now.names.count; i++) {
        int inode = disk->now.names.list[i].inode;
        size += inode == FAULT_FOLDER ? 0 : disk->now.inodes[inode]->size;
    }
    return size;
}

static inline bool fault_no_space(const struct fault_disk *disk, int inode, uint64_t size)
{
    uint64_t now = disk->now.inodes[inode]->size;
    return disk->space_limit != 0 && size > now &&
           fault_disk_size(disk) + size - now > disk->space_limit;
}

/* --- operations on files ------------------------------------------------------------------- */

static inline struct fault_file *fault_file_create(struct fault_disk *disk, int inode)
{
    struct fault_file *file = fault_memory(NULL, sizeof(*file));
    *file = (struct fault_file){ { &fault_disk_ops }, disk, inode, "", NULL };
    return file;
}

static inline kvorum_status fault_open(struct disk *base, const char *path, unsigned flags,
                                       struct disk_file **ret_file)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->now.names, path);
    if (name == NULL && (flags & DISK_CREATE) == 0)
        return KVORUM_NOT_FOUND;
    if (name != NULL && (flags & DISK_EXCLUSIVE) != 0)
        return KVORUM_EXISTS;
    int inode = name == NULL ? fault_image_add(&disk->now) : name->inode;
    assert(inode != FAULT_FOLDER);
    if (name == NULL)
        fault_name_it(disk, path, inode, false);
    *ret_file = &fault_file_create(disk, inode)->base;
    return KVORUM_OK;
}

static inline void fault_close(struct disk_file *base)
{
    struct fault_file *file = (struct fault_file *)base;
    struct fault_file **at = &file->disk->locks;
    for (; *at != NULL; at = &(*at)->next) {
        if (*at != file)
            continue;
        *at = file->next;
        break;
    }
    free(file);
}

static inline kvorum_status fault_pread(struct disk_file *base, void *data, size_t size,
                                        uint64_t offset, size_t *ret_size)
{
    struct fault_file *file = (struct fault_file *)base;
    const struct fault_bytes *bytes = file->disk->now.inodes[file->inode];
    if (fault_due(file->disk))
        return file->disk->failure;
    uint64_t rest = offset < bytes->size ? bytes->size - offset : 0;
    *ret_size = size < rest ? size : (size_t)rest;
    if (*ret_size > 0)
        memcpy(data, bytes->data + offset, *ret_size);
    return KVORUM_OK;
}

static inline kvorum_status fault_pwrite(struct disk_file *base, const void *data, size_t size,
                                         uint64_t offset)
{
    struct fault_file *file = (struct fault_file *)base;
    struct fault_disk *disk = file->disk;
    bool full = fault_no_space(disk, file->inode, offset + size);
    bool fails = fault_due(disk) || full;
    if (fails) /* some of it may have been written */
        size /= 2;
    struct fault_operation *operation = fault_record(disk, FAULT_WRITE, file->inode, "");
    operation->offset = offset;
    operation->size = size;
    operation->data = fault_memory(NULL, size);
    if (size > 0)
        memcpy(operation->data, data, size);
    fault_write(fault_disk_bytes(disk, file->inode), offset, data, size);
    if (!fails)
        return KVORUM_OK;
    return full ? KVORUM_NO_SPACE : disk->failure;
}

static inline kvorum_status fault_sync(struct disk_file *base)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    fault_record(file->disk, FAULT_SYNC, file->inode, "");
    return KVORUM_OK;
}

static inline kvorum_status fault_size(struct disk_file *base, uint64_t *ret_size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    *ret_size = file->disk->now.inodes[file->inode]->size;
    return KVORUM_OK;
}

static inline kvorum_status fault_truncate(struct disk_file *base, uint64_t size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_due(file->disk))
        return file->disk->failure;
    fault_record(file->disk, FAULT_RESIZE, file->inode, "")->offset = size;
    fault_resize(fault_disk_bytes(file->disk, file->inode), size);
    return KVORUM_OK;
}

static inline kvorum_status fault_allocate(struct disk_file *base, uint64_t size)
{
    struct fault_file *file = (struct fault_file *)base;
    if (fault_no_space(file->disk, file->inode, size))
        return KVORUM_NO_SPACE;
    if (size <= file->disk->now.inodes[file->inode]->size)
        return KVORUM_OK;
    return fault_truncate(base, size);
}

/* --- operations on names ------------------------------------------------------------------- */

static inline kvorum_status fault_rename(struct disk *base, const char *from, const char *to)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->now.names, from);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    int inode = name->inode;
    fault_unname_it(disk, from);
    fault_name_it(disk, to, inode, true);
    return KVORUM_OK;
}

static inline kvorum_status fault_link(struct disk *base, const char *from, const char *to)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    struct fault_name *name = fault_find(&disk->now.names, from);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    if (fault_find(&disk->now.names, to) != NULL)
        return KVORUM_EXISTS;
    fault_name_it(disk, to, name->inode, false);
    return KVORUM_OK;
}

static inline kvorum_status fault_remove(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    if (disk->keep_names)
        return KVORUM_IO;
    if (fault_find(&disk->now.names, path) == NULL)
        return KVORUM_NOT_FOUND;
    fault_unname_it(disk, path);
    return KVORUM_OK;
}

static inline kvorum_status fault_make_dir(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    if (fault_find(&disk->now.names, path) == NULL)
        fault_name_it(disk, path, FAULT_FOLDER, false);
    return KVORUM_OK;
}

static inline kvorum_status fault_sync_dir(struct disk *base, const char *path)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    fault_record(disk, FAULT_SYNC_DIR, 0, path);
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
    struct fault_names *names = &disk->now.names;
    if (fault_due(disk))
        return disk->failure;
    if (fault_find(names, path) == NULL)
        return KVORUM_NOT_FOUND;
    qsort(names->list, (size_t)names->count, sizeof(names->list[0]), fault_compare_names);
    for (int i = 0; i < names->count; i++) {
        const char *name = names->list[i].path + strlen(path) + 1;
        bool inside = fault_is_in(names->list[i].path, path) && strchr(name, '/') == NULL;
        if (inside && !visit(context, name))
            break;
    }
    return KVORUM_OK;
}

static inline kvorum_status fault_lock(struct disk *base, const char *path,
                                       struct disk_file **ret_file)
{
    struct fault_disk *disk = (struct fault_disk *)base;
    if (fault_due(disk))
        return disk->failure;
    for (const struct fault_file *lock = disk->locks; lock != NULL; lock = lock->next)
        if (strcmp(lock->lock, path) == 0)
            return KVORUM_LOCKED;
    struct fault_file *file = fault_file_create(disk, FAULT_FOLDER);
    snprintf(file->lock, sizeof(file->lock), "%s", path);
    file->next = disk->locks;
    disk->locks = file;
    *ret_file = &file->base;
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

#endif
