/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/collect/round.h"

#include <assert.h>
#include <string.h>

void round_add(struct round *round, uint16_t member)
{
    assert(round->phase == ROUND_NEW && member < RING_MEMBERS_MAX);
    round->members[member / 64] |= UINT64_C(1) << member % 64;
}

uint32_t round_agreed(const struct round *round)
{
    uint32_t agreed = 0;
    for (uint32_t i = 0; i < round->key_count; i++)
        agreed += !round->kept_back[i];
    return agreed;
}

static bool is_waiting_for(const struct round *round, uint16_t member)
{
    return member < RING_MEMBERS_MAX && (round->waiting[member / 64] >> member % 64 & 1) != 0;
}

/* RING_NO_MEMBER: for nobody. */
static uint16_t first_waited_for(const struct round *round)
{
    for (uint16_t i = 0; i < ROUND_MEMBER_WORDS; i++)
        if (round->waiting[i] != 0)
            return (uint16_t)(i * 64 + __builtin_ctzll(round->waiting[i]));
    return RING_NO_MEMBER;
}

static void ask_all(struct round *round, const struct round_event *event, enum round_phase phase)
{
    round->phase = phase;
    round->deadline_us = event->now_us + round->patience_us;
    memcpy(round->waiting, round->members, sizeof(round->waiting));
}

static void finish(struct round *round, enum round_end end, struct round_effects *effects)
{
    bool all_asked = round->phase == ROUND_PREPARING || first_waited_for(round) == RING_NO_MEMBER;
    round->phase = ROUND_FINISHED;
    round->end = end;
    effects->finished = true;
    if (end == ROUND_COLLECTED)
        effects->send = ROUND_SEND_COMMIT;
    else if (all_asked) /* else a round before may have been committed where nobody told us */
        effects->send = ROUND_SEND_SETTLE;
}

static void all_asked(struct round *round, const struct round_event *event,
                      struct round_effects *effects)
{
    if (round->promised_least < round->committed) {
        finish(round, ROUND_BEHIND, effects);
    } else if (round_agreed(round) == 0) {
        finish(round, ROUND_NOTHING, effects);
    } else {
        round->number =
            round->promised_most >= round->least ? round->promised_most + 1 : round->least + 1;
        ask_all(round, event, ROUND_PREPARING);
        effects->send = ROUND_SEND_PREPARE;
    }
}

static void take_answer(struct round *round, const struct round_event *event,
                        struct round_effects *effects)
{
    if (event->phase != round->phase || !is_waiting_for(round, event->member))
        return; /* late, or doubled */
    bool fine = event->status == KVORUM_OK && event->key_count == round->key_count;
    if (!fine) {
        round->teller = event->member;
        finish(round, ROUND_REFUSED, effects);
        return;
    }
    round->waiting[event->member / 64] &= ~(UINT64_C(1) << event->member % 64);
    for (uint32_t i = 0; i < round->key_count; i++)
        round->kept_back[i] |=
            event->keys[i] != ROUND_KEY_HELD && event->keys[i] != ROUND_KEY_ABSENT;
    if (round->phase == ROUND_ASKING) {
        if (event->promised > round->promised_most)
            round->promised_most = event->promised;
        if (event->promised < round->promised_least)
            round->promised_least = event->promised;
        if (event->committed > round->committed)
            round->committed = event->committed;
    }
    if (first_waited_for(round) != RING_NO_MEMBER)
        return;
    if (round->phase == ROUND_ASKING)
        all_asked(round, event, effects);
    else
        finish(round, round_agreed(round) > 0 ? ROUND_COLLECTED : ROUND_NOTHING, effects);
}

void round_step(struct round *round, const struct round_event *event,
                struct round_effects *ret_effects)
{
    *ret_effects = (struct round_effects){ 0 };
    bool open = round->phase == ROUND_ASKING || round->phase == ROUND_PREPARING;
    switch (event->kind) {
    case ROUND_START:
        assert(round->phase == ROUND_NEW && round->key_count <= ROUND_KEYS_MAX);
        round->promised_least = UINT64_MAX;
        ask_all(round, event, ROUND_ASKING);
        ret_effects->send = ROUND_SEND_ASK;
        break;
    case ROUND_ANSWER:
        if (open)
            take_answer(round, event, ret_effects);
        break;
    case ROUND_TICK:
        if (!open || event->now_us < round->deadline_us)
            break;
        round->teller = first_waited_for(round);
        finish(round, ROUND_SILENT, ret_effects);
        break;
    case ROUND_GIVE_UP:
        if (open)
            finish(round, ROUND_GIVEN_UP, ret_effects);
        break;
    }
    assert(round->phase != ROUND_FINISHED || round->end != ROUND_COLLECTED ||
           first_waited_for(round) == RING_NO_MEMBER);
}
