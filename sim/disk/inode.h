/* SPDX-License-Identifier: Apache-2.0 */
/** One simulated file: what would survive a power failure for certain, and on top of it the changes
 *  that were not synced.
 *
 *      synced  ----------------------------------->  after a crash: synced + some of the changes,
 *      changes  write 0..511 | resize | write ...    each alone kept, dropped, or torn by sector
 *      current = synced + all changes                what the running process reads
 *      mapping = current + what was stored there since somebody looked
 *
 *  Nobody is called when a process stores into a mapping.  inode_notice compares it with `current`,
 *  and what differs becomes changes, one a page.  The kernel may write a page back at any moment,
 *  also in the middle of a store: in such a change a sector may also be torn itself. */
#ifndef SIM_INODE_H
#define SIM_INODE_H

#include "base/bytes.h"
#include "base/list.h"
#include "sim/world/world.h"

enum { SIM_SECTOR_SIZE = 512, SIM_PAGE_SIZE = 4096 };

struct content {
    uint8_t *data;
    size_t size, capacity;
};

struct content_change {
    bool resize; /* to `offset`; else a write of `data` there */
    bool stored; /* through a mapping */
    uint64_t offset;
    size_t size;
    uint8_t *data;
};

struct inode {
    bool directory;
    bool locked;
    struct content synced, current;
    struct content_change *changes;
    size_t change_count, change_capacity;
    struct list mapped; /* among those of its disk */
    uint8_t *mapping;   /* NULL: none */
    size_t mapping_size;
};

struct inode *inode_create(bool directory);
void inode_destroy(struct inode *inode);
/** A file that holds what is synced in `from`. */
struct inode *inode_copy_synced(const struct inode *from);

void inode_write(struct inode *inode, struct bytes data, uint64_t offset);
void inode_resize(struct inode *inode, uint64_t size);
void inode_sync(struct inode *inode);
/** The first `size` bytes, which are there, as memory to store to; one mapping at a time. */
uint8_t *inode_map(struct inode *inode, size_t size);
/** Take note of what was stored into the mapping, if there is one. */
void inode_notice(struct inode *inode);
/** What was not noticed is forgotten: a process that lost its power stores for nobody. */
void inode_unmap(struct inode *inode);
/** A sync failed: each change reached the disk or not, and no later sync will try again, although
 *  `current` goes on showing all of them. */
void inode_sync_failed(struct inode *inode, struct world *world);
/** Power failed: decide the fate of each change. */
void inode_crash(struct inode *inode, struct world *world);

#endif
