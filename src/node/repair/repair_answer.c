/* SPDX-License-Identifier: Apache-2.0 */
/* Answering the questions of a member that began an exchange.  Nothing is remembered between them.
 */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub.h"

enum { PAGE_ENTRIES = 8192, OBJECTS_SIZE = 256 << 10 };

static void answer(struct node *node, struct net_address to, uint64_t id,
                   Peer__RepairAnswer *answer, struct bytes tail)
{
    struct bytes body = node_pack(node, &answer->base);
    if (node_send(node, to, MESSAGE_REPAIR_ANSWER, id, body, tail))
        node->counters.repair_bytes_out += FRAME_HEADER_SIZE + body.size + tail.size;
}

static void refuse(struct node *node, struct net_address to, uint64_t id, uint32_t question,
                   kvorum_status status)
{
    Peer__RepairAnswer refused = PEER__REPAIR_ANSWER__INIT;
    refused.status = status;
    refused.question = question;
    answer(node, to, id, &refused, (struct bytes){ 0 });
}

/* --- nodes ---------------------------------------------------------------------------------- */

static void on_nodes(struct node *node, struct net_address from, uint64_t id,
                     const Peer__Repair *asked)
{
    Peer__RepairAnswer hashes = PEER__REPAIR_ANSWER__INIT;
    const struct hash_tree *tree = repair_tree_current(node, asked->partition, (uint8_t)asked->n);
    if (tree == NULL) {
        PROBE("repair: a tree was asked for before it was computed");
        refuse(node, from, id, asked->question, KVORUM_NOT_READY);
        return;
    }
    uint32_t each = asked->children ? HASH_TREE_FANOUT : 1;
    hashes.question = asked->question;
    hashes.n_hashes = asked->n_nodes * each;
    hashes.hashes = arena_allocate(&node->scratch, (hashes.n_hashes + 1) * sizeof(uint64_t));
    for (size_t i = 0; hashes.hashes != NULL && i < hashes.n_hashes; i++)
        hashes.hashes[i] = hash_tree_node(tree, (uint8_t)asked->level,
                                          (uint16_t)(asked->nodes[i / each] * each + i % each));
    if (hashes.hashes != NULL)
        answer(node, from, id, &hashes, (struct bytes){ 0 });
}

/* --- keys ----------------------------------------------------------------------------------- */

static bool take_leaves(const Peer__Repair *asked, struct leaf_set *ret)
{
    *ret = (struct leaf_set){ 0 };
    for (size_t i = 0; i < asked->n_nodes; i++) {
        if (asked->nodes[i] >= HASH_TREE_LEAVES)
            return false;
        leaf_set_add(ret, (uint16_t)asked->nodes[i]);
    }
    return true;
}

/* Keys of one bucket only: from its first to the first key behind it. */
static bool narrow(struct node *node, struct chunk *chunk, const Peer__Repair *asked)
{
    struct key_address address = {
        protobuf_bytes(asked->type), protobuf_bytes(asked->bucket), { 0 }, asked->partition, 0
    };
    struct arena *arena = &chunk->reading.arena;
    address.generation = drop_generation(node, address.type, address.bucket);
    chunk->lower = store_key(arena, &address);
    if (chunk->lower.data == NULL)
        return false;
    chunk->upper = store_key_end(arena, chunk->lower);
    return chunk->upper.data != NULL;
}

struct chunk *repair_page_open(struct node *node, const Peer__Repair *asked,
                               void (*done)(struct node *node, struct reading *reading))
{
    struct chunk *chunk = chunk_open(node, asked->partition, done);
    if (chunk == NULL)
        return NULL;
    struct bytes after = protobuf_bytes(asked->after);
    bool fine = take_leaves(asked, &chunk->wanted) &&
                (asked->bucket.len == 0 || narrow(node, chunk, asked));
    if (fine && bytes_compare(after, chunk->lower) > 0)
        fine = bytes_compare(after, chunk->upper) < 0 &&
               arena_copy(&chunk->reading.arena, after, &chunk->lower);
    if (!fine) {
        reading_close(&chunk->reading);
        return NULL;
    }
    chunk->keep_keys = true;
    chunk->entries_max = PAGE_ENTRIES;
    chunk->n = (uint8_t)asked->n;
    return chunk;
}

