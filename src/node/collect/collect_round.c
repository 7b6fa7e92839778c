/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds that this shard proposes: cluster/collect/round.h decides, this file asks every member of
 * the epoch, itself last and by a call. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/collect/collect_internal.h"

static void step(struct node *node, struct round_event event);

void collect_round_free(struct node *node)
{
    struct collect_round *round = node->collect->round;
    if (round == NULL)
        return;
    node->collect->round = NULL;
    arena_done(&round->arena);
    free(round);
}

/* --- sending --------------------------------------------------------------------------------- */

static bool is_member(const struct round *machine, uint16_t member)
{
    return (machine->members[member / 64] >> member % 64 & 1) != 0;
}

static struct bytes tail_of(struct node *node, const struct collect_round *round,
                            enum round_send send)
{
    struct buffer *tail = &node->encoding;
    struct bytes copy = { 0 };
    buffer_reset(tail);
    if (send == ROUND_SEND_ASK)
        collect_write_graves(tail, round->graves, round->count);
    for (uint32_t i = 0; send == ROUND_SEND_COMMIT && i < round->count; i++)
        buffer_append_u8(tail, !round->machine.kept_back[i]);
    if (!tail->failed) /* what we tell ourselves uses the same buffer */
        (void)!arena_copy(&node->scratch, buffer_bytes(tail), &copy);
    return copy;
}

static void send_all(struct node *node, const struct collect_round *round, enum round_send send)
{
    static const enum round_phase phases[] = { [ROUND_SEND_ASK] = ROUND_ASKING,
                                               [ROUND_SEND_PREPARE] = ROUND_PREPARING,
                                               [ROUND_SEND_COMMIT] = ROUND_FINISHED,
                                               [ROUND_SEND_SETTLE] = ROUND_FINISHED };
    Peer__Collect asked = PEER__COLLECT__INIT;
    struct bytes tail = tail_of(node, round, send), body;
    const struct round machine = round->machine; /* it may be over when we have told ourselves */
    uint32_t partition = round->partition;
    asked.phase = phases[send];
    asked.partition = partition;
    asked.round = round->id;
    asked.number = machine.number;
    asked.collected = machine.committed;
    asked.counter = round->counter;
    asked.stamp = round->stamp;
    asked.commit = send == ROUND_SEND_COMMIT;
    if (!arena_copy(&node->scratch, node_pack(node, &asked.base), &body))
        return;
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_member(&machine, i) && i != node->config.self)
            node_send(node, placement_of(node, i, partition), MESSAGE_COLLECT, 0, body, tail);
    const struct message message = { MESSAGE_COLLECT, 0, node->config.epoch->number, body, tail };
    if (is_member(&machine, node->config.self))
        collect_on_question(node, placement_of(node, node->config.self, partition), &message);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void count_end(struct node *node, const struct collect_round *round)
{
    struct node_counters *counters = &node->counters;
    const struct round *machine = &round->machine;
    uint32_t agreed = machine->end == ROUND_COLLECTED ? round_agreed(machine) : 0;
    counters->collect_rounds++;
    counters->tombstones_kept += round->count - agreed;
    counters->collect_refused += machine->end == ROUND_REFUSED;
    counters->collect_silent += machine->end == ROUND_SILENT;
    counters->collect_behind += machine->end == ROUND_BEHIND;
    if (machine->end == ROUND_NOTHING)
        PROBE("collect: every tombstone of a round was kept back");
    if (machine->end == ROUND_SILENT)
        PROBE("collect: a member did not answer in time");
}

static void apply(struct node *node, struct collect_round *round,
                  const struct round_effects *effects)
{
    if (effects->finished) { /* telling ourselves may begin nothing: the round is out of sight */
        node->collect->round = NULL;
        count_end(node, round);
    }
    if (effects->send != ROUND_SEND_NOTHING)
        send_all(node, round, effects->send);
    if (effects->finished) {
        node->collect->next_us = node->now_us + node->config.collect.pause_us;
        arena_done(&round->arena);
        free(round);
    }
    collect_wake(node, node->now_us + node->config.collect.pause_us);
}

