/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "embed/internal.h"

enum { KEYS_ON_STACK = 64 };

static kvorum_status read_of(const kvorum_read *read, struct engine_read *ret_read)
{
    static const kvorum_read newest;
    if (read == NULL)
        read = &newest;
    if (!embed_all_zero(read->reserved, sizeof(read->reserved) / sizeof(read->reserved[0])))
        return KVORUM_UNSUPPORTED;
    *ret_read =
        (struct engine_read){ (const struct engine_snapshot *)read->snapshot, read->nowait };
    return KVORUM_OK;
}

/* What the engine wants back is kept as it is. */
static kvorum_view public_view(const struct engine_view *view)
{
    kvorum_view public = { embed_public_bytes(view->value), { NULL } };
    static_assert(sizeof(*view) <= sizeof(public.lent), "it fits");
    memcpy(public.lent, view, sizeof(*view));
    return public;
}

kvorum_status kvorum_get_view(kvorum_store *store, kvorum_bytes key, const kvorum_read *read,
                              kvorum_view *ret_view)
{
    struct engine_read how;
    struct engine_view view;
    if (store == NULL || ret_view == NULL)
        return KVORUM_INVALID;
    kvorum_status status = embed_check_key(key);
    if (status == KVORUM_OK)
        status = read_of(read, &how);
    if (status == KVORUM_OK)
        status = engine_view_at(store->engine, embed_bytes(key), &how, &view);
    if (status == KVORUM_OK)
        *ret_view = public_view(&view);
    return status;
}

void kvorum_view_release(kvorum_view *view)
{
    struct engine_view lent;
    if (view == NULL)
        return;
    memcpy(&lent, view->lent, sizeof(lent));
    engine_release(&lent); /* does nothing for one that is zero */
    *view = (kvorum_view){ 0 };
}

kvorum_status kvorum_get(kvorum_store *store, kvorum_bytes key, void *buffer, size_t capacity,
                         size_t *ret_size)
{
    kvorum_view view;
    if (ret_size == NULL || (buffer == NULL && capacity > 0))
        return KVORUM_INVALID;
    kvorum_status status = kvorum_get_view(store, key, NULL, &view);
    if (status != KVORUM_OK)
        return status;
    if (view.value.size > capacity) {
        status = KVORUM_TOO_LARGE;
    } else {
        if (view.value.size > 0)
            memcpy(buffer, view.value.data, view.value.size);
        *ret_size = view.value.size;
    }
    kvorum_view_release(&view);
    return status;
}

kvorum_status kvorum_contains(kvorum_store *store, kvorum_bytes key, bool *ret_found)
{
    kvorum_view view;
    if (ret_found == NULL)
        return KVORUM_INVALID;
    kvorum_status status = kvorum_get_view(store, key, NULL, &view);
    if (status != KVORUM_OK && status != KVORUM_NOT_FOUND)
        return status;
    *ret_found = status == KVORUM_OK;
    if (status == KVORUM_OK)
        kvorum_view_release(&view);
    return KVORUM_OK;
}

/* --- many ---------------------------------------------------------------------------------- */

/* Keys that no store can hold are answered here; the engine answers the rest, all at once. */
struct many {
    struct bytes *keys;
    struct engine_view *views;
    size_t *places; /* in the caller's arrays */
    kvorum_status *statuses;
    size_t count;
};

static void many_read(struct many *many, kvorum_store *store, const struct engine_read *read,
                      kvorum_view *ret_views, kvorum_status *ret_statuses)
{
    engine_view_many(store->engine, many->keys, many->count, read, many->views, many->statuses);
    for (size_t i = 0; i < many->count; i++) {
        ret_statuses[many->places[i]] = many->statuses[i];
        if (many->statuses[i] == KVORUM_OK)
            ret_views[many->places[i]] = public_view(&many->views[i]);
    }
}

static void many_fill(struct many *many, const kvorum_bytes *keys, size_t count,
                      kvorum_status *ret_statuses)
{
    for (size_t i = 0; i < count; i++) {
        ret_statuses[i] = embed_check_key(keys[i]);
        if (ret_statuses[i] != KVORUM_OK)
            continue;
        many->keys[many->count] = embed_bytes(keys[i]);
        many->places[many->count++] = i;
    }
}

static kvorum_status read_few(kvorum_store *store, const kvorum_bytes *keys, size_t count,
                              const struct engine_read *read, kvorum_view *ret_views,
                              kvorum_status *ret_statuses)
{
    struct bytes list[KEYS_ON_STACK];
    struct engine_view views[KEYS_ON_STACK];
    size_t places[KEYS_ON_STACK];
    kvorum_status statuses[KEYS_ON_STACK];
    struct many many = { list, views, places, statuses, 0 };
    many_fill(&many, keys, count, ret_statuses);
    many_read(&many, store, read, ret_views, ret_statuses);
    return KVORUM_OK;
}

static kvorum_status read_lots(kvorum_store *store, const kvorum_bytes *keys, size_t count,
                               const struct engine_read *read, kvorum_view *ret_views,
                               kvorum_status *ret_statuses)
{
    struct many many = { calloc(count, sizeof(*many.keys)), calloc(count, sizeof(*many.views)),
                         calloc(count, sizeof(*many.places)), calloc(count, sizeof(*many.statuses)),
                         0 };
    bool enough =
        many.keys != NULL && many.views != NULL && many.places != NULL && many.statuses != NULL;
    if (enough) {
        many_fill(&many, keys, count, ret_statuses);
        many_read(&many, store, read, ret_views, ret_statuses);
    }
    free(many.keys);
    free(many.views);
    free(many.places);
    free(many.statuses);
    return enough ? KVORUM_OK : KVORUM_NO_MEMORY;
}

kvorum_status kvorum_get_many(kvorum_store *store, const kvorum_bytes *keys, size_t count,
                              const kvorum_read *read, kvorum_view *ret_views,
                              kvorum_status *ret_statuses)
{
    struct engine_read how;
    if (store == NULL || (count > 0 && (keys == NULL || ret_views == NULL || ret_statuses == NULL)))
        return KVORUM_INVALID;
    kvorum_status status = read_of(read, &how);
    if (status != KVORUM_OK || count == 0)
        return status;
    if (count <= KEYS_ON_STACK)
        return read_few(store, keys, count, &how, ret_views, ret_statuses);
    return read_lots(store, keys, count, &how, ret_views, ret_statuses);
}
