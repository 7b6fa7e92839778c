/* SPDX-License-Identifier: Apache-2.0 */
/* Getting a change decided: shard 0 makes the next epoch of the one in force and what is asked for,
 * and proposes it (cluster/epoch/proposer.h).  When another epoch takes the number, the change is
 * made again from that one, until its time is over.  One at a time; others wait in line. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum {
    CHANGE_ARENA_LIMIT = 64 << 20,
    PUSH_SIZE_MAX = 64 << 10,
    OTHER_SHARD_SLACK_US = 1000 * 1000
};

enum { VOTE_PROMISE = 1, VOTE_ACCEPTED, VOTE_REFUSED };

/* The one worked on, or the next, which then is; NULL: nobody wants anything. */
static struct epoch_wish *next_wish(struct epochs *epochs)
{
    if (epochs->current == NULL) {
        struct list *item = list_take_first(&epochs->wishes);
        epochs->current = item == NULL ? NULL : LIST_ENTRY(item, struct epoch_wish, link);
    }
    return epochs->current;
}

/* It is in no list any more. */
static void wish_answer(struct node *node, struct epoch_wish *wish, kvorum_status status,
                        const char *reason)
{
    struct answer answer = { .status = status, .reason = reason };
    node->epochs->wish_count--;
    wish->on_answer(wish->context, &answer);
    free(wish);
}

/* The one that is worked on. */
static void wish_end(struct node *node, kvorum_status status, const char *reason)
{
    struct epoch_wish *wish = node->epochs->current;
    assert(wish != NULL);
    node->epochs->current = NULL;
    wish_answer(node, wish, status, reason);
}

/* --- to the voters -------------------------------------------------------------------------- */

static struct bytes record_of(const struct epochs *epochs)
{
    bool own = epochs->proposer.value == epochs->proposer.own;
    return buffer_bytes(own ? &epochs->own : &epochs->carried);
}

static void send_ballot(struct node *node, uint8_t kind, uint32_t voters, struct bytes record)
{
    const struct epochs *epochs = node->epochs;
    const struct epoch *epoch = node->config.epoch;
    Peer__EpochBallot ballot = PEER__EPOCH_BALLOT__INIT;
    ballot.number = epochs->proposing;
    ballot.counter = epochs->proposer.ballot.counter;
    ballot.proposer = epochs->proposer.ballot.proposer;
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (voters & 1u << i)
            node_send(node, (struct net_address){ epoch->voters[i], 0 }, kind, 0,
                      node_pack(node, &ballot.base), record);
}

static void step(struct node *node, struct proposer_event event, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct proposer_effects effects;
    event.now_us = node->now_us;
    event.random = random_next(&node->random);
    proposer_step(&epochs->proposer, &event, &effects);
    if (effects.carry) {
        buffer_reset(&epochs->carried);
        buffer_append_bytes(&epochs->carried, record);
        PROBE("node: a proposer went on with what another had begun");
    }
    if (effects.prepare != 0)
        send_ballot(node, MESSAGE_EPOCH_PREPARE, effects.prepare, (struct bytes){ 0 });
    if (effects.accept != 0)
        send_ballot(node, MESSAGE_EPOCH_ACCEPT, effects.accept, record_of(epochs));
    if (effects.decided)
        epochs_learn(node, record_of(epochs));
}

static void stop(struct node *node)
{
    step(node, (struct proposer_event){ .kind = PROPOSER_STOP }, (struct bytes){ 0 });
    node->epochs->proposing = 0;
}

static int voter_of(const struct epoch *epoch, uint16_t member)
{
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (epoch->voters[i] == member)
            return i;
    return -1;
}

