/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying the queues.  A walk goes through a target's queue, one page after another, while the
 * target is alive; and once through the whole of it when an epoch is new, and now and then, for
 * what is to be re-routed or destroyed though the target is away; and again where that failed.
 *
 *      walk --page--> turns, one a hint (hints_turn.c)
 *
 * Whatever waits (for the disk, for an answer) is in flight; a walk ends, and the next begins, only
 * when nothing is, so no hint has two turns at a time. */
#include "base/planted.h"
#include "node/hints/hints_internal.h"

enum {
    PAGE = 64,
    STEP_US = 1000,               /* between two pages */
    SWEEP_US = 600 * 1000 * 1000, /* how often the queue of one that is away is walked */
};

struct page {
    struct reading reading; /* first */
    struct hint_queue *queue;
    struct engine *store;
    struct bytes lower, upper;
    size_t limit, count;
    bool more; /* behind the last one */
    struct {
        struct bytes key, value;
    } entries[PAGE];
};

static kvorum_status read_page(struct reading *reading, bool nowait)
{
    struct page *page = (struct page *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = page->lower, .upper = page->upper };
    struct engine_iterator *iterator;
    page->count = 0;
    kvorum_status status = engine_iterate_at(page->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && page->count < page->limit &&
           arena_copy(&reading->arena, iterator->key, &page->entries[page->count].key) &&
           arena_copy(&reading->arena, iterator->value, &page->entries[page->count].value)) {
        page->count++;
        engine_iterator_next(iterator);
    }
    page->more = iterator->valid;
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static bool is_alive(struct node *node, const struct hint_queue *queue)
{
    uint16_t member = hints_target(node, queue);
    return member != RING_NO_MEMBER && node_liveness(node, member) == LIVENESS_ALIVE;
}

/* The queue of a member that is away is walked without sending: only the window counts. */
static bool may_go_on(struct node *node, struct hint_queue *queue)
{
    const struct hint_pace_config *config = &node->hints->pace;
    if (queue->regaining || (queue->was_alive && node->hints->paused))
        return false;
    if (queue->was_alive)
        return hint_pace_admits(&queue->pace, config, node->now_us);
    return queue->pace.in_flight < config->window;
}

/* Hints that were lost were counted, and would be for ever. */
static void end_doubt(struct node *node, struct hint_queue *queue)
{
    queue->unsure = false;
    while (queue->used.count > 0 && queue->walked_stored == node->counters.hints_stored)
        hints_uncount(node, queue, 0);
}

static void next_store(struct node *node, struct hint_queue *queue)
{
    queue->cursor = 0;
    do
        queue->store++;
    while (queue->store < node->config.store_count && node->config.stores[queue->store] == NULL);
    if (queue->store < node->config.store_count)
        return;
    queue->walking = false;
    if (queue->unsure && queue->oldest_met == UINT64_MAX)
        end_doubt(node, queue);
    queue->oldest =
        queue->used.count == 0 || queue->oldest_met == UINT64_MAX ? 0 : queue->oldest_met;
}

static void page_done(struct node *node, struct reading *reading)
{
    struct page *page = (struct page *)reading;
    struct hint_queue *queue = page->queue;
    uint64_t from = queue->cursor;
    size_t i = 0;
    queue->scanning = false;
    if (reading->status != KVORUM_OK) {
        queue->walking = false; /* another walk begins it anew */
        queue->undone = true;
    }
    for (; reading->status == KVORUM_OK && i < page->count && may_go_on(node, queue); i++) {
        struct hint_turn turn = { .queue = queue, .step = TURN_BEGIN };
        uint32_t unused;
        enum hint_entry entry =
            hint_parse(page->entries[i].key, page->entries[i].value, &turn.hint, &unused);
        if (turn.hint.order >= queue->cursor)
            queue->cursor = turn.hint.order + 1;
        if (entry != HINT_ENTRY_QUEUE)
            continue;
        if (turn.hint.order < queue->oldest_met)
            queue->oldest_met = turn.hint.order;
        if (queue->unsure && queue->used.count == 0)
            PROBE("node: a hint came back with a damaged block, and had its turn");
        hint_pace_begin(&queue->pace);
        hint_turn_run(node, &turn);
    }
    bool stuck = i > 0 && queue->cursor == from; /* entries of another making */
    if (reading->status == KVORUM_OK && ((i == page->count && !page->more) || stuck))
        next_store(node, queue);
    reading_close(reading);
    uint64_t when_us = hints_replay_us(node, queue);
    if (when_us != UINT64_MAX)
        hints_wake(node, when_us);
}

static void read_next(struct node *node, struct hint_queue *queue)
{
    struct reading *reading = reading_open(sizeof(struct page));
    struct page *page = (struct page *)reading;
    if (page == NULL)
        return;
    uint32_t room = node->hints->pace.window - queue->pace.in_flight;
    reading->read = read_page;
    reading->done = page_done;
    page->queue = queue;
    page->store = node->config.stores[queue->store];
    page->limit = room < PAGE ? room : PAGE;
    page->lower = hint_queue_from(&reading->arena, &queue->target, queue->cursor);
    page->upper = hint_queue_end(&reading->arena, &queue->target);
    if (page->lower.data == NULL || page->upper.data == NULL) {
        reading_close(reading);
        return;
    }
    queue->scanning = true;
    reading_start(node, reading);
}

static void begin_walk(struct node *node, struct hint_queue *queue)
{
    queue->walking = true;
    queue->undone = false;
    queue->store = 0;
    queue->cursor = 0;
    queue->oldest_met = UINT64_MAX;
    queue->walked_us = node->now_us;
    queue->walked_epoch = node->config.epoch->number;
    queue->walked_stored = node->counters.hints_stored;
    if (node->config.stores[0] == NULL)
        next_store(node, queue);
}

static bool is_due(struct node *node, const struct hint_queue *queue)
{
    return (queue->used.count > 0 || queue->unsure) && queue->pace.in_flight == 0 &&
           (queue->was_alive || queue->walked_epoch != node->config.epoch->number ||
            (queue->undone && node->now_us >= queue->pace.resume_us) ||
            node->now_us - queue->walked_us >= SWEEP_US);
}

void hints_replay(struct node *node, struct hint_queue *queue)
{
    bool alive = is_alive(node, queue);
    if (alive && !queue->was_alive)
        hint_pace_revive(&queue->pace, &node->hints->pace, node->now_us, &node->random);
    queue->was_alive = alive;
    if (queue->regaining)
        hints_regain(node, queue);
    if (queue->scanning || !may_go_on(node, queue))
        return;
    if (!queue->walking && is_due(node, queue))
        begin_walk(node, queue);
    if (queue->walking)
        read_next(node, queue);
}

uint64_t hints_replay_us(struct node *node, struct hint_queue *queue)
{
    if (queue->regaining)
        return queue->regain_reading ? UINT64_MAX : queue->regain_us;
    if (!queue->walking || queue->scanning || queue->pace.in_flight >= node->hints->pace.window)
        return UINT64_MAX;
    if (queue->was_alive && node->hints->paused)
        return UINT64_MAX;
    uint64_t soon_us = node->now_us + STEP_US;
    if (!queue->was_alive)
        return soon_us;
    uint64_t next_us = hint_pace_next_us(&queue->pace, &node->hints->pace, node->now_us);
    return next_us > soon_us ? next_us : soon_us;
}
