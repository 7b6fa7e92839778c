/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/process/process_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { ITERATION_US = 30 /* of the event loop, at most */ };

/* --- what the node sends --------------------------------------------------------------------- */

static bool shard_send(struct net *net, struct net_address to, const struct message *message)
{
    struct process_shard *shard = LIST_ENTRY(net, struct process_shard, net);
    struct process *process = shard->process;
    if (!process_alive(process))
        return false;
    struct net_address from = { process->member, shard->number };
    return network_send(process->network, from, to, message);
}

static uint16_t shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    const struct process_shard *shard = LIST_ENTRY(net, struct process_shard, net);
    const struct process *peer = &shard->process->peers[member];
    return (uint16_t)(partition % peer->store_count % peer->shard_count);
}

static bool shard_send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    struct process *process = LIST_ENTRY(net, struct process_shard, net)->process;
    return process_alive(process) &&
           network_send_datagram(process->network, process->member, member, datagram);
}

static const struct net_ops shard_net_ops = { .send = shard_send,
                                              .shard_of = shard_of,
                                              .send_datagram = shard_send_datagram };

/* --- iterations ------------------------------------------------------------------------------ */

void process_arm_tick(struct process *process, struct process_shard *shard)
{
    world_cancel(process->world, &shard->tick);
    uint64_t due_us = node_next_deadline_us(shard->node);
    if (due_us != UINT64_MAX)
        world_at(process->world, &shard->tick, sim_clock_world_time(&process->clock, due_us));
}

void process_enter(struct process *process)
{
    assert(process->running && !process->entered);
    process->entered = true;
    world_noise(process->world);
}

/* Power may have failed while the node's code ran. */
static void leave(struct process *process)
{
    process->entered = false;
    if (process->disk.dead) {
        process_crash(process, choose(process->world, 3) == 0);
        return;
    }
    if (!event_is_set(&process->iteration))
        world_after(process->world, &process->iteration, choose(process->world, ITERATION_US));
}

void process_leave(struct process *process, uint16_t shard)
{
    process_arm_tick(process, &process->shards[shard]);
    leave(process);
}

static void tick_run(struct event *event)
{
    struct process_shard *shard = LIST_ENTRY(event, struct process_shard, tick);
    process_enter(shard->process);
    node_tick(shard->node);
    process_leave(shard->process, shard->number);
}

/* The end of a loop iteration: group commits start. */
static void iteration_run(struct event *event)
{
    struct process *process = LIST_ENTRY(event, struct process, iteration);
    process_enter(process);
    for (uint16_t i = 0; i < process->shard_count; i++) {
        node_flush(process->shards[i].node);
        process_arm_tick(process, &process->shards[i]);
    }
    process->entered = false;
    if (process->disk.dead)
        process_crash(process, choose(process->world, 3) == 0);
}

static void after_job(void *context)
{
    struct process *process = context;
    if (!process->running)
        return;
    process->entered = true;
    for (uint16_t i = 0; i < process->shard_count; i++)
        process_arm_tick(process, &process->shards[i]);
    leave(process);
}

/* --- what shard 0 tells the others ----------------------------------------------------------- */

struct liveness_news {
    struct event event;
    struct process *process;
    uint32_t life;
    uint16_t member;
    enum liveness_state state;
};

static void news_drop(struct event *event)
{
    free(LIST_ENTRY(event, struct liveness_news, event));
}

static void news_run(struct event *event)
{
    struct liveness_news *news = LIST_ENTRY(event, struct liveness_news, event);
    struct process *process = news->process;
    if (process->running && process->lives == news->life) {
        process_enter(process);
        for (uint16_t i = 1; i < process->shard_count; i++)
            node_set_liveness(process->shards[i].node, news->member, news->state);
        process_leave(process, 0);
    }
    free(news);
}

void process_liveness_changed(void *context, uint16_t member, enum liveness_state state)
{
    struct process *process = context;
    world_trace(process->world, "n%u: n%u is %s", process->member, member,
                state == LIVENESS_DEAD      ? "dead"
                : state == LIVENESS_SUSPECT ? "suspect"
                                            : "alive");
    if (process->takes_for_dead[member] && state != LIVENESS_DEAD)
        process->not_dead_since_us[member] = process->world->now_us;
    process->takes_for_dead[member] = state == LIVENESS_DEAD;
    if (process->shard_count == 1)
        return;
    struct liveness_news *news = calloc(1, sizeof(*news));
    if (news == NULL)
        abort();
    news->process = process;
    news->life = process->lives;
    news->member = member;
    news->state = state;
    event_init(&news->event, &process->gate, news_run);
    news->event.drop = news_drop;
    uint64_t at_us = process->world->now_us + 1 + choose(process->world, ITERATION_US);
    if (at_us > process->last_news_us)
        process->last_news_us = at_us;
    world_at(process->world, &news->event, process->last_news_us);
}

/* --- what comes from the network ------------------------------------------------------------- */

void process_receive_datagram(struct process *process, struct bytes datagram)
{
    process_enter(process);
    node_receive_datagram(process->shards[0].node, datagram);
    process_leave(process, 0);
}

void process_receive(struct process *process, uint16_t shard, struct net_address from,
                     const struct message *message)
{
    if (shard >= process->shard_count)
        return; /* meant for a life with more reactors */
    process_enter(process);
    node_receive(process->shards[shard].node, from, message);
    process_leave(process, shard);
}

void process_link_lost(struct process *process, uint16_t member, bool refused)
{
    if (!process->running)
        return;
    process_enter(process);
    for (uint16_t i = 0; i < process->shard_count; i++) {
        node_link_lost(process->shards[i].node, member, refused);
        process_arm_tick(process, &process->shards[i]);
    }
    leave(process);
}

/* --- pauses ---------------------------------------------------------------------------------- */

void process_open_gate(struct process *process)
{
    process->paused_total_us = process_paused_us(process);
    gate_open(process->world, &process->gate);
}

static void resume_run(struct event *event)
{
    process_resume(LIST_ENTRY(event, struct process, resume));
}

void process_pause(struct process *process, uint64_t duration_us)
{
    if (!process->running || process->gate.closed)
        return;
    world_tell(process->world, -1, "n%u: paused", process->member);
    process->gate.closed = true;
    process->paused_since_us = process->world->now_us;
    world_after(process->world, &process->resume, duration_us);
}

void process_resume(struct process *process)
{
    world_cancel(process->world, &process->resume);
    if (process->gate.closed)
        world_tell(process->world, -1, "n%u: resumed", process->member);
    process_open_gate(process);
}

/* --- its events ------------------------------------------------------------------------------ */

static void restart_run(struct event *event)
{
    struct process *process = LIST_ENTRY(event, struct process, restart);
    if (!process->running)
        process_start(process);
}

void process_loop_init(struct process *process)
{
    process->jobs.after_step = after_job;
    process->jobs.context = process;
    event_init(&process->iteration, &process->gate, iteration_run);
    event_init(&process->restart, NULL, restart_run);
    event_init(&process->resume, NULL, resume_run);
    for (uint16_t i = 0; i < SIM_SHARDS_MAX; i++) {
        struct process_shard *shard = &process->shards[i];
        shard->net.ops = &shard_net_ops;
        shard->process = process;
        event_init(&shard->tick, &process->gate, tick_run);
    }
}
