/* SPDX-License-Identifier: Apache-2.0 */
/* What is told to whom.  News ride on every packet that leaves anyhow, and on rounds of their own
 * while there are any; each is passed on multiplier * ceil(log10(n + 1)) times (SWIM 4.1). */
#include "cluster/membership/swim_internal.h"

/* --- the outbox ------------------------------------------------------------------------------ */

void spread_send(struct swim *swim, const struct swim_task *task)
{
    if (swim->outbox_count == SWIM_OUTBOX_MAX) {
        swim->counters.dropped++;
        return;
    }
    swim->outbox[(swim->outbox_first + swim->outbox_count++) % SWIM_OUTBOX_MAX] = *task;
}

/* --- news ------------------------------------------------------------------------------------ */

void spread_news(struct swim *swim, uint16_t slot)
{
    struct swim_member *member = &swim->members[slot];
    swim->news_count += !member->news;
    member->news = true;
    member->retold = 0;
}

void spread_quiet(struct swim *swim, uint16_t slot)
{
    struct swim_member *member = &swim->members[slot];
    swim->news_count -= member->news;
    member->news = false;
}

/* ceil(log10(n + 1)) is how many digits n has. */
static unsigned retell_limit(const struct swim *swim)
{
    unsigned digits = 0;
    for (unsigned n = swim->listed_count; n > 0; n /= 10)
        digits++;
    return swim->config.retransmit_multiplier * digits;
}

struct filling {
    struct swim *swim;
    const struct swim_task *task;
    struct gossip_packet *packet;
    size_t size;
};

static bool add(struct filling *filling, const struct gossip_statement *statement)
{
    struct gossip_packet *packet = filling->packet;
    size_t size = gossip_statement_size(statement);
    if (filling->size + size > GOSSIP_PACKET_MAX ||
        packet->statement_count == GOSSIP_STATEMENTS_MAX)
        return false;
    packet->statements[packet->statement_count++] = *statement;
    filling->size += size;
    return true;
}

static bool add_news_of(struct filling *filling, uint16_t slot, unsigned limit)
{
    struct swim *swim = filling->swim;
    struct swim_member *member = &swim->members[slot];
    struct gossip_statement statement;
    if (!view_statement(swim, slot, &statement)) {
        spread_quiet(swim, slot);
        return true;
    }
    if (!add(filling, &statement))
        return false;
    member->last_packet = swim->counter;
    if (++member->retold >= limit)
        spread_quiet(swim, slot);
    return true;
}

/* What was told least goes first, or the newest would crowd the others out.  Nobody is told of
 * himself: he knows, or was told first of all. */
static void add_news(struct filling *filling)
{
    struct swim *swim = filling->swim;
    unsigned limit = retell_limit(swim), left = swim->news_count;
    for (unsigned retold = 0; retold < limit && left > 0; retold++) {
        for (uint16_t i = 0; i < swim->count && left > 0; i++) {
            const struct swim_member *member = &swim->members[i];
            if (!member->news || member->retold != retold || i == filling->task->to ||
                member->last_packet == swim->counter)
                continue;
            left--;
            if (!add_news_of(filling, i, limit))
                return;
        }
    }
}

/* Lifeguard 3.3, the buddy system: whoever is accused hears it first, so that it may refute.  So
 * does who has an older disk, and forgot incarnations: nothing else that it says is heard until it
 * uses a newer one. */
static void add_accusation(struct filling *filling)
{
    struct swim *swim = filling->swim;
    uint16_t to = filling->task->to;
    struct gossip_statement statement;
    bool is_told = swim->members[to].behind || view_is_told(swim, to);
    if (is_told && view_statement(swim, to, &statement))
        (void)add(filling, &statement);
}

/* False when more is to be said than fits. */
static bool add_everything(struct filling *filling, uint16_t *cursor)
{
    for (; *cursor < filling->swim->count; (*cursor)++) {
        struct gossip_statement statement;
        if (view_statement(filling->swim, *cursor, &statement) && !add(filling, &statement))
            return false;
    }
    return true;
}

/* --- letters --------------------------------------------------------------------------------- */

static void begin_packet(struct swim *swim, const struct swim_task *task, struct gossip_packet *ret)
{
    memset(ret, 0, offsetof(struct gossip_packet, statements));
    ret->kind = task->kind;
    ret->sender = swim->members[swim->self].id;
    ret->incarnation = swim->incarnation;
    ret->counter = ++swim->counter;
    ret->number = task->number;
    ret->subject = task->subject;
}

