/* SPDX-License-Identifier: Apache-2.0 */
/* One allocation holds everything of a set of levels:
 *
 *      struct lsm_levels | tables of level 0, 1, ... | prefixes of their upper bounds
 *
 *  An edit copies the lists, so it costs the number of tables, not of changes; a reader of the old
 *  levels never notices. */
#include "engine/lsm/levels/levels.h"

#include "engine/lsm/merge/key_prefix.h"

#include <assert.h>
#include <stdlib.h>

/* --- making -------------------------------------------------------------------------------- */

/* Lists that are empty, with room for `count` tables in all. */
static struct lsm_levels *allocate(size_t count)
{
    struct lsm_levels *levels =
        calloc(1, sizeof(*levels) + count * (sizeof(struct lsm_table *) + sizeof(uint64_t)));
    if (levels != NULL)
        atomic_init(&levels->references, 1);
    return levels;
}

kvorum_status lsm_levels_create(struct lsm_levels **ret_levels)
{
    struct lsm_levels *levels = allocate(0);
    if (levels == NULL)
        return KVORUM_NO_MEMORY;
    *ret_levels = levels;
    return KVORUM_OK;
}

static int address_order(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (struct lsm_table *const *)a;
    uintptr_t right = (uintptr_t) * (struct lsm_table *const *)b;
    return (left > right) - (left < right);
}

static int newest_first(const void *a, const void *b)
{
    const struct lsm_table_meta *left = &(*(struct lsm_table *const *)a)->meta;
    const struct lsm_table_meta *right = &(*(struct lsm_table *const *)b)->meta;
    if (left->sequence_max != right->sequence_max)
        return left->sequence_max > right->sequence_max ? -1 : 1;
    return (left->number < right->number) - (left->number > right->number);
}

static int lower_first(const void *a, const void *b)
{
    return bytes_compare((*(struct lsm_table *const *)a)->meta.lower,
                         (*(struct lsm_table *const *)b)->meta.lower);
}

static void append(struct lsm_levels *levels, int level, struct lsm_table *table)
{
    struct lsm_level *list = &levels->level[level];
    list->tables[list->count++] = table;
    list->size += table->meta.size;
    levels->ranged_count += table->meta.ranges > 0;
}

/* What stays of `old`; `removed` is sorted.  Returns how many were left out. */
static size_t copy_kept(const struct lsm_level *old, struct lsm_levels *levels, int level,
                        struct lsm_table *const *removed, size_t removed_count)
{
    size_t left_out = 0;
    for (size_t i = 0; i < old->count; i++) {
        if (removed_count > 0 && bsearch(&old->tables[i], removed, removed_count,
                                         sizeof(struct lsm_table *), address_order) != NULL) {
            left_out++;
            continue;
        }
        lsm_table_reference(old->tables[i]);
        append(levels, level, old->tables[i]);
    }
    return left_out;
}

static bool add(struct lsm_levels *levels, int level, const struct lsm_edit *edit)
{
    bool any = false;
    for (size_t i = 0; i < edit->added_count; i++) {
        if (edit->added[i].level != level)
            continue;
        append(levels, level, edit->added[i].table);
        any = true;
    }
    return any;
}

static void check_level(const struct lsm_level *level)
{
    for (size_t i = 0; i + 1 < level->count; i++) {
        struct bytes upper = level->tables[i]->meta.upper;
        assert(upper.size > 0);
        assert(bytes_compare(upper, level->tables[i + 1]->meta.lower) <= 0);
    }
}

void lsm_level_index(struct lsm_level *level, uint64_t *prefixes)
{
    for (size_t i = 0; i < level->count; i++) {
        struct bytes upper = level->tables[i]->meta.upper;
        prefixes[i] = upper.size == 0 ? UINT64_MAX : key_prefix(upper);
    }
    level->upper_prefixes = prefixes;
}

