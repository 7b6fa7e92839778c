/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/disk/disk_decay.h"
#include "sim/disk/disk_internal.h"

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
    disk_names_clear(&disk->synced);
    disk_names_clear(&disk->current);
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
    sim_disk_crash_names(disk);
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
        struct inode *inode = sim_disk_add_inode(ret_copy, inode_copy_synced(name->inode));
        disk_names_set(&ret_copy->synced, name->path, inode);
        disk_names_set(&ret_copy->current, name->path, inode);
        sim_disk_heal_copy(disk, name->inode, inode);
    }
    disk_names_drop_orphans(&ret_copy->synced);
    disk_names_copy(&ret_copy->current, &ret_copy->synced);
}