void epochs_on_vote(struct node *node, struct net_address from, const struct message *message)
{
    static const enum proposer_event_kind kinds[] = { [VOTE_PROMISE] = PROPOSER_PROMISE,
                                                      [VOTE_ACCEPTED] = PROPOSER_ACCEPTED,
                                                      [VOTE_REFUSED] = PROPOSER_REFUSED };
    const Peer__EpochVote *vote = node_unpack(node, &peer__epoch_vote__descriptor, message->body);
    int voter = voter_of(node->config.epoch, from.member);
    if (vote == NULL || vote->answer < VOTE_PROMISE || vote->answer > VOTE_REFUSED) {
        node->counters.messages_bad++;
        return;
    }
    if (node->epochs->proposing == 0 || vote->number != node->epochs->proposing || voter < 0)
        return;
    struct proposer_event event = {
        .kind = kinds[vote->answer],
        .voter = (uint8_t)voter,
        .ballot = { vote->counter, vote->proposer },
        .accepted = { vote->other_counter, vote->other_proposer },
        .value = message->tail.size == 0 ? 0 : hash64(message->tail, 0),
    };
    bool told = !ballot_is_none(event.accepted);
    if (event.kind == PROPOSER_PROMISE && told != (message->tail.size > 0)) {
        node->counters.messages_bad++;
        return;
    }
    step(node, event, message->tail);
    epochs_arm(node);
}

/* --- making the next epoch ------------------------------------------------------------------ */

static kvorum_status check_readable(struct node *node, const struct epochs *epochs)
{
    struct epoch again;
    if (epochs->own.failed)
        return KVORUM_NO_MEMORY;
    return epoch_decode(buffer_bytes(&epochs->own), &node->scratch, &again);
}

static kvorum_status make_here(struct node *node, const struct epoch_wish *wish,
                               struct arena *arena, const char **ret_why)
{
    struct epochs *epochs = node->epochs;
    struct epoch next;
    const struct change_options options = node_change_options(node);
    kvorum_status status =
        change_apply(node->config.epoch, &wish->request, &options, arena, &next, ret_why);
    buffer_reset(&epochs->own);
    if (status == KVORUM_OK)
        epoch_encode(&next, &epochs->own);
    return status;
}

/* epochs->own is the next epoch where `status` is OK.  True: it is being proposed.  Else the wish
 * is answered and gone. */
static bool propose_made(struct node *node, struct epoch_wish *wish, kvorum_status status,
                         const char *why)
{
    struct epochs *epochs = node->epochs;
    if (status == KVORUM_OK) {
        status = check_readable(node, epochs);
        if (status != KVORUM_OK)
            why = "the next epoch cannot be written as a record";
        status = status == KVORUM_CORRUPT ? KVORUM_INTERNAL : status;
    }
    if (status == KVORUM_OK) {
        epochs->proposing = node->config.epoch->number + 1;
        wish->number = epochs->proposing;
        step(node,
             (struct proposer_event){ .kind = PROPOSER_START,
                                      .voter_count = node->config.epoch->voter_count,
                                      .value = hash64(buffer_bytes(&epochs->own), 0) },
             (struct bytes){ 0 });
    } else if (status == KVORUM_EXISTS) {
        wish_end(node, KVORUM_OK, "");
    } else {
        wish_end(node, status, why[0] == '\0' ? kvorum_status_text(status) : why);
    }
    return status == KVORUM_OK;
}

bool wishes_decided(const struct node *node)
{
    return node->epochs->proposing != 0 && node->epochs->proposer.state == PROPOSER_DECIDED;
}

void wishes_planned(struct node *node, kvorum_status status, struct bytes record, const char *why)
{
    struct epochs *epochs = node->epochs;
    buffer_reset(&epochs->own);
    buffer_append_bytes(&epochs->own, record);
    (void)propose_made(node, epochs->current, status, why);
}

/* True: it is being planned or proposed. */
static bool propose(struct node *node, struct epoch_wish *wish)
{
    struct arena arena;
    const char *why = "";
    bool plans = wish->request.kind == ASK_COMMIT && epochs_plans_beside(node);
    if (plans && epochs_plan_beside(node, &wish->request))
        return true;
    arena_init(&arena, CHANGE_ARENA_LIMIT);
    kvorum_status status = make_here(node, wish, &arena, &why);
    bool proposed = propose_made(node, wish, status, why);
    arena_done(&arena);
    return proposed;
}

