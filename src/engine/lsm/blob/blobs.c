/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/blob/blobs.h"

#include "base/planted.h"
#include "engine/lsm/internal.h"

#include <assert.h>
#include <stdlib.h>

/* --- shares -------------------------------------------------------------------------------- */

/* Index of the first share with this number or a larger one. */
static size_t share_index(const struct lsm_blob_share *list, size_t count, uint64_t number)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool tally_grow(struct lsm_blob_tally *tally)
{
    size_t capacity = tally->capacity == 0 ? 16 : tally->capacity * 2;
    struct lsm_blob_share *list = realloc(tally->list, capacity * sizeof(*list));
    if (list == NULL)
        return false;
    tally->list = list;
    tally->capacity = capacity;
    return true;
}

bool lsm_blob_tally_add(struct lsm_blob_tally *tally, uint64_t number, uint64_t size)
{
    size_t index = share_index(tally->list, tally->count, number);
    if (index < tally->count && tally->list[index].number == number) {
        tally->list[index].size += size;
        return true;
    }
    if (tally->count == tally->capacity && !tally_grow(tally))
        return false;
    memmove(tally->list + index + 1, tally->list + index,
            (tally->count - index) * sizeof(tally->list[0]));
    tally->list[index] = (struct lsm_blob_share){ number, size };
    tally->count++;
    return true;
}

bool lsm_blob_tally_take(struct lsm_blob_tally *tally, struct lsm_blob_shares **ret_shares)
{
    struct lsm_blob_shares *shares = NULL;
    size_t size = tally->count * sizeof(tally->list[0]);
    if (tally->count > 0) {
        shares = malloc(sizeof(*shares) + size);
        if (shares == NULL)
            return false;
        shares->count = tally->count;
        memcpy(shares->list, tally->list, size);
    }
    tally->count = 0;
    *ret_shares = shares;
    return true;
}

void lsm_blob_tally_done(struct lsm_blob_tally *tally)
{
    free(tally->list);
    *tally = (struct lsm_blob_tally){ 0 };
}

uint64_t lsm_blob_share_of(const struct lsm_table *table, uint64_t number)
{
    const struct lsm_blob_shares *shares = table->shares;
    if (shares == NULL)
        return 0;
    size_t index = share_index(shares->list, shares->count, number);
    return index < shares->count && shares->list[index].number == number ? shares->list[index].size
                                                                         : 0;
}

/* --- one file ------------------------------------------------------------------------------ */

