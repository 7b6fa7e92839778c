/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/epochs.h"

#include <stdio.h>
#include <string.h>

#include "base/planted.h"

enum {
    INSIST_AGAIN_US = 12 * 1000 * 1000, /* longer than a change may take */
    LAST_LOOK_US = 2 * 1000 * 1000      /* at what was decided just before the end, and from one to
                                           the next while somebody is to be removed */
};

static struct process *any_running(struct epoch_changes *changes)
{
    struct cluster *cluster = changes->cluster;
    struct process *process = &cluster->processes[choose(cluster->world, cluster->count)];
    bool is_told = !changes->over || !epoch_book_gone(&cluster->book, process->member);
    return process->running && !process->gate.closed && is_told ? process : NULL;
}

/* --- what is asked for ---------------------------------------------------------------------- */

static void draw_address(struct epoch_changes *changes, struct member *ret)
{
    struct cluster *cluster = changes->cluster;
    uint64_t member = choose(cluster->world, cluster->plan->member_count);
    ret->id = cluster->epoch.members[member].id;
    snprintf(ret->address, sizeof(ret->address), "10.0.%u.%u:7000",
             (unsigned)choose_between(cluster->world, 1, 200), (unsigned)member + 1);
}

static void draw_newcomer(struct epoch_changes *changes, struct member *ret)
{
    struct cluster *cluster = changes->cluster;
    ret->id = changes->newcomer;
    ret->weight = RING_WEIGHT_DEFAULT;
    snprintf(ret->name, sizeof(ret->name), "n%u", cluster->count);
    snprintf(ret->zone, sizeof(ret->zone), "z%u", cluster->count % 3);
    snprintf(ret->address, sizeof(ret->address), "10.1.0.%u:7000", cluster->count);
}

static void draw_stage(struct epoch_changes *changes, struct change_request *ret)
{
    static const enum change_kind kinds[] = { CHANGE_WEIGHT, CHANGE_WEIGHT, CHANGE_ZONE };
    struct world *world = changes->cluster->world;
    ret->change.kind = kinds[choose(world, sizeof(kinds) / sizeof(*kinds))];
    ret->change.weight = (uint32_t)choose_between(world, 50, 300);
    snprintf(ret->change.zone, sizeof(ret->change.zone), "z%u", (unsigned)choose(world, 3));
    snprintf(ret->name, sizeof(ret->name), "n%u", (unsigned)choose(world, changes->cluster->count));
}

static void draw_request(struct epoch_changes *changes, struct change_request *ret)
{
    struct cluster *cluster = changes->cluster;
    memset(ret, 0, sizeof(*ret));
    if (cluster->plan->departures && choose(cluster->world, 3) == 1 &&
        departures_draw(&changes->departures, ret))
        return;
    switch (choose(cluster->world, 6)) {
    case 0:
    case 1:
        ret->kind = ASK_STAGE;
        draw_stage(changes, ret);
        break;
    case 2:
        ret->kind = ASK_CLEAR;
        break;
    case 3:
        ret->kind = ASK_COMMIT;
        break;
    case 4:
        if (cluster->count < cluster->total) {
            ret->kind = ASK_JOIN;
            draw_newcomer(changes, &ret->newcomer);
            break;
        } /* fall through */
    default:
        ret->kind = ASK_ADDRESS;
        draw_address(changes, &ret->newcomer);
        break;
    }
}

static void on_answer(void *context, const struct answer *answer)
{
    struct epoch_changes *changes = context;
    changes->answered++;
    changes->granted += answer->status == KVORUM_OK;
    changes->insisted_us = 0;
    world_trace(changes->cluster->world, "epochs: %s %s", kvorum_status_name(answer->status),
                answer->reason);
}

