/* SPDX-License-Identifier: Apache-2.0 */
/** A disk in memory that keeps a journal of all that was done to it, so that a test can ask: what
 *  if the power had failed right here?  (fault_power.h)
 *
 *      journal  make_dir s | create s/A | write A 0..95 | sync A | rename s/A s/B | sync_dir s ...
 *
 *  Files are inodes with names, several where `link` was used (fault_image.h).
 *
 *  Where it maps, what was stored into a mapping is found by looking, before each operation and in
 *  fault_disk_notice, and comes into the journal as writes, one a page.
 *
 *  Faults: the n-th fallible operation answers an error, once or from then on; a limit of bytes.
 *  Thread: one at a time. */
#ifndef TESTS_SUPPORT_FAULT_DISK_H
#define TESTS_SUPPORT_FAULT_DISK_H

#include "base/disk.h"
#include "base/random.h"
#include "tests/support/fault_image.h"

enum { FAULT_DISK_PAGE = 4096 };

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

struct fault_file {
    struct disk_file base;
    struct fault_disk *disk;
    int inode;
    char lock[FAULT_DISK_PATH]; /* empty: an ordinary file */
    struct fault_file *next;    /* lock held */
};

struct fault_mapping {
    uint8_t *memory;
    uint64_t size;
    int inode;
    struct fault_mapping *next;
};

struct fault_disk {
    struct disk base;
    struct fault_image now;
    struct fault_image start; /* what was there before the journal began */
    struct fault_operation *journal;
    size_t journal_count, journal_capacity;
    struct fault_file *locks;
    bool maps;                      /* it offers mappings: */
    struct fault_mapping *mappings; /* now there */
    /* faults */
    size_t calls;   /* fallible ones so far */
    size_t fail_at; /* the n-th fails, from 1; 0: none */
    bool fail_on;   /* and all after it */
    kvorum_status failure;
    uint64_t space_limit; /* 0: none */
    bool keep_names;      /* removing fails */
};

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
    assert(disk->mappings == NULL);
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

static inline void fault_write_it(struct fault_disk *disk, int inode, uint64_t offset,
                                  const void *data, size_t size)
{
    struct fault_operation *operation = fault_record(disk, FAULT_WRITE, inode, "");
    operation->offset = offset;
    operation->size = size;
    operation->data = fault_memory(NULL, size);
    if (size > 0)
        memcpy(operation->data, data, size);
    fault_write(fault_disk_bytes(disk, inode), offset, data, size);
}

/* --- mappings ------------------------------------------------------------------------------ */

/* How much of it has a file behind it. */
static inline uint64_t fault_mapped(const struct fault_disk *disk,
                                    const struct fault_mapping *mapping)
{
    uint64_t size = disk->now.inodes[mapping->inode]->size;
    return size < mapping->size ? size : mapping->size;
}

static inline void fault_notice(struct fault_disk *disk, const struct fault_mapping *mapping)
{
    uint64_t size = fault_mapped(disk, mapping);
    for (uint64_t at = 0; at < size; at += FAULT_DISK_PAGE) {
        const uint8_t *known = disk->now.inodes[mapping->inode]->data;
        uint64_t begin = at, end = size - at < FAULT_DISK_PAGE ? size : at + FAULT_DISK_PAGE;
        while (begin < end && mapping->memory[begin] == known[begin])
            begin++;
        while (begin < end && mapping->memory[end - 1] == known[end - 1])
            end--;
        if (begin < end)
            fault_write_it(disk, mapping->inode, begin, mapping->memory + begin, end - begin);
    }
}

/** Take what was stored into mappings into the journal. */
static inline void fault_disk_notice(struct fault_disk *disk)
{
    for (const struct fault_mapping *at = disk->mappings; at != NULL; at = at->next)
        fault_notice(disk, at);
}

/* What calls changed is seen in mappings too. */
static inline void fault_show_mapped(struct fault_disk *disk, int inode)
{
    for (struct fault_mapping *at = disk->mappings; at != NULL; at = at->next) {
        uint64_t size = fault_mapped(disk, at);
        if (at->inode != inode)
            continue;
        memcpy(at->memory, disk->now.inodes[inode]->data, size);
        memset(at->memory + size, 0, at->size - size);
    }
}

/* Called first by every operation that may fail. */
static inline bool fault_due(struct fault_disk *disk)
{
    fault_disk_notice(disk);
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
    fault_write_it(disk, file->inode, offset, data, size);
    fault_show_mapped(disk, file->inode);
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
    fault_show_mapped(file->disk, file->inode);
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

static inline kvorum_status fault_map(struct disk_file *base, uint64_t size, uint8_t **ret_memory)
{
    struct fault_file *file = (struct fault_file *)base;
    struct fault_disk *disk = file->disk;
    if (!disk->maps)
        return KVORUM_UNSUPPORTED;
    if (fault_due(disk))
        return disk->failure;
    struct fault_mapping *mapping = fault_memory(NULL, sizeof(*mapping));
    assert(size <= disk->now.inodes[file->inode]->size);
    *mapping =
        (struct fault_mapping){ fault_memory(NULL, size), size, file->inode, disk->mappings };
    disk->mappings = mapping;
    fault_show_mapped(disk, file->inode);
    *ret_memory = mapping->memory;
    return KVORUM_OK;
}

static inline void fault_unmap(struct disk_file *base, uint8_t *memory, uint64_t size)
{
    struct fault_disk *disk = ((struct fault_file *)base)->disk;
    struct fault_mapping **at = &disk->mappings;
    fault_disk_notice(disk);
    while (*at != NULL && (*at)->memory != memory)
        at = &(*at)->next;
    struct fault_mapping *mapping = *at;
    assert(mapping != NULL && mapping->size == size);
    *at = mapping->next;
    free(mapping->memory);
    free(mapping);
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
    .map = fault_map,
    .unmap = fault_unmap,
    .rename = fault_rename,
    .link = fault_link,
    .remove = fault_remove,
    .make_dir = fault_make_dir,
    .sync_dir = fault_sync_dir,
    .list = fault_list,
    .lock = fault_lock,
};

#endif
