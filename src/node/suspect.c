/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of hints that were dropped: somebody may lack writes of a partition, so it is compared.
 *
 *      suspicion, where a hint was dropped --SUSPECT--> order at each owner but the target
 *           |                                                |
 *           ^ removed when all of them have it on disk       --repair_suspect--> compared, removed
 *
 * Every owner is asked, since one alone may lack the same write.  Marks outlive restarts, and doing
 * it twice is only work. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/hints.h"

enum {
    MARKS_AT_ONCE = 32,
    RETRY_US = 5 * 1000 * 1000,
    TIMEOUT_US = 5 * 1000 * 1000,
    PAGE_ENTRIES = 32,
    PAGE_SIZE = 256 * 1024,
};

/* --- an end of a mark ------------------------------------------------------------------------ */

static kvorum_status remove_mark(struct node *node, const struct node_id *target,
                                 uint32_t partition, enum hint_mark mark)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_delete(node->batch, key);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    return status;
}

void hints_compared(struct node *node, uint32_t partition, uint16_t member)
{
    if (member >= node->config.epoch->member_count || placement_store(node, partition) == NULL)
        return;
    node->counters.hint_marks_settled++;
    (void)remove_mark(node, &node->config.epoch->members[member].id, partition, HINT_MARK_ORDER);
}

/* --- asking every owner ---------------------------------------------------------------------- */

struct suspicion {
    struct node_id target;
    uint16_t member; /* the target's */
    uint32_t partition;
    uint8_t place; /* of the owner that is being asked, in the table */
};

static uint16_t owner_at(const struct node *node, uint32_t partition, uint8_t place)
{
    const struct epoch *epoch = node->config.epoch;
    return epoch->table[(size_t)partition * epoch->replica_count + place];
}

static bool is_asked(const struct node *node, const struct suspicion *suspicion)
{
    uint16_t owner = owner_at(node, suspicion->partition, suspicion->place);
    return owner != RING_NO_MEMBER && owner != suspicion->member;
}

/* All have it: the suspicion is over. */
static void all_asked(struct node *node, struct request *request)
{
    const struct suspicion *suspicion = request->suspicion;
    PROBE("node: a mark was handed to the owners");
    (void)remove_mark(node, &suspicion->target, suspicion->partition, HINT_MARK_SUSPICION);
    request_close(node, request);
}

/* From suspicion->place on. */
static void ask_next(struct node *node, struct request *request)
{
    struct suspicion *suspicion = request->suspicion;
    uint8_t places = node->config.epoch->replica_count;
    while (suspicion->place < places && !is_asked(node, suspicion))
        suspicion->place++;
    if (suspicion->place >= places) {
        all_asked(node, request);
        return;
    }
    uint16_t owner = owner_at(node, suspicion->partition, suspicion->place);
    Peer__Suspect body = PEER__SUSPECT__INIT;
    body.partition = suspicion->partition;
    body.member = suspicion->member;
    if (!node_send(node, placement_of(node, owner, suspicion->partition), MESSAGE_SUSPECT,
                   request->id, node_pack(node, &body.base), (struct bytes){ 0 }))
        request_close(node, request); /* the mark is still there */
}

static void hand_over(struct node *node, uint16_t target, uint32_t partition)
{
    struct request *request = request_open(node, REQUEST_SUSPECT);
    struct suspicion *suspicion =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*suspicion));
    if (suspicion == NULL || !request_register(node, request, node->now_us + TIMEOUT_US)) {
        if (request != NULL)
            request_close(node, request);
        return;
    }
    *suspicion = (struct suspicion){ .target = node->config.epoch->members[target].id,
                                     .member = target,
                                     .partition = partition };
    request->suspicion = suspicion;
    request->answered = true;
    ask_next(node, request);
}

void suspect_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Suspect *body = node_unpack(node, &peer__suspect__descriptor, message->body);
    const struct epoch *epoch = node->config.epoch;
    if (body == NULL || body->partition >= epoch->partition_count ||
        body->member >= epoch->member_count || placement_store(node, body->partition) == NULL) {
        node->counters.messages_bad++;
        return;
    }
    const struct commit_plan plan = { .kind = COMMIT_SUSPECT_ANSWER,
                                      .to = from,
                                      .request_id = message->request_id };
    engine_batch_reset(node->batch);
    kvorum_status status = hints_put_mark(node, node->batch, &epoch->members[body->member].id,
                                          body->partition, HINT_MARK_ORDER);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, body->partition), node->batch,
                                ENGINE_SYNC, &plan);
    if (status != KVORUM_OK)
        suspect_answer(node, from, message->request_id, status);
}

