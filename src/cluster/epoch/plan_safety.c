/* SPDX-License-Identifier: Apache-2.0 */
/* Plans that lose nothing by themselves and leave the cluster weaker than it was: with copies in
 * fewer zones, with voters that cannot decide the next change, with a leaver who cannot give. */
#include "base/planted.h"
#include "cluster/epoch/planning.h"
#include "cluster/ring/shares.h"

static kvorum_status refuse(const struct planning *planning, const char *why)
{
    *planning->why = why == NULL ? "refused" : why;
    return KVORUM_NOT_ALLOWED;
}

bool change_is_dead(const struct change_options *options, uint16_t member)
{
    return (options->dead[member / 8] >> member % 8 & 1) != 0;
}

/* --- zones ----------------------------------------------------------------------------------- */

static uint8_t zones_in_row(const struct ring_zones *zones, const uint16_t *row, uint8_t columns)
{
    uint8_t found = 0;
    for (uint8_t c = 0; c < columns && row[c] != RING_NO_MEMBER; c++) {
        bool first = true;
        for (uint8_t d = 0; d < c; d++)
            first &= zones->of[row[d]] != zones->of[row[c]];
        found = (uint8_t)(found + first);
    }
    return found;
}

static uint8_t fewest_zones(const struct epoch *epoch, const uint16_t *table)
{
    struct ring_zones zones;
    uint8_t fewest = UINT8_MAX;
    ring_zones_init(&zones, epoch->members, epoch->member_count);
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const uint16_t *row = table + (size_t)p * epoch->replica_count;
        uint8_t found = zones_in_row(&zones, row, epoch->replica_count);
        fewest = found < fewest ? found : fewest;
    }
    return fewest;
}

void planning_spread(const struct planning *planning)
{
    struct change_plan *plan = planning->plan;
    plan->spread_before = fewest_zones(planning->from, planning->from->table);
    plan->spread_after = fewest_zones(&plan->next, plan->table);
}

/* Fewer copies cannot be in as many zones: what they say then is check_copies' business. */
static kvorum_status check_zones(const struct planning *planning)
{
    const struct change_plan *plan = planning->plan;
    uint8_t before =
        plan->spread_before < planning->columns ? plan->spread_before : planning->columns;
    if (plan->spread_after >= before || planning->options->allow_zone_loss || PLANTED(ZONES_LOST))
        return KVORUM_OK;
    return refuse(planning,
                  arena_printf(planning->arena,
                               "each partition has copies in %u zones or more, and some would have "
                               "them in %u only: a zone that fails would take more of them with "
                               "it. Have a node in another zone join first, or accept it: kvorum "
                               "cluster commit --allow-zone-loss",
                               before, plan->spread_after));
}

/* --- who does not answer --------------------------------------------------------------------- */

/* Their names, with commas; "" when out of memory. */
static const char *names_of(const struct planning *planning, const uint16_t *members, uint8_t count)
{
    const char *names = "";
    for (uint8_t i = 0; i < count && names != NULL; i++)
        names = arena_printf(planning->arena, "%s%s%s", names, i == 0 ? "" : ", ",
                             planning->from->members[members[i]].name);
    return names == NULL ? "" : names;
}

/* The next change needs a majority of those who would vote. */
static kvorum_status check_voters(const struct planning *planning)
{
    const struct epoch *next = &planning->plan->next;
    uint16_t dead[RING_VOTERS_MAX];
    uint8_t count = 0;
    for (uint8_t i = 0; i < next->voter_count; i++)
        if (change_is_dead(planning->options, next->voters[i]))
            dead[count++] = next->voters[i];
    if (2 * count < next->voter_count)
        return KVORUM_OK;
    return refuse(planning,
                  arena_printf(planning->arena,
                               "%u of the %u nodes that would vote do not answer (%s), and nothing "
                               "could be changed after this. Bring them back, or remove them with "
                               "the same commit",
                               count, next->voter_count, names_of(planning, dead, count)));
}

/* Who leaves serves until others have all it held. */
static kvorum_status check_leavers(const struct planning *planning)
{
    const struct epoch *from = planning->from;
    for (uint16_t i = 0; i < from->change_count; i++) {
        uint16_t member = from->changes[i].member;
        if (from->changes[i].kind != CHANGE_LEAVE || planning->lost[member] ||
            !change_is_dead(planning->options, member))
            continue;
        const char *name = from->members[member].name;
        return refuse(planning,
                      arena_printf(planning->arena,
                                   "%s does not answer, and who leaves has to give its partitions "
                                   "away. Bring it back; or, if it is lost: kvorum cluster remove "
                                   "%s",
                                   name, name));
    }
    return KVORUM_OK;
}

kvorum_status planning_check_safety(const struct planning *planning)
{
    kvorum_status status = check_zones(planning);
    if (status == KVORUM_OK)
        status = check_leavers(planning);
    return status == KVORUM_OK ? check_voters(planning) : status;
}
