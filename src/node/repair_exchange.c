/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out the exchanges that this shard began: the machine of cluster/repair asks, this file
 * sends its questions, lists our own keys, and hands it what came back. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/collect.h"
#include "node/repair_internal.h"

enum {
    RETRY_US = 50 * 1000, /* times the attempts so far */
    RETRY_US_MAX = 1000 * 1000,
    PAGE_ARENA_LIMIT = 64 << 20,
};

/* --- finding -------------------------------------------------------------------------------- */

struct repair_exchange *exchange_find(struct node *node, uint64_t id)
{
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        if (exchange->id == id)
            return exchange;
    }
    return NULL;
}

static void exchange_free(struct node *node, struct repair_exchange *exchange)
{
    list_remove(&exchange->link);
    node->repair->exchange_count--;
    arena_done(&exchange->arena);
    arena_done(&exchange->answers);
    free(exchange);
}

static void over(struct node *node, struct repair_exchange *exchange, kvorum_status status)
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

bool repair_pack_leaves(struct node *node, const struct leaf_set *leaves, Peer__Repair *question)
{
    uint32_t count = leaf_set_count(leaves), filled = 0;
    uint32_t *nodes = arena_allocate(&node->scratch, (count + 1) * sizeof(*nodes));
    if (nodes == NULL)
        return false;
    for (uint16_t leaf = 0; leaf < HASH_TREE_LEAVES; leaf++)
        if (leaf_set_has(leaves, leaf))
            nodes[filled++] = leaf;
    question->nodes = nodes;
    question->n_nodes = count;
    return true;
}

/* --- keys ----------------------------------------------------------------------------------- */

static void compare_keys(struct node *node, struct repair_exchange *exchange)
{
    if (!exchange->ours_in || !exchange->theirs_in)
        return;
    exchange->ours_in = exchange->theirs_in = false;
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_KEYS_ANSWER,
                                            .question = exchange->machine.question,
                                            .ours = exchange->ours,
                                            .theirs = exchange->theirs });
}

static void refuse(struct node *node, struct repair_exchange *exchange, kvorum_status status)
{
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_REFUSED,
                                            .question = exchange->machine.question,
                                            .status = status });
}

static void own_keys_done(struct node *node, struct reading *reading)
{
    struct chunk *chunk = (struct chunk *)reading;
    struct repair_exchange *exchange = exchange_find(node, chunk->id);
    kvorum_status status = reading->status;
    bool wanted = exchange != NULL && exchange->machine.state == EXCHANGE_KEYS &&
                  exchange->machine.question == chunk->question;
    if (wanted && status == KVORUM_OK) {
        exchange->ours = chunk_page(node, chunk, &exchange->answers);
        if (exchange->ours.entries == NULL)
            status = KVORUM_NO_MEMORY;
    }
    node->counters.repair_scanned_keys += chunk->looked_at;
    reading_close(reading);
    if (!wanted)
        return;
    if (status != KVORUM_OK) {
        refuse(node, exchange, status);
        return;
    }
    exchange->ours_in = true;
    compare_keys(node, exchange);
}

static bool list_own_keys(struct node *node, const struct repair_exchange *exchange,
                          const struct exchange_effects *asked, const Peer__Repair *question)
{
    struct chunk *chunk = repair_page_open(node, question, own_keys_done);
    if (chunk == NULL)
        return false;
    chunk->id = exchange->id;
    chunk->question = asked->question;
    chunk_start(node, chunk);
    return true;
}

