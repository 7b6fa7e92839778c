/* SPDX-License-Identifier: Apache-2.0 */
/* Order within a pipeline.  Redis runs the requests of a connection one after another; here they are
 * in flight together, and a read may reach a replica before the write that was sent ahead of it.  So
 * that a client never misses its own write, a request waits while
 *
 *      it reads a key (GET, EXISTS, DEL) with an unanswered SET or DEL
 *      it sets a key with an unanswered DEL, whose tombstone would be the later write
 *
 * A SET behind a SET needs no wait: one coordinator orders them.  Keys are counted in a small table by
 * hash; two keys in one place cost a wait, never an error. */
#include <assert.h>

#include "base/hash.h"
#include "server/protocol/resp/internal.h"

static unsigned place_of(struct bytes key)
{
    return hash64(key, 0) % RESP_HAZARDS;
}

bool resp_key_busy(const struct resp_connection *resp, struct bytes key, enum resp_effect effect)
{
    if (resp->effects == 0)
        return false;
    unsigned place = place_of(key);
    return resp->deletes[place] > 0 || (effect != RESP_EFFECT_SET && resp->sets[place] > 0) ||
           resp->sets[place] == UINT16_MAX;
}

static uint16_t *counter(struct resp_reply *reply)
{
    struct resp_connection *resp = reply->owner;
    uint16_t *table = reply->effect == RESP_EFFECT_SET ? resp->sets : resp->deletes;
    return &table[reply->hazard];
}

void resp_key_note(struct resp_reply *reply, struct bytes key, enum resp_effect effect)
{
    reply->effect = (uint8_t)effect;
    reply->hazard = (uint8_t)place_of(key);
    *counter(reply) += 1;
    reply->owner->effects++;
}

void resp_key_forget(struct resp_reply *reply)
{
    assert(*counter(reply) > 0 && reply->owner->effects > 0);
    *counter(reply) -= 1;
    reply->owner->effects--;
    reply->effect = RESP_EFFECT_NONE;
}
