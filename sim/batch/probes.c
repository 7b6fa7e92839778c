/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/probes.h"

#include <stdlib.h>
#include <string.h>

enum { SITES_MAX = 2048 };

enum {
#define X(name, ...) BATCH_##name = 1 << KIND_##name,
    KIND_LIST(X)
#undef X
};

struct required {
    const char *name;
    uint32_t batches; /* of which kinds */
    uint32_t runs;    /* from how many on: to miss it by chance is less likely than 1 in 10^9 */
};

/* Those that at least every 20th run of a kind took, of 1,500: `kvorum-sim --probes`. */
static const struct required required[] = {
    { "disk: a sector of a mapping torn", BATCH_STORES, 200 },
    { "disk: power failed in the middle of an operation", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "disk: stored into a mapping", BATCH_STORES, 200 },
    { "disk: sync failed", BATCH_CLUSTERS, 1000 },
    { "disk: sync failed", BATCH_STORES, 500 },
    { "disk: un-synced name lost in a crash", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "disk: un-synced write lost", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "disk: write torn", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "faults: a zone was cut", BATCH_CLUSTERS, 500 },
    { "lsm: a batch was refused because flushes or compactions lag behind", BATCH_CLUSTERS, 1000 },
    { "lsm: a batch was refused because flushes or compactions lag behind", BATCH_STORES, 200 },
    { "lsm: a blob file was all garbage", BATCH_CLUSTERS, 500 },
    { "lsm: a blob file was all garbage", BATCH_STORES, 200 },
    { "lsm: a compaction began while memtables waited", BATCH_STORES, 200 },
    { "lsm: a compaction below level 1", BATCH_STORES, 500 },
    { "lsm: a flush ended during a compaction", BATCH_CLUSTERS | BATCH_STORES, 1000 },
    { "lsm: a flush that had failed went well", BATCH_STORES, 1000 },
    { "lsm: a table moved down as it was", BATCH_CLUSTERS, 500 },
    { "lsm: a table moved down as it was", BATCH_STORES, 200 },
    { "lsm: a table was cut among deleted ranges", BATCH_STORES, 200 },
    { "lsm: a torn tail was dropped", BATCH_STORES, 200 },
    { "lsm: a value moved to a new blob file", BATCH_STORES, 500 },
    { "lsm: an orphan was found", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "lsm: no room for a flush", BATCH_STORES, 500 },
    { "lsm: nobody knows which manifest is on the disk", BATCH_STORES, 200 },
    { "lsm: the log began anew behind the tables", BATCH_STORES, 200 },
    { "lsm: the log was synced ahead", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "lsm: the log went on in another segment", BATCH_CLUSTERS | BATCH_STORES, 200 },
    { "modes: a bucket changed its mode", BATCH_CLUSTERS, 200 },
    { "network: a damaged frame ended its link", BATCH_CLUSTERS, 500 },
    { "network: frame doubled", BATCH_CLUSTERS, 200 },
    { "node: a hint was delivered and forgotten", BATCH_CLUSTERS, 500 },
    { "node: a merge came before the shard was ready", BATCH_CLUSTERS, 1000 },
    { "node: a merge changed nothing and waited for what is there", BATCH_CLUSTERS, 200 },
    { "node: a read repaired a replica", BATCH_CLUSTERS, 200 },
    { "node: a spare stood in for an owner that failed under way", BATCH_CLUSTERS, 500 },
    { "node: a stand-in coordinated a write", BATCH_CLUSTERS, 1000 },
    { "node: a write waited for room in its store", BATCH_CLUSTERS, 1000 },
    { "node: an event behind another one waited for the disk too", BATCH_CLUSTERS, 500 },
    { "node: an event waited for the disk", BATCH_CLUSTERS, 200 },
    { "process: a start failed", BATCH_CLUSTERS, 200 },
    { "process: stopped cleanly", BATCH_CLUSTERS, 200 },
    { "store: a batch was refused", BATCH_STORES, 200 },
    { "store: killed", BATCH_STORES, 200 },
    { "store: overloaded", BATCH_STORES, 200 },
    { "store: recovery ends before the last batch", BATCH_STORES, 200 },
    { "store: recovery failed", BATCH_STORES, 200 },
    { "workload: a client went away", BATCH_CLUSTERS, 200 },
    { "node: a hint was delivered and forgotten", BATCH_HANDOFF, 200 },
    { "node: a hint was refused for want of room", BATCH_HANDOFF, 200 },
    { "node: a hint was re-routed to the owners of now", BATCH_HANDOFF, 200 },
    { "node: a hint was destroyed, and left a mark", BATCH_HANDOFF, 200 },
    { "node: a mark was handed to the owners", BATCH_HANDOFF, 200 },
    { "node: an expired value was dropped", BATCH_HANDOFF, 200 },
    { "node: an owner that did not answer is owed the write", BATCH_HANDOFF, 200 },
    { "liveness: a core converged", BATCH_LIVENESS, 200 },
    { "liveness: a core converged without some members", BATCH_LIVENESS, 200 },
    { "liveness: a member refused a level of its zone, which has no owner", BATCH_LIVENESS, 200 },
    { "process: an empty directory waits to be joined", BATCH_LIVENESS, 1000 },
    { "yesterday: a disk was put back", BATCH_YESTERDAY, 200 },
    { "lives: a directory that was put back found out", BATCH_YESTERDAY, 200 },
    { "decay: a disk was damaged", BATCH_DECAY, 200 },
    { "decay: a key is lost, and said to be", BATCH_DECAY, 400 },
    { "decay: a member was whole again", BATCH_DECAY, 200 },
    { "scrub: a loss was refilled", BATCH_DECAY, 200 },
    { "scrub: no answer about a key in doubt", BATCH_DECAY, 200 },
    { "node: hints were lost with a damaged block, and left marks", BATCH_DECAY, 500 },
    { "scrub: a read met damage", BATCH_DECAY, 200 },
    { "scrub: a compaction met damage", BATCH_DECAY, 200 },
    { "lsm: a scrub met damage beside the tables", BATCH_DECAY, 200 },
    { "process: a start met a damaged disk", BATCH_DECAY, 200 },
    { "lives: the actor of the life before was taken up", BATCH_YESTERDAY, 200 },
    { "drops: a drop was acknowledged", BATCH_DROPS, 200 },
    { "drop: a message of an earlier generation was refused", BATCH_DROPS, 200 },
    { "drop: a message told of a later generation", BATCH_DROPS, 200 },
    { "drop: a later generation was known elsewhere", BATCH_DROPS, 200 },
    { "reclaim: an earlier generation was deleted", BATCH_DROPS, 200 },
    { "voters: a disk was put back while others recovered", BATCH_VOTERS, 200 },
    { "voters: another was lost before the end", BATCH_VOTERS, 500 },
    { "voters: one who was lost came back before the end", BATCH_VOTERS, 500 },
    { "voters: an operator came second", BATCH_VOTERS, 200 },
    { "voters: one who is left was away for long", BATCH_VOTERS, 200 },
    { "yesterday: a disk that nobody could tell apart was not put back", BATCH_VOTERS, 2000 },
    { "recovery plan: a partition begins empty", BATCH_VOTERS, 200 },
    { "recovery plan: a move is planned anew, or goes on", BATCH_VOTERS, 2000 },
    { "recover: a new line of epochs was decided", BATCH_VOTERS, 200 },
    { "recover: a member accepted the beginning of a new line", BATCH_VOTERS, 200 },
    { "recover: another recovery came first", BATCH_VOTERS, 200 },
    { "recover: another shard than 0 was asked", BATCH_VOTERS, 200 },
    { "recover: a second order at once was turned away", BATCH_VOTERS, 200 },
    { "recover: it goes on from an epoch that was accepted only", BATCH_VOTERS, 500 },
    { "recover: one that was begun before is ended", BATCH_VOTERS, 500 },
    { "recover: one that was begun before gave way to another", BATCH_VOTERS, 2000 },
    { "recover: refused, for the plan was made for another epoch", BATCH_VOTERS, 500 },
    { "recover: refused, for others could be recovered without those who are left", BATCH_VOTERS,
      500 },
    { "recover: a member that accepted a new line has no part in the one before", BATCH_VOTERS,
      500 },
    { "recover: what was proposed rests on promises of former lives", BATCH_VOTERS, 500 },
    { "recover: a member did not know yet whether its disk was put back", BATCH_VOTERS, 2000 },
    { "recover: a member was asked for a promise while something else was under way", BATCH_VOTERS,
      2000 },
    { "recover: a member had promised a newer ballot", BATCH_VOTERS, 500 },
    { "recover: a member started with an acceptance of what was not ended", BATCH_VOTERS, 500 },
    { "graves: what was left was collected at the end", BATCH_COLLECT, 200 },
    { "collect: tombstones were collected", BATCH_COLLECT, 200 },
    { "collect: a member promised", BATCH_COLLECT, 200 },
    { "collect: a round was made to settle a doubt", BATCH_COLLECT, 200 },
    { "collect: every tombstone of a round was kept back", BATCH_COLLECT, 200 },
    { "collect: a newcomer has promised no more than who gave to it", BATCH_COLLECT, 200 },
    { "collect: what was left between lost deletions went too", BATCH_COLLECT, 500 },
    { "collect: a member did not answer in time", BATCH_COLLECT, 500 },
    { "collect: an object was refused that is older than what was collected", BATCH_COLLECT, 500 },
};

