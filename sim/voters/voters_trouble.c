/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong while somebody recovers the cluster. */
#include "base/planted.h"
#include "sim/voters/voters_internal.h"

enum { BUSY_US = 100 * 1000 };

/* With its disk, before anything new is decided.  The old line may then have its voters again, with
 * those who are left: not without them. */
static void return_one(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
    struct process *process = &v->solo.cluster.processes[member];
    uint32_t back = (v->ever_lost & ~v->lost) | 1u << member;
    if (!voters_is_lost(v, member) || !voters_lack_majority(v, ~back) ||
        (!v->begun && !voters_lack_majority(v, v->lost & ~(1u << member))))
        return;
    PROBE("voters: one who was lost came back before the end");
    world_tell(v->solo.world, -1, "voters: n%u comes back", member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    process_start_after(process, 1 + choose(v->solo.world, SIM_SECOND));
}

static void lose_another(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
    if (member == v->anchor || voters_is_lost(v, member))
        return;
    PROBE("voters: another was lost before the end");
    voters_lose(v, member);
}

static void crash_one(struct voters *v)
{
    struct process *process = voters_choose_left(v);
    if (process == NULL)
        return;
    process_crash(process, choose_one_in(v->solo.world, 2));
    process_start_after(process, 1 + choose(v->solo.world, SIM_SECOND));
}

static void change_one(struct voters *v)
{
    struct process *process = voters_choose_left(v);
    if (process != NULL)
        voters_ask_change(v, process, ASK_STAGE);
}

static void cause_trouble(struct voters *v)
{
    v->trouble--;
    switch (choose(v->solo.world, 4)) {
    case 0:
        crash_one(v);
        break;
    case 1:
        return_one(v);
        break;
    case 2:
        change_one(v);
        break;
    default:
        lose_another(v);
        break;
    }
}

/* Each look at the dice is a span, so that what is taken out of a tape shifts nothing else. */
void voters_make_trouble(struct voters *v)
{
    if (v->trouble == 0)
        return;
    world_span(v->solo.world, STREAM_FAULTS);
    if (!world_ended(v->solo.world) && choose_one_in(v->solo.world, voters_are_busy(v) ? 8 : 30))
        cause_trouble(v);
    world_noise(v->solo.world);
}

/* --- when ------------------------------------------------------------------------------------ */

/* What goes wrong between promises and acceptances is what matters. */
void voters_on_frame(void *context, const struct message *message)
{
    struct voters *v = context;
    if (message->kind == MESSAGE_RECOVER && message->tail.size > 0)
        v->busy_us = v->solo.world->now_us + BUSY_US;
    v->begun |= message->kind == MESSAGE_RECOVER && message->tail.size > 0;
    if (message->kind == MESSAGE_RECOVER && message->tail.size > 0)
        voters_yesterday_hurry(&v->yesterday);
}

bool voters_are_busy(const struct voters *v)
{
    return v->solo.world->now_us < v->busy_us;
}
