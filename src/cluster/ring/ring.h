/* SPDX-License-Identifier: Apache-2.0 */
/** Who owns what.  An epoch is one numbered, immutable record: the members and the table
 *  partition -> owners.  The 64-bit ring of seeded XXH3 hashes is cut into Q equal partitions.
 *
 *      hash of (type, bucket, key)   0 ........................ 2^64-1
 *      partition = top bits          |  0  |  1  |  2  | ... | Q-1 |
 *      table[partition]              n2 n5 n1, n4 n1 n3, ...        (indices into members)
 */
#ifndef CLUSTER_RING_H
#define CLUSTER_RING_H

#include "base/arena.h"
#include "base/buffer.h"
#include "kvorum/status.h"

enum {
    RING_MEMBERS_MAX = 1000,
    RING_REPLICAS_MAX = 7, /* columns of the table */
    RING_OWNERS_MAX = 16,  /* of a partition, with those that its columns do not name */
    RING_PARTITIONS_DEFAULT = 1024,
    RING_PARTITIONS_MAX = 65536,
    RING_NAME_MAX = 63, /* bytes of a node's or zone's name: letters, digits, - _ . */
    RING_ADDRESS_MAX = 255,
    RING_WEIGHT_DEFAULT = 100, /* 1..10000 */
    RING_VOTERS_MAX = 7,
    RING_CHANGES_MAX = 2 * RING_MEMBERS_MAX,
    NODE_ID_SIZE = 16,
};

#define RING_NO_MEMBER UINT16_MAX

/** Epochs are numbered line * RING_LINE + count.  A recovery from a lost majority of voters begins
 *  the next line (docs/decisions/0012), each number of which is above all of the lines before. */
#define RING_LINE UINT64_C(1000000000)

static inline uint64_t ring_line(uint64_t number)
{
    return number / RING_LINE;
}

struct node_id {
    uint8_t bytes[NODE_ID_SIZE];
};

/** What an epoch says of a member; whether it is alive is gossip's business. */
enum member_state {
    MEMBER_ACTIVE,  /* owns its share */
    MEMBER_JOINING, /* listed and reachable; owns nothing yet, may be given partitions */
    MEMBER_LEAVING, /* still owns what has not moved away */
    MEMBER_GONE,    /* owns nothing and is nobody; its slot may be given to a newcomer */
};

struct member {
    struct node_id id; /* of the node's data directory */
    char name[RING_NAME_MAX + 1];
    char zone[RING_NAME_MAX + 1];
    char address[RING_ADDRESS_MAX + 1]; /* peer address:port */
    uint32_t weight;
    enum member_state state;
};

/** A partition on its way from the owners in the table to others.  A partition without a move is
 *  stable.  Rules: docs/decisions/0007. */
enum move_phase {
    /* Newcomers take writes, and a fenced stream of what was before; reads ask the old owners. */
    MOVE_WRITE_BOTH_READ_OLD = 1,
    MOVE_WRITE_BOTH_READ_NEW, /* reads ask the new owners; the old still take writes */
};

struct move {
    uint32_t partition;
    enum move_phase phase;
    uint64_t session;               /* the epoch that began it: names streams, hints and repairs */
    uint16_t to[RING_REPLICAS_MAX]; /* the row of the table once it is over; replica_count places */
};

/** A change that somebody asked for and nobody has committed yet. */
enum change_kind {
    CHANGE_JOIN = 1, /* a JOINING member gets its share */
    CHANGE_LEAVE,    /* its partitions move away, then it goes */
    CHANGE_REMOVE,   /* it is lost: others take its partitions from the copies that are left */
    CHANGE_REPLACE,  /* the same, and `with`, a JOINING member, takes its share */
    CHANGE_WEIGHT,
    CHANGE_ZONE,
};

struct change {
    enum change_kind kind;
    uint16_t member;
    uint16_t with;                /* REPLACE */
    uint32_t weight;              /* WEIGHT */
    char zone[RING_NAME_MAX + 1]; /* ZONE */
};

struct epoch {
    uint64_t number; /* 1 is the founding */
    struct node_id cluster;
    uint64_t hash_seed;
    uint32_t partition_count; /* a power of two */
    uint8_t replica_count;    /* columns: min(owners, replicas asked for) */
    uint8_t replicas_wanted;  /* asked for at the founding; columns grow up to it */
    uint16_t member_count;
    struct member *members; /* by slot: a member keeps its index as long as it is one */
    /* partition * replica_count + column -> member index; RING_NO_MEMBER at the end of a row that
     * is shorter, while the number of columns changes */
    uint16_t *table;
    uint8_t voter_count;
    uint16_t voters[RING_VOTERS_MAX]; /* who decides the next epoch: member indices */
    uint32_t move_count;
    struct move *moves; /* by ascending partition */
    uint16_t change_count;
    struct change *changes; /* staged: in force when they are committed */
};

struct ring_plan_input {
    const struct member *members; /* by slot; only ACTIVE ones are given anything */
    uint16_t member_count;
    uint32_t partition_count;
    uint8_t replica_count;    /* asked for; at most RING_REPLICAS_MAX */
    const uint16_t *previous; /* table with the same shape and member indices, or NULL.
                                 RING_NO_MEMBER marks a hole left by a member that went */
};

