/* SPDX-License-Identifier: Apache-2.0 */
/** A ballot of Paxos: attempts to decide are ordered by it, and no two attempts have the same.
 *
 *  `proposer` names one life of one proposer and is drawn at random when that life begins, so a
 *  proposer that restarted, and forgot which counters it had used, cannot use one again.  Counters
 *  of one life only rise.  0, 0 comes before every ballot: none. */
#ifndef CLUSTER_EPOCH_BALLOT_H
#define CLUSTER_EPOCH_BALLOT_H

#include <stdbool.h>
#include <stdint.h>

struct ballot {
    uint64_t counter, proposer;
};

static inline bool ballot_is_none(struct ballot ballot)
{
    return ballot.counter == 0 && ballot.proposer == 0;
}

static inline bool ballot_equal(struct ballot a, struct ballot b)
{
    return a.counter == b.counter && a.proposer == b.proposer;
}

static inline bool ballot_less(struct ballot a, struct ballot b)
{
    return a.counter != b.counter ? a.counter < b.counter : a.proposer < b.proposer;
}

#endif
