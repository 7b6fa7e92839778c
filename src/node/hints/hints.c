/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of hints: what goes into the batch of a write that is taken for a member that is away,
 * how much there may be of it, and how it is counted.
 *
 * A key has one hint a target that counts, the one that the index names.  Whoever adds one removes
 * the one before from the queue, where he can see it without waiting for the disk; where he cannot,
 * the older one is found to be superseded when its turn comes. */
#include "node/hints/hints_internal.h"

#include "node/scrub/scrub.h"

enum {
    WINDOW = 128,
    PAUSE_MIN_US = 500 * 1000,
    PAUSE_MAX_US = 300 * 1000 * 1000,
    INTERVAL_US = 1000 * 1000,
};

/* --- queues ---------------------------------------------------------------------------------- */

static struct hint_queue *find_queue(const struct node *node, const struct node_id *target)
{
    struct list *queues = &node->hints->queues;
    for (struct list *item = queues->next; item != queues; item = item->next) {
        struct hint_queue *queue = LIST_ENTRY(item, struct hint_queue, link);
        if (memcmp(&queue->target, target, sizeof(*target)) == 0)
            return queue;
    }
    return NULL;
}

bool hints_unclear(const struct node *node)
{
    return node->hints->regaining > 0;
}

bool hints_marked(const struct node *node, const struct node_id *target)
{
    const struct hint_queue *queue = find_queue(node, target);
    return queue != NULL && queue->marks > 0;
}

bool hints_owed(const struct node *node, const struct node_id *target)
{
    const struct hint_queue *queue = find_queue(node, target);
    return queue != NULL && (queue->used.count > 0 || queue->marks > 0);
}

struct hint_queue *hints_queue(struct node *node, const struct node_id *target)
{
    struct hint_queue *queue = find_queue(node, target);
    if (queue == NULL && (queue = calloc(1, sizeof(*queue))) != NULL) {
        queue->target = *target;
        list_init(&queue->link);
        list_append(&node->hints->queues, &queue->link);
    }
    return queue;
}

uint16_t hints_target(const struct node *node, const struct hint_queue *queue)
{
    return ring_member_index(node->config.epoch, &queue->target);
}

void hints_count(struct node *node, struct hint_queue *queue, uint64_t order, uint64_t size)
{
    queue->used.count++;
    queue->used.size += size;
    if (queue->oldest == 0 || order < queue->oldest)
        queue->oldest = order;
    node->counters.hints_waiting++;
    node->counters.hints_waiting_size += size;
}

/* What is counted may not be what is there: with a damaged table hints are lost, and some come back
 * that were removed (hints_on_mended).  The next start counts anew. */
void hints_uncount(struct node *node, struct hint_queue *queue, uint64_t size)
{
    if (queue->used.count == 0)
        return;
    if (size > queue->used.size || queue->used.count == 1)
        size = queue->used.size;
    queue->used.count--;
    queue->used.size -= size;
    if (queue->used.count == 0)
        queue->oldest = 0;
    node->counters.hints_waiting--;
    node->counters.hints_waiting_size -= size;
}

/* --- opening --------------------------------------------------------------------------------- */

static uint64_t part_of(const struct node *node, uint64_t whole)
{
    uint64_t part = whole / node->config.shard_count;
    return part == 0 ? 1 : part;
}

/* What rotted before this life began may have left halves behind it. */
static void regain_all(struct node *node)
{
    struct list *queues = &node->hints->queues;
    for (struct list *item = queues->next; item != queues; item = item->next)
        hints_regain_begin(node, LIST_ENTRY(item, struct hint_queue, link));
}

