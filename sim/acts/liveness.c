/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/liveness.h"

#include <assert.h>
#include <string.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"

enum {
    PASSES = 2,     /* of reading everything: repairs come after the answer */
    TRIES_MAX = 40, /* of one operation */
    ASK_AGAIN_US = 800 * 1000,
    SETTLE_US = 2 * 1000 * 1000,
};

/* From healing to running and quiet; from the first try of an operation to its answer: a broken
 * link comes back within 20 s, members are found dead within 3 s, and a try lasts up to 4 s. */
static const uint64_t start_limit_us = 60 * SIM_SECOND, answer_limit_us = 30 * SIM_SECOND;
static const uint64_t for_ever_us = 1000000 * SIM_SECOND;

static const char *fate_name(enum fate fate)
{
    static const char *const names[] = {
#define X(name, text) text,
        FATE_LIST(X)
#undef X
    };
    return names[fate];
}

/* --- who is in it ---------------------------------------------------------------------------- */

static uint32_t owners_needed(const struct plan *plan)
{
    const struct quorum_levels *levels = &plan->levels;
    const uint32_t all[] = { levels->r, levels->w, levels->dw, levels->pr, levels->pw };
    uint32_t needed = 1;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i] > needed && !level_is_zoned(all[i]))
            needed = all[i];
    return needed;
}

static uint16_t owners_in(const struct cluster *cluster, uint32_t members, uint32_t partition,
                          uint16_t *ret_owners)
{
    uint16_t owners[SIM_MEMBERS_MAX], count = 0;
    uint16_t n =
        ring_preference(&cluster->epoch, partition, owners, (uint16_t)cluster->plan->levels.n);
    for (uint16_t i = 0; i < n; i++) {
        if ((members >> owners[i] & 1) != 0)
            ret_owners[count++] = owners[i];
    }
    return count;
}

static uint16_t count_near(const struct cluster *cluster, const uint16_t *owners, uint16_t count,
                           uint16_t member)
{
    const struct member *members = cluster->epoch.members;
    uint16_t near = 0;
    for (uint16_t i = 0; i < count; i++)
        near += strcmp(members[owners[i]].zone, members[member].zone) == 0;
    return near;
}

/* A majority of the owners in each zone that has any: a client may be anywhere. */
static bool zones_are_enough(const struct cluster *cluster, uint32_t partition,
                             const uint16_t *owners, uint16_t count)
{
    uint16_t all[SIM_MEMBERS_MAX];
    uint16_t n = owners_in(cluster, UINT32_MAX, partition, all);
    for (uint16_t i = 0; i < n; i++)
        if (2 * count_near(cluster, owners, count, all[i]) <= count_near(cluster, all, n, all[i]))
            return false;
    return true;
}

static bool is_enough(const struct core *core, uint32_t members)
{
    const struct cluster *cluster = core->cluster;
    uint16_t owners[SIM_MEMBERS_MAX];
    for (uint32_t partition = 0; partition < cluster->epoch.partition_count; partition++) {
        uint16_t count = owners_in(cluster, members, partition, owners);
        if (count < core->needed ||
            (cluster->plan->zoned && !zones_are_enough(cluster, partition, owners, count)))
            return false;
    }
    return true;
}

/* Everybody leaves in some order who can be spared, but for the first two who could, now and then:
 * small cores are harder, larger ones have more to agree about. */
static void choose_members(struct core *core)
{
    struct cluster *cluster = core->cluster;
    core->members = (1u << cluster->count) - 1;
    uint64_t first = choose(cluster->world, cluster->count);
    for (uint16_t i = 0; i < cluster->count; i++) {
        uint16_t member = (uint16_t)((first + i) % cluster->count);
        uint32_t without = core->members & ~(1u << member);
        if (is_enough(core, without) && choose(cluster->world, 4) != 3)
            core->members = without;
    }
}

/* A fate must not cost acknowledged writes that the plan's faults would not cost. */
static enum fate choose_fate(struct cluster *cluster)
{
    const struct plan *plan = cluster->plan;
    uint64_t kinds = plan->memory                     ? FATE_STOPPED
                     : plan->sync != NODE_SYNC_ALWAYS ? FATE_CRASHED
                                                      : FATE_COUNT;
    return (enum fate)(FATE_PAUSED + choose(cluster->world, kinds - FATE_PAUSED));
}

/* --- what becomes of the others -------------------------------------------------------------- */

static void cut(struct cluster *cluster, uint16_t member, bool in, bool out)
{
    for (uint16_t other = 0; other < cluster->count; other++) {
        if (other != member && in)
            network_cut(&cluster->network, other, member);
        if (other != member && out)
            network_cut(&cluster->network, member, other);
    }
}

static void hold_down(struct cluster *cluster, struct process *process)
{
    process->held_down = true;
    world_cancel(cluster->world, &process->restart);
}

/* One that is down does not wake up either, with a disk that may still fail; nor one that was
 * paused for a while before. */
