/* SPDX-License-Identifier: Apache-2.0 */
#include "node/replica/fetch.h"

#include "base/hash.h"
#include "base/planted.h"
#include "node/internal.h"

enum {
    WAITING_SIZE_MAX = 64 << 20,
    FETCH_SIZE_LEAST = 512,
    ARENA_LIMIT = 1 << 30,
    ROOM_INTERVAL_US = 2000,
};

struct value_read {
    kvorum_status status;
    struct engine_view view;
    bool held;
};

/* The first fetch of the list is the one that the reading is for. */
struct fetch_line {
    struct reading reading; /* first */
    struct map_item by_key;
    struct list fetches;
    struct list roomless; /* node->roomless, while the first waits for room */
    struct engine *store;
    const struct bytes *keys; /* of the first, copied: it may be gone when the job runs */
    size_t key_count;
    struct value_read *values;
};

/* --- lines ----------------------------------------------------------------------------------- */

static kvorum_status line_read(struct reading *reading, bool nowait)
{
    struct fetch_line *line = (struct fetch_line *)reading;
    const struct engine_read how = { .nowait = nowait };
    for (size_t i = 0; i < line->key_count; i++) {
        struct value_read *value = &line->values[i];
        value->status = engine_view_at(line->store, line->keys[i], &how, &value->view);
        value->held = value->status == KVORUM_OK;
    }
    return KVORUM_OK;
}

static void line_drop(struct reading *reading)
{
    struct fetch_line *line = (struct fetch_line *)reading;
    for (size_t i = 0; i < line->key_count; i++)
        if (line->values[i].held)
            engine_release(&line->values[i].view);
    line->key_count = 0;
}

static uint64_t line_key(struct bytes key)
{
    return hash64(key, 2);
}

/* Keys with one hash share a line, and only wait a little longer. */
static struct fetch_line *line_find(const struct node *node, struct bytes key)
{
    struct map_item *item = map_find(&node->fetch_lines, line_key(key));
    return item == NULL ? NULL : LIST_ENTRY(item, struct fetch_line, by_key);
}

static bool line_prepare(struct fetch_line *line, const struct fetch *fetch)
{
    struct arena *arena = &line->reading.arena;
    line_drop(&line->reading);
    arena_reset(arena);
    struct bytes *keys = arena_allocate(arena, fetch->key_count * sizeof(*keys));
    line->values = arena_allocate_zero(arena, fetch->key_count * sizeof(*line->values));
    if (keys == NULL || line->values == NULL)
        return false;
    for (size_t i = 0; i < fetch->key_count; i++)
        if (!arena_copy(arena, fetch->keys[i], &keys[i]))
            return false;
    line->keys = keys;
    line->store = fetch->store;
    line->key_count = fetch->key_count;
    return true;
}

static void line_end(struct node *node, struct fetch_line *line)
{
    list_remove(&line->roomless);
    map_remove(&node->fetch_lines, line->by_key.key);
    reading_close(&line->reading);
}

/* With what was read for it in hand, or, behind the first, with a first try of its own. */
static void serve(struct node *node, struct fetch_line *line, struct fetch *fetch)
{
    list_remove(&fetch->link);
    node->serving = node->fetch_pass = line;
    fetch->again(node, fetch);
    node->serving = node->fetch_pass = NULL;
    line_drop(&line->reading);
    fetch_close(node, fetch);
}

static void line_serve(struct node *node, struct fetch_line *line, bool read)
{
    struct list *item;
    while ((item = list_first(&line->fetches)) != NULL) {
        struct fetch *fetch = LIST_ENTRY(item, struct fetch, link);
        if (fetch->must_read && !read && line_prepare(line, fetch)) {
            reading_submit(node, &line->reading);
            return;
        }
        read = false;
        serve(node, line, fetch);
        if (!list_empty(&line->roomless))
            return;
    }
    line_end(node, line);
}

static void line_done(struct node *node, struct reading *reading)
{
    line_serve(node, (struct fetch_line *)reading, true);
}

static struct fetch_line *line_open(struct node *node, struct bytes key)
{
    struct reading *reading = reading_open(sizeof(struct fetch_line));
    struct fetch_line *line = (struct fetch_line *)reading;
    if (reading == NULL)
        return NULL;
    reading->read = line_read;
    reading->done = line_done;
    reading->drop = line_drop;
    list_init(&line->fetches);
    list_init(&line->roomless);
    if (map_insert(&node->fetch_lines, &line->by_key, line_key(key)))
        return line;
    reading_close(reading);
    return NULL;
}

/* --- reading a key --------------------------------------------------------------------------- */

static bool take_in_hand(struct fetch_line *line, struct engine *store, struct bytes key,
                         struct engine_view *ret_view, kvorum_status *ret_status)
{
    for (size_t i = 0; i < line->key_count; i++) {
        struct value_read *value = &line->values[i];
        if (line->store != store || !bytes_equal(line->keys[i], key))
            continue;
        *ret_status = value->status;
        *ret_view = value->view;
        value->held = false;
        value->status = KVORUM_WOULD_BLOCK; /* handed out once */
        return *ret_status != KVORUM_WOULD_BLOCK;
    }
    return false;
}

/* Some key has a line, perhaps this one. */
static kvorum_status view_beside_lines(struct node *node, struct engine *store, struct bytes key,
                                       struct engine_view *ret_view)
{
    const struct engine_read how = { .nowait = true };
    struct fetch_line *line = line_find(node, key);
    kvorum_status status;
    node->fetch_in_line = line != NULL && line != node->fetch_pass;
    if (node->fetch_in_line)
        return KVORUM_WOULD_BLOCK;
    if (node->serving == NULL || !take_in_hand(node->serving, store, key, ret_view, &status))
        status = engine_view_at(store, key, &how, ret_view);
    if (line != NULL && status != KVORUM_WOULD_BLOCK)
        node->fetch_pass = NULL; /* who comes from inside the event lines up like everybody */
    return status;
}

