/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out an exchange that this shard began: the machine of cluster/repair asks, this file
 * sends its questions and hands it what came back. */
#include "codec/protobuf.h"
#include "node/collect/collect.h"
#include "node/repair/repair_internal.h"

enum {
    RETRY_US = 50 * 1000, /* times the attempts so far */
    RETRY_US_MAX = 1000 * 1000,
    PAGE_ARENA_LIMIT = 64 << 20,
};

void exchange_free(struct node *node, struct repair_exchange *exchange)
{
    list_remove(&exchange->link);
    node->repair->exchange_count--;
    arena_done(&exchange->arena);
    arena_done(&exchange->answers);
    free(exchange);
}

void exchange_end(struct node *node, struct repair_exchange *exchange, kvorum_status status)
{
    repair_exchange_over(node, exchange, status);
    exchange_free(node, exchange);
    repair_wake(node);
}

/* --- asking --------------------------------------------------------------------------------- */

bool exchange_send(struct node *node, const struct repair_exchange *exchange,
                   Peer__Repair *question, uint32_t number, struct bytes tail)
{
    question->partition = exchange->partition;
    question->n = exchange->n;
    question->question = number;
    question->collected = collect_committed(node, exchange->partition);
    struct bytes body = node_pack(node, &question->base);
    bool sent = body.data != NULL &&
                node_send(node, placement_of(node, exchange->member, exchange->partition),
                          MESSAGE_REPAIR, exchange->id, body, tail);
    if (sent)
        node->counters.repair_bytes_out += FRAME_HEADER_SIZE + body.size + tail.size;
    return sent;
}

static bool ask_nodes(struct node *node, const struct repair_exchange *exchange,
                      const struct exchange_effects *asked)
{
    Peer__Repair question = PEER__REPAIR__INIT;
    /* On the way down they are all children of some: named by their parents. */
    bool down = exchange->machine.state == EXCHANGE_NODES && asked->level > 0;
    uint32_t step = down ? HASH_TREE_FANOUT : 1;
    uint32_t *nodes = arena_allocate(&node->scratch, asked->count * sizeof(*nodes));
    if (nodes == NULL)
        return false;
    for (uint32_t i = 0; i < asked->count; i += step)
        nodes[question.n_nodes++] = asked->nodes[i] / step;
    question.kind = REPAIR_NODES;
    question.level = asked->level;
    question.children = down;
    question.nodes = nodes;
    return exchange_send(node, exchange, &question, asked->question, (struct bytes){ 0 });
}

void exchange_refuse(struct node *node, struct repair_exchange *exchange, kvorum_status status)
{
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_REFUSED,
                                            .question = exchange->machine.question,
                                            .status = status });
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool ask(struct node *node, struct repair_exchange *exchange,
                const struct exchange_effects *asked)
{
    switch (asked->ask) {
    case EXCHANGE_ASK_NOTHING:
        return true;
    case EXCHANGE_ASK_NODES:
        return ask_nodes(node, exchange, asked);
    case EXCHANGE_ASK_KEYS:
        return exchange_ask_keys(node, exchange, asked);
    case EXCHANGE_ASK_OBJECTS:
    case EXCHANGE_ASK_PUSH:
        memcpy(exchange->indices, asked->indices, asked->count * sizeof(*asked->indices));
        exchange->count = asked->count;
        if (asked->ask == EXCHANGE_ASK_OBJECTS)
            return exchange_fetch(node, exchange, asked->question);
        exchange_push(node, exchange, asked->question);
        return true;
    }
    return false;
}

/* A tree, ours or theirs, is not to be compared yet. */
static void wait_for_trees(struct node *node, struct repair_exchange *exchange)
{
    if (exchange->attempts++ >= REPAIR_ATTEMPTS_MAX) {
        exchange_end(node, exchange, KVORUM_NOT_READY);
        return;
    }
    exchange->waiting = true;
    uint64_t delay_us = UINT64_C(1) * RETRY_US * exchange->attempts;
    exchange->retry_us = node->now_us + (delay_us < RETRY_US_MAX ? delay_us : RETRY_US_MAX);
}

/* May end the exchange. */
void exchange_event(struct node *node, struct repair_exchange *exchange,
                    struct exchange_event event)
{
    struct exchange_effects effects;
    event.now_us = node->now_us;
    exchange_step(&exchange->machine, &event, &effects);
    if (effects.finished && effects.status == KVORUM_NOT_READY) {
        wait_for_trees(node, exchange);
    } else if (effects.finished) {
        exchange_end(node, exchange, effects.status);
    } else {
        (void)ask(node, exchange, &effects); /* in vain: the machine asks again in a while */
    }
    repair_wake(node);
}

