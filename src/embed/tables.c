/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns a store's files as a whole. */
#include <stdlib.h>

#include "embed/internal.h"
#include "os/path.h"

kvorum_status kvorum_flush(kvorum_store *store)
{
    return store == NULL ? KVORUM_INVALID : engine_flush(store->engine);
}

kvorum_status kvorum_settle(kvorum_store *store)
{
    return store == NULL ? KVORUM_INVALID : engine_settle(store->engine);
}

static bool range_valid(const kvorum_store *store, kvorum_bytes lower, kvorum_bytes upper)
{
    return store != NULL && embed_bytes_valid(lower) && embed_bytes_valid(upper);
}

kvorum_status kvorum_compact(kvorum_store *store, kvorum_bytes lower, kvorum_bytes upper)
{
    if (!range_valid(store, lower, upper))
        return KVORUM_INVALID;
    const struct engine_range range = { embed_bytes(lower), embed_bytes(upper), false };
    return engine_compact(store->engine, &range);
}

kvorum_status kvorum_approximate_size(kvorum_store *store, kvorum_bytes lower, kvorum_bytes upper,
                                      uint64_t *ret_size)
{
    if (!range_valid(store, lower, upper) || ret_size == NULL)
        return KVORUM_INVALID;
    const struct engine_range range = { embed_bytes(lower), embed_bytes(upper), false };
    return engine_range_size(store->engine, &range, ret_size);
}

kvorum_status kvorum_checkpoint(kvorum_store *store, const char *path)
{
    char *whole;
    if (store == NULL || path == NULL)
        return KVORUM_INVALID;
    if (!engine_can(store->engine, ENGINE_TABLES))
        return KVORUM_UNSUPPORTED;
    kvorum_status status = os_path_absolute(path, &whole);
    if (status != KVORUM_OK)
        return status;
    status = engine_checkpoint(store->engine, whole + 1); /* the disk's root is "/" */
    free(whole);
    return status;
}

/* --- damage -------------------------------------------------------------------------------- */

void embed_pass_on(void *context, const struct engine_damage *damage)
{
    const struct embed_listener *listener = context;
    const kvorum_damage told = { damage->file, damage->offset, damage->what, damage->status };
    if (listener->report != NULL)
        listener->report(listener->context, &told);
}

kvorum_status kvorum_verify(kvorum_store *store,
                            void (*report)(void *context, const kvorum_damage *damage),
                            void *context)
{
    struct embed_listener listener = { report, context };
    if (store == NULL)
        return KVORUM_INVALID;
    return engine_verify(store->engine, embed_pass_on, &listener);
}
