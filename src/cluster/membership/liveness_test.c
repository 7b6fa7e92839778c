/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: we are member 0 and beat every 500 ms (suspect 1500, dead 3000).  Time runs in ms from the
 * init, with a TICK whenever one is due; a row tells what happens besides and what is seen of it.
 * */
#include "cluster/membership/liveness.h"

#include "base/random.h"
#include "tests/support/rows.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = 4, MS = 1000, WORD_MAX = 32 };

struct row {
    const char *name;
    const char *events; /* "1000:heard1" "lost1" "refused1" "pause" (no ticks before this) "see" */
    const char *states; /* of members 1.., at every "see":  ? unknown, a alive, s suspect, d dead */
};

static const struct row rows[] = {
    { "nobody is known at first", "0:see", "???" },
    { "a sign of life is believed", "10:heard2 10:see", "?a?" },
    { "who never speaks is asked for a while", "2999:see", "???" },
    { "and is dead then", "3000:see", "ddd" },
    { "silence makes suspect", "10:heard1 1509:see 1510:see", "a?? s??" },
    { "longer silence makes dead", "10:heard1 3009:see 3010:see", "sdd ddd" },
    { "a suspect that speaks is alive", "0:heard1 1600:see 1601:heard1 1601:see", "s?? a??" },
    { "a dead one that speaks is alive", "3000:see 3001:heard1 3001:see", "ddd add" },
    { "and begins from there", "3001:heard1 4500:see 4501:see 6001:see", "add sdd ddd" },
    { "a lost link makes suspect at once", "5:heard1 6:lost1 6:see", "s??" },
    { "a lost link of one never heard makes suspect", "6:lost1 6:see", "s??" },
    { "a lost link does not shorten the way to dead", "5:heard1 6:lost1 3004:see 3005:see",
      "sdd ddd" },
    { "a lost link is forgotten when it speaks again", "5:heard1 6:lost1 7:heard1 7:see", "a??" },
    { "a lost link of the dead stays dead", "5:refused1 6:lost1 6:see", "d??" },
    { "refused is dead at once", "5:heard1 6:refused1 6:see", "d??" },
    { "refused by a suspect is dead at once", "5:heard1 6:lost1 7:refused1 7:see", "d??" },
    { "refused twice is no more", "5:refused1 6:refused1 6:see", "d??" },
    { "refused and heard again is alive", "5:refused1 6:heard1 6:see", "a??" },
    { "steady beats keep alive",
      "400:heard1 1800:heard1 3200:heard1 4600:heard1 6000:heard1 7400:see", "add" },
    { "our own pause is not their silence", "900:heard1 1000:see 9000:pause 9001:see", "a?? a??" },
    { "what was silent before the pause still counts",
      "100:heard1 1500:see 9000:pause 9000:see 9100:see", "a?? a?? s??" },
    { "the dead stay dead over a pause", "5:refused1 9000:pause 9000:see", "d??" },
    { "a suspect stays suspect over a pause", "5:heard1 6:lost1 9000:pause 9000:see", "s??" },
    { "who dies during our pause is found out after it",
      "900:heard1 1000:see 9000:pause 10399:see 10400:see 11899:see 11900:see",
      "a?? a?? s?? sdd ddd" },
    { "two heartbeats late is not yet a pause", "100:heard1 1400:see 2000:pause 2000:see",
      "a?? s??" },
    { "news of ourselves are no news", "5:lost0 6:refused0 7:heard0 7:see", "???" },
    { "news of nobody are no news", "5:heard9 6:refused9 7:lost9 7:see", "???" },
    { "members are judged one by one", "5:heard1 1000:heard2 1600:see", "sa?" },
};

struct world {
    struct liveness liveness;
    struct liveness_peer peers[MEMBERS];
    uint64_t now_us, next_us;
};

static void step(struct world *world, enum liveness_event_kind kind, uint16_t member)
{
    enum liveness_state before[MEMBERS];
    for (uint16_t i = 0; i < MEMBERS; i++)
        before[i] = liveness_of(&world->liveness, i);
    struct liveness_event event = { world->now_us, kind, member };
    struct liveness_effects effects;
    liveness_step(&world->liveness, &event, &effects);
    bool changed = false;
    for (uint16_t i = 0; i < MEMBERS; i++) {
        bool other = before[i] != liveness_of(&world->liveness, i);
        changed |= other;
        if (other)
            assert_true(world->peers[i].since_us == world->now_us);
    }
    assert_int_equal(effects.changed, changed);
    assert_int_equal(liveness_of(&world->liveness, 0), LIVENESS_ALIVE);
    if (kind == LIVENESS_TICK)
        assert_true(effects.next_tick_us > world->now_us);
    world->next_us = effects.next_tick_us;
}

static void init(struct world *world, uint64_t now_us)
{
    memset(world, 0, sizeof(*world));
    world->now_us = now_us;
    liveness_init(&world->liveness, &(struct liveness_config){ 0 }, world->peers, MEMBERS, 0,
                  now_us);
    step(world, LIVENESS_TICK, 0);
}

static void run_until(struct world *world, uint64_t until_us)
{
    while (world->next_us <= until_us) {
        world->now_us = world->next_us;
        step(world, LIVENESS_TICK, 0);
    }
    world->now_us = until_us;
}

static void see(const struct world *world, char *text)
{
    size_t size = strlen(text);
    if (size > 0)
        text[size++] = ' ';
    for (uint16_t i = 1; i < MEMBERS; i++)
        text[size++] = "?asd"[liveness_of(&world->liveness, i)];
    text[size] = 0;
}

