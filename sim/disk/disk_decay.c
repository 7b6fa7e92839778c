/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/disk_decay.h"

#include <assert.h>
#include <stdlib.h>

enum { SCARS_MAX = 64 };

struct disk_scar {
    struct inode *inode;
    size_t offset, size;
    bool unreadable;
    uint8_t before[SIM_SECTOR_SIZE], after[SIM_SECTOR_SIZE];
};

const char *sim_disk_decay_name(enum disk_decay decay)
{
    static const char *const names[] = { "a bit flips", "a sector was not written",
                                         "a sector holds another's bytes",
                                         "a sector cannot be read" };
    return names[decay];
}

/* --- which file ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    const struct disk_name *const *left = a, *const *right = b;
    return strcmp((*left)->path, (*right)->path);
}

static bool is_segment(const char *path)
{
    size_t size = strlen(path);
    return strstr(path, "log-") != NULL && size > 4 && strcmp(path + size - 4, ".log") == 0;
}

static bool has_successor(const struct sim_disk *disk, const char *path)
{
    size_t prefix = (size_t)(strstr(path, "log-") - path);
    for (size_t i = 0; i < disk->current.count; i++) {
        const char *other = disk->current.list[i].path;
        if (is_segment(other) && strncmp(other, path, prefix) == 0 && strcmp(other, path) > 0)
            return true;
    }
    return false;
}

static bool may_decay(const struct sim_disk *disk, const struct disk_name *name, const char *part)
{
    const char *path = name->path;
    size_t size = strlen(path);
    if (strstr(path, part) == NULL || name->inode->directory || name->inode->mapping != NULL ||
        name->inode->synced.size == 0 || name->inode->current.size < name->inode->synced.size ||
        (size > 4 && strcmp(path + size - 4, ".new") == 0))
        return false;
    return strcmp(part, "log-") != 0 || (is_segment(path) && has_successor(disk, path));
}

/* In the order of their names: the list's own is nobody's promise. */
static const struct disk_name *choose_file(const struct sim_disk *disk, const char *part)
{
    const struct disk_name **found = calloc(disk->current.count + 1, sizeof(*found));
    const struct disk_name *chosen = NULL;
    size_t count = 0;
    if (found == NULL)
        abort();
    for (size_t i = 0; i < disk->current.count; i++)
        if (may_decay(disk, &disk->current.list[i], part))
            found[count++] = &disk->current.list[i];
    qsort(found, count, sizeof(*found), compare_names);
    if (count > 0)
        chosen = found[choose(disk->world, count)];
    free(found);
    return chosen;
}

/* --- what happens to it ---------------------------------------------------------------------- */

static void put_bytes(struct inode *inode, size_t offset, const uint8_t *bytes, size_t size)
{
    memcpy(inode->synced.data + offset, bytes, size);
    memcpy(inode->current.data + offset, bytes, size);
}

/* What was meant for another sector of the file, or of a file of one sector what it has itself. */
static void take_from_elsewhere(struct world *world, const struct inode *inode,
                                struct disk_scar *scar)
{
    size_t sectors = inode->synced.size / SIM_SECTOR_SIZE;
    size_t from = sectors == 0 ? 0 : (size_t)choose(world, sectors) * SIM_SECTOR_SIZE;
    memcpy(scar->after, inode->synced.data + from, scar->size);
}

static void scar_bytes(struct world *world, enum disk_decay decay, struct disk_scar *scar)
{
    struct inode *inode = scar->inode;
    memcpy(scar->before, inode->synced.data + scar->offset, scar->size);
    memcpy(scar->after, scar->before, scar->size);
    if (decay == DECAY_FLIP)
        scar->after[choose(world, scar->size)] ^= (uint8_t)(1u << choose(world, 8));
    else if (decay == DECAY_LOST_WRITE)
        memset(scar->after, 0, scar->size);
    else if (decay == DECAY_MISDIRECTED)
        take_from_elsewhere(world, inode, scar);
    scar->unreadable = decay == DECAY_UNREADABLE;
    put_bytes(inode, scar->offset, scar->after, scar->size);
}

const char *sim_disk_decay(struct sim_disk *disk, enum disk_decay decay, const char *part)
{
    const struct disk_name *name = choose_file(disk, part);
    if (name == NULL || disk->scar_count == SCARS_MAX)
        return NULL;
    if (disk->scars == NULL)
        disk->scars = calloc(SCARS_MAX, sizeof(*disk->scars));
    if (disk->scars == NULL)
        abort();
    size_t size = name->inode->synced.size;
    size_t sectors = (size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE;
    size_t offset = (size_t)choose(disk->world, sectors) * SIM_SECTOR_SIZE;
    struct disk_scar *scar = &disk->scars[disk->scar_count++];
    *scar = (struct disk_scar){ .inode = name->inode,
                                .offset = offset,
                                .size = size - offset < SIM_SECTOR_SIZE ? size - offset
                                                                        : SIM_SECTOR_SIZE };
    scar_bytes(disk->world, decay, scar);
    return name->path;
}

/* --- taking it back -------------------------------------------------------------------------- */

/* Byte by byte: what stands beside it may have been written since. */
static void heal(struct content *content, const struct disk_scar *scar)
{
    for (size_t i = 0; i < scar->size && scar->offset + i < content->size; i++)
        if (content->data[scar->offset + i] == scar->after[i])
            content->data[scar->offset + i] = scar->before[i];
}

static void heal_both(struct inode *inode, const struct disk_scar *scar)
{
    heal(&inode->synced, scar);
    heal(&inode->current, scar);
}

/* The newest first: they may overlap. */
void sim_disk_heal_copy(const struct sim_disk *disk, const struct inode *inode, struct inode *copy)
{
    for (size_t i = disk->scar_count; i-- > 0;)
        if (disk->scars[i].inode == inode)
            heal_both(copy, &disk->scars[i]);
}

bool sim_disk_undo_decay(struct sim_disk *disk)
{
    bool any = disk->scar_count > 0;
    while (disk->scar_count > 0) {
        const struct disk_scar *scar = &disk->scars[--disk->scar_count];
        heal_both(scar->inode, scar);
    }
    return any;
}

void sim_disk_forget_decay(struct sim_disk *disk)
{
    disk->scar_count = 0;
}

void sim_disk_read_again(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->scar_count; i++)
        disk->scars[i].unreadable = false;
}

bool sim_disk_unreadable(const struct sim_disk *disk, const struct inode *inode, uint64_t offset,
                         size_t size)
{
    for (size_t i = 0; i < disk->scar_count; i++) {
        const struct disk_scar *scar = &disk->scars[i];
        if (scar->unreadable &&
            (inode == NULL || (scar->inode == inode && offset < scar->offset + scar->size &&
                               scar->offset < offset + size)))
            return true;
    }
    return false;
}
