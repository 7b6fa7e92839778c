/* SPDX-License-Identifier: Apache-2.0 */
/* What is owed is counted anew when the node starts: hints, marks, and markers of a release before
 * queues, which become hints. */
#include "node/hints/hints_internal.h"

#include "base/planted.h"

enum { CONVERTED_AT_ONCE = 1000 };

/* A marker of a release before queues: it gets a place in the queue, and its index says so. */
static kvorum_status convert(struct node *node, struct engine_batch *batch, struct hint *hint)
{
    hint->order = hlc_now(&node->hlc, clock_wall_ms(node->config.clock));
    hint->epoch = node->config.epoch->number;
    PROBE("node: a hint of an older release joined the queue");
    return hints_put(node, batch, hint);
}

static kvorum_status load_entry(struct node *node, struct engine_iterator *iterator,
                                struct engine_batch *batch)
{
    struct hint hint;
    uint32_t partition;
    enum hint_entry entry = hint_parse(iterator->key, iterator->value, &hint, &partition);
    if (entry == HINT_ENTRY_NONE)
        return KVORUM_OK;
    struct hint_queue *queue = hints_queue(node, &hint.target);
    if (queue == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = KVORUM_OK;
    if (entry == HINT_ENTRY_INDEX) /* its place in the queue is counted, or regained */
        return KVORUM_OK;
    if (entry == HINT_ENTRY_MARK) {
        queue->marks++;
        node->counters.hint_marks++;
        return KVORUM_OK;
    }
    if (entry == HINT_ENTRY_MARKER)
        status = convert(node, batch, &hint);
    if (status == KVORUM_OK)
        hints_count(node, queue, hint.order, hint.size);
    return status;
}

static kvorum_status flush_converted(struct node *node, struct engine *store,
                                     struct engine_batch *batch)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    if (engine_batch_count(batch) == 0)
        return KVORUM_OK;
    kvorum_status status =
        replica_submit(node, store, batch, replica_durability(node, false), &nothing);
    engine_batch_reset(batch);
    return status;
}

kvorum_status hints_load(struct node *node, struct engine *store)
{
    struct engine_range range = { .lower = BYTES_LITERAL("h"), .upper = BYTES_LITERAL("k") };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_batch_reset(node->batch);
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator)) {
        status = load_entry(node, iterator, node->batch);
        if (status == KVORUM_OK && engine_batch_count(node->batch) >= CONVERTED_AT_ONCE)
            status = flush_converted(node, store, node->batch);
    }
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status == KVORUM_OK ? flush_converted(node, store, node->batch) : status;
}
