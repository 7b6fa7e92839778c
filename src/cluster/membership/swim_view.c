/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of whom.  Precedence, from SWIM 4.2 as memberlist orders it: ALIVE overrides
 * only with a higher incarnation than the known one; SUSPECT and DEAD also with the same. */
#include "base/hash.h"
#include "cluster/membership/swim_internal.h"

#define MOVE(state) (1u << (state))

enum { RESERVE = 1 << 16 /* incarnations at a time */ };

/* Nobody is UNKNOWN again. */
static const uint8_t moves[] = {
    [LIVENESS_UNKNOWN] = MOVE(LIVENESS_ALIVE) | MOVE(LIVENESS_SUSPECT) | MOVE(LIVENESS_DEAD),
    [LIVENESS_ALIVE] = MOVE(LIVENESS_SUSPECT) | MOVE(LIVENESS_DEAD),
    [LIVENESS_SUSPECT] = MOVE(LIVENESS_ALIVE) | MOVE(LIVENESS_DEAD),
    [LIVENESS_DEAD] = MOVE(LIVENESS_ALIVE),
};

static struct swim_member *member_at(struct swim_step *step, uint16_t slot)
{
    assert(slot < step->swim->count);
    return &step->swim->members[slot];
}

/* --- what is shown --------------------------------------------------------------------------- */

static void show(struct swim_step *step, uint16_t slot)
{
    struct swim_member *member = member_at(step, slot);
    enum liveness_state shown = member->state;
    if (member->doubt > LIVENESS_ALIVE && member->doubt > shown)
        shown = member->doubt;
    /* A doubt that ends where gossip knows nothing yet: somebody was heard. */
    if (shown == LIVENESS_UNKNOWN && member->shown != LIVENESS_UNKNOWN)
        shown = LIVENESS_ALIVE;
    if (shown == member->shown)
        return;
    member->shown = shown;
    member->shown_since_us = step->now_us;
    step->effects->changed = true;
}

static void become(struct swim_step *step, uint16_t slot, enum liveness_state state)
{
    struct swim_member *member = member_at(step, slot);
    assert(slot != step->swim->self);
    if (member->state != state) {
        assert((moves[member->state] & MOVE(state)) != 0);
        member->state = state;
        if (state == LIVENESS_DEAD)
            member->dead_since_us = step->now_us;
    }
    show(step, slot);
}

void view_doubt(struct swim_step *step, uint16_t slot, enum liveness_state doubt)
{
    struct swim_member *member = member_at(step, slot);
    if (doubt > member->doubt)
        member->doubt = doubt;
    show(step, slot);
}

/* --- ourselves ------------------------------------------------------------------------------- */

void view_health(struct swim *swim, int delta)
{
    int health = swim->health + delta;
    int worst = swim->config.health_limit - 1;
    swim->health = swim->config.plain || health < 0 ? 0
                   : health > worst                 ? (uint8_t)worst
                                                    : (uint8_t)health;
}

static void rise(struct swim *swim)
{
    swim->incarnation = swim->incarnation_wanted;
    swim->incarnation_wanted = 0;
    swim->members[swim->self].incarnation = swim->incarnation;
    spread_news(swim, swim->self);
}

/* Somebody knows us at `incarnation`, accused or (an old disk was put back) from a life that we
 * forgot: only a higher one will be believed.  It is used once it is reserved on disk. */
static void refute(struct swim_step *step, uint64_t incarnation)
{
    struct swim *swim = step->swim;
    uint64_t least = incarnation > swim->incarnation ? incarnation : swim->incarnation;
    if (least >= GOSSIP_INCARNATION_MAX)
        return;
    swim->counters.refutations++;
    view_health(swim, 1);
    if (swim->incarnation_wanted < least + 1)
        swim->incarnation_wanted = least + 1;
    if (swim->incarnation_wanted < swim->incarnation_limit)
        rise(swim);
    else
        step->effects->reserve = swim->incarnation_wanted + RESERVE;
}

