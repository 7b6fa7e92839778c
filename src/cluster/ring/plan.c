/* SPDX-License-Identifier: Apache-2.0 */
/* The planner: sticky greedy over an explicit table.
 *
 *      targets   how much each member should hold, in all and in each column      plan_targets.c
 *      keep      of `previous` what is still legal
 *      fill      the holes, with members below their targets                      plan_fill.c
 *      balance   single owners, from members above target to members below       plan_balance.c
 *      columns   two owners of a partition change places, until every prefix of
 *                columns is balanced as well                                      plan_columns.c
 *
 * A member that joins or leaves needs one of the middle steps and no column exchange, so what moves
 * is what must.  Every choice is made by integers and by hashes of positions: the same everywhere.
 */
#include "cluster/ring/plan.h"

bool plan_is_legal(const struct plan *plan, uint32_t partition, uint8_t column, uint16_t member)
{
    const uint16_t *row = plan_row(plan, partition);
    uint16_t zone = plan->zones.of[member];
    uint8_t in_zone = 0;
    for (uint8_t c = 0; c < plan->column_count; c++) {
        if (row[c] == member)
            return false;
        if (c != column && row[c] != RING_NO_MEMBER)
            in_zone = (uint8_t)(in_zone + (plan->zones.of[row[c]] == zone));
    }
    return in_zone < plan->zone_limit;
}

void plan_place(struct plan *plan, uint32_t partition, uint8_t column, uint16_t member)
{
    uint16_t *place = &plan_row(plan, partition)[column];
    if (*place != RING_NO_MEMBER) {
        plan->loads[*place]--;
        --*plan_column_load(plan, column, *place);
    }
    plan->loads[member]++;
    ++*plan_column_load(plan, column, member);
    *place = member;
}

static void keep(struct plan *plan)
{
    size_t places = (size_t)plan->partition_count * plan->column_count;
    for (size_t i = 0; i < places; i++)
        plan->table[i] = RING_NO_MEMBER;
    if (plan->previous == NULL)
        return;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        for (uint8_t c = 0; c < plan->column_count; c++) {
            uint16_t member = plan->previous[(size_t)p * plan->column_count + c];
            if (member < plan->member_count && plan_is_legal(plan, p, c, member))
                plan_place(plan, p, c, member);
        }
    }
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

static bool init(struct plan *plan, const struct ring_plan_input *input, struct arena *arena,
                 uint16_t *table)
{
    uint16_t members = input->member_count;
    uint8_t columns = input->replica_count < members ? input->replica_count : (uint8_t)members;
    size_t cells = (size_t)columns * members;
    plan->partition_count = input->partition_count;
    plan->member_count = members;
    plan->column_count = columns;
    plan->previous = input->previous;
    plan->table = table;
    ring_zones_init(&plan->zones, input->members, members);
    plan->zone_limit = ring_zone_limit(&plan->zones, input->members, members, columns);
    plan->targets = arena_allocate_zero(arena, members * sizeof(*plan->targets));
    plan->loads = arena_allocate_zero(arena, members * sizeof(*plan->loads));
    plan->column_targets = arena_allocate_zero(arena, cells * sizeof(*plan->column_targets));
    plan->column_loads = arena_allocate_zero(arena, cells * sizeof(*plan->column_loads));
    return plan->targets != NULL && plan->loads != NULL && plan->column_targets != NULL &&
           plan->column_loads != NULL;
}

kvorum_status ring_plan(const struct ring_plan_input *input, struct arena *arena,
                        uint16_t *ret_table, const char **ret_why)
{
    *ret_why = input_problem(input);
    if (*ret_why != NULL)
        return KVORUM_INVALID;
    struct plan *plan = arena_new(arena, struct plan);
    if (plan == NULL || !init(plan, input, arena, ret_table))
        return KVORUM_NO_MEMORY;
    keep(plan);
    kvorum_status status = plan_targets(plan, input->members, arena);
    if (status == KVORUM_OK)
        status = plan_fill(plan, arena);
    if (status == KVORUM_OK)
        status = plan_balance(plan, arena);
    if (status == KVORUM_OK)
        status = plan_balance_columns(plan, arena);
    return status;
}
