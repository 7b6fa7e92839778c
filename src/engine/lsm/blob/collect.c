/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/blob/collect.h"

#include <stdlib.h>

static bool is_worn(const struct lsm_blob_use *use)
{
    return lsm_blob_garbage(use) > use->live && !atomic_load(&use->file->damaged);
}

/* --- what is due --------------------------------------------------------------------------- */

/* Blob files as a whole. */
struct wear {
    size_t worn_count;
    uint64_t live, garbage; /* of all files */
};

static struct wear wear_of(const struct lsm_blobs *blobs)
{
    struct wear wear = { 0 };
    for (size_t i = 0; blobs != NULL && i < blobs->count; i++) {
        wear.live += blobs->uses[i].live;
        wear.garbage += lsm_blob_garbage(&blobs->uses[i]);
        wear.worn_count += is_worn(&blobs->uses[i]);
    }
    return wear;
}

/* Bytes of garbage that the table keeps, for each byte of its own. */
static double worth(const struct lsm_blobs *blobs, const struct lsm_table *table)
{
    double kept = 0;
    const struct lsm_blob_shares *shares = table->shares;
    for (size_t i = 0; shares != NULL && i < shares->count; i++) {
        const struct lsm_blob_use *use = lsm_blobs_find(blobs, shares->list[i].number);
        if (use != NULL && is_worn(use))
            kept +=
                (double)shares->list[i].size / (double)use->live * (double)lsm_blob_garbage(use);
    }
    return kept / (double)table->meta.size;
}

struct choice {
    int level;
    const struct lsm_table *table; /* NULL: none */
};

static struct choice choose(const struct lsm_levels *levels, const struct lsm_blobs *blobs)
{
    struct wear wear = wear_of(blobs);
    struct choice choice = { 0 };
    double best = wear.garbage > wear.live ? 0 : 1; /* to be more than */
    bool enough = wear.worn_count > 0 && wear.garbage > wear.live / 2;
    for (int i = 1; i < ENGINE_LEVELS && enough; i++) {
        for (size_t j = 0; j < levels->level[i].count; j++) {
            const struct lsm_table *table = levels->level[i].tables[j];
            double this = table->busy ? 0 : worth(blobs, table);
            if (this <= best)
                continue;
            best = this;
            choice = (struct choice){ i, table };
        }
    }
    return choice;
}

bool lsm_collect_due(const struct lsm_levels *levels, const struct lsm_blobs *blobs)
{
    return choose(levels, blobs).table != NULL;
}

bool lsm_collect_urgent(const struct lsm_blobs *blobs)
{
    struct wear wear = wear_of(blobs);
    return wear.worn_count > 0 && wear.garbage / 3 > wear.live;
}

bool lsm_collect_pick(const struct lsm_levels *levels, const struct lsm_blobs *blobs,
                      struct lsm_pick *ret_pick)
{
    struct choice choice = choose(levels, blobs);
    return choice.table != NULL &&
           lsm_pick_range(levels, choice.level, choice.level, choice.table->meta.lower,
                          choice.table->meta.upper, ret_pick);
}

/* --- victims ------------------------------------------------------------------------------- */

static int fewest_live_first(const void *a, const void *b)
{
    const struct lsm_blob_use *left = *(const struct lsm_blob_use *const *)a;
    const struct lsm_blob_use *right = *(const struct lsm_blob_use *const *)b;
    if (left->live != right->live)
        return left->live < right->live ? -1 : 1;
    return left->file->number < right->file->number ? -1 : 1;
}

static int number_order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t shares_of(struct lsm_table *const *tables, size_t table_count, uint64_t number)
{
    uint64_t size = 0;
    for (size_t i = 0; i < table_count; i++)
        size += lsm_blob_share_of(tables[i], number);
    return size;
}

/* `worn` is sorted; some may be none of the tables' business. */
static void take(const struct lsm_blob_use *const *worn, size_t worn_count,
                 struct lsm_table *const *tables, size_t table_count, uint64_t limit,
                 struct lsm_victims *ret)
{
    uint64_t total = 0;
    for (size_t i = 0; i < worn_count; i++) {
        uint64_t number = worn[i]->file->number;
        uint64_t size = shares_of(tables, table_count, number);
        if (size == 0)
            continue;
        if (ret->count > 0 && total + size > limit)
            break;
        total += size;
        ret->numbers[ret->count++] = number;
    }
    qsort(ret->numbers, ret->count, sizeof(ret->numbers[0]), number_order);
}

bool lsm_victims_choose(const struct lsm_blobs *blobs, struct lsm_table *const *tables,
                        size_t table_count, uint64_t limit, struct lsm_victims *ret_victims)
{
    size_t worn_count = wear_of(blobs).worn_count, at = 0;
    *ret_victims = (struct lsm_victims){ 0 };
    if (worn_count == 0)
        return true;
    const struct lsm_blob_use **worn = malloc(worn_count * sizeof(*worn));
    ret_victims->numbers = malloc(worn_count * sizeof(ret_victims->numbers[0]));
    if (worn != NULL && ret_victims->numbers != NULL) {
        for (size_t i = 0; i < blobs->count && at < worn_count; i++)
            if (is_worn(&blobs->uses[i]))
                worn[at++] = &blobs->uses[i];
        qsort(worn, at, sizeof(*worn), fewest_live_first);
        take(worn, at, tables, table_count, limit, ret_victims);
    }
    bool good = worn != NULL && ret_victims->numbers != NULL;
    free(worn);
    if (!good)
        lsm_victims_done(ret_victims);
    return good;
}

bool lsm_victims_have(const struct lsm_victims *victims, uint64_t number)
{
    return victims->count > 0 && bsearch(&number, victims->numbers, victims->count,
                                         sizeof(victims->numbers[0]), number_order) != NULL;
}

void lsm_victims_done(struct lsm_victims *victims)
{
    free(victims->numbers);
    *victims = (struct lsm_victims){ 0 };
}
