/* SPDX-License-Identifier: Apache-2.0 */
/* We are n0 of five, probe every second with a time limit of 500 ms, and a suspicion lasts 3 s at
 * least and 18 s at most (one confirmation is wanted).  Time runs in ms from the start, with a TICK
 * whenever one is due. */
#include "cluster/membership/swim.h"

#include "tests/support/rows.h"

#include <stdio.h>

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

static struct node_id id_of(unsigned number)
{
    return (struct node_id){ { 'n', (uint8_t)('0' + number) } };
}

static unsigned number_of(const struct node_id *id)
{
    return id->bytes[1] - '0';
}

static struct gossip_packet packet_from(struct setting *setting, unsigned from,
                                        enum gossip_kind kind)
{
    struct gossip_packet packet = { .kind = kind, .sender = id_of(from), .incarnation = 1 };
    packet.counter = from < MEMBERS ? ++setting->counters[from] : 1;
    return packet;
}

static void step(struct setting *setting, struct swim_event event);

static void deliver(struct setting *setting, const struct gossip_packet *packet)
{
    step(setting, (struct swim_event){ .kind = SWIM_PACKET, .packet = packet });
}

static void acknowledge(struct setting *setting, const struct swim_letter *letter)
{
    struct gossip_packet ack = packet_from(setting, letter->to, GOSSIP_ACK);
    ack.incarnation = setting->swim.members[letter->to].incarnation;
    ack.incarnation += ack.incarnation == 0;
    ack.number = letter->packet.number;
    ack.subject = letter->packet.subject;
    deliver(setting, &ack);
}

/* Letters are kept until somebody looks; every one must survive the wire. */
static void take_letters(struct setting *setting)
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

static void step(struct setting *setting, struct swim_event event)
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

static void run_until(struct setting *setting, uint64_t ms)
{
    uint64_t end_us = ms * MS;
    while (setting->next_tick_us <= end_us) {
        if (setting->next_tick_us > setting->now_us)
            setting->now_us = setting->next_tick_us;
        step(setting, (struct swim_event){ .kind = SWIM_TICK });
    }
    setting->now_us = end_us;
}

static struct setting *set_up_with(const struct swim_config *with, bool answering)
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

/* --- rows: what is believed ------------------------------------------------------------------- */

/* "100:heard1", "lost1", "refused1"; "alive1@5", "suspect1@5by2", "dead1@5by2" from the member that
 * follows `via` or n2; "state..." the same in a STATE; "live" (from the start every probe is
 * acknowledged); "pause" (no ticks until here); "see". */
struct row {
    const char *name;
    const char *events;
    const char *states; /* of n1.., at every "see":  ? unknown, a alive, s suspect, d dead */
};

