/* SPDX-License-Identifier: Apache-2.0 */
/* The planner: sticky greedy, column by column, so that every prefix of columns is balanced.
 *
 *      for each column
 *          targets   shares of all replicas in the columns so far
 *          keep      what `previous` had there and is still legal
 *          fill      each hole with the legal member furthest below its target
 *          move      single replicas from members above target to members below, while there are both
 *
 * Ties are broken by a hash of (partition, column, member), so that the partners of a member are all
 * the others and not its neighbours.  Decisions use integers only: every machine plans the same.
 */
#include <assert.h>

#include "base/hash.h"
#include "cluster/ring/targets.h"

struct plan {
    const struct ring_plan_input *input;
    uint8_t columns, column;
    bool spread; /* replicas of a partition lie in distinct zones */
    uint16_t *zones;
    uint32_t *targets, *loads;
    uint32_t *order; /* partitions in the order in which a column visits them */
    uint16_t *table;
};

static uint16_t *row_of(const struct plan *plan, uint32_t partition)
{
    return plan->table + (size_t)partition * plan->columns;
}

static const uint16_t *previous_row(const struct plan *plan, uint32_t partition)
{
    const uint16_t *previous = plan->input->previous;
    return previous == NULL ? NULL : previous + (size_t)partition * plan->columns;
}

/* Distinct from the columns before this one, in member and, while there are zones enough, in zone. */
static bool is_legal(const struct plan *plan, uint32_t partition, uint16_t member)
{
    const uint16_t *row = row_of(plan, partition);
    for (uint8_t c = 0; c < plan->column; c++) {
        bool same_zone = plan->spread && plan->zones[row[c]] == plan->zones[member];
        if (row[c] == member || same_zone)
            return false;
    }
    return true;
}

/* A member that a later column already holds is left there: taking it would move data twice. */
static bool is_held_later(const struct plan *plan, uint32_t partition, uint16_t member)
{
    const uint16_t *row = previous_row(plan, partition);
    for (uint8_t c = plan->column + 1; row != NULL && c < plan->columns; c++) {
        if (row[c] == RING_NO_MEMBER)
            continue;
        if (row[c] == member || (plan->spread && plan->zones[row[c]] == plan->zones[member]))
            return true;
    }
    return false;
}

/* How far below its target, in 1/65536 of the target; 0 at or above it. */
static uint64_t need(const struct plan *plan, uint16_t member)
{
    uint32_t target = plan->targets[member], load = plan->loads[member];
    return target > load ? ((uint64_t)(target - load) << 16) / target : 0;
}

static uint64_t tie(const struct plan *plan, uint32_t partition, uint16_t member)
{
    return hash_mix64((uint64_t)partition << 32 | (uint64_t)plan->column << 16 | member);
}

/* The legal member in greatest need; with `needy` only one that is below its target. */
static uint16_t choose(const struct plan *plan, uint32_t partition, bool needy, bool free_later)
{
    uint16_t best = RING_NO_MEMBER;
    uint64_t best_need = 0, best_tie = 0;
    for (uint16_t m = 0; m < plan->input->member_count; m++) {
        uint64_t own = need(plan, m);
        if (own < best_need || (needy && own == 0) || !is_legal(plan, partition, m) ||
            (free_later && is_held_later(plan, partition, m)))
            continue;
        uint64_t own_tie = tie(plan, partition, m);
        if (best == RING_NO_MEMBER || own > best_need || own_tie > best_tie) {
            best = m;
            best_need = own;
            best_tie = own_tie;
        }
    }
    return best;
}

static void keep(struct plan *plan)
{
    for (uint32_t p = 0; p < plan->input->partition_count; p++) {
        const uint16_t *before = previous_row(plan, p);
        uint16_t member = before == NULL ? RING_NO_MEMBER : before[plan->column];
        bool kept = member < plan->input->member_count && is_legal(plan, p, member);
        row_of(plan, p)[plan->column] = kept ? member : RING_NO_MEMBER;
        if (kept)
            plan->loads[member]++;
    }
}

static bool fill_holes(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->input->partition_count; i++) {
        uint32_t p = plan->order[i];
        uint16_t *place = &row_of(plan, p)[plan->column];
        if (*place != RING_NO_MEMBER)
            continue;
        *place = choose(plan, p, true, true);
        if (*place == RING_NO_MEMBER)
            *place = choose(plan, p, false, true);
        if (*place == RING_NO_MEMBER)
            *place = choose(plan, p, false, false);
        if (*place == RING_NO_MEMBER)
            return false;
        plan->loads[*place]++;
    }
    return true;
}

static void replace(struct plan *plan, uint32_t partition, uint16_t member)
{
    uint16_t *place = &row_of(plan, partition)[plan->column];
    plan->loads[*place]--;
    plan->loads[member]++;
    *place = member;
}

