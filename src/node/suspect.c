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
#include "node/repair.h"

enum {
    MARKS_AT_ONCE = 32,
    RETRY_US = 5 * 1000 * 1000,
    TIMEOUT_US = 5 * 1000 * 1000,
};

/* --- an end of a mark ------------------------------------------------------------------------ */

/* For whatever bucket. */
static uint16_t owners_of(const struct node *node, uint32_t partition,
                          uint16_t ret_owners[PLACEMENT_OWNERS_MAX])
{
    return placement_owners(node, partition, property_table_largest_n(node), ret_owners);
}

static bool owns(const struct node *node, uint32_t partition, uint16_t member)
{
    return member != RING_NO_MEMBER &&
           placement_is_owner(node, partition, property_table_largest_n(node), member);
}

/* The largest n that a bucket has for which `member` is no owner; 0: it is one for every bucket. */
static uint8_t n_without(const struct node *node, uint32_t partition, uint16_t member)
{
    uint32_t ns = property_table_ns(node);
    for (uint8_t n = property_table_largest_n(node); n > 0; n--)
        if ((ns >> n & 1) != 0 &&
            (member == RING_NO_MEMBER || !placement_is_owner(node, partition, n, member)))
            return n;
    return 0;
}

/* Removes it, and suspects the owners for buckets with n replicas instead (0: nobody). */
static kvorum_status replace_mark(struct node *node, const struct node_id *target,
                                  uint32_t partition, enum hint_mark mark, uint8_t n)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = n == 0 ? 0 : placement_owners(node, partition, n, owners);
    engine_batch_reset(node->batch);
    kvorum_status status =
        key.data == NULL ? KVORUM_NO_MEMORY : engine_batch_delete(node->batch, key);
    for (uint16_t i = 0; i < count && status == KVORUM_OK; i++)
        status = hints_put_mark(node, node->batch, &node->config.epoch->members[owners[i]].id,
                                partition, HINT_MARK_SUSPICION);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    return status;
}

static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark);

/* What the mark asked of the target is done.  A mark does not say of which bucket the hint was: for
 * those where the target is not among the owners, it may have been one when the hint was dropped,
 * and then those who are now may lack the write.  They come before the target in every row, so
 * marks that replace marks come to an end. */
static void settle_mark(struct node *node, const struct node_id *target, uint32_t partition,
                        enum hint_mark mark)
{
    uint16_t member = ring_member_index(node->config.epoch, target);
    uint8_t n = n_without(node, partition, member);
    if (n > 0)
        PROBE("node: a mark went on to owners of buckets with fewer replicas");
    if (replace_mark(node, target, partition, mark, n) == KVORUM_OVERLOADED)
        settle_later(node, target, partition, mark);
}

struct late_settling {
    struct node_id target;
    uint32_t partition, marks_put;
    enum hint_mark mark;
    uint64_t epoch;
};

/* Not if another mark may have taken its place, or others own the partition: then it stays. */
static void settle_again(struct node *node, struct fetch *fetch)
{
    const struct late_settling *late = fetch->input;
    const struct hint_queue *queue = hints_queue(node, &late->target);
    node->fetch_pass = NULL; /* it has nothing to read */
    if (queue == NULL || queue->marks_put != late->marks_put ||
        late->epoch != node->config.epoch->number)
        return;
    PROBE("node: a mark was settled when its store had room");
    settle_mark(node, &late->target, late->partition, late->mark);
}

/* The store is behind.  All that was asked for the mark would be asked anew if it stayed, and that
 * brings more marks; so it waits for room, in the line of a key that nobody reads. */
static void settle_later(struct node *node, const struct node_id *target, uint32_t partition,
                         enum hint_mark mark)
{
    const struct hint_queue *queue = hints_queue(node, target);
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    if (queue == NULL || key.data == NULL)
        return;
    struct fetch *fetch = fetch_open(node, settle_again, sizeof(struct late_settling), 0);
    if (fetch == NULL)
        return;
    *(struct late_settling *)fetch->input =
        (struct late_settling){ .target = *target,
                                .partition = partition,
                                .marks_put = queue->marks_put,
                                .mark = mark,
                                .epoch = node->config.epoch->number };
    if (fetch_wait_room(node, fetch, placement_store(node, partition), key) == KVORUM_OK)
        PROBE("node: a mark that was followed waited for room to go");
}

