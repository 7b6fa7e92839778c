/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of one level end to end.  At most one of them is open: the one that holds the current
 * entry.  A table may have no entries (only deleted ranges), so every move goes on until it finds
 * one. */
#include "engine/lsm/levels/levels.h"

#include <assert.h>
#include <stdlib.h>

struct level_source {
    struct lsm_source base;
    const struct lsm_level *level;
    struct lsm_table_scan scan;
    struct lsm_source *open; /* over tables[index]; NULL: none */
    size_t index;
    bool asked; /* a seek comes next, to be done in that table */
};

/* False: it cannot be opened, and the source has stopped with the reason. */
static bool open_table(struct level_source *source, size_t index)
{
    struct lsm_table *table = source->level->tables[index];
    if (source->open != NULL && source->index == index)
        return true;
    kvorum_status status = source->open != NULL
                               ? lsm_table_source_turn(source->open, table)
                               : lsm_table_source(table, &source->scan, &source->open);
    if (status != KVORUM_OK) {
        source->base.valid = false;
        source->base.status = status;
        return false;
    }
    source->index = index;
    return true;
}

static void stop_at_end(struct level_source *source)
{
    source->base.valid = false;
    source->base.status = KVORUM_OK;
}

/* Take over where the open table stands; false: it is at its end, look in its neighbour. */
static inline bool settle(struct level_source *source)
{
    const struct lsm_source *open = source->open;
    source->base.valid = open->valid;
    source->base.status = open->status;
    if (open->valid)
        source->base.entry = open->entry;
    return open->valid || open->status != KVORUM_OK;
}

static void first_from(struct level_source *source, size_t index)
{
    for (; index < source->level->count; index++) {
        if (!open_table(source, index))
            return;
        source->open->ops->first(source->open);
        if (settle(source))
            return;
    }
    stop_at_end(source);
}

/* The last entry of the tables before `end`. */
static void last_before(struct level_source *source, size_t end)
{
    while (end-- > 0) {
        if (!open_table(source, end))
            return;
        source->open->ops->last(source->open);
        if (settle(source))
            return;
    }
    stop_at_end(source);
}

static void level_first(struct lsm_source *base)
{
    first_from((struct level_source *)base, 0);
}

static void level_last(struct lsm_source *base)
{
    struct level_source *source = (struct level_source *)base;
    last_before(source, source->level->count);
}

static void level_ask(struct lsm_source *base, struct bytes key, unsigned step)
{
    struct level_source *source = (struct level_source *)base;
    if (step == 0) {
        size_t index = lsm_level_find(source->level, key);
        source->asked = index < source->level->count && open_table(source, index);
    }
    if (source->asked && source->open->ops->ask != NULL)
        source->open->ops->ask(source->open, key, step);
}

static void level_seek(struct lsm_source *base, struct bytes key, uint64_t sequence)
{
    struct level_source *source = (struct level_source *)base;
    size_t index = source->asked ? source->index : lsm_level_find(source->level, key);
    source->asked = false;
    if (index == source->level->count) {
        stop_at_end(source);
        return;
    }
    if (!open_table(source, index))
        return;
    source->open->ops->seek(source->open, key, sequence);
    if (!settle(source))
        first_from(source, index + 1);
}

static void level_seek_before(struct lsm_source *base, struct bytes key)
{
    struct level_source *source = (struct level_source *)base;
    size_t index = lsm_level_find(source->level, key);
    if (index < source->level->count &&
        bytes_compare(source->level->tables[index]->meta.lower, key) < 0) {
        if (!open_table(source, index))
            return;
        source->open->ops->seek_before(source->open, key);
        if (settle(source))
            return;
    }
    last_before(source, index);
}

static void level_next(struct lsm_source *base)
{
    struct level_source *source = (struct level_source *)base;
    assert(base->valid);
    source->open->ops->next(source->open);
    if (!settle(source))
        first_from(source, source->index + 1);
}

static void level_previous(struct lsm_source *base)
{
    struct level_source *source = (struct level_source *)base;
    assert(base->valid);
    source->open->ops->previous(source->open);
    if (!settle(source))
        last_before(source, source->index);
}

static void level_close(struct lsm_source *base)
{
    struct level_source *source = (struct level_source *)base;
    if (source->open != NULL)
        source->open->ops->close(source->open);
    free(source);
}

static const struct lsm_source_ops both_ways = {
    .first = level_first,
    .last = level_last,
    .seek = level_seek,
    .ask = level_ask,
    .seek_before = level_seek_before,
    .next = level_next,
    .previous = level_previous,
    .close = level_close,
};

static const struct lsm_source_ops forward_only = {
    .first = level_first,
    .last = level_last,
    .seek = level_seek,
    .ask = level_ask,
    .seek_before = level_seek_before,
    .next = level_next,
    .close = level_close,
};

kvorum_status lsm_level_source(const struct lsm_level *level, const struct lsm_table_scan *scan,
                               struct lsm_source **ret_source)
{
    struct level_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return KVORUM_NO_MEMORY;
    source->base.ops = scan->sequential ? &forward_only : &both_ways;
    source->level = level;
    source->scan = *scan;
    *ret_source = &source->base;
    return KVORUM_OK;
}
