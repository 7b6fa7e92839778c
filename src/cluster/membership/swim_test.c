/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the machine asks, and what it tells whom. */
#include "tests/support/swim_setting.h"

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

/* --- accusations of ourselves ----------------------------------------------------------------- */

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

/* What the answer to a ping under this incarnation tells its sender of itself; 0: nothing. */
static uint64_t told_of_itself(struct setting *setting, uint64_t incarnation)
{
    struct gossip_packet ping = packet_from(setting, 3, GOSSIP_PING);
    ping.subject = id_of(0);
    ping.incarnation = incarnation;
    setting->letter_count = 0;
    deliver(setting, &ping);
    const struct swim_letter *ack = sent(setting, GOSSIP_ACK);
    assert_non_null(ack);
    for (uint8_t i = 0; i < ack->packet.statement_count; i++)
        if (number_of(&ack->packet.statements[i].about) == 3)
            return ack->packet.statements[i].incarnation;
    return 0;
}

static void test_told_that_it_is_behind(void)
{
    struct setting *setting = settled(&config);
    assert_int_equal(told_of_itself(setting, 7), 0);
    assert_int_equal(setting->heard_from, 3);
    assert_int_equal(told_of_itself(setting, 2), 7); /* its disk was put back */
    assert_int_equal(setting->heard_from, SWIM_NOBODY);
    assert_int_equal(told_of_itself(setting, 8), 0);
    assert_int_equal(setting->heard_from, 3);
    free(setting);
}

static void test_put_back(void)
{
    struct setting *setting = settled(&config);
    step(setting, (struct swim_event){ .kind = SWIM_PUT_BACK });
    assert_int_equal(setting->swim.incarnation, FIRST + 1);
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

/* --- spreading -------------------------------------------------------------------------------- */

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

/* --- members come and go ---------------------------------------------------------------------- */

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

/* --- a large cluster, and plain SWIM ---------------------------------------------------------- */

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
    { "who forgot its incarnation is told in the answer", test_told_that_it_is_behind },
    { "who has an older disk uses another incarnation at once", test_put_back },
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
};

int main(void)
{
    return RUN_TESTS("swim", tests);
}
