/* SPDX-License-Identifier: Apache-2.0 */
/* Who has which epoch, what has come to whom, and the steps that follow from it.
 *
 *      each shard --progress, twice a second--> shard 0 of this member, and of every voter
 *      shard 0 --heartbeat--> everybody: the newest epoch that all my shards have
 *      the first voter that is alive: cluster/handoff/plan_steps.h, and a proposal of the next
 * epoch
 *
 * Two that think they are the first propose the same steps, and ballots decide.  Nothing here is
 * kept: after a restart everybody tells again. */
#include "base/planted.h"
#include "cluster/handoff/plan_steps.h"
#include "cluster/handoff/streams.h"
#include "node/handoff/handoff.h"
#include "node/internal.h"
#include "node/tasks/tasks.h"

/* --- telling --------------------------------------------------------------------------------- */

bool handoff_is_whole(struct node *node, const struct move *move)
{
    const struct holding *holding = &node->handoff->holdings[move->partition];
    return placement_store(node, move->partition) != NULL && !holding->unready &&
           holding->session == move->session &&
           handoff_received(node->config.epoch, move, node->config.self, holding->received,
                            HANDOFF_W_ANY);
}

/* Partitions of moves that wait for streams, of which this shard has all that it must have. */
static uint32_t *list_whole(struct node *node, size_t *ret_count)
{
    const struct epoch *epoch = node->config.epoch;
    uint32_t *partitions =
        arena_allocate(&node->scratch, (epoch->move_count + 1) * sizeof(*partitions));
    *ret_count = 0;
    for (uint32_t i = 0; partitions != NULL && i < epoch->move_count; i++)
        if (epoch->moves[i].phase == MOVE_WRITE_BOTH_READ_OLD &&
            handoff_is_whole(node, &epoch->moves[i]))
            partitions[(*ret_count)++] = epoch->moves[i].partition;
    return partitions;
}

static void send_progress(struct node *node, struct net_address to, const Peer__Progress *progress)
{
    node_send(node, to, MESSAGE_PROGRESS, 0, node_pack(node, &progress->base), (struct bytes){ 0 });
}

/* Other shards hear from shard 0 what everybody has, so that they know when to forget. */
static void tell_shards(struct node *node)
{
    Peer__Progress progress = PEER__PROGRESS__INIT;
    progress.epoch = node->config.epoch->number;
    progress.all = node->handoff->all_settled;
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++)
        send_progress(node, (struct net_address){ node->config.self, shard }, &progress);
}

static void take_progress(struct node *node, uint16_t member, const uint32_t *partitions,
                          size_t count);

void drive_tell(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    Peer__Progress progress = PEER__PROGRESS__INIT;
    progress.epoch = epoch->number;
    progress.shard = node->config.shard;
    progress.dry = parting_is_dry(node);
    progress.partitions = list_whole(node, &progress.n_partitions);
    if (progress.partitions == NULL)
        return;
    if (node->config.shard != 0) {
        tasks_fill(node, &progress);
        send_progress(node, (struct net_address){ node->config.self, 0 }, &progress);
        progress.n_tasks = 0;
    } else {
        node->handoff->shard_epochs[0] = epoch->number;
        take_progress(node, node->config.self, progress.partitions, progress.n_partitions);
        progress.dry = parting_all_dry(node);
        parting_on_told(node, node->config.self, progress.dry);
        tell_shards(node);
    }
    bool leaves = node->config.shard == 0 && parting_is_leaving(node);
    for (uint8_t i = 0; (leaves || progress.n_partitions > 0) && i < epoch->voter_count; i++)
        if (epoch->voters[i] != node->config.self && placement_reachable(node, epoch->voters[i]))
            send_progress(node, (struct net_address){ epoch->voters[i], 0 }, &progress);
}

/* --- hearing --------------------------------------------------------------------------------- */

uint64_t handoff_settled(const struct node *node)
{
    uint64_t least = node->config.epoch->number;
    for (uint16_t i = 1; i < node->config.shard_count; i++)
        if (node->handoff->shard_epochs[i] < least)
            least = node->handoff->shard_epochs[i];
    return least;
}

static void settle_all(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    uint64_t least = epoch->number;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && node->handoff->settled[i] < least)
            least = node->handoff->settled[i];
    node->handoff->all_settled = least;
}

void handoff_on_settled(struct node *node, uint16_t member, uint64_t number)
{
    uint64_t *settled = &node->handoff->settled[member];
    if (number > *settled)
        *settled = number;
}

