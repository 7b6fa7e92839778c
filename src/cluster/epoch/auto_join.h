/* SPDX-License-Identifier: Apache-2.0 */
/** Shall a newcomer commit its own join?  A pure decision, looked at again and again:
 *
 *      listed, and its join staged --> nothing new for a while --> the plan is safe --> COMMIT
 *                                        '--partitions move, or something else is staged: WAIT
 *
 *  Newcomers that come together are committed together, by whichever looks first: that is one
 *  movement of data.  Whatever else is staged belongs to an operator, who then commits all of it;
 *  so is a join that was cleared.  The commit names the epoch that was looked at. */
#ifndef CLUSTER_EPOCH_AUTO_JOIN_H
#define CLUSTER_EPOCH_AUTO_JOIN_H

#include "cluster/epoch/change.h"

enum {
    AUTO_JOIN_QUIET_US = 3 * 1000 * 1000,  /* no other epoch for so long */
    AUTO_JOIN_AGAIN_US = 30 * 1000 * 1000, /* after a refusal, in the same epoch */
};

enum auto_join_verdict { AUTO_JOIN_WAIT, AUTO_JOIN_COMMIT, AUTO_JOIN_OVER };

/** All zero at first. */
struct auto_join {
    uint64_t number; /* of the epoch that was seen last */
    uint64_t due_us; /* look again then */
};

/** WAIT: *ret_why says for what, for people, or is "" when that is nothing but time; text in
 *  `arena` or static.  COMMIT: propose it for epoch->number; if that fails, look again.  OVER:
 *  `self` is a member with a share, or is gone. */
enum auto_join_verdict auto_join_look(struct auto_join *join, const struct epoch *epoch,
                                      uint16_t self, const struct change_options *options,
                                      struct arena *arena, uint64_t now_us, const char **ret_why);

#endif
