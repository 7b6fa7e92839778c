/* SPDX-License-Identifier: Apache-2.0 */
/** Quorum levels: n r w dw pr pw node_confirms, numbers or words, resolved and checked. */
#ifndef CLUSTER_QUORUM_H
#define CLUSTER_QUORUM_H

#include "base/bytes.h"
#include "kvorum/status.h"

/* Values of a level before it is resolved; the same numbers travel in Riak's messages. */
#define LEVEL_ONE 4294967294u
#define LEVEL_QUORUM 4294967293u
#define LEVEL_ALL 4294967292u
#define LEVEL_DEFAULT 4294967291u

enum { REPLICAS_MAX = 16 };

struct quorum_levels {
    uint32_t n, r, w, dw, pr, pw, node_confirms; /* LEVEL_* or a number; n is a number */
    int8_t basic_quorum, notfound_ok, sloppy;    /* 0, 1, or -1: default */
};

/** The levels that apply to one request: plain numbers, 0 <= level <= n. */
struct quorum {
    uint8_t n, r, w, dw, pr, pw, node_confirms;
    bool basic_quorum, notfound_ok, sloppy;
};

/** All LEVEL_DEFAULT and -1, n 0: "nothing asked". */
void quorum_levels_init(struct quorum_levels *levels);
/** "one|quorum|all|default" or a decimal number; false when it is neither. */
bool quorum_level_parse(struct bytes text, uint32_t *ret_level);
/** Resolve `asked` over `bucket` (whose own defaults are: r w dw quorum, pr pw node_confirms 0,
 *  notfound_ok true, basic_quorum false, sloppy true) for a cluster of `member_count` nodes: the
 *  effective n is min(n, members).  A *number* above the bucket's n is QUORUM_IMPOSSIBLE and
 *  *ret_level_name names it ("w"); a number above the effective n but within the bucket's n is
 *  QUORUM_IMPOSSIBLE too when strict, and words adapt to the effective n. dw is never above w's n. */
KVORUM_CHECKED kvorum_status quorum_resolve(const struct quorum_levels *asked,
                                            const struct quorum_levels *bucket,
                                            uint16_t member_count, struct quorum *ret_quorum,
                                            const char **ret_level_name);

#endif
