/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to the client of a get: what came, merged; or which level failed it. */
#include "node/coordinate/read_internal.h"

#include "base/planted.h"

kvorum_status read_merge(struct node *node, struct request *request, struct object *ret_merged,
                         bool *ret_any)
{
    uint64_t merged_digest = 0;
    *ret_any = false;
    for (uint8_t i = 0; i < request->target_count; i++) {
        const struct target *target = &request->targets[i];
        uint64_t digest = request->get.digests[i];
        if (!target->in_hand || target->encoding.size == 0 || digest == merged_digest)
            continue;
        struct object object;
        kvorum_status status = object_decode(target->encoding, &node->scratch, &object);
        if (status == KVORUM_OK && *ret_any)
            status = object_merge(ret_merged, &object, &node->scratch, ret_merged);
        else if (status == KVORUM_OK)
            *ret_merged = object;
        if (status != KVORUM_OK)
            return status;
        merged_digest = *ret_any ? 0 : digest;
        *ret_any = true;
    }
    return KVORUM_OK;
}

static void count_stand_ins(struct request *request, struct answer *answer)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if (request->targets[i].stand_in && (request->get.answered & (1u << i)))
            answer->stand_ins++;
}

/* Levels by zone fail by themselves. */
static const char *unmet_zones(const struct get *get, uint8_t *ret_answered, uint8_t *ret_needed)
{
    const struct level_zones *zones = &get->quorum.zones;
    bool r = !zones_met_by(get->zones, zones->r, false, get->answered);
    uint8_t level = r ? zones->r : zones->pr;
    if (!r && zones_met_by(get->zones, zones->pr, false, get->answered))
        return NULL;
    *ret_answered = zones_given(get->zones, level, false, get->answered);
    *ret_needed = zones_least(get->zones, level, false);
    return r ? "r" : "pr";
}

/* The level that failed the read: one that can no longer be met, before one that only was not
 * yet. */
static const char *unmet_level(const struct get *get, uint8_t *ret_answered, uint8_t *ret_needed)
{
    uint8_t answered = (uint8_t)__builtin_popcount(get->answered);
    uint8_t owners = (uint8_t)__builtin_popcount(get->answered & get->owners);
    uint32_t left = ((1u << get->target_count) - 1) & ~(get->unreachable | get->failed);
    bool r_met = answered >= get->quorum.r;
    bool pr_hopeless = __builtin_popcount(left & get->owners) < get->quorum.pr &&
                       __builtin_popcount(left) >= get->quorum.r;
    bool pr = (r_met && owners < get->quorum.pr) || pr_hopeless;
    if (r_met && !pr) {
        *ret_answered = answered;
        *ret_needed = get->quorum.node_confirms;
        return "node_confirms";
    }
    *ret_answered = pr ? owners : answered;
    *ret_needed = pr ? get->quorum.pr : get->quorum.r;
    return pr ? "pr" : "r";
}

void read_reply_failure(struct node *node, struct request *request, kvorum_status status)
{
    struct answer answer = { .status = status,
                             .n = request->quorum.n,
                             .outdated = request->newer > request->epoch };
    answer.level = unmet_zones(&request->get, &answer.answered, &answer.needed);
    if (answer.level == NULL)
        answer.level = unmet_level(&request->get, &answer.answered, &answer.needed);
    answer.reason =
        reason_quorum(node, request, status, answer.level, answer.answered, answer.needed);
    request_answer(node, request, &answer);
}

/* Whoever is asked besides never had it. */
static void reply_lost(struct node *node, struct request *request)
{
    uint8_t at = (uint8_t)__builtin_ctz(request->lost);
    uint16_t member = request->targets[at].address.member;
    struct answer answer = { .status = KVORUM_CORRUPT, .n = request->quorum.n };
    answer.reason = reason_printf(
        node,
        "cannot read %s: its only replica, on %s, was lost with a damaged file. Next: restore it "
        "and then, or to give it up, run kvorum scrub --accept on that node",
        reason_key(node, &request->address), node->config.epoch->members[member].name);
    PROBE("node: a read of a key that is lost for good");
    request_answer(node, request, &answer);
}

/* Everything that came, merged, as this client is to see it; *ret_any: there was something. */
static kvorum_status show(struct node *node, struct request *request, struct object *ret_shown,
                          bool *ret_any)
{
    kvorum_status status = read_merge(node, request, ret_shown, ret_any);
    if (status == KVORUM_OK && *ret_any)
        status = object_show(ret_shown, request->mode, &node->scratch, ret_shown);
    if (status == KVORUM_OK && *ret_any)
        status =
            object_expire(ret_shown, clock_wall_ms(node->config.clock), &node->scratch, ret_shown);
    return status;
}

static void reply_object(struct node *node, struct request *request)
{
    struct object merged = { 0 };
    bool any = false;
    struct answer answer = { .status = show(node, request, &merged, &any),
                             .n = request->quorum.n,
                             .answered = (uint8_t)__builtin_popcount(request->get.answered),
                             .needed = request->quorum.r,
                             .reason = "" };
    count_stand_ins(request, &answer);
    if (answer.status != KVORUM_OK)
        answer.reason =
            reason_printf(node, "cannot read %s: %s", reason_key(node, &request->address),
                          kvorum_status_text(answer.status));
    else if (!any || object_is_deleted(&merged))
        answer.status = KVORUM_NOT_FOUND;
    if (any)
        answer.object = &merged;
    node->counters.get_not_found += answer.status == KVORUM_NOT_FOUND;
    node->counters.get_siblings += merged.sibling_count > 1;
    request_answer(node, request, &answer);
}

void read_reply(struct node *node, struct request *request, kvorum_status status)
{
    if (status == KVORUM_OK || (status == KVORUM_NOT_FOUND && request->lost == 0))
        reply_object(node, request);
    else if (request->lost != 0)
        reply_lost(node, request);
    else if (!reopen_later(node, request, status))
        read_reply_failure(node, request, status);
}