static const struct row rows[] = {
    { "nobody is known at first", "0:see", "????" },
    { "a sign of life is believed", "10:heard2 10:see", "?a??" },
    { "a packet is one", "10:alive3@4via1 10:see", "a?a?" },
    { "all who answer probes are alive", "live 9000:see", "aaaa" },
    { "who does not is suspect, and then dead", "15000:see 30000:see", "ssss dddd" },

    { "a suspicion is believed", "1:alive1@5 2:suspect1@5by3 2:see", "sa??" },
    { "also at a higher incarnation", "1:alive1@5 2:suspect1@6by3 2:see", "sa??" },
    { "an old one is not", "1:alive1@5 2:suspect1@4by3 2:see", "aa??" },
    { "alive at the same incarnation is no refutation",
      "1:alive1@5 2:suspect1@5by3 3:alive1@5 3:see", "sa??" },
    { "alive at a higher one is", "1:alive1@5 2:suspect1@5by3 3:alive1@6 3:see", "aa??" },
    { "and the suspicion is over", "live 1:alive1@5 2:suspect1@5by3 3:alive1@6 30000:see", "aaaa" },
    { "unrefuted it ends in death", "live 1:alive1@5 2:suspect1@5by3 18001:see 18002:see",
      "saaa daaa" },
    { "one more accuser makes that sooner",
      "live 1:alive1@5 2:suspect1@5by3 9:suspect1@5by4 3001:see 3002:see", "saaa daaa" },
    { "the same accuser does not", "live 1:alive1@5 2:suspect1@5by3 9:suspect1@5by3 3002:see",
      "saaa" },
    { "a suspicion anew begins from there",
      "live 1:alive1@5 2:suspect1@5by3 9:alive1@6 1000:suspect1@6by3 18999:see 19000:see",
      "saaa daaa" },

    { "the dead are believed dead", "1:alive1@5 2:dead1@5by3 2:see", "da??" },
    { "not by old news", "1:alive1@5 2:dead1@4by3 2:see", "aa??" },
    { "a suspicion does not raise the dead", "1:dead1@5by3 2:suspect1@6by3 2:see", "da??" },
    { "nor does alive at the same incarnation", "1:dead1@5by3 2:alive1@5 2:see", "da??" },
    { "a higher incarnation does", "1:dead1@5by3 2:alive1@6 2:see", "aa??" },
    { "a sign of life does not", "1:dead1@5by3 2:heard1 2:see", "da??" },
    { "a replay of the accusation after it is nothing",
      "1:dead1@5by3 2:alive1@6 3:dead1@5by3 4:suspect1@5by4 4:see", "aa??" },
    { "a whole view makes nobody dead at once", "1:alive1@5 2:statedead1@5by3 2:see", "sa??" },
    { "nor one that we have not met", "2:statedead1@5by3 2:see", "sa??" },
    { "but suspect, and dead in the end", "live 1:alive1@5 2:statedead1@5by3 18002:see", "daaa" },

    { "a lost link makes suspect at once", "1:heard1 2:lost1 2:see", "s???" },
    { "also of one never heard", "2:lost1 2:see", "s???" },
    { "it is forgotten when it speaks again", "1:heard1 2:lost1 3:heard1 3:see", "a???" },
    { "and when the probe that follows is answered", "live 1500:lost1 1500:see 3000:see",
      "aa?a aaaa" },
    { "refused is dead at once", "1:heard1 2:refused1 2:see", "d???" },
    { "refused of a suspect is dead at once", "2:lost1 3:refused1 3:see", "d???" },
    { "refused twice is no more", "2:refused1 3:refused1 3:see", "d???" },
    { "a lost link of the refused leaves it dead", "2:refused1 3:lost1 3:see", "d???" },
    { "heard of again, it has still to refute", "1:alive1@5 2:refused1 3:heard1 3:see", "sa??" },
    { "refused, and alive at a higher incarnation", "1:alive1@5 2:refused1 3:alive1@6 3:see",
      "aa??" },

    { "nobody hears of members that do not exist", "1:heard9 2:dead9@5by3 3:refused9 3:see",
      "?a??" },
    { "who is not listed does not become a member", "1:suspect7@5by3 2:alive7@9 3:see", "?a??" },
    { "an accuser who is not listed is heard all the same", "1:alive1@5 2:suspect1@5by8 3:see",
      "sa??" },

    { "our own pause is not their silence",
      "live 1:alive1@5 2:suspect1@5by3 17000:see 60000:pause 60001:see 60002:see",
      "saaa saaa daaa" },
    { "the dead stay dead over a pause", "5:dead1@5by3 60000:pause 60000:see", "da??" },
    { "time that runs backwards changes nothing", "900:heard1 100:see", "a???" },
};

static void gossip(struct setting *setting, const char *word, bool in_state)
{
    char verb[WORD_MAX];
    unsigned about = 0, by = 0, via = 2;
    unsigned long long incarnation = 0;
    int read = sscanf(word, "%39[a-z]%u@%lluby%u", verb, &about, &incarnation, &by);
    assert_true(read >= 3);
    const char *from = strstr(word, "via");
    if (from != NULL)
        via = (unsigned)atoi(from + 3);
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

static void see(const struct setting *setting, char *seen)
{
    if (seen[0] != '\0')
        strcat(seen, " ");
    for (uint16_t i = 1; i < MEMBERS; i++)
        strncat(seen, &"?asd"[swim_state_of(&setting->swim, i)], 1);
}

static void play(struct setting *setting, const char *what, char *seen)
{
    if (strcmp(what, "see") == 0) {
        see(setting, seen);
        return;
    }
    struct swim_event event = { .kind = SWIM_TICK };
    if (strcmp(what, "pause") == 0)
        step(setting, event);
    else if (strncmp(what, "state", 5) == 0)
        gossip(setting, what + 5, true);
    else if (strchr(what, '@') != NULL)
        gossip(setting, what, false);
    else {
        event.kind = what[0] == 'h'   ? SWIM_HEARD
                     : what[0] == 'l' ? SWIM_LINK_LOST
                                      : SWIM_LINK_REFUSED;
        event.member = (uint16_t)(what[strlen(what) - 1] - '0');
        step(setting, event);
    }
}

static void check(const void *context)
{
    const struct row *row = context;
    bool live = strncmp(row->events, "live ", 5) == 0;
    struct setting *setting = set_up_with(&config, live);
    char words[512], seen[128] = "", *rest = NULL;
    snprintf(words, sizeof(words), "%s", row->events + (live ? 5 : 0));
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        const char *what = strchr(word, ':');
        assert_non_null(what);
        uint64_t ms = (uint64_t)atoll(word);
        if (strcmp(++what, "pause") != 0)
            run_until(setting, ms);
        setting->now_us = ms * MS;
        play(setting, what, seen);
    }
    assert_string_equal(row->states, seen);
    free(setting);
}

/* --- what is sent ----------------------------------------------------------------------------- */