void suspect_answer(struct node *node, struct net_address to, uint64_t request_id,
                    kvorum_status status)
{
    Peer__SuspectAnswer body = PEER__SUSPECT_ANSWER__INIT;
    body.status = status;
    node_send(node, to, MESSAGE_SUSPECT_ANSWER, request_id, node_pack(node, &body.base),
              (struct bytes){ 0 });
}

void suspect_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__SuspectAnswer *body = node_unpack(node, &peer__suspect_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_SUSPECT);
    if (body == NULL)
        node->counters.messages_bad++;
    if (body == NULL || request == NULL)
        return;
    struct suspicion *suspicion = request->suspicion;
    if (owner_at(node, suspicion->partition, suspicion->place) != from.member)
        return; /* a doubled answer of the one before */
    if (body->status == KVORUM_OK) {
        suspicion->place++;
        ask_next(node, request);
    } else
        request_close(node, request);
}

void suspect_on_deadline(struct node *node, struct request *request)
{
    request_close(node, request); /* the mark is still there */
}

/* --- reading marks --------------------------------------------------------------------------- */

struct marks {
    struct reading reading; /* first */
    struct hint_queue *queue;
    struct engine *stores[NODE_STORES_MAX];
    uint16_t store_count;
    struct bytes lower, upper;
    size_t count;
    struct {
        uint32_t partition;
        enum hint_mark kind;
    } found[MARKS_AT_ONCE];
};

static kvorum_status read_store(struct marks *marks, struct engine *store, bool nowait)
{
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = marks->lower, .upper = marks->upper };
    struct engine_iterator *iterator;
    kvorum_status status = engine_iterate_at(store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    for (; iterator->valid && marks->count < MARKS_AT_ONCE; engine_iterator_next(iterator)) {
        struct hint mark;
        uint32_t partition;
        if (hint_parse(iterator->key, iterator->value, &mark, &partition) != HINT_ENTRY_MARK)
            continue;
        marks->found[marks->count].partition = partition;
        marks->found[marks->count++].kind = (enum hint_mark)mark.size;
    }
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status read_marks(struct reading *reading, bool nowait)
{
    struct marks *marks = (struct marks *)reading;
    kvorum_status status = KVORUM_OK;
    marks->count = 0;
    for (uint16_t i = 0; i < marks->store_count && status == KVORUM_OK; i++)
        if (marks->stores[i] != NULL)
            status = read_store(marks, marks->stores[i], nowait);
    return status;
}

/* --- following them -------------------------------------------------------------------------- */

static bool owns(const struct node *node, uint32_t partition, uint16_t member)
{
    const struct epoch *epoch = node->config.epoch;
    return member != RING_NO_MEMBER &&
           hint_target_owns(epoch, partition, epoch->replica_count, member);
}

/* The target is no owner any more: whoever is one now may lack what it was not given. */
static void readdress(struct node *node, const struct node_id *target, uint32_t partition,
                      enum hint_mark mark)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    const struct epoch *epoch = node->config.epoch;
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    engine_batch_reset(node->batch);
    kvorum_status status =
        key.data == NULL ? KVORUM_NO_MEMORY : engine_batch_delete(node->batch, key);
    for (uint8_t i = 0; i < epoch->replica_count && status == KVORUM_OK; i++) {
        uint16_t owner = owner_at(node, partition, i);
        if (owner != RING_NO_MEMBER)
            status = hints_put_mark(node, node->batch, &epoch->members[owner].id, partition,
                                    HINT_MARK_SUSPICION);
    }
    if (status == KVORUM_OK)
        (void)replica_submit(node, placement_store(node, partition), node->batch,
                             replica_durability(node, false), &nothing);
}

/* What is owed to an owner goes there first, or it would compare without it. */
static bool owes_to_others(struct node *node, uint16_t target, uint32_t partition)
{
    struct list *queues = &node->hints->queues;
    for (struct list *item = queues->next; item != queues; item = item->next) {
        const struct hint_queue *queue = LIST_ENTRY(item, struct hint_queue, link);
        uint16_t member = queue->used.count == 0 ? RING_NO_MEMBER : hints_target(node, queue);
        if (member != target && owns(node, partition, member))
            return true;
    }
    return false;
}

static void follow(struct node *node, const struct node_id *id, uint16_t target, uint32_t partition,
                   enum hint_mark mark)
{
    if (partition >= node->config.epoch->partition_count ||
        placement_store(node, partition) == NULL)
        return;
    bool ours = owns(node, partition, node->config.self) && target != node->config.self;
    if (!owns(node, partition, target) || (mark == HINT_MARK_ORDER && !ours))
        readdress(node, id, partition, mark);
    else if (mark == HINT_MARK_SUSPICION && !owes_to_others(node, target, partition))
        hand_over(node, target, partition);
    else if (mark == HINT_MARK_ORDER)
        repair_suspect(node, partition, target);
}

