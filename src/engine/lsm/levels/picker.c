/* SPDX-License-Identifier: Apache-2.0 */
/* A pick is drafted first (which tables, which interval), then tested against what is under way,
 * and only then are tables marked.  What is under way is found in the tables themselves: a busy one
 * points to the span that its compaction writes.
 *
 *      span of a pick: the hull of all its inputs.  Its outputs lie inside.
 *
 *  Two picks conflict when they share a table, or when they write into one level and their spans
 *  meet: the hull of two tables has a gap between them, into which another pick could move a table
 *  that an output of this one then overlaps. */
#include "engine/lsm/levels/picker.h"

#include <assert.h>
#include <stdlib.h>

struct lsm_pick_span {
    int target;
    struct bytes lower, upper;
};

struct draft {
    int level, target;
    struct lsm_table *const *upper_tables, *const *lower_tables;
    size_t upper_count, lower_count;
    struct bytes lower, upper;
};

/* --- drafts -------------------------------------------------------------------------------- */

static void extend(struct draft *draft, const struct lsm_table *table)
{
    if (bytes_compare(table->meta.lower, draft->lower) < 0)
        draft->lower = table->meta.lower;
    if (draft->upper.size > 0 && lsm_below_upper(draft->upper, table->meta.upper))
        draft->upper = table->meta.upper;
}

/* `tables` and what they meet in `target`. */
static struct draft draft_of(const struct lsm_levels *levels, int level, int target,
                             struct lsm_table *const *tables, size_t count)
{
    const struct lsm_level *below = &levels->level[target];
    struct draft draft = { .level = level,
                           .target = target,
                           .upper_tables = tables,
                           .upper_count = count,
                           .lower = tables[0]->meta.lower,
                           .upper = tables[0]->meta.upper };
    for (size_t i = 1; i < count; i++)
        extend(&draft, tables[i]);
    if (target == level)
        return draft;
    size_t first = lsm_level_find(below, draft.lower), end = first;
    while (end < below->count && lsm_below_upper(below->tables[end]->meta.lower, draft.upper))
        end++;
    draft.lower_tables = below->tables + first;
    draft.lower_count = end - first;
    for (size_t i = first; i < end; i++)
        extend(&draft, below->tables[i]);
    return draft;
}

static bool any_busy(struct lsm_table *const *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tables[i]->busy)
            return true;
    return false;
}

/* Whether a compaction with tables in `level` writes into what the draft would. */
static bool written_by(const struct lsm_level *level, const struct draft *draft)
{
    for (size_t i = 0; i < level->count; i++) {
        const struct lsm_pick_span *span = level->tables[i]->busy ? level->tables[i]->span : NULL;
        if (span != NULL && span->target == draft->target &&
            lsm_intervals_meet(span->lower, span->upper, draft->lower, draft->upper))
            return true;
    }
    return false;
}

static bool conflicts(const struct lsm_levels *levels, const struct draft *draft)
{
    return any_busy(draft->upper_tables, draft->upper_count) ||
           any_busy(draft->lower_tables, draft->lower_count) ||
           written_by(&levels->level[draft->target], draft) ||
           (draft->target > 0 && written_by(&levels->level[draft->target - 1], draft));
}

static void mark(struct lsm_pick *pick)
{
    for (size_t i = 0; i < pick->input_count; i++) {
        assert(!pick->inputs[i]->busy);
        pick->inputs[i]->busy = true;
        pick->inputs[i]->span = pick->span;
    }
}