/* "ping1 for2(1) ping1!": kind, to whom, about whom where that is another, ! over the link. */
static void describe(const struct setting *setting, char *ret, size_t size)
{
    static const char *const names[] = { "?",    "ping", "for",    "ack",
                                         "nack", "news", "digest", "state" };
    static const struct node_id nobody;
    ret[0] = '\0';
    for (unsigned i = 0; i < setting->letter_count; i++) {
        const struct swim_letter *letter = &setting->letters[i];
        size_t at = strlen(ret);
        at += (size_t)snprintf(ret + at, size - at, "%s%s%u", at == 0 ? "" : " ",
                               names[letter->packet.kind], letter->to);
        bool named = !node_id_equal(&letter->packet.subject, &nobody) &&
                     number_of(&letter->packet.subject) != letter->to;
        if (named)
            at += (size_t)snprintf(ret + at, size - at, "(%u)", number_of(&letter->packet.subject));
        snprintf(ret + at, size - at, "%s", letter->over_link ? "!" : "");
    }
}

static void assert_sent(struct setting *setting, const char *expected)
{
    char sent[1024];
    describe(setting, sent, sizeof(sent));
    assert_string_equal(sent, expected);
    setting->letter_count = 0;
}

/* All others are alive, and nothing is under way or new; a probe begins now. */
static struct setting *settled(const struct swim_config *with)
{
    struct setting *setting = set_up_with(with, true);
    run_until(setting, 20999);
    setting->answering = false;
    setting->letter_count = 0;
    for (uint16_t i = 0; i < MEMBERS; i++)
        assert_int_equal(swim_state_of(&setting->swim, i), LIVENESS_ALIVE);
    assert_int_equal(setting->swim.news_count, 0);
    assert_int_equal(setting->swim.health, 0);
    assert_int_equal(setting->swim.probe.end_us, 21000 * MS);
    return setting;
}

static const struct swim_letter *sent(const struct setting *setting, enum gossip_kind kind)
{
    for (unsigned i = 0; i < setting->letter_count; i++)
        if (setting->letters[i].packet.kind == kind)
            return &setting->letters[i];
    return NULL;
}

static struct gossip_packet reply(struct setting *setting, unsigned from, enum gossip_kind kind,
                                  const struct swim_letter *letter)
{
    struct gossip_packet packet = packet_from(setting, from, kind);
    packet.number = letter->packet.number;
    packet.subject = letter->packet.subject;
    return packet;
}

static void test_probe(void)
{
    struct setting *setting = settled(&config);
    run_until(setting, 21000);
    uint16_t target = setting->swim.probe.target;
    char expected[64];
    snprintf(expected, sizeof(expected), "ping%u", target);
    assert_sent(setting, expected);
    run_until(setting, 21499);
    assert_sent(setting, "");
    run_until(setting, 21500);
    assert_int_equal(setting->letter_count, 3);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(setting->letters[i].packet.kind, GOSSIP_PING_FOR);
        assert_int_equal(number_of(&setting->letters[i].packet.subject), target);
        assert_int_not_equal(setting->letters[i].to, target);
    }
    assert_int_not_equal(setting->letters[0].to, setting->letters[1].to);
    assert_int_equal(setting->letters[2].packet.kind, GOSSIP_PING);
    assert_true(setting->letters[2].over_link);
    run_until(setting, 21999);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_ALIVE);
    run_until(setting, 22000);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_SUSPECT);
    assert_int_equal(setting->swim.members[target].news, true);
    free(setting);
}

static void test_helper_saves(void)
{
    struct setting *setting = settled(&config);
    run_until(setting, 21500);
    const struct swim_letter *asked = sent(setting, GOSSIP_PING_FOR);
    uint16_t target = setting->swim.probe.target;
    struct gossip_packet ack = reply(setting, asked->to, GOSSIP_ACK, asked);
    deliver(setting, &ack);
    run_until(setting, 22500);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_ALIVE);
    free(setting);
}

static void test_old_ack(void)
{
    struct setting *setting = settled(&config);
    run_until(setting, 21000);
    struct gossip_packet ack =
        reply(setting, setting->swim.probe.target, GOSSIP_ACK, &setting->letters[0]);
    ack.number--;
    deliver(setting, &ack);
    assert_int_equal(setting->swim.probe.stage, SWIM_DIRECT);
    ack.number++;
    ack.subject = id_of(setting->swim.probe.target == 1 ? 2 : 1);
    deliver(setting, &ack);
    assert_int_equal(setting->swim.probe.stage, SWIM_DIRECT);
    free(setting);
}

/* Fails one probe, with so many of the two helpers saying NACK. */
static uint8_t health_after_nacks(unsigned nacks)
{
    struct setting *setting = settled(&config);
    run_until(setting, 21500);
    struct swim_letter asked[2] = { setting->letters[1], setting->letters[2] };
    for (unsigned i = 0; i < nacks; i++) {
        struct gossip_packet nack = reply(setting, asked[i].to, GOSSIP_NACK, &asked[i]);
        deliver(setting, &nack);
    }
    run_until(setting, 22000);
    uint8_t health = setting->swim.health;
    assert_int_equal(setting->swim.probe.end_us, (22000 + 1000 * (health + 1u)) * MS);
    free(setting);
    return health;
}

