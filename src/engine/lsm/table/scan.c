/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a table in order, both ways.
 *
 *      seek          the block comes from the cache, or goes into it
 *      next block    from the cache when it is there; the first ones on the way are put there too;
 *                    then blocks are read ahead past the cache, more and more at once
 *
 * The block is pinned, or in the window: an entry holds between calls, outside the epoch. */
#include "engine/lsm/table/block_cursor.h"
#include "engine/lsm/table/get.h"
#include "engine/lsm/table/window.h"

#include <stdlib.h>

enum { CACHED_STEPS = 2 }; /* blocks after a seek that are read into the cache */

struct table_source {
    struct lsm_source source; /* first */
    struct table_block_cursor cursor;
    struct lsm_table *table;
    struct table_open *open;
    struct lsm_block *pinned;
    size_t place; /* of the block, while source.valid */
    bool asked;   /* a seek comes next, to block `asked_place` */
    struct table_probe probe;
    size_t asked_place;
    unsigned steps; /* blocks moved on since the last seek */
    struct lsm_table_scan scan;
    struct table_window window;
};

static struct table_source *source_of(struct lsm_source *source)
{
    return (struct table_source *)source;
}

static void stop(struct table_source *s, kvorum_status status)
{
    s->source.valid = false;
    s->source.status = status;
}

/* --- blocks -------------------------------------------------------------------------------- */

static void let_go(struct table_source *s)
{
    if (s->pinned != NULL)
        lsm_block_unpin(s->pinned);
    s->pinned = NULL;
}

static kvorum_status enter_cached(struct table_source *s, size_t place)
{
    struct lsm_block *block;
    kvorum_status status = table_get_block(s->open, place, s->scan.nowait, &block);
    if (status != KVORUM_OK)
        return status;
    lsm_block_pin(block);
    s->pinned = block;
    table_block_cursor_view(&s->cursor, table_block_raw(block), block->raw_size);
    return KVORUM_OK;
}

static kvorum_status enter_ahead(struct table_source *s, size_t place, bool backward)
{
    struct bytes raw;
    kvorum_status status = table_window_block(&s->window, s->open, place, backward, &raw);
    if (status == KVORUM_OK)
        table_block_cursor_view(&s->cursor, raw.data, raw.size);
    return status;
}

static kvorum_status enter(struct table_source *s, size_t place, bool backward)
{
    let_go(s);
    s->place = place;
    if (s->scan.sequential)
        return enter_ahead(s, place, backward);
    bool cached = s->scan.nowait || s->steps <= CACHED_STEPS ||
                  atomic_load(table_slot(s->open, place)) != NULL;
    return cached ? enter_cached(s, place) : enter_ahead(s, place, backward);
}

static void arrive(struct table_source *s, size_t index)
{
    kvorum_status status = table_block_cursor_at(&s->cursor, index, &s->source.entry);
    s->source.valid = status == KVORUM_OK;
    s->source.status = status;
}

/* Ask for the memory that steps forward will look at: the entry behind the current one, and one
 * entry ahead the next block.  It is not looked at here, so it need not hold. */
static inline void ask_next(struct table_source *s)
{
    struct bytes value = s->source.entry.value;
    __builtin_prefetch(value.data + value.size);
    if (s->cursor.index + 2 != s->cursor.view.count || s->scan.sequential ||
        s->place + 1 >= s->open->index.count)
        return;
    struct lsm_block *block = atomic_load(table_slot(s->open, s->place + 1));
    if (block != NULL)
        table_block_ask(block);
}

static void enter_first(struct table_source *s, size_t place)
{
    if (place >= s->open->index.count) {
        stop(s, KVORUM_OK);
        return;
    }
    kvorum_status status = enter(s, place, false);
    if (status == KVORUM_OK)
        arrive(s, 0);
    else
        stop(s, status);
}

static void enter_last(struct table_source *s, size_t places)
{
    if (places == 0) {
        stop(s, KVORUM_OK);
        return;
    }
    kvorum_status status = enter(s, places - 1, true);
    if (status == KVORUM_OK)
        arrive(s, s->cursor.view.count - 1);
    else
        stop(s, status);
}

/* --- moves --------------------------------------------------------------------------------- */

static void begin_seek(struct table_source *s)
{
    s->steps = 0;
    s->asked = false;
    s->window.ahead = s->scan.sequential ? TABLE_WINDOW_MAX : TABLE_WINDOW_MIN;
}

static void source_first(struct lsm_source *source)
{
    begin_seek(source_of(source));
    enter_first(source_of(source), 0);
}

static void source_last(struct lsm_source *source)
{
    begin_seek(source_of(source));
    enter_last(source_of(source), source_of(source)->open->index.count);
}

