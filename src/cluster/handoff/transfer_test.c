/* SPDX-License-Identifier: Apache-2.0 */
/* Events, each a millisecond after the one before: "start", "page" (the next 100 bytes), "end" (the
 * same, the last), "bad" (its sum is not right), "old" (an answer to the question before), "later",
 * "merged", "saved", "failed", "tick", "pause", "resume", "free" (there is no rate any more, then
 * resume), "close"; "+9" lets 9 ms pass.  Effects, a word an event: "ask:1", "merge", "save:1"
 * (keys), "over", "-" for none. */
#include "cluster/handoff/transfer.h"

#include <stdio.h>

#include "base/random.h"
#include "tests/support/rows.h"
#include "tests/support/words.h"

enum { MS = 1000, PATIENCE_MS = 20, REST_MS = 5, PAGE_SIZE = 100 };

struct row {
    const char *name;
    uint64_t rate; /* bytes a second */
    const char *events, *effects;
};

static const struct row rows[] = {
    { "page by page to the end", 0, "start page merged saved end merged saved",
      "ask:1 merge save:1 ask:2 merge save:2 over" },
    { "an empty partition", 0, "start end merged saved", "ask:1 merge save:1 over" },
    { "a doubled page is taken once", 0, "start page page merged saved page",
      "ask:1 merge - save:1 ask:2 merge" },
    { "an answer to an earlier question is none", 0, "start page merged saved old page",
      "ask:1 merge save:1 ask:2 - merge" },
    { "what does not add up is asked for again", 0, "start bad +5 tick page",
      "ask:1 - - ask:2 merge" },
    { "who cannot now is asked later", 0, "start later tick +5 tick", "ask:1 - - - ask:2" },
    { "who does not answer is asked again", 0, "start +10 tick +10 tick +5 tick",
      "ask:1 - - - - - ask:2" },
    { "an answer after all, when asked again", 0, "start +25 tick +5 tick old page",
      "ask:1 - - - ask:2 - merge" },
    { "a page that cannot be merged is asked for again", 0, "start page failed +5 tick page merged",
      "ask:1 merge - - ask:2 merge save:1" },
    { "a page that cannot be saved is asked for again", 0,
      "start page merged failed +5 tick page merged saved",
      "ask:1 merge save:1 - - ask:2 merge save:1 ask:3" },
    { "it is over when the session is", 0, "start page close merged saved",
      "ask:1 merge over - -" },
    { "over before it began to answer", 0, "start close page tick", "ask:1 over - -" },
    { "over once", 0, "start close close", "ask:1 over -" },
    { "nothing happens after the end", 0, "start end merged saved close tick page",
      "ask:1 merge save:1 over - - -" },
    { "nothing happens before the start", 0, "page tick merged", "- - -" },
    { "paused it takes what comes and asks no more", 0, "start pause page merged saved tick resume",
      "ask:1 - merge save:1 - - ask:2" },
    { "paused and closed", 0, "start pause close", "ask:1 - over" },
    { "the next page waits for the bytes of this one", 10000,
      "start page merged saved tick +10 tick", "ask:1 merge save:1 - - - ask:2" },
    { "when its rate is lifted it waits no longer", 10000, "start page merged saved tick free",
      "ask:1 merge save:1 - - ask:2" },
    { "what went wrong rests all the same", 10000, "start later free", "ask:1 - -" },
    { "without a limit it does not wait", 0, "start page merged saved",
      "ask:1 merge save:1 ask:2" },
};

static struct transfer_event event_of(const struct transfer *transfer, const char *word,
                                      uint64_t now_us)
{
    static const struct {
        const char *word;
        enum transfer_event_kind kind;
    } kinds[] = {
        { "start", TRANSFER_START },   { "page", TRANSFER_PAGE },   { "end", TRANSFER_PAGE },
        { "bad", TRANSFER_PAGE },      { "old", TRANSFER_PAGE },    { "later", TRANSFER_LATER },
        { "merged", TRANSFER_MERGED }, { "saved", TRANSFER_SAVED }, { "failed", TRANSFER_FAILED },
        { "tick", TRANSFER_TICK },     { "pause", TRANSFER_PAUSE }, { "resume", TRANSFER_RESUME },
        { "close", TRANSFER_CLOSE },   { "free", TRANSFER_RESUME },
    };
    struct transfer_event event = { .now_us = now_us, .page = transfer->page };
    size_t i = 0;
    while (strcmp(kinds[i].word, word) != 0)
        i++;
    event.kind = kinds[i].kind;
    event.last = word[0] == 'e';
    event.page -= word[0] == 'o';
    event.found = (struct transfer_totals){ 1, PAGE_SIZE, 77 };
    event.claimed = transfer->totals;
    event.claimed.keys++;
    event.claimed.size += PAGE_SIZE;
    event.claimed.sum += word[0] == 'b' ? 78 : 77;
    return event;
}

static void describe(const struct transfer *transfer, const struct transfer_effects *effects,
                     char *words)
{
    char word[WORD_SIZE] = "-";
    if (effects->ask)
        snprintf(word, sizeof(word), "ask:%u", transfer->page);
    if (effects->merge)
        snprintf(word, sizeof(word), "merge");
    if (effects->save)
        snprintf(word, sizeof(word), "save:%u", (unsigned)transfer->next.keys);
    if (effects->ended)
        snprintf(word, sizeof(word), "over");
    words_add(words, word);
}