static void test_health(void)
{
    assert_int_equal(health_after_nacks(0), 2);
    assert_int_equal(health_after_nacks(1), 1);
    assert_int_equal(health_after_nacks(2), 0);
    struct setting *setting = settled(&config);
    setting->swim.health = 3;
    setting->answering = true;
    run_until(setting, 21000);
    assert_int_equal(setting->swim.health, 2);
    free(setting);
}

static void test_relay(void)
{
    struct setting *setting = settled(&config);
    struct gossip_packet asked = packet_from(setting, 3, GOSSIP_PING_FOR);
    asked.number = 77;
    asked.subject = id_of(1);
    deliver(setting, &asked);
    struct swim_letter ping = setting->letters[0];
    assert_sent(setting, "ping1");
    struct gossip_packet ack = reply(setting, 1, GOSSIP_ACK, &ping);
    deliver(setting, &ack);
    assert_int_equal(setting->letters[0].packet.number, 77);
    assert_sent(setting, "ack3(1)");
    deliver(setting, &ack); /* doubled */
    assert_sent(setting, "");
    free(setting);
}

static void test_relay_silent(void)
{
    struct setting *setting = set_up_with(&config, true);
    run_until(setting, 20500);
    setting->letter_count = 0;
    struct gossip_packet asked = packet_from(setting, 3, GOSSIP_PING_FOR);
    asked.number = 77;
    asked.subject = id_of(1);
    setting->answering = false;
    deliver(setting, &asked);
    struct swim_letter ping = setting->letters[0];
    assert_sent(setting, "ping1");
    run_until(setting, 20899);
    assert_sent(setting, "");
    run_until(setting, 20900);
    assert_int_equal(setting->letters[0].packet.number, 77);
    assert_sent(setting, "nack3(1)");
    struct gossip_packet ack = reply(setting, 1, GOSSIP_ACK, &ping);
    deliver(setting, &ack); /* better late than never */
    assert_sent(setting, "ack3(1)");
    free(setting);
}

static void test_relays_are_bounded(void)
{
    struct setting *setting = settled(&config);
    for (unsigned i = 0; i < 3 * SWIM_RELAYS_MAX; i++) {
        struct gossip_packet asked = packet_from(setting, 3, GOSSIP_PING_FOR);
        asked.subject = id_of(1);
        deliver(setting, &asked);
    }
    assert_int_equal(setting->swim.relay_count, SWIM_RELAYS_MAX);
    run_until(setting, 22999);
    assert_int_equal(setting->swim.relay_count, 0);
    free(setting);
}

static void test_ping_is_answered(void)
{
    struct setting *setting = settled(&config);
    struct gossip_packet ping = packet_from(setting, 2, GOSSIP_PING);
    ping.subject = id_of(0);
    ping.number = 5;
    deliver(setting, &ping);
    assert_int_equal(setting->letters[0].packet.number, 5);
    assert_sent(setting, "ack2(0)");
    step(setting, (struct swim_event){ .kind = SWIM_PACKET, .packet = &ping, .over_link = true });
    assert_sent(setting, "ack2(0)!");
    ping.subject = id_of(1); /* meant for another: our address was his once */
    deliver(setting, &ping);
    assert_sent(setting, "");
    ping.subject = id_of(0);
    ping.sender = id_of(7); /* nobody we know */
    deliver(setting, &ping);
    assert_sent(setting, "");
    free(setting);
}

/* --- accusations of ourselves ------------------------------------------------------------------ */

static void accuse_us(struct setting *setting, enum liveness_state state, uint64_t incarnation)
{
    struct gossip_packet ping = packet_from(setting, 2, GOSSIP_PING);
    ping.subject = id_of(0);
    ping.statement_count = 1;
    ping.statements[0] = (struct gossip_statement){ id_of(0), incarnation, state, id_of(2) };
    deliver(setting, &ping);
}

static void test_refutation(void)
{
    struct setting *setting = settled(&config);
    accuse_us(setting, LIVENESS_SUSPECT, FIRST - 1);
    assert_int_equal(setting->swim.incarnation, FIRST);
    accuse_us(setting, LIVENESS_SUSPECT, FIRST);
    assert_int_equal(setting->swim.incarnation, FIRST + 1);
    assert_int_equal(setting->letters[1].packet.kind, GOSSIP_ACK);
    assert_int_equal(setting->letters[1].packet.incarnation, FIRST + 1);
    assert_int_equal(setting->swim.health, 1);
    accuse_us(setting, LIVENESS_DEAD, FIRST + 20);
    assert_int_equal(setting->swim.incarnation, FIRST + 21);
    accuse_us(setting, LIVENESS_ALIVE, FIRST + 30); /* an older disk was put back */
    assert_int_equal(setting->swim.incarnation, FIRST + 31);
    assert_int_equal(swim_state_of(&setting->swim, 0), LIVENESS_ALIVE);
    free(setting);
}

