/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk.h"

#include <assert.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/disk_decay.h"
#include "sim/fiber.h"

struct sim_file {
    struct disk_file base;
    struct sim_disk *disk;
    struct inode *inode;
    bool lock;
};

static void *grow(void *list, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    list = realloc(list, *capacity * item_size);
    if (list == NULL)
        abort();
    return list;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

/* --- names ----------------------------------------------------------------------------------- */

static struct disk_name *names_find(const struct disk_names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    }
    return NULL;
}

static void names_remove(struct disk_names *names, struct disk_name *name)
{
    free(name->path);
    *name = names->list[--names->count];
}

static void names_set(struct disk_names *names, const char *path, struct inode *inode)
{
    struct disk_name *name = names_find(names, path);
    if (inode == NULL) {
        if (name != NULL)
            names_remove(names, name);
        return;
    }
    if (name != NULL) {
        name->inode = inode;
        return;
    }
    names->list = grow(names->list, names->count, &names->capacity, sizeof(*names->list));
    names->list[names->count++] = (struct disk_name){ copy_text(path), inode };
}

static void names_clear(struct disk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i].path);
    names->count = 0;
}

static void names_copy(struct disk_names *to, const struct disk_names *from)
{
    names_clear(to);
    for (size_t i = 0; i < from->count; i++)
        names_set(to, from->list[i].path, from->list[i].inode);
}

static size_t parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

static bool is_in(const char *path, struct bytes folder)
{
    return bytes_equal(bytes_make(path, parent_size(path)), folder);
}

static bool folder_exists(const struct disk_names *names, struct bytes folder)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct disk_name *name = &names->list[i];
        if (name->inode->directory && bytes_equal(bytes_of_string(name->path), folder))
            return true;
    }
    return folder.size == 0;
}

static void change_name(struct sim_disk *disk, const char *path, struct inode *inode,
                        uint32_t group)
{
    names_set(&disk->current, path, inode);
    disk->changes =
        grow(disk->changes, disk->change_count, &disk->change_capacity, sizeof(*disk->changes));
    disk->changes[disk->change_count++] =
        (struct name_change){ copy_text(path), inode, group, false };
}

static bool group_touches(const struct sim_disk *disk, uint32_t group, struct bytes folder)
{
    for (size_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].group == group && is_in(disk->changes[i].path, folder))
            return true;
    }
    return false;
}

/* Changes of other folders keep waiting, in their order. */
static void sync_names(struct sim_disk *disk, struct bytes folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->change_count; i++)
        disk->changes[i].due = group_touches(disk, disk->changes[i].group, folder);
    for (size_t i = 0; i < disk->change_count; i++) {
        struct name_change change = disk->changes[i];
        if (!change.due) {
            disk->changes[kept++] = change;
            continue;
        }
        names_set(&disk->synced, change.path, change.inode);
        free(change.path);
    }
    disk->change_count = kept;
}

/* A name whose folder did not survive is out of reach. */
static void drop_orphans(struct disk_names *names)
{
    for (size_t i = 0; i < names->count;) {
        const char *path = names->list[i].path;
        if (folder_exists(names, bytes_make(path, parent_size(path)))) {
            i++;
            continue;
        }
        names_remove(names, &names->list[i]);
        i = 0;
    }
}

static void crash_names(struct sim_disk *disk)
{
    size_t kept = disk->change_count == 0 ? 0 : choose(disk->world, disk->change_count + 1);
    while (kept > 0 && kept < disk->change_count &&
           disk->changes[kept].group == disk->changes[kept - 1].group)
        kept++;
    if (kept < disk->change_count)
        PROBE("disk: un-synced name lost in a crash");
    for (size_t i = 0; i < disk->change_count; i++) {
        if (i < kept)
            names_set(&disk->synced, disk->changes[i].path, disk->changes[i].inode);
        free(disk->changes[i].path);
    }
    disk->change_count = 0;
    drop_orphans(&disk->synced);
    names_copy(&disk->current, &disk->synced);
}

/* --- faults ---------------------------------------------------------------------------------- */

static void notice_stores(struct sim_disk *disk)
{
    for (struct list *item = disk->mapped.next; item != &disk->mapped; item = item->next)
        inode_notice(LIST_ENTRY(item, struct inode, mapped));
}

void sim_disk_stop(struct sim_disk *disk)
{
    if (!disk->dead)
        notice_stores(disk);
    disk->dead = true;
}

