/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for tombstones that are old enough to be worth a round, a piece of a partition at a time,
 * in jobs.  Age chooses candidates; whether one may go the round decides. */
#include "base/planted.h"
#include "node/collect/collect_internal.h"
#include "node/scrub/scrub_internal.h"

enum {
    CHUNK_KEYS = 2048,
    CHUNK_SIZE = 1 << 20,
    SCAN_ARENA_LIMIT = 16 << 20,
    PARTITIONS_A_TICK = 256,
};

struct scan {
    struct reading reading; /* first */
    struct engine *store;
    uint32_t partition;
    uint8_t bounds[6];
    struct bytes lower;
    uint64_t oldest_ms; /* those made until then are taken */
    struct grave *graves;
    uint32_t count;
    uint64_t counter, stamp; /* the largest in what was taken */
    struct bytes next;       /* empty: the partition ends here */
};

/* --- a job ----------------------------------------------------------------------------------- */

static bool is_old_grave(const struct scan *scan, const struct object *object)
{
    return object->sibling_count > 0 && object_is_deleted(object) &&
           hlc_wall_ms(object_max_stamp(object)) <= scan->oldest_ms;
}

/* False: no memory. */
static bool take(struct scan *scan, struct bytes key, struct bytes encoding,
                 const struct object *object)
{
    struct grave *grave = &scan->graves[scan->count++];
    *grave = (struct grave){ .digest = object_digest(encoding) };
    for (uint32_t i = 0; i < object->clock.count; i++)
        if (object->clock.entries[i].counter > scan->counter)
            scan->counter = object->clock.entries[i].counter;
    uint64_t last = object_last_mark(object).stamp, stamp = object_max_stamp(object);
    stamp = last > stamp ? last : stamp;
    scan->stamp = stamp > scan->stamp ? stamp : scan->stamp;
    return arena_copy(&scan->reading.arena, key, &grave->key);
}

static kvorum_status read_chunk(struct scan *scan, struct engine_iterator *iterator,
                                struct arena *temporary)
{
    size_t looked = 0, size = 0, key_size = 0;
    for (; iterator->valid; engine_iterator_next(iterator)) {
        struct object object;
        if (looked++ == CHUNK_KEYS || size >= CHUNK_SIZE || scan->count == ROUND_KEYS_MAX ||
            key_size >= COLLECT_KEYS_SIZE)
            return arena_copy(&scan->reading.arena, iterator->key, &scan->next) ? KVORUM_OK
                                                                                : KVORUM_NO_MEMORY;
        size += iterator->value.size;
        arena_reset(temporary);
        if (object_decode(iterator->value, temporary, &object) != KVORUM_OK ||
            !is_old_grave(scan, &object))
            continue;
        key_size += iterator->key.size;
        if (!take(scan, iterator->key, iterator->value, &object))
            return KVORUM_NO_MEMORY;
    }
    return iterator->error;
}