static void test_reservation(void)
{
    struct setting *setting = settled(&config);
    accuse_us(setting, LIVENESS_SUSPECT, FIRST + 99); /* one more is not reserved */
    assert_true(setting->reserve > FIRST + 100);
    assert_int_equal(setting->swim.incarnation, FIRST);
    assert_int_equal(setting->letters[0].packet.incarnation, FIRST);
    step(setting, (struct swim_event){ .kind = SWIM_RESERVED, .incarnation_limit = FIRST + 50 });
    assert_int_equal(setting->swim.incarnation, FIRST);
    step(setting,
         (struct swim_event){ .kind = SWIM_RESERVED, .incarnation_limit = setting->reserve });
    assert_int_equal(setting->swim.incarnation, FIRST + 100);
    accuse_us(setting, LIVENESS_DEAD, GOSSIP_INCARNATION_MAX); /* there is nothing above */
    assert_int_equal(setting->swim.incarnation, FIRST + 100);
    free(setting);
}

static void test_buddy(void)
{
    struct setting *setting = settled(&config);
    gossip(setting, "suspect1@1by3via2", false);
    gossip(setting, "suspect2@1by3via3", false);
    gossip(setting, "suspect3@1by4via4", false);
    gossip(setting, "suspect4@1by3via3", false);
    setting->letter_count = 0;
    run_until(setting, 21000);
    const struct swim_letter *ping = sent(setting, GOSSIP_PING);
    assert_non_null(ping);
    assert_true(ping->packet.statement_count > 0);
    assert_int_equal(number_of(&ping->packet.statements[0].about), ping->to);
    assert_int_equal(ping->packet.statements[0].state, LIVENESS_SUSPECT);
    free(setting);
}

static void test_heard_is_told(void)
{
    struct setting *setting = settled(&config);
    gossip(setting, "dead1@1by3via2", false);
    setting->letter_count = 0;
    step(setting, (struct swim_event){ .kind = SWIM_HEARD, .member = 1 });
    assert_int_equal(setting->letters[0].packet.statements[0].state, LIVENESS_DEAD);
    assert_int_equal(number_of(&setting->letters[0].packet.statements[0].about), 1);
    assert_sent(setting, "news1");
    step(setting, (struct swim_event){ .kind = SWIM_HEARD, .member = 1 });
    assert_sent(setting, ""); /* not for every message */
    free(setting);
}

/* --- spreading ---------------------------------------------------------------------------------- */

static unsigned count_told(const struct setting *setting, unsigned about)
{
    unsigned told = 0;
    for (unsigned i = 0; i < setting->letter_count; i++) {
        const struct gossip_packet *packet = &setting->letters[i].packet;
        for (unsigned j = 0; j < packet->statement_count; j++)
            told +=
                number_of(&packet->statements[j].about) == about && setting->letters[i].to != about;
    }
    return told;
}

static void test_retold_so_often(void)
{
    struct setting *setting = settled(&config);
    setting->answering = true;
    gossip(setting, "alive1@7", false);
    run_until(setting, 28000);
    assert_int_equal(count_told(setting, 1), 3); /* three times one digit */
    assert_int_equal(setting->swim.news_count, 0);
    assert_true(setting->letter_count < LETTERS_MAX);
    free(setting);
}

static void test_old_news_is_not_retold(void)
{
    struct setting *setting = settled(&config);
    gossip(setting, "alive1@1", false);
    gossip(setting, "suspect1@0by2", false);
    assert_int_equal(setting->swim.news_count, 0);
    gossip(setting, "suspect1@1by2", false);
    assert_int_equal(setting->swim.news_count, 1);
    setting->swim.members[1].retold = 2;
    gossip(setting, "suspect1@1by2", false); /* no new accuser */
    assert_int_equal(setting->swim.members[1].retold, 2);
    gossip(setting, "suspect1@1by3", false);
    assert_int_equal(setting->swim.members[1].retold, 0);
    free(setting);
}

static void test_dead_are_told_for_a_while(void)
{
    struct setting *setting = settled(&config);
    setting->answering = true;
    setting->silent = 1;
    gossip(setting, "dead1@1by3", false);
    unsigned news = 0, pings = 0;
    for (unsigned second = 21; second < 90; second++) {
        setting->letter_count = 0;
        char word[WORD_MAX];
        snprintf(word, sizeof(word), "alive2@%u", second);
        gossip(setting, word, false);
        run_until(setting, 1000ull * second);
        bool late = second > 52;
        for (unsigned i = 0; i < setting->letter_count; i++) {
            const struct swim_letter *letter = &setting->letters[i];
            if (letter->to != 1)
                continue;
            assert_false(late && letter->packet.kind == GOSSIP_NEWS);
            news += letter->packet.kind == GOSSIP_NEWS;
            pings += late && letter->packet.kind == GOSSIP_PING;
        }
    }
    assert_true(news > 2 && pings > 2);
    free(setting);
}

