/* SPDX-License-Identifier: Apache-2.0 */
/** What property_*.c share: the replicated table of bucket properties.
 *
 *      property_table.c    the records in memory
 *      property_records.c  the records as bytes: in messages, and on disk
 *      property_change.c   changing one, and when that is answered
 *      property_errand.c   the same for a client of another shard
 *      property_spread.c   telling others
 *      property_hear.c     what others tell
 *      property_drop.c     generations: what node/buckets/drop.h asks of the table */
#ifndef NODE_PROPERTY_INTERNAL_H
#define NODE_PROPERTY_INTERNAL_H

#include "base/map.h"
#include "node/buckets/drop.h"
#include "node/internal.h"

enum { TABLE_RECORDS_MAX = 100000, UPDATE_SLACK_US = 1000 * 1000, OVERRIDES_MAX = 1024 };

struct record {
    struct map_item by_name;
    struct list due;    /* table->due, while older generations are to be reclaimed here */
    uint64_t reclaimed; /* generations before this one are gone here */
    uint64_t stamp;
    struct bytes type, bucket;
    struct bytes overrides; /* without the generation */
    struct bucket_properties properties;
    uint8_t memory[];
};

struct property_table {
    struct map records; /* by hash of (type, bucket) */
    uint64_t digest;    /* order-independent sum over the records */
    uint32_t storing;   /* batches on their way to the disk */
    bool not_stored;    /* one of them did not get there */
    bool agreed;        /* in this life another member had the same records */
    uint64_t durable;   /* on other shards than 0: the last digest that is on disk there */
    uint32_t dropped;   /* records with a generation */
    struct list due;    /* records: reclaim.c */
    struct bucket_properties defaults;
};

struct property_update {
    struct bytes type, bucket; /* on shard 0 */
    uint64_t stamp;            /* there: of the record as it was told */
    uint64_t generation;       /* a drop: the one decided; 0: none */
    bool stored;
    bool *told; /* by member: it has the change on disk; NULL: shard 0 carries it out for us */
};

/* property_table.c */
struct record *property_find(const struct property_table *table, struct bytes type,
                             struct bytes bucket);
/** Own: ended by property_record_free, or the table's.  NULL: no memory. */
struct record *property_record_make(uint64_t stamp, struct bytes type, struct bytes bucket,
                                    struct bytes overrides,
                                    const struct bucket_properties *properties);
void property_record_free(struct record *record);
/** Take a record if it is newer; *ret_changed tells.  INVALID, NO_MEMORY, TOO_LARGE. */
kvorum_status property_merge(struct property_table *table, uint64_t stamp, struct bytes type,
                             struct bytes bucket, struct bytes overrides, bool *ret_changed);
uint8_t property_bucket_n(const struct property_table *table, struct bytes type,
                          struct bytes bucket);

/* property_records.c */
void property_append_record(const struct record *record, struct buffer *buffer);
/** On shard 0, with all that an earlier batch did not bring to the disk; then `plan`. */
kvorum_status property_store_records(struct node *node, struct record *const *records, size_t count,
                                     const struct commit_plan *plan);
/** Merge all records of `bytes`; those that changed are listed in the scratch arena. */
kvorum_status property_merge_records(struct node *node, struct bytes bytes,
                                     struct record ***ret_changed, size_t *ret_count);
/** From the disk, when the shard begins. */
kvorum_status property_load(struct node *node);

/* property_spread.c */
enum tell { TELL_SOME, TELL_ALL, TELL_EVERYWHERE };
bool property_send_records(struct node *node, struct net_address to, uint64_t request_id,
                           enum tell how, struct record *const *records, size_t count);
void property_tell_own_shards(struct node *node, struct record *const *records, size_t count);
/** On shard 0: what is on disk here, to another shard, or to all of them.  Not from an event that
 *  has just changed the table: that is on no disk yet. */
void property_tell_durable(struct node *node, uint16_t shard);
void property_tell_all_durable(struct node *node);
/** `request_id` 0: nobody waits. */
void property_answer(struct node *node, struct net_address to, uint64_t request_id,
                     kvorum_status status, const char *reason);

/* property_change.c */
/** On shard 0: store, and tell everybody. */
kvorum_status property_spread(struct node *node, struct request *request, struct record *record);
/** Answer, if it is stored and known to whom it must be. */
void property_update_settle(struct node *node, struct request *request);
/** Every change under way: `member` has it when `told`, or its state changed. */
void property_settle_all(struct node *node, uint16_t member, bool told);
void property_update_end(struct node *node, struct request *request, kvorum_status status,
                         const char *reason);
uint64_t property_update_timeout_us(const struct node *node);

/* property_errand.c */
/** `record` was changed on shard `to` of this node, whose request it is. */
void property_run_errand(struct node *node, struct net_address to, uint64_t request_id,
                         struct record *record);

/* property_drop.c */
/** All that this shard goes by is on the disk of the node: values may be deleted for it. */
bool property_is_durable(const struct node *node);
/** A drop must be known to every shard here before anybody counts on it, so it goes through them
 *  one after another, and comes back to shard 0 last.  It carries whom to answer. */
void property_pass_on(struct node *node, struct net_address asker, const struct message *message);

#endif
