/* SPDX-License-Identifier: Apache-2.0 */
/* The founder: it waits for the others, makes the first epoch, and tells those who ask. */
#include "server/birth_internal.h"

#include "os/entropy.h"

#include <stdlib.h>

enum { PLAN_MEMORY_MAX = 1 << 30 };

static kvorum_status plan(struct birth *birth, struct epoch *ret, const char **ret_why)
{
    struct server *server = birth->server;
    uint16_t count = birth->founding.count;
    const struct ring_plan_input input = {
        .members = birth->members,
        .member_count = count,
        .partition_count = (uint32_t)server->config.partitions,
        .replica_count = (uint8_t)server->config.n,
    };
    uint8_t replicas = count < input.replica_count ? (uint8_t)count : input.replica_count;
    struct arena scratch;
    arena_init(&scratch, PLAN_MEMORY_MAX);
    uint16_t *table =
        arena_allocate(&server->epoch_arena, sizeof(uint16_t) * input.partition_count * replicas);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (table != NULL)
        status = ring_plan(&input, &scratch, table, ret_why);
    arena_done(&scratch);
    *ret = (struct epoch){ .number = 1,
                           .hash_seed = os_entropy_u64(),
                           .partition_count = input.partition_count,
                           .replica_count = replicas,
                           .replicas_wanted = input.replica_count,
                           .member_count = count,
                           .members = birth->members,
                           .table = table };
    ret->voter_count = ring_choose_voters(ret->members, count, NULL, 0, ret->voters);
    os_entropy(ret->cluster.bytes, NODE_ID_SIZE);
    return status;
}

/* Persist first, tell then: a founder that crashed before this returns OK has told nobody. */
static void found(struct birth *birth)
{
    struct server *server = birth->server;
    struct epoch epoch;
    const char *why = "";
    kvorum_status status = plan(birth, &epoch, &why);
    if (status == KVORUM_OK)
        status = identity_save_epoch(server->disk, &server->identity, &epoch);
    struct founding_event event = { .kind = FOUNDING_PERSISTED };
    struct founding_effects effects;
    if (status != KVORUM_OK) {
        event.kind = FOUNDING_FAILED;
        log_error(server->log, "cannot found the cluster", LOG_STATUS(status), LOG_TEXT("why", why),
                  LOG_TEXT("next", "it is tried again when a joiner asks"));
    }
    founding_step(&birth->founding, &event, &effects);
    if (effects.tell_all) {
        log_info(server->log, "cluster founded", LOG_U64("members", epoch.member_count),
                 LOG_U64("partitions", epoch.partition_count));
        server->epoch = epoch;
        birth_begin(birth);
        peers_tell_joiners(&server->reactors[0]->peers);
    } else if (birth->founding.wanted == 1) {
        server_stop(server, EXIT_CODE_FAILED); /* no joiner will ever ask */
    }
}

void birth_founder_start(struct birth *birth)
{
    struct server *server = birth->server;
    uint16_t wanted = (uint16_t)server->config.founders;
    birth->members = calloc(wanted, sizeof(*birth->members));
    if (birth->members == NULL) {
        server_stop(server, EXIT_CODE_FAILED);
        return;
    }
    founding_init(&birth->founding, birth->members, wanted, &server->member);
    birth_set_waiting(server, WAITING_FOUNDERS, 1, wanted);
    if (birth->founding.state == FOUNDING_DECIDED)
        found(birth);
    else
        log_info(server->log, "waiting for founders", LOG_U64("here", 1), LOG_U64("wanted", wanted),
                 LOG_TEXT("join", server->member.address));
}

/* --- answering JOIN ------------------------------------------------------------------------- */

static void fill_answer(const struct birth *birth, const struct founding_effects *effects,
                        struct birth_answer *ret)
{
    ret->present = birth->founding.count;
    ret->wanted = birth->founding.wanted;
    if (effects->answer == FOUNDING_REFUSE) {
        ret->status = effects->status;
        ret->reason = effects->why;
    } else if (effects->answer == FOUNDING_TELL) {
        ret->status = KVORUM_OK;
        ret->epoch = buffer_bytes(&birth->record);
    }
}

static void join_while_founding(struct birth *birth, const struct member *member,
                                struct founding_effects *ret)
{
    struct server *server = birth->server;
    uint16_t before = birth->founding.count;
    founding_step(&birth->founding, &(struct founding_event){ FOUNDING_JOIN, member }, ret);
    if (birth->founding.count > before)
        log_info(server->log, "a founder is here", LOG_TEXT("name", member->name),
                 LOG_TEXT("address", member->address), LOG_U64("here", birth->founding.count),
                 LOG_U64("wanted", birth->founding.wanted));
    atomic_store(&server->waiting.present, birth->founding.count);
    if (!ret->decide)
        return;
    found(birth);
    if (birth->founding.state == FOUNDING_FOUNDED)
        ret->answer = FOUNDING_TELL;
}

void birth_founder_on_join(struct birth *birth, const struct member *member,
                           struct birth_answer *ret)
{
    struct founding_effects effects;
    join_while_founding(birth, member, &effects);
    fill_answer(birth, &effects, ret);
}