/* Called first by every operation.  False: power failed before it. */
static bool has_power(struct sim_disk *disk)
{
    if (disk->peeked)
        return true;
    if (disk->dead)
        return false;
    notice_stores(disk);
    disk->operations++;
    if (disk->fuse == 0 || --disk->fuse > 0)
        return true;
    sim_disk_stop(disk);
    PROBE("disk: power failed in the middle of an operation");
    return false;
}

/* In the middle of a lengthy job: what else happens may happen now. */
static void breathe(struct sim_disk *disk)
{
    if (disk->world != NULL && fiber_inside() && choose(disk->world, 2) == 0)
        fiber_pause();
}

static bool fails(struct sim_disk *disk)
{
    if (disk->world == NULL || !choose_chance(disk->world, disk->error_per_million))
        return false;
    disk->errors++;
    return true;
}

static uint64_t used_space(const struct sim_disk *disk)
{
    uint64_t size = 0;
    for (size_t i = 0; i < disk->current.count; i++)
        size += disk->current.list[i].inode->current.size;
    return size;
}

static bool has_space(const struct sim_disk *disk, const struct inode *inode, uint64_t size)
{
    if (disk->space_limit == 0 || size <= inode->current.size)
        return true;
    return used_space(disk) + (size - inode->current.size) <= disk->space_limit;
}

/* --- files ----------------------------------------------------------------------------------- */

static struct inode *add_inode(struct sim_disk *disk, struct inode *inode)
{
    disk->inodes =
        grow(disk->inodes, disk->inode_count, &disk->inode_capacity, sizeof(*disk->inodes));
    disk->inodes[disk->inode_count++] = inode;
    return inode;
}

static struct sim_disk *disk_of(struct disk *base)
{
    return LIST_ENTRY(base, struct sim_disk, base);
}

static struct sim_file *file_of(struct disk_file *base)
{
    return LIST_ENTRY(base, struct sim_file, base);
}

static const struct disk_ops sim_disk_ops;

static struct disk_file *make_file(struct sim_disk *disk, struct inode *inode, bool lock)
{
    struct sim_file *file = malloc(sizeof(*file));
    if (file == NULL)
        abort();
    *file = (struct sim_file){ { &sim_disk_ops }, disk, inode, lock };
    disk->open_files++;
    return &file->base;
}

static kvorum_status create_name(struct sim_disk *disk, const char *path, bool directory,
                                 struct inode **ret_inode)
{
    if (!folder_exists(&disk->current, bytes_make(path, parent_size(path))))
        return KVORUM_NOT_FOUND;
    *ret_inode = add_inode(disk, inode_create(directory));
    change_name(disk, path, *ret_inode, disk->next_group++);
    return KVORUM_OK;
}

