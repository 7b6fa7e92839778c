/* SPDX-License-Identifier: Apache-2.0 */
/** One simulated file: what would survive a power failure for certain, and on top of it the changes
 *  that were not synced.
 *
 *      synced  ----------------------------------->  after a crash: synced + some of the changes,
 *      changes  write 0..511 | resize | write ...    each alone kept, dropped, or torn by sector
 *      current = synced + all changes                what the running process reads
 */
#ifndef SIM_INODE_H
#define SIM_INODE_H

#include "base/bytes.h"
#include "sim/world.h"

enum { SIM_SECTOR_SIZE = 512 };

struct content {
    uint8_t *data;
    size_t size, capacity;
};

struct content_change {
    bool resize; /* to `offset`; else a write of `data` there */
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
};

struct inode *inode_create(bool directory);
void inode_destroy(struct inode *inode);
/** A file that holds what is synced in `from`. */
struct inode *inode_copy_synced(const struct inode *from);

void inode_write(struct inode *inode, struct bytes data, uint64_t offset);
void inode_resize(struct inode *inode, uint64_t size);
void inode_sync(struct inode *inode);
/** A sync failed: each change reached the disk or not, and no later sync will try again, although
 *  `current` goes on showing all of them. */
void inode_sync_failed(struct inode *inode, struct world *world);
/** Power failed: decide the fate of each change. */
void inode_crash(struct inode *inode, struct world *world);

#endif