/* The last of one round and the first of the next. */
static void test_everybody_within_two_rounds(void)
{
    struct setting *setting = settled(&config);
    unsigned since[MEMBERS] = { 0 }, longest = 0;
    setting->answering = true;
    for (unsigned i = 0; i < 400; i++) {
        setting->letter_count = 0;
        run_until(setting, setting->now_us / MS + 1000);
        const struct swim_letter *ping = sent(setting, GOSSIP_PING);
        assert_non_null(ping);
        for (unsigned j = 1; j < MEMBERS; j++)
            longest = ++since[j] > longest ? since[j] : longest;
        since[ping->to] = 0;
    }
    assert_int_equal(longest, 2 * (MEMBERS - 1) - 1);
    free(setting);
}

static void test_exchange(void)
{
    struct setting *setting = settled(&config);
    struct gossip_packet digest = packet_from(setting, 3, GOSSIP_DIGEST);
    digest.number = swim_view_digest(&setting->swim);
    deliver(setting, &digest);
    assert_sent(setting, "");
    digest.counter = ++setting->counters[3];
    digest.number++;
    deliver(setting, &digest);
    assert_int_equal(setting->letters[0].packet.flags, GOSSIP_STATE_WANTED);
    assert_int_equal(setting->letters[0].packet.statement_count, MEMBERS);
    assert_sent(setting, "state3!");
    deliver(setting, &digest); /* a replay */
    assert_sent(setting, "");
    struct gossip_packet state = packet_from(setting, 3, GOSSIP_STATE);
    deliver(setting, &state);
    assert_sent(setting, "");
    state.counter = ++setting->counters[3];
    state.flags = GOSSIP_STATE_WANTED;
    deliver(setting, &state);
    assert_int_equal(setting->letters[0].packet.flags, 0);
    assert_sent(setting, "state3!");
    free(setting);
}

static void test_digest(void)
{
    struct setting *setting = settled(&config);
    uint64_t before = swim_view_digest(&setting->swim);
    gossip(setting, "suspect1@1by2", false);
    assert_int_equal(swim_view_digest(&setting->swim), before);
    gossip(setting, "dead1@1by2", false);
    assert_int_not_equal(swim_view_digest(&setting->swim), before);
    gossip(setting, "alive1@2", false);
    assert_int_not_equal(swim_view_digest(&setting->swim), before);
    free(setting);
}

static void test_freshness(void)
{
    struct setting *setting = settled(&config);
    struct gossip_packet first = packet_from(setting, 3, GOSSIP_NEWS);
    struct gossip_packet second = packet_from(setting, 3, GOSSIP_NEWS);
    deliver(setting, &second);
    assert_int_equal(setting->heard_from, 3);
    deliver(setting, &first);
    assert_int_equal(setting->heard_from, SWIM_NOBODY);
    deliver(setting, &second);
    assert_int_equal(setting->heard_from, SWIM_NOBODY);
    first.incarnation = 2; /* another life: it counts from the beginning */
    first.counter = 1;
    deliver(setting, &first);
    assert_int_equal(setting->heard_from, 3);
    deliver(setting, &second);
    assert_int_equal(setting->heard_from, SWIM_NOBODY);
    free(setting);
}

/* --- members come and go ------------------------------------------------------------------------ */

static void test_members_changed(void)
{
    struct setting *setting = settled(&config);
    gossip(setting, "dead1@1by2", false);
    gossip(setting, "suspect2@1by3", false);
    setting->members[3].state = MEMBER_GONE;
    swim_members_changed(&setting->swim, setting->other_storage, setting->members, MEMBERS + 2,
                         setting->now_us);
    assert_int_equal(swim_state_of(&setting->swim, 0), LIVENESS_ALIVE);
    assert_int_equal(swim_state_of(&setting->swim, 1), LIVENESS_DEAD);
    assert_int_equal(swim_state_of(&setting->swim, 2), LIVENESS_SUSPECT);
    assert_int_equal(swim_state_of(&setting->swim, 3), LIVENESS_DEAD);
    assert_int_equal(swim_state_of(&setting->swim, 4), LIVENESS_ALIVE);
    assert_int_equal(swim_state_of(&setting->swim, 6), LIVENESS_UNKNOWN);
    gossip(setting, "alive3@9", false);
    assert_int_equal(swim_state_of(&setting->swim, 3), LIVENESS_DEAD);
    gossip(setting, "alive6@9via4", false);
    assert_int_equal(swim_state_of(&setting->swim, 6), LIVENESS_ALIVE);
    setting->letter_count = 0;
    setting->answering = true;
    unsigned probed = 0;
    for (unsigned second = 21; second < 40; second++) {
        setting->letter_count = 0;
        run_until(setting, 1000ull * second);
        for (unsigned i = 0; i < setting->letter_count; i++)
            probed |= 1u << setting->letters[i].to;
    }
    assert_int_equal(probed & 0x48, 0x40); /* n6, and never n3 */
    free(setting);
}

