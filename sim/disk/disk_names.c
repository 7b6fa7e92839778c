/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk_internal.h"

#include <stdlib.h>

#include "base/planted.h"
#include "sim/world/grow.h"

char *disk_copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

/* --- a set of names -------------------------------------------------------------------------- */

struct disk_name *disk_names_find(const struct disk_names *names, const char *path)
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

void disk_names_set(struct disk_names *names, const char *path, struct inode *inode)
{
    struct disk_name *name = disk_names_find(names, path);
    if (inode == NULL) {
        if (name != NULL)
            names_remove(names, name);
        return;
    }
    if (name != NULL) {
        name->inode = inode;
        return;
    }
    names->list = sim_grow(names->list, names->count, &names->capacity, sizeof(*names->list));
    names->list[names->count++] = (struct disk_name){ disk_copy_text(path), inode };
}

void disk_names_clear(struct disk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i].path);
    names->count = 0;
}

void disk_names_copy(struct disk_names *to, const struct disk_names *from)
{
    disk_names_clear(to);
    for (size_t i = 0; i < from->count; i++)
        disk_names_set(to, from->list[i].path, from->list[i].inode);
}

/* --- folders --------------------------------------------------------------------------------- */

size_t disk_parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool disk_is_in(const char *path, struct bytes folder)
{
    return bytes_equal(bytes_make(path, disk_parent_size(path)), folder);
}

bool disk_names_have_folder(const struct disk_names *names, struct bytes folder)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct disk_name *name = &names->list[i];
        if (name->inode->directory && bytes_equal(bytes_of_string(name->path), folder))
            return true;
    }
    return folder.size == 0;
}

void disk_names_drop_orphans(struct disk_names *names)
{
    for (size_t i = 0; i < names->count;) {
        const char *path = names->list[i].path;
        if (disk_names_have_folder(names, bytes_make(path, disk_parent_size(path)))) {
            i++;
            continue;
        }
        names_remove(names, &names->list[i]);
        i = 0;
    }
}

/* --- changes --------------------------------------------------------------------------------- */

struct inode *sim_disk_add_inode(struct sim_disk *disk, struct inode *inode)
{
    disk->inodes =
        sim_grow(disk->inodes, disk->inode_count, &disk->inode_capacity, sizeof(*disk->inodes));
    disk->inodes[disk->inode_count++] = inode;
    return inode;
}

void sim_disk_change_name(struct sim_disk *disk, const char *path, struct inode *inode,
                          uint32_t group)
{
    disk_names_set(&disk->current, path, inode);
    disk->changes =
        sim_grow(disk->changes, disk->change_count, &disk->change_capacity, sizeof(*disk->changes));
    disk->changes[disk->change_count++] =
        (struct name_change){ disk_copy_text(path), inode, group, false };
}

kvorum_status sim_disk_create_name(struct sim_disk *disk, const char *path, bool directory,
                                   struct inode **ret_inode)
{
    if (!disk_names_have_folder(&disk->current, bytes_make(path, disk_parent_size(path))))
        return KVORUM_NOT_FOUND;
    *ret_inode = sim_disk_add_inode(disk, inode_create(directory));
    sim_disk_change_name(disk, path, *ret_inode, disk->next_group++);
    return KVORUM_OK;
}

static bool group_touches(const struct sim_disk *disk, uint32_t group, struct bytes folder)
{
    for (size_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].group == group && disk_is_in(disk->changes[i].path, folder))
            return true;
    }
    return false;
}

/* Changes of other folders keep waiting, in their order. */
void sim_disk_sync_names(struct sim_disk *disk, struct bytes folder)
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
        disk_names_set(&disk->synced, change.path, change.inode);
        free(change.path);
    }
    disk->change_count = kept;
}

void sim_disk_crash_names(struct sim_disk *disk)
{
    size_t kept = disk->change_count == 0 ? 0 : choose(disk->world, disk->change_count + 1);
    while (kept > 0 && kept < disk->change_count &&
           disk->changes[kept].group == disk->changes[kept - 1].group)
        kept++;
    if (kept < disk->change_count)
        PROBE("disk: un-synced name lost in a crash");
    for (size_t i = 0; i < disk->change_count; i++) {
        if (i < kept)
            disk_names_set(&disk->synced, disk->changes[i].path, disk->changes[i].inode);
        free(disk->changes[i].path);
    }
    disk->change_count = 0;
    disk_names_drop_orphans(&disk->synced);
    disk_names_copy(&disk->current, &disk->synced);
}
