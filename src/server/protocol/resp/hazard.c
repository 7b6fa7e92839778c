/* SPDX-License-Identifier: Apache-2.0 */
/* Order within a pipeline.  Redis runs the requests of a connection one after another; here they
 * are in flight together, and a read may reach a replica before the write sent ahead of it, or
 * after the one sent behind it.  So unanswered requests of one key are all GETs or all SETs (one
 * coordinator orders those); any other waits until the connection owes no reply.
 *
 * Keys are counted in a small table by hash: two keys in one place cost a wait, never an error.  A
 * request that the node answers at once never comes here, so one node alone pays nothing. */
#include <assert.h>

#include "base/hash.h"
#include "server/protocol/resp/internal.h"

static unsigned place_of(struct bytes key)
{
    return hash64(key, 0) % RESP_HAZARDS;
}

/* Whatever their keys are: a pipeline of one kind is the usual one. */
static bool nobody_minds(const struct resp_connection *resp, enum resp_use use)
{
    return resp->used_as[use] == resp->used && resp->used < UINT16_MAX &&
           (use != RESP_USE_DELETE || resp->used == 0);
}

bool resp_key_busy(const struct resp_connection *resp, struct bytes key, enum resp_use use)
{
    if (use != RESP_USE_READ && resp->gathering > 0)
        return true;
    if (nobody_minds(resp, use))
        return false;
    const uint16_t *uses = resp->uses[place_of(key)];
    if (uses[use] == UINT16_MAX)
        return true;
    for (int other = RESP_USE_READ; other < RESP_USES; other++)
        if (uses[other] > 0 && (other != (int)use || use == RESP_USE_DELETE))
            return true;
    return false;
}

void resp_key_note(struct resp_reply *reply, struct bytes key, enum resp_use use)
{
    reply->use = (uint8_t)use;
    reply->place = (uint8_t)place_of(key);
    reply->owner->uses[reply->place][use]++;
    reply->owner->used++;
    reply->owner->used_as[use]++;
}

void resp_key_forget(struct resp_reply *reply)
{
    uint16_t *count = &reply->owner->uses[reply->place][reply->use];
    assert(*count > 0 && reply->owner->used > 0);
    *count -= 1;
    reply->owner->used--;
    reply->owner->used_as[reply->use]--;
    reply->use = RESP_USE_NONE;
}