static void take_progress(struct node *node, uint16_t member, const uint32_t *partitions,
                          size_t count)
{
    const struct epoch *epoch = node->config.epoch;
    for (size_t i = 0; i < count; i++) {
        const struct move *move = ring_move_of(epoch, partitions[i]);
        if (move == NULL)
            continue;
        struct arrival *arrival = &node->handoff->arrivals[move->partition];
        if (arrival->session != move->session)
            *arrival = (struct arrival){ .session = move->session };
        for (uint8_t place = 0; place < ring_row_size(epoch, move->to); place++)
            if (move->to[place] == member)
                arrival->places |= 1u << place;
    }
}

/* What was said of another epoch may be of another move with the same partition: it is said again.
 * */
void handoff_on_progress(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Progress *progress = node_unpack(node, &peer__progress__descriptor, message->body);
    bool own = from.member == node->config.self;
    if (progress == NULL || (node->config.shard != 0 && !own)) {
        node->counters.messages_bad++;
        return;
    }
    if (node->config.shard != 0) {
        node->handoff->all_settled = progress->all;
        return;
    }
    if (own && from.shard < node->config.shard_count) {
        node->handoff->shard_epochs[from.shard] = progress->epoch;
        node->handoff->shard_dry[from.shard] = progress->dry;
        tasks_take(node, from.shard, progress);
    }
    if (!own && from.shard == 0)
        parting_on_told(node, from.member,
                        progress->dry && progress->epoch == node->config.epoch->number);
    if (progress->epoch == node->config.epoch->number)
        take_progress(node, from.member, progress->partitions, progress->n_partitions);
}

/* --- driving --------------------------------------------------------------------------------- */

static bool drives(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    if (!ring_is_voter(epoch, node->config.self))
        return false;
    for (uint8_t i = 0; i < epoch->voter_count; i++) {
        uint16_t voter = epoch->voters[i];
        if (voter == node->config.self)
            return true;
        if (node_liveness(node, voter) == LIVENESS_ALIVE)
            return false;
    }
    return false;
}

static bool has_arrived(struct node *node, const struct move *move)
{
    const struct epoch *epoch = node->config.epoch;
    const struct arrival *arrival = &node->handoff->arrivals[move->partition];
    uint16_t receivers[RING_REPLICAS_MAX];
    uint8_t count = handoff_receivers(epoch, move, receivers);
    uint32_t wanted = 0;
    for (uint8_t i = 0; i < count; i++)
        for (uint8_t place = 0; place < epoch->replica_count; place++)
            wanted |= move->to[place] == receivers[i] ? 1u << place : 0;
    uint32_t there = arrival->session == move->session ? arrival->places : 0;
    return (wanted & ~there) == 0;
}

static void on_decided(void *context, const struct answer *answer)
{
    struct node *node = context;
    node->handoff->proposing = false;
    if (answer->status != KVORUM_OK && answer->status != KVORUM_GONE)
        log_info(node->config.log, "a step of moving partitions was not taken; it is tried again",
                 LOG_TEXT("reason", answer->reason));
}

static void propose(struct node *node, uint32_t count)
{
    struct change_request request = { .kind = ASK_MOVES,
                                      .expected = node->config.epoch->number,
                                      .steps = node->handoff->steps,
                                      .step_count = count };
    node->handoff->proposing = true;
    PROBE("node: partitions took a step of their moves");
    node_change_epoch(node, &request, on_decided, node);
}

static void drive(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    bool *streamed = arena_allocate_zero(&node->scratch, epoch->move_count + 1);
    if (streamed == NULL)
        return;
    for (uint32_t i = 0; i < epoch->move_count; i++)
        streamed[i] = epoch->moves[i].phase == MOVE_WRITE_BOTH_READ_OLD &&
                      has_arrived(node, &epoch->moves[i]);
    const struct handoff_input input = { .epoch = epoch,
                                         .persisted = node->handoff->settled,
                                         .streamed = streamed,
                                         .r = HANDOFF_R_ANY,
                                         .moves_per_member = UINT16_MAX };
    uint32_t count = handoff_steps(&input, node->handoff->steps, HANDOFF_STEPS_MAX);
    count = parting_hold_back(node, node->handoff->steps, count);
    if (count > 0)
        propose(node, count);
}

void drive_tick(struct node *node)
{
    node->handoff->settled[node->config.self] = handoff_settled(node);
    settle_all(node);
    if (node->config.epoch->move_count > 0 && !node->handoff->proposing && drives(node))
        drive(node);
}
