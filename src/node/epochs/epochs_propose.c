/* SPDX-License-Identifier: Apache-2.0 */
/* Getting a record decided: the proposer (cluster/epoch/proposer.h) and the voters it speaks to. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum { PUSH_SIZE_MAX = 64 << 10 };

enum { VOTE_PROMISE = 1, VOTE_ACCEPTED, VOTE_REFUSED };

/* What the attempt under way proposes. */
static struct bytes record_of(const struct epochs *epochs)
{
    bool own = epochs->proposer.value == epochs->proposer.own;
    return buffer_bytes(own ? &epochs->own : &epochs->carried);
}

static void send_ballot(struct node *node, uint8_t kind, uint32_t voters, struct bytes record)
{
    const struct epochs *epochs = node->epochs;
    const struct epoch *epoch = node->config.epoch;
    Peer__EpochBallot ballot = PEER__EPOCH_BALLOT__INIT;
    ballot.number = epochs->proposing;
    ballot.counter = epochs->proposer.ballot.counter;
    ballot.proposer = epochs->proposer.ballot.proposer;
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (voters & 1u << i)
            node_send(node, (struct net_address){ epoch->voters[i], 0 }, kind, 0,
                      node_pack(node, &ballot.base), record);
}

static void step(struct node *node, struct proposer_event event, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct proposer_effects effects;
    event.now_us = node->now_us;
    event.random = random_next(&node->random);
    proposer_step(&epochs->proposer, &event, &effects);
    if (effects.carry) {
        buffer_reset(&epochs->carried);
        buffer_append_bytes(&epochs->carried, record);
        PROBE("node: a proposer went on with what another had begun");
    }
    if (effects.prepare != 0)
        send_ballot(node, MESSAGE_EPOCH_PREPARE, effects.prepare, (struct bytes){ 0 });
    if (effects.accept != 0)
        send_ballot(node, MESSAGE_EPOCH_ACCEPT, effects.accept, record_of(epochs));
    if (effects.decided)
        epochs_learn(node, record_of(epochs));
}

void epochs_propose(struct node *node)
{
    struct epochs *epochs = node->epochs;
    epochs->proposing = node->config.epoch->number + 1;
    step(node,
         (struct proposer_event){ .kind = PROPOSER_START,
                                  .voter_count = node->config.epoch->voter_count,
                                  .value = hash64(buffer_bytes(&epochs->own), 0) },
         (struct bytes){ 0 });
}

void epochs_propose_stop(struct node *node)
{
    step(node, (struct proposer_event){ .kind = PROPOSER_STOP }, (struct bytes){ 0 });
    node->epochs->proposing = 0;
}

int epochs_voter_of(const struct epoch *epoch, uint16_t member)
{
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (epoch->voters[i] == member)
            return i;
    return -1;
}

void epochs_on_vote(struct node *node, struct net_address from, const struct message *message)
{
    static const enum proposer_event_kind kinds[] = { [VOTE_PROMISE] = PROPOSER_PROMISE,
                                                      [VOTE_ACCEPTED] = PROPOSER_ACCEPTED,
                                                      [VOTE_REFUSED] = PROPOSER_REFUSED };
    const Peer__EpochVote *vote = node_unpack(node, &peer__epoch_vote__descriptor, message->body);
    int voter = epochs_voter_of(node->config.epoch, from.member);
    if (vote == NULL || vote->answer < VOTE_PROMISE || vote->answer > VOTE_REFUSED) {
        node->counters.messages_bad++;
        return;
    }
    if (node->epochs->proposing == 0 || vote->number != node->epochs->proposing || voter < 0)
        return;
    struct proposer_event event = {
        .kind = kinds[vote->answer],
        .voter = (uint8_t)voter,
        .ballot = { vote->counter, vote->proposer },
        .accepted = { vote->other_counter, vote->other_proposer },
        .value = message->tail.size == 0 ? 0 : hash64(message->tail, 0),
    };
    bool told = !ballot_is_none(event.accepted);
    if (event.kind == PROPOSER_PROMISE && told != (message->tail.size > 0)) {
        node->counters.messages_bad++;
        return;
    }
    step(node, event, message->tail);
    epochs_arm(node);
}

bool wishes_decided(const struct node *node)
{
    return node->epochs->proposing != 0 && node->epochs->proposer.state == PROPOSER_DECIDED;
}

void epochs_propose_tick(struct node *node)
{
    if (wishes_decided(node))
        epochs_learn(node, record_of(node->epochs)); /* the disk refused it before */
    else if (node->epochs->proposing != 0)
        step(node, (struct proposer_event){ .kind = PROPOSER_TICK }, (struct bytes){ 0 });
}

uint64_t epochs_propose_deadline_us(const struct node *node)
{
    return wishes_decided(node) ? node->now_us + EPOCH_RETRY_US
                                : node->epochs->proposer.next_tick_us;
}

void epochs_push(struct node *node, struct bytes record)
{
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = node->config.epoch->number;
    if (record.size > PUSH_SIZE_MAX)
        return; /* they hear of it by heartbeats and fetch it */
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (i != node->config.self && placement_reachable(node, i))
            node_send(node, (struct net_address){ i, 0 }, MESSAGE_EPOCH_ANSWER, 0,
                      node_pack(node, &answer.base), record);
}
