/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/voters/voters_yesterday.h"

#include "base/planted.h"
#include "sim/cluster/yesterday.h"

enum {
    ONE_RUN_IN = 2,
    STEPS = 10,
    STEP_US = 700 * 1000,
    DOWN_US = 300 * 1000,
    HURRY_US = 4000,
    AWAY_US = 8 * 1000 * 1000
};

static bool may_be_put_back(const struct voters_yesterday *yesterday, uint16_t member)
{
    const struct cluster *cluster = yesterday->cluster;
    uint32_t others = *yesterday->lost | cluster->never_lost | cluster->book.gone;
    return (others >> member & 1) == 0;
}

/* The same all through a run, unless it is lost; NULL: there is nobody. */
static struct process *choose_victim(struct voters_yesterday *yesterday)
{
    struct cluster *cluster = yesterday->cluster;
    uint16_t start = (uint16_t)choose(cluster->world, cluster->count);
    if (cluster->yesterday_of != NULL)
        return may_be_put_back(yesterday, cluster->yesterday_of->member) ? cluster->yesterday_of
                                                                         : NULL;
    for (uint16_t i = 0; i < cluster->count; i++) {
        uint16_t member = (uint16_t)((start + i) % cluster->count);
        if (may_be_put_back(yesterday, member))
            return &cluster->processes[member];
    }
    return NULL;
}

/* Longer than a recovery waits for anybody. */
static void send_away(struct cluster *cluster, struct process *process)
{
    PROBE("voters: one who is left was away for long");
    process_crash(process, choose_one_in(cluster->world, 2));
    process_start_after(process, AWAY_US + choose(cluster->world, AWAY_US));
}

static void step(struct voters_yesterday *yesterday)
{
    struct cluster *cluster = yesterday->cluster;
    struct process *victim = choose_victim(yesterday);
    uint64_t before_us = cluster->put_back_us;
    if (victim == NULL)
        return;
    if (choose_one_in(cluster->world, 8)) {
        send_away(cluster, victim);
        return;
    }
    yesterday_happens(cluster, victim, 1 + choose(cluster->world, DOWN_US));
    if (cluster->put_back_us == before_us)
        return;
    PROBE("voters: a disk was put back while others recovered");
    yesterday->put_back |= 1u << victim->member;
}

static void yesterday_run(struct event *event)
{
    struct voters_yesterday *yesterday = LIST_ENTRY(event, struct voters_yesterday, event);
    struct world *world = yesterday->cluster->world;
    if (world_ended(world) || yesterday->left == 0)
        return;
    yesterday->left--;
    uint64_t delay_us = 1 + choose_delay(world, STEP_US);
    step(yesterday);
    world_after(world, &yesterday->event, delay_us);
}

void voters_yesterday_init(struct voters_yesterday *yesterday, struct cluster *cluster,
                           const uint32_t *lost)
{
    bool happens = choose_one_in_apart(cluster->world, ONE_RUN_IN);
    *yesterday =
        (struct voters_yesterday){ .cluster = cluster, .lost = lost, .left = happens ? STEPS : 0 };
    event_init(&yesterday->event, NULL, yesterday_run);
    yesterday->event.stream = STREAM_REPAIRS;
}

void voters_yesterday_begin(struct voters_yesterday *yesterday)
{
    if (yesterday->left > 0)
        world_after(yesterday->cluster->world, &yesterday->event, 1);
}

void voters_yesterday_hurry(struct voters_yesterday *yesterday)
{
    struct cluster *cluster = yesterday->cluster;
    if (!event_is_set(&yesterday->event) || yesterday->left == 0 || cluster->yesterday_of == NULL ||
        !choose_one_in(cluster->world, 4))
        return;
    world_cancel(cluster->world, &yesterday->event);
    world_after(cluster->world, &yesterday->event, 1 + choose_delay(cluster->world, HURRY_US));
}

void voters_yesterday_end(struct voters_yesterday *yesterday)
{
    world_cancel(yesterday->cluster->world, &yesterday->event);
}