static bool ask_keys(struct node *node, struct repair_exchange *exchange,
                     const struct exchange_effects *asked)
{
    const struct repair_demand *demand = &node->repair->demand;
    Peer__Repair question = PEER__REPAIR__INIT;
    question.kind = REPAIR_KEYS;
    question.after = protobuf_data(asked->after);
    if (exchange->machine.narrowed) {
        question.type = protobuf_data(demand->type);
        question.bucket = protobuf_data(demand->bucket);
    }
    exchange->ours_in = exchange->theirs_in = false;
    arena_reset(&exchange->answers);
    return repair_pack_leaves(node, asked->leaves, &question) &&
           exchange_send(node, exchange, &question, asked->question, (struct bytes){ 0 }) &&
           list_own_keys(node, exchange, asked, &question);
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
        return ask_keys(node, exchange, asked);
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
        over(node, exchange, KVORUM_NOT_READY);
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
        over(node, exchange, effects.status);
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

static void begin(struct node *node, struct repair_exchange *exchange)
{
    const struct repair_demand *demand = &node->repair->demand;
    exchange->waiting = false;
    if (!placement_reachable(node, exchange->member)) {
        over(node, exchange, KVORUM_UNAVAILABLE);
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
    begin(node, exchange);
    return true;
}

/* --- answers -------------------------------------------------------------------------------- */

static void take_nodes(struct node *node, struct repair_exchange *exchange,
                       const Peer__RepairAnswer *answer)
{
    const struct hash_tree *tree = repair_tree_current(node, exchange->partition, exchange->n);
    if (tree == NULL) {
        refuse(node, exchange, KVORUM_NOT_READY);
        return;
    }
    exchange_event(node, exchange,
                   (struct exchange_event){ .kind = EXCHANGE_NODES_ANSWER,
                                            .question = answer->question,
                                            .tree = tree,
                                            .hashes = answer->hashes,
                                            .hash_count = (uint32_t)answer->n_hashes });
}

static void take_keys(struct node *node, struct repair_exchange *exchange,
                      const Peer__RepairAnswer *answer, struct bytes tail)
{
    struct exchange_page *page = &exchange->theirs;
    if (exchange->theirs_in)
        return; /* doubled */
    kvorum_status status = repair_read_keys(tail, exchange->partition, node->repair->seed,
                                            &exchange->answers, &page->entries, &page->count);
    if (status == KVORUM_OK &&
        !arena_copy(&exchange->answers, protobuf_bytes(answer->next), &page->next))
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK && page->next.size > 0 && page->count > 0 &&
        bytes_compare(page->next, page->entries[page->count - 1].key) <= 0)
        status = KVORUM_CORRUPT; /* it would lead backwards */
    if (status != KVORUM_OK) {
        node->counters.messages_bad++;
        refuse(node, exchange, status);
        return;
    }
    exchange->theirs_in = true;
    compare_keys(node, exchange);
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
        take_keys(node, exchange, answer, tail);
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
        refuse(node, exchange, (kvorum_status)answer->status);
    else
        take_answer(node, exchange, answer, message->tail);
}

/* --- time ----------------------------------------------------------------------------------- */

bool exchanges_have_room(const struct node *node)
{
    const struct list *exchanges = &node->repair->exchanges;
    uint32_t busy = 0;
    for (const struct list *item = exchanges->next; item != exchanges; item = item->next) {
        const struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        busy += !exchange->waiting && exchange->machine.state != EXCHANGE_SETTLING;
    }
    return node->repair->exchange_count < REPAIR_EXCHANGES_MAX && busy < REPAIR_BUSY_MAX;
}

static uint64_t own_due_us(const struct repair_exchange *exchange)
{
    return exchange->waiting ? exchange->retry_us : exchange->machine.deadline_us;
}

uint64_t exchanges_due_us(const struct node *node)
{
    uint64_t due_us = UINT64_MAX;
    const struct list *exchanges = &node->repair->exchanges;
    for (const struct list *item = exchanges->next; item != exchanges; item = item->next) {
        uint64_t own_us = own_due_us(LIST_ENTRY(item, struct repair_exchange, link));
        due_us = own_us < due_us ? own_us : due_us;
    }
    return due_us;
}

void exchanges_tick(struct node *node)
{
    uint64_t ids[REPAIR_EXCHANGES_MAX + TARGETS_MAX];
    uint32_t count = 0;
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next)
        if (count < sizeof(ids) / sizeof(*ids))
            ids[count++] = LIST_ENTRY(item, struct repair_exchange, link)->id;
    for (uint32_t i = 0; i < count; i++) {
        struct repair_exchange *exchange = exchange_find(node, ids[i]);
        if (exchange == NULL || own_due_us(exchange) > node->now_us)
            continue;
        if (exchange->waiting)
            begin(node, exchange);
        else
            exchange_event(node, exchange, (struct exchange_event){ .kind = EXCHANGE_TICK });
    }
}

/* A next question would go to whoever has the slot now, in the name of an epoch in which one of the
 * two may be no owner. */
void exchanges_end_outdated(struct node *node, uint64_t former)
{
    struct list *exchanges = &node->repair->exchanges, *item = exchanges->next;
    while (item != exchanges) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        item = item->next;
        if (!epochs_changed_since(node, exchange->partition, former) &&
            !epochs_slot_changed_since(node, exchange->member, former))
            continue;
        PROBE("repair: an exchange ended with its epoch");
        over(node, exchange, KVORUM_WRONG_EPOCH);
    }
}

void exchanges_hurry(struct node *node, uint32_t partition)
{
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        if (exchange->waiting && exchange->partition == partition)
            exchange->retry_us = node->now_us;
    }
}

void exchanges_close(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->repair->exchanges)) != NULL)
        exchange_free(node, LIST_ENTRY(item, struct repair_exchange, link));
}