static void test_slot_given_away(void)
{
    struct setting *setting = settled(&config);
    gossip(setting, "dead1@9by2", false);
    setting->members[1].id = id_of(8);
    swim_members_changed(&setting->swim, setting->other_storage, setting->members, MEMBERS,
                         setting->now_us);
    assert_int_equal(swim_state_of(&setting->swim, 1), LIVENESS_UNKNOWN);
    gossip(setting, "dead1@9by2", false); /* of the one who had it before */
    assert_int_equal(swim_state_of(&setting->swim, 1), LIVENESS_UNKNOWN);
    free(setting);
}

static void test_random_places(void)
{
    struct setting *setting = settled(&config);
    unsigned places[MEMBERS + 2] = { 0 };
    for (unsigned i = 0; i < 2000; i++) {
        swim_members_changed(&setting->swim, setting->other_storage, setting->members, MEMBERS + 1,
                             setting->now_us);
        for (unsigned j = 0; j <= MEMBERS; j++)
            places[j] += setting->swim.order[j] == MEMBERS;
        swim_members_changed(&setting->swim, setting->storage, setting->members, MEMBERS,
                             setting->now_us);
    }
    for (unsigned j = 0; j <= MEMBERS; j++)
        assert_in_range(places[j], 250, 420); /* a sixth each */
    free(setting);
}

/* --- a large cluster, and plain SWIM ------------------------------------------------------------ */

enum { MANY = 200 };

struct large {
    struct swim swim;
    struct swim_member storage[MANY];
    struct member members[MANY];
};

static void test_large_state(void)
{
    struct large *large = calloc(1, sizeof(*large));
    assert_non_null(large);
    for (unsigned i = 0; i < MANY; i++)
        large->members[i].id.bytes[0] = (uint8_t)(i + 1);
    const struct swim_start start = {
        .members = large->members, .count = MANY, .incarnation_first = 1, .incarnation_limit = 2
    };
    swim_init(&large->swim, &config, large->storage, &start);
    for (unsigned i = 1; i < MANY; i++) {
        large->storage[i].state = i % 3 == 0 ? LIVENESS_DEAD : LIVENESS_ALIVE;
        large->storage[i].incarnation = i;
    }
    struct gossip_packet digest = {
        .kind = GOSSIP_DIGEST, .sender = large->members[1].id, .incarnation = 1, .counter = 1
    };
    struct swim_effects effects;
    swim_step(&large->swim, &(struct swim_event){ .kind = SWIM_PACKET, .packet = &digest },
              &effects);
    unsigned told[MANY] = { 0 }, packets = 0, flagged = 0;
    struct swim_letter letter;
    while (swim_next_letter(&large->swim, &letter)) {
        assert_int_equal(letter.packet.kind, GOSSIP_STATE);
        packets++;
        assert_int_equal(flagged, 0); /* only the last one is */
        flagged += letter.packet.flags;
        for (unsigned i = 0; i < letter.packet.statement_count; i++)
            told[letter.packet.statements[i].about.bytes[0] - 1]++;
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(told[i], 1);
    assert_true(packets >= 4 && packets <= 6);
    assert_int_equal(flagged, GOSSIP_STATE_WANTED);
    free(large);
}

static void test_plain(void)
{
    struct swim_config plain = config;
    plain.plain = true;
    struct setting *setting = settled(&plain);
    run_until(setting, 21000);
    uint16_t target = setting->swim.probe.target;
    run_until(setting, 22000);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_SUSPECT);
    assert_int_equal(setting->swim.health, 0);
    run_until(setting, 24999);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_SUSPECT);
    run_until(setting, 25000);
    assert_int_equal(swim_state_of(&setting->swim, target), LIVENESS_DEAD);
    free(setting);
}

/* --- against a slow model ------------------------------------------------------------------------ */

struct model {
    enum liveness_state state;
    uint64_t incarnation;
};

static void model_hear(struct model *model, enum liveness_state state, uint64_t incarnation)
{
    bool dead = model->state == LIVENESS_DEAD;
    bool believed = state == LIVENESS_ALIVE     ? incarnation > model->incarnation
                    : state == LIVENESS_SUSPECT ? incarnation >= model->incarnation && !dead
                                                : incarnation >= model->incarnation;
    if (believed)
        *model = (struct model){ state, incarnation };
}