static void send_page(struct node *node, const struct chunk *chunk)
{
    Peer__RepairAnswer keys = PEER__REPAIR_ANSWER__INIT;
    struct exchange_page page = chunk_page(node, chunk, &node->scratch);
    uint8_t memory[REPAIR_PREFIX_SIZE];
    struct bytes before = repair_prefix(chunk->partition, memory);
    if (page.entries == NULL)
        return;
    keys.question = chunk->question;
    keys.next = protobuf_data(page.next);
    buffer_reset(&node->encoding);
    for (uint32_t i = 0; i < page.count; i++) {
        repair_write_key(&node->encoding, before, &page.entries[i]);
        before = page.entries[i].key;
    }
    if (!node->encoding.failed)
        answer(node, chunk->from, chunk->id, &keys, buffer_bytes(&node->encoding));
}

static void page_done(struct node *node, struct reading *reading)
{
    struct chunk *chunk = (struct chunk *)reading;
    node->counters.repair_scanned_keys += chunk->looked_at;
    if (reading->status == KVORUM_OK)
        send_page(node, chunk);
    else
        refuse(node, chunk->from, chunk->id, chunk->question, reading->status);
    reading_close(reading);
}

static void on_keys(struct node *node, struct net_address from, uint64_t id,
                    const Peer__Repair *asked)
{
    struct chunk *chunk = repair_page_open(node, asked, page_done);
    if (chunk == NULL) {
        node->counters.messages_bad++;
        refuse(node, from, id, asked->question, KVORUM_INVALID);
        return;
    }
    chunk->from = from;
    chunk->id = id;
    chunk->question = asked->question;
    chunk_start(node, chunk);
}

/* --- objects -------------------------------------------------------------------------------- */

struct objects_reading {
    struct reading reading; /* first */
    struct engine *store;
    const struct repair_want *wants;
    uint32_t count, considered;
    struct bytes encodings[EXCHANGE_BATCH_MAX]; /* empty: not wanted as it is */
    size_t size;
    struct net_address from;
    uint64_t id, fence; /* promised when the reading began */
    uint32_t question, partition;
};

static kvorum_status read_object(struct objects_reading *objects, uint32_t index, bool nowait)
{
    const struct engine_read how = { .nowait = nowait };
    const struct repair_want *want = &objects->wants[index];
    struct engine_view view;
    kvorum_status status = engine_view_at(objects->store, want->key, &how, &view);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status != KVORUM_OK)
        return status;
    bool equal = object_digest(view.value) == want->digest;
    bool kept = true;
    if (equal == (want->mode == REPAIR_IF_EQUAL)) {
        kept = arena_copy(&objects->reading.arena, view.value, &objects->encodings[index]);
        objects->size += view.value.size;
    }
    engine_release(&view);
    return kept ? KVORUM_OK : KVORUM_NO_MEMORY;
}

static kvorum_status read_objects(struct reading *reading, bool nowait)
{
    struct objects_reading *objects = (struct objects_reading *)reading;
    kvorum_status status = KVORUM_OK;
    objects->size = objects->considered = 0;
    memset(objects->encodings, 0, sizeof(objects->encodings));
    while (status == KVORUM_OK && objects->considered < objects->count &&
           objects->size < OBJECTS_SIZE) {
        status = read_object(objects, objects->considered, nowait);
        objects->considered += status == KVORUM_OK;
    }
    return status;
}

static void objects_done(struct node *node, struct reading *reading)
{
    struct objects_reading *objects = (struct objects_reading *)reading;
    Peer__RepairAnswer found = PEER__REPAIR_ANSWER__INIT;
    found.status = reading->status;
    found.question = objects->question;
    found.considered = objects->considered;
    found.fence = objects->fence;
    found.collected = collect_committed(node, objects->partition);
    buffer_reset(&node->encoding);
    for (uint32_t i = 0; i < objects->considered; i++)
        if (objects->encodings[i].size > 0)
            repair_write_object(&node->encoding, i, objects->encodings[i]);
    if (!node->encoding.failed)
        answer(node, objects->from, objects->id, &found, buffer_bytes(&node->encoding));
    reading_close(reading);
}

