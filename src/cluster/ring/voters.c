/* SPDX-License-Identifier: Apache-2.0 */
/* Who decides the next epoch.  A majority of them must be reachable for the cluster to change its
 * shape, so they stand in as many zones as there are, and their number is odd: an even one needs
 * one more and survives no more failures. */
#include <string.h>

#include "cluster/ring/ring.h"

static uint8_t in_zone(const struct member *members, const uint16_t *voters, uint8_t count,
                       const char *zone)
{
    uint8_t found = 0;
    for (uint8_t i = 0; i < count; i++)
        found += strcmp(members[voters[i]].zone, zone) == 0;
    return found;
}

/* The fewest voters in its zone, then one that is a voter already, then the lowest slot. */
static uint16_t next_voter(const struct member *members, uint16_t member_count,
                           enum member_state state, const uint16_t *former, uint8_t former_count,
                           const uint16_t *voters, uint8_t count)
{
    uint16_t best = RING_NO_MEMBER;
    unsigned best_rank = 0;
    for (uint16_t m = 0; m < member_count; m++) {
        if (members[m].state != state || ring_row_holds(voters, count, m))
            continue;
        unsigned rank = 2u * in_zone(members, voters, count, members[m].zone) +
                        !ring_row_holds(former, former_count, m);
        if (best == RING_NO_MEMBER || rank < best_rank) {
            best = m;
            best_rank = rank;
        }
    }
    return best;
}

static void sort(uint16_t *voters, uint8_t count)
{
    for (uint8_t i = 1; i < count; i++) {
        uint16_t voter = voters[i];
        uint8_t place = i;
        for (; place > 0 && voters[place - 1] > voter; place--)
            voters[place] = voters[place - 1];
        voters[place] = voter;
    }
}

static uint16_t count_in(const struct member *members, uint16_t member_count,
                         enum member_state state)
{
    uint16_t count = 0;
    for (uint16_t m = 0; m < member_count; m++)
        count += members[m].state == state;
    return count;
}

uint8_t ring_choose_voters(const struct member *members, uint16_t member_count,
                           const uint16_t *former, uint8_t count,
                           uint16_t ret_voters[RING_VOTERS_MAX])
{
    enum member_state state = MEMBER_ACTIVE;
    uint16_t eligible = count_in(members, member_count, state), chosen[RING_VOTERS_MAX];
    if (eligible == 0) {
        state = MEMBER_LEAVING;
        eligible = count_in(members, member_count, state);
    }
    uint16_t odd = eligible % 2 == 0 && eligible > 0 ? (uint16_t)(eligible - 1) : eligible;
    uint8_t wanted = odd < RING_VOTERS_MAX ? (uint8_t)odd : RING_VOTERS_MAX;
    for (uint8_t i = 0; i < wanted; i++)
        chosen[i] = next_voter(members, member_count, state, former, count, chosen, i);
    sort(chosen, wanted);
    memcpy(ret_voters, chosen, wanted * sizeof(*chosen));
    return wanted;
}