void wishes_begin(struct node *node)
{
    struct epochs *epochs = node->epochs;
    struct epoch_wish *wish;
    while (epochs->proposing == 0 && !epochs->planning && !epochs->record_save->busy &&
           (wish = next_wish(epochs)) != NULL)
        if (propose(node, wish))
            break;
    epochs_arm(node);
}

/* --- what came of it ------------------------------------------------------------------------ */

void epochs_push(struct node *node, struct bytes record)
{
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = node->config.epoch->number;
    if (record.size > PUSH_SIZE_MAX)
        return; /* they hear of it by heartbeats and fetch it */
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (i != node->config.self && placement_reachable(node, i))
            node_send(node, (struct net_address){ i, 0 }, MESSAGE_EPOCH_ANSWER, 0,
                      node_pack(node, &answer.base), record);
}

static const char lost_track[] =
    "outcome unknown: other changes came in between. Next: kvorum cluster status";

static void judge(struct node *node, struct epoch_wish *wish, struct bytes record)
{
    bool ours = bytes_equal(record, buffer_bytes(&node->epochs->own));
    bool skipped = node->config.epoch->number > wish->number;
    if (ours)
        wish_end(node, KVORUM_OK, "");
    else if (skipped && wish->request.kind == ASK_COMMIT)
        wish_end(node, KVORUM_TIMEOUT, lost_track);
    else
        PROBE("node: a change was made again after another took its number");
}

void wishes_on_adopted(struct node *node, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct epoch_wish *wish = epochs->current;
    if (epochs->proposing != 0) {
        bool decided = epochs->proposer.state == PROPOSER_DECIDED;
        stop(node);
        if (decided)
            epochs_push(node, record);
        if (wish != NULL && wish->number != 0)
            judge(node, wish, record);
    }
    if (epochs->record_save != NULL)
        wishes_begin(node);
}

/* --- time ----------------------------------------------------------------------------------- */

static const char *unreachable_voters(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct buffer names;
    buffer_init(&names, 1024);
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (node_liveness(node, epoch->voters[i]) != LIVENESS_ALIVE)
            buffer_printf(&names, "%s%s", names.size == 0 ? "" : ", ",
                          epoch->members[epoch->voters[i]].name);
    const char *reason =
        names.size == 0
            ? reason_printf(node,
                            "outcome unknown: no majority of the %u voters answered in time. "
                            "Next: kvorum cluster status, or retry",
                            epoch->voter_count)
            : reason_printf(node,
                            "outcome unknown: no majority of the %u voters answered in time; "
                            "not alive: %.*s. Next: bring them back, or retry",
                            epoch->voter_count, (int)names.size, (const char *)names.data);
    buffer_done(&names);
    return reason;
}

static bool is_overdue(const struct node *node, const struct epoch_wish *wish)
{
    return wish != NULL && node->now_us >= wish->deadline_us;
}

/* What is decided already goes on its way; what is not may still come to be, by somebody else. */
static void end_overdue(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (is_overdue(node, epochs->current)) {
        if (epochs->proposing != 0 && epochs->proposer.state != PROPOSER_DECIDED)
            stop(node);
        wish_end(node, KVORUM_TIMEOUT, unreachable_voters(node));
    }
    while (!list_empty(&epochs->wishes) &&
           is_overdue(node, LIST_ENTRY(epochs->wishes.next, struct epoch_wish, link))) {
        struct list *item = list_take_first(&epochs->wishes);
        wish_answer(node, LIST_ENTRY(item, struct epoch_wish, link), KVORUM_TIMEOUT,
                    unreachable_voters(node));
    }
}

void wishes_tick(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (epochs->record_save == NULL)
        return;
    if (wishes_decided(node))
        epochs_learn(node, record_of(epochs)); /* the disk refused it before */
    else if (epochs->proposing != 0)
        step(node, (struct proposer_event){ .kind = PROPOSER_TICK }, (struct bytes){ 0 });
    end_overdue(node);
    wishes_begin(node);
}