static void on_objects(struct node *node, struct net_address from, uint64_t id,
                       const Peer__Repair *asked, struct bytes tail)
{
    struct reading *reading = reading_open(sizeof(struct objects_reading));
    struct objects_reading *objects = (struct objects_reading *)reading;
    if (reading == NULL)
        return;
    if (repair_read_wants(tail, asked->partition, &reading->arena, &objects->wants,
                          &objects->count) != KVORUM_OK) {
        node->counters.messages_bad++;
        reading_close(reading);
        return;
    }
    reading->read = read_objects;
    reading->done = objects_done;
    objects->store = placement_store(node, asked->partition);
    objects->from = from;
    objects->id = id;
    objects->question = asked->question;
    objects->partition = asked->partition;
    objects->fence = collect_promised(node, asked->partition);
    reading_start(node, reading);
}

/* --- questions ------------------------------------------------------------------------------ */

static void on_doubt(struct node *node, const Peer__Repair *asked)
{
    struct leaf_set leaves;
    if (take_leaves(asked, &leaves))
        repair_doubt(node, asked->partition, (uint8_t)asked->n, &leaves);
    else
        node->counters.messages_bad++;
}

/* What every question must have right: it decides what is touched here. */
static bool sane(struct node *node, const Peer__Repair *asked)
{
    if (asked->kind == REPAIR_SCRUB || asked->kind == REPAIR_ACCEPT)
        return true;
    if (asked->kind == REPAIR_BEGIN)
        return asked->type.len <= NODE_TYPE_SIZE_MAX && asked->bucket.len <= NODE_BUCKET_SIZE_MAX;
    bool fine = asked->partition < node->config.epoch->partition_count && asked->n >= 1 &&
                asked->n <= TARGETS_MAX && placement_store(node, asked->partition) != NULL &&
                asked->level < HASH_TREE_LEVELS && asked->n_nodes <= HASH_TREE_LEAVES &&
                asked->after.len <= ENGINE_KEY_SIZE_MAX && asked->type.len <= NODE_TYPE_SIZE_MAX &&
                asked->bucket.len <= NODE_BUCKET_SIZE_MAX;
    if (!fine || asked->kind != REPAIR_NODES)
        return fine;
    uint8_t level = (uint8_t)asked->level;
    uint32_t width = hash_tree_width(level);
    if (asked->children)
        width = level == 0 ? 0 : width / HASH_TREE_FANOUT;
    fine = asked->n_nodes <= width;
    for (size_t i = 0; fine && i < asked->n_nodes; i++)
        fine = asked->nodes[i] < width;
    return fine;
}

/* Both go by one epoch (epochs_admit), so who asks knows that too.  Nobody else is told what is
 * here, and nothing is compared that is not ours. */
static bool both_own(const struct node *node, const Peer__Repair *asked, uint16_t asker)
{
    uint8_t n = (uint8_t)asked->n;
    return repair_place(node, asked->partition, n, asker) >= 0 &&
           repair_place(node, asked->partition, n, node->config.self) >= 0;
}

void repair_on_question(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Repair *asked = node_unpack(node, &peer__repair__descriptor, message->body);
    if (asked == NULL || !sane(node, asked)) {
        node->counters.messages_bad++;
        return;
    }
    if (asked->kind == REPAIR_SCRUB && from.member == node->config.self) {
        scrub_on_begin(node);
        return;
    }
    if (asked->kind == REPAIR_ACCEPT && from.member == node->config.self) {
        scrub_on_accept(node);
        return;
    }
    if (asked->kind == REPAIR_BEGIN) {
        repair_on_begin(node, from, asked);
        return;
    }
    node->counters.repair_bytes_in += FRAME_HEADER_SIZE + message->body.size + message->tail.size;
    bool both = both_own(node, asked, from.member);
    if (both)
        collect_hear(node, asked->partition, asked->collected);
    if (!both) {
        node->counters.messages_bad++;
        refuse(node, from, message->request_id, asked->question, KVORUM_INVALID);
    } else if (!node->ready) /* the n of buckets is not known yet */
        refuse(node, from, message->request_id, asked->question, KVORUM_NOT_READY);
    else if (asked->kind == REPAIR_NODES)
        on_nodes(node, from, message->request_id, asked);
    else if (asked->kind == REPAIR_KEYS)
        on_keys(node, from, message->request_id, asked);
    else if (asked->kind == REPAIR_OBJECTS)
        on_objects(node, from, message->request_id, asked, message->tail);
    else if (asked->kind == REPAIR_DOUBT)
        on_doubt(node, asked);
    else
        node->counters.messages_bad++;
}
