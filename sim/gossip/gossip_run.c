/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/gossip/gossip_run.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/gossip/gossip.h"

enum { MEMBERS_MAX = 9, KEPT_MAX = 64, FAULT_MS = 700 };

static const uint64_t play_us = 40 * SIM_SECOND;
static const uint64_t heal_us = 60 * SIM_SECOND;

/* What one member believes of another, and the accusation that it heard last. */
struct belief {
    enum liveness_state state;
    uint64_t accused_at; /* incarnation */
};

struct gossip_run {
    struct world *world;
    struct gossip_plan plan;
    struct gossip_world gossip;
    struct belief beliefs[MEMBERS_MAX][MEMBERS_MAX]; /* [who][of whom] */
    uint32_t lives[MEMBERS_MAX];
    struct gossip_packet kept[KEPT_MAX]; /* to be thrown again */
    unsigned kept_count;
    uint64_t statements;
};

/* --- what must be true ------------------------------------------------------------------------ */

static void check_members(struct gossip_run *run, const struct gossip_process *process)
{
    bool same = process->swim.count == run->plan.member_count;
    for (uint16_t i = 0; same && i < run->plan.member_count; i++)
        same = process->swim.members[i].listed &&
               node_id_equal(&process->swim.members[i].id, &run->gossip.members[i].id);
    if (!same)
        world_fail(run->world, "members", "n%u lists other members than the epoch",
                   process->number);
}

static void check_belief(struct gossip_run *run, const struct gossip_process *process, uint16_t of)
{
    const struct swim_member *member = &process->swim.members[of];
    struct belief *belief = &run->beliefs[process->number][of];
    bool accused = belief->state == LIVENESS_SUSPECT || belief->state == LIVENESS_DEAD;
    if (member->state == LIVENESS_ALIVE && accused && member->incarnation <= belief->accused_at)
        world_fail(run->world, "refuted",
                   "n%u believes n%u alive at incarnation %llu, though it was accused at %llu",
                   process->number, of, (unsigned long long)member->incarnation,
                   (unsigned long long)belief->accused_at);
    if (member->state == LIVENESS_ALIVE && member->incarnation > run->gossip.processes[of].highest)
        world_fail(run->world, "refuted", "n%u believes n%u alive at an incarnation it never had",
                   process->number, of);
    if (member->state >= LIVENESS_SUSPECT)
        belief->accused_at = member->incarnation;
    belief->state = member->state;
}

static void look(struct gossip_run *run, struct gossip_process *process)
{
    if (run->lives[process->number] != process->life) { /* it has forgotten everything */
        memset(run->beliefs[process->number], 0, sizeof(run->beliefs[0]));
        run->lives[process->number] = process->life;
    }
    check_members(run, process);
    for (uint16_t i = 0; i < run->plan.member_count; i++)
        if (i != process->number)
            check_belief(run, process, i);
}

static void before(void *context, struct gossip_process *process,
                   const struct gossip_packet *packet)
{
    struct gossip_run *run = context;
    look(run, process);
    run->statements += packet->statement_count;
    if (choose(run->world, 50) != 0)
        return;
    unsigned place =
        run->kept_count < KEPT_MAX ? run->kept_count++ : (unsigned)choose(run->world, KEPT_MAX);
    run->kept[place] = *packet;
}

static void after(void *context, struct gossip_process *process, const struct gossip_packet *packet)
{
    struct gossip_run *run = context;
    for (uint16_t i = 0; packet->kind == GOSSIP_STATE && i < run->plan.member_count; i++) {
        const struct swim_member *member = &process->swim.members[i];
        if (member->state == LIVENESS_DEAD &&
            run->beliefs[process->number][i].state != LIVENESS_DEAD)
            world_fail(run->world, "imported",
                       "n%u took over from another's view that n%u is dead, and did not ask it",
                       process->number, i);
    }
    look(run, process);
}

/* --- faults ----------------------------------------------------------------------------------- */

static uint16_t anybody(struct gossip_run *run)
{
    return (uint16_t)choose(run->world, run->plan.member_count);
}

/* One who is no member says that he is, and accuses others. */
static void send_stranger(struct gossip_run *run)
{
    struct gossip_packet packet = { .kind = GOSSIP_STATE, .sender = { { "a stranger" } } };
    if (choose(run->world, 2) == 0)
        packet.kind = GOSSIP_NEWS;
    packet.incarnation = 1 + choose(run->world, 10);
    packet.counter = 1 + choose(run->world, 10);
    struct node_id stranger = packet.sender;
    if (choose(run->world, 2) == 0) { /* a member who lists him, of a later epoch */
        uint16_t from = anybody(run);
        packet.sender = run->gossip.members[from].id;
        packet.counter = 0; /* nothing new about the sender */
    }
    packet.statement_count = 1;
    struct gossip_statement *statement = &packet.statements[0];
    *statement = (struct gossip_statement){ .about = stranger, .from = packet.sender };
    statement->incarnation = 1 + choose(run->world, 10);
    statement->state =
        (enum liveness_state)choose_between(run->world, LIVENESS_ALIVE, LIVENESS_DEAD);
    packet.incarnation = 1;
    gossip_throw(&run->gossip, anybody(run), &packet);
}