static void check(const void *data)
{
    const struct row *row = data;
    const char *events = row->events;
    char word[WORD_SIZE], words[WORDS_SIZE] = "";
    uint64_t now_us = MS;
    struct throttle throttle = { 0 };
    struct transfer transfer = { .throttle = &throttle,
                                 .patience_us = PATIENCE_MS * MS,
                                 .rest_us = REST_MS * MS };
    throttle_set(&throttle, row->rate, now_us);
    while (words_next(&events, word)) {
        struct transfer_effects effects = { 0 };
        if (word[0] == '+') {
            now_us += (uint64_t)strtoul(word + 1, NULL, 10) * MS;
            words_add(words, "-");
            continue;
        }
        now_us += MS;
        if (strcmp(word, "free") == 0)
            throttle_set(&throttle, THROTTLE_NONE, now_us);
        struct transfer_event event = event_of(&transfer, word, now_us);
        transfer_step(&transfer, &event, &effects);
        describe(&transfer, &effects, words);
    }
    assert_string_equal(words, row->effects);
}

/* --- any order of events ---------------------------------------------------------------------- */

/* A source with some keys behind a network that loses, doubles and delays; a receiver that crashes
 * and goes on with what it saved. */
struct world {
    struct throttle throttle;
    struct transfer transfer;
    struct transfer_totals saved, stored; /* on disk; handed to the store */
    uint32_t keys, asked_at;              /* in all; behind the saved cursor */
    bool answering, saving, done;
    struct transfer_event answer;
    struct random random;
    uint64_t now_us;
};

static void apply(struct world *world, enum transfer_event_kind kind,
                  const struct transfer_event *from);

static void start(struct world *world)
{
    uint32_t page = world->transfer.page;
    world->transfer = (struct transfer){ .throttle = &world->throttle,
                                         .patience_us = PATIENCE_MS * MS,
                                         .rest_us = REST_MS * MS };
    world->transfer.totals = world->saved;
    world->transfer.page = page + 7; /* questions of another life are told apart */
    world->saving = false;
    apply(world, TRANSFER_START, NULL);
}

static void answer(struct world *world)
{
    uint32_t left = world->keys - (uint32_t)world->transfer.totals.keys;
    uint32_t count = left > 3 ? 1 + (uint32_t)random_below(&world->random, 3) : left;
    world->answering = true;
    world->answer = (struct transfer_event){ .kind = TRANSFER_PAGE, .page = world->transfer.page };
    world->answer.found = (struct transfer_totals){ count, count * 10, count };
    world->answer.claimed = world->transfer.totals;
    world->answer.claimed.keys += count;
    world->answer.claimed.size += count * 10;
    world->answer.claimed.sum += count;
    world->answer.last = count == left;
}

static void apply(struct world *world, enum transfer_event_kind kind,
                  const struct transfer_event *from)
{
    struct transfer_event event = { .kind = kind };
    struct transfer_effects effects;
    if (from != NULL)
        event = *from;
    event.now_us = world->now_us;
    transfer_step(&world->transfer, &event, &effects);
    if (effects.ask)
        answer(world);
    if (effects.merge)
        world->stored = world->transfer.next;
    world->saving |= effects.save;
    world->done |= effects.ended;
}

static void live(struct world *world)
{
    world->now_us += 1 + random_below(&world->random, 4 * MS);
    switch (random_below(&world->random, 12)) {
    case 0:
        world->answering &= random_below(&world->random, 2) == 0; /* lost */
        break;
    case 1:
        start(world); /* a crash */
        break;
    case 2:
        apply(world, TRANSFER_LATER, NULL);
        break;
    case 3:
        apply(world, TRANSFER_FAILED, NULL);
        break;
    case 4:
    case 5:
        if (world->saving && world->transfer.state == TRANSFER_SAVING) {
            assert_true(world->stored.keys >= world->transfer.next.keys); /* nothing skipped */
            world->saved = world->transfer.next;
            apply(world, TRANSFER_SAVED, NULL);
        }
        break;
    case 6:
    case 7:
        apply(world, TRANSFER_MERGED, NULL);
        break;
    case 8:
    case 9:
        apply(world, TRANSFER_TICK, NULL);
        break;
    default:
        if (world->answering)
            apply(world, TRANSFER_PAGE, &world->answer);
        break;
    }
}

static void test_lives(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct world world = { .keys = (uint32_t)(seed % 40), .now_us = MS };
        random_init(&world.random, seed);
        throttle_set(&world.throttle, seed % 3 == 0 ? 100000 : 0, MS);
        start(&world);
        uint32_t steps = 0;
        for (; !world.done && steps < 100 * 1000; steps++)
            live(&world);
        assert_true(world.done);
        assert_int_equal(world.transfer.state, TRANSFER_COMPLETE);
        assert_int_equal(world.saved.keys, world.keys);
        assert_int_equal(world.saved.sum, world.keys);
    }
}

static void test_sum(void)
{
    struct bytes key = bytes_of_string("key"), value = bytes_of_string("value");
    struct transfer_totals a = { 0 }, b = { 0 };
    transfer_count(&a, key, value);
    transfer_count(&a, value, key);
    transfer_count(&b, value, key);
    transfer_count(&b, key, value);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(a.keys, 2);
    assert_int_equal(a.size, 16);
    assert_true(transfer_hash(key, value) != transfer_hash(value, key));
    assert_true(transfer_hash(key, value) != transfer_hash(key, key));
}

static const struct named_test tests[] = {
    { "lost, doubled and late answers, failures and crashes: all keys come at last", test_lives },
    { "sums know keys and values, and no order", test_sum },
};

int main(void)
{
    return RUN_ROWS("transfer", rows, check) + RUN_TESTS("lives", tests);
}
