/* SPDX-License-Identifier: Apache-2.0 */
#include "server/birth.h"

#include "server/birth_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { RECORD_SIZE_MAX = 16 << 20 };

void birth_set_waiting(struct server *server, enum waiting_stage stage, unsigned present,
                       unsigned wanted)
{
    atomic_store(&server->waiting.present, present);
    atomic_store(&server->waiting.wanted, wanted);
    atomic_store(&server->waiting.stage, (int)stage);
}

/* server->epoch is persisted. */
void birth_begin(struct birth *birth)
{
    struct server *server = birth->server;
    server->founded = true;
    epoch_encode(&server->epoch, &birth->record);
    birth_set_waiting(server, WAITING_STORES, 0, 0);
    server_begin(server);
}

void birth_on_join(struct server *server, const struct member *member,
                   const struct node_id *cluster, struct birth_answer *ret_answer)
{
    struct birth *birth = &server->birth;
    *ret_answer = (struct birth_answer){ .status = KVORUM_NOT_READY,
                                         .reason = "waiting for the other founders" };
    if (server->founded)
        birth_member_on_join(birth, member, cluster, ret_answer);
    else if (birth->members != NULL)
        birth_founder_on_join(birth, member, ret_answer);
    else
        ret_answer->reason = "this node is itself a joiner; --join must name the founder's peer "
                             "address";
}

void birth_start(struct birth *birth, struct server *server)
{
    birth->server = server;
    buffer_init(&birth->record, RECORD_SIZE_MAX);
    if (server->founded)
        birth_begin(birth);
    else if (server->config.join[0] != '\0')
        birth_joiner_start(birth);
    else
        birth_founder_start(birth);
}

void birth_stop(struct birth *birth)
{
    if (birth->stopped)
        return;
    birth->stopped = true;
    birth_joiner_stop(birth);
}

void birth_done(struct birth *birth)
{
    assert(!birth->streaming && !birth->timing);
    buffer_done(&birth->record);
    free(birth->members);
}
