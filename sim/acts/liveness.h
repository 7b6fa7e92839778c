/* SPDX-License-Identifier: Apache-2.0 */
/** After the random phase: a core is healed, everything else is frozen as it failed, for ever.
 *
 *      core    a random set of members that holds, for every partition, as many owners as the
 *              plan's levels ask for, and with levels by zone a majority of those in each zone
 *      others  each in a fate of its own: paused, cut off both ways or one way, stopped, crashed,
 *              or started again on an empty directory (which must wait to be joined)
 *
 *  Then everything asked through the core must be answered in bounded time, and its owners of each
 *  key must come to hold the same bytes (checkers/live.c). */
#ifndef SIM_LIVENESS_H
#define SIM_LIVENESS_H

#include "sim/clients/workload.h"

#define FATE_LIST(X)                                                                               \
    X(CORE, "core")                                                                                \
    X(PAUSED, "paused")                                                                            \
    X(CUT_OFF, "cut off")                                                                          \
    X(MUTE, "not heard")                                                                           \
    X(DEAF, "does not hear")                                                                       \
    X(STOPPED, "stopped")                                                                          \
    X(CRASHED, "crashed")                                                                          \
    X(WIPED, "wiped")

enum fate {
#define X(name, text) FATE_##name,
    FATE_LIST(X)
#undef X
        FATE_COUNT
};

struct core {
    struct cluster *cluster;
    uint32_t members; /* a set */
    uint32_t needed;  /* owners of each partition */
    enum fate fates[SIM_MEMBERS_MAX];
};

/** Choose a core and freeze the others; the core's machines start, if they were down. */
void core_form(struct core *core, struct cluster *cluster);
/** Every member of the core runs. */
bool core_running(const struct core *core);
static inline bool core_has(const struct core *core, uint16_t member)
{
    return (core->members >> member & 1) != 0;
}
/** How many owners of `key` are in the core, and which; `ret_owners` has SIM_MEMBERS_MAX places. */
uint16_t core_owners(const struct core *core, uint32_t key, uint16_t *ret_owners);
/** A member of it, by chance. */
struct process *core_any(const struct core *core);
/** Some member will never come back as who it was: the cluster cannot be healed as a whole. */
bool core_without_return(const struct core *core);
/** Ask for everything through the core: each key is overwritten and read until it is answered, then
 *  read from all its owners there, which then must be alike.  What takes longer than its bound is a
 *  violation of "live". */
void core_serve(const struct core *core, struct workload *workload);
/** How many operations core_serve asks for at most. */
uint32_t core_operations_max(uint32_t key_count);
/** Whoever was stopped may start again. */
void core_dissolve(struct core *core);

#endif
