/* SPDX-License-Identifier: Apache-2.0 */
/** A machine of membership/swim.h for tests.  We are n0 of five, probe every second with a time
 *  limit of 500 ms, and a suspicion lasts 3 s at least and 18 s at most (one confirmation is
 *  wanted).  A TICK comes whenever one is due. */
#ifndef TESTS_SUPPORT_SWIM_SETTING_H
#define TESTS_SUPPORT_SWIM_SETTING_H

#include <stdio.h>

#include "cluster/membership/swim.h"
#include "tests/support/rows.h"

enum { MEMBERS = 5, MS = 1000, FIRST = 10, WORD_MAX = 40, LETTERS_MAX = 64 };

static const struct swim_config config = {
    .probe_interval_us = 1000 * MS,
    .probe_timeout_us = 500 * MS,
    .gossip_interval_us = 200 * MS,
    .gossip_to_dead_us = 30000 * MS,
    .exchange_us = 30000 * MS,
    .indirect_probes = 2,
    .gossip_fanout = 2,
    .suspicion_multiplier = 3,
    .suspicion_stretch = 6,
    .retransmit_multiplier = 3,
    .health_limit = 8,
};

struct setting {
    struct swim swim;
    struct swim_member storage[MEMBERS], other_storage[MEMBERS + 3];
    struct member members[MEMBERS + 3];
    uint64_t now_us, next_tick_us, reserve, counters[MEMBERS];
    uint16_t heard_from;
    bool answering;  /* every probe is acknowledged at once, */
    uint16_t silent; /* but by this one (0: by all) */
    struct swim_letter letters[LETTERS_MAX];
    unsigned letter_count;
};

static inline struct node_id id_of(unsigned number)
{
    return (struct node_id){ { 'n', (uint8_t)('0' + number) } };
}

static inline unsigned number_of(const struct node_id *id)
{
    return id->bytes[1] - '0';
}

static inline struct gossip_packet packet_from(struct setting *setting, unsigned from,
                                               enum gossip_kind kind)
{
    struct gossip_packet packet = { .kind = kind, .sender = id_of(from), .incarnation = 1 };
    packet.counter = from < MEMBERS ? ++setting->counters[from] : 1;
    return packet;
}

static inline void step(struct setting *setting, struct swim_event event);

static inline void deliver(struct setting *setting, const struct gossip_packet *packet)
{
    step(setting, (struct swim_event){ .kind = SWIM_PACKET, .packet = packet });
}

static inline void acknowledge(struct setting *setting, const struct swim_letter *letter)
{
    struct gossip_packet ack = packet_from(setting, letter->to, GOSSIP_ACK);
    ack.incarnation = setting->swim.members[letter->to].incarnation;
    ack.incarnation += ack.incarnation == 0;
    ack.number = letter->packet.number;
    ack.subject = letter->packet.subject;
    deliver(setting, &ack);
}

/* Letters are kept until somebody looks; every one must survive the wire. */
static inline void take_letters(struct setting *setting)
{
    struct swim_letter letter;
    while (swim_next_letter(&setting->swim, &letter)) {
        uint8_t data[GOSSIP_DATAGRAM_MAX];
        struct buffer buffer = { .data = data, .capacity = sizeof(data), .limit = sizeof(data) };
        struct gossip_packet again;
        gossip_encode(&letter.packet, &buffer);
        assert_false(buffer.failed);
        assert_int_equal(gossip_decode(buffer_bytes(&buffer), &again), KVORUM_OK);
        if (setting->letter_count < LETTERS_MAX)
            setting->letters[setting->letter_count++] = letter;
        if (setting->answering && letter.packet.kind == GOSSIP_PING && letter.to != setting->silent)
            acknowledge(setting, &letter);
    }
}

static inline void step(struct setting *setting, struct swim_event event)
{
    struct swim_effects effects;
    event.now_us = setting->now_us;
    swim_step(&setting->swim, &event, &effects);
    setting->next_tick_us = effects.next_tick_us;
    setting->heard_from = effects.heard_from;
    if (effects.reserve != 0)
        setting->reserve = effects.reserve;
    take_letters(setting);
}

static inline void run_until(struct setting *setting, uint64_t ms)
{
    uint64_t end_us = ms * MS;
    while (setting->next_tick_us <= end_us) {
        if (setting->next_tick_us > setting->now_us)
            setting->now_us = setting->next_tick_us;
        step(setting, (struct swim_event){ .kind = SWIM_TICK });
    }
    setting->now_us = end_us;
}

static inline struct setting *set_up_with(const struct swim_config *with, bool answering)
{
    struct setting *setting = calloc(1, sizeof(*setting));
    assert_non_null(setting);
    for (unsigned i = 0; i < MEMBERS + 3; i++)
        setting->members[i] = (struct member){ .id = id_of(i), .state = MEMBER_ACTIVE };
    const struct swim_start start = { .members = setting->members,
                                      .count = MEMBERS,
                                      .incarnation_first = FIRST,
                                      .incarnation_limit = FIRST + 100,
                                      .random_seed = 7 };
    swim_init(&setting->swim, with, setting->storage, &start);
    setting->answering = answering;
    step(setting, (struct swim_event){ .kind = SWIM_TICK });
    return setting;
}

/* "alive1@5", "suspect1@5by2", "dead1@5by2" from the member that follows `via`, or n2. */
static inline void gossip(struct setting *setting, const char *word, bool in_state)
{
    char verb[WORD_MAX];
    unsigned about = 0, by = 0, via = 2;
    unsigned long long incarnation = 0;
    int read = sscanf(word, "%39[a-z]%u@%lluby%u", verb, &about, &incarnation, &by);
    assert_true(read >= 3);
    const char *from = strstr(word, "via");
    if (from != NULL)
        via = (unsigned)(from[3] - '0');
    struct gossip_packet packet = packet_from(setting, via, in_state ? GOSSIP_STATE : GOSSIP_NEWS);
    packet.statement_count = 1;
    packet.statements[0] = (struct gossip_statement){
        .about = id_of(about),
        .incarnation = incarnation,
        .state = strcmp(verb, "alive") == 0     ? LIVENESS_ALIVE
                 : strcmp(verb, "suspect") == 0 ? LIVENESS_SUSPECT
                                                : LIVENESS_DEAD,
        .from = id_of(by),
    };
    deliver(setting, &packet);
}

#endif