void exchange_object_done(struct node *node, uint64_t id, uint32_t question, uint32_t index,
                          enum exchange_result result, uint64_t digest)
{
    struct repair_exchange *exchange = exchange_find(node, id);
    if (exchange == NULL)
        return;
    node->counters.repair_fetched += result == EXCHANGE_MOVED &&
                                     index < exchange->machine.difference_count &&
                                     exchange->machine.differences[index].action != EXCHANGE_PUSH;
    node->counters.repair_pushed += result == EXCHANGE_MOVED &&
                                    index < exchange->machine.difference_count &&
                                    exchange->machine.differences[index].action == EXCHANGE_PUSH;
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_OBJECT,
                                            .question = question,
                                            .index = index,
                                            .result = result,
                                            .digest = digest });
}

void exchange_begin(struct node *node, struct repair_exchange *exchange)
{
    const struct repair_demand *demand = &node->repair->demand;
    exchange->waiting = false;
    if (!placement_reachable(node, exchange->member)) {
        exchange_end(node, exchange, KVORUM_UNAVAILABLE);
        return;
    }
    if (repair_tree_current(node, exchange->partition, exchange->n) == NULL) {
        wait_for_trees(node, exchange);
        return;
    }
    struct repair_partition *partition = repair_partition(node, exchange->partition);
    exchange->marks = partition == NULL ? 0 : partition->marks;
    bool narrowed = exchange->demand != 0 && demand->bucket.size > 0;
    uint32_t question = exchange->machine.question;
    exchange->machine = (struct exchange){ .settle_us = node->config.repair.settle_us,
                                           .timeout_us = REPAIR_QUESTION_US,
                                           .arena = &exchange->arena,
                                           .narrowed = narrowed,
                                           .question = question };
    exchange_event(node, exchange, (struct exchange_event){ .kind = EXCHANGE_START });
}

bool exchange_open(struct node *node, uint32_t partition, uint16_t member, uint8_t n,
                   uint32_t demand)
{
    struct repair_exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL)
        return false;
    exchange->id = node->next_id++;
    exchange->partition = partition;
    exchange->member = member;
    exchange->n = n;
    exchange->demand = demand;
    exchange->begun_us = node->now_us;
    arena_init(&exchange->arena, PAGE_ARENA_LIMIT);
    arena_init(&exchange->answers, PAGE_ARENA_LIMIT);
    list_append(&node->repair->exchanges, &exchange->link);
    node->repair->exchange_count++;
    exchange_begin(node, exchange);
    return true;
}

/* --- answers -------------------------------------------------------------------------------- */

static void take_nodes(struct node *node, struct repair_exchange *exchange,
                       const Peer__RepairAnswer *answer)
{
    const struct hash_tree *tree = repair_tree_current(node, exchange->partition, exchange->n);
    if (tree == NULL) {
        exchange_refuse(node, exchange, KVORUM_NOT_READY);
        return;
    }
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_NODES_ANSWER,
                                            .question = answer->question,
                                            .tree = tree,
                                            .hashes = answer->hashes,
                                            .hash_count = (uint32_t)answer->n_hashes });
}

static void take_answer(struct node *node, struct repair_exchange *exchange,
                        const Peer__RepairAnswer *answer, struct bytes tail)
{
    switch (exchange->machine.state) {
    case EXCHANGE_NODES:
    case EXCHANGE_LEAVES:
        take_nodes(node, exchange, answer);
        break;
    case EXCHANGE_KEYS:
        exchange_take_keys(node, exchange, answer, tail);
        break;
    case EXCHANGE_ACTING:
        exchange_take_objects(node, exchange, answer, tail);
        break;
    case EXCHANGE_NEW:
    case EXCHANGE_SETTLING:
    case EXCHANGE_FINISHED:
        break;
    }
}

void repair_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__RepairAnswer *answer = node_unpack(node, &peer__repair_answer__descriptor, message->body);
    struct repair_exchange *exchange = exchange_find(node, message->request_id);
    if (answer == NULL) {
        node->counters.messages_bad++;
        return;
    }
    if (exchange == NULL || exchange->waiting || exchange->member != from.member ||
        answer->question != exchange->machine.question)
        return; /* late */
    node->counters.repair_bytes_in += FRAME_HEADER_SIZE + message->body.size + message->tail.size;
    if (answer->status != KVORUM_OK)
        exchange_refuse(node, exchange, (kvorum_status)answer->status);
    else
        take_answer(node, exchange, answer, message->tail);
}
