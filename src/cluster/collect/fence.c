/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/collect/fence.h"

#include <assert.h>

static void check(const struct fence *fence)
{
    assert(fence->committed <= fence->promised);
    assert(fence->doubt == FENCE_SETTLED || (fence->known && fence->committed < fence->promised));
}

bool fence_admits(const struct fence *fence, uint64_t under, bool named)
{
    bool doubtful = fence->doubt == FENCE_ALL || (fence->doubt == FENCE_NAMED && named);
    return under >= fence->committed && (!doubtful || under >= fence->promised);
}

bool fence_take(struct fence *fence, uint64_t under)
{
    if (fence->known || under >= fence->promised)
        return false;
    fence->promised = under;
    check(fence);
    return true;
}

enum fence_verdict fence_hear(struct fence *fence, uint64_t committed)
{
    if (committed > fence->promised)
        return FENCE_BEHIND;
    if (committed > fence->committed)
        fence->committed = committed;
    if (fence->committed == fence->promised)
        fence->doubt = FENCE_SETTLED;
    check(fence);
    return FENCE_FINE;
}

enum fence_verdict fence_prepare(struct fence *fence, uint64_t number, uint64_t committed)
{
    if (number <= fence->promised || committed >= number || fence->committed > committed)
        return FENCE_LATE;
    if (fence_hear(fence, committed) == FENCE_BEHIND)
        return FENCE_BEHIND;
    fence->promised = number;
    fence->doubt = FENCE_NAMED;
    fence->known = true;
    check(fence);
    return FENCE_FINE;
}

bool fence_commit(struct fence *fence, uint64_t number)
{
    if (fence->promised != number)
        return false;
    fence->committed = number;
    fence->doubt = FENCE_SETTLED;
    check(fence);
    return true;
}

enum fence_verdict fence_settle(struct fence *fence, uint64_t committed)
{
    if (fence_hear(fence, committed) == FENCE_BEHIND)
        return FENCE_BEHIND;
    fence->doubt = FENCE_SETTLED;
    fence->known = true;
    return FENCE_FINE;
}

void fence_renew(struct fence *fence, uint64_t committed)
{
    if (committed < fence->promised)
        return;
    *fence = (struct fence){ .promised = committed, .committed = committed };
}

void fence_lift(struct fence *fence, uint64_t least)
{
    if (least <= fence->promised)
        return;
    fence->promised = least;
    fence->doubt = FENCE_SETTLED;
    fence->known = false;
    check(fence);
}

void fence_restart(struct fence *fence)
{
    if (fence->doubt == FENCE_NAMED)
        fence->doubt = FENCE_ALL;
}
