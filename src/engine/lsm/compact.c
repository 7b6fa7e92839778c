/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out a compaction that the picker chose.
 *
 *      upper inputs   level 0: each table a source      other levels: all of them one source
 *      lower inputs   those of the target level: one source
 *      all merged --> reduce --> tables of the target level
 *
 * A pick that meets nothing is a move: the table changes its level and no byte is written. */
#include "engine/lsm/internal.h"
#include "engine/lsm/merger.h"

#include <assert.h>
#include <stdlib.h>

struct inputs {
    struct lsm_level upper, lower; /* as levels of their own; views */
    struct lsm_source **sources;
    size_t source_count;
    struct lsm_ranges *ranges; /* of all of them; or NULL */
    uint64_t size;
};

/* --- what goes in -------------------------------------------------------------------------- */

static kvorum_status add_tables(struct inputs *inputs, bool apart)
{
    struct lsm_table_scan scan = { .sequential = true };
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < inputs->upper.count && apart && status == KVORUM_OK; i++) {
        status = lsm_table_source(inputs->upper.tables[i], &scan,
                                  &inputs->sources[inputs->source_count]);
        inputs->source_count += status == KVORUM_OK;
    }
    if (!apart && inputs->upper.count > 0) {
        status = lsm_level_source(&inputs->upper, &scan, &inputs->sources[inputs->source_count]);
        inputs->source_count += status == KVORUM_OK;
    }
    if (status == KVORUM_OK && inputs->lower.count > 0) {
        status = lsm_level_source(&inputs->lower, &scan, &inputs->sources[inputs->source_count]);
        inputs->source_count += status == KVORUM_OK;
    }
    return status;
}

