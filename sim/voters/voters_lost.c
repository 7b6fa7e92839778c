/* SPDX-License-Identifier: Apache-2.0 */
/* Who is lost, and who comes back in the end. */
#include "base/planted.h"
#include "sim/voters/voters_internal.h"

enum { TRIES_EACH = 300 };

static const uint64_t told_limit_us = 60 * SIM_SECOND;

bool voters_is_lost(const struct voters *v, uint16_t member)
{
    return (v->lost >> member & 1) != 0;
}

bool voters_is_left(const struct voters *v, uint16_t member)
{
    return !voters_is_lost(v, member) && !epoch_book_gone(&v->solo.cluster.book, member);
}

struct process *voters_choose_left(struct voters *v)
{
    struct cluster *cluster = &v->solo.cluster;
    uint16_t start = (uint16_t)choose(v->solo.world, cluster->count);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[(start + i) % cluster->count];
        if (process->running && voters_is_left(v, process->member))
            return process;
    }
    return NULL;
}

/* --- being lost ------------------------------------------------------------------------------ */

void voters_lose(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    v->lost |= 1u << member;
    v->ever_lost |= v->lost;
    process->held_down = true;
    world_cancel(v->solo.world, &process->restart);
    process_crash(process, choose_one_in(v->solo.world, 2));
    world_tell(v->solo.world, -1, "voters: n%u is lost", member);
}

/* Of those who are voters in the newest epoch that anybody has. */
static void find_voters(struct voters *v)
{
    const struct epoch *newest = &v->solo.cluster.epoch;
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        const struct process *process = &v->solo.cluster.processes[i];
        if (process->running && node_epoch(process->shards[0].node)->number > newest->number)
            newest = node_epoch(process->shards[0].node);
    }
    for (uint8_t i = 0; i < newest->voter_count; i++)
        v->voters |= 1u << newest->voters[i];
}

static unsigned voters_lost(const struct voters *v, uint32_t lost)
{
    return (unsigned)__builtin_popcount(v->voters & lost);
}

bool voters_lack_majority(const struct voters *v, uint32_t lost)
{
    return 2 * voters_lost(v, lost) > (unsigned)__builtin_popcount(v->voters);
}

void voters_lose_majority(struct voters *v)
{
    uint16_t count = v->solo.cluster.count;
    find_voters(v);
    world_span(v->solo.world, STREAM_FAULTS);
    v->anchor = (uint16_t)choose(v->solo.world, count);
    for (uint32_t tries = 0; !voters_lack_majority(v, v->lost) || choose_one_in(v->solo.world, 4);
         tries++) {
        /* A shrunk tape draws the same member for ever: after many tries it is the next. */
        uint64_t drawn = choose(v->solo.world, count) + tries / TRIES_EACH;
        uint16_t member = (uint16_t)(drawn % count);
        if (member != v->anchor && !voters_is_lost(v, member))
            voters_lose(v, member);
        if (__builtin_popcount(v->lost) + 1 == count)
            break;
    }
    world_noise(v->solo.world);
}

/* --- coming back ----------------------------------------------------------------------------- */

void voters_readmit(struct voters *v)
{
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        struct process *process = &v->solo.cluster.processes[i];
        if (!voters_is_lost(v, i) || epoch_book_gone(&v->solo.cluster.book, i))
            continue;
        PROBE("voters: one who was lost later is a member of the new line");
        v->lost &= ~(1u << i);
        process->held_down = false;
        process_start_after(process, 1);
    }
}

static bool is_told(const struct process *process)
{
    return process->retired || (process->running && node_left_epoch(process->shards[0].node) != 0);
}

static bool wait_told(struct voters *v, struct process *process)
{
    uint64_t end_us = v->solo.world->now_us + told_limit_us;
    while (!is_told(process)) {
        if (process->running && choose_one_in(v->solo.world, 20))
            voters_ask_change(v, process, ASK_STAGE);
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "told",
                       "n%u came back %llu s ago and still thinks that it is one", process->member,
                       (unsigned long long)(told_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    return true;
}

static void start_again(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    bool was_lost = voters_is_lost(v, member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    if (was_lost && !process->running && !process->retired)
        process_start(process);
}

static bool retire(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    if (!wait_told(v, process))
        return false;
    process_stop(process);
    process->held_down = process->retired = true;
    world_cancel(v->solo.world, &process->restart);
    return true;
}

/* Two of them at a time, where the old line still lacks its majority then; those who have come back
 * by themselves first. */
bool voters_give_back(struct voters *v)
{
    uint16_t count = v->solo.cluster.count;
    for (uint16_t i = 0; i < count; i++)
        if (epoch_book_gone(&v->solo.cluster.book, i) && !voters_is_lost(v, i) && !retire(v, i))
            return false;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t next = (uint16_t)(i + 1);
        uint32_t both = 1u << i | 1u << next;
        bool pair = next < count && voters_is_lost(v, next) && voters_lack_majority(v, ~both);
        if (!voters_is_lost(v, i))
            continue;
        start_again(v, i);
        if (pair)
            start_again(v, next);
        if (!retire(v, i) || (pair && !retire(v, next)))
            return false;
    }
    return true;
}