static void test_precedence(void)
{
    struct random random;
    random_init(&random, 1);
    for (unsigned round = 0; round < 200; round++) {
        struct setting *setting = set_up_with(&config, false);
        struct model models[MEMBERS] = { { 0 } };
        for (unsigned i = 0; i < 100; i++) {
            enum liveness_state state = (enum liveness_state)(1 + random_below(&random, 3));
            unsigned about = 1 + (unsigned)random_below(&random, 3);
            uint64_t incarnation = 1 + random_below(&random, 8);
            char word[WORD_MAX];
            snprintf(word, sizeof(word), "%s%u@%uby%uvia4",
                     state == LIVENESS_ALIVE     ? "alive"
                     : state == LIVENESS_SUSPECT ? "suspect"
                                                 : "dead",
                     about, (unsigned)incarnation, (unsigned)random_below(&random, 9));
            gossip(setting, word, false);
            model_hear(&models[about], state, incarnation);
            assert_int_equal(setting->swim.members[about].state, models[about].state);
            assert_int_equal(setting->swim.members[about].incarnation, models[about].incarnation);
        }
        free(setting);
    }
}

/* Whatever comes: assertions of the machine hold, nobody is added, we stay alive. */
static void test_anything(void)
{
    struct random random;
    random_init(&random, 2);
    for (unsigned round = 0; round < 100; round++) {
        struct setting *setting = set_up_with(&config, round % 2 == 0);
        for (unsigned i = 0; i < 400; i++) {
            run_until(setting, setting->now_us / MS + random_below(&random, 300));
            struct gossip_packet packet =
                packet_from(setting, (unsigned)random_below(&random, MEMBERS + 2),
                            (enum gossip_kind)(1 + random_below(&random, 7)));
            packet.incarnation = 1 + random_below(&random, 40);
            packet.number = random_below(&random, 2) == 0 ? setting->swim.probe.number : 1;
            packet.subject = id_of((unsigned)random_below(&random, MEMBERS + 2));
            packet.statement_count = (uint8_t)random_below(&random, 4);
            for (unsigned j = 0; j < packet.statement_count; j++)
                packet.statements[j] = (struct gossip_statement){
                    id_of((unsigned)random_below(&random, MEMBERS + 2)), random_below(&random, 90),
                    (enum liveness_state)(1 + random_below(&random, 3)),
                    id_of((unsigned)random_below(&random, MEMBERS + 2))
                };
            step(setting, (struct swim_event){ .kind = SWIM_PACKET, .packet = &packet });
            if (random_below(&random, 20) == 0)
                step(setting, (struct swim_event){
                                  .kind = (enum swim_event_kind)(2 + random_below(&random, 3)),
                                  .member = (uint16_t)random_below(&random, 9) });
            setting->letter_count = 0;
            assert_int_equal(setting->swim.count, MEMBERS);
            for (uint16_t j = 0; j < MEMBERS; j++)
                assert_int_equal(number_of(&setting->swim.members[j].id), j);
            assert_int_equal(swim_state_of(&setting->swim, 0), LIVENESS_ALIVE);
        }
        free(setting);
    }
}

static const struct named_test tests[] = {
    { "who does not answer is asked by others and over the link, then suspect", test_probe },
    { "an answer by detour is one", test_helper_saves },
    { "an answer to another question is none", test_old_ack },
    { "helpers that say nothing make us doubt ourselves, and slower", test_health },
    { "we ask for others, and pass the answer on once", test_relay },
    { "or say in time that there was none, and still pass it on", test_relay_silent },
    { "we ask for so many at a time, not more", test_relays_are_bounded },
    { "a ping is answered the way it came, when it means us and comes from a member",
      test_ping_is_answered },
    { "an accusation is refuted in the answer that follows", test_refutation },
    { "no incarnation is used before it is reserved", test_reservation },
    { "a ping to a suspect says so first of all", test_buddy },
    { "a dead one that is heard is told, now and then", test_heard_is_told },
    { "news are passed on so often", test_retold_so_often },
    { "what is no news is not passed on", test_old_news_is_not_retold },
    { "the dead are told news for half a minute, and asked for ever",
      test_dead_are_told_for_a_while },
    { "everybody is probed within two rounds", test_everybody_within_two_rounds },
    { "whole views travel only where digests differ, once", test_exchange },
    { "the digest minds deaths and incarnations, not suspicions", test_digest },
    { "what is not newer than all before says nothing new", test_freshness },
    { "members are known by their ids when the epoch changes", test_members_changed },
    { "a slot given away is somebody else", test_slot_given_away },
    { "newcomers come in anywhere in the round", test_random_places },
    { "a large view is told in several packets, each member once", test_large_state },
    { "plain SWIM waits the shortest time and blames itself never", test_plain },
    { "statements take precedence as a slow model says", test_precedence },
    { "whatever comes, nobody is added and we live", test_anything },
};

int main(void)
{
    return RUN_ROWS("swim: what is believed", rows, check) + RUN_TESTS("swim", tests);
}