bool swim_next_letter(struct swim *swim, struct swim_letter *ret_letter)
{
    if (swim->outbox_count == 0)
        return false;
    struct swim_task *task = &swim->outbox[swim->outbox_first];
    struct gossip_packet *packet = &ret_letter->packet;
    struct filling filling = { swim, task, packet, GOSSIP_HEADER_SIZE };
    ret_letter->to = task->to;
    ret_letter->over_link = task->over_link;
    begin_packet(swim, task, packet);
    bool done = true;
    if (task->kind == GOSSIP_STATE)
        done = add_everything(&filling, &task->cursor);
    else {
        add_accusation(&filling);
        add_news(&filling);
    }
    if (!done)
        return true; /* it goes on in the next packet */
    packet->flags = task->flags;
    swim->outbox_first = (swim->outbox_first + 1) % SWIM_OUTBOX_MAX;
    swim->outbox_count--;
    return true;
}

/* --- rounds ---------------------------------------------------------------------------------- */

/* Reservoir sampling (Knuth, algorithm R). */
uint16_t spread_draw(struct swim *swim, bool (*wanted)(const struct swim_step *, uint16_t),
                     const struct swim_step *step, uint16_t limit, uint16_t *ret_slots)
{
    uint16_t count = 0, seen = 0;
    for (uint16_t i = 0; i < swim->count; i++) {
        if (!wanted(step, i))
            continue;
        uint64_t place = random_below(&swim->random, ++seen);
        if (count < limit)
            ret_slots[count++] = i;
        else if (place < limit)
            ret_slots[place] = i;
    }
    return count;
}

static bool is_told(const struct swim_step *step, uint16_t slot)
{
    const struct swim *swim = step->swim;
    const struct swim_member *member = &swim->members[slot];
    return slot != swim->self && member->listed &&
           (member->state != LIVENESS_DEAD ||
            step->now_us < member->dead_since_us + swim->config.gossip_to_dead_us);
}

static void gossip(struct swim_step *step)
{
    struct swim *swim = step->swim;
    uint16_t targets[UINT8_MAX];
    uint16_t count = spread_draw(swim, is_told, step, swim->config.gossip_fanout, targets);
    for (uint16_t i = 0; i < count; i++)
        spread_send(swim, &(struct swim_task){ .to = targets[i], .kind = GOSSIP_NEWS });
    swim->next_gossip_us = step->now_us + swim->config.gossip_interval_us;
}

static bool may_exchange(const struct swim_step *step, uint16_t slot)
{
    const struct swim *swim = step->swim;
    const struct swim_member *member = &swim->members[slot];
    return slot != swim->self && member->listed && member->shown <= LIVENESS_ALIVE;
}

/* In a large cluster everybody would do so at once: ceil(log2 n - 5) + 1 times as seldom. */
static uint64_t exchange_interval_us(const struct swim *swim)
{
    uint64_t scale = 1;
    if (swim->listed_count > 32)
        scale += (log2_q16(swim->listed_count) - (5u << 16) + 0xffff) >> 16;
    return swim->config.exchange_us * scale;
}

static void exchange(struct swim_step *step)
{
    struct swim *swim = step->swim;
    uint16_t target = SWIM_NOBODY;
    if (spread_draw(swim, may_exchange, step, 1, &target) == 1)
        spread_send(swim, &(struct swim_task){ .to = target,
                                               .kind = GOSSIP_DIGEST,
                                               .over_link = true,
                                               .number = swim_view_digest(swim) });
    swim->next_exchange_us = step->now_us + exchange_interval_us(swim);
}

void spread_tick(struct swim_step *step)
{
    struct swim *swim = step->swim;
    if (swim->news_count > 0 && step->now_us >= swim->next_gossip_us)
        gossip(step);
    if (step->now_us >= swim->next_exchange_us)
        exchange(step);
}

uint64_t spread_next_us(const struct swim *swim)
{
    return swim->news_count > 0 ? earlier(swim->next_gossip_us, swim->next_exchange_us)
                                : swim->next_exchange_us;
}

/* Both sides tell all that they know: whoever saw the other's digest first, and then the other. */
void spread_on_packet(struct swim_step *step, uint16_t from, const struct gossip_packet *packet)
{
    struct swim *swim = step->swim;
    struct swim_task answer = { .to = from, .kind = GOSSIP_STATE, .over_link = true };
    if (packet->kind == GOSSIP_DIGEST && packet->number != swim_view_digest(swim)) {
        answer.flags = GOSSIP_STATE_WANTED;
        spread_send(swim, &answer);
    } else if (packet->kind == GOSSIP_STATE && (packet->flags & GOSSIP_STATE_WANTED) != 0)
        spread_send(swim, &answer);
}
