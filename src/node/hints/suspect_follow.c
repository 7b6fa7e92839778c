/* SPDX-License-Identifier: Apache-2.0 */
/* Marks are read from the stores now and then, and each is followed: an order by comparing, a
 * suspicion by asking the owners. */
#include "node/hints/suspect_internal.h"

enum { MARKS_AT_ONCE = 32, RETRY_US = 5 * 1000 * 1000 };

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
        if (member != target && suspect_owns(node, partition, member))
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
    if (suspect_is_astray(node, partition, target, mark))
        suspect_settle(node, id, partition, mark);
    else if (mark == HINT_MARK_SUSPICION && !owes_to_others(node, target, partition))
        suspect_hand_over(node, target, partition);
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