static void marks_done(struct node *node, struct reading *reading)
{
    struct marks *marks = (struct marks *)reading;
    struct hint_queue *queue = marks->queue;
    queue->suspecting = false;
    if (reading->status == KVORUM_OK) {
        uint16_t target = hints_target(node, queue);
        node->counters.hint_marks += marks->count - queue->marks;
        queue->marks = (uint32_t)marks->count; /* as far as one looked */
        for (size_t i = 0; i < marks->count; i++)
            follow(node, &queue->target, target, marks->found[i].partition, marks->found[i].kind);
    }
    reading_close(reading);
}

void suspect_tick(struct node *node, struct hint_queue *queue)
{
    uint16_t target = hints_target(node, queue);
    bool away = target != RING_NO_MEMBER && target != node->config.self &&
                node_liveness(node, target) != LIVENESS_ALIVE;
    if (queue->marks == 0 || queue->suspecting || away || node->now_us < queue->suspect_us)
        return;
    queue->suspect_us = node->now_us + RETRY_US;
    struct reading *reading = reading_open(sizeof(struct marks));
    struct marks *marks = (struct marks *)reading;
    if (marks == NULL)
        return;
    reading->read = read_marks;
    reading->done = marks_done;
    marks->queue = queue;
    marks->store_count = node->config.store_count;
    memcpy(marks->stores, node->config.stores, marks->store_count * sizeof(struct engine *));
    marks->lower = hint_mark_key(&reading->arena, &queue->target, 0, HINT_MARK_SUSPICION);
    marks->upper = hint_marks_end(&reading->arena, &queue->target);
    if (marks->lower.data == NULL || marks->upper.data == NULL) {
        reading_close(reading);
        return;
    }
    queue->suspecting = true;
    reading_start(node, reading);
}

/* --- comparing, until repair by trees does it ------------------------------------------------ */

/* One partition with one member, all of it: for each object the member is asked for its digest, and
 * sent the object where that differs.  node/repair.c, once it is there, takes the place of this
 * weak definition, and calls hints_compared when it has done the same by its trees. */
struct suspect_sync {
    uint32_t partition;
    uint16_t member;
    struct buffer cursor; /* key after which to go on; empty: from the start */
    uint32_t in_flight;
    bool failed;
    struct suspect_page *page; /* whose objects are in flight */
};

struct suspect_page {
    struct reading reading; /* first */
    struct suspect_sync *sync;
    struct engine *store;
    struct bytes lower, upper;
    size_t count;
    bool more;
    struct {
        struct bytes key, encoding;
    } objects[PAGE_ENTRIES];
};

struct comparison {
    struct suspect_sync *sync;
    size_t index; /* in the page */
};

static void next_page(struct node *node, struct suspect_sync *sync);

static void sync_end(struct node *node, struct suspect_sync *sync)
{
    if (!sync->failed) {
        PROBE("node: a partition was compared for a hint that was dropped");
        hints_compared(node, sync->partition, sync->member);
    }
    node->hints->sync = NULL;
    buffer_done(&sync->cursor);
    free(sync);
}

static void page_over(struct node *node, struct suspect_sync *sync)
{
    struct suspect_page *page = sync->page;
    bool more = page->more && !sync->failed;
    sync->page = NULL;
    buffer_reset(&sync->cursor);
    if (page->count > 0)
        buffer_append_bytes(&sync->cursor, page->objects[page->count - 1].key);
    reading_close(&page->reading);
    sync->failed |= sync->cursor.failed;
    if (more && !sync->failed)
        next_page(node, sync);
    else
        sync_end(node, sync);
}

static void comparison_ends(struct node *node, struct request *request, bool fine)
{
    struct suspect_sync *sync = request->comparison->sync;
    request_close(node, request);
    sync->failed |= !fine;
    if (--sync->in_flight == 0)
        page_over(node, sync);
}

static bool ask(struct node *node, struct request *request, bool digest)
{
    const struct comparison *comparison = request->comparison;
    const struct suspect_sync *sync = comparison->sync;
    const struct suspect_page *page = sync->page;
    struct key_address address;
    if (!store_key_parse(page->objects[comparison->index].key, &address))
        return false;
    struct net_address to = placement_of(node, sync->member, sync->partition);
    Peer__Address packed = PEER__ADDRESS__INIT;
    packed.type = protobuf_data(address.type);
    packed.bucket = protobuf_data(address.bucket);
    packed.key = protobuf_data(address.key);
    Peer__Get get = PEER__GET__INIT;
    Peer__Merge merge = PEER__MERGE__INIT;
    get.address = merge.address = &packed;
    get.digest = merge.durable = true;
    if (digest)
        return node_send(node, to, MESSAGE_GET, request->id, node_pack(node, &get.base),
                         (struct bytes){ 0 });
    return node_send(node, to, MESSAGE_MERGE, request->id, node_pack(node, &merge.base),
                     page->objects[comparison->index].encoding);
}