static void act(struct world *world, const char *word, char *seen)
{
    static const char *const kinds[] = { "tick", "heard", "lost", "refused" };
    char kind[WORD_MAX];
    unsigned time_ms = 0, member = 0;
    assert_true(sscanf(word, "%u:%31[a-z]%u", &time_ms, kind, &member) >= 2);
    uint64_t time_us = (uint64_t)time_ms * MS;
    if (strcmp(kind, "pause") == 0) {
        world->now_us = time_us;
        step(world, LIVENESS_TICK, 0);
        return;
    }
    run_until(world, time_us);
    if (strcmp(kind, "see") == 0)
        see(world, seen);
    for (enum liveness_event_kind i = LIVENESS_HEARD; i <= LIVENESS_LINK_REFUSED; i++)
        if (strcmp(kind, kinds[i]) == 0)
            step(world, i, (uint16_t)member);
}

static void check(const void *data)
{
    const struct row *row = data;
    char seen[128] = "";
    struct world world;
    init(&world, 0);
    for (const char *at = row->events; *at != 0; at += strspn(at, " ")) {
        char word[WORD_MAX];
        size_t size = strcspn(at, " ");
        assert_true(size < sizeof(word));
        memcpy(word, at, size);
        word[size] = 0;
        act(&world, word, seen);
        at += size;
    }
    assert_string_equal(seen, row->states);
}

static void heartbeats_go_out_on_time(void **state)
{
    (void)state;
    struct liveness liveness;
    struct liveness_peer peers[2];
    struct liveness_effects effects;
    liveness_init(&liveness, &(struct liveness_config){ .heartbeat_us = 70 }, peers, 2, 1, 1000);
    liveness_step(&liveness, &(struct liveness_event){ 1000, LIVENESS_TICK, 0 }, &effects);
    assert_true(effects.send_heartbeats && effects.next_tick_us == 1070);
    liveness_step(&liveness, &(struct liveness_event){ 1069, LIVENESS_TICK, 0 }, &effects);
    assert_true(!effects.send_heartbeats && effects.next_tick_us == 1070);
    liveness_step(&liveness, &(struct liveness_event){ 1075, LIVENESS_TICK, 0 }, &effects);
    assert_true(effects.send_heartbeats && effects.next_tick_us == 1145);
    liveness_step(&liveness, &(struct liveness_event){ 1080, LIVENESS_HEARD, 0 }, &effects);
    assert_true(!effects.send_heartbeats && effects.changed && effects.next_tick_us == 1145);
}

static void dead_is_never_before_suspect(void **state)
{
    (void)state;
    struct liveness liveness;
    struct liveness_peer peers[2];
    struct liveness_config config = { .heartbeat_us = 10, .suspect_us = 100, .dead_us = 50 };
    liveness_init(&liveness, &config, peers, 2, 0, 0);
    assert_true(liveness.config.dead_us == 100);
    assert_int_equal(liveness_of(&liveness, 2), LIVENESS_DEAD);
}

static void backward_time_changes_nothing(void **state)
{
    (void)state;
    struct world world;
    init(&world, 5000 * MS);
    step(&world, LIVENESS_HEARD, 1);
    world.now_us = 100 * MS;
    struct liveness_effects effects;
    liveness_step(&world.liveness, &(struct liveness_event){ 100 * MS, LIVENESS_TICK, 0 },
                  &effects);
    assert_false(effects.changed || effects.send_heartbeats);
    liveness_step(&world.liveness, &(struct liveness_event){ 90 * MS, LIVENESS_HEARD, 1 },
                  &effects);
    assert_true(world.peers[1].heard_us == 5000 * MS);
}

/* With ticks on time: whoever was heard within suspect_us is not dead of silence, and whoever was
 * not heard for dead_us is dead, on the microsecond. */
static void random_lives_are_judged_on_time(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random;
        struct world world;
        uint64_t heard_us[MEMBERS] = { 0 };
        bool refused[MEMBERS] = { 0 };
        random_init(&random, seed);
        init(&world, 0);
        for (int i = 0; i < 200; i++) {
            run_until(&world, world.now_us + random_below(&random, 900 * MS));
            uint16_t member = (uint16_t)(1 + random_below(&random, MEMBERS - 1));
            enum liveness_event_kind kind = (enum liveness_event_kind)random_below(&random, 4);
            step(&world, kind, member);
            if (kind == LIVENESS_HEARD)
                heard_us[member] = world.now_us;
            if (kind == LIVENESS_HEARD || kind == LIVENESS_LINK_REFUSED)
                refused[member] = kind == LIVENESS_LINK_REFUSED;
            for (uint16_t m = 1; m < MEMBERS; m++) {
                bool silent = world.now_us - heard_us[m] >= 3000 * MS;
                bool dead = liveness_of(&world.liveness, m) == LIVENESS_DEAD;
                assert_true(dead == (silent || refused[m]) || (dead && heard_us[m] == 0));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heartbeats_go_out_on_time),
        cmocka_unit_test(dead_is_never_before_suspect),
        cmocka_unit_test(backward_time_changes_nothing),
        cmocka_unit_test(random_lives_are_judged_on_time),
    };
    int failed = RUN_ROWS("liveness", rows, check);
    return failed + cmocka_run_group_tests_name("liveness, in detail", tests, NULL, NULL);
}
