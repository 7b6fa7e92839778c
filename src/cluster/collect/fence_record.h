/* SPDX-License-Identifier: Apache-2.0 */
/** What a member keeps on disk of a partition's fence: docs/formats/fences.md. */
#ifndef CLUSTER_COLLECT_FENCE_RECORD_H
#define CLUSTER_COLLECT_FENCE_RECORD_H

#include "base/bytes.h"
#include "cluster/collect/fence.h"

enum { FENCE_RECORD_SIZE = 2 + 6 * 8 };

struct fence_record {
    struct fence fence;
    uint64_t lifted;         /* the session, or first epoch, for which fence_lift was called last */
    uint64_t counter, stamp; /* the largest that were collected: new ones are above */
    uint64_t salt;           /* of the member's actors; 0: nothing was dropped */
    bool refilling;          /* dropped, and not yet compared with the other owners */
};

void fence_record_encode(const struct fence_record *record, uint8_t ret[FENCE_RECORD_SIZE]);
/** False: no record of this release, or one that says what cannot be. */
bool fence_record_decode(struct bytes bytes, struct fence_record *ret);

#endif
