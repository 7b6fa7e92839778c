/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out a compaction that the picker chose.
 *
 *      upper inputs   level 0: each table a source      other levels: all of them one source
 *      lower inputs   those of the target level: one source
 *      all merged --> reduce --> tables of the target level
 *
 *      large ones     | part | part | part |   cut between keys; workers take parts until none is
 *                                              left, the one that began waits for the others
 *
 * A pick that meets nothing is a move: the table changes its level and no byte is written. */
#include "engine/lsm/background/compact.h"
#include "base/planted.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/output.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/merge/merger.h"
#include <assert.h>
#include <stdlib.h>

enum { PART_TABLES = 2 }; /* a part writes at least so many tables */

struct inputs {
    struct lsm_level upper, lower; /* as levels of their own; views */
    uint64_t *prefixes;            /* theirs */
    struct lsm_source **sources;
    size_t source_count;
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
    inputs->sources = malloc((pick->input_count + 2) * sizeof(inputs->sources[0]));
    inputs->prefixes = malloc(pick->input_count * sizeof(inputs->prefixes[0]));
    if (inputs->sources == NULL || inputs->prefixes == NULL)
        return KVORUM_NO_MEMORY;
    lsm_level_index(&inputs->upper, inputs->prefixes);
    lsm_level_index(&inputs->lower, inputs->prefixes + pick->upper_count);
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

static kvorum_status join_ranges(const struct lsm_pick *pick, struct lsm_ranges **ret_ranges)
{
    size_t count = all_fragments(pick, NULL);
    if (count == 0)
        return KVORUM_OK;
    struct lsm_range *list = malloc(count * sizeof(*list));
    if (list == NULL)
        return KVORUM_NO_MEMORY;
    all_fragments(pick, list);
    kvorum_status status = lsm_ranges_create(list, count, ret_ranges);
    free(list);
    return status;
}

/* --- one part, without the mutex ----------------------------------------------------------- */

kvorum_status lsm_compact_part(struct lsm_compaction *compaction, struct lsm_part *part)
{
    struct lsm *lsm = compaction->lsm;
    struct lsm_output_plan plan = compaction->plan;
    struct inputs inputs = { 0 };
    struct lsm_source *source;
    plan.lower = part->lower;
    plan.upper = part->upper;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    kvorum_status status = open_source(&inputs, compaction->pick, &source);
    if (status == KVORUM_OK)
        status = lsm_slice_create(source, part->lower, part->upper, &source);
    epoch_leave(guard);
    if (status == KVORUM_OK) {
        status = lsm_write_outputs(lsm, &plan, source, &part->outputs);
        guard = epoch_enter(&lsm->epoch);
        source->ops->close(source);
        epoch_leave(guard);
    }
    free(inputs.sources);
    free(inputs.prefixes);
    return status;
}

/* --- cuts ---------------------------------------------------------------------------------- */

static uint64_t inputs_size(const struct lsm_pick *pick)
{
    uint64_t size = 0;
    for (size_t i = 0; i < pick->input_count; i++)
        size += pick->inputs[i]->meta.size;
    return size;
}

static size_t parts_wanted(const struct lsm *lsm, const struct lsm_pick *pick)
{
    uint64_t most = inputs_size(pick) / (PART_TABLES * lsm->policy.table_size);
    if (lsm->jobs == NULL || most < 2)
        return 1;
    size_t parts =
        lsm->options.compactions < LSM_PARTS_MAX ? lsm->options.compactions : LSM_PARTS_MAX;
    return most < parts ? (size_t)most : parts;
}

/* Bounds of the target's tables where there are enough of them, which are about of one size; else
 * places inside the largest input. */
static size_t choose_cuts(const struct lsm_pick *pick, size_t parts, struct bytes *ret_cuts)
{
    size_t lower_count = pick->input_count - pick->upper_count, cuts = 0;
    struct lsm_table *largest = pick->inputs[0];
    for (size_t i = 1; i < pick->input_count; i++)
        if (pick->inputs[i]->meta.size > largest->meta.size)
            largest = pick->inputs[i];
    if (lower_count < 2 * parts)
        return lsm_table_split(largest, parts, ret_cuts);
    for (; cuts + 1 < parts; cuts++)
        ret_cuts[cuts] =
            pick->inputs[pick->upper_count + (cuts + 1) * lower_count / parts]->meta.lower;
    return cuts;
}

static bool cut_copy(struct buffer *to, struct bytes from)
{
    buffer_init(to, ENGINE_KEY_SIZE_MAX + 1);
    buffer_append_bytes(to, from);
    return !to->failed;
}

/* Without memory for a cut there is one part less. */
static void cut_parts(struct lsm_compaction *compaction)
{
    const struct lsm_pick *pick = compaction->pick;
    struct bytes cuts[LSM_PARTS_MAX];
    size_t wanted = parts_wanted(compaction->lsm, pick), count = 0;
    compaction->parts[0].lower = pick->lower;
    epoch_guard guard = epoch_enter(&compaction->lsm->epoch);
    size_t found = wanted < 2 ? 0 : choose_cuts(pick, wanted, cuts);
    for (size_t i = 0; i < found; i++) {
        struct bytes before = compaction->parts[count].lower;
        if (bytes_compare(cuts[i], before) <= 0 || !lsm_below_upper(cuts[i], pick->upper) ||
            !cut_copy(&compaction->cuts[count], cuts[i]))
            continue;
        compaction->parts[count].upper = buffer_bytes(&compaction->cuts[count]);
        compaction->parts[count + 1].lower = compaction->parts[count].upper;
        count++;
    }
    epoch_leave(guard);
    compaction->parts[count].upper = pick->upper;
    compaction->part_count = count + 1;
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

/* The outputs of all parts, in order, as those of one. */
static kvorum_status join_outputs(struct lsm_compaction *compaction, struct lsm_outputs *ret_all)
{
    struct lsm_outputs all = { 0 };
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < compaction->part_count; i++) {
        if (status == KVORUM_OK)
            status = compaction->parts[i].status;
        if (status == KVORUM_OK)
            status = lsm_outputs_join(&all, &compaction->parts[i].outputs);
        if (status != KVORUM_OK)
            lsm_outputs_abandon(&compaction->parts[i].outputs);
    }
    if (status != KVORUM_OK)
        lsm_outputs_abandon(&all);
    *ret_all = all;
    return status;
}

static kvorum_status install_outputs(struct lsm *lsm, const struct lsm_pick *pick,
                                     struct lsm_outputs *outputs)
{
    struct lsm_edit_add *added = calloc(outputs->count + 1, sizeof(*added));
    if (added == NULL) {
        lsm_outputs_abandon(outputs);
        return KVORUM_NO_MEMORY;
    }
    for (size_t i = 0; i < outputs->count; i++)
        added[i] = (struct lsm_edit_add){ pick->target, outputs->tables[i] };
    struct lsm_install install = {
        .edit = { added, outputs->count, pick->inputs, pick->input_count },
        .blobs = outputs->blobs,
        .blob_count = outputs->blob_count,
    };
    uint64_t written_size = outputs->written_size;
    kvorum_status status = lsm_install(lsm, &install);
    free(added);
    lsm_outputs_done(outputs);
    if (status == KVORUM_OK)
        count_compaction(lsm, pick, inputs_size(pick), written_size);
    return status;
}

static kvorum_status prepare(struct lsm_compaction *compaction)
{
    const struct lsm_pick *pick = compaction->pick;
    struct lsm_output_plan *plan = &compaction->plan;
    plan->reduce.bottom =
        !lsm_levels_below(plan->state->levels, pick->target, pick->lower, pick->upper) ||
        PLANTED(TOMBSTONE_DROPPED_EARLY);
    plan->reduce.filter = compaction->lsm->options.filter;
    if (!lsm_snapshot_list(compaction->lsm, &compaction->snapshots, &plan->reduce.snapshot_count))
        return KVORUM_NO_MEMORY;
    if (PLANTED(SNAPSHOT_IGNORED))
        plan->reduce.snapshot_count = 0;
    plan->reduce.snapshots = compaction->snapshots;
    if (!lsm_victims_choose(plan->state->blobs, pick->inputs, pick->input_count,
                            compaction->lsm->options.memtable_size, &plan->victims))
        return KVORUM_NO_MEMORY;
    kvorum_status status = join_ranges(pick, &compaction->ranges);
    plan->reduce.ranges = compaction->ranges;
    return status;
}

static void compaction_done(struct lsm_compaction *compaction)
{
    for (size_t i = 0; i < LSM_PARTS_MAX; i++)
        buffer_done(&compaction->cuts[i]);
    lsm_ranges_destroy(compaction->ranges);
    lsm_victims_done(&compaction->plan.victims);
    free(compaction->snapshots);
}

static kvorum_status compact(struct lsm *lsm, const struct lsm_pick *pick,
                             const struct lsm_state *state)
{
    struct lsm_compaction compaction = {
        .lsm = lsm,
        .pick = pick,
        .plan = { .level = pick->target, .table_size = lsm->policy.table_size, .state = state }
    };
    struct lsm_outputs outputs;
    kvorum_status status = prepare(&compaction);
    if (status == KVORUM_OK) {
        cut_parts(&compaction);
        lsm_compact_parts(&compaction);
        status = join_outputs(&compaction, &outputs);
    }
    if (status == KVORUM_OK)
        status = install_outputs(lsm, pick, &outputs);
    compaction_done(&compaction);
    return status;
}

/* The state keeps the inputs alive until the picker has let go of them. */
kvorum_status lsm_compact_pick(struct lsm *lsm, struct lsm_pick *pick)
{
    struct lsm_state *state = lsm_state_now(lsm);
    if (pick->move)
        PROBE("lsm: a table moved down as it was");
    if (pick->target > 1)
        PROBE("lsm: a compaction below level 1");
    if (state->frozen_count > 0)
        PROBE("lsm: a compaction began while memtables waited");
    lsm_state_reference(state);
    kvorum_status status = pick->move ? install_move(lsm, pick) : compact(lsm, pick, state);
    lsm_pick_done(pick);
    lsm_state_release(state);
    return status;
}
