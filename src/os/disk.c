/* SPDX-License-Identifier: Apache-2.0 */
#include "os/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#include <unistd.h>

struct os_disk {
    struct disk disk;
    int root;
};

struct os_file {
    struct disk_file file;
    int descriptor;
};

static const struct disk_ops os_disk_ops;

/* --- errors -------------------------------------------------------------------------------- */

static kvorum_status status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
        return KVORUM_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return KVORUM_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return KVORUM_NO_SPACE;
    case EWOULDBLOCK: /* of flock */
        return KVORUM_LOCKED;
    case EACCES:
    case EPERM:
    case EROFS:
        return KVORUM_NOT_ALLOWED;
    case EMFILE: /* descriptors are a resource like memory: a later call may succeed */
    case ENFILE:
    case ENOMEM:
        return KVORUM_NO_MEMORY;
    case EFBIG:
    case EOVERFLOW:
        return KVORUM_TOO_LARGE;
    case EINVAL:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
        return KVORUM_INVALID;
    default:
        return KVORUM_IO;
    }
}

static kvorum_status status_of_result(int result)
{
    return result == 0 ? KVORUM_OK : status_of_errno(errno);
}

/* --- paths --------------------------------------------------------------------------------- */

static bool climbs(const char *path)
{
    for (const char *part = path; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

static bool path_valid(const char *path)
{
    return path[0] != '\0' && path[0] != '/' && !climbs(path);
}

static int root_of(struct disk *disk)
{
    return ((struct os_disk *)disk)->root;
}

static int open_retrying(int root, const char *path, int flags)
{
    int descriptor;
    do {
        descriptor = openat(root, path, flags | O_CLOEXEC, 0600);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* EINTR means that the sync did not end, not that it failed. */
static kvorum_status sync_retrying(int descriptor, int (*sync)(int descriptor))
{
    int result;
    do {
        result = sync(descriptor);
    } while (result != 0 && errno == EINTR);
    return status_of_result(result);
}

/* --- files --------------------------------------------------------------------------------- */

static int descriptor_of(struct disk_file *file)
{
    return ((struct os_file *)file)->descriptor;
}

static kvorum_status open_file(struct disk *disk, const char *path, int flags,
                               struct os_file **ret_file)
{
    if (!path_valid(path))
        return KVORUM_INVALID;
    struct os_file *file = malloc(sizeof(*file));
    if (file == NULL)
        return KVORUM_NO_MEMORY;
    int descriptor = open_retrying(root_of(disk), path, flags);
    if (descriptor < 0) {
        kvorum_status status = status_of_errno(errno);
        free(file);
        return status;
    }
    *file = (struct os_file){ { &os_disk_ops }, descriptor };
    *ret_file = file;
    return KVORUM_OK;
}

static kvorum_status disk_open(struct disk *disk, const char *path, unsigned flags,
                               struct disk_file **ret_file)
{
    assert((flags & DISK_WRITE) || !(flags & DISK_CREATE));
    assert((flags & DISK_CREATE) || !(flags & DISK_EXCLUSIVE));
    int native = (flags & DISK_WRITE) ? O_RDWR : O_RDONLY;
    native |= (flags & DISK_CREATE) ? O_CREAT : 0;
    native |= (flags & DISK_EXCLUSIVE) ? O_EXCL : 0;
    struct os_file *file = NULL;
    kvorum_status status = open_file(disk, path, native, &file);
    if (status != KVORUM_OK)
        return status;
    assert(file != NULL);
    if ((flags & DISK_RANDOM) != 0) /* refused by some file systems, and no loss then */
        (void)posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_RANDOM);
    *ret_file = &file->file;
    return KVORUM_OK;
}

static void disk_close(struct disk_file *file)
{
    close(descriptor_of(file)); /* what it may report is lost by contract: close does not sync */
    free(file);
}

static kvorum_status disk_pread(struct disk_file *file, void *data, size_t size, uint64_t offset,
                                size_t *ret_size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got =
            pread(descriptor_of(file), (uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return status_of_errno(errno);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_size = done;
    return KVORUM_OK;
}

/* Whether the system follows is its own affair: what it did not fetch, pread does. */
static void disk_will_read(struct disk_file *file, uint64_t offset, uint64_t size)
{
    (void)posix_fadvise(descriptor_of(file), (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
}

static kvorum_status disk_pwrite(struct disk_file *file, const void *data, size_t size,
                                 uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = pwrite(descriptor_of(file), (const uint8_t *)data + done, size - done,
                             (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return status_of_errno(errno);
        if (put == 0)
            return KVORUM_IO;
        done += (size_t)put;
    }
    return KVORUM_OK;
}

static kvorum_status disk_sync(struct disk_file *file)
{
    return sync_retrying(descriptor_of(file), fdatasync);
}

static kvorum_status disk_size(struct disk_file *file, uint64_t *ret_size)
{
    struct stat stat;
    if (fstat(descriptor_of(file), &stat) != 0)
        return status_of_errno(errno);
    *ret_size = (uint64_t)stat.st_size;
    return KVORUM_OK;
}

static kvorum_status disk_truncate(struct disk_file *file, uint64_t size)
{
    int result;
    do {
        result = ftruncate(descriptor_of(file), (off_t)size);
    } while (result != 0 && errno == EINTR);
    return status_of_result(result);
}

/* For file systems without fallocate.  Holes below the present size stay holes. */
static kvorum_status fill_with_zeros(struct disk_file *file, uint64_t size)
{
    static const uint8_t zeros[64 * 1024];
    uint64_t at = 0;
    kvorum_status status = disk_size(file, &at);
    while (status == KVORUM_OK && at < size) {
        size_t part = size - at < sizeof(zeros) ? (size_t)(size - at) : sizeof(zeros);
        status = disk_pwrite(file, zeros, part, at);
        at += part;
    }
    return status;
}

static kvorum_status disk_allocate(struct disk_file *file, uint64_t size)
{
    if (size == 0)
        return KVORUM_OK;
    int result;
    do {
        result = fallocate(descriptor_of(file), 0, 0, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EOPNOTSUPP)
        return fill_with_zeros(file, size);
    return status_of_result(result);
}

/* Blocks that fallocate reserved are really there to be written, and fresh ones need no reading: so
 * touching the memory cannot fail. */
static bool reserves_blocks(int descriptor)
{
    static const long kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, TMPFS_MAGIC };
    struct statfs stat;
    if (fstatfs(descriptor, &stat) != 0)
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((long)stat.f_type == kinds[i])
            return true;
    return false;
}

static kvorum_status disk_map(struct disk_file *file, uint64_t size, uint8_t **ret_memory)
{
    int descriptor = descriptor_of(file);
    if (!reserves_blocks(descriptor))
        return KVORUM_UNSUPPORTED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED)
        return status_of_errno(errno);
    *ret_memory = memory;
    return KVORUM_OK;
}

static void disk_unmap(struct disk_file *file, uint8_t *memory, uint64_t size)
{
    (void)file;
    munmap(memory, size);
}

static kvorum_status disk_lock(struct disk *disk, const char *path, struct disk_file **ret_file)
{
    struct os_file *file;
    kvorum_status status = open_file(disk, path, O_RDWR | O_CREAT, &file);
    if (status != KVORUM_OK)
        return status;
    int result;
    do {
        result = flock(file->descriptor, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        status = status_of_errno(errno);
        disk_close(&file->file);
        return status;
    }
    *ret_file = &file->file;
    return KVORUM_OK;
}

/* --- names --------------------------------------------------------------------------------- */

static kvorum_status disk_rename(struct disk *disk, const char *from, const char *to)
{
    if (!path_valid(from) || !path_valid(to))
        return KVORUM_INVALID;
    return status_of_result(renameat(root_of(disk), from, root_of(disk), to));
}

static kvorum_status disk_link(struct disk *disk, const char *from, const char *to)
{
    if (!path_valid(from) || !path_valid(to))
        return KVORUM_INVALID;
    return status_of_result(linkat(root_of(disk), from, root_of(disk), to, 0));
}

static kvorum_status disk_remove(struct disk *disk, const char *path)
{
    if (!path_valid(path))
        return KVORUM_INVALID;
    int result = unlinkat(root_of(disk), path, 0);
    if (result != 0 && errno == EISDIR)
        result = unlinkat(root_of(disk), path, AT_REMOVEDIR);
    return status_of_result(result);
}

static kvorum_status disk_make_dir(struct disk *disk, const char *path)
{
    if (!path_valid(path))
        return KVORUM_INVALID;
    if (mkdirat(root_of(disk), path, 0700) == 0)
        return KVORUM_OK;
    struct stat stat;
    if (errno != EEXIST)
        return status_of_errno(errno);
    if (fstatat(root_of(disk), path, &stat, 0) != 0)
        return status_of_errno(errno);
    return S_ISDIR(stat.st_mode) ? KVORUM_OK : KVORUM_EXISTS;
}

static kvorum_status sync_dir_at(int root, const char *path)
{
    int descriptor = open_retrying(root, path, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0)
        return status_of_errno(errno);
    kvorum_status status = sync_retrying(descriptor, fsync);
    close(descriptor);
    return status;
}

static kvorum_status disk_sync_dir(struct disk *disk, const char *path)
{
    if (path[0] == '\0')
        return sync_dir_at(root_of(disk), ".");
    return path_valid(path) ? sync_dir_at(root_of(disk), path) : KVORUM_INVALID;
}

static int is_own_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static kvorum_status disk_list(struct disk *disk, const char *path,
                               bool (*visit)(void *context, const char *name), void *context)
{
    if (path[0] != '\0' && !path_valid(path))
        return KVORUM_INVALID;
    struct dirent **entries;
    int count = scandirat(root_of(disk), path[0] == '\0' ? "." : path, &entries, is_own_name,
                          compare_names);
    if (count < 0)
        return status_of_errno(errno);
    bool going = true;
    for (int i = 0; i < count; i++) {
        going = going && visit(context, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return KVORUM_OK;
}

static const struct disk_ops os_disk_ops = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .will_read = disk_will_read,
    .pwrite = disk_pwrite,
    .sync = disk_sync,
    .size = disk_size,
    .truncate = disk_truncate,
    .allocate = disk_allocate,
    .map = disk_map,
    .unmap = disk_unmap,
    .rename = disk_rename,
    .link = disk_link,
    .remove = disk_remove,
    .make_dir = disk_make_dir,
    .sync_dir = disk_sync_dir,
    .list = disk_list,
    .lock = disk_lock,
};

/* --- the root ------------------------------------------------------------------------------ */

static kvorum_status open_root(const char *path, bool create, int *ret_root)
{
    bool made = create && mkdir(path, 0700) == 0;
    if (create && !made && errno != EEXIST)
        return status_of_errno(errno);
    int root = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (root < 0)
        return status_of_errno(errno);
    kvorum_status status = made ? sync_dir_at(root, "..") : KVORUM_OK;
    if (status != KVORUM_OK) {
        close(root);
        return status;
    }
    *ret_root = root;
    return KVORUM_OK;
}

kvorum_status os_disk_open(const char *path, bool create, struct disk **ret_disk)
{
    struct os_disk *disk = malloc(sizeof(*disk));
    if (disk == NULL)
        return KVORUM_NO_MEMORY;
    disk->disk.ops = &os_disk_ops;
    kvorum_status status = open_root(path, create, &disk->root);
    if (status != KVORUM_OK) {
        free(disk);
        return status;
    }
    *ret_disk = &disk->disk;
    return KVORUM_OK;
}

struct disk *os_disk_close(struct disk *disk)
{
    if (disk == NULL)
        return NULL;
    assert(disk->ops == &os_disk_ops);
    close(root_of(disk));
    free(disk);
    return NULL;
}
