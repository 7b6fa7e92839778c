/* SPDX-License-Identifier: Apache-2.0 */
/** Who a data directory is.  A directory gets an id of its own when it is made, and the node is
 *  named by it: a node that lost its disk is a new node.
 *
 *  Each start of it is a *life* with a number, one above the last, and a random id.  A version's
 *  dot is (actor, counter), and a dot must never name two writes.  Counters are found again from
 *  what the stores hold, which may be less than there was (a crash, an engine in memory, a store
 *  that was salvaged, yesterday's copy of the directory): so each life has an actor of its own,
 *  hash of (directory id, number and id of the life), on disk before anything is served.
 *
 *  After a clean stop of durable stores, which are the same ones as then (identity_seal), the life
 *  may go on under the actor that the one before ended with: `inherited`.  That this directory is
 *  the newest of its name only the other members can tell, so the node asks them first: lives.h.
 *
 *  The file `identity`, little-endian, is described in docs/formats/identity.md. */
#ifndef NODE_IDENTITY_H
#define NODE_IDENTITY_H

#include "base/arena.h"
#include "base/disk.h"
#include "cluster/ring/ring.h"
#include "node/members/life.h"

enum { IDENTITY_SIZE = 368, IDENTITY_V1_SIZE = 96, IDENTITY_ENGINE_MAX = 15 };

struct engine;

struct identity {
    struct node_id node, cluster;
    struct node_life life; /* this one */
    uint64_t actor;        /* of a clean stop: what the life that ended wrote under */
    uint64_t seal;         /* of a clean stop: identity_seal of the stores */
    uint64_t inherited;    /* of this life, not in the file: the actor before, or 0 */
    /** Of this life: [first, limit), never used in one before.  The limit is in the file. */
    uint64_t incarnation_first, incarnation_limit;
    uint16_t store_count;
    bool clean;
    bool stores_made; /* one that is missing then is a loss, and not to be made anew */
    char engine[IDENTITY_ENGINE_MAX + 1];
};

struct identity_options {
    bool create;             /* make one when the directory is empty */
    bool volatile_stores;    /* the engine forgets at exit: a clean mark means nothing */
    struct node_id fresh_id; /* entropy, used when it is made */
    uint64_t fresh_life;     /* entropy: id of the life that begins */
    uint16_t store_count;    /* used when it is made */
    const char *engine;      /* must be the one it was made with */
};

/** Open or make the identity of `disk`'s root, and start a new life of it: when this returns OK,
 *  the clean mark is gone and the actor of this life is safe to write under, both durably.
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
/** Incarnations below `limit` are ours, durably. */
KVORUM_CHECKED kvorum_status identity_reserve(struct disk *disk, struct identity *identity,
                                              uint64_t limit);
/** Every store exists, durably. */
KVORUM_CHECKED kvorum_status identity_mark_stores_made(struct disk *disk,
                                                       struct identity *identity);
/** What the stores are: each one's id and last change, of which a salvage, a copy of another day or
 *  a lost tail changes one.  Add up identity_seal_store of all; 0: the engine cannot tell. */
uint64_t identity_seal_store(struct engine *store, uint16_t number);
/** The stores are open, and are these: `inherited` is given up where they are not those that the
 *  clean stop closed.  False: it was. */
bool identity_check_seal(struct identity *identity, uint64_t seal);
/** All stores are synced and closed: the next life may keep `actor`, which this one ended with, if
 *  it finds stores with this seal. */
KVORUM_CHECKED kvorum_status identity_mark_clean(struct disk *disk, struct identity *identity,
                                                 uint64_t actor, uint64_t seal);
/** Remember another life as this one, durably (lives.h). */
KVORUM_CHECKED kvorum_status identity_save_life(struct disk *disk, struct identity *identity,
                                                const struct node_life *life);

/** Of this life alone: node_config.actor. */
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