static void step(struct node *node, struct round_event event)
{
    struct collect_round *round = node->collect->round;
    struct round_effects effects;
    if (round == NULL)
        return;
    if (round->epoch != node->config.epoch->number)
        event.kind = ROUND_GIVE_UP; /* others are members now, or own it */
    event.now_us = node->now_us;
    round_step(&round->machine, &event, &effects);
    apply(node, round, &effects);
}

void collect_round_tick(struct node *node)
{
    step(node, (struct round_event){ .kind = ROUND_TICK });
}

void collect_take_answer(struct node *node, uint16_t member, const Peer__CollectAnswer *answer)
{
    const struct collect_round *round = node->collect->round;
    if (round == NULL || answer->round != round->id)
        return;
    step(node, (struct round_event){ .kind = ROUND_ANSWER,
                                     .member = member,
                                     .phase = (enum round_phase)answer->phase,
                                     .status = (kvorum_status)answer->status,
                                     .promised = answer->fence,
                                     .committed = answer->collected,
                                     .keys = answer->keys.data,
                                     .key_count = (uint32_t)answer->keys.len });
}

void collect_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__CollectAnswer *answer =
        node_unpack(node, &peer__collect_answer__descriptor, message->body);
    if (answer == NULL)
        node->counters.messages_bad++;
    else
        collect_take_answer(node, from.member, answer);
}

/* --- settling -------------------------------------------------------------------------------- */

void collect_settle(struct node *node, uint32_t partition)
{
    struct arena arena;
    if (node->collect->round != NULL || !node->ready || !collect_settles(node, partition))
        return; /* whoever asked asks again */
    PROBE("collect: a round was made to settle a doubt");
    arena_init(&arena, 0);
    (void)collect_begin(node, partition, &arena, NULL, 0, 0, 0);
}

void collect_ask_to_settle(struct node *node)
{
    struct collect *collect = node->collect;
    collect->doubts = false;
    for (uint32_t p = 0; p < collect->partition_count; p++) {
        Peer__Collect please = PEER__COLLECT__INIT;
        if (collect->partitions[p].kept.fence.doubt == FENCE_SETTLED)
            continue;
        collect->doubts = true;
        uint16_t first = ring_row(node->config.epoch, p)[0];
        please.phase = ROUND_NEW;
        please.partition = p;
        if (first == node->config.self)
            collect_settle(node, p);
        else if (first < node->config.epoch->member_count)
            node_send(node, placement_of(node, first, p), MESSAGE_COLLECT, 0,
                      node_pack(node, &please.base), (struct bytes){ 0 });
    }
    collect->settle_us = node->now_us + COLLECT_SETTLE_US;
    if (collect->doubts)
        collect_wake(node, collect->settle_us);
}

/* --- beginning ------------------------------------------------------------------------------- */

static void add_members(struct node *node, struct round *machine, uint32_t partition)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE &&
            (!PLANTED(COLLECT_ASKS_OWNERS) ||
             placement_is_owner(node, partition, ring_owner_limit(epoch, partition), i)))
            round_add(machine, i);
}

bool collect_begin(struct node *node, uint32_t partition, struct arena *arena, struct grave *graves,
                   uint32_t count, uint64_t counter, uint64_t stamp)
{
    struct collect_round *round = calloc(1, sizeof(*round));
    assert(node->collect->round == NULL);
    if (round == NULL)
        return false;
    round->arena = *arena;
    round->id = random_next(&node->random);
    round->epoch = node->config.epoch->number;
    round->partition = partition;
    round->graves = graves;
    round->count = count;
    round->counter = counter;
    round->stamp = stamp;
    round->machine = (struct round){ .key_count = count,
                                     .least = fence_of_epoch(round->epoch),
                                     .patience_us = COLLECT_PATIENCE_US };
    add_members(node, &round->machine, partition);
    node->collect->round = round;
    step(node, (struct round_event){ .kind = ROUND_START });
    return true;
}
