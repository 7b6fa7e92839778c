/* SPDX-License-Identifier: Apache-2.0 */
#include "server/birth.h"

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "os/entropy.h"
#include "server/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORD_SIZE_MAX = 16 << 20, PLAN_MEMORY_MAX = 1 << 30 };

static void set_waiting(struct server *server, enum waiting_stage stage, unsigned present,
                        unsigned wanted)
{
    atomic_store(&server->waiting.present, present);
    atomic_store(&server->waiting.wanted, wanted);
    atomic_store(&server->waiting.stage, (int)stage);
}

/* --- founding ------------------------------------------------------------------------------- */

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

/* server->epoch is persisted. */
static void begin(struct birth *birth)
{
    struct server *server = birth->server;
    server->founded = true;
    epoch_encode(&server->epoch, &birth->record);
    set_waiting(server, WAITING_STORES, 0, 0);
    server_begin(server);
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
        begin(birth);
        peers_tell_joiners(&server->reactors[0]->peers);
    } else if (birth->founding.wanted == 1) {
        server_stop(server, EXIT_CODE_FAILED); /* no joiner will ever ask */
    }
}

static void start_founder(struct birth *birth)
{
    struct server *server = birth->server;
    uint16_t wanted = (uint16_t)server->config.founders;
    birth->members = calloc(wanted, sizeof(*birth->members));
    if (birth->members == NULL) {
        server_stop(server, EXIT_CODE_FAILED);
        return;
    }
    founding_init(&birth->founding, birth->members, wanted, &server->member);
    set_waiting(server, WAITING_FOUNDERS, 1, wanted);
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

/* --- joining a cluster that exists ---------------------------------------------------------- */

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

static void join_founded(struct birth *birth, const struct member *member,
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

void birth_on_join(struct server *server, const struct member *member,
                   const struct node_id *cluster, struct birth_answer *ret_answer)
{
    struct birth *birth = &server->birth;
    struct founding_effects effects;
    *ret_answer = (struct birth_answer){ .status = KVORUM_NOT_READY,
                                         .reason = "waiting for the other founders" };
    if (server->founded) {
        join_founded(birth, member, cluster, ret_answer);
        return;
    }
    if (birth->members != NULL)
        join_while_founding(birth, member, &effects);
    else
        effects = (struct founding_effects){ .answer = FOUNDING_REFUSE,
                                             .status = KVORUM_NOT_READY,
                                             .why = "this node is itself a joiner; --join must "
                                                    "name the founder's peer address" };
    fill_answer(birth, &effects, ret_answer);
}

/* --- joining -------------------------------------------------------------------------------- */

static const struct frame_stream_handlers handlers;

static struct birth *birth_of(struct frame_stream *stream)
{
    return LIST_ENTRY(stream, struct birth, stream);
}

static void on_timer(uv_timer_t *timer);

static void dial(struct birth *birth)
{
    struct server *server = birth->server;
    birth->options = server->reactors[0]->peers.options;
    birth->options.handlers = &handlers;
    birth->streaming = true;
    frame_stream_init(&birth->stream, &server->reactors[0]->loop, &birth->options);
    if (frame_stream_dial(&birth->stream, server->config.join) != 0)
        frame_stream_close(&birth->stream);
}

static void ask(struct birth *birth)
{
    const struct member *member = &birth->server->member;
    Peer__Join join = PEER__JOIN__INIT;
    join.node = protobuf_data(bytes_make(member->id.bytes, NODE_ID_SIZE));
    join.name = (char *)member->name;
    join.zone = (char *)member->zone;
    join.address = (char *)member->address;
    join.weight = member->weight;
    join.cluster = protobuf_data(bytes_make(birth->cluster.bytes, NODE_ID_SIZE));
    peer_send(&birth->stream, MESSAGE_JOIN, 0, &join.base, (struct bytes){ 0 });
    frame_stream_flush(&birth->stream);
}

/* Every half second: dial when there is no connection, ask again when there is one. */
static void on_timer(uv_timer_t *timer)
{
    struct birth *birth = LIST_ENTRY(timer, struct birth, timer);
    if (birth->stopped || birth->server->founded)
        uv_timer_stop(timer);
    else if (!birth->streaming)
        dial(birth);
    else if (birth->stream.open && birth->introduced)
        ask(birth);
}

static void start_joiner(struct birth *birth)
{
    struct server *server = birth->server;
    set_waiting(server, WAITING_JOIN, 0, 0);
    log_info(server->log, "joining", LOG_TEXT("founder", server->config.join),
             LOG_TEXT("as", server->member.name));
    uv_timer_init(&server->reactors[0]->loop, &birth->timer);
    birth->timing = true;
    uv_timer_start(&birth->timer, on_timer, 0, JOIN_INTERVAL_MS);
}

static void tell_once(struct birth *birth, kvorum_status status, const char *reason)
{
    if (status != birth->told)
        log_warn(birth->server->log, "not joined yet",
                 LOG_TEXT("founder", birth->server->config.join), LOG_STATUS(status),
                 LOG_TEXT("reason", reason));
    birth->told = status;
}

/* To one who may hear it. */
static void introduce(struct birth *birth)
{
    Peer__Hello hello;
    peer_hello(birth->server->reactors[0], &hello);
    if (birth->greeting.begun && !greeting_prove(&birth->greeting, &hello)) {
        tell_once(birth, KVORUM_INTERNAL, "no proof of the cluster's key can be made");
        frame_stream_close(&birth->stream);
        return;
    }
    peer_send(&birth->stream, MESSAGE_HELLO, 0, &hello.base, (struct bytes){ 0 });
    birth->introduced = true;
    ask(birth);
}

static void on_connected(struct frame_stream *stream)
{
    struct birth *birth = birth_of(stream);
    birth->introduced = birth->greeting.begun = false;
    if (!greeting_is_asked(birth->server)) {
        introduce(birth);
        return;
    }
    Peer__Hello hello;
    greeting_begin(&birth->greeting, &hello);
    peer_send(stream, MESSAGE_HELLO, 0, &hello.base, (struct bytes){ 0 });
    frame_stream_flush(stream);
}

/* What counts is the answer to JOIN. */
static void on_hello_answer(struct birth *birth, const Peer__Hello *answer)
{
    if (birth->introduced) {
        if (answer->cluster.len == NODE_ID_SIZE)
            memcpy(birth->cluster.bytes, answer->cluster.data, NODE_ID_SIZE);
        if (answer->status == KVORUM_NOT_ALLOWED)
            tell_once(birth, KVORUM_NOT_ALLOWED, answer->reason);
    } else if (greeting_check(&birth->greeting, birth->server, answer)) {
        introduce(birth);
    } else {
        tell_once(birth, KVORUM_NOT_ALLOWED,
                  "the node at this address does not know the cluster's key; give all nodes the "
                  "same [cluster] key_file");
        frame_stream_close(&birth->stream);
    }
}

static void on_failed(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    (void)error;
    tell_once(birth_of(stream), status, why);
    frame_stream_close(stream);
}

static void on_closed(struct frame_stream *stream)
{
    birth_of(stream)->streaming = false;
}

static void adopt_epoch(struct birth *birth, struct bytes record)
{
    struct server *server = birth->server;
    struct epoch epoch;
    kvorum_status status = epoch_decode(record, &server->epoch_arena, &epoch);
    if (status == KVORUM_OK && ring_member_index(&epoch, &server->identity.node) == RING_NO_MEMBER)
        status = KVORUM_INVALID;
    if (status == KVORUM_OK)
        status = identity_save_epoch(server->disk, &server->identity, &epoch);
    if (status != KVORUM_OK) {
        log_error(server->log, "the founder's cluster record cannot be taken over",
                  LOG_STATUS(status), LOG_TEXT("founder", server->config.join));
        server_stop(server, status == KVORUM_WRONG_CLUSTER ? EXIT_CODE_UNSAFE : EXIT_CODE_FAILED);
        return;
    }
    log_info(server->log, "joined", LOG_U64("members", epoch.member_count));
    server->epoch = epoch;
    begin(birth);
}

static void on_join_answer(struct birth *birth, const Peer__JoinAnswer *answer, struct bytes tail)
{
    struct server *server = birth->server;
    switch (answer->status) {
    case KVORUM_OK:
        frame_stream_close(&birth->stream);
        adopt_epoch(birth, tail);
        break;
    case KVORUM_NOT_READY:
        if (answer->wanted > 0)
            set_waiting(server, WAITING_FOUNDERS, answer->present, answer->wanted);
        else
            tell_once(birth, KVORUM_NOT_READY, answer->reason);
        break;
    default:
        log_error(server->log, "the founder refused this node",
                  LOG_TEXT("founder", server->config.join),
                  LOG_STATUS((kvorum_status)answer->status), LOG_TEXT("reason", answer->reason));
        server_stop(server, EXIT_CODE_UNSAFE);
    }
}

static void on_message(struct frame_stream *stream, const struct message *message)
{
    struct birth *birth = birth_of(stream);
    struct peers *peers = &birth->server->reactors[0]->peers;
    if (message->kind == MESSAGE_HELLO_ANSWER) {
        const Peer__Hello *hello = peer_unpack(peers, &peer__hello__descriptor, message->body);
        if (hello != NULL)
            on_hello_answer(birth, hello);
        return;
    }
    const Peer__JoinAnswer *answer = NULL;
    if (message->kind == MESSAGE_JOIN_ANSWER)
        answer = peer_unpack(peers, &peer__join_answer__descriptor, message->body);
    if (answer == NULL)
        on_failed(stream, KVORUM_CORRUPT, 0, "an unexpected frame while joining");
    else if (!birth->server->founded)
        on_join_answer(birth, answer, message->tail);
}

static const struct frame_stream_handlers handlers = { on_connected, on_message, on_failed,
                                                       on_closed };

/* --- life ----------------------------------------------------------------------------------- */

void birth_start(struct birth *birth, struct server *server)
{
    birth->server = server;
    buffer_init(&birth->record, RECORD_SIZE_MAX);
    if (server->founded)
        begin(birth);
    else if (server->config.join[0] != '\0')
        start_joiner(birth);
    else
        start_founder(birth);
}

static void on_timer_closed(uv_handle_t *timer)
{
    LIST_ENTRY(timer, struct birth, timer)->timing = false;
}

void birth_stop(struct birth *birth)
{
    if (birth->stopped)
        return;
    birth->stopped = true;
    if (birth->streaming)
        frame_stream_close(&birth->stream);
    if (birth->timing)
        uv_close((uv_handle_t *)&birth->timer, on_timer_closed);
}

void birth_done(struct birth *birth)
{
    assert(!birth->streaming && !birth->timing);
    buffer_done(&birth->record);
    free(birth->members);
}
