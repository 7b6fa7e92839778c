/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch/change.h"

#include <string.h>

#include "cluster/membership/founding.h"

/* What is being made of what. */
struct making {
    const struct epoch *from;
    const struct change_request *request;
    const struct change_options *options;
    struct arena *arena;
    struct epoch *next;
    const char **why;
};

static kvorum_status refuse(const struct making *making, kvorum_status status, const char *why)
{
    *making->why = why;
    return status;
}

static uint16_t find_name(const struct epoch *epoch, const char *name)
{
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && strcmp(epoch->members[i].name, name) == 0)
            return i;
    return RING_NO_MEMBER;
}

static kvorum_status find(const struct making *making, const char *name, uint16_t *ret)
{
    *ret = find_name(making->from, name);
    if (*ret != RING_NO_MEMBER)
        return KVORUM_OK;
    const char *why = arena_printf(making->arena, "no node of this cluster is named %s", name);
    return refuse(making, KVORUM_NOT_FOUND, why == NULL ? "no such node" : why);
}

/* --- lists that may change ------------------------------------------------------------------ */

static bool own_members(const struct making *making, uint16_t more)
{
    size_t count = making->from->member_count;
    struct member *members = arena_allocate_zero(making->arena, (count + more) * sizeof(*members));
    if (members == NULL)
        return false;
    memcpy(members, making->from->members, count * sizeof(*members));
    making->next->members = members;
    return true;
}

static bool own_changes(const struct making *making, uint16_t more)
{
    size_t count = making->from->change_count;
    struct change *changes = arena_allocate_zero(making->arena, (count + more) * sizeof(*changes));
    if (changes == NULL)
        return false;
    if (count > 0)
        memcpy(changes, making->from->changes, count * sizeof(*changes));
    making->next->changes = changes;
    return true;
}

/* --- staging -------------------------------------------------------------------------------- */

/* Weight and zone are staged beside the rest; of what becomes of a member only one can be. */
static unsigned aspect(enum change_kind kind)
{
    return kind == CHANGE_WEIGHT ? 1 : kind == CHANGE_ZONE ? 2 : 0;
}

/* In the place of an earlier one on the same matter, or at the end. */
static kvorum_status stage(const struct making *making, const struct change *change)
{
    struct epoch *next = making->next;
    uint16_t at = 0;
    if (!own_changes(making, 1))
        return KVORUM_NO_MEMORY;
    while (at < next->change_count && (next->changes[at].member != change->member ||
                                       aspect(next->changes[at].kind) != aspect(change->kind)))
        at++;
    if (at == RING_CHANGES_MAX)
        return refuse(making, KVORUM_TOO_LARGE,
                      "too many changes are staged; commit or clear them");
    if (at < next->change_count && memcmp(&next->changes[at], change, sizeof(*change)) == 0)
        return KVORUM_EXISTS;
    next->changes[at] = *change;
    next->change_count = at == next->change_count ? at + 1 : next->change_count;
    return KVORUM_OK;
}

static const char *state_problem(const struct change *change, const struct member *member)
{
    bool joining = member->state == MEMBER_JOINING;
    if (change->kind == CHANGE_JOIN && !joining)
        return "it is a member with a share already";
    bool is_lost = change->kind == CHANGE_REMOVE || change->kind == CHANGE_REPLACE;
    if (member->state == MEMBER_LEAVING && !is_lost)
        return "it is leaving already";
    if ((change->kind == CHANGE_LEAVE || change->kind == CHANGE_REPLACE) && joining)
        return "it owns nothing yet; remove it instead";
    return NULL;
}

static const char *value_problem(const struct change *change)
{
    if (change->kind == CHANGE_WEIGHT && (change->weight < 1 || change->weight > 10000))
        return "a weight is 1 to 10000";
    if (change->kind == CHANGE_ZONE && !ring_name_valid(change->zone))
        return "a zone's name is 1 to 63 of letters, digits, - _ .";
    return NULL;
}

