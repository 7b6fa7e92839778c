/* SPDX-License-Identifier: Apache-2.0 */
/* Orphans: files that no manifest names, left behind by a crash or a removal that failed.  They are
 * removed at open. */
#include "base/planted.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"

#include <string.h>

/* Names are gathered first: a directory is not changed while it is listed. */
struct orphans {
    struct lsm *lsm;
    struct buffer names; /* each with its NUL */
};

static bool is_named(const struct lsm *lsm, const char *name)
{
    const struct lsm_state *state = atomic_load(&lsm->state);
    uint64_t number;
    if (lsm_file_parse(name, LSM_FILE_BLOB, &number))
        return lsm_blobs_find(state->blobs, number) != NULL;
    if (!lsm_file_parse(name, LSM_FILE_TABLE, &number))
        return true;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < state->levels->level[i].count; j++)
            if (state->levels->level[i].tables[j]->meta.number == number)
                return true;
    return false;
}

/* One that cannot be removed keeps its name: none is given twice. */
static void pass_number(struct lsm *lsm, const char *name)
{
    uint64_t number;
    if ((lsm_file_parse(name, LSM_FILE_TABLE, &number) ||
         lsm_file_parse(name, LSM_FILE_BLOB, &number)) &&
        number >= lsm->next_file)
        lsm->next_file = number + 1;
}

static bool see_name(void *context, const char *name)
{
    struct orphans *orphans = context;
    pass_number(orphans->lsm, name);
    bool temporary = strcmp(name, "MANIFEST.new") == 0 || strcmp(name, "FORMAT.new") == 0;
    if (temporary || !is_named(orphans->lsm, name))
        buffer_append(&orphans->names, name, strlen(name) + 1);
    if (!temporary && !is_named(orphans->lsm, name))
        PROBE("lsm: an orphan was found");
    return true;
}

void lsm_remove_orphans(struct lsm *lsm)
{
    struct orphans orphans = { .lsm = lsm };
    buffer_init(&orphans.names, 1 << 24);
    (void)lsm->disk->ops->list(lsm->disk, lsm->path, see_name, &orphans);
    for (size_t at = 0; at < orphans.names.size;) {
        const char *name = (const char *)orphans.names.data + at;
        char path[LSM_PATH_SIZE];
        if (lsm_path(lsm, name, path) == KVORUM_OK)
            (void)lsm->disk->ops->remove(lsm->disk, path);
        at += strlen(name) + 1;
    }
    buffer_done(&orphans.names);
}
