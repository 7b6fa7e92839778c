/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers of engine.h: they check arguments once for every engine, and answer UNSUPPORTED for
 * a call an engine does not have. */
#include "engine/engine.h"

#include "engine/common/batch.h"
#include <assert.h>

static kvorum_status check_key(struct bytes key)
{
    if (key.size == 0)
        return KVORUM_INVALID;
    return key.size > ENGINE_KEY_SIZE_MAX ? KVORUM_TOO_LARGE : KVORUM_OK;
}

static kvorum_status check_range(const struct engine_range **range)
{
    static const struct engine_range everything;
    if (*range == NULL)
        *range = &everything;
    bool large =
        (*range)->lower.size > ENGINE_KEY_SIZE_MAX || (*range)->upper.size > ENGINE_KEY_SIZE_MAX;
    return large ? KVORUM_TOO_LARGE : KVORUM_OK;
}

struct engine *engine_close(struct engine *engine)
{
    if (engine != NULL)
        engine->ops->close(engine);
    return NULL;
}

/* A snapshot is an argument of reads only where the engine can hold one. */
static kvorum_status check_read(const struct engine *engine, const struct engine_read *read)
{
    bool held = read != NULL && read->snapshot != NULL;
    return held && !engine_can(engine, ENGINE_HELD_SNAPSHOT) ? KVORUM_UNSUPPORTED : KVORUM_OK;
}

kvorum_status engine_view(struct engine *engine, struct bytes key, struct engine_view *ret_view)
{
    return engine_view_at(engine, key, NULL, ret_view);
}

kvorum_status engine_view_at(struct engine *engine, struct bytes key,
                             const struct engine_read *read, struct engine_view *ret_view)
{
    static const struct engine_read newest;
    assert(engine != NULL && ret_view != NULL);
    kvorum_status status = check_key(key);
    if (status == KVORUM_OK)
        status = check_read(engine, read);
    if (status != KVORUM_OK)
        return status;
    if (engine->ops->get == NULL)
        return KVORUM_UNSUPPORTED;
    return engine->ops->get(engine, key, read == NULL ? &newest : read, ret_view);
}

void engine_view_many(struct engine *engine, const struct bytes *keys, size_t count,
                      const struct engine_read *read, struct engine_view *ret_views,
                      kvorum_status *ret_statuses)
{
    static const struct engine_read newest;
    bool all_good = engine->ops->get_many != NULL && check_read(engine, read) == KVORUM_OK;
    for (size_t i = 0; i < count && all_good; i++)
        all_good = check_key(keys[i]) == KVORUM_OK;
    if (all_good) {
        engine->ops->get_many(engine, keys, count, read == NULL ? &newest : read, ret_views,
                              ret_statuses);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ret_statuses[i] = engine_view_at(engine, keys[i], read, &ret_views[i]);
}

void engine_release(struct engine_view *view)
{
    if (view->engine == NULL)
        return;
    if (view->engine->ops->release != NULL)
        view->engine->ops->release(view);
    *view = (struct engine_view){ 0 };
}

kvorum_status engine_get(struct engine *engine, struct bytes key, struct arena *arena,
                         struct bytes *ret_value)
{
    struct engine_view view;
    kvorum_status status = engine_view(engine, key, &view);
    if (status != KVORUM_OK)
        return status;
    struct bytes copy = { 0 };
    if (arena_copy(arena, view.value, &copy))
        *ret_value = copy;
    else
        status = KVORUM_NO_MEMORY;
    engine_release(&view);
    return status;
}

void engine_prefetch(struct engine *engine, const struct bytes *keys, size_t count)
{
    assert(engine != NULL && count <= ENGINE_PREFETCH_MAX);
    if (engine->ops->prefetch != NULL)
        engine->ops->prefetch(engine, keys, count);
}

kvorum_status engine_write(struct engine *engine, const struct engine_batch *batch,
                           enum engine_durability durability)
{
    assert(engine != NULL && batch != NULL && durability <= ENGINE_SYNC);
    if (engine->ops->write == NULL || !engine_can(engine, engine_batch_needs(batch)))
        return KVORUM_UNSUPPORTED;
    return engine->ops->write(engine, batch, durability);
}

kvorum_status engine_submit(struct engine *engine, const struct engine_batch *batch,
                            enum engine_durability durability, struct engine_commit *commit)
{
    assert(engine != NULL && batch != NULL && durability <= ENGINE_SYNC);
    assert(commit != NULL && commit->done != NULL);
    if (engine->ops->submit == NULL || !engine_can(engine, engine_batch_needs(batch)))
        return KVORUM_UNSUPPORTED;
    return engine->ops->submit(engine, batch, durability, commit);
}

void engine_kick(struct engine *engine)
{
    if (engine->ops->kick != NULL)
        engine->ops->kick(engine);
}

kvorum_status engine_iterate(struct engine *engine, const struct engine_range *range,
                             struct engine_iterator **ret_iterator)
{
    return engine_iterate_at(engine, range, NULL, ret_iterator);
}

kvorum_status engine_iterate_at(struct engine *engine, const struct engine_range *range,
                                const struct engine_read *read,
                                struct engine_iterator **ret_iterator)
{
    static const struct engine_read newest;
    if (engine->ops->iterate == NULL || !engine_can(engine, ENGINE_ORDERED))
        return KVORUM_UNSUPPORTED;
    kvorum_status status = check_read(engine, read);
    if (status == KVORUM_OK)
        status = check_range(&range);
    if (status != KVORUM_OK)
        return status;
    return engine->ops->iterate(engine, range, read == NULL ? &newest : read, ret_iterator);
}

struct engine_iterator *engine_iterator_close(struct engine_iterator *iterator)
{
    if (iterator != NULL)
        iterator->ops->iterator_close(iterator);
    return NULL;
}

void engine_iterator_first(struct engine_iterator *iterator)
{
    iterator->ops->iterator_first(iterator);
}

void engine_iterator_last(struct engine_iterator *iterator)
{
    iterator->ops->iterator_last(iterator);
}

void engine_iterator_seek(struct engine_iterator *iterator, struct bytes key)
{
    iterator->ops->iterator_seek(iterator, key);
}

void engine_iterator_next(struct engine_iterator *iterator)
{
    assert(iterator->valid);
    iterator->ops->iterator_next(iterator);
}

void engine_iterator_previous(struct engine_iterator *iterator)
{
    assert(iterator->valid);
    iterator->ops->iterator_previous(iterator);
}

void engine_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = (struct engine_stats){ 0 };
    if (engine->ops->stats != NULL)
        engine->ops->stats(engine, ret_stats);
}