static void pause_for_ever(struct cluster *cluster, struct process *process)
{
    if (!process->running) {
        hold_down(cluster, process);
        return;
    }
    process_resume(process);
    process_pause(process, for_ever_us);
}

static void freeze(struct core *core, struct process *process)
{
    struct cluster *cluster = core->cluster;
    enum fate fate = core->fates[process->member] = choose_fate(cluster);
    world_tell(cluster->world, -1, "liveness: n%u stays outside: %s", process->member,
               fate_name(fate));
    cut(cluster, process->member, fate == FATE_CUT_OFF || fate == FATE_DEAF,
        fate == FATE_CUT_OFF || fate == FATE_MUTE);
    if (fate < FATE_STOPPED)
        return;
    hold_down(cluster, process);
    if (fate == FATE_STOPPED)
        process_stop(process);
    else
        process_crash(process, choose(cluster->world, 3) == 0);
    if (fate == FATE_WIPED)
        process_wipe(process);
}

/* A store that met an error takes no writes until its process is restarted: somebody does that. */
static void revive(struct cluster *cluster, struct process *process)
{
    const struct plan *plan = cluster->plan;
    bool poisoned = plan->faults[FAULT_DISK_ERRORS] > 0 || plan->faults[FAULT_DISK_FULL] > 0;
    cluster_calm(process);
    if (!plan->memory && (poisoned || choose(cluster->world, 4) == 1))
        process_stop(process);
    if (!process->running)
        process_start_after(process, choose(cluster->world, SIM_SECOND));
}

void core_form(struct core *core, struct cluster *cluster)
{
    *core = (struct core){ .cluster = cluster, .needed = owners_needed(cluster->plan) };
    cluster_end_faults(cluster);
    choose_members(core);
    for (uint16_t i = 0; i < cluster->count; i++) {
        if (core_has(core, i))
            revive(cluster, &cluster->processes[i]);
        else
            freeze(core, &cluster->processes[i]);
    }
    /* Those that run are there until all cuts were made; a pause is the last that they do. */
    for (uint16_t i = 0; i < cluster->count; i++) {
        if (core->fates[i] == FATE_PAUSED)
            pause_for_ever(cluster, &cluster->processes[i]);
    }
}

bool core_running(const struct core *core)
{
    for (uint16_t i = 0; i < core->cluster->count; i++) {
        if (core_has(core, i) && !core->cluster->processes[i].running)
            return false;
    }
    return true;
}

uint16_t core_owners(const struct core *core, uint32_t key, uint16_t *ret_owners)
{
    const struct epoch *epoch = &core->cluster->epoch;
    char name[SIM_KEY_SIZE];
    history_key(key, name);
    uint64_t hash = ring_hash(epoch, BYTES_LITERAL("default"), BYTES_LITERAL(SIM_BUCKET),
                              bytes_of_string(name));
    return owners_in(core->cluster, core->members, ring_partition_of_hash(epoch, hash), ret_owners);
}

struct process *core_any(const struct core *core)
{
    uint16_t left =
        (uint16_t)choose(core->cluster->world, (uint64_t)__builtin_popcount(core->members));
    uint16_t member = 0;
    while (!core_has(core, member) || left-- > 0)
        member++;
    return &core->cluster->processes[member];
}

bool core_without_return(const struct core *core)
{
    for (uint16_t i = 0; i < core->cluster->count; i++) {
        if (core->fates[i] == FATE_WIPED)
            return true;
    }
    return false;
}

void core_dissolve(struct core *core)
{
    for (uint16_t i = 0; i < core->cluster->count; i++)
        core->cluster->processes[i].held_down = false;
}

/* --- what the core must do ------------------------------------------------------------------- */

static bool pass_time(const struct core *core, uint64_t duration_us)
{
    struct world *world = core->cluster->world;
    return world_run_until(world, world->now_us + duration_us);
}

static bool begin_serving(const struct core *core, const struct workload *workload)
{
    struct world *world = core->cluster->world;
    uint64_t end_us = world->now_us + start_limit_us;
    while (!core_running(core) || workload_open_at(workload, core->members) > 0) {
        if (world->now_us >= end_us)
            world_fail(world, "live", "a healed core of members 0x%x is not up, or owes answers",
                       core->members);
        if (!pass_time(core, ASK_AGAIN_US))
            return false;
    }
    return pass_time(core, SETTLE_US);
}

static bool is_answer(const struct record *record)
{
    return record->status == KVORUM_OK ||
           (record->action == ACTION_GET && record->status == KVORUM_NOT_FOUND);
}

static bool is_local(enum action action, const struct quorum_levels *levels)
{
    if (action == ACTION_GET)
        return levels->r == LEVEL_LOCAL_QUORUM || levels->pr == LEVEL_LOCAL_QUORUM;
    return levels->w == LEVEL_LOCAL_QUORUM || levels->dw == LEVEL_LOCAL_QUORUM ||
           levels->pw == LEVEL_LOCAL_QUORUM;
}

/* A quorum of its own zone is asked of a member whose zone has no owner of the key.  It can never
 * be met there, and the product says so at once (node/placement/zones.c); to go on elsewhere would
 * be to promise a zone that nobody named. */