uint64_t wishes_deadline_us(const struct node *node)
{
    const struct epochs *epochs = node->epochs;
    uint64_t due_us = epochs->proposer.next_tick_us;
    if (epochs->proposing != 0 && epochs->proposer.state == PROPOSER_DECIDED)
        due_us = node->now_us + EPOCH_RETRY_US;
    const struct epoch_wish *first = epochs->current;
    if (first == NULL && !list_empty(&epochs->wishes))
        first = LIST_ENTRY(epochs->wishes.next, struct epoch_wish, link);
    if (first != NULL && first->deadline_us < due_us)
        due_us = first->deadline_us;
    return due_us;
}

static void errand_answer(void *context, const struct answer *answer);

static void wish_drop(struct epoch_wish *wish)
{
    if (wish != NULL && wish->on_answer == errand_answer)
        free(wish->context);
    free(wish);
}

void wishes_drop(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->epochs->wishes)) != NULL)
        wish_drop(LIST_ENTRY(item, struct epoch_wish, link));
    wish_drop(node->epochs->current);
    node->epochs->current = NULL;
}

/* --- being asked ---------------------------------------------------------------------------- */

struct change_options node_change_options(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct change_options options = { .n = (uint8_t)node->config.default_levels.n,
                                      .largest_n = property_table_largest_n(node),
                                      .can_move = true };
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (node_liveness(node, i) == LIVENESS_DEAD)
            options.dead[i / 8] |= (uint8_t)(1 << i % 8);
    return options;
}

static void refuse(node_answer_fn on_answer, void *context, kvorum_status status,
                   const char *reason)
{
    const struct answer answer = { .status = status, .reason = reason };
    on_answer(context, &answer);
}

static void wish(struct node *node, const struct change_request *request, node_answer_fn on_answer,
                 void *context)
{
    struct epochs *epochs = node->epochs;
    if (node->config.disk == NULL) {
        refuse(on_answer, context, KVORUM_UNSUPPORTED, "this node keeps no epochs");
        return;
    }
    struct epoch_wish *wish =
        epochs->wish_count >= CHANGES_WAITING_MAX ? NULL : calloc(1, sizeof(*wish));
    if (wish == NULL) {
        refuse(on_answer, context, KVORUM_OVERLOADED, "too many changes at once; retry later");
        return;
    }
    wish->request = *request;
    wish->on_answer = on_answer;
    wish->context = context;
    wish->deadline_us = node->now_us + CHANGE_TIMEOUT_US;
    list_init(&wish->link);
    list_append(&epochs->wishes, &wish->link);
    epochs->wish_count++;
    wishes_begin(node);
}

static void hand_over(struct node *node, const struct change_request *asked,
                      node_answer_fn on_answer, void *context)
{
    struct request *request = request_open(node, REQUEST_CHANGE);
    if (request == NULL) {
        refuse(on_answer, context, KVORUM_NO_MEMORY, "out of memory");
        return;
    }
    request->on_answer = on_answer;
    request->context = context;
    Peer__Join newcomer = PEER__JOIN__INIT;
    newcomer.node = protobuf_data(bytes_make(asked->newcomer.id.bytes, NODE_ID_SIZE));
    newcomer.name = (char *)asked->newcomer.name;
    newcomer.zone = (char *)asked->newcomer.zone;
    newcomer.address = (char *)asked->newcomer.address;
    newcomer.weight = asked->newcomer.weight;
    Peer__EpochChange change = PEER__EPOCH_CHANGE__INIT;
    change.ask = asked->kind;
    change.kind = asked->change.kind;
    change.name = (char *)asked->name;
    change.with = (char *)asked->with;
    change.weight = asked->change.weight;
    change.zone = (char *)asked->change.zone;
    change.expected = asked->expected;
    change.allow_zone_loss = asked->allow_zone_loss;
    change.newcomer = &newcomer;
    uint64_t deadline_us = node->now_us + CHANGE_TIMEOUT_US + OTHER_SHARD_SLACK_US;
    kvorum_status status = KVORUM_NO_MEMORY;
    if (request_register(node, request, deadline_us)) {
        bool sent =
            node_send(node, (struct net_address){ node->config.self, 0 }, MESSAGE_EPOCH_CHANGE,
                      request->id, node_pack(node, &change.base), (struct bytes){ 0 });
        status = sent ? KVORUM_OK : KVORUM_OVERLOADED;
    }
    if (status == KVORUM_OK)
        return;
    refuse(on_answer, context, status, kvorum_status_text(status));
    request->on_answer = NULL;
    request_close(node, request);
}

