/* SPDX-License-Identifier: Apache-2.0 */
/* Halves of hints.  A hint is two entries, its place in the queue and the index that names it, and
 * rot may take one, or the deletion of one, and leave the other.  A place alone would be taken for
 * superseded, and an index alone would have no turn, but hold its object for ever.
 *
 * So after damage each store is gone through: what lacks its other half gets it, and has its turn
 * like any hint.  Nothing that is owed is swept meanwhile (handoff_sweep.c). */
#include "base/planted.h"
#include "node/hints/hints_internal.h"

enum { PAGE = 64, STEP_US = 1000, AGAIN_US = 1000 * 1000 };

struct half {
    struct hint hint;
    bool is_index; /* else its place is there */
};

struct regain {
    struct reading reading;   /* first */
    struct hint_queue *queue; /* not for the job */
    struct node_id target;
    struct engine *store;
    size_t count;
    bool more;
    struct half halves[PAGE];
};

/* --- looking ---------------------------------------------------------------------------------- */

/* Is the other half there?  Another hint that the index names is as good. */
static kvorum_status look_for_other(struct engine *store, struct arena *arena,
                                    const struct half *half, const struct engine_read *how)
{
    struct engine_view view;
    struct bytes other = half->is_index ? hint_queue_key(arena, &half->hint)
                                        : hint_index_key(arena, &half->hint.target, half->hint.key);
    if (other.data == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = engine_view_at(store, other, how, &view);
    if (status == KVORUM_OK)
        engine_release(&view);
    return status;
}

static kvorum_status keep(struct regain *regain, const struct half *half)
{
    if (regain->count == PAGE) {
        regain->more = true;
        return KVORUM_OK;
    }
    struct half *kept = &regain->halves[regain->count];
    *kept = *half;
    if (!arena_copy(&regain->reading.arena, half->hint.key, &kept->hint.key))
        return KVORUM_NO_MEMORY;
    regain->count++;
    return KVORUM_OK;
}

static kvorum_status look(struct regain *regain, struct engine_iterator *iterator,
                          const struct engine_read *how)
{
    struct arena scratch;
    kvorum_status status = KVORUM_OK;
    arena_init(&scratch, ENGINE_KEY_SIZE_MAX);
    for (; iterator->valid && status == KVORUM_OK && !regain->more;
         engine_iterator_next(iterator)) {
        struct half half = { 0 };
        uint32_t unused;
        enum hint_entry entry = hint_parse(iterator->key, iterator->value, &half.hint, &unused);
        if (entry != HINT_ENTRY_INDEX && entry != HINT_ENTRY_QUEUE)
            continue;
        half.is_index = entry == HINT_ENTRY_INDEX;
        arena_reset(&scratch);
        status = look_for_other(regain->store, &scratch, &half, how);
        status = status == KVORUM_NOT_FOUND ? keep(regain, &half) : status;
    }
    arena_done(&scratch);
    return status == KVORUM_OK ? iterator->error : status;
}

static kvorum_status look_between(struct regain *regain, struct bytes lower, struct bytes upper,
                                  const struct engine_read *how)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    struct engine_iterator *iterator;
    if (lower.data == NULL || upper.data == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = engine_iterate_at(regain->store, &range, how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    status = look(regain, iterator, how);
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status regain_read(struct reading *reading, bool nowait)
{
    struct regain *regain = (struct regain *)reading;
    struct arena *arena = &reading->arena;
    const struct node_id *target = &regain->target;
    const struct engine_read how = { .nowait = nowait };
    regain->count = 0;
    regain->more = false;
    kvorum_status status = look_between(regain, hint_index_key(arena, target, (struct bytes){ 0 }),
                                        hint_indexes_end(arena, target), &how);
    if (status == KVORUM_OK && !regain->more)
        status = look_between(regain, hint_queue_from(arena, target, 0),
                              hint_queue_end(arena, target), &how);
    return status;
}

/* --- restoring -------------------------------------------------------------------------------- */

enum other_half { HALF_MISSES, HALF_IS_WHOLE, HALF_UNSEEN };

/* As it is now, not as the job saw it: a newer hint must not be covered by this one.  What cannot
 * be seen without waiting has its turn in the next round. */
static enum other_half judge(struct node *node, const struct regain *regain,
                             const struct half *half)
{
    const struct engine_read how = { .nowait = true };
    struct bytes index = hint_index_key(&node->scratch, &regain->target, half->hint.key);
    struct engine_view view;
    struct hint named;
    uint32_t unused;
    if (index.data == NULL)
        return HALF_UNSEEN;
    kvorum_status status = engine_view_at(regain->store, index, &how, &view);
    if (status == KVORUM_NOT_FOUND)
        return half->is_index ? HALF_IS_WHOLE : HALF_MISSES; /* with both gone nothing is owed */
    if (status != KVORUM_OK)
        return HALF_UNSEEN;
    bool same = hint_parse(index, view.value, &named, &unused) == HINT_ENTRY_INDEX &&
                named.order == half->hint.order;
    engine_release(&view);
    if (!same || !half->is_index)
        return HALF_IS_WHOLE;
    status = look_for_other(regain->store, &node->scratch, half, &how);
    if (status == KVORUM_OK)
        return HALF_IS_WHOLE;
    return status == KVORUM_NOT_FOUND ? HALF_MISSES : HALF_UNSEEN;
}

static kvorum_status put_missing(struct node *node, struct regain *regain, bool *ret_unseen)
{
    kvorum_status status = KVORUM_OK;
    size_t kept = 0;
    for (size_t i = 0; i < regain->count && status == KVORUM_OK; i++) {
        struct half *half = &regain->halves[i];
        enum other_half other = judge(node, regain, half);
        *ret_unseen |= other == HALF_UNSEEN;
        if (other != HALF_MISSES)
            continue;
        if (half->is_index) /* when it was taken, the other half would say */
            half->hint.epoch = node->config.epoch->number;
        status = hints_put(node, node->batch, &half->hint);
        regain->halves[kept++] = *half;
    }
    regain->count = kept;
    return status;
}

static kvorum_status restore(struct node *node, struct regain *regain, bool *ret_unseen)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    engine_batch_reset(node->batch);
    kvorum_status status = put_missing(node, regain, ret_unseen);
    if (status != KVORUM_OK || regain->count == 0)
        return status;
    PROBE("node: a hint that had lost a half got it again");
    status =
        replica_submit(node, regain->store, node->batch, replica_durability(node, false), &nothing);
    for (size_t i = 0; i < regain->count && status == KVORUM_OK; i++)
        if (regain->halves[i].is_index) /* counted twice perhaps, until a walk meets none */
            hints_count(node, regain->queue, regain->halves[i].hint.order,
                        regain->halves[i].hint.size);
    return status;
}

/* --- round by round --------------------------------------------------------------------------- */

static uint16_t store_from(const struct node *node, uint16_t store)
{
    while (store < node->config.store_count && node->config.stores[store] == NULL)
        store++;
    return store;
}

/* Also while it is under way: what damage there is now may be behind it. */
void hints_regain_begin(struct node *node, struct hint_queue *queue)
{
    node->hints->regaining += !queue->regaining;
    queue->regaining = queue->unsure = true;
    queue->regain_anew = queue->regain_reading;
    queue->regain_store = store_from(node, 0);
    queue->regain_us = 0;
}

static void next_store(struct node *node, struct hint_queue *queue)
{
    queue->regain_store = store_from(node, queue->regain_store + 1);
    queue->regaining = queue->regain_store < node->config.store_count;
    node->hints->regaining -= !queue->regaining;
}

static void regain_done(struct node *node, struct reading *reading)
{
    struct regain *regain = (struct regain *)reading;
    struct hint_queue *queue = regain->queue;
    kvorum_status status = reading->status;
    bool unseen = false, through = status == KVORUM_CORRUPT; /* when that is mended, once more */
    if (status == KVORUM_OK) {
        status = restore(node, regain, &unseen);
        through = status == KVORUM_OK && !regain->more && !unseen;
    }
    queue->regain_reading = false;
    if (through && !queue->regain_anew)
        next_store(node, queue);
    queue->regain_anew = false;
    bool soon = through || (status == KVORUM_OK && !unseen);
    queue->regain_us = node->now_us + (soon ? STEP_US : AGAIN_US);
    reading_close(reading);
    hints_wake(node, queue->regain_us);
}

void hints_regain(struct node *node, struct hint_queue *queue)
{
    if (queue->regain_reading || node->now_us < queue->regain_us)
        return;
    struct reading *reading = reading_open(sizeof(struct regain));
    struct regain *regain = (struct regain *)reading;
    if (regain == NULL) {
        queue->regain_us = node->now_us + AGAIN_US;
        return;
    }
    reading->read = regain_read;
    reading->done = regain_done;
    regain->queue = queue;
    regain->target = queue->target;
    regain->store = node->config.stores[queue->regain_store];
    queue->regain_reading = true;
    reading_start(node, reading);
}
