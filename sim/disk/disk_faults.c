/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk_internal.h"

#include "base/planted.h"
#include "sim/seams/fiber.h"

/* --- power ----------------------------------------------------------------------------------- */

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

bool sim_disk_has_power(struct sim_disk *disk)
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

void sim_disk_breathe(struct sim_disk *disk)
{
    if (disk->world != NULL && fiber_inside() && choose(disk->world, 2) == 0)
        fiber_pause();
}

/* --- errors and space ------------------------------------------------------------------------ */

bool sim_disk_fails(struct sim_disk *disk)
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

bool sim_disk_has_space(const struct sim_disk *disk, const struct inode *inode, uint64_t size)
{
    if (disk->space_limit == 0 || size <= inode->current.size)
        return true;
    return used_space(disk) + (size - inode->current.size) <= disk->space_limit;
}

/* --- rot ------------------------------------------------------------------------------------- */

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
