/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

void check_listed(struct world *world, uint32_t key_count, const bool *found, const bool *listed)
{
    for (uint32_t key = 0; key < key_count; key++) {
        if (found[key] && !listed[key])
            world_fail(world, "listed", "key %u can be read and is not in the list", key);
        else if (!found[key] && listed[key])
            world_fail(world, "listed", "key %u is in the list and cannot be read", key);
    }
}
