/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/disk/disk_decay.h"

struct sim_file {
    struct disk_file base;
    struct sim_disk *disk;
    struct inode *inode;
    bool lock;
};

static struct sim_file *file_of(struct disk_file *base)
{
    return LIST_ENTRY(base, struct sim_file, base);
}

/* --- opening and closing --------------------------------------------------------------------- */

static struct disk_file *make_file(struct sim_disk *disk, struct inode *inode, bool lock)
{
    struct sim_file *file = malloc(sizeof(*file));
    if (file == NULL)
        abort();
    *file = (struct sim_file){ { &sim_disk_ops }, disk, inode, lock };
    disk->open_files++;
    return &file->base;
}

static kvorum_status sim_open(struct disk *base, const char *path, unsigned flags,
                              struct disk_file **ret_file)
{
    struct sim_disk *disk = sim_disk_of(base);
    if (!sim_disk_has_power(disk))
        return KVORUM_IO;
    struct disk_name *name = disk_names_find(&disk->current, path);
    struct inode *inode = name == NULL ? NULL : name->inode;
    if (inode != NULL && (flags & DISK_EXCLUSIVE) != 0)
        return KVORUM_EXISTS;
    if (inode != NULL && inode->directory)
        return KVORUM_INVALID;
    if (inode == NULL && (flags & DISK_CREATE) == 0)
        return KVORUM_NOT_FOUND;
    if (inode == NULL) {
        kvorum_status status = sim_disk_create_name(disk, path, false, &inode);
        if (status != KVORUM_OK)
            return status;
    }
    *ret_file = make_file(disk, inode, false);
    return KVORUM_OK;
}

static kvorum_status sim_lock(struct disk *base, const char *path, struct disk_file **ret_file)
{
    struct sim_disk *disk = sim_disk_of(base);
    if (!sim_disk_has_power(disk))
        return KVORUM_IO;
    struct disk_name *name = disk_names_find(&disk->current, path);
    struct inode *inode = name == NULL ? NULL : name->inode;
    if (inode != NULL && inode->locked)
        return KVORUM_LOCKED;
    if (inode == NULL) {
        kvorum_status status = sim_disk_create_name(disk, path, false, &inode);
        if (status != KVORUM_OK)
            return status;
    }
    inode->locked = true;
    *ret_file = make_file(disk, inode, true);
    return KVORUM_OK;
}

static void sim_close(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    if (file->lock)
        file->inode->locked = false;
    file->disk->open_files--;
    free(file);
}

/* --- bytes ----------------------------------------------------------------------------------- */

static kvorum_status sim_pread(struct disk_file *base, void *data, size_t size, uint64_t offset,
                               size_t *ret_size)
{
    struct sim_file *file = file_of(base);
    if (!sim_disk_has_power(file->disk) ||
        sim_disk_unreadable(file->disk, file->inode, offset, size))
        return KVORUM_IO;
    const struct content *content = &file->inode->current;
    size_t left = offset >= content->size ? 0 : content->size - offset;
    *ret_size = size < left ? size : left;
    if (*ret_size > 0)
        memcpy(data, content->data + offset, *ret_size);
    return KVORUM_OK;
}

static kvorum_status sim_pwrite(struct disk_file *base, const void *data, size_t size,
                                uint64_t offset)
{
    struct sim_file *file = file_of(base);
    struct sim_disk *disk = file->disk;
    sim_disk_breathe(disk);
    if (disk->dead)
        return KVORUM_IO;
    kvorum_status status = KVORUM_OK;
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        status = KVORUM_IO;
    else if (!sim_disk_has_space(disk, file->inode, offset + size))
        status = KVORUM_NO_SPACE;
    if (status != KVORUM_OK && size > 0 && disk->world != NULL)
        size = choose(disk->world, size + 1); /* "on error any part may be written" */
    inode_write(file->inode, bytes_make(data, size), offset);
    return status;
}

static kvorum_status sim_sync(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    sim_disk_breathe(file->disk);
    if (!sim_disk_has_power(file->disk))
        return KVORUM_IO;
    if (sim_disk_fails(file->disk)) {
        PROBE("disk: sync failed");
        inode_sync_failed(file->inode, file->disk->world);
        return KVORUM_IO;
    }
    file->disk->syncs++;
    inode_sync(file->inode);
    return KVORUM_OK;
}

/* --- size ------------------------------------------------------------------------------------ */

static kvorum_status sim_size(struct disk_file *base, uint64_t *ret_size)
{
    struct sim_file *file = file_of(base);
    if (!sim_disk_has_power(file->disk))
        return KVORUM_IO;
    *ret_size = file->inode->current.size;
    return KVORUM_OK;
}

static kvorum_status resize(struct sim_file *file, uint64_t size)
{
    if (!sim_disk_has_power(file->disk) || sim_disk_fails(file->disk))
        return KVORUM_IO;
    if (!sim_disk_has_space(file->disk, file->inode, size))
        return KVORUM_NO_SPACE;
    inode_resize(file->inode, size);
    return KVORUM_OK;
}

static kvorum_status sim_truncate(struct disk_file *base, uint64_t size)
{
    return resize(file_of(base), size);
}

static kvorum_status sim_allocate(struct disk_file *base, uint64_t size)
{
    struct sim_file *file = file_of(base);
    return resize(file, size > file->inode->current.size ? size : file->inode->current.size);
}

/* --- mappings -------------------------------------------------------------------------------- */

static kvorum_status sim_map(struct disk_file *base, uint64_t size, uint8_t **ret_memory)
{
    struct sim_file *file = file_of(base);
    struct sim_disk *disk = file->disk;
    if (!disk->maps)
        return KVORUM_UNSUPPORTED;
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    *ret_memory = inode_map(file->inode, size);
    list_append(&disk->mapped, &file->inode->mapped);
    return KVORUM_OK;
}

static void sim_unmap(struct disk_file *base, uint8_t *memory, uint64_t size)
{
    struct sim_file *file = file_of(base);
    struct inode *inode = file->inode;
    assert(memory == inode->mapping && size == inode->mapping_size);
    if (!file->disk->dead)
        inode_notice(inode);
    list_remove(&inode->mapped);
    inode_unmap(inode);
}

/* --- all operations -------------------------------------------------------------------------- */

const struct disk_ops sim_disk_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .sync = sim_sync,
    .size = sim_size,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .map = sim_map,
    .unmap = sim_unmap,
    .rename = sim_disk_rename,
    .link = sim_disk_link,
    .remove = sim_disk_remove,
    .make_dir = sim_disk_make_dir,
    .sync_dir = sim_disk_sync_dir,
    .list = sim_disk_list,
    .lock = sim_lock,
};