kvorum_status fetch_view(struct node *node, struct engine *store, struct bytes key,
                         struct engine_view *ret_view)
{
    const struct engine_read how = { .nowait = node->config.jobs != NULL };
    if (node->fetch_lines.count > 0)
        return view_beside_lines(node, store, key, ret_view);
    node->fetch_in_line = false;
    return engine_view_at(store, key, &how, ret_view);
}

/* --- putting off ----------------------------------------------------------------------------- */

struct fetch *fetch_open(struct node *node, void (*again)(struct node *node, struct fetch *fetch),
                         size_t input_size, size_t size)
{
    size += FETCH_SIZE_LEAST;
    if (node->fetch_size + size > WAITING_SIZE_MAX)
        return NULL;
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL)
        return NULL;
    arena_init(&fetch->arena, ARENA_LIMIT);
    list_init(&fetch->link);
    fetch->again = again;
    fetch->size = size;
    node->fetch_size += size;
    fetch->input = arena_allocate_zero(&fetch->arena, input_size);
    if (fetch->input != NULL)
        return fetch;
    fetch_close(node, fetch);
    return NULL;
}

void fetch_close(struct node *node, struct fetch *fetch)
{
    node->fetch_size -= fetch->size;
    arena_done(&fetch->arena);
    free(fetch);
}

static bool keep_keys(struct fetch *fetch, const struct bytes *keys, size_t key_count)
{
    fetch->keys = arena_allocate(&fetch->arena, key_count * sizeof(*keys));
    fetch->key_count = key_count;
    for (size_t i = 0; fetch->keys != NULL && i < key_count; i++)
        if (!arena_copy(&fetch->arena, keys[i], &fetch->keys[i]))
            return false;
    return fetch->keys != NULL;
}

kvorum_status fetch_wait(struct node *node, struct fetch *fetch, struct engine *store,
                         const struct bytes *keys, size_t key_count)
{
    struct fetch_line *line = line_find(node, keys[0]);
    bool fresh = line == NULL, fine = keep_keys(fetch, keys, key_count);
    fetch->store = store;
    fetch->must_read = !node->fetch_in_line;
    if (fine && fresh) {
        line = line_open(node, keys[0]);
        fine = line != NULL && line_prepare(line, fetch);
        if (line != NULL && !fine)
            line_end(node, line);
    }
    if (!fine) {
        fetch_close(node, fetch);
        return KVORUM_OVERLOADED;
    }
    if (line == node->fetch_pass) /* its turn it was, and is */
        list_append(line->fetches.next, &fetch->link);
    else
        list_append(&line->fetches, &fetch->link);
    PROBE("node: an event waited for the disk");
    if (fetch->must_read && !fresh)
        PROBE("node: an event behind another one waited for the disk too");
    if (fresh)
        reading_submit(node, &line->reading);
    return KVORUM_OK;
}

/* --- waiting for room ------------------------------------------------------------------------ */

static void set_room_timer(struct node *node)
{
    if (node->room_timer.place == 0 && !list_empty(&node->roomless))
        (void)heap_insert(&node->timers, &node->room_timer, node->now_us + ROOM_INTERVAL_US);
}

kvorum_status fetch_wait_room(struct node *node, struct fetch *fetch, struct engine *store,
                              struct bytes key)
{
    struct fetch_line *line = line_find(node, key);
    if (line == NULL)
        line = line_open(node, key);
    if (line == NULL || !keep_keys(fetch, &key, 1)) {
        if (line != NULL && list_empty(&line->fetches) && line != node->serving)
            line_end(node, line);
        fetch_close(node, fetch);
        return KVORUM_OVERLOADED;
    }
    PROBE("node: a write waited for room in its store");
    fetch->store = line->store = store;
    list_append(line->fetches.next, &fetch->link);
    if (list_empty(&line->roomless))
        list_append(&node->roomless, &line->roomless);
    set_room_timer(node);
    return KVORUM_OK;
}

static bool is_among(struct engine *const *stores, size_t count, const struct engine *store)
{
    for (size_t i = 0; i < count; i++)
        if (stores[i] == store)
            return true;
    return false;
}

/* In their order; the first one that a store refuses again speaks for all that follow. */
void fetch_room_tick(struct node *node)
{
    struct engine *full[NODE_STORES_MAX];
    size_t full_count = 0;
    struct list waiting, *item;
    list_init(&waiting);
    while ((item = list_take_first(&node->roomless)) != NULL)
        list_append(&waiting, item);
    while ((item = list_take_first(&waiting)) != NULL) {
        struct fetch_line *line = LIST_ENTRY(item, struct fetch_line, roomless);
        struct engine *store = line->store;
        if (is_among(full, full_count, store)) {
            list_append(&node->roomless, item);
            continue;
        }
        line_serve(node, line, false); /* and perhaps ends it */
        if (node->roomless.previous == item && full_count < NODE_STORES_MAX)
            full[full_count++] = store;
    }
    set_room_timer(node);
}

void fetches_leave(struct node *node)
{
    struct map_item *item;
    while ((item = map_any(&node->fetch_lines)) != NULL) {
        struct fetch_line *line = LIST_ENTRY(item, struct fetch_line, by_key);
        struct list *first;
        while ((first = list_take_first(&line->fetches)) != NULL)
            fetch_close(node, LIST_ENTRY(first, struct fetch, link));
        if (!list_empty(&line->roomless))
            line_end(node, line);
        else /* the job that is under way ends it */
            map_remove(&node->fetch_lines, item->key);
    }
}
