/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/membership/founding.h"

#include <assert.h>
#include <stdlib.h>

enum { WEIGHT_MAX = 10000 };

static int compare_ids(const void *a, const void *b)
{
    return memcmp(((const struct member *)a)->id.bytes, ((const struct member *)b)->id.bytes,
                  NODE_ID_SIZE);
}

/* The table of an epoch speaks of members by index: their order must not depend on who came first.
 */
static void decide(struct founding *founding)
{
    qsort(founding->members, founding->count, sizeof(*founding->members), compare_ids);
    founding->state = FOUNDING_DECIDED;
}

void founding_init(struct founding *founding, struct member *members, uint16_t wanted,
                   const struct member *self)
{
    assert(wanted >= 1 && wanted <= RING_MEMBERS_MAX);
    assert(founding_member_problem(self) == NULL);
    members[0] = *self;
    *founding = (struct founding){ .wanted = wanted, .count = 1, .members = members };
    if (wanted == 1)
        decide(founding);
}

const char *founding_member_problem(const struct member *member)
{
    if (!ring_name_valid(member->name))
        return "the node's name is not 1 to 63 of letters, digits, - _ .";
    if (!ring_name_valid(member->zone))
        return "the zone's name is not 1 to 63 of letters, digits, - _ .";
    if (member->weight < 1 || member->weight > WEIGHT_MAX)
        return "the weight is not 1 to 10000";
    if (member->address[0] == '\0')
        return "the peer address is empty";
    if (!ring_address_valid(member->address))
        return "the peer address is not visible ASCII, or too long";
    return NULL;
}

static struct member *find(const struct founding *founding, const struct node_id *id)
{
    for (uint16_t i = 0; i < founding->count; i++) {
        if (memcmp(&founding->members[i].id, id, sizeof(*id)) == 0)
            return &founding->members[i];
    }
    return NULL;
}

static const char *taken(const struct founding *founding, const struct member *member)
{
    for (uint16_t i = 0; i < founding->count; i++) {
        const struct member *other = &founding->members[i];
        if (memcmp(&other->id, &member->id, sizeof(other->id)) == 0)
            continue;
        if (strcmp(other->name, member->name) == 0)
            return "another founder has this name; give each node its own --name";
        if (strcmp(other->address, member->address) == 0)
            return "another founder has this peer address; give each node its own --peer";
    }
    return NULL;
}

static void refuse(struct founding_effects *ret, kvorum_status status, const char *why)
{
    ret->answer = FOUNDING_REFUSE;
    ret->status = status;
    ret->why = why;
}

static void refuse_late(struct founding_effects *ret)
{
    refuse(
        ret, KVORUM_NOT_ALLOWED,
        "all founders are here; adding nodes to a cluster that exists comes with a later release");
}

static void join_while_waiting(struct founding *founding, const struct member *member,
                               struct founding_effects *ret)
{
    const char *why = taken(founding, member);
    if (why != NULL) {
        refuse(ret, KVORUM_INVALID, why);
        return;
    }
    struct member *known = find(founding, &member->id);
    if (known == NULL && founding->count == founding->wanted) { /* after FAILED */
        refuse_late(ret);
        return;
    }
    if (known == NULL)
        known = &founding->members[founding->count++];
    *known = *member; /* asked again after a restart: perhaps under another address */
    ret->answer = FOUNDING_WAIT;
    if (founding->count < founding->wanted)
        return;
    decide(founding);
    ret->decide = true;
}

static void join(struct founding *founding, const struct member *member,
                 struct founding_effects *ret)
{
    const char *problem = founding_member_problem(member);
    if (problem != NULL)
        refuse(ret, KVORUM_INVALID, problem);
    else if (founding->state == FOUNDING_WAITING)
        join_while_waiting(founding, member, ret);
    else if (find(founding, &member->id) == NULL)
        refuse_late(ret);
    else
        ret->answer = founding->state == FOUNDING_FOUNDED ? FOUNDING_TELL : FOUNDING_WAIT;
}

void founding_step(struct founding *founding, const struct founding_event *event,
                   struct founding_effects *ret)
{
    *ret = (struct founding_effects){ 0 };
    switch (event->kind) {
    case FOUNDING_JOIN:
        join(founding, event->member, ret);
        break;
    case FOUNDING_PERSISTED:
        assert(founding->state == FOUNDING_DECIDED);
        founding->state = FOUNDING_FOUNDED;
        ret->tell_all = true;
        break;
    case FOUNDING_FAILED:
        assert(founding->state == FOUNDING_DECIDED);
        founding->state = FOUNDING_WAITING;
        break;
    }
    assert(founding->count <= founding->wanted);
    assert((founding->state == FOUNDING_WAITING) || founding->count == founding->wanted);
}

void founding_after(const struct epoch *epoch, const struct member *member,
                    struct founding_effects *ret)
{
    *ret = (struct founding_effects){ .answer = FOUNDING_TELL };
    if (ring_member_index(epoch, &member->id) == RING_NO_MEMBER)
        refuse(ret, KVORUM_NOT_ALLOWED,
               "this cluster exists already; adding nodes to it comes with a later release");
}
