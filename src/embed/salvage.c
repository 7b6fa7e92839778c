/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a damaged store into a new one: both are paths below "/", like a store that is opened. */
#include <stdlib.h>

#include "embed/internal.h"
#include "engine/lsm/salvage/salvage.h"
#include "os/disk.h"
#include "os/path.h"

/* A store as a caller of options: it has no engine and no threads, so writers work alone. */
static kvorum_status make_vehicle(const kvorum_options *options, kvorum_store **ret_store)
{
    kvorum_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return KVORUM_NO_MEMORY;
    if (options != NULL)
        store->options = *options;
    kvorum_status status = embed_callbacks_init(store);
    if (status == KVORUM_OK)
        status = os_disk_open("/", false, &store->disk);
    if (status != KVORUM_OK) {
        kvorum_close(store);
        return status;
    }
    *ret_store = store;
    return KVORUM_OK;
}

static kvorum_status salvage(const kvorum_store *store, const char *path, const char *new_path,
                             struct embed_listener *listener, kvorum_salvaged *ret_salvaged)
{
    struct lsm_options from = embed_lsm_options(store, path + 1);
    struct lsm_options to = embed_lsm_options(store, new_path + 1);
    struct lsm_salvage_report report;
    kvorum_status status = lsm_salvage(&from, &to, embed_pass_on, listener, &report);
    if (status != KVORUM_OK)
        return status;
    *ret_salvaged = (kvorum_salvaged){ .keys = report.keys,
                                       .batches = report.batches,
                                       .lost_size = report.lost_size,
                                       .damages = report.damages };
    return KVORUM_OK;
}

static kvorum_status salvage_paths(const kvorum_store *store, const char *path,
                                   const char *new_path, struct embed_listener *listener,
                                   kvorum_salvaged *ret_salvaged)
{
    char *from, *to;
    kvorum_status status = os_path_absolute(path, &from);
    if (status != KVORUM_OK)
        return status;
    status = os_path_absolute(new_path, &to);
    if (status == KVORUM_OK) {
        status = salvage(store, from, to, listener, ret_salvaged);
        free(to);
    }
    free(from);
    return status;
}

kvorum_status kvorum_salvage(const char *path, const char *new_path, const kvorum_options *options,
                             void (*report)(void *context, const kvorum_damage *damage),
                             void *context, kvorum_salvaged *ret_salvaged)
{
    struct embed_listener listener = { report, context };
    kvorum_store *store;
    if (path == NULL || new_path == NULL || ret_salvaged == NULL)
        return KVORUM_INVALID;
    kvorum_status status = embed_options_check(options);
    if (status == KVORUM_OK)
        status = make_vehicle(options, &store);
    if (status != KVORUM_OK)
        return status;
    status = salvage_paths(store, path, new_path, &listener, ret_salvaged);
    kvorum_close(store);
    return status;
}