/* The versions of a key may fill blocks, whose separators it then is. */
static void source_seek(struct lsm_source *source, struct bytes key, uint64_t sequence)
{
    struct table_source *s = source_of(source);
    const struct table_index *index = &s->open->index;
    size_t place = s->asked ? s->asked_place : table_index_find(index, key), at = 0;
    begin_seek(s);
    for (; place < index->count; place++) {
        kvorum_status status = enter(s, place, false);
        if (status == KVORUM_OK)
            status = table_block_seek(&s->cursor.view, key, sequence, &at);
        if (status != KVORUM_OK) {
            stop(s, status);
            return;
        }
        if (at < s->cursor.view.count) {
            arrive(s, at);
            if (s->source.valid)
                ask_next(s);
            return;
        }
        if (!bytes_equal(table_index_separator(index, place), key))
            break;
    }
    enter_first(s, place + 1);
}

static void source_seek_before(struct lsm_source *source, struct bytes key)
{
    struct table_source *s = source_of(source);
    begin_seek(s);
    size_t index, place = table_index_find(&s->open->index, key);
    if (place == s->open->index.count) {
        enter_last(s, place);
        return;
    }
    kvorum_status status = enter(s, place, true);
    if (status == KVORUM_OK)
        status = table_block_seek(&s->cursor.view, key, LSM_SEQUENCE_MAX, &index);
    if (status != KVORUM_OK)
        stop(s, status);
    else if (index > 0)
        arrive(s, index - 1);
    else
        enter_last(s, place);
}

static void source_next(struct lsm_source *source)
{
    struct table_source *s = source_of(source);
    if (s->cursor.index + 1 >= s->cursor.view.count) {
        s->steps++;
        enter_first(s, s->place + 1);
        return;
    }
    kvorum_status status = table_block_cursor_next(&s->cursor, &source->entry);
    if (status != KVORUM_OK)
        stop(s, status);
    else
        ask_next(s);
}

static void source_previous(struct lsm_source *source)
{
    struct table_source *s = source_of(source);
    if (s->cursor.index == 0) {
        s->steps++;
        enter_last(s, s->place);
        return;
    }
    arrive(s, s->cursor.index - 1);
}

static void source_ask(struct lsm_source *source, struct bytes key, unsigned step)
{
    struct table_source *s = source_of(source);
    const struct table_index *index = &s->open->index;
    if (step == 0) {
        s->probe = table_index_ask(index, key);
        s->asked = false;
        return;
    }
    if (step == 1) {
        s->asked_place = table_index_find_at(index, s->probe, key);
        s->asked = true;
    }
    if (!s->asked || s->asked_place == index->count)
        return;
    struct lsm_block *block = atomic_load(table_slot(s->open, s->asked_place));
    if (block == NULL)
        return;
    if (step == 1) {
        table_block_ask(block);
        return;
    }
    struct table_view view = table_view_of(table_block_raw(block), block->raw_size);
    table_block_ask_groups(&view);
}

/* --- life ---------------------------------------------------------------------------------- */

static void source_close(struct lsm_source *source)
{
    struct table_source *s = source_of(source);
    let_go(s);
    table_window_done(&s->window);
    table_block_cursor_done(&s->cursor);
    table_open_release(s->open);
    lsm_table_release(s->table);
    free(s);
}

static const struct lsm_source_ops source_ops = {
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .ask = source_ask,
    .seek_before = source_seek_before,
    .next = source_next,
    .previous = source_previous,
    .close = source_close,
};

kvorum_status lsm_table_source(struct lsm_table *table, const struct lsm_table_scan *scan,
                               struct lsm_source **ret_source)
{
    struct table_open *open;
    kvorum_status status = table_open(table, scan->nowait, &open);
    if (status != KVORUM_OK)
        return status;
    struct table_source *s = malloc(sizeof(*s));
    if (s == NULL)
        return KVORUM_NO_MEMORY;
    *s = (struct table_source){
        .source.ops = &source_ops, .table = table, .open = open, .scan = *scan
    };
    table_block_cursor_init(&s->cursor);
    table_window_init(&s->window, TABLE_WINDOW_MIN);
    atomic_fetch_add(&open->references, 1);
    lsm_table_reference(table);
    *ret_source = &s->source;
    return KVORUM_OK;
}

kvorum_status lsm_table_source_turn(struct lsm_source *source, struct lsm_table *table)
{
    struct table_source *s = source_of(source);
    struct table_open *open;
    kvorum_status status = table_open(table, s->scan.nowait, &open);
    if (status != KVORUM_OK)
        return status;
    atomic_fetch_add(&open->references, 1);
    lsm_table_reference(table);
    let_go(s);
    table_window_forget(&s->window);
    table_open_release(s->open);
    lsm_table_release(s->table);
    s->open = open;
    s->table = table;
    s->asked = false;
    stop(s, KVORUM_OK);
    return KVORUM_OK;
}