static kvorum_status stage_asked(const struct making *making)
{
    const struct change *asked = &making->request->change;
    struct change change; /* padding too: changes are compared as bytes */
    memset(&change, 0, sizeof(change));
    change.kind = asked->kind;
    kvorum_status status = find(making, making->request->name, &change.member);
    if (status == KVORUM_OK && change.kind == CHANGE_REPLACE)
        status = find(making, making->request->with, &change.with);
    if (status != KVORUM_OK)
        return status;
    if (change.kind == CHANGE_WEIGHT)
        change.weight = asked->weight;
    if (change.kind == CHANGE_ZONE)
        memcpy(change.zone, asked->zone, strnlen(asked->zone, RING_NAME_MAX));
    const struct member *members = making->from->members;
    const char *problem = value_problem(&change);
    if (problem == NULL)
        problem = state_problem(&change, &members[change.member]);
    if (problem == NULL && change.kind == CHANGE_REPLACE &&
        members[change.with].state != MEMBER_JOINING)
        problem = "only a node that joins, and owns nothing yet, can take another's place";
    if (problem != NULL)
        return refuse(making, KVORUM_INVALID, problem);
    return stage(making, &change);
}

static kvorum_status clear(const struct making *making)
{
    if (making->from->change_count == 0)
        return KVORUM_EXISTS;
    making->next->change_count = 0;
    return KVORUM_OK;
}

/* --- newcomers ------------------------------------------------------------------------------ */

static kvorum_status check_newcomer(const struct making *making)
{
    const struct epoch *from = making->from;
    const struct member *newcomer = &making->request->newcomer;
    const char *problem = founding_member_problem(newcomer);
    if (problem != NULL)
        return refuse(making, KVORUM_INVALID, problem);
    for (uint16_t i = 0; i < from->member_count; i++) {
        const struct member *member = &from->members[i];
        bool same = memcmp(&member->id, &newcomer->id, sizeof(member->id)) == 0;
        if (same && member->state != MEMBER_GONE)
            return KVORUM_EXISTS;
        if (same)
            return refuse(
                making, KVORUM_NOT_ALLOWED,
                "this data directory was removed from the cluster, and an id is used once; "
                "start the node with a new one");
        if (member->state == MEMBER_GONE)
            continue;
        if (strcmp(member->name, newcomer->name) == 0)
            return refuse(making, KVORUM_NOT_ALLOWED,
                          "another node has this name; give this one its own --name (if that "
                          "one has lost its disk: then kvorum cluster replace)");
        if (strcmp(member->address, newcomer->address) == 0)
            return refuse(making, KVORUM_NOT_ALLOWED,
                          "another node has this peer address; give this one its own --peer");
    }
    return KVORUM_OK;
}

/* A new slot; one that somebody had before only when no other is left. */
static uint16_t free_slot(const struct epoch *epoch)
{
    if (epoch->member_count < RING_MEMBERS_MAX)
        return epoch->member_count;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state == MEMBER_GONE)
            return i;
    return RING_NO_MEMBER;
}

static kvorum_status join(const struct making *making)
{
    struct epoch *next = making->next;
    uint16_t slot = free_slot(making->from);
    kvorum_status status = check_newcomer(making);
    if (status != KVORUM_OK)
        return status;
    if (slot == RING_NO_MEMBER)
        return refuse(making, KVORUM_NOT_ALLOWED, "the cluster has as many nodes as it can have");
    if (!own_members(making, 1))
        return KVORUM_NO_MEMORY;
    next->members[slot] = making->request->newcomer;
    next->members[slot].state = MEMBER_JOINING;
    next->member_count = slot == next->member_count ? slot + 1 : next->member_count;
    struct change change;
    memset(&change, 0, sizeof(change));
    change.kind = CHANGE_JOIN;
    change.member = slot;
    return stage(making, &change);
}

static kvorum_status readdress(const struct making *making)
{
    const struct member *asked = &making->request->newcomer;
    uint16_t slot = ring_member_index(making->from, &asked->id);
    if (slot == RING_NO_MEMBER)
        return refuse(making, KVORUM_NOT_FOUND, "not a member of this cluster");
    if (strcmp(making->from->members[slot].address, asked->address) == 0)
        return KVORUM_EXISTS;
    if (!ring_address_valid(asked->address))
        return refuse(making, KVORUM_INVALID, "the peer address is not visible ASCII, or too long");
    for (uint16_t i = 0; i < making->from->member_count; i++)
        if (making->from->members[i].state != MEMBER_GONE &&
            strcmp(making->from->members[i].address, asked->address) == 0)
            return refuse(making, KVORUM_NOT_ALLOWED, "another node has this peer address");
    if (!own_members(making, 0))
        return KVORUM_NO_MEMORY;
    struct member *member = &making->next->members[slot];
    memcpy(member->address, asked->address, sizeof(member->address));
    return KVORUM_OK;
}

