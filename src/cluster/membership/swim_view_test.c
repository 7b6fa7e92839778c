/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine believes of whom. */
#include "tests/support/swim_setting.h"

/* --- rows: what is believed ------------------------------------------------------------------- */

/* "100:heard1", "lost1", "refused1"; the words of gossip(), after "state" in a STATE; "pause" (no
 * ticks until here); "see".  "live" at the beginning: every probe is acknowledged. */
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

static void see(const struct setting *setting, char *seen)
{
    char *at = seen + strlen(seen);
    if (at != seen)
        *at++ = ' ';
    for (uint16_t i = 1; i < MEMBERS; i++)
        *at++ = "?asd"[swim_state_of(&setting->swim, i)];
    *at = '\0';
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
        uint64_t ms = strtoull(word, NULL, 10);
        if (strcmp(++what, "pause") != 0)
            run_until(setting, ms);
        setting->now_us = ms * MS;
        play(setting, what, seen);
    }
    assert_string_equal(row->states, seen);
    free(setting);
}

/* --- against a slow model --------------------------------------------------------------------- */

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
    { "statements take precedence as a slow model says", test_precedence },
    { "whatever comes, nobody is added and we live", test_anything },
};

int main(void)
{
    return RUN_ROWS("swim: what is believed", rows, check) + RUN_TESTS("swim: anything", tests);
}