/* False: nobody was asked, since who was drawn cannot answer now. */
static bool submit(struct epoch_changes *changes, const struct change_request *request)
{
    struct process *process = any_running(changes);
    if (process == NULL)
        return false;
    uint16_t shard = (uint16_t)choose(changes->cluster->world, process->shard_count);
    world_trace(changes->cluster->world, "epochs: n%u.%u is asked for %d", process->member, shard,
                (int)request->kind);
    changes->asked++;
    changes->asked_us = changes->cluster->world->now_us;
    process_enter(process);
    node_change_epoch(process->shards[shard].node, request, on_answer, changes);
    process_leave(process, shard);
    return true;
}

static void ask(struct epoch_changes *changes)
{
    struct change_request request;
    draw_request(changes, &request);
    (void)submit(changes, &request); /* another time it is something else */
}

/* One question after the other, since they build on each other: none is passed over, and an answer
 * is waited for only where somebody was asked. */
static void insist(struct epoch_changes *changes)
{
    struct change_request request;
    uint64_t now_us = changes->cluster->world->now_us;
    bool waits = changes->insisted_us != 0 && now_us - changes->insisted_us < INSIST_AGAIN_US;
    if (waits || !departures_insist(&changes->departures, changes->step, &request))
        return;
    changes->insisted_us = now_us; /* before the answer, which may come at once */
    if (submit(changes, &request))
        changes->step++;
    else
        changes->insisted_us = 0;
}

/* --- who has joined ------------------------------------------------------------------------- */

/* It starts with what the member told it that it had asked. */
static void grow(struct epoch_changes *changes)
{
    struct cluster *cluster = changes->cluster;
    struct process *process = any_running(changes);
    if (process == NULL || cluster->count == cluster->total)
        return;
    const struct epoch *epoch = node_epoch(process->shards[0].node);
    if (epoch->member_count <= cluster->count)
        return;
    cluster_grow(cluster, epoch);
    changes->newcomer = cluster_draw_id(cluster);
}

/* A rare delay is minutes long; whom everybody waits for does not sleep through his time. */
static uint64_t pause_us(const struct epoch_changes *changes)
{
    uint64_t drawn_us = 1 + choose_delay(changes->cluster->world, changes->cluster->plan->epoch_us);
    bool waited_for = changes->over && !departures_settled(&changes->departures);
    return waited_for && drawn_us > LAST_LOOK_US ? LAST_LOOK_US : drawn_us;
}

static void changes_run(struct event *event)
{
    struct epoch_changes *changes = LIST_ENTRY(event, struct epoch_changes, event);
    grow(changes);
    if (changes->over)
        insist(changes);
    else
        ask(changes);
    world_after(changes->cluster->world, event, pause_us(changes));
}

void epoch_changes_init(struct epoch_changes *changes, struct cluster *cluster)
{
    *changes = (struct epoch_changes){ .cluster = cluster };
    departures_init(&changes->departures, cluster);
    event_init(&changes->event, NULL, changes_run);
}

void epoch_changes_begin(struct epoch_changes *changes)
{
    struct cluster *cluster = changes->cluster;
    if (cluster->plan->epoch_us == 0)
        return;
    changes->newcomer = cluster_draw_id(cluster);
    world_after(cluster->world, &changes->event,
                1 + choose_delay(cluster->world, cluster->plan->epoch_us));
}

void epoch_changes_end(struct epoch_changes *changes)
{
    struct world *world = changes->cluster->world;
    struct event *event = &changes->event;
    changes->over = true;
    if (!event_is_set(event) || event->item.key <= world->now_us + LAST_LOOK_US)
        return;
    world_cancel(world, event); /* a rare delay is long, and who has joined is not started before */
    world_after(world, event, LAST_LOOK_US);
}

bool epoch_changes_settled(const struct epoch_changes *changes)
{
    uint64_t now_us = changes->cluster->world->now_us;
    return changes->answered == changes->asked || now_us - changes->asked_us >= INSIST_AGAIN_US;
}

void epoch_changes_done(struct epoch_changes *changes)
{
    world_cancel(changes->cluster->world, &changes->event);
}
