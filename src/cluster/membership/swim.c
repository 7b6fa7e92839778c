/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's life, its time and its events.
 *
 * Silence is measured on our own clock and only while we were running: after a pause of our own,
 * the silence of the others says nothing about them, so it is forgiven. */
#include "cluster/membership/swim.h"

#include "cluster/membership/swim_internal.h"

enum { MS = 1000, S = 1000 * MS };

static const struct swim_config presets[SWIM_PRESETS] = {
    [SWIM_LAN] = { .probe_interval_us = 1 * S,
                   .probe_timeout_us = 500 * MS,
                   .gossip_interval_us = 200 * MS,
                   .gossip_to_dead_us = 30 * S,
                   .exchange_us = 30 * S,
                   .indirect_probes = 3,
                   .gossip_fanout = 3,
                   .suspicion_multiplier = 4,
                   .suspicion_stretch = 6,
                   .retransmit_multiplier = 4,
                   .health_limit = 8 },
    [SWIM_WAN] = { .probe_interval_us = 5 * S,
                   .probe_timeout_us = 3 * S,
                   .gossip_interval_us = 500 * MS,
                   .gossip_to_dead_us = 60 * S,
                   .exchange_us = 60 * S,
                   .indirect_probes = 3,
                   .gossip_fanout = 4,
                   .suspicion_multiplier = 6,
                   .suspicion_stretch = 6,
                   .retransmit_multiplier = 4,
                   .health_limit = 8 },
    [SWIM_LOCAL] = { .probe_interval_us = 400 * MS,
                     .probe_timeout_us = 150 * MS,
                     .gossip_interval_us = 50 * MS,
                     .gossip_to_dead_us = 15 * S,
                     .exchange_us = 5 * S,
                     .indirect_probes = 3,
                     .gossip_fanout = 3,
                     .suspicion_multiplier = 3,
                     .suspicion_stretch = 4,
                     .retransmit_multiplier = 4,
                     .health_limit = 8 },
};

const struct swim_config *swim_preset(enum swim_preset preset)
{
    assert(preset < SWIM_PRESETS);
    return &presets[preset];
}

uint64_t swim_patience_us(const struct swim_config *config, uint16_t members)
{
    return 2 * config->probe_interval_us + 2 * suspicion_minimum_us(config->probe_interval_us,
                                                                    config->suspicion_multiplier,
                                                                    members);
}

/* --- members --------------------------------------------------------------------------------- */

static void fill_slot(struct swim_member *slot, const struct member *member, uint64_t now_us)
{
    *slot = (struct swim_member){ .id = member->id,
                                  .listed = member->state != MEMBER_GONE,
                                  .doubt = LIVENESS_ALIVE,
                                  .shown_since_us = now_us };
}

static void fill_self(struct swim *swim)
{
    struct swim_member *self = &swim->members[swim->self];
    self->listed = true;
    self->state = self->shown = LIVENESS_ALIVE;
    self->incarnation = swim->incarnation;
}

static void count_listed(struct swim *swim)
{
    swim->listed_count = 0;
    for (uint16_t i = 0; i < swim->count; i++)
        swim->listed_count += swim->members[i].listed;
}

uint16_t swim_slot_of(const struct swim *swim, const struct node_id *id)
{
    for (uint16_t i = 0; i < swim->count; i++)
        if (swim->members[i].listed && node_id_equal(&swim->members[i].id, id))
            return i;
    return SWIM_NOBODY;
}

static bool config_valid(const struct swim_config *config)
{
    return config->probe_interval_us > 0 && config->probe_timeout_us > 0 &&
           config->gossip_interval_us > 0 && config->exchange_us > 0 &&
           config->suspicion_multiplier > 0 && config->suspicion_stretch > 0 &&
           config->health_limit > 0;
}

void swim_init(struct swim *swim, const struct swim_config *config, struct swim_member *storage,
               const struct swim_start *start)
{
    assert(config_valid(config) && start->self < start->count);
    assert(start->count <= RING_MEMBERS_MAX);
    assert(start->incarnation_first > 0 && start->incarnation_first < start->incarnation_limit);
    memset(swim, 0, sizeof(*swim));
    swim->config = *config;
    swim->members = storage;
    swim->count = start->count;
    swim->self = start->self;
    swim->incarnation = start->incarnation_first;
    swim->incarnation_limit = start->incarnation_limit;
    swim->urgent = SWIM_NOBODY;
    swim->next_suspicion_us = UINT64_MAX;
    swim->promised_us = swim->next_gossip_us = start->now_us;
    random_init(&swim->random, start->random_seed);
    swim->next_number = random_next(&swim->random) >> 1;
    for (uint16_t i = 0; i < start->count; i++) {
        fill_slot(&storage[i], &start->members[i], start->now_us);
        swim->order[i] = i;
    }
    fill_self(swim);
    count_listed(swim);
    probe_shuffle(swim);
    probe_forget(swim, start->now_us);
    /* Whoever starts knows nothing: it compares views soon. */
    swim->next_exchange_us = start->now_us + random_below(&swim->random, config->probe_interval_us);
    spread_news(swim, swim->self);
}

static void keep_known(const struct swim_member *old, uint16_t old_count, struct swim_member *slot)
{
    for (uint16_t i = 0; i < old_count; i++) {
        if (!old[i].listed || !node_id_equal(&old[i].id, &slot->id))
            continue;
        *slot = old[i];
        return;
    }
}