/* WOULD_BLOCK: it may be. */
static bool is_ordered(struct node *node, const struct node_id *target, uint32_t partition)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    struct bytes key = hint_mark_key(&node->scratch, target, partition, HINT_MARK_ORDER);
    if (key.data == NULL)
        return false; /* it stays */
    kvorum_status status = engine_view_at(placement_store(node, partition), key, &how, &view);
    if (status == KVORUM_OK)
        engine_release(&view);
    return status != KVORUM_NOT_FOUND;
}

void hints_compared(struct node *node, uint32_t partition, uint16_t member)
{
    if (member >= node->config.epoch->member_count || placement_store(node, partition) == NULL ||
        !hints_marked(node, &node->config.epoch->members[member].id))
        return; /* most comparisons are for nobody's mark: nothing is to be deleted */
    const struct node_id *target = &node->config.epoch->members[member].id;
    node->counters.hint_marks_settled++;
    if (is_ordered(node, target, partition))
        settle_mark(node, target, partition, HINT_MARK_ORDER);
}

/* --- asking every owner ---------------------------------------------------------------------- */

struct inquiry {
    struct node_id target;
    uint16_t member; /* the target's */
    uint32_t partition;
    uint64_t epoch; /* number of the one whose owners are asked */
    uint16_t owners[PLACEMENT_OWNERS_MAX], owner_count;
    uint16_t place; /* of the owner that is being asked */
};

/* All have it: the suspicion is over. */
static void all_asked(struct node *node, struct request *request)
{
    const struct inquiry *inquiry = request->inquiry;
    PROBE("node: a mark was handed to the owners");
    settle_mark(node, &inquiry->target, inquiry->partition, HINT_MARK_SUSPICION);
    request_close(node, request);
}

/* From inquiry->place on. */
static void ask_next(struct node *node, struct request *request)
{
    struct inquiry *inquiry = request->inquiry;
    while (inquiry->place < inquiry->owner_count &&
           inquiry->owners[inquiry->place] == inquiry->member)
        inquiry->place++;
    if (inquiry->place >= inquiry->owner_count) {
        all_asked(node, request);
        return;
    }
    uint16_t owner = inquiry->owners[inquiry->place];
    Peer__Suspect body = PEER__SUSPECT__INIT;
    body.partition = inquiry->partition;
    body.member = inquiry->member;
    if (!node_send(node, placement_of(node, owner, inquiry->partition), MESSAGE_SUSPECT,
                   request->id, node_pack(node, &body.base), (struct bytes){ 0 }))
        request_close(node, request); /* the mark is still there */
}

static void hand_over(struct node *node, uint16_t target, uint32_t partition)
{
    struct request *request = request_open(node, REQUEST_SUSPECT);
    struct inquiry *inquiry =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*inquiry));
    if (inquiry == NULL || !request_register(node, request, node->now_us + TIMEOUT_US)) {
        if (request != NULL)
            request_close(node, request);
        return;
    }
    *inquiry = (struct inquiry){ .target = node->config.epoch->members[target].id,
                                 .member = target,
                                 .partition = partition,
                                 .epoch = node->config.epoch->number };
    inquiry->owner_count = owners_of(node, partition, inquiry->owners);
    request->inquiry = inquiry;
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
    if (status == KVORUM_OK)
        repair_on_mark(node, body->partition); /* what is being compared may have begun too early */
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
    struct inquiry *inquiry = request->inquiry;
    if (inquiry->place >= inquiry->owner_count || inquiry->owners[inquiry->place] != from.member)
        return; /* a doubled answer of the one before */
    if (body->status == KVORUM_OK && inquiry->epoch == node->config.epoch->number) {
        inquiry->place++;
        ask_next(node, request);
    } else
        request_close(node, request); /* the mark is still there */
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
    uint32_t marks_put; /* in the queue, when the reading began */
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
    /* No owner any more: whoever is one now may lack what it was not given. */
    if (!owns(node, partition, target) || (mark == HINT_MARK_ORDER && !ours))
        (void)replace_mark(node, id, partition, mark, property_table_largest_n(node));
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
        if (queue->marks_put == marks->marks_put) { /* else there is one more that was not seen */
            node->counters.hint_marks += marks->count - queue->marks;
            queue->marks = (uint32_t)marks->count; /* as far as one looked */
        }
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
    marks->marks_put = queue->marks_put;
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
