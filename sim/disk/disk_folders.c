/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk_internal.h"

#include <stdlib.h>

kvorum_status sim_disk_rename(struct disk *base, const char *from, const char *to)
{
    struct sim_disk *disk = sim_disk_of(base);
    sim_disk_breathe(disk);
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    struct disk_name *name = disk_names_find(&disk->current, from);
    if (name == NULL ||
        !disk_names_have_folder(&disk->current, bytes_make(to, disk_parent_size(to))))
        return KVORUM_NOT_FOUND;
    struct inode *inode = name->inode;
    if (inode->directory)
        return KVORUM_UNSUPPORTED;
    uint32_t group = disk->next_group++;
    sim_disk_change_name(disk, to, inode, group);
    sim_disk_change_name(disk, from, NULL, group);
    return KVORUM_OK;
}

kvorum_status sim_disk_link(struct disk *base, const char *from, const char *to)
{
    struct sim_disk *disk = sim_disk_of(base);
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    struct disk_name *name = disk_names_find(&disk->current, from);
    if (name == NULL ||
        !disk_names_have_folder(&disk->current, bytes_make(to, disk_parent_size(to))))
        return KVORUM_NOT_FOUND;
    if (disk_names_find(&disk->current, to) != NULL)
        return KVORUM_EXISTS;
    sim_disk_change_name(disk, to, name->inode, disk->next_group++);
    return KVORUM_OK;
}

kvorum_status sim_disk_remove(struct disk *base, const char *path)
{
    struct sim_disk *disk = sim_disk_of(base);
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    if (disk_names_find(&disk->current, path) == NULL)
        return KVORUM_NOT_FOUND;
    sim_disk_change_name(disk, path, NULL, disk->next_group++);
    return KVORUM_OK;
}

kvorum_status sim_disk_make_dir(struct disk *base, const char *path)
{
    struct sim_disk *disk = sim_disk_of(base);
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    struct disk_name *name = disk_names_find(&disk->current, path);
    if (name != NULL)
        return name->inode->directory ? KVORUM_OK : KVORUM_EXISTS;
    struct inode *inode;
    return sim_disk_create_name(disk, path, true, &inode);
}

kvorum_status sim_disk_sync_dir(struct disk *base, const char *path)
{
    struct sim_disk *disk = sim_disk_of(base);
    sim_disk_breathe(disk);
    if (!sim_disk_has_power(disk) || sim_disk_fails(disk))
        return KVORUM_IO;
    if (!disk_names_have_folder(&disk->current, bytes_of_string(path)))
        return KVORUM_NOT_FOUND;
    sim_disk_sync_names(disk, bytes_of_string(path));
    return KVORUM_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Copies first: `visit` may change names. */
kvorum_status sim_disk_list(struct disk *base, const char *path,
                            bool (*visit)(void *context, const char *name), void *context)
{
    struct sim_disk *disk = sim_disk_of(base);
    struct bytes folder = bytes_of_string(path);
    if (!sim_disk_has_power(disk))
        return KVORUM_IO;
    if (!disk_names_have_folder(&disk->current, folder))
        return KVORUM_NOT_FOUND;
    char **found = calloc(disk->current.count + 1, sizeof(*found));
    size_t count = 0;
    if (found == NULL)
        abort();
    for (size_t i = 0; i < disk->current.count; i++) {
        const char *name = disk->current.list[i].path;
        if (disk_is_in(name, folder))
            found[count++] = disk_copy_text(folder.size == 0 ? name : name + folder.size + 1);
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
