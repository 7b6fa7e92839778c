/* SPDX-License-Identifier: Apache-2.0 */
/** Bucket properties: what a bucket overrides, merged over its type's defaults. */
#ifndef NODE_PROPERTIES_H
#define NODE_PROPERTIES_H

#include "base/buffer.h"
#include "cluster/handoff/stand_in.h"
#include "cluster/replication/quorum.h"
#include "kvorum/status.h"

struct bucket_properties {
    struct quorum_levels levels; /* n 0, LEVEL_DEFAULT, -1: not overridden */
    int8_t allow_mult;           /* 0, 1, -1: not overridden (default type: 0) */
    int8_t last_write_wins;      /* 0, 1, -1: not overridden (default type: 0) */
    int8_t handoff_strategy;     /* enum handoff_strategy, -1: not overridden (CONSISTENT) */
    /* Values written to the bucket without a time of their own expire after so many seconds; 0:
     * never; PROPERTY_NO_TTL: not overridden (never). */
    uint32_t ttl_seconds;
    /* The stamp of the bucket's last drop, 0: never (node/buckets/drop.h).  No client sets it: it
     * only grows, whatever else is set or reset. */
    uint64_t generation;
};

#define PROPERTY_NO_TTL UINT32_MAX

static inline enum handoff_strategy bucket_strategy(const struct bucket_properties *properties)
{
    int strategy = properties->handoff_strategy;
    return strategy > 0 ? (enum handoff_strategy)strategy : HANDOFF_CONSISTENT;
}

/** Nothing overridden. */
void bucket_properties_init(struct bucket_properties *properties);
/** `over`'s overrides on top of `base`. */
void bucket_properties_apply(struct bucket_properties *base, const struct bucket_properties *over);
/** Check what a client sent for a cluster with `member_count` members; NULL when it is fine, or a
 *  text that names the property and the rule. */
const char *bucket_properties_problem(const struct bucket_properties *properties);

void bucket_properties_encode(const struct bucket_properties *properties, struct buffer *buffer);
KVORUM_CHECKED kvorum_status bucket_properties_decode(struct bytes bytes,
                                                      struct bucket_properties *ret_properties);
/** Appends an encoding with another generation in it (0: with none); what else it holds stays, also
 *  what this release does not know.  CORRUPT. */
KVORUM_CHECKED kvorum_status bucket_properties_with_generation(struct bytes bytes,
                                                               uint64_t generation,
                                                               struct buffer *buffer);

#endif