void view_rise(struct swim_step *step)
{
    refute(step, step->swim->incarnation);
}

void view_reserved(struct swim_step *step, uint64_t incarnation_limit)
{
    struct swim *swim = step->swim;
    if (incarnation_limit > swim->incarnation_limit)
        swim->incarnation_limit = incarnation_limit;
    if (swim->incarnation_wanted > swim->incarnation &&
        swim->incarnation_wanted < swim->incarnation_limit)
        rise(swim);
}

/* --- others ---------------------------------------------------------------------------------- */

void view_alive(struct swim_step *step, uint16_t slot, uint64_t incarnation)
{
    struct swim_member *member = member_at(step, slot);
    if (slot == step->swim->self) {
        if (incarnation > step->swim->incarnation)
            refute(step, incarnation);
        return;
    }
    bool newer = incarnation > member->incarnation;
    if (PLANTED(STALE_REFUTATION_ACCEPTED) && member->state != LIVENESS_ALIVE)
        newer = true;
    if (!newer)
        return;
    member->incarnation = incarnation;
    member->doubt = LIVENESS_ALIVE;
    become(step, slot, LIVENESS_ALIVE);
    spread_news(step->swim, slot);
}

static void begin_suspicion(struct swim_step *step, uint16_t slot, const struct node_id *from)
{
    struct swim *swim = step->swim;
    const struct swim_config *config = &swim->config;
    uint64_t minimum_us = suspicion_minimum_us(config->probe_interval_us,
                                               config->suspicion_multiplier, swim->listed_count);
    /* Who could confirm: all but us, the accused and the first accuser count, so with few members
     * there is nobody to wait for. */
    unsigned wanted = config->suspicion_multiplier > 2 ? config->suspicion_multiplier - 2u : 0;
    if (config->plain || swim->listed_count < wanted + 2)
        wanted = 0;
    suspicion_begin(&member_at(step, slot)->suspicion, from, minimum_us,
                    minimum_us * config->suspicion_stretch, wanted, step->now_us);
    swim->counters.suspicions++;
}

static void suspect(struct swim_step *step, uint16_t slot, uint64_t incarnation,
                    const struct node_id *from)
{
    struct swim_member *member = member_at(step, slot);
    if (incarnation < member->incarnation || member->state == LIVENESS_DEAD)
        return;
    bool again = member->state == LIVENESS_SUSPECT && incarnation == member->incarnation;
    if (again && !suspicion_confirm(&member->suspicion, from))
        return;
    member->accuser = *from;
    member->incarnation = incarnation;
    if (!again)
        begin_suspicion(step, slot, from);
    become(step, slot, LIVENESS_SUSPECT);
    spread_news(step->swim, slot);
    step->swim->next_suspicion_us =
        earlier(step->swim->next_suspicion_us, suspicion_end_us(&member->suspicion));
}

static void declare_dead(struct swim_step *step, uint16_t slot, uint64_t incarnation,
                         const struct node_id *from)
{
    struct swim_member *member = member_at(step, slot);
    if (incarnation < member->incarnation ||
        (member->state == LIVENESS_DEAD && incarnation == member->incarnation))
        return;
    member->accuser = *from;
    member->incarnation = incarnation;
    become(step, slot, LIVENESS_DEAD);
    spread_news(step->swim, slot);
}

void view_hear(struct swim_step *step, const struct gossip_statement *statement)
{
    struct swim *swim = step->swim;
    uint16_t slot = swim_slot_of(swim, &statement->about);
    if (slot == SWIM_NOBODY && PLANTED(GOSSIP_MAKES_OWNER)) {
        slot = (uint16_t)((swim->self + 1) % swim->count);
        swim->members[slot].id = statement->about;
    }
    if (slot == SWIM_NOBODY) {
        swim->counters.unlisted++;
        return;
    }
    if (statement->state == LIVENESS_ALIVE)
        view_alive(step, slot, statement->incarnation);
    else if (slot == swim->self) {
        if (statement->incarnation >= swim->incarnation)
            refute(step, statement->incarnation);
    } else if (statement->state == LIVENESS_SUSPECT)
        suspect(step, slot, statement->incarnation, &statement->from);
    else
        declare_dead(step, slot, statement->incarnation, &statement->from);
}