/** Fill `ret_table` (partition_count * min(replica_count, ACTIVE members) entries): shares
 *  proportional to weight, replicas of a partition on distinct members and, while there are as many
 *  zones as replicas, in distinct zones (with fewer zones spread over all of them, where that
 *  leaves the shares as they are); every *prefix* of columns is balanced too, so a bucket with a
 *  smaller n is as even as the whole.  Nobody holds a partition twice: a member heavier than that
 *  allows holds each partition once, a zone likewise, and the others share the rest.
 *  Keeps `previous` where it can: moves are minimal for buckets that use every column; a bucket
 *  with a smaller n may see a few more, where rounding shifts between columns.
 *  A pure function of integers: the same input gives the same table on every machine.
 *  INVALID when no legal table exists (a weight of 0, no members, sizes out of range); `why` says
 *  which rule.  NO_MEMORY.  Scratch memory comes from `arena`: about 16 bytes a partition and 250 a
 *  member.  1,000 members and 65,536 partitions take well below a second. */
KVORUM_CHECKED kvorum_status ring_plan(const struct ring_plan_input *input, struct arena *arena,
                                       uint16_t *ret_table, const char **ret_why);

/** max over ACTIVE members of (partition replicas held / share); 1.0 is perfect.  The share is the
 *  one by weight that ring_plan aims at, with its limits: a lone member holds everything and is at
 *  1.0.  0 when nobody is ACTIVE, or out of memory. */
double ring_imbalance(const struct epoch *epoch);
/** Nodes that may be lost, whichever they are, with every partition keeping a majority of its first
 *  `n` owners (of all members when there are fewer); and the same for whole zones (0 when there is
 *  one zone).  Counted from the table; owners missing from it count as lost.  1 <= n. */
void ring_survives(const struct epoch *epoch, uint8_t n, uint16_t *ret_nodes, uint16_t *ret_zones);

uint64_t ring_hash(const struct epoch *epoch, struct bytes type, struct bytes bucket,
                   struct bytes key);
uint32_t ring_partition_of_hash(const struct epoch *epoch, uint64_t hash);

/** The preference list of a partition: its owners in table order, then every other ACTIVE member in
 *  an order fixed by (partition, member id): stand-ins, and owners beyond the table's columns.
 *  Writes up to `limit` member indices, returns how many. */
uint16_t ring_preference(const struct epoch *epoch, uint32_t partition, uint16_t *ret_members,
                         uint16_t limit);
/** The same were `row` (replica_count places, RING_NO_MEMBER at its end where it is shorter) the
 *  partition's. */
uint16_t ring_preference_of_row(const struct epoch *epoch, uint32_t partition, const uint16_t *row,
                                uint16_t *ret_members, uint16_t limit);
/** Owners that a row names. */
uint8_t ring_row_size(const struct epoch *epoch, const uint16_t *row);
/** How many members may count as owners of a partition with this row: the largest effective n, at
 *  most RING_OWNERS_MAX.  A row that is not full yet has no owners beyond it. */
uint8_t ring_owner_limit_of_row(const struct epoch *epoch, const uint16_t *row);

/** The owners in the table; while the partition moves, those until now. */
static inline const uint16_t *ring_row(const struct epoch *epoch, uint32_t partition)
{
    return epoch->table + (size_t)partition * epoch->replica_count;
}
/** One of the first `count` members that `row` names. */
static inline bool ring_row_holds(const uint16_t *row, uint8_t count, uint16_t member)
{
    for (uint8_t i = 0; i < count; i++)
        if (row[i] == member)
            return true;
    return false;
}
static inline bool ring_is_voter(const struct epoch *epoch, uint16_t member)
{
    return ring_row_holds(epoch->voters, epoch->voter_count, member);
}
/** The move that `partition` is on, or NULL: it is stable. */
const struct move *ring_move_of(const struct epoch *epoch, uint32_t partition);
/** The owners whom reads ask: those until now, or those to come. */
const uint16_t *ring_read_row(const struct epoch *epoch, uint32_t partition);
/** How many members may count as owners of a partition: the largest effective n, at most
 *  RING_OWNERS_MAX.  A row that is not full yet has no owners beyond it. */
uint8_t ring_owner_limit(const struct epoch *epoch, uint32_t partition);
/** Members that own their share, or will give it away: ACTIVE and LEAVING. */
uint16_t ring_owner_count(const struct epoch *epoch);
/** Members that are somebody: all but GONE. */
uint16_t ring_present_count(const struct epoch *epoch);
/** Index of the member with `id` that is not GONE, or RING_NO_MEMBER. */
uint16_t ring_member_index(const struct epoch *epoch, const struct node_id *id);
/** Who decides what follows an epoch with these members: an odd number of ACTIVE ones (LEAVING, if
 *  none is), spread over zones; of equal choices those among the `count` in `former`, then those
 *  with the lower slot.  `former` may be `ret_voters`.  Returns how many. */
uint8_t ring_choose_voters(const struct member *members, uint16_t member_count,
                           const uint16_t *former, uint8_t count,
                           uint16_t ret_voters[RING_VOTERS_MAX]);

/** The epoch record on disk and on the wire (format in epoch.c).  Every field is checked: CORRUPT,
 *  NEWER_FORMAT, NO_MEMORY.  Records of format 1 are read: their members are ACTIVE, their voters
 *  those of ring_choose_voters.  Format 2 is written. */
void epoch_encode(const struct epoch *epoch, struct buffer *buffer);
KVORUM_CHECKED kvorum_status epoch_decode(struct bytes bytes, struct arena *arena,
                                          struct epoch *ret_epoch);
/** Names, zones: 1..RING_NAME_MAX of [A-Za-z0-9._-]. */
bool ring_name_valid(const char *name);
/** Addresses: 1..RING_ADDRESS_MAX of visible ASCII. */
bool ring_address_valid(const char *address);

#endif