static kvorum_status open_source(struct inputs *inputs, const struct lsm_pick *pick,
                                 struct lsm_source **ret_source)
{
    inputs->upper = (struct lsm_level){ .tables = pick->inputs, .count = pick->upper_count };
    inputs->lower = (struct lsm_level){ .tables = pick->inputs + pick->upper_count,
                                        .count = pick->input_count - pick->upper_count };
    for (size_t i = 0; i < pick->input_count; i++)
        inputs->size += pick->inputs[i]->meta.size;
    inputs->sources = malloc((pick->input_count + 2) * sizeof(inputs->sources[0]));
    if (inputs->sources == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = add_tables(inputs, pick->level == 0);
    if (status == KVORUM_OK)
        return lsm_merger_create(inputs->sources, inputs->source_count, ret_source);
    for (size_t i = 0; i < inputs->source_count; i++)
        inputs->sources[i]->ops->close(inputs->sources[i]);
    return status;
}

static void add_fragments(const struct lsm_ranges *ranges, struct lsm_range *list, size_t *count)
{
    for (size_t i = 0; i < lsm_ranges_fragments(ranges); i++) {
        struct bytes lower, upper;
        const uint64_t *sequences;
        size_t sequence_count;
        lsm_ranges_fragment(ranges, i, &lower, &upper, &sequences, &sequence_count);
        for (size_t j = 0; j < sequence_count; j++)
            if (list != NULL)
                list[(*count)++] = (struct lsm_range){ lower, upper, sequences[j] };
            else
                (*count)++;
    }
}

static size_t all_fragments(const struct lsm_pick *pick, struct lsm_range *list)
{
    size_t count = 0;
    for (size_t i = 0; i < pick->input_count; i++)
        add_fragments(pick->inputs[i]->ranges, list, &count);
    return count;
}

static kvorum_status join_ranges(struct inputs *inputs, const struct lsm_pick *pick)
{
    size_t count = all_fragments(pick, NULL);
    if (count == 0)
        return KVORUM_OK;
    struct lsm_range *list = malloc(count * sizeof(*list));
    if (list == NULL)
        return KVORUM_NO_MEMORY;
    all_fragments(pick, list);
    kvorum_status status = lsm_ranges_create(list, count, &inputs->ranges);
    free(list);
    return status;
}

/* --- at work, without the mutex ------------------------------------------------------------ */

static kvorum_status rewrite(struct lsm *lsm, const struct lsm_pick *pick,
                             struct lsm_output_plan *plan, struct lsm_outputs *ret_outputs,
                             uint64_t *ret_read_size)
{
    struct inputs inputs = { 0 };
    struct lsm_source *source;
    kvorum_status status = join_ranges(&inputs, pick);
    epoch_guard guard = epoch_enter(&lsm->epoch);
    if (status == KVORUM_OK)
        status = open_source(&inputs, pick, &source);
    epoch_leave(guard);
    if (status == KVORUM_OK) {
        plan->reduce.ranges = inputs.ranges;
        status = lsm_write_outputs(lsm, plan, source, ret_outputs);
        guard = epoch_enter(&lsm->epoch);
        source->ops->close(source);
        epoch_leave(guard);
    }
    *ret_read_size = inputs.size;
    free(inputs.sources);
    lsm_ranges_destroy(inputs.ranges);
    return status;
}

/* --- what comes of it ---------------------------------------------------------------------- */

static kvorum_status install_move(struct lsm *lsm, const struct lsm_pick *pick)
{
    struct lsm_edit_add *added = calloc(pick->input_count, sizeof(*added));
    if (added == NULL)
        return KVORUM_NO_MEMORY;
    struct lsm_install install = { .edit = { added, pick->input_count, pick->inputs,
                                             pick->input_count } };
    for (size_t i = 0; i < pick->input_count; i++) {
        added[i] = (struct lsm_edit_add){ pick->target, pick->inputs[i] };
        lsm_table_reference(pick->inputs[i]);
    }
    kvorum_status status = lsm_install(lsm, &install);
    free(added);
    if (status == KVORUM_OK)
        lsm->counts.levels[pick->target].moves += pick->input_count;
    return status;
}

static void count_compaction(struct lsm *lsm, const struct lsm_pick *pick, uint64_t read_size,
                             uint64_t written_size)
{
    struct engine_level_stats *level = &lsm->counts.levels[pick->target];
    lsm->counts.compactions++;
    lsm->counts.compaction_read_size += read_size;
    lsm->counts.compaction_written_size += written_size;
    level->compactions++;
    level->read_size += read_size;
    level->written_size += written_size;
}

static kvorum_status install_outputs(struct lsm *lsm, const struct lsm_pick *pick,
                                     struct lsm_outputs *outputs, uint64_t read_size)
{
    struct lsm_edit_add *added = calloc(outputs->count + 1, sizeof(*added));
    if (added == NULL) {
        lsm_outputs_abandon(outputs);
        return KVORUM_NO_MEMORY;
    }
    for (size_t i = 0; i < outputs->count; i++)
        added[i] = (struct lsm_edit_add){ pick->target, outputs->tables[i] };
    struct lsm_install install = { .edit = { added, outputs->count, pick->inputs,
                                             pick->input_count },
                                   .blobs = outputs->blobs,
                                   .blob_count = outputs->blob_count };
    uint64_t written_size = outputs->written_size;
    kvorum_status status = lsm_install(lsm, &install);
    free(added);
    lsm_outputs_done(outputs);
    if (status == KVORUM_OK)
        count_compaction(lsm, pick, read_size, written_size);
    return status;
}

static kvorum_status compact(struct lsm *lsm, const struct lsm_pick *pick,
                             const struct lsm_state *state)
{
    struct lsm_output_plan plan = { .level = pick->target,
                                    .table_size = lsm->policy.table_size,
                                    .state = state,
                                    .lower = pick->lower,
                                    .upper = pick->upper };
    struct lsm_outputs outputs;
    uint64_t *snapshots = NULL, read_size = 0;
    plan.reduce.bottom = !lsm_levels_below(state->levels, pick->target, pick->lower, pick->upper);
    plan.reduce.filter = lsm->options.filter;
    if (!lsm_snapshot_list(lsm, &snapshots, &plan.reduce.snapshot_count))
        return KVORUM_NO_MEMORY;
    plan.reduce.snapshots = snapshots;
    if (!lsm_victims_choose(state->blobs, pick->inputs, pick->input_count,
                            lsm->options.memtable_size, &plan.victims)) {
        free(snapshots);
        return KVORUM_NO_MEMORY;
    }
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = rewrite(lsm, pick, &plan, &outputs, &read_size);
    pthread_mutex_lock(&lsm->mutex);
    if (status == KVORUM_OK)
        status = install_outputs(lsm, pick, &outputs, read_size);
    lsm_victims_done(&plan.victims);
    free(snapshots);
    return status;
}

/* The state keeps the inputs alive until the picker has let go of them. */
kvorum_status lsm_compact_pick(struct lsm *lsm, struct lsm_pick *pick)
{
    struct lsm_state *state = lsm_state_now(lsm);
    lsm_state_reference(state);
    kvorum_status status = pick->move ? install_move(lsm, pick) : compact(lsm, pick, state);
    lsm_pick_done(pick);
    lsm_state_release(state);
    return status;
}