static kvorum_status sim_open(struct disk *base, const char *path, unsigned flags,
                              struct disk_file **ret_file)
{
    struct sim_disk *disk = disk_of(base);
    if (!has_power(disk))
        return KVORUM_IO;
    struct disk_name *name = names_find(&disk->current, path);
    struct inode *inode = name == NULL ? NULL : name->inode;
    if (inode != NULL && (flags & DISK_EXCLUSIVE) != 0)
        return KVORUM_EXISTS;
    if (inode != NULL && inode->directory)
        return KVORUM_INVALID;
    if (inode == NULL && (flags & DISK_CREATE) == 0)
        return KVORUM_NOT_FOUND;
    if (inode == NULL) {
        kvorum_status status = create_name(disk, path, false, &inode);
        if (status != KVORUM_OK)
            return status;
    }
    *ret_file = make_file(disk, inode, false);
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

static kvorum_status sim_pread(struct disk_file *base, void *data, size_t size, uint64_t offset,
                               size_t *ret_size)
{
    struct sim_file *file = file_of(base);
    if (!has_power(file->disk) || sim_disk_unreadable(file->disk, file->inode, offset, size))
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
    breathe(disk);
    if (disk->dead)
        return KVORUM_IO;
    kvorum_status status = KVORUM_OK;
    if (!has_power(disk) || fails(disk))
        status = KVORUM_IO;
    else if (!has_space(disk, file->inode, offset + size))
        status = KVORUM_NO_SPACE;
    if (status != KVORUM_OK && size > 0 && disk->world != NULL)
        size = choose(disk->world, size + 1); /* "on error any part may be written" */
    inode_write(file->inode, bytes_make(data, size), offset);
    return status;
}

static kvorum_status sim_sync(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    breathe(file->disk);
    if (!has_power(file->disk))
        return KVORUM_IO;
    if (fails(file->disk)) {
        PROBE("disk: sync failed");
        inode_sync_failed(file->inode, file->disk->world);
        return KVORUM_IO;
    }
    file->disk->syncs++;
    inode_sync(file->inode);
    return KVORUM_OK;
}

static kvorum_status sim_size(struct disk_file *base, uint64_t *ret_size)
{
    struct sim_file *file = file_of(base);
    if (!has_power(file->disk))
        return KVORUM_IO;
    *ret_size = file->inode->current.size;
    return KVORUM_OK;
}

static kvorum_status resize(struct sim_file *file, uint64_t size)
{
    if (!has_power(file->disk) || fails(file->disk))
        return KVORUM_IO;
    if (!has_space(file->disk, file->inode, size))
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

static kvorum_status sim_map(struct disk_file *base, uint64_t size, uint8_t **ret_memory)
{
    struct sim_file *file = file_of(base);
    struct sim_disk *disk = file->disk;
    if (!disk->maps)
        return KVORUM_UNSUPPORTED;
    if (!has_power(disk) || fails(disk))
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

static kvorum_status sim_rename(struct disk *base, const char *from, const char *to)
{
    struct sim_disk *disk = disk_of(base);
    breathe(disk);
    if (!has_power(disk) || fails(disk))
        return KVORUM_IO;
    struct disk_name *name = names_find(&disk->current, from);
    if (name == NULL || !folder_exists(&disk->current, bytes_make(to, parent_size(to))))
        return KVORUM_NOT_FOUND;
    struct inode *inode = name->inode;
    if (inode->directory)
        return KVORUM_UNSUPPORTED;
    uint32_t group = disk->next_group++;
    change_name(disk, to, inode, group);
    change_name(disk, from, NULL, group);
    return KVORUM_OK;
}

static kvorum_status sim_link(struct disk *base, const char *from, const char *to)
{
    struct sim_disk *disk = disk_of(base);
    if (!has_power(disk) || fails(disk))
        return KVORUM_IO;
    struct disk_name *name = names_find(&disk->current, from);
    if (name == NULL || !folder_exists(&disk->current, bytes_make(to, parent_size(to))))
        return KVORUM_NOT_FOUND;
    if (names_find(&disk->current, to) != NULL)
        return KVORUM_EXISTS;
    change_name(disk, to, name->inode, disk->next_group++);
    return KVORUM_OK;
}

static kvorum_status sim_remove(struct disk *base, const char *path)
{
    struct sim_disk *disk = disk_of(base);
    if (!has_power(disk) || fails(disk))
        return KVORUM_IO;
    if (names_find(&disk->current, path) == NULL)
        return KVORUM_NOT_FOUND;
    change_name(disk, path, NULL, disk->next_group++);
    return KVORUM_OK;
}

static kvorum_status sim_make_dir(struct disk *base, const char *path)
{
    struct sim_disk *disk = disk_of(base);
    if (!has_power(disk) || fails(disk))
        return KVORUM_IO;
    struct disk_name *name = names_find(&disk->current, path);
    if (name != NULL)
        return name->inode->directory ? KVORUM_OK : KVORUM_EXISTS;
    struct inode *inode;
    return create_name(disk, path, true, &inode);
}

static kvorum_status sim_sync_dir(struct disk *base, const char *path)
{
    struct sim_disk *disk = disk_of(base);
    breathe(disk);
    if (!has_power(disk) || fails(disk))
        return KVORUM_IO;
    if (!folder_exists(&disk->current, bytes_of_string(path)))
        return KVORUM_NOT_FOUND;
    sync_names(disk, bytes_of_string(path));
    return KVORUM_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Copies first: `visit` may change names. */
static kvorum_status sim_list(struct disk *base, const char *path,
                              bool (*visit)(void *context, const char *name), void *context)
{
    struct sim_disk *disk = disk_of(base);
    struct bytes folder = bytes_of_string(path);
    if (!has_power(disk))
        return KVORUM_IO;
    if (!folder_exists(&disk->current, folder))
        return KVORUM_NOT_FOUND;
    char **found = calloc(disk->current.count + 1, sizeof(*found));
    size_t count = 0;
    if (found == NULL)
        abort();
    for (size_t i = 0; i < disk->current.count; i++) {
        const char *name = disk->current.list[i].path;
        if (is_in(name, folder))
            found[count++] = copy_text(folder.size == 0 ? name : name + folder.size + 1);
    }
    qsort(found, count, sizeof(*found), compare_paths);
    bool more = true;
    for (size_t i = 0; i < count; i++) {
        more = more && visit(context, found[i]);
        free(found[i]);
    }
    free(found);
    return KVORUM_OK;
}

static kvorum_status sim_lock(struct disk *base, const char *path, struct disk_file **ret_file)
{
    struct sim_disk *disk = disk_of(base);
    if (!has_power(disk))
        return KVORUM_IO;
    struct disk_name *name = names_find(&disk->current, path);
    struct inode *inode = name == NULL ? NULL : name->inode;
    if (inode != NULL && inode->locked)
        return KVORUM_LOCKED;
    if (inode == NULL) {
        kvorum_status status = create_name(disk, path, false, &inode);
        if (status != KVORUM_OK)
            return status;
    }
    inode->locked = true;
    *ret_file = make_file(disk, inode, true);
    return KVORUM_OK;
}

static const struct disk_ops sim_disk_ops = {
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
    .rename = sim_rename,
    .link = sim_link,
    .remove = sim_remove,
    .make_dir = sim_make_dir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .lock = sim_lock,
};

/* --- the disk as a whole --------------------------------------------------------------------- */

void sim_disk_init(struct sim_disk *disk, struct world *world)
{
    *disk = (struct sim_disk){ .base = { &sim_disk_ops }, .world = world };
    list_init(&disk->mapped);
}

void sim_disk_done(struct sim_disk *disk)
{
    assert(disk->open_files == 0 && list_empty(&disk->mapped));
    for (size_t i = 0; i < disk->inode_count; i++)
        inode_destroy(disk->inodes[i]);
    for (size_t i = 0; i < disk->change_count; i++)
        free(disk->changes[i].path);
    names_clear(&disk->synced);
    names_clear(&disk->current);
    free(disk->synced.list);
    free(disk->current.list);
    free(disk->changes);
    free(disk->inodes);
    free(disk->scars);
}

void sim_disk_crash(struct sim_disk *disk)
{
    sim_disk_stop(disk);
    disk->fuse = 0;
    for (size_t i = 0; i < disk->inode_count; i++)
        inode_crash(disk->inodes[i], disk->world);
    crash_names(disk);
}

void sim_disk_restart(struct sim_disk *disk)
{
    assert(disk->open_files == 0 && list_empty(&disk->mapped));
    disk->dead = false;
}

void sim_disk_copy_synced(const struct sim_disk *disk, struct sim_disk *ret_copy)
{
    sim_disk_init(ret_copy, NULL);
    for (size_t i = 0; i < disk->synced.count; i++) {
        const struct disk_name *name = &disk->synced.list[i];
        struct inode *inode = add_inode(ret_copy, inode_copy_synced(name->inode));
        names_set(&ret_copy->synced, name->path, inode);
        names_set(&ret_copy->current, name->path, inode);
        sim_disk_heal_copy(disk, name->inode, inode);
    }
    drop_orphans(&ret_copy->synced);
    names_copy(&ret_copy->current, &ret_copy->synced);
}

/* --- rot ------------------------------------------------------------------------------------ */

/* Files are chosen in the order of their names, not in that of the list, which nothing promises. */
static const struct disk_name *nth_of(const struct disk_names *names, const char *part, size_t n)
{
    const struct disk_name *last = NULL;
    for (size_t round = 0; round <= n; round++) {
        const struct disk_name *next = NULL;
        for (size_t i = 0; i < names->count; i++) {
            const struct disk_name *name = &names->list[i];
            bool behind = last == NULL || strcmp(name->path, last->path) > 0;
            if (strstr(name->path, part) != NULL && name->inode->synced.size > 0 && behind &&
                (next == NULL || strcmp(name->path, next->path) < 0))
                next = name;
        }
        if (next == NULL)
            return NULL;
        last = next;
    }
    return last;
}

const char *sim_disk_rot(struct sim_disk *disk, struct world *world, const char *part)
{
    size_t count = 0;
    while (nth_of(&disk->current, part, count) != NULL)
        count++;
    if (count == 0)
        return NULL;
    const struct disk_name *name = nth_of(&disk->current, part, (size_t)choose(world, count));
    struct inode *inode = name->inode;
    size_t offset = (size_t)choose(world, inode->synced.size);
    uint8_t bit = (uint8_t)(1u << choose(world, 8));
    inode->synced.data[offset] ^= bit;
    if (offset < inode->current.size)
        inode->current.data[offset] ^= bit;
    return name->path;
}