kvorum_status hints_open(struct node *node)
{
    struct hints *hints = node->hints = calloc(1, sizeof(*hints));
    if (hints == NULL)
        return KVORUM_NO_MEMORY;
    const struct node_limits *limits = &node->config.limits;
    list_init(&hints->queues);
    hints->quota =
        (struct hint_usage){ part_of(node, limits->hints), part_of(node, limits->hints_size) };
    hints->horizon_ms = limits->hint_horizon_ms;
    hints->pace = (struct hint_pace_config){ .window = WINDOW,
                                             .rate = part_of(node, limits->hint_rate),
                                             .pause_min_us = PAUSE_MIN_US,
                                             .pause_max_us = PAUSE_MAX_US };
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++)
        if (node->config.stores[i] != NULL)
            status = hints_load(node, node->config.stores[i]);
    bool rotted = false;
    for (uint16_t i = 0; i < node->config.store_count; i++)
        rotted |= node->config.stores[i] != NULL && scrub_salt(node, i) != 0;
    if (status == KVORUM_OK && rotted)
        regain_all(node);
    return status;
}

void hints_close(struct node *node)
{
    struct hints *hints = node->hints;
    struct list *item;
    if (hints == NULL)
        return;
    while ((item = list_take_first(&hints->queues)) != NULL)
        free(LIST_ENTRY(item, struct hint_queue, link));
    free(hints->collected_ms);
    free(hints);
    node->hints = NULL;
}

/* --- taking a hint --------------------------------------------------------------------------- */

/* The hint of the same key and target before this one, if it can be seen without waiting. */
static struct hint_usage find_replaced(struct engine *store, const struct hint *hint,
                                       struct bytes index, struct hint *ret_before)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    uint32_t unused;
    struct hint_usage none = { 0 };
    if (engine_view_at(store, index, &how, &view) != KVORUM_OK)
        return none;
    bool found = hint_parse(index, view.value, ret_before, &unused) == HINT_ENTRY_INDEX;
    engine_release(&view);
    ret_before->target = hint->target;
    ret_before->key = hint->key;
    return found ? (struct hint_usage){ 1, ret_before->size } : none;
}

kvorum_status hints_put(struct node *node, struct engine_batch *batch, const struct hint *hint)
{
    struct hint_value queued, indexed;
    hint_queue_value(hint, &queued);
    hint_index_value(hint, &indexed);
    struct bytes key = hint_queue_key(&node->scratch, hint);
    struct bytes index = hint_index_key(&node->scratch, &hint->target, hint->key);
    if (key.data == NULL || index.data == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = engine_batch_put(batch, key, bytes_make(queued.data, queued.size));
    if (status == KVORUM_OK)
        status = engine_batch_put(batch, index, bytes_make(indexed.data, indexed.size));
    return status;
}

static kvorum_status delete_hint(struct node *node, struct engine_batch *batch,
                                 const struct hint *hint)
{
    struct bytes key = hint_queue_key(&node->scratch, hint);
    return key.data == NULL ? KVORUM_NO_MEMORY : engine_batch_delete(batch, key);
}

/* In the queue of `before` it may have been removed meanwhile, as superseded: see it there. */
static bool is_queued(struct node *node, struct engine *store, const struct hint *before)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    struct bytes key = hint_queue_key(&node->scratch, before);
    if (key.data == NULL || engine_view_at(store, key, &how, &view) != KVORUM_OK)
        return false;
    engine_release(&view);
    return true;
}

kvorum_status hints_add(struct node *node, struct engine_batch *batch, uint16_t owner,
                        uint32_t partition, struct bytes key, uint64_t size,
                        struct hint_change *ret_change)
{
    const struct epoch *epoch = node->config.epoch;
    struct engine *store = placement_store(node, partition);
    struct hint before, hint = {
        .target = epoch->members[owner].id, .key = key, .epoch = epoch->number, .size = size
    };
    hint.order = hlc_now(&node->hlc, clock_wall_ms(node->config.clock));
    struct hint_queue *queue = hints_queue(node, &hint.target);
    struct bytes index = hint_index_key(&node->scratch, &hint.target, key);
    if (queue == NULL || index.data == NULL)
        return KVORUM_NO_MEMORY;
    struct hint_usage replaced = find_replaced(store, &hint, index, &before);
    if (replaced.count > 0 && !is_queued(node, store, &before))
        replaced = (struct hint_usage){ 0 };
    if (!hint_fits(&queue->used, &node->hints->quota, &replaced, size))
        return KVORUM_STORE_FULL;
    kvorum_status status = hints_put(node, batch, &hint);
    if (status == KVORUM_OK && replaced.count > 0)
        status = delete_hint(node, batch, &before);
    *ret_change = (struct hint_change){ queue, replaced.count > 0, before.size, size, hint.order };
    return status;
}