/* Slots that are there again keep their places in the round, new ones come in anywhere. */
static void renew_order(struct swim *swim, uint16_t old_count)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < old_count; i++)
        if (swim->order[i] < swim->count)
            swim->order[kept++] = swim->order[i];
    if (swim->turn > kept)
        swim->turn = kept;
    for (uint16_t slot = old_count; slot < swim->count; slot++)
        probe_insert(swim, slot, kept++);
}

void swim_members_changed(struct swim *swim, struct swim_member *storage,
                          const struct member *members, uint16_t count, uint64_t now_us)
{
    const struct swim_member *old = swim->members;
    uint16_t old_count = swim->count;
    assert(storage != old && count <= RING_MEMBERS_MAX && swim->self < count);
    assert(node_id_equal(&members[swim->self].id, &old[swim->self].id));
    for (uint16_t i = 0; i < count; i++) {
        fill_slot(&storage[i], &members[i], now_us);
        if (storage[i].listed)
            keep_known(old, old_count, &storage[i]);
    }
    swim->members = storage;
    swim->count = count;
    fill_self(swim);
    count_listed(swim);
    renew_order(swim, old_count);
    swim->news_count = 0;
    for (uint16_t i = 0; i < count; i++)
        swim->news_count += storage[i].news;
    probe_forget(swim, now_us);
    swim->urgent = SWIM_NOBODY;
    swim->outbox_count = 0;
    swim->next_suspicion_us = now_us; /* look anew */
}

/* --- events ---------------------------------------------------------------------------------- */

static void hear_statements(struct swim_step *step, const struct gossip_packet *packet)
{
    for (uint8_t i = 0; i < packet->statement_count; i++) {
        struct gossip_statement statement = packet->statements[i];
        /* What somebody has long believed may be long refuted: the member is asked first. */
        if (packet->kind == GOSSIP_STATE && statement.state == LIVENESS_DEAD &&
            !PLANTED(DEAD_IMPORTED_AS_DEAD)) {
            statement.state = LIVENESS_SUSPECT;
            statement.from = packet->sender;
        }
        view_hear(step, &statement);
    }
}

/* Newer than all packets of this sender before: it restarted, or counts on. */
static bool is_fresh(struct swim_member *member, const struct gossip_packet *packet)
{
    if (packet->incarnation < member->seen_incarnation ||
        (packet->incarnation == member->seen_incarnation &&
         packet->counter <= member->seen_counter))
        return false;
    member->seen_incarnation = packet->incarnation;
    member->seen_counter = packet->counter;
    return true;
}

static void on_packet(struct swim_step *step, const struct swim_event *event)
{
    struct swim *swim = step->swim;
    const struct gossip_packet *packet = event->packet;
    uint16_t from = swim_slot_of(swim, &packet->sender);
    if (from == SWIM_NOBODY || from == swim->self) {
        swim->counters.unlisted++;
        return;
    }
    bool fresh = is_fresh(&swim->members[from], packet);
    view_alive(step, from, packet->incarnation);
    swim->members[from].behind = packet->incarnation < swim->members[from].incarnation;
    if (fresh) {
        view_heard(step, from);
        step->effects->heard_from = from;
    }
    hear_statements(step, packet); /* before the answer: it may carry our refutation */
    probe_on_packet(step, from, event);
    if (fresh)
        spread_on_packet(step, from, packet);
}

static void on_link(struct swim_step *step, const struct swim_event *event)
{
    uint16_t slot = event->member;
    if (event->kind == SWIM_HEARD) {
        view_heard(step, slot);
        return;
    }
    bool refused = event->kind == SWIM_LINK_REFUSED;
    view_doubt(step, slot, refused ? LIVENESS_DEAD : LIVENESS_SUSPECT);
    if (refused)
        view_accuse(step, slot);
    else
        probe_urgently(step, slot);
}

/* We were not there when we had asked to be: what was silent meanwhile has said nothing, and what
 * came meanwhile still waits to be read. */
static void forgive_own_pause(struct swim_step *step)
{
    struct swim *swim = step->swim;
    if (step->now_us <= swim->promised_us + swim->config.probe_timeout_us / 2)
        return;
    swim->counters.own_pauses++;
    view_forgive(swim, step->now_us - swim->promised_us);
    view_health(swim, 1);
    uint64_t end_us = step->now_us + swim->config.probe_timeout_us;
    probe_forget(swim, end_us);
}

void swim_step(struct swim *swim, const struct swim_event *event, struct swim_effects *ret)
{
    struct swim_step step = { swim, event->now_us, ret };
    *ret = (struct swim_effects){ .heard_from = SWIM_NOBODY };
    bool about_other = event->member < swim->count && event->member != swim->self &&
                       swim->members[event->member].listed;
    forgive_own_pause(&step);
    if (event->kind == SWIM_TICK) {
        view_tick(&step);
        probe_tick(&step);
        spread_tick(&step);
    } else if (event->kind == SWIM_PACKET)
        on_packet(&step, event);
    else if (event->kind == SWIM_RESERVED)
        view_reserved(&step, event->incarnation_limit);
    else if (event->kind == SWIM_PUT_BACK)
        view_rise(&step);
    else if (about_other)
        on_link(&step, event);
    assert(swim->incarnation < swim->incarnation_limit);
    ret->next_tick_us =
        earlier(earlier(probe_next_us(swim), spread_next_us(swim)), swim->next_suspicion_us);
    swim->promised_us = ret->next_tick_us > event->now_us ? ret->next_tick_us : event->now_us;
}

/* --- looking in ------------------------------------------------------------------------------ */

enum liveness_state swim_state_of(const struct swim *swim, uint16_t slot)
{
    if (slot >= swim->count || !swim->members[slot].listed)
        return LIVENESS_DEAD;
    return swim->members[slot].shown;
}