/* --- counting -------------------------------------------------------------------------------- */

/* Weak: a program without any probe has no such section. */
extern struct probe probes_start __asm__("__start_kvorum_probes") __attribute__((weak));
extern struct probe probes_stop __asm__("__stop_kvorum_probes") __attribute__((weak));

/* Several probes may bear one name: they count as one, which has the place of the first. */
static const char *names[PROBES_MAX];
static size_t name_count;
static size_t places[SITES_MAX];

static size_t place_of(const char *name)
{
    size_t place = 0;
    while (place < name_count && strcmp(names[place], name) != 0)
        place++;
    if (place == PROBES_MAX)
        abort();
    names[place] = name;
    name_count += place == name_count;
    return place;
}

static void find_places(void)
{
    if (name_count > 0)
        return;
    if (&probes_stop - &probes_start > SITES_MAX)
        abort();
    for (const struct probe *probe = &probes_start; probe < &probes_stop; probe++)
        places[probe - &probes_start] = place_of(probe->name);
}

void probes_take(struct probe_counts *ret_counts)
{
    *ret_counts = (struct probe_counts){ 0 };
    find_places();
    for (struct probe *probe = &probes_start; probe < &probes_stop; probe++) {
        ret_counts->fired[places[probe - &probes_start]] += probe->count;
        probe->count = 0;
    }
}

void probes_tally_run(struct probe_tally *tally, const struct probe_counts *counts)
{
    find_places();
    tally->runs++;
    tally->count = name_count;
    for (size_t i = 0; i < name_count; i++) {
        tally->list[i].name = names[i];
        tally->list[i].fired += counts->fired[i];
        tally->list[i].runs += counts->fired[i] > 0;
    }
}

/* --- what is required ------------------------------------------------------------------------ */

static bool find(const struct probe_tally *tally, const char *name, uint64_t *ret_fired)
{
    for (size_t i = 0; i < tally->count; i++) {
        if (strcmp(tally->list[i].name, name) == 0) {
            *ret_fired = tally->list[i].fired;
            return true;
        }
    }
    return false;
}

void probes_check(const struct probe_tally *tally, enum kind kind,
                  void (*missing)(void *context, const char *name, bool exists), void *context)
{
    for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++) {
        const struct required *one = &required[i];
        uint64_t fired = 0;
        if ((one->batches & (1u << kind)) == 0 || tally->runs < one->runs)
            continue;
        bool exists = find(tally, one->name, &fired);
        if (fired == 0)
            missing(context, one->name, exists);
    }
}
