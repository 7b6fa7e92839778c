/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/liveness.h"
#include "sim/checkers/checkers.h"

void check_core_converged(const struct core *core, uint32_t key)
{
    struct cluster *cluster = core->cluster;
    uint16_t owners[SIM_MEMBERS_MAX];
    uint16_t count = core_owners(core, key, owners);
    char name[SIM_KEY_SIZE];
    history_key(key, name);
    for (uint16_t i = 1; i < count; i++) {
        struct holding a = converged_look(&cluster->processes[owners[0]], name);
        struct holding b = converged_look(&cluster->processes[owners[i]], name);
        if (a.found != b.found || a.digest != b.digest)
            world_fail(
                cluster->world, "live",
                "key %u: n%u and n%u, which serve without the others, hold different objects", key,
                owners[0], owners[i]);
    }
}