static void compare(struct node *node, struct suspect_sync *sync, size_t index)
{
    struct request *request = request_open(node, REQUEST_COMPARE);
    struct comparison *comparison =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*comparison));
    if (comparison == NULL || !request_register(node, request, node->now_us + TIMEOUT_US)) {
        if (request != NULL)
            request_close(node, request);
        sync->failed = true;
        return;
    }
    *comparison = (struct comparison){ sync, index };
    request->comparison = comparison;
    request->answered = true;
    sync->in_flight++;
    if (!ask(node, request, true)) {
        request_close(node, request);
        sync->in_flight--;
        sync->failed = true;
    }
}

static void compare_page(struct node *node, struct reading *reading)
{
    struct suspect_page *page = (struct suspect_page *)reading;
    struct suspect_sync *sync = page->sync;
    sync->page = page;
    sync->failed |= reading->status != KVORUM_OK;
    sync->in_flight++; /* our own, so that the page is not over below */
    for (size_t i = 0; i < page->count && !sync->failed; i++)
        compare(node, sync, i);
    if (--sync->in_flight == 0)
        page_over(node, sync);
}

void compare_on_digest(struct node *node, struct request *request, kvorum_status status,
                       uint64_t digest)
{
    const struct comparison *comparison = request->comparison;
    struct bytes own = comparison->sync->page->objects[comparison->index].encoding;
    if (status == KVORUM_OK && digest == object_digest(own))
        comparison_ends(node, request, true);
    else if (status != KVORUM_OK || !ask(node, request, false))
        comparison_ends(node, request, false);
}

void compare_on_merged(struct node *node, struct request *request, kvorum_status status,
                       bool durable)
{
    comparison_ends(node, request, status == KVORUM_OK && durable);
}

static kvorum_status read_page(struct reading *reading, bool nowait)
{
    struct suspect_page *page = (struct suspect_page *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = page->lower, .upper = page->upper };
    struct engine_iterator *iterator;
    size_t size = 0;
    page->count = 0;
    kvorum_status status = engine_iterate_at(page->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && page->count < PAGE_ENTRIES && size < PAGE_SIZE &&
           arena_copy(&reading->arena, iterator->key, &page->objects[page->count].key) &&
           arena_copy(&reading->arena, iterator->value, &page->objects[page->count].encoding)) {
        size += iterator->value.size;
        page->count++;
        engine_iterator_next(iterator);
    }
    page->more = iterator->valid;
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

/* The first key of the partition, or of the next one; or right behind the cursor. */
static struct bytes bound(struct arena *arena, uint32_t partition, struct bytes cursor)
{
    size_t size = cursor.size > 0 ? cursor.size + 1 : 4;
    uint8_t *data = arena_allocate_zero(arena, size);
    if (data == NULL)
        return (struct bytes){ 0 };
    if (cursor.size > 0) {
        memcpy(data, cursor.data, cursor.size);
        return bytes_make(data, size);
    }
    data[0] = 'o' + (partition > UINT16_MAX);
    data[1] = (uint8_t)(partition >> 8);
    data[2] = (uint8_t)partition;
    return bytes_make(data, 3);
}

static void next_page(struct node *node, struct suspect_sync *sync)
{
    struct reading *reading = reading_open(sizeof(struct suspect_page));
    struct suspect_page *page = (struct suspect_page *)reading;
    if (page != NULL) {
        reading->read = read_page;
        reading->done = compare_page;
        page->sync = sync;
        page->store = placement_store(node, sync->partition);
        page->lower = bound(&reading->arena, sync->partition, buffer_bytes(&sync->cursor));
        page->upper = bound(&reading->arena, sync->partition + 1, (struct bytes){ 0 });
    }
    if (page == NULL || page->lower.data == NULL || page->upper.data == NULL) {
        if (reading != NULL)
            reading_close(reading);
        sync->failed = true;
        sync_end(node, sync);
        return;
    }
    reading_start(node, reading);
}

void suspect_close(struct node *node)
{
    struct suspect_sync *sync = node->hints->sync;
    if (sync == NULL)
        return;
    if (sync->page != NULL)
        reading_close(&sync->page->reading);
    buffer_done(&sync->cursor);
    free(sync);
    node->hints->sync = NULL;
}

__attribute__((weak)) void repair_suspect(struct node *node, uint32_t partition, uint16_t member)
{
    if (node->hints->sync != NULL)
        return; /* one at a time; the mark calls again */
    struct suspect_sync *sync = calloc(1, sizeof(*sync));
    if (sync == NULL)
        return;
    *sync = (struct suspect_sync){ .partition = partition, .member = member };
    buffer_init(&sync->cursor, ENGINE_KEY_SIZE_MAX + 1);
    node->hints->sync = sync;
    next_page(node, sync);
}
