/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of leaves that differ: ours are listed while the other member lists its own. */
#include "codec/protobuf.h"
#include "node/repair/repair_internal.h"

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
        exchange_refuse(node, exchange, status);
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

bool exchange_ask_keys(struct node *node, struct repair_exchange *exchange,
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

void exchange_take_keys(struct node *node, struct repair_exchange *exchange,
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
        exchange_refuse(node, exchange, status);
        return;
    }
    exchange->theirs_in = true;
    compare_keys(node, exchange);
}