static bool move_once(struct plan *plan)
{
    bool moved = false;
    for (uint32_t i = 0; i < plan->input->partition_count; i++) {
        uint32_t p = plan->order[i];
        uint16_t holder = row_of(plan, p)[plan->column];
        if (plan->loads[holder] <= plan->targets[holder])
            continue;
        uint16_t taker = choose(plan, p, true, true);
        if (taker == RING_NO_MEMBER || taker == holder)
            continue;
        replace(plan, p, taker);
        moved = true;
    }
    return moved;
}

/* Where nobody below target may take a replica of somebody above, a third member in between helps:
 * it takes from the one above, and gives one of its own to the one below. */
static bool shift_once(struct plan *plan, uint16_t over)
{
    uint32_t count = plan->input->partition_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = plan->order[i];
        if (row_of(plan, p)[plan->column] != over)
            continue;
        for (uint32_t j = 0; j < count; j++) {
            uint32_t q = plan->order[j];
            uint16_t middle = row_of(plan, q)[plan->column];
            if (middle == over || !is_legal(plan, p, middle) || is_held_later(plan, p, middle))
                continue;
            uint16_t under = choose(plan, q, true, true);
            if (under == RING_NO_MEMBER || under == middle)
                continue;
            replace(plan, q, under);
            replace(plan, p, middle);
            return true;
        }
    }
    return false;
}

static void balance(struct plan *plan)
{
    while (move_once(plan))
        ;
    uint32_t tries = plan->input->partition_count; /* each success brings two members closer */
    for (uint16_t m = 0; m < plan->input->member_count && tries > 0; m++)
        while (plan->loads[m] > plan->targets[m] && tries-- > 0 && shift_once(plan, m))
            ;
}

static void make_order(struct plan *plan)
{
    uint32_t count = plan->input->partition_count;
    for (uint32_t i = 0; i < count; i++)
        plan->order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)(hash_mix64((uint64_t)plan->column << 32 | i) % i);
        uint32_t other = plan->order[j];
        plan->order[j] = plan->order[i - 1];
        plan->order[i - 1] = other;
    }
}

static kvorum_status plan_column(struct plan *plan, struct arena *arena, const char **ret_why)
{
    const struct ring_plan_input *input = plan->input;
    uint64_t total = (uint64_t)input->partition_count * (plan->column + 1u);
    kvorum_status status =
        ring_targets(input->members, plan->zones, input->member_count, input->partition_count,
                     total, plan->spread, arena, plan->targets);
    if (status != KVORUM_OK)
        return status;
    make_order(plan);
    keep(plan);
    if (!fill_holes(plan)) {
        *ret_why = "no member may hold a replica that is missing";
        return KVORUM_INVALID;
    }
    balance(plan);
    return KVORUM_OK;
}

static const char *input_problem(const struct ring_plan_input *input)
{
    uint32_t partitions = input->partition_count;
    if (input->member_count == 0 || input->member_count > RING_MEMBERS_MAX)
        return "the number of members is not between 1 and 1000";
    if (partitions == 0 || partitions > RING_PARTITIONS_MAX || (partitions & (partitions - 1)) != 0)
        return "the number of partitions is not a power of two up to 65536";
    if (input->replica_count == 0 || input->replica_count > RING_REPLICAS_MAX)
        return "the number of replicas is not between 1 and 7";
    for (uint16_t i = 0; i < input->member_count; i++)
        if (input->members[i].weight == 0 || input->members[i].weight > 10000)
            return "a weight is not between 1 and 10000";
    return NULL;
}

kvorum_status ring_plan(const struct ring_plan_input *input, struct arena *arena,
                        uint16_t *ret_table, const char **ret_why)
{
    *ret_why = input_problem(input);
    if (*ret_why != NULL)
        return KVORUM_INVALID;
    uint16_t members = input->member_count;
    struct plan plan = { .input = input, .table = ret_table };
    plan.columns = input->replica_count < members ? input->replica_count : (uint8_t)members;
    plan.zones = arena_allocate(arena, members * sizeof(*plan.zones));
    plan.targets = arena_allocate(arena, members * sizeof(*plan.targets));
    plan.loads = arena_allocate_zero(arena, members * sizeof(*plan.loads));
    plan.order = arena_allocate(arena, input->partition_count * sizeof(*plan.order));
    if (plan.zones == NULL || plan.targets == NULL || plan.loads == NULL || plan.order == NULL)
        return KVORUM_NO_MEMORY;
    uint16_t zones = ring_zones(input->members, members, plan.zones);
    plan.spread = zones >= plan.columns && zones > 1;
    kvorum_status status = KVORUM_OK;
    for (plan.column = 0; plan.column < plan.columns && status == KVORUM_OK; plan.column++)
        status = plan_column(&plan, arena, ret_why);
    return status;
}