static bool start(const struct draft *draft, bool move, struct lsm_pick *ret_pick)
{
    size_t count = draft->upper_count + draft->lower_count;
    struct lsm_table **inputs = calloc(count, sizeof(struct lsm_table *));
    struct lsm_pick_span *span = malloc(sizeof(*span));
    if (inputs == NULL || span == NULL) {
        free(inputs);
        free(span);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        inputs[i] = i < draft->upper_count ? draft->upper_tables[i]
                                           : draft->lower_tables[i - draft->upper_count];
    *span = (struct lsm_pick_span){ draft->target, draft->lower, draft->upper };
    *ret_pick = (struct lsm_pick){
        .level = draft->level,
        .target = draft->target,
        .inputs = inputs,
        .input_count = count,
        .upper_count = draft->upper_count,
        .lower = draft->lower,
        .upper = draft->upper,
        .move = move,
        .span = span,
    };
    mark(ret_pick);
    return true;
}

void lsm_pick_done(struct lsm_pick *pick)
{
    for (size_t i = 0; i < pick->input_count; i++) {
        assert(pick->inputs[i]->busy && pick->inputs[i]->span == pick->span);
        pick->inputs[i]->busy = false;
        pick->inputs[i]->span = NULL;
    }
    free(pick->inputs);
    free(pick->span);
    *pick = (struct lsm_pick){ 0 };
}

/* --- moves --------------------------------------------------------------------------------- */

static bool overlap_each_other(struct lsm_table *const *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (lsm_intervals_meet(tables[i]->meta.lower, tables[i]->meta.upper,
                                   tables[j]->meta.lower, tables[j]->meta.upper))
                return true;
    return false;
}

static bool can_move(const struct draft *draft)
{
    return draft->target != draft->level && draft->lower_count == 0 &&
           (draft->level > 0 || !overlap_each_other(draft->upper_tables, draft->upper_count));
}

/* Bytes of `level` that meet the table. */
static uint64_t overlap_size(const struct lsm_level *level, const struct lsm_table *table)
{
    uint64_t size = 0;
    for (size_t i = lsm_level_find(level, table->meta.lower);
         i < level->count && lsm_below_upper(level->tables[i]->meta.lower, table->meta.upper); i++)
        size += level->tables[i]->meta.size;
    return size;
}

static bool mostly_deletions(const struct lsm_table *table)
{
    const struct lsm_table_meta *meta = &table->meta;
    return 2 * (meta->deletes + meta->ranges) > meta->entries + meta->ranges;
}

/* To be rewritten although it could move: its deletions have nothing to delete, or it would meet
 * too much of the level below when its turn comes there. */
static bool better_rewritten(const struct lsm_levels *levels, const struct lsm_policy *policy,
                             int target, const struct lsm_table *table)
{
    if (mostly_deletions(table) &&
        !lsm_levels_below(levels, target, table->meta.lower, table->meta.upper))
        return true;
    return policy->overlap_size_max > 0 && target + 1 < ENGINE_LEVELS &&
           overlap_size(&levels->level[target + 1], table) > policy->overlap_size_max;
}

static bool should_move(const struct lsm_levels *levels, const struct lsm_policy *policy,
                        const struct draft *draft)
{
    if (!can_move(draft))
        return false;
    for (size_t i = 0; i < draft->upper_count; i++)
        if (better_rewritten(levels, policy, draft->target, draft->upper_tables[i]))
            return false;
    return true;
}

/* --- what is due --------------------------------------------------------------------------- */

static double level_limit(const struct lsm_policy *policy, int level)
{
    double limit = (double)policy->level1_size;
    for (int i = 1; i < level; i++)
        limit *= (double)policy->multiplier;
    return limit;
}

/* Place of the newest table of level 0 such that it and all older ones are not busy. */
static size_t level0_begin(const struct lsm_level *level)
{
    size_t begin = level->count;
    while (begin > 0 && !level->tables[begin - 1]->busy)
        begin--;
    return begin;
}

static struct draft draft_of_level0(const struct lsm_levels *levels)
{
    const struct lsm_level *level = &levels->level[0];
    size_t begin = level0_begin(level);
    return draft_of(levels, 0, 1, level->tables + begin, level->count - begin);
}

static double size_of(struct lsm_table *const *tables, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += tables[i]->meta.size;
    return (double)size;
}

/* Bytes that will be written while reads gain from a compaction of these tables now. */
static double lasting_size(const struct draft *draft, double upper_size,
                           const struct lsm_policy *policy, const struct lsm_reads *reads)
{
    size_t taken = draft->upper_count + reads->early, lasting = draft->upper_count;
    if (taken >= policy->level0_trigger)
        return 0;
    if (lasting > policy->level0_trigger - taken)
        lasting = policy->level0_trigger - taken;
    return upper_size * (double)lasting / (double)draft->upper_count;
}

static bool reads_pay(const struct lsm_levels *levels, const struct lsm_policy *policy,
                      const struct lsm_reads *reads)
{
    const struct lsm_level *level = &levels->level[0];
    if (reads == NULL || reads->waste == 0 || level0_begin(level) == level->count)
        return false;
    assert(reads->written > 0);
    struct draft draft = draft_of_level0(levels);
    double upper_size = size_of(draft.upper_tables, draft.upper_count);
    double lower_size = size_of(draft.lower_tables, draft.lower_count);
    double rate = (double)reads->waste / (double)reads->written;
    return rate * lasting_size(&draft, upper_size, policy, reads) >= upper_size + lower_size;
}

static double level0_score(const struct lsm_levels *levels, const struct lsm_policy *policy,
                           const struct lsm_reads *reads, bool busy_too)
{
    const struct lsm_level *list = &levels->level[0];
    size_t count = busy_too ? list->count : list->count - level0_begin(list);
    size_t early = reads == NULL ? 0 : reads->early;
    if (count == 0)
        return 0;
    double by_count = (double)(count + early) / (double)policy->level0_trigger;
    return by_count < 1 && reads_pay(levels, policy, reads) ? 1 : by_count;
}

static double size_score(const struct lsm_levels *levels, const struct lsm_policy *policy,
                         const struct lsm_reads *reads, int level, bool busy_too)
{
    const struct lsm_level *list = &levels->level[level];
    if (level == ENGINE_LEVELS - 1)
        return 0;
    if (level == 0)
        return level0_score(levels, policy, reads, busy_too);
    uint64_t size = list->size;
    for (size_t i = 0; i < list->count && !busy_too; i++)
        size -= list->tables[i]->busy ? list->tables[i]->meta.size : 0;
    return (double)size / level_limit(policy, level);
}

static bool has_deletions(const struct lsm_levels *levels, int level, bool busy_too)
{
    const struct lsm_level *list = &levels->level[level];
    if (level == 0 || level >= lsm_levels_lowest(levels))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if ((busy_too || !list->tables[i]->busy) && mostly_deletions(list->tables[i]))
            return true;
    return false;
}

static double score(const struct lsm_levels *levels, const struct lsm_policy *policy,
                    const struct lsm_reads *reads, int level, bool busy_too)
{
    double by_size = size_score(levels, policy, reads, level, busy_too);
    return by_size < 1 && has_deletions(levels, level, busy_too) ? 1 : by_size;
}

double lsm_level_score(const struct lsm_levels *levels, const struct lsm_policy *policy,
                       const struct lsm_reads *reads, int level)
{
    return score(levels, policy, reads, level, true);
}

/* Each byte too many drags what it meets in the next level along, and comes down as too many
 * there. */
uint64_t lsm_pending_size(const struct lsm_levels *levels, const struct lsm_policy *policy)
{
    double pending = 0, arriving = 0;
    if (size_score(levels, policy, NULL, 0, true) >= 1) {
        arriving = (double)levels->level[0].size;
        pending = arriving + (double)levels->level[1].size;
    }
    for (int i = 1; i < ENGINE_LEVELS - 1; i++) {
        double size = (double)levels->level[i].size + arriving;
        double excess = size - level_limit(policy, i);
        if (excess <= 0) {
            arriving = 0;
            continue;
        }
        pending += excess * (1 + (double)levels->level[i + 1].size / size);
        arriving = excess;
    }
    return (uint64_t)pending;
}

/* --- picking ------------------------------------------------------------------------------- */

static bool pick_level0(const struct lsm_levels *levels, const struct lsm_policy *policy,
                        struct lsm_pick *ret_pick)
{
    const struct lsm_level *level = &levels->level[0];
    if (level0_begin(level) == level->count)
        return false;
    struct draft draft = draft_of_level0(levels);
    return !conflicts(levels, &draft) &&
           start(&draft, should_move(levels, policy, &draft), ret_pick);
}

static size_t first_to_try(const struct lsm_level *level, const struct buffer *cursor)
{
    return cursor->size == 0 ? 0 : lsm_level_find(level, buffer_bytes(cursor)) % level->count;
}

static bool pick_table(const struct lsm_levels *levels, const struct lsm_policy *policy, int level,
                       struct lsm_picker_cursor *cursor, struct lsm_pick *ret_pick)
{
    const struct lsm_level *list = &levels->level[level];
    bool deletions_only = size_score(levels, policy, NULL, level, false) < 1;
    size_t first = first_to_try(list, &cursor->key[level]);
    for (size_t i = 0; i < list->count; i++) {
        struct lsm_table **table = &list->tables[(first + i) % list->count];
        if (deletions_only && !mostly_deletions(*table))
            continue;
        struct draft draft = draft_of(levels, level, level + 1, table, 1);
        if (conflicts(levels, &draft))
            continue;
        buffer_reset(&cursor->key[level]);
        buffer_append_bytes(&cursor->key[level], (*table)->meta.upper);
        return start(&draft, should_move(levels, policy, &draft), ret_pick);
    }
    return false;
}

bool lsm_pick_next(const struct lsm_levels *levels, const struct lsm_policy *policy,
                   const struct lsm_reads *reads, struct lsm_picker_cursor *cursor,
                   struct lsm_pick *ret_pick)
{
    double scores[ENGINE_LEVELS];
    for (int i = 0; i < ENGINE_LEVELS; i++)
        scores[i] = score(levels, policy, reads, i, false);
    for (;;) {
        int level = 0;
        for (int i = 1; i < ENGINE_LEVELS; i++)
            if (scores[i] > scores[level])
                level = i;
        if (scores[level] < 1)
            return false;
        if (level == 0 ? pick_level0(levels, policy, ret_pick)
                       : pick_table(levels, policy, level, cursor, ret_pick))
            return true;
        scores[level] = 0;
        if (level == 0)
            scores[1] = 0;
    }
}

/* --- manual -------------------------------------------------------------------------------- */

/* Of level 0, newest first: tables that meet [lower, upper), and all older ones that meet any of
 * those taken before. */
static size_t take_level0(const struct lsm_level *level, struct bytes lower, struct bytes upper,
                          struct lsm_table **ret_tables)
{
    size_t count = 0;
    for (size_t i = 0; i < level->count; i++) {
        const struct lsm_table_meta *meta = &level->tables[i]->meta;
        bool meets = lsm_intervals_meet(meta->lower, meta->upper, lower, upper);
        for (size_t j = 0; j < count && !meets; j++)
            meets = lsm_intervals_meet(meta->lower, meta->upper, ret_tables[j]->meta.lower,
                                       ret_tables[j]->meta.upper);
        if (meets)
            ret_tables[count++] = level->tables[i];
    }
    return count;
}

static size_t take_below(const struct lsm_level *level, struct bytes lower, struct bytes upper,
                         struct lsm_table **ret_tables)
{
    size_t count = 0;
    for (size_t i = lsm_level_find(level, lower);
         i < level->count && lsm_below_upper(level->tables[i]->meta.lower, upper); i++)
        ret_tables[count++] = level->tables[i];
    return count;
}

bool lsm_pick_range(const struct lsm_levels *levels, int level, int target, struct bytes lower,
                    struct bytes upper, struct lsm_pick *ret_pick)
{
    assert(target == level + 1 || (target == level && level > 0));
    assert(level >= 0 && target < ENGINE_LEVELS);
    const struct lsm_level *list = &levels->level[level];
    struct lsm_table **tables = calloc(list->count + 1, sizeof(struct lsm_table *));
    if (tables == NULL)
        return false;
    size_t count = level == 0 ? take_level0(list, lower, upper, tables)
                              : take_below(list, lower, upper, tables);
    bool picked = false;
    if (count > 0) {
        struct draft draft = draft_of(levels, level, target, tables, count);
        picked = !conflicts(levels, &draft) && start(&draft, can_move(&draft), ret_pick);
    }
    free(tables);
    return picked;
}
