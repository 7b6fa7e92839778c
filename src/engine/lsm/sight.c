/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/sight.h"

#include "base/planted.h"
#include "engine/lsm/merge/merger.h"

#include <stdlib.h>

/* --- sources ------------------------------------------------------------------------------- */

struct sources {
    struct lsm_source **list;
    size_t count;
};

static kvorum_status add_memtables(const struct lsm_sight *sight, struct sources *sources)
{
    const struct lsm_state *state = sight->state;
    kvorum_status status =
        lsm_memtable_source(state->active, sight->sequence, &sources->list[sources->count]);
    sources->count += status == KVORUM_OK;
    for (size_t i = 0; i < state->frozen_count && status == KVORUM_OK; i++) {
        status =
            lsm_memtable_source(state->frozen[i], sight->sequence, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
    }
    return status;
}

/* Only what may hold something of the range. */
static kvorum_status add_tables(struct lsm_sight *sight, struct sources *sources)
{
    const struct lsm_levels *levels = sight->state->levels;
    struct lsm_table_scan scan = { .nowait = sight->nowait };
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < levels->level[0].count && status == KVORUM_OK; i++) {
        struct lsm_table *table = levels->level[0].tables[i];
        if (!lsm_intervals_meet(table->meta.lower, table->meta.upper, sight->lower, sight->upper))
            continue;
        status = lsm_table_source(table, &scan, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
        sight->level0_count++;
    }
    for (int i = 1; i < ENGINE_LEVELS && status == KVORUM_OK; i++) {
        if (levels->level[i].count == 0)
            continue;
        status = lsm_level_source(&levels->level[i], &scan, &sources->list[sources->count]);
        sources->count += status == KVORUM_OK;
    }
    return status;
}

static kvorum_status open_sources(struct lsm_sight *sight)
{
    struct sources sources = { 0 };
    size_t most = 1 + LSM_FROZEN_MAX + sight->state->levels->level[0].count + ENGINE_LEVELS;
    sources.list = malloc(most * sizeof(sources.list[0]));
    if (sources.list == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = add_memtables(sight, &sources);
    if (status == KVORUM_OK)
        status = add_tables(sight, &sources);
    if (status == KVORUM_OK)
        status = lsm_merger_create(sources.list, sources.count, &sight->source);
    else
        for (size_t i = 0; i < sources.count; i++)
            sources.list[i]->ops->close(sources.list[i]);
    free(sources.list);
    return status;
}

/* --- deleted ranges ------------------------------------------------------------------------ */

static void add_ranges(struct lsm_sight *sight, const struct lsm_ranges *ranges)
{
    if (ranges != NULL)
        sight->ranges[sight->range_count++] = ranges;
}

static void add_range_set(struct lsm_sight *sight, size_t index,
                          const struct lsm_memtable *memtable)
{
    sight->range_sets[index] = lsm_memtable_range_set(memtable);
    if (sight->range_sets[index] != NULL)
        add_ranges(sight, sight->range_sets[index]->ranges);
}

static bool collect_ranges(struct lsm_sight *sight)
{
    const struct lsm_state *state = sight->state;
    size_t most = 1 + LSM_FROZEN_MAX + state->levels->ranged_count;
    sight->ranges = malloc(most * sizeof(sight->ranges[0]));
    if (sight->ranges == NULL)
        return false;
    add_range_set(sight, 0, state->active);
    for (size_t i = 0; i < state->frozen_count; i++)
        add_range_set(sight, i + 1, state->frozen[i]);
    if (state->levels->ranged_count == 0)
        return true;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < state->levels->level[i].count; j++)
            add_ranges(sight, state->levels->level[i].tables[j]->ranges);
    return true;
}

/* --- the interface ------------------------------------------------------------------------- */

/* Hold the newest state.  `visible` is loaded after it (state.c), and with the memtable held: else
 * the value that it names might be used again meanwhile. */
static uint64_t hold(struct lsm_sight *sight)
{
    sight->state = atomic_load(&sight->lsm->state);
    lsm_state_reference(sight->state);
    sight->guard = guard_enter(&sight->state->active->readers);
    return atomic_load(&sight->lsm->visible);
}

static kvorum_status look(struct lsm_sight *sight)
{
    return collect_ranges(sight) ? open_sources(sight) : KVORUM_NO_MEMORY;
}

kvorum_status lsm_sight_open(struct lsm *lsm, const struct engine_read *read,
                             struct lsm_sight *sight)
{
    sight->lsm = lsm;
    sight->nowait = read->nowait;
    uint64_t visible = hold(sight);
    sight->sequence = read->snapshot != NULL ? read->snapshot->sequence : visible;
    return look(sight);
}

/* A filter may have dropped something meanwhile, which must not vanish in the middle of a scan.
 * What cannot be opened now is left alone: the old state will do. */
void lsm_sight_renew(struct lsm_sight *sight)
{
    struct lsm *lsm = sight->lsm;
    if (atomic_load(&lsm->state) == sight->state || atomic_load(&lsm->visible) != sight->sequence ||
        lsm->options.filter != NULL)
        return;
    struct lsm_sight fresh = { .lsm = lsm,
                               .sequence = sight->sequence,
                               .lower = sight->lower,
                               .upper = sight->upper,
                               .nowait = sight->nowait };
    if (hold(&fresh) != sight->sequence || look(&fresh) != KVORUM_OK) {
        lsm_sight_close(&fresh);
        return;
    }
    PROBE("lsm: an iterator went over to a newer state");
    lsm_sight_close(sight);
    *sight = fresh;
}

void lsm_sight_close(struct lsm_sight *sight)
{
    if (sight->source != NULL)
        sight->source->ops->close(sight->source);
    for (size_t i = 0; i < 1 + LSM_FROZEN_MAX; i++)
        lsm_range_set_release(sight->range_sets[i]);
    if (sight->guard != NULL)
        guard_leave(sight->guard);
    lsm_state_release(sight->state);
    free(sight->ranges);
}