struct lsm_blob_file *lsm_blob_file_create(struct lsm *lsm, uint64_t number, uint64_t size)
{
    char path[LSM_PATH_SIZE];
    struct lsm_blob_file *file = calloc(1, sizeof(*file));
    if (file == NULL || lsm_file_path(lsm, LSM_FILE_BLOB, number, path) != KVORUM_OK ||
        (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    file->number = number;
    file->size = size;
    file->references = 1;
    file->disk = lsm->disk;
    file->epoch = &lsm->epoch;
    return file;
}

static void epoch_over(struct epoch_item *item)
{
    struct lsm_blob_file *file = (struct lsm_blob_file *)item;
    if (atomic_load(&file->obsolete)) {
        /* What stays is a file that no manifest names: the next open removes it. */
        (void)!file->disk->ops->remove(file->disk, file->path);
    }
    free(file->path);
    free(file);
}

/* Removing a large file takes long, and who lets a state go may hold the mutex. */
void lsm_blob_file_release(struct lsm_blob_file *file)
{
    uint32_t references = atomic_fetch_sub(&file->references, 1);
    assert(references > 0);
    if (references > 1)
        return;
    file->item = (struct epoch_item){ .free = epoch_over, .heavy = true };
    epoch_retire(file->epoch, &file->item);
}

/* --- all of them --------------------------------------------------------------------------- */

/* SIZE_MAX: it is not there. */
static size_t use_index(const struct lsm_blobs *blobs, uint64_t number)
{
    size_t low = 0, high = blobs->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct lsm_blob_file *file = blobs->uses[middle].file;
        assert(file != NULL);
        if (file->number == number)
            return middle;
        if (file->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static struct lsm_blob_use *find(struct lsm_blobs *blobs, uint64_t number)
{
    size_t index = use_index(blobs, number);
    return index == SIZE_MAX ? NULL : &blobs->uses[index];
}

const struct lsm_blob_use *lsm_blobs_find(const struct lsm_blobs *blobs, uint64_t number)
{
    size_t index = blobs == NULL ? SIZE_MAX : use_index(blobs, number);
    return index == SIZE_MAX ? NULL : &blobs->uses[index];
}

uint64_t lsm_blob_garbage(const struct lsm_blob_use *use)
{
    assert(use->file != NULL && use->file->size >= LSM_BLOB_HEADER_SIZE + use->live);
    return use->file->size - LSM_BLOB_HEADER_SIZE - use->live;
}

/* Numbers only rise, but a compaction may finish after a flush that began later. */
static void insert_sorted(struct lsm_blobs *blobs, struct lsm_blob_file *file)
{
    size_t at = blobs->count++;
    for (; at > 0 && blobs->uses[at - 1].file->number > file->number; at--)
        blobs->uses[at] = blobs->uses[at - 1];
    blobs->uses[at] = (struct lsm_blob_use){ .file = file };
}

/* Without references of its own yet. */
static struct lsm_blobs *join(const struct lsm_blobs *old, struct lsm_blob_file *const *added,
                              size_t added_count)
{
    size_t old_count = old == NULL ? 0 : old->count;
    struct lsm_blobs *blobs =
        calloc(1, sizeof(*blobs) + (old_count + added_count) * sizeof(blobs->uses[0]));
    if (blobs == NULL)
        return NULL;
    blobs->references = 1;
    blobs->count = old_count;
    if (old_count > 0)
        memcpy(blobs->uses, old->uses, old_count * sizeof(old->uses[0]));
    for (size_t i = 0; i < added_count; i++)
        insert_sorted(blobs, added[i]);
    return blobs;
}

/* False: what the table refers to was not there. */
static bool subtract(struct lsm_blobs *blobs, const struct lsm_table *table)
{
    for (size_t i = 0; table->shares != NULL && i < table->shares->count; i++) {
        struct lsm_blob_use *use = find(blobs, table->shares->list[i].number);
        if (use == NULL || use->live < table->shares->list[i].size)
            return false;
        use->live -= table->shares->list[i].size;
    }
    return true;
}

static bool add(struct lsm_blobs *blobs, const struct lsm_table *table)
{
    for (size_t i = 0; table->shares != NULL && i < table->shares->count; i++) {
        struct lsm_blob_use *use = find(blobs, table->shares->list[i].number);
        uint64_t size = table->shares->list[i].size;
        if (use == NULL || size > lsm_blob_garbage(use))
            return false;
        use->live += size;
    }
    return true;
}

static bool count_live(struct lsm_blobs *blobs, const struct lsm_edit *edit,
                       struct lsm_blob_file *const *added, size_t added_count)
{
    for (size_t i = 0; i < edit->removed_count; i++)
        if (!subtract(blobs, edit->removed[i]))
            return false;
    for (size_t i = 0; i < edit->added_count; i++)
        if (!add(blobs, edit->added[i].table))
            return false;
    for (size_t i = 0; i < added_count; i++)
        if (find(blobs, added[i]->number)->live == 0)
            return false;
    return true;
}

/* Of those that were there before, the live ones stay, each with one more reference. */
static void keep_live(struct lsm_blobs *blobs, const struct lsm_blobs *old)
{
    size_t kept = 0;
    for (size_t i = 0; i < blobs->count; i++) {
        const struct lsm_blob_use *use = &blobs->uses[i];
        bool gone =
            use->live == 0 || (PLANTED(BLOB_REMOVED_EARLY) && use->live < use->file->size / 2);
        if (gone) {
            PROBE("lsm: a blob file was all garbage");
            continue;
        }
        if (lsm_blobs_find(old, blobs->uses[i].file->number) != NULL)
            atomic_fetch_add(&blobs->uses[i].file->references, 1);
        blobs->uses[kept++] = blobs->uses[i];
    }
    blobs->count = kept;
}

kvorum_status lsm_blobs_edit(const struct lsm_blobs *old, const struct lsm_edit *edit,
                             struct lsm_blob_file *const *added, size_t added_count,
                             struct lsm_blobs **ret_blobs)
{
    struct lsm_blobs *blobs = join(old, added, added_count);
    if (blobs == NULL)
        return KVORUM_NO_MEMORY;
    if (!count_live(blobs, edit, added, added_count)) {
        free(blobs);
        return KVORUM_CORRUPT;
    }
    keep_live(blobs, old);
    *ret_blobs = blobs;
    return KVORUM_OK;
}

void lsm_blobs_retire(const struct lsm_blobs *old, const struct lsm_blobs *next)
{
    for (size_t i = 0; old != NULL && i < old->count; i++)
        if (lsm_blobs_find(next, old->uses[i].file->number) == NULL)
            atomic_store(&old->uses[i].file->obsolete, true);
}

struct lsm_blobs *lsm_blobs_reference(struct lsm_blobs *blobs)
{
    if (blobs != NULL)
        atomic_fetch_add(&blobs->references, 1);
    return blobs;
}

void lsm_blobs_release(struct lsm_blobs *blobs)
{
    if (blobs == NULL || atomic_fetch_sub(&blobs->references, 1) != 1)
        return;
    for (size_t i = 0; i < blobs->count; i++)
        lsm_blob_file_release(blobs->uses[i].file);
    free(blobs);
}
