/* SPDX-License-Identifier: Apache-2.0 */
/** Properties of buckets as this shard knows them: a replicated table, over properties.h.  What its
 *  files share, and the map: property_internal.h. */
#ifndef NODE_PROPERTY_TABLE_H
#define NODE_PROPERTY_TABLE_H

#include "node/node.h"

struct commit_plan;
struct request;

kvorum_status property_table_open(struct node *node);
void property_table_close(struct node *node);
uint64_t property_table_digest(const struct node *node);
/** Append every record to node->batch, which is for store 0.  Nothing before the table is open. */
kvorum_status property_put_all(struct node *node);
/** On shard 0: another member had the same records in this life. */
bool property_table_agreed(const struct node *node);
/** The largest n of any bucket. */
uint8_t property_table_largest_n(const struct node *node);
/** Bit n is set when some bucket may have n replicas. */
uint32_t property_table_ns(const struct node *node);
/** Append the names of buckets with properties of their own and n replicas, at most `most`, with
 *  commas between them.  Returns how many there are. */
size_t property_table_name_buckets(const struct node *node, uint8_t n, size_t most,
                                   struct buffer *ret_names);
/** Calls `visit` with the properties of each bucket that has some of its own, over the defaults. */
void property_table_each(const struct node *node,
                         void (*visit)(void *context, struct bytes bucket,
                                       const struct bucket_properties *properties),
                         void *context);
void property_table_get(struct node *node, struct bytes type, struct bytes bucket,
                        struct bucket_properties *ret_properties);
/** The same, and how the bucket treats concurrent values, as far as is known here. */
void property_table_mode(struct node *node, struct bytes type, struct bytes bucket,
                         struct bucket_properties *ret_properties, struct object_mode *ret_mode);
/** Of two members' words on one bucket's mode, the later decision. */
static inline struct object_mode mode_later(struct object_mode a, struct object_mode b)
{
    return b.since > a.since ? b : a;
}
void property_on_message(struct node *node, struct net_address from, const struct message *message);
void property_on_answer(struct node *node, struct net_address from, const struct message *message);
void property_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status);
void property_on_deadline(struct node *node, struct request *request);
/** A packet says what `member` has: all that we have, or something else. */
void property_on_digest(struct node *node, uint16_t member, uint64_t digest);
/** The list of members is another one. */
void property_on_members(struct node *node);
void property_on_death(struct node *node, uint16_t member);
void property_push(struct node *node, struct net_address to);
void property_pull(struct node *node);

#endif