/* --- committing ----------------------------------------------------------------------------- */

static kvorum_status commit(const struct making *making)
{
    struct change_plan plan;
    bool filled;
    uint64_t expected = making->request->expected;
    struct change_options options = *making->options;
    options.allow_zone_loss |= making->request->allow_zone_loss;
    if (expected != 0 && expected != making->from->number)
        return refuse(making, KVORUM_CONFLICT,
                      "the cluster has changed since this plan was made; look at the new one");
    kvorum_status status =
        change_plan(making->from, &options, making->arena, &plan, &filled, making->why);
    if (status == KVORUM_OK)
        *making->next = plan.next;
    return status;
}

/* What was staged about somebody who has left by now is done. */
static bool drop_changes_of_gone(const struct making *making)
{
    struct epoch *next = making->next;
    uint16_t kept = 0;
    if (!own_changes(making, 0))
        return false;
    for (uint16_t i = 0; i < next->change_count; i++)
        if (next->members[next->changes[i].member].state != MEMBER_GONE)
            next->changes[kept++] = next->changes[i];
    next->change_count = kept;
    return true;
}

static kvorum_status take_steps(const struct making *making)
{
    const struct change_request *request = making->request;
    if (request->expected != making->from->number)
        return refuse(making, KVORUM_CONFLICT, "another epoch came first");
    if (request->step_count == 0)
        return KVORUM_EXISTS;
    kvorum_status status = handoff_apply(making->from, NULL, request->steps, request->step_count,
                                         making->arena, making->next);
    if (status == KVORUM_OK)
        status = change_go_on(making->options, making->arena, making->next);
    return status == KVORUM_OK && !drop_changes_of_gone(making) ? KVORUM_NO_MEMORY : status;
}

kvorum_status change_apply(const struct epoch *epoch, const struct change_request *request,
                           const struct change_options *options, struct arena *arena,
                           struct epoch *ret_next, const char **ret_why)
{
    struct epoch next = *epoch;
    const struct making making = { epoch, request, options, arena, &next, ret_why };
    kvorum_status status = KVORUM_INVALID;
    *ret_why = "";
    next.number = epoch->number + 1;
    if (ring_line(next.number) != ring_line(epoch->number))
        return refuse(&making, KVORUM_UNSUPPORTED, "no number is left for another epoch");
    switch (request->kind) {
    case ASK_JOIN:
        status = join(&making);
        break;
    case ASK_STAGE:
        status = stage_asked(&making);
        break;
    case ASK_CLEAR:
        status = clear(&making);
        break;
    case ASK_COMMIT:
        status = commit(&making);
        break;
    case ASK_ADDRESS:
        status = readdress(&making);
        break;
    case ASK_MOVES:
        status = take_steps(&making);
        break;
    }
    if (status == KVORUM_OK)
        *ret_next = next;
    return status;
}

void change_describe(const struct epoch *epoch, const struct change *change, struct buffer *text)
{
    const char *name = epoch->members[change->member].name;
    switch (change->kind) {
    case CHANGE_JOIN:
        buffer_printf(text, "join %s", name);
        break;
    case CHANGE_LEAVE:
        buffer_printf(text, "leave %s", name);
        break;
    case CHANGE_REMOVE:
        buffer_printf(text, "remove %s", name);
        break;
    case CHANGE_REPLACE:
        buffer_printf(text, "replace %s by %s", name, epoch->members[change->with].name);
        break;
    case CHANGE_WEIGHT:
        buffer_printf(text, "weight of %s to %u", name, change->weight);
        break;
    case CHANGE_ZONE:
        buffer_printf(text, "zone of %s to %s", name, change->zone);
        break;
    }
}