static bool is_elsewhere(const struct core *core, enum action action, uint32_t key,
                         const struct quorum_levels *levels, uint16_t member)
{
    uint16_t owners[SIM_MEMBERS_MAX];
    uint16_t count = core_owners(core, key, owners);
    return is_local(action, levels) && count_near(core->cluster, owners, count, member) == 0;
}

/* NULL when the run is over. */
static struct record *try_once(struct workload *workload, enum action action, uint32_t key,
                               struct process *process, const struct quorum_levels *levels)
{
    bool done = false;
    struct record *record = workload_ask(workload, action, key, process, levels, &done);
    while (!done) {
        if (!world_step(workload->world))
            return NULL;
    }
    return record;
}

/* Of one member, again and again: another one's answer would not excuse it. */
static bool ask_member(const struct core *core, struct workload *workload, enum action action,
                       uint32_t key, const struct quorum_levels *levels, uint16_t member)
{
    struct world *world = core->cluster->world;
    uint64_t start_us = world->now_us;
    struct process *process = &core->cluster->processes[member];
    bool refuses = is_elsewhere(core, action, key, levels, member);
    kvorum_status status = KVORUM_INTERNAL;
    for (int i = 0; i < TRIES_MAX && world->now_us - start_us < answer_limit_us; i++) {
        const struct record *record = try_once(workload, action, key, process, levels);
        if (record == NULL)
            return false;
        if (refuses ? record->status == KVORUM_QUORUM_IMPOSSIBLE : is_answer(record))
            return true;
        status = record->status;
        if (!pass_time(core, ASK_AGAIN_US))
            return false;
    }
    world_fail(world, "live",
               "key %u: %s at n%u, in a core of members 0x%x that has the quorum, is not %s "
               "after %llu ms: %s",
               key, action_name(action), member, core->members, refuses ? "refused" : "done",
               (unsigned long long)(world->now_us - start_us) / 1000, kvorum_status_name(status));
    return false;
}

/* Where the first may only refuse, an owner, whose zone is never without one, must do it. */
static bool ask(const struct core *core, struct workload *workload, enum action action,
                uint32_t key, const struct quorum_levels *levels)
{
    uint16_t owners[SIM_MEMBERS_MAX], member = core_any(core)->member;
    bool refuses = is_elsewhere(core, action, key, levels, member);
    if (!ask_member(core, workload, action, key, levels, member))
        return false;
    if (!refuses)
        return true;
    PROBE("liveness: a member refused a level of its zone, which has no owner");
    uint16_t count = core_owners(core, key, owners);
    member = owners[choose(core->cluster->world, count)];
    return ask_member(core, workload, action, key, levels, member);
}

static bool ask_for_everything(const struct core *core, struct workload *workload)
{
    const struct quorum_levels *levels = &core->cluster->plan->levels;
    for (uint32_t key = 0; key < core->cluster->plan->key_count; key++) {
        if (!ask(core, workload, ACTION_PUT_OVERWRITE, key, levels) ||
            !ask(core, workload, ACTION_GET, key, levels))
            return false;
    }
    return true;
}

/* Stores at rest take every repair: one that is behind refuses some, for a later read to try. */
static bool come_to_rest(const struct core *core)
{
    struct cluster *cluster = core->cluster;
    uint64_t end_us = cluster->world->now_us + start_limit_us;
    for (uint16_t i = 0; i < cluster->count; i++) {
        while (core_has(core, i) && !sim_jobs_idle(&cluster->processes[i].jobs) &&
               cluster->world->now_us < end_us) {
            if (!world_step(cluster->world))
                return false;
        }
    }
    return true;
}

static bool read_from_all(const struct core *core, struct workload *workload)
{
    struct quorum_levels levels = core->cluster->plan->levels;
    uint16_t owners[SIM_MEMBERS_MAX];
    levels.sloppy = 0;
    for (uint32_t key = 0; key < core->cluster->plan->key_count; key++) {
        levels.r = core_owners(core, key, owners);
        levels.pr = levels.r;
        if (!come_to_rest(core) || !ask(core, workload, ACTION_GET, key, &levels))
            return false;
    }
    return pass_time(core, SETTLE_US);
}

uint32_t core_operations_max(uint32_t key_count)
{
    return key_count * TRIES_MAX * (2 * 2 + PASSES); /* what one may refuse is asked of two */
}

void core_serve(const struct core *core, struct workload *workload)
{
    if (!begin_serving(core, workload) || !ask_for_everything(core, workload))
        return;
    for (int i = 0; i < PASSES; i++) {
        if (!read_from_all(core, workload))
            return;
    }
    if (!come_to_rest(core))
        return;
    for (uint32_t key = 0; key < core->cluster->plan->key_count; key++)
        check_core_converged(core, key);
    PROBE("liveness: a core converged");
    if (core->members != (1u << core->cluster->count) - 1)
        PROBE("liveness: a core converged without some members");
}