static kvorum_status scan_read(struct reading *reading, bool nowait)
{
    struct scan *scan = (struct scan *)reading;
    struct engine_range range = { .lower = scan->lower, .upper = bytes_make(scan->bounds + 3, 3) };
    const struct engine_read how = { .nowait = nowait };
    struct engine_iterator *iterator;
    struct arena temporary;
    scan->count = 0;
    scan->counter = scan->stamp = 0;
    scan->next = (struct bytes){ 0 };
    kvorum_status status = engine_iterate_at(scan->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    arena_init(&temporary, SCAN_ARENA_LIMIT);
    engine_iterator_first(iterator);
    status = read_chunk(scan, iterator, &temporary);
    engine_iterator_close(iterator);
    arena_done(&temporary);
    return status;
}

/* --- where the pass stands ------------------------------------------------------------------- */

static void pass_ends(struct node *node)
{
    struct collect *collect = node->collect;
    collect->partition = 0;
    node->counters.collect_passes++;
    collect->next_us = node->now_us + node->config.collect.interval_us;
}

static void go_on(struct node *node, struct bytes after)
{
    struct collect *collect = node->collect;
    buffer_reset(&collect->after);
    buffer_append_bytes(&collect->after, after);
    if (after.size > 0 && !collect->after.failed)
        return;
    buffer_reset(&collect->after);
    if (++collect->partition >= collect->partition_count)
        pass_ends(node);
}

static bool all_answer(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (i != node->config.self && epoch->members[i].state != MEMBER_GONE &&
            node->peers[i].state != LIVENESS_ALIVE)
            return false;
    return true;
}

bool collect_settles(struct node *node, uint32_t partition)
{
    return collect_fenced(node, partition) != NULL &&
           ring_row(node->config.epoch, partition)[0] == node->config.self &&
           handoff_ready(node, partition) &&
           !(PLANTED(DOUBT_WAITS_FOR_A_REFILL) && scrub_doubts_partition(node, partition));
}

static bool is_ours(struct node *node, uint32_t partition)
{
    return ring_move_of(node->config.epoch, partition) == NULL &&
           collect_settles(node, partition) && !scrub_doubts_partition(node, partition);
}

/* --- one piece ------------------------------------------------------------------------------- */

static void scan_done(struct node *node, struct reading *reading)
{
    struct scan *scan = (struct scan *)reading;
    struct collect *collect = node->collect;
    struct arena arena;
    collect->scanning = false;
    collect->next_us = node->now_us + node->config.collect.pause_us;
    bool found = reading->status == KVORUM_OK && scan->count > 0 && is_ours(node, scan->partition);
    bool later = found && collect->round != NULL; /* it settles something: the same piece again */
    if (reading->status != KVORUM_OK)
        go_on(node, (struct bytes){ 0 }); /* what cannot be read now stays */
    else if (!later)
        go_on(node, scan->next);
    found = found && !later;
    if (found && PLANTED(COLLECTED_BY_CLOCK)) {
        collect_by_clock(node, scan->partition, scan->graves, scan->count);
    } else if (found) {
        struct grave *graves = scan->graves;
        uint32_t count = scan->count, partition = scan->partition;
        uint64_t counter = scan->counter, stamp = scan->stamp;
        arena = reading->arena; /* the round's from here on, if it begins */
        arena_init(&reading->arena, SCAN_ARENA_LIMIT);
        if (!collect_begin(node, partition, &arena, graves, count, counter, stamp))
            arena_done(&arena);
    }
    reading_close(reading);
    collect_wake(node, collect->next_us);
}

static void scan_start(struct node *node, uint32_t partition)
{
    struct collect *collect = node->collect;
    struct reading *reading = reading_open(sizeof(struct scan));
    struct scan *scan = (struct scan *)reading;
    uint64_t wall_ms = clock_wall_ms(node->config.clock), age_ms = node->config.collect.age_ms;
    if (reading == NULL)
        return;
    scan->graves = arena_allocate(&reading->arena, ROUND_KEYS_MAX * sizeof(*scan->graves));
    const uint8_t bounds[] = { 'o', (uint8_t)(partition >> 8),       (uint8_t)partition,
                               'o', (uint8_t)((partition + 1) >> 8), (uint8_t)(partition + 1) };
    memcpy(scan->bounds, bounds, sizeof(bounds));
    scan->bounds[3] += partition == UINT16_MAX;
    scan->lower = bytes_make(scan->bounds, 3);
    struct bytes after = buffer_bytes(&collect->after);
    bool fine = scan->graves != NULL &&
                (after.size == 0 || arena_copy(&reading->arena, after, &scan->lower));
    if (!fine) {
        reading_close(reading);
        return;
    }
    scan->store = placement_store(node, partition);
    scan->partition = partition;
    scan->oldest_ms = wall_ms > age_ms ? wall_ms - age_ms : 0;
    if (collect->mode == NODE_COLLECT_ALL)
        scan->oldest_ms = UINT64_MAX;
    reading->read = scan_read;
    reading->done = scan_done;
    collect->scanning = true;
    if (node->config.jobs != NULL)
        reading_submit(node, reading);
    else
        reading_start(node, reading);
}

static void scan_next(struct node *node)
{
    struct collect *collect = node->collect;
    for (int i = 0; i < PARTITIONS_A_TICK; i++) {
        if (is_ours(node, collect->partition)) {
            scan_start(node, collect->partition);
            return;
        }
        uint32_t before = collect->partition;
        go_on(node, (struct bytes){ 0 });
        if (collect->partition <= before)
            return; /* the pass ended */
    }
}

/* --- time ------------------------------------------------------------------------------------ */

/* What was dropped has come anew. */
static void end_refills(struct node *node)
{
    struct collect *collect = node->collect;
    for (uint32_t p = 0; p < collect->partition_count && collect->refilling > 0; p++) {
        struct fenced *fenced = &collect->partitions[p];
        if (!fenced->kept.refilling || scrub_doubts_partition(node, p))
            continue;
        fenced->kept.refilling = false;
        collect->refilling--;
        collect_save(node, p);
    }
    if (collect->refilling > 0)
        collect_wake(node, node->now_us + SCRUB_TICK_US);
}

void node_collect(struct node *node, enum node_collecting mode)
{
    node->collect->mode = mode;
}

/* One piece after another, with pauses, while no round is under way. */
static void look_on(struct node *node)
{
    struct collect *collect = node->collect;
    bool busy = collect->round != NULL || collect->scanning;
    if (!busy && collect->next_us <= node->now_us) {
        collect->next_us = node->now_us + node->config.collect.pause_us;
        if (node->ready && collect->mode != NODE_COLLECT_NOTHING && all_answer(node))
            scan_next(node);
    }
    busy = collect->round != NULL || collect->scanning; /* which wake us at their end */
    if (!busy)
        collect_wake(node, collect->next_us > node->now_us ? collect->next_us : node->now_us + 1);
}

void collect_tick(struct node *node)
{
    struct collect *collect = node->collect;
    if (collect->waiting > 0)
        collect_end_waiting(node);
    if (collect->refilling > 0)
        end_refills(node);
    if (collect->doubts && collect->settle_us <= node->now_us)
        collect_ask_to_settle(node);
    else if (collect->doubts)
        collect_wake(node, collect->settle_us);
    if (collect->round != NULL)
        collect_round_tick(node);
    if (collect->round != NULL)
        collect_wake(node, collect->round->machine.deadline_us);
    if (node->config.collect.age_ms > 0)
        look_on(node);
}
