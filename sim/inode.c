/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inode.h"

#include <assert.h>
#include <stdlib.h>

#include "base/planted.h"

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void content_resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size > 2 * content->capacity ? size : 2 * content->capacity;
        content->data = allocate(content->data, content->capacity);
    }
    if (size > content->size)
        memset(content->data + content->size, 0, size - content->size);
    content->size = size;
}

static void content_write(struct content *content, struct bytes data, uint64_t offset)
{
    if (data.size == 0)
        return;
    if (offset + data.size > content->size)
        content_resize(content, offset + data.size);
    memcpy(content->data + offset, data.data, data.size);
}

static void content_copy(struct content *to, const struct content *from)
{
    content_resize(to, from->size);
    if (from->size > 0)
        memcpy(to->data, from->data, from->size);
}

struct inode *inode_create(bool directory)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    if (inode == NULL)
        abort();
    inode->directory = directory;
    return inode;
}

static void forget_changes(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        free(inode->changes[i].data);
    inode->change_count = 0;
}

void inode_destroy(struct inode *inode)
{
    forget_changes(inode);
    free(inode->changes);
    free(inode->synced.data);
    free(inode->current.data);
    free(inode);
}

struct inode *inode_copy_synced(const struct inode *from)
{
    struct inode *inode = inode_create(from->directory);
    content_copy(&inode->synced, &from->synced);
    content_copy(&inode->current, &from->synced);
    return inode;
}

static void add_change(struct inode *inode, struct content_change change)
{
    if (inode->change_count == inode->change_capacity) {
        inode->change_capacity = inode->change_capacity == 0 ? 8 : inode->change_capacity * 2;
        inode->changes = allocate(inode->changes, inode->change_capacity * sizeof(*inode->changes));
    }
    inode->changes[inode->change_count++] = change;
}

void inode_write(struct inode *inode, struct bytes data, uint64_t offset)
{
    struct content_change change = { .offset = offset, .size = data.size };
    if (data.size == 0)
        return;
    change.data = allocate(NULL, data.size);
    memcpy(change.data, data.data, data.size);
    add_change(inode, change);
    content_write(&inode->current, data, offset);
}

void inode_resize(struct inode *inode, uint64_t size)
{
    add_change(inode, (struct content_change){ .resize = true, .offset = size });
    content_resize(&inode->current, size);
}

static void apply(struct content *content, const struct content_change *change)
{
    if (change->resize)
        content_resize(content, change->offset);
    else
        content_write(content, bytes_make(change->data, change->size), change->offset);
}

void inode_sync(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        apply(&inode->synced, &inode->changes[i]);
    forget_changes(inode);
}

/* Sectors of the disk, not of the write: two writes into one sector tear alike. */
static void apply_torn(struct content *content, const struct content_change *change,
                       struct world *world)
{
    size_t done = 0;
    while (done < change->size) {
        uint64_t at = change->offset + done;
        size_t size = SIM_SECTOR_SIZE - at % SIM_SECTOR_SIZE;
        if (size > change->size - done)
            size = change->size - done;
        if (choose(world, 2) == 0)
            content_write(content, bytes_make(change->data + done, size), at);
        done += size;
    }
}

static void decide_fates(struct inode *inode, struct world *world)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct content_change *change = &inode->changes[i];
        uint64_t fate = choose(world, 3);
        if (fate == 0)
            PROBE("disk: un-synced write lost");
        else if (fate == 1)
            apply(&inode->synced, change);
        else if (!change->resize) {
            PROBE("disk: write torn");
            apply_torn(&inode->synced, change, world);
        }
    }
    forget_changes(inode);
}

void inode_sync_failed(struct inode *inode, struct world *world)
{
    decide_fates(inode, world);
}

void inode_crash(struct inode *inode, struct world *world)
{
    decide_fates(inode, world);
    inode->locked = false;
    content_copy(&inode->current, &inode->synced);
}