void view_accuse(struct swim_step *step, uint16_t slot)
{
    struct swim *swim = step->swim;
    suspect(step, slot, member_at(step, slot)->incarnation, &swim->members[swim->self].id);
}

/* Its word counts only at a higher incarnation, since what arrives may be old; but it may not know
 * what is said of it. */
static void tell_accused(struct swim_step *step, uint16_t slot)
{
    struct swim_member *member = member_at(step, slot);
    if (member->told_us != 0 &&
        step->now_us < member->told_us + step->swim->config.probe_timeout_us)
        return;
    member->told_us = step->now_us;
    spread_send(step->swim, &(struct swim_task){ .to = slot, .kind = GOSSIP_NEWS });
}

void view_heard(struct swim_step *step, uint16_t slot)
{
    struct swim_member *member = member_at(step, slot);
    if (member->shown == LIVENESS_ALIVE)
        return;
    member->doubt = LIVENESS_ALIVE;
    if (member->state == LIVENESS_UNKNOWN)
        become(step, slot, LIVENESS_ALIVE);
    else
        show(step, slot);
    if (view_is_told(step->swim, slot))
        tell_accused(step, slot);
}

/* --- time ------------------------------------------------------------------------------------ */

void view_tick(struct swim_step *step)
{
    struct swim *swim = step->swim;
    if (step->now_us < swim->next_suspicion_us)
        return;
    swim->next_suspicion_us = UINT64_MAX;
    for (uint16_t i = 0; i < swim->count; i++) {
        struct swim_member *member = &swim->members[i];
        if (member->state != LIVENESS_SUSPECT)
            continue;
        uint64_t end_us = suspicion_end_us(&member->suspicion);
        if (step->now_us >= end_us) {
            swim->counters.deaths++;
            declare_dead(step, i, member->incarnation, &swim->members[swim->self].id);
        } else
            swim->next_suspicion_us = earlier(swim->next_suspicion_us, end_us);
    }
}

void view_forgive(struct swim *swim, uint64_t away_us)
{
    for (uint16_t i = 0; i < swim->count; i++)
        if (swim->members[i].state == LIVENESS_SUSPECT)
            suspicion_forgive(&swim->members[i].suspicion, away_us);
}

/* --- looking in ------------------------------------------------------------------------------ */

bool view_statement(const struct swim *swim, uint16_t slot, struct gossip_statement *ret)
{
    const struct swim_member *member = &swim->members[slot];
    if (!member->listed || member->state == LIVENESS_UNKNOWN ||
        (member->state == LIVENESS_ALIVE && member->incarnation == 0))
        return false;
    *ret = (struct gossip_statement){ member->id, member->incarnation, member->state,
                                      member->accuser };
    if (slot == swim->self)
        ret->incarnation = swim->incarnation;
    return true;
}

/* A suspicion is on everybody's lips while it lasts: it is no reason to exchange views. */
uint64_t swim_view_digest(const struct swim *swim)
{
    uint64_t digest = 0;
    for (uint16_t i = 0; i < swim->count; i++) {
        const struct swim_member *member = &swim->members[i];
        struct gossip_statement statement;
        if (!view_statement(swim, i, &statement))
            continue;
        uint64_t salt = hash_mix64(2 * statement.incarnation + (member->state == LIVENESS_DEAD));
        digest += hash64(bytes_make(member->id.bytes, NODE_ID_SIZE), salt);
    }
    return digest;
}