void node_change_epoch(struct node *node, const struct change_request *request,
                       node_answer_fn on_answer, void *context)
{
    node_enter(node);
    if (node->left_epoch != 0)
        refuse(on_answer, context, KVORUM_GONE, left_reason(node));
    else if (node->config.shard == 0)
        wish(node, request, on_answer, context);
    else
        hand_over(node, request, on_answer, context);
    node_leave(node);
}

/* --- for another shard ---------------------------------------------------------------------- */

struct change_errand {
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *answer)
{
    struct change_errand *errand = context;
    Peer__EpochChangeAnswer body = PEER__EPOCH_CHANGE_ANSWER__INIT;
    body.status = answer->status;
    body.reason = (char *)answer->reason;
    node_send(errand->node, errand->to, MESSAGE_EPOCH_CHANGE_ANSWER, errand->request_id,
              node_pack(errand->node, &body.base), (struct bytes){ 0 });
    free(errand);
}

static bool copy_text(char *ret, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        return false;
    memcpy(ret, text, length + 1);
    return true;
}

static bool read_change(const Peer__EpochChange *change, struct change_request *ret)
{
    const Peer__Join *newcomer = change->newcomer;
    memset(ret, 0, sizeof(*ret));
    ret->kind = (enum change_ask)change->ask;
    ret->change.kind = (enum change_kind)change->kind;
    ret->change.weight = change->weight;
    ret->expected = change->expected;
    ret->allow_zone_loss = change->allow_zone_loss;
    if (newcomer == NULL || newcomer->node.len != NODE_ID_SIZE)
        return false;
    memcpy(ret->newcomer.id.bytes, newcomer->node.data, NODE_ID_SIZE);
    ret->newcomer.weight = newcomer->weight;
    return copy_text(ret->newcomer.name, sizeof(ret->newcomer.name), newcomer->name) &&
           copy_text(ret->newcomer.zone, sizeof(ret->newcomer.zone), newcomer->zone) &&
           copy_text(ret->newcomer.address, sizeof(ret->newcomer.address), newcomer->address) &&
           copy_text(ret->change.zone, sizeof(ret->change.zone), change->zone) &&
           copy_text(ret->name, sizeof(ret->name), change->name) &&
           copy_text(ret->with, sizeof(ret->with), change->with);
}

void epochs_on_change(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__EpochChange *change =
        node_unpack(node, &peer__epoch_change__descriptor, message->body);
    struct change_request request;
    struct change_errand *errand = NULL;
    if (from.member == node->config.self && node->config.shard == 0 && change != NULL &&
        read_change(change, &request))
        errand = calloc(1, sizeof(*errand));
    if (errand == NULL) {
        node->counters.messages_bad++;
        return;
    }
    *errand = (struct change_errand){ node, from, message->request_id };
    wish(node, &request, errand_answer, errand);
}

void epochs_on_change_answer(struct node *node, struct net_address from,
                             const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_CHANGE);
    const Peer__EpochChangeAnswer *answer =
        node_unpack(node, &peer__epoch_change_answer__descriptor, message->body);
    if (request == NULL || from.member != node->config.self || answer == NULL)
        return;
    const struct answer told = { .status = (kvorum_status)answer->status,
                                 .reason = answer->reason };
    request_answer(node, request, &told);
    request_close(node, request);
}

void epochs_on_deadline(struct node *node, struct request *request)
{
    const struct answer answer = { .status = KVORUM_TIMEOUT, .reason = lost_track };
    request_answer(node, request, &answer);
    request_close(node, request);
}
