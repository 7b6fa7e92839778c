/* SPDX-License-Identifier: Apache-2.0 */
/* A member of a cluster that exists, asked by one who joins: the voters add him. */
#include "server/birth_internal.h"

#include <stdio.h>

static void on_added(void *context, const struct answer *answer)
{
    struct birth *birth = context;
    birth->adding = false;
    birth->add_status = answer->status;
    snprintf(birth->add_reason, sizeof(birth->add_reason), "%s", answer->reason);
    if (answer->status == KVORUM_OK)
        peers_tell_joiners(&birth->server->reactors[0]->peers);
}

/* Somebody who was refused may come again under another name, or from another address. */
static bool is_same(const struct member *a, const struct member *b)
{
    return memcmp(&a->id, &b->id, sizeof(a->id)) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->zone, b->zone) == 0 && strcmp(a->address, b->address) == 0 &&
           a->weight == b->weight;
}

/* One at a time; who is not added yet asks again. */
static void add(struct birth *birth, const struct member *member)
{
    struct change_request request = { .kind = ASK_JOIN, .newcomer = *member };
    log_info(birth->server->log, "a node asks to join", LOG_TEXT("name", member->name),
             LOG_TEXT("address", member->address), LOG_TEXT("zone", member->zone));
    birth->adding = true;
    birth->added = *member;
    birth->add_status = KVORUM_OK;
    node_change_epoch(birth->server->reactors[0]->node, &request, on_added, birth);
}

static void answer_listed(struct birth *birth, struct birth_answer *ret)
{
    buffer_reset(&birth->record);
    epoch_encode(reactor_epoch(birth->server->reactors[0]), &birth->record);
    if (birth->record.failed)
        return;
    ret->status = KVORUM_OK;
    ret->reason = "";
    ret->epoch = buffer_bytes(&birth->record);
}

void birth_member_on_join(struct birth *birth, const struct member *member,
                          const struct node_id *cluster, struct birth_answer *ret)
{
    static const struct node_id none;
    struct server *server = birth->server;
    const struct epoch *epoch = reactor_epoch(server->reactors[0]);
    bool told = memcmp(cluster, &none, sizeof(none)) != 0;
    bool same = is_same(&birth->added, member);
    const char *problem = founding_member_problem(member);
    ret->reason = "it is being added to the cluster";
    if (peers_have_left(&server->reactors[0]->peers)) {
        ret->status = KVORUM_GONE;
        ret->reason = "the node named by --join is no member of its cluster any more";
        return;
    }
    if (ring_member_index(epoch, &member->id) != RING_NO_MEMBER) {
        answer_listed(birth, ret);
    } else if (problem != NULL) {
        ret->status = KVORUM_INVALID;
        ret->reason = problem;
    } else if (told && memcmp(cluster, &epoch->cluster, sizeof(*cluster)) != 0) {
        ret->status = KVORUM_WRONG_CLUSTER;
        ret->reason = "this node belongs to another cluster";
    } else if (!server->serving || birth->adding || !told) {
        return; /* it asks again, and knows the cluster then */
    } else if (same && birth->add_status != KVORUM_OK &&
               kvorum_status_class(birth->add_status) == KVORUM_FINAL) {
        ret->status = birth->add_status;
        ret->reason = birth->add_reason;
        birth->added = (struct member){ 0 };
    } else {
        if (same && birth->add_status != KVORUM_OK)
            log_warn(server->log, "a node could not be added yet", LOG_TEXT("name", member->name),
                     LOG_STATUS(birth->add_status), LOG_TEXT("reason", birth->add_reason));
        add(birth, member);
    }
}
