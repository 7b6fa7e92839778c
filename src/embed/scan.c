/* SPDX-License-Identifier: Apache-2.0 */
/* Iterators are the engine's own under a public name; snapshots too. */
#include "embed/internal.h"

/* --- bounds -------------------------------------------------------------------------------- */

/* The first key above all that begin with `prefix`, in `room`; empty when there is none. */
static struct bytes end_of_prefix(struct bytes prefix, struct buffer *room)
{
    while (prefix.size > 0 && prefix.data[prefix.size - 1] == 0xff)
        prefix.size--;
    buffer_append_bytes(room, prefix);
    if (room->failed || prefix.size == 0)
        return (struct bytes){ 0 };
    room->data[room->size - 1]++;
    return buffer_bytes(room);
}

static bool below(struct bytes a, struct bytes b)
{
    return bytes_compare(a, b) < 0;
}

static struct engine_range range_of(const kvorum_scan *scan, struct buffer *room)
{
    struct engine_range range = { embed_bytes(scan->lower), embed_bytes(scan->upper),
                                  scan->keys_only };
    struct bytes prefix = embed_bytes(scan->prefix), end = end_of_prefix(prefix, room);
    if (below(range.lower, prefix))
        range.lower = prefix;
    if (end.size > 0 && (range.upper.size == 0 || below(end, range.upper)))
        range.upper = end;
    return range;
}

static kvorum_status check(const kvorum_scan *scan)
{
    const kvorum_bytes bounds[] = { scan->lower, scan->upper, scan->prefix };
    if (!embed_all_zero(scan->reserved, sizeof(scan->reserved) / sizeof(scan->reserved[0])))
        return KVORUM_UNSUPPORTED;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        if (!embed_bytes_valid(bounds[i]))
            return KVORUM_INVALID;
        if (bounds[i].size > KVORUM_KEY_SIZE_MAX)
            return KVORUM_TOO_LARGE;
    }
    return KVORUM_OK;
}

/* --- iterators ----------------------------------------------------------------------------- */

static struct engine_iterator *engine_iterator_of(const kvorum_iterator *iterator)
{
    return (struct engine_iterator *)(uintptr_t)iterator;
}

kvorum_status kvorum_iterate(kvorum_store *store, const kvorum_scan *scan,
                             kvorum_iterator **ret_iterator)
{
    static const kvorum_scan everything;
    struct engine_iterator *iterator;
    struct buffer room;
    if (store == NULL || ret_iterator == NULL)
        return KVORUM_INVALID;
    scan = scan == NULL ? &everything : scan;
    kvorum_status status = check(scan);
    if (status != KVORUM_OK)
        return status;
    buffer_init(&room, KVORUM_KEY_SIZE_MAX);
    const struct engine_range range = range_of(scan, &room);
    const struct engine_read read = { (const struct engine_snapshot *)scan->snapshot,
                                      scan->nowait };
    status =
        room.failed ? KVORUM_NO_MEMORY : engine_iterate_at(store->engine, &range, &read, &iterator);
    buffer_done(&room);
    if (status == KVORUM_OK)
        *ret_iterator = (kvorum_iterator *)iterator;
    return status;
}

kvorum_iterator *kvorum_iterator_close(kvorum_iterator *iterator)
{
    engine_iterator_close(engine_iterator_of(iterator));
    return NULL;
}

bool kvorum_iterator_first(kvorum_iterator *iterator)
{
    struct engine_iterator *one = engine_iterator_of(iterator);
    if (one == NULL)
        return false;
    engine_iterator_first(one);
    return one->valid;
}

bool kvorum_iterator_last(kvorum_iterator *iterator)
{
    struct engine_iterator *one = engine_iterator_of(iterator);
    if (one == NULL)
        return false;
    engine_iterator_last(one);
    return one->valid;
}

bool kvorum_iterator_seek(kvorum_iterator *iterator, kvorum_bytes key)
{
    struct engine_iterator *one = engine_iterator_of(iterator);
    if (one == NULL || !embed_bytes_valid(key))
        return false;
    engine_iterator_seek(one, embed_bytes(key));
    return one->valid;
}

bool kvorum_iterator_next(kvorum_iterator *iterator)
{
    struct engine_iterator *one = engine_iterator_of(iterator);
    if (one == NULL || !one->valid)
        return false;
    engine_iterator_next(one);
    return one->valid;
}

bool kvorum_iterator_previous(kvorum_iterator *iterator)
{
    struct engine_iterator *one = engine_iterator_of(iterator);
    if (one == NULL || !one->valid)
        return false;
    engine_iterator_previous(one);
    return one->valid;
}

kvorum_bytes kvorum_iterator_key(const kvorum_iterator *iterator)
{
    const struct engine_iterator *one = engine_iterator_of(iterator);
    bool on_entry = one != NULL && one->valid;
    return on_entry ? embed_public_bytes(one->key) : kvorum_make(NULL, 0);
}

kvorum_bytes kvorum_iterator_value(const kvorum_iterator *iterator)
{
    const struct engine_iterator *one = engine_iterator_of(iterator);
    bool on_entry = one != NULL && one->valid;
    return on_entry ? embed_public_bytes(one->value) : kvorum_make(NULL, 0);
}

kvorum_status kvorum_iterator_status(const kvorum_iterator *iterator)
{
    const struct engine_iterator *one = engine_iterator_of(iterator);
    return one == NULL ? KVORUM_INVALID : one->error;
}

/* --- snapshots ----------------------------------------------------------------------------- */

kvorum_status kvorum_snapshot_take(kvorum_store *store, kvorum_snapshot **ret_snapshot)
{
    struct engine_snapshot *snapshot;
    if (store == NULL || ret_snapshot == NULL)
        return KVORUM_INVALID;
    kvorum_status status = engine_snapshot_take(store->engine, &snapshot);
    if (status == KVORUM_OK)
        *ret_snapshot = (kvorum_snapshot *)snapshot;
    return status;
}

kvorum_snapshot *kvorum_snapshot_release(kvorum_store *store, kvorum_snapshot *snapshot)
{
    if (store != NULL)
        engine_snapshot_release(store->engine, (struct engine_snapshot *)snapshot);
    return NULL;
}
