/* SPDX-License-Identifier: Apache-2.0 */
/* The planner: sticky greedy over an explicit table.
 *
 *      targets   how much each member should hold, in all and in each column      plan_targets.c
 *      keep      of `previous` what is still legal
 *      fill      the holes, with members below their targets                      plan_fill.c
 *      balance   single owners, from members above target to members below       plan_balance.c
 *      save      what moved without need goes back                                plan_save.c
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
    plan->least = arena_allocate_zero(arena, members * sizeof(*plan->least));
    plan->most = arena_allocate_zero(arena, members * sizeof(*plan->most));
    plan->column_targets = arena_allocate_zero(arena, cells * sizeof(*plan->column_targets));
    plan->column_loads = arena_allocate_zero(arena, cells * sizeof(*plan->column_loads));
    return plan->targets != NULL && plan->loads != NULL && plan->least != NULL &&
           plan->most != NULL && plan->column_targets != NULL && plan->column_loads != NULL;
}

static kvorum_status plan_holders(const struct ring_plan_input *input, struct arena *arena,
                                  uint16_t *ret_table)
{
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
        status = plan_save_moves(plan, arena);
    if (status == KVORUM_OK)
        status = plan_balance_columns(plan, arena);
    return status;
}

/* --- members that may be given something ------------------------------------------------------ */

/* Those that may not are left out, as if they did not exist: the steps know only places among
 * `holders`, and what comes out is translated to slots. */
struct translation {
    struct member *holders;
    uint16_t *slot_of, *place_of; /* holder -> slot, slot -> holder or RING_NO_MEMBER */
    uint16_t count;
};

static bool translate_init(struct translation *translation, const struct ring_plan_input *input,
                           struct arena *arena)
{
    uint16_t count = input->member_count;
    translation->holders = arena_allocate(arena, count * sizeof(*translation->holders));
    translation->slot_of = arena_allocate(arena, count * sizeof(*translation->slot_of));
    translation->place_of = arena_allocate(arena, count * sizeof(*translation->place_of));
    translation->count = 0;
    if (translation->holders == NULL || translation->slot_of == NULL ||
        translation->place_of == NULL)
        return false;
    for (uint16_t slot = 0; slot < count; slot++) {
        translation->place_of[slot] = RING_NO_MEMBER;
        if (input->members[slot].state != MEMBER_ACTIVE)
            continue;
        translation->place_of[slot] = translation->count;
        translation->slot_of[translation->count] = slot;
        translation->holders[translation->count++] = input->members[slot];
    }
    return true;
}

static const uint16_t *translate_previous(const struct translation *translation,
                                          const struct ring_plan_input *input, size_t places,
                                          struct arena *arena)
{
    uint16_t *previous = arena_allocate(arena, places * sizeof(*previous));
    for (size_t i = 0; previous != NULL && i < places; i++) {
        uint16_t slot = input->previous[i];
        previous[i] = slot < input->member_count ? translation->place_of[slot] : RING_NO_MEMBER;
    }
    return previous;
}

static kvorum_status plan_some(const struct ring_plan_input *input,
                               const struct translation *translation, struct arena *arena,
                               uint16_t *ret_table)
{
    uint16_t count = translation->count;
    size_t columns = input->replica_count < count ? input->replica_count : count;
    size_t places = columns * input->partition_count;
    struct ring_plan_input some = *input;
    some.members = translation->holders;
    some.member_count = count;
    if (input->previous != NULL) {
        some.previous = translate_previous(translation, input, places, arena);
        if (some.previous == NULL)
            return KVORUM_NO_MEMORY;
    }
    kvorum_status status = plan_holders(&some, arena, ret_table);
    for (size_t i = 0; status == KVORUM_OK && i < places; i++)
        ret_table[i] = translation->slot_of[ret_table[i]];
    return status;
}

kvorum_status ring_plan(const struct ring_plan_input *input, struct arena *arena,
                        uint16_t *ret_table, const char **ret_why)
{
    *ret_why = input_problem(input);
    if (*ret_why != NULL)
        return KVORUM_INVALID;
    struct translation translation;
    if (!translate_init(&translation, input, arena))
        return KVORUM_NO_MEMORY;
    if (translation.count == 0) {
        *ret_why = "no member is left that may own anything";
        return KVORUM_INVALID;
    }
    if (translation.count == input->member_count)
        return plan_holders(input, arena, ret_table);
    return plan_some(input, &translation, arena, ret_table);
}
