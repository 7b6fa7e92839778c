/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/departures.h"

#include <stdio.h>
#include <string.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"

void departures_init(struct departures *departures, struct cluster *cluster)
{
    *departures = (struct departures){ .cluster = cluster, .lost = RING_NO_MEMBER };
}

static bool is_gone(const struct cluster *cluster, uint16_t member)
{
    return epoch_book_gone(&cluster->book, member);
}

/* The newest epoch, of somebody who runs and has it; or NULL. */
static const struct epoch *newest(const struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        if (process->running && node_epoch(process->shards[0].node)->number == cluster->book.count)
            return node_epoch(process->shards[0].node);
    }
    return NULL;
}

/* --- whether somebody may be lost ------------------------------------------------------------ */

/* With each copy of each partition there, the others have what he has. */
static bool is_full(const struct epoch *epoch, uint8_t wanted)
{
    for (uint32_t p = 0; p < epoch->partition_count; p++)
        if (ring_row_size(epoch, ring_row(epoch, p)) < wanted)
            return false;
    return true;
}

/* Somebody must be there to take his share. */
static bool can_do_without(const struct departures *departures, const struct epoch *epoch,
                           uint16_t member)
{
    uint16_t active = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        active += i != member && epoch->members[i].state == MEMBER_ACTIVE;
    return active >= departures->cluster->plan->replica_count;
}

static bool may_be_lost(const struct departures *departures, const struct epoch *epoch,
                        uint16_t member)
{
    const struct plan *plan = departures->cluster->plan;
    return member < epoch->member_count && departures->losses < plan->losses_max &&
           epoch->members[member].state != MEMBER_GONE &&
           epoch->members[member].state != MEMBER_JOINING &&
           can_do_without(departures, epoch, member) && is_full(epoch, plan->replica_count);
}

/* --- requests --------------------------------------------------------------------------------- */

static void stage(struct change_request *ret, enum change_kind kind, uint16_t member)
{
    *ret = (struct change_request){ .kind = ASK_STAGE, .change.kind = kind };
    snprintf(ret->name, sizeof(ret->name), "n%u", member);
}

static void stage_loss(const struct departures *departures, const struct epoch *epoch,
                       struct change_request *ret)
{
    stage(ret, CHANGE_REMOVE, departures->lost);
    for (uint16_t i = 0; epoch != NULL && i < epoch->member_count; i++) {
        if (epoch->members[i].state != MEMBER_JOINING)
            continue;
        ret->change.kind = CHANGE_REPLACE;
        snprintf(ret->with, sizeof(ret->with), "n%u", i);
        return;
    }
}

static void lose(struct departures *departures, uint16_t member)
{
    struct cluster *cluster = departures->cluster;
    struct process *process = &cluster->processes[member];
    bool alive = choose(cluster->world, 3) == 1;
    departures->lost = member;
    departures->losses++;
    world_tell(cluster->world, -1, "departures: n%u is lost%s", member,
               alive ? ", as somebody thinks" : " for good");
    if (alive)
        return;
    process->held_down = true;
    world_cancel(cluster->world, &process->restart);
    process_crash(process, choose(cluster->world, 3) == 0);
}

bool departures_draw(struct departures *departures, struct change_request *ret)
{
    struct cluster *cluster = departures->cluster;
    const struct epoch *epoch = newest(cluster);
    uint16_t member = (uint16_t)choose(cluster->world, cluster->count);
    if (departures->lost != RING_NO_MEMBER && is_gone(cluster, departures->lost))
        departures->lost = RING_NO_MEMBER;
    if (cluster->plan->losses_max > 0 && choose(cluster->world, 2) == 1) {
        if (departures->lost == RING_NO_MEMBER && epoch != NULL &&
            may_be_lost(departures, epoch, member))
            lose(departures, member);
        if (departures->lost == RING_NO_MEMBER)
            return false;
        stage_loss(departures, newest(cluster), ret); /* the epoch may have gone with the lost */
        return true;
    }
    stage(ret, CHANGE_LEAVE, member);
    return true;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* What else is staged may be more than can be done without him. */
bool departures_insist(struct departures *departures, uint32_t step, struct change_request *ret)
{
    static const enum change_ask asks[] = { ASK_CLEAR, ASK_STAGE, ASK_COMMIT };
    enum change_ask ask = asks[step % 3];
    if (departures->lost == RING_NO_MEMBER || is_gone(departures->cluster, departures->lost))
        return false;
    *ret = (struct change_request){ .kind = ask, .allow_zone_loss = true };
    departures->cluster->book.zone_loss_allowed = true;
    if (ask == ASK_STAGE)
        stage(ret, CHANGE_REMOVE, departures->lost);
    return true;
}

bool departures_settled(const struct departures *departures)
{
    const struct cluster *cluster = departures->cluster;
    uint16_t lost = departures->lost;
    if (lost == RING_NO_MEMBER || is_gone(cluster, lost) || !cluster->processes[lost].held_down)
        return true;
    const struct epoch *epoch = newest(cluster);
    return epoch != NULL && !can_do_without(departures, epoch, lost);
}

void departures_give_back(struct departures *departures)
{
    struct cluster *cluster = departures->cluster;
    uint16_t lost = departures->lost;
    departures->lost = RING_NO_MEMBER;
    if (lost == RING_NO_MEMBER || is_gone(cluster, lost))
        return;
    struct process *process = &cluster->processes[lost];
    process->held_down = false;
    if (!process->running)
        process_start_after(process, 1);
}

void departures_retire(struct departures *departures)
{
    struct cluster *cluster = departures->cluster;
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        if (!is_gone(cluster, i) || process->retired)
            continue;
        PROBE("departures: a member that had gone was switched off");
        process_resume(process);
        if (newest(cluster) != NULL)
            check_debts(process, newest(cluster));
        process_stop(process);
        process->retired = true;
        world_cancel(cluster->world, &process->restart);
    }
}