void hints_added(struct node *node, const struct hint_change *change)
{
    if (change->queue == NULL)
        return;
    if (change->replaces)
        hints_uncount(node, change->queue, change->replaced_size);
    hints_count(node, change->queue, change->order, change->size);
    node->counters.hints_stored++;
}

void hints_not_added(struct node *node, const struct hint_change *change)
{
    if (change->queue == NULL)
        return;
    hints_uncount(node, change->queue, change->size);
    if (change->replaces)
        hints_count(node, change->queue, change->order, change->replaced_size);
    node->counters.hints_stored--;
}

/* --- steering -------------------------------------------------------------------------------- */

void hints_pause(struct node *node, bool on)
{
    node->hints->paused = on;
    hints_wake(node, node->now_us);
}

void hints_limit(struct node *node, uint64_t rate)
{
    node->hints->pace.rate = rate == 0 || rate > HINTS_UNLIMITED ? HINTS_UNLIMITED : rate;
    hints_wake(node, node->now_us);
}

/* --- time ------------------------------------------------------------------------------------ */

void hints_wake(struct node *node, uint64_t when_us)
{
    if (node->hint_timer.place != 0 && node->hint_timer.key <= when_us)
        return;
    heap_remove(&node->timers, &node->hint_timer);
    (void)heap_insert(&node->timers, &node->hint_timer, when_us);
}

uint64_t hints_tick(struct node *node)
{
    struct list *queues = &node->hints->queues;
    uint64_t next_us = node->now_us + INTERVAL_US;
    if (!node->ready)
        property_pull(node);
    for (struct list *item = queues->next; node->ready && item != queues; item = item->next) {
        struct hint_queue *queue = LIST_ENTRY(item, struct hint_queue, link);
        hints_replay(node, queue);
        suspect_tick(node, queue);
        uint64_t own_us = hints_replay_us(node, queue);
        next_us = own_us < next_us ? own_us : next_us;
    }
    return next_us;
}

void hints_on_collected(struct node *node, uint32_t partition, uint64_t until_ms)
{
    struct hints *hints = node->hints;
    uint32_t partitions = node->config.epoch->partition_count;
    if (hints->collected_ms == NULL)
        hints->collected_ms = calloc(partitions, sizeof(*hints->collected_ms));
    if (hints->collected_ms != NULL && partition < partitions &&
        hints->collected_ms[partition] < until_ms)
        hints->collected_ms[partition] = until_ms;
}

/* --- looking in ------------------------------------------------------------------------------ */

uint8_t hints_bucket_n(struct node *node, const struct key_address *address)
{
    struct bucket_properties properties;
    property_table_get(node, address->type, address->bucket, &properties);
    return (uint8_t)properties.levels.n;
}

bool hints_is_owner(struct node *node, const struct key_address *address)
{
    return placement_is_owner(node, address->partition, hints_bucket_n(node, address),
                              node->config.self);
}

void node_hints(const struct node *node, uint16_t member, struct node_hints *ret)
{
    *ret = (struct node_hints){ 0 };
    if (node->hints == NULL || member >= node->config.epoch->member_count)
        return;
    const struct hint_queue *queue = find_queue(node, &node->config.epoch->members[member].id);
    if (queue == NULL)
        return;
    *ret = (struct node_hints){ queue->used.count, queue->used.size, hlc_wall_ms(queue->oldest),
                                queue->marks };
}