static void replay(struct gossip_run *run)
{
    if (run->kept_count == 0)
        return;
    PROBE("gossip: an old packet was sent again");
    const struct gossip_packet *kept = &run->kept[choose(run->world, run->kept_count)];
    gossip_throw(&run->gossip, anybody(run), kept);
}

static void turn_off_or_on(struct gossip_run *run, uint16_t member)
{
    if (run->gossip.processes[member].running)
        gossip_crash(&run->gossip, member, choose(run->world, 2) == 0);
    else
        gossip_start(&run->gossip, member);
}

static void begin_fault(struct gossip_run *run)
{
    uint16_t member = anybody(run), other = anybody(run);
    struct gossip_process *process = &run->gossip.processes[member];
    switch (choose(run->world, 8)) {
    case 0:
        turn_off_or_on(run, member);
        break;
    case 1:
        if (process->gate.closed)
            gossip_resume(&run->gossip, member);
        else if (process->running)
            gossip_pause(&run->gossip, member);
        break;
    case 2:
        run->gossip.cut[member][other] = member != other;
        break;
    case 3:
        memset(run->gossip.cut, 0, sizeof(run->gossip.cut));
        break;
    case 4:
        for (uint16_t i = 0; i < run->plan.member_count; i++)
            run->gossip.cut[i][member] = run->gossip.cut[member][i] = i != member;
        break;
    case 5:
        send_stranger(run);
        break;
    default:
        replay(run);
    }
}

static bool play(struct gossip_run *run)
{
    uint64_t end_us = run->world->now_us + play_us;
    while (run->world->now_us < end_us) {
        uint64_t pause_us = choose_delay(run->world, FAULT_MS * SIM_MILLISECOND);
        if (!world_run_until(run->world, run->world->now_us + 1 + pause_us))
            return false;
        begin_fault(run);
    }
    return true;
}

/* --- the end ---------------------------------------------------------------------------------- */

static bool all_agree(struct gossip_run *run)
{
    for (uint16_t i = 0; i < run->plan.member_count; i++) {
        const struct gossip_process *process = &run->gossip.processes[i];
        for (uint16_t j = 0; process->running && j < run->plan.member_count; j++) {
            enum liveness_state right =
                run->gossip.processes[j].running ? LIVENESS_ALIVE : LIVENESS_DEAD;
            if (swim_state_of(&process->swim, j) != right)
                return false;
        }
    }
    return true;
}

/* Some stay down: they must be known to be. */
static void heal(struct gossip_run *run)
{
    memset(run->gossip.cut, 0, sizeof(run->gossip.cut));
    run->plan.loss = run->plan.duplication = 0;
    for (uint16_t i = 0; i < run->plan.member_count; i++) {
        gossip_resume(&run->gossip, i);
        if (!run->gossip.processes[i].running && choose(run->world, 3) > 0)
            gossip_start(&run->gossip, i);
    }
}

static void come_to_agree(struct gossip_run *run)
{
    uint64_t end_us = run->world->now_us + heal_us;
    while (!all_agree(run)) {
        if (run->world->now_us >= end_us)
            world_fail(run->world, "liveness",
                       "a minute after healing not all members see each other as they are");
        if (!world_run_until(run->world, run->world->now_us + SIM_SECOND))
            return;
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void draw_plan(struct world *world, struct gossip_plan *plan)
{
    *plan = (struct gossip_plan){ .config = *swim_preset(SWIM_LOCAL) };
    plan->member_count = (uint16_t)choose_between(world, 2, MEMBERS_MAX);
    plan->delay_us = UINT64_C(100) << choose(world, 8);
    plan->loss = choose(world, 2) == 0 ? 0 : (uint32_t)choose(world, 200000);
    plan->duplication = choose(world, 2) == 0 ? 0 : (uint32_t)choose(world, 300000);
    plan->old_disks = choose(world, 3) == 0;
}

void gossip_play(struct world *world, uint32_t steps, struct run_result *ret_result)
{
    (void)steps;
    struct gossip_run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        abort();
    run->world = world;
    draw_plan(world, &run->plan);
    snprintf(ret_result->plan, sizeof(ret_result->plan),
             "gossip of %u, delay %llu us, loss %u, duplication %u%s", run->plan.member_count,
             (unsigned long long)run->plan.delay_us, run->plan.loss, run->plan.duplication,
             run->plan.old_disks ? ", old disks" : "");
    gossip_world_init(&run->gossip, world, &run->plan);
    run->gossip.context = run;
    run->gossip.hear = before;
    run->gossip.heard = after;
    if (play(run)) {
        heal(run);
        come_to_agree(run);
    }
    ret_result->violation = world->violation;
    ret_result->trace_hash = world->trace_hash;
    ret_result->event_count = world->event_count;
    ret_result->virtual_us = world->now_us;
    ret_result->operations = run->gossip.datagrams;
    ret_result->acknowledged = run->statements;
    gossip_world_done(&run->gossip);
    free(run);
}