/* --- states and tables --------------------------------------------------------------------- */

kvorum_status engine_snapshot_take(struct engine *engine, struct engine_snapshot **ret_snapshot)
{
    if (!engine_can(engine, ENGINE_HELD_SNAPSHOT))
        return KVORUM_UNSUPPORTED;
    return engine->ops->snapshot_take(engine, ret_snapshot);
}

void engine_snapshot_release(struct engine *engine, struct engine_snapshot *snapshot)
{
    if (snapshot != NULL)
        engine->ops->snapshot_release(engine, snapshot);
}

kvorum_status engine_flush(struct engine *engine)
{
    return engine_can(engine, ENGINE_TABLES) ? engine->ops->flush(engine) : KVORUM_UNSUPPORTED;
}

kvorum_status engine_compact(struct engine *engine, const struct engine_range *range)
{
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    kvorum_status status = check_range(&range);
    return status == KVORUM_OK ? engine->ops->compact(engine, range) : status;
}

kvorum_status engine_settle(struct engine *engine)
{
    return engine_can(engine, ENGINE_TABLES) ? engine->ops->settle(engine) : KVORUM_UNSUPPORTED;
}

kvorum_status engine_checkpoint(struct engine *engine, const char *path)
{
    assert(path != NULL);
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    return engine->ops->checkpoint(engine, path);
}

kvorum_status engine_verify(struct engine *engine,
                            void (*report)(void *context, const struct engine_damage *damage),
                            void *context)
{
    assert(report != NULL);
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    return engine->ops->verify(engine, report, context);
}

kvorum_status engine_range_size(struct engine *engine, const struct engine_range *range,
                                uint64_t *ret_size)
{
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    kvorum_status status = check_range(&range);
    return status == KVORUM_OK ? engine->ops->range_size(engine, range, ret_size) : status;
}

kvorum_status engine_scrub(struct engine *engine, struct engine_scrub *scrub,
                           void (*report)(void *context, const struct engine_loss *loss),
                           void *context)
{
    assert(report != NULL);
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    return engine->ops->scrub(engine, scrub, report, context);
}

kvorum_status engine_mend(struct engine *engine, const struct engine_range *lost, size_t count,
                          void (*report)(void *context, const struct engine_loss *loss),
                          void *context, uint64_t *ret_mended)
{
    assert(report != NULL);
    *ret_mended = 0;
    if (!engine_can(engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    return engine->ops->mend(engine, lost, count, report, context, ret_mended);
}
