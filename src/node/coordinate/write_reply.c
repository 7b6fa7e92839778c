/* SPDX-License-Identifier: Apache-2.0 */
/* What the client of a put is told: which levels were met, and which one failed it. */
#include "node/coordinate/write_internal.h"

struct level {
    const char *name;
    uint32_t have, left; /* targets that count for it; that may yet */
    uint8_t need, zones;
};

enum { LEVELS = 4 };

static bool is_enough(const struct put *put, bool other, const struct level *level,
                      uint32_t answered)
{
    return __builtin_popcount(answered) >= level->need &&
           zones_met_by(put->zones, level->zones, other, answered);
}

/* `for_good`: that can no longer be met.  LEVELS: none. */
static size_t first_unmet(const struct put *put, bool other, const struct level *levels,
                          bool for_good)
{
    size_t i = 0;
    while (i < LEVELS &&
           is_enough(put, other, &levels[i], levels[i].have | (for_good ? levels[i].left : 0)))
        i++;
    return i;
}

/* Of the targets in `set`: the level that failed the write, one that can no longer be met before
 * one that only was not yet; NULL: all are met. */
static const char *unmet_in(const struct put *put, bool other, uint32_t set, uint8_t *ret_answered,
                            uint8_t *ret_needed)
{
    const struct quorum *quorum = other ? &put->other : &put->quorum;
    uint32_t left = ((1u << put->target_count) - 1) & ~(put->unreachable | put->failed) & set;
    uint32_t acked = put->acked & set;
    const struct level levels[LEVELS] = {
        { "w", acked, left, quorum->w, quorum->zones.w },
        { "dw", put->durable & set, left, quorum->dw, quorum->zones.dw },
        { "pw", acked & put->owners, left & put->owners, quorum->pw, quorum->zones.pw },
        { "node_confirms", acked, left, quorum->node_confirms, ZONE_LEVEL_NONE },
    };
    size_t i = first_unmet(put, other, levels, true);
    if (i == LEVELS)
        i = first_unmet(put, other, levels, false);
    const struct level *told = &levels[i == LEVELS ? 0 : i];
    *ret_answered = told->zones == ZONE_LEVEL_NONE
                        ? (uint8_t)__builtin_popcount(told->have)
                        : zones_given(put->zones, told->zones, other, told->have);
    *ret_needed = told->need;
    return i == LEVELS ? NULL : told->name;
}

static const char *unmet_level(const struct put *put, uint8_t *ret_answered, uint8_t *ret_needed)
{
    bool moving = put->other_set != 0;
    const char *level =
        unmet_in(put, false, moving ? put->set : UINT32_MAX, ret_answered, ret_needed);
    if (level == NULL && moving)
        level = unmet_in(put, true, put->other_set, ret_answered, ret_needed);
    return level == NULL ? "w" : level;
}

void write_reply(struct node *node, struct request *request, kvorum_status status)
{
    struct answer answer = { .n = request->quorum.n, .reason = "" };
    struct object object;
    if (status == KVORUM_UNAVAILABLE && request->held) /* it is true of this round alone */
        status = KVORUM_TIMEOUT;
    answer.status = status;
    answer.outdated = status != KVORUM_OK && request->newer > request->epoch;
    if (status != KVORUM_OK)
        answer.level = unmet_level(&request->put, &answer.answered, &answer.needed);
    for (uint8_t i = 0; i < request->target_count; i++)
        answer.stand_ins += request->targets[i].stand_in && (request->put.acked & (1u << i));
    if (status != KVORUM_OK)
        answer.reason =
            reason_quorum(node, request, status, answer.level, answer.answered, answer.needed);
    else if ((request->flags & OPERATION_RETURN_BODY) != 0 &&
             object_decode(request->encoding, &node->scratch, &object) == KVORUM_OK &&
             object_show(&object, request->mode, &node->scratch, &object) == KVORUM_OK)
        answer.object = &object;
    request_answer(node, request, &answer);
}