static void assemble(const struct lsm_levels *old, const struct lsm_edit *edit,
                     struct lsm_table *const *removed, size_t room, struct lsm_levels *levels)
{
    struct lsm_table **tables = (struct lsm_table **)(levels + 1);
    uint64_t *prefixes = (uint64_t *)(tables + room);
    size_t left_out = 0;
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        struct lsm_level *level = &levels->level[i];
        level->tables = tables;
        left_out += copy_kept(&old->level[i], levels, i, removed, edit->removed_count);
        if (add(levels, i, edit))
            qsort(level->tables, level->count, sizeof(struct lsm_table *),
                  i == 0 ? newest_first : lower_first);
        if (i > 0)
            check_level(level);
        lsm_level_index(level, prefixes);
        tables += level->count;
        prefixes += level->count;
    }
    assert(left_out == edit->removed_count);
}

kvorum_status lsm_levels_edit(const struct lsm_levels *old, const struct lsm_edit *edit,
                              struct lsm_levels **ret_levels)
{
    size_t room = lsm_levels_table_count(old) + edit->added_count;
    assert(room >= edit->removed_count);
    struct lsm_levels *levels = allocate(room);
    struct lsm_table **removed = calloc(edit->removed_count + 1, sizeof(struct lsm_table *));
    if (levels == NULL || removed == NULL) {
        free(levels);
        free(removed);
        return KVORUM_NO_MEMORY;
    }
    for (size_t i = 0; i < edit->removed_count; i++)
        removed[i] = edit->removed[i];
    qsort(removed, edit->removed_count, sizeof(struct lsm_table *), address_order);
    assemble(old, edit, removed, room, levels);
    free(removed);
    *ret_levels = levels;
    return KVORUM_OK;
}

struct lsm_levels *lsm_levels_reference(struct lsm_levels *levels)
{
    atomic_fetch_add_explicit(&levels->references, 1, memory_order_relaxed);
    return levels;
}

void lsm_levels_release(struct lsm_levels *levels)
{
    if (levels == NULL ||
        atomic_fetch_sub_explicit(&levels->references, 1, memory_order_acq_rel) > 1)
        return;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++)
            lsm_table_release(levels->level[i].tables[j]);
    free(levels);
}

/* --- finding ------------------------------------------------------------------------------- */

static inline bool ends_above(const struct lsm_level *level, size_t index, struct bytes key,
                              uint64_t prefix)
{
    uint64_t upper = level->upper_prefixes[index];
    if (upper != prefix)
        return upper > prefix;
    return lsm_below_upper(key, level->tables[index]->meta.upper);
}

size_t lsm_level_find(const struct lsm_level *level, struct bytes key)
{
    uint64_t prefix = key_prefix(key);
    size_t first = 0, count = level->count;
    while (count > 0) {
        size_t half = count / 2;
        if (ends_above(level, first + half, key, prefix)) {
            count = half;
        } else {
            first += half + 1;
            count -= half + 1;
        }
    }
    return first;
}

struct lsm_table *lsm_level_table(const struct lsm_level *level, struct bytes key)
{
    size_t index = lsm_level_find(level, key);
    if (index == level->count)
        return NULL;
    struct lsm_table *table = level->tables[index];
    return bytes_compare(table->meta.lower, key) <= 0 ? table : NULL;
}

int lsm_levels_lowest(const struct lsm_levels *levels)
{
    int lowest = ENGINE_LEVELS - 1;
    while (lowest >= 0 && levels->level[lowest].count == 0)
        lowest--;
    return lowest;
}

bool lsm_levels_below(const struct lsm_levels *levels, int level, struct bytes lower,
                      struct bytes upper)
{
    for (int i = level + 1; i < ENGINE_LEVELS; i++) {
        const struct lsm_level *below = &levels->level[i];
        size_t index = lsm_level_find(below, lower);
        if (index < below->count && lsm_below_upper(below->tables[index]->meta.lower, upper))
            return true;
    }
    return false;
}
