/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk/inode.h"

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
    list_init(&inode->mapped);
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
    assert(inode->mapping == NULL);
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

/* --- a mapping ------------------------------------------------------------------------------- */

/* How much of the mapping has a file behind it. */
static size_t backed_size(const struct inode *inode)
{
    size_t size = inode->current.size;
    return size < inode->mapping_size ? size : inode->mapping_size;
}

/* What a call changed is seen in the mapping too. */
static void show_mapped(struct inode *inode, uint64_t offset, size_t size)
{
    size_t end = backed_size(inode);
    if (offset >= end)
        return;
    if (size > end - offset)
        size = end - offset;
    memcpy(inode->mapping + offset, inode->current.data + offset, size);
}

uint8_t *inode_map(struct inode *inode, size_t size)
{
    assert(inode->mapping == NULL && size > 0 && size <= inode->current.size);
    inode->mapping = allocate(NULL, size);
    inode->mapping_size = size;
    show_mapped(inode, 0, size);
    return inode->mapping;
}

void inode_unmap(struct inode *inode)
{
    free(inode->mapping);
    inode->mapping = NULL;
    inode->mapping_size = 0;
}

/* --- changes --------------------------------------------------------------------------------- */

static void add_change(struct inode *inode, struct content_change change)
{
    if (inode->change_count == inode->change_capacity) {
        inode->change_capacity = inode->change_capacity == 0 ? 8 : inode->change_capacity * 2;
        inode->changes = allocate(inode->changes, inode->change_capacity * sizeof(*inode->changes));
    }
    inode->changes[inode->change_count++] = change;
}

static void add_write(struct inode *inode, struct bytes data, uint64_t offset, bool stored)
{
    struct content_change change = { .stored = stored, .offset = offset, .size = data.size };
    change.data = allocate(NULL, data.size);
    memcpy(change.data, data.data, data.size);
    add_change(inode, change);
    content_write(&inode->current, data, offset);
}

void inode_write(struct inode *inode, struct bytes data, uint64_t offset)
{
    if (data.size == 0)
        return;
    add_write(inode, data, offset, false);
    show_mapped(inode, offset, data.size);
}

void inode_resize(struct inode *inode, uint64_t size)
{
    size_t before = inode->current.size;
    add_change(inode, (struct content_change){ .resize = true, .offset = size });
    content_resize(&inode->current, size);
    if (size < inode->mapping_size)
        memset(inode->mapping + size, 0, inode->mapping_size - size);
    else if (size > before)
        show_mapped(inode, before, size - before);
}

/* From the first byte that differs in this page to the last. */
static void notice_page(struct inode *inode, size_t begin, size_t end)
{
    const uint8_t *stored = inode->mapping, *known = inode->current.data;
    while (begin < end && stored[begin] == known[begin])
        begin++;
    while (begin < end && stored[end - 1] == known[end - 1])
        end--;
    if (begin == end)
        return;
    PROBE("disk: stored into a mapping");
    add_write(inode, bytes_make(stored + begin, end - begin), begin, true);
}

void inode_notice(struct inode *inode)
{
    size_t size = backed_size(inode);
    for (size_t i = size; i < inode->mapping_size; i++)
        assert(inode->mapping[i] == 0); /* SIGBUS: stored where the file had been cut off */
    for (size_t begin = 0; begin < size; begin += SIM_PAGE_SIZE) {
        size_t end = size - begin < SIM_PAGE_SIZE ? size : begin + SIM_PAGE_SIZE;
        if (memcmp(inode->mapping + begin, inode->current.data + begin, end - begin) != 0)
            notice_page(inode, begin, end);
    }
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

/* A sector that was written back while it was stored to: one part is older than the other. */
static void apply_half(struct content *content, struct bytes data, uint64_t offset,
                       struct world *world)
{
    size_t cut = choose(world, data.size + 1);
    PROBE("disk: a sector of a mapping torn");
    if (choose(world, 2) == 0)
        content_write(content, bytes_make(data.data, cut), offset);
    else
        content_write(content, bytes_make(data.data + cut, data.size - cut), offset + cut);
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
        struct bytes sector = bytes_make(change->data + done, size);
        uint64_t fate = choose(world, change->stored ? 3 : 2);
        if (fate == 0)
            content_write(content, sector, at);
        else if (fate == 2)
            apply_half(content, sector, at, world);
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
