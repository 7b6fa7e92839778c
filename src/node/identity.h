/* SPDX-License-Identifier: Apache-2.0 */
/** Who a data directory is.  A directory gets an id of its own when it is made, and the node is
 *  named by it: a node that lost its disk is a new node.
 *
 *  A version's dot is (actor, counter), and a dot must never name two writes.  Counters are found
 *  again from what the stores hold, so whenever something may have been lost (a crash with writes
 *  not yet synced, an engine in memory) the next life writes under a new actor: actor = hash of
 *  (directory id, actor epoch), and the epoch is raised, on disk, before anything is served.
 *  Only a clean shutdown of durable stores keeps it, and that mark is removed first of all.
 *
 *  The file `identity`, 96 bytes, little-endian:
 *
 *      offset size
 *       0     8    magic "KVORUMID"
 *       8     2    format version 1
 *      10     2    flags: 1 clean shutdown, 2 all stores were made
 *      12     2    stores, fixed when the directory is made
 *      14     2    zero
 *      16    16    id of the directory and node
 *      32    16    id of the cluster; zeros until it belongs to one
 *      48     8    actor epoch, from 1
 *      56    16    engine of the stores, padded with zeros
 *      72    16    zero
 *      88     8    checksum: XXH3-64 of bytes 0..87
 */
#ifndef NODE_IDENTITY_H
#define NODE_IDENTITY_H

#include "base/arena.h"
#include "base/disk.h"
#include "cluster/ring/ring.h"

enum { IDENTITY_SIZE = 96, IDENTITY_ENGINE_MAX = 15 };

struct identity {
    struct node_id node, cluster;
    uint64_t actor_epoch;
    uint16_t store_count;
    bool clean;
    bool stores_made; /* one that is missing then is a loss, and not to be made anew */
    char engine[IDENTITY_ENGINE_MAX + 1];
};

struct identity_options {
    bool create;             /* make one when the directory is empty */
    bool volatile_stores;    /* the engine forgets at exit: a clean mark means nothing */
    struct node_id fresh_id; /* entropy, used when it is made */
    uint16_t store_count;    /* used when it is made */
    const char *engine;      /* must be the one it was made with */
};

/** Open or make the identity of `disk`'s root, and start a new life of it: when this returns OK,
 *  the clean mark is gone and the actor epoch is safe to write under, both durably.
 *  NOT_FOUND     empty and not `create`             FOREIGN       files, but not ours
 *  CORRUPT       truncated or damaged               NEWER_FORMAT  of a later release
 *  INVALID       made with another engine           NO_SPACE, IO
 *  *ret_why then says it for people (static text).  The caller holds the directory's lock. */
KVORUM_CHECKED kvorum_status identity_open(struct disk *disk,
                                           const struct identity_options *options,
                                           struct identity *ret_identity, const char **ret_why);

/** The node has become part of `cluster`, durably.  WRONG_CLUSTER when it belongs to another. */
KVORUM_CHECKED kvorum_status identity_join(struct disk *disk, struct identity *identity,
                                           const struct node_id *cluster);
/** Every store exists, durably. */
KVORUM_CHECKED kvorum_status identity_mark_stores_made(struct disk *disk,
                                                       struct identity *identity);
/** All stores are synced and closed: the next life may keep the actor. */
KVORUM_CHECKED kvorum_status identity_mark_clean(struct disk *disk, struct identity *identity);

/** Names this directory in this life: node_config.actor. */
uint64_t identity_actor(const struct identity *identity);
bool identity_has_cluster(const struct identity *identity);

/** The file's bytes, for identity_open and tests. */
void identity_encode(const struct identity *identity, uint8_t ret_bytes[IDENTITY_SIZE]);
KVORUM_CHECKED kvorum_status identity_decode(struct bytes bytes, struct identity *ret_identity,
                                             const char **ret_why);

/** The epoch record in force, file `epoch`.  Durable when OK is returned. */
KVORUM_CHECKED kvorum_status identity_save_epoch(struct disk *disk, struct identity *identity,
                                                 const struct epoch *epoch);
/** The same for a member, whose identity has the cluster already; `record` as from epoch_encode.
 *  Blocks; on any thread. */
KVORUM_CHECKED kvorum_status identity_replace_epoch(struct disk *disk, struct bytes record);
/** NOT_FOUND before the founding; WRONG_CLUSTER when the record is of another cluster than the
 *  identity, or does not list this node; CORRUPT, NEWER_FORMAT, IO.  An identity without a cluster
 *  is completed: the crash came between the two files. */
KVORUM_CHECKED kvorum_status identity_load_epoch(struct disk *disk, struct identity *identity,
                                                 struct arena *arena, struct epoch *ret_epoch,
                                                 const char **ret_why);

#endif
