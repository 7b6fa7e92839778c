/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers of engine.h: they check arguments once for every engine, and answer UNSUPPORTED for
 * a call an engine does not have. */
#include "engine/engine.h"

#include <assert.h>

static kvorum_status check_key(struct bytes key)
{
    if (key.size == 0)
        return KVORUM_INVALID;
    return key.size > ENGINE_KEY_SIZE_MAX ? KVORUM_TOO_LARGE : KVORUM_OK;
}

struct engine *engine_close(struct engine *engine)
{
    if (engine != NULL)
        engine->ops->close(engine);
    return NULL;
}

kvorum_status engine_view(struct engine *engine, struct bytes key, struct engine_view *ret_view)
{
    assert(engine != NULL && ret_view != NULL);
    kvorum_status status = check_key(key);
    if (status != KVORUM_OK)
        return status;
    if (engine->ops->get == NULL)
        return KVORUM_UNSUPPORTED;
    return engine->ops->get(engine, key, ret_view);
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
    if (engine->ops->write == NULL)
        return KVORUM_UNSUPPORTED;
    return engine->ops->write(engine, batch, durability);
}

kvorum_status engine_submit(struct engine *engine, const struct engine_batch *batch,
                            enum engine_durability durability, struct engine_commit *commit)
{
    assert(engine != NULL && batch != NULL && durability <= ENGINE_SYNC);
    assert(commit != NULL && commit->done != NULL);
    if (engine->ops->submit == NULL)
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
    static const struct engine_range everything;
    if (engine->ops->iterate == NULL || !engine_can(engine, ENGINE_ORDERED))
        return KVORUM_UNSUPPORTED;
    if (range == NULL)
        range = &everything;
    if (range->lower.size > ENGINE_KEY_SIZE_MAX || range->upper.size > ENGINE_KEY_SIZE_MAX)
        return KVORUM_TOO_LARGE;
    return engine->ops->iterate(engine, range, ret_iterator);
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
