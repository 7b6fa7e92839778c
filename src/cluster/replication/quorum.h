/* SPDX-License-Identifier: Apache-2.0 */
/** Quorum levels: n r w dw pr pw node_confirms, numbers or words, resolved and checked.
 *
 *  Two words are about zones, and are met in zones.h: local_quorum, a majority of the owners in the
 *  zone of the coordinator, and each_quorum, a majority of those in every zone that has any. */
#ifndef CLUSTER_QUORUM_H
#define CLUSTER_QUORUM_H

#include "base/bytes.h"
#include "kvorum/status.h"

/* Values of a level before it is resolved; the same numbers travel in Riak's messages. */
#define LEVEL_ONE 4294967294u
#define LEVEL_QUORUM 4294967293u
#define LEVEL_ALL 4294967292u
#define LEVEL_DEFAULT 4294967291u
#define LEVEL_LOCAL_QUORUM 4294967290u /* this and the next are not in Riak */
#define LEVEL_EACH_QUORUM 4294967289u

enum { REPLICAS_MAX = 16, REPLICAS_DEFAULT = 3 };

struct quorum_levels {
    uint32_t n;                               /* 0: default */
    uint32_t r, w, dw, pr, pw, node_confirms; /* LEVEL_* or a number */
    int8_t basic_quorum, notfound_ok, sloppy; /* 0, 1, or -1: default */
};

/** What a level asks of zones. */
enum zone_level { ZONE_LEVEL_NONE, ZONE_LEVEL_LOCAL, ZONE_LEVEL_EACH };
struct level_zones {
    uint8_t r, w, dw, pr, pw; /* enum zone_level */
};

/** The levels that apply to one request: plain numbers, 0 <= level <= n, 1 <= r, 1 <= dw.  Where
 *  `zones` says more than NONE, the number is the least that may be; zones.h knows the rest. */
struct quorum {
    uint8_t n, r, w, dw, pr, pw, node_confirms;
    bool basic_quorum, notfound_ok, sloppy;
    struct level_zones zones;
};

/** All LEVEL_DEFAULT and -1, n 0: "nothing asked". */
void quorum_levels_init(struct quorum_levels *levels);
static inline bool quorum_levels_equal(const struct quorum_levels *a, const struct quorum_levels *b)
{
    return a->n == b->n && a->r == b->r && a->w == b->w && a->dw == b->dw && a->pr == b->pr &&
           a->pw == b->pw && a->node_confirms == b->node_confirms &&
           a->basic_quorum == b->basic_quorum && a->notfound_ok == b->notfound_ok &&
           a->sloppy == b->sloppy;
}
/** "one|quorum|all|default|local_quorum|each_quorum" or a decimal number; false when it is
 *  neither. */
bool quorum_level_parse(struct bytes text, uint32_t *ret_level);
/** The word of a level; NULL: it is a number. */
const char *quorum_level_word(uint32_t level);
/** The word of a zone_level, NULL for NONE. */
const char *zone_level_word(uint8_t level);
static inline bool level_is_zoned(uint32_t level)
{
    return level == LEVEL_LOCAL_QUORUM || level == LEVEL_EACH_QUORUM;
}
/** Some level asks something of zones. */
static inline bool quorum_is_zoned(const struct quorum *quorum)
{
    const struct level_zones *zones = &quorum->zones;
    return (zones->r | zones->w | zones->dw | zones->pr | zones->pw) != ZONE_LEVEL_NONE;
}
/** Resolve `asked` over `bucket` for a cluster of `member_count` nodes.
 *
 *  What neither states is: n 3; r w dw quorum (dw as w where w is a level of zones: a quorum of
 *  all would wait for the other zones after all); pr pw node_confirms 0; notfound_ok true;
 *  basic_quorum false; sloppy true.  A request may lower the bucket's n, not raise it.  The
 *  effective n is the smaller of n and the members; words (quorum, all) are words about the
 *  effective n.
 *
 *  A *number*, from wherever it comes, is QUORUM_IMPOSSIBLE when it is above n, and when it is
 *  above the effective n too if the quorum is strict or the level is node_confirms (which promises
 *  machines); otherwise it is lowered to the effective n, so that a bucket with w=3 works on the
 *  first two nodes of a new cluster.  r and dw are at least 1.  On QUORUM_IMPOSSIBLE
 *  *ret_level_name names the level ("w") and *ret_quorum is untouched.  node_confirms is about
 *  machines, so a level of zones is impossible there. */
KVORUM_CHECKED kvorum_status quorum_resolve(const struct quorum_levels *asked,
                                            const struct quorum_levels *bucket,
                                            uint16_t member_count, struct quorum *ret_quorum,
                                            const char **ret_level_name);

#endif
