/* SPDX-License-Identifier: Apache-2.0 */
/* Two members with toy objects: an object is a set of up to 64 versions, merging is the union, its
 * stamp the highest version.  The test carries questions and answers, loses some, and writes in
 * between. */
#include "cluster/repair/exchange.h"

#include "base/hash.h"
#include "base/random.h"
#include "tests/support/rows.h"

#include <stdio.h>
#include <string.h>

enum {
    KEYS_MAX = 4000,
    NAME_SIZE = 16,
    SETTLE_US = 2000000,
    TIMEOUT_US = 1000000,
    STEPS_MAX = 1000000
};

struct side {
    uint64_t objects[KEYS_MAX]; /* 0: none */
    struct hash_tree tree;
};

struct pair {
    struct side sides[2]; /* ours, theirs */
    char names[KEYS_MAX][NAME_SIZE];
    uint64_t key_hash[KEYS_MAX];
    uint32_t key_count;

    struct exchange exchange;
    struct exchange_effects effects;
    struct arena arena, answers;
    struct random random;
    uint64_t now_us;
    uint32_t page_max;   /* keys */
    uint32_t object_max; /* an answer */
    uint32_t loss;       /* per cent */
    uint32_t busy;       /* writes by others, per cent of steps */
    uint32_t mistaken;   /* objects that travelled though they do not differ */
    bool over;
    kvorum_status status;
};

static uint64_t digest_of(uint64_t object)
{
    return object == 0 ? 0 : hash_mix64(object) | 1;
}

static uint64_t stamp_of(uint64_t object)
{
    return 63 - (uint64_t)__builtin_clzll(object);
}

static void set(struct pair *pair, int side, uint32_t key, uint64_t object)
{
    struct side *of = &pair->sides[side];
    hash_tree_change(&of->tree, pair->key_hash[key], digest_of(of->objects[key]),
                     digest_of(object));
    of->objects[key] = object;
}

static struct bytes name_of(const struct pair *pair, uint32_t key)
{
    return bytes_of_string(pair->names[key]);
}

static struct pair *pair_create(uint64_t seed, uint32_t key_count)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    random_init(&pair->random, seed);
    arena_init(&pair->arena, 1 << 26);
    arena_init(&pair->answers, 1 << 26);
    pair->key_count = key_count;
    pair->page_max = EXCHANGE_PAGE_MAX;
    pair->object_max = EXCHANGE_BATCH_MAX;
    pair->now_us = 1000;
    for (int i = 0; i < 2; i++) {
        hash_tree_init(&pair->sides[i].tree);
        hash_tree_recompute(&pair->sides[i].tree);
        hash_tree_recomputed(&pair->sides[i].tree);
    }
    for (uint32_t i = 0; i < key_count; i++) {
        snprintf(pair->names[i], NAME_SIZE, "%08u", i);
        pair->key_hash[i] = hash_tree_key(1, name_of(pair, i));
    }
    return pair;
}

static void pair_free(struct pair *pair)
{
    arena_done(&pair->arena);
    arena_done(&pair->answers);
    free(pair);
}

static void step(struct pair *pair, struct exchange_event event)
{
    event.now_us = pair->now_us;
    exchange_step(&pair->exchange, &event, &pair->effects);
    pair->over |= pair->effects.finished;
    if (pair->effects.finished)
        pair->status = pair->effects.status;
}

/* --- answering ------------------------------------------------------------------------------- */

static void answer_nodes(struct pair *pair, const struct exchange_effects *asked)
{
    static uint64_t hashes[HASH_TREE_LEAVES];
    for (uint32_t i = 0; i < asked->count; i++)
        hashes[i] = hash_tree_node(&pair->sides[1].tree, asked->level, asked->nodes[i]);
    step(pair, (struct exchange_event){ .kind = EXCHANGE_NODES_ANSWER,
                                        .question = asked->question,
                                        .tree = &pair->sides[0].tree,
                                        .hashes = hashes,
                                        .hash_count = asked->count });
}

static struct exchange_page list(struct pair *pair, int side, const struct exchange_effects *asked)
{
    struct exchange_page page = { 0 };
    struct exchange_entry *entries =
        arena_allocate(&pair->answers, (pair->page_max + 1) * sizeof(*entries));
    for (uint32_t i = 0; i < pair->key_count; i++) {
        uint64_t object = pair->sides[side].objects[i];
        uint16_t leaf = hash_tree_leaf(pair->key_hash[i]);
        if (object == 0 || !leaf_set_has(asked->leaves, leaf) ||
            bytes_compare(name_of(pair, i), asked->after) < 0)
            continue;
        if (page.count == pair->page_max) {
            page.next = name_of(pair, i);
            break;
        }
        entries[page.count++] =
            (struct exchange_entry){ name_of(pair, i), leaf, digest_of(object), stamp_of(object) };
    }
    page.entries = entries;
    return page;
}

static void answer_keys(struct pair *pair, const struct exchange_effects *asked)
{
    struct exchange_event event = { .kind = EXCHANGE_KEYS_ANSWER, .question = asked->question };
    event.ours = list(pair, 0, asked);
    event.theirs = list(pair, 1, asked);
    step(pair, event);
    arena_reset(&pair->answers);
}

static uint32_t number_of(struct bytes name)
{
    uint32_t number = 0;
    for (size_t i = 0; i < name.size; i++)
        number = number * 10 + name.data[i] - '0';
    return number;
}

/* The object goes over and is merged by version there. */
static void move_over(struct pair *pair, int from, uint32_t key)
{
    uint64_t object = pair->sides[from].objects[key], other = pair->sides[1 - from].objects[key];
    pair->mistaken += object == other;
    set(pair, 1 - from, key, object | other);
}

static struct exchange_event carry_out(struct pair *pair,
                                       const struct exchange_difference *difference)
{
    uint32_t key = number_of(difference->key);
    struct exchange_event event = { .kind = EXCHANGE_OBJECT, .result = EXCHANGE_LEFT };
    uint64_t ours = digest_of(pair->sides[0].objects[key]);
    uint64_t theirs = digest_of(pair->sides[1].objects[key]);
    bool push = difference->action == EXCHANGE_PUSH;
    if (push                                   ? ours != difference->ours
        : difference->action == EXCHANGE_CHECK ? theirs == difference->ours
                                               : theirs != difference->theirs)
        return event;
    move_over(pair, push ? 0 : 1, key);
    event.result = EXCHANGE_MOVED;
    event.digest = digest_of(pair->sides[0].objects[key]);
    return event;
}

static void answer_objects(struct pair *pair, const struct exchange_effects *asked)
{
    uint32_t indices[EXCHANGE_BATCH_MAX], room = pair->object_max;
    uint32_t count = asked->count, question = asked->question;
    memcpy(indices, asked->indices, count * sizeof(*indices));
    for (uint32_t i = 0; i < count && !pair->over; i++) {
        struct exchange_event event = { .kind = EXCHANGE_OBJECT, .result = EXCHANGE_LATER };
        if (room > 0)
            event = carry_out(pair, &pair->exchange.differences[indices[i]]);
        room -= room > 0 && event.result == EXCHANGE_MOVED;
        event.question = question;
        event.index = indices[i];
        step(pair, event);
    }
}

static void write_somewhere(struct pair *pair)
{
    uint32_t key = (uint32_t)random_below(&pair->random, pair->key_count);
    uint64_t version = UINT64_C(1) << random_below(&pair->random, 64);
    for (int side = 0; side < 2; side++)
        set(pair, side, key, pair->sides[side].objects[key] | version);
}

static void pass_time(struct pair *pair)
{
    pair->now_us = pair->exchange.deadline_us;
    step(pair, (struct exchange_event){ .kind = EXCHANGE_TICK });
}

static void answer_one(struct pair *pair, const struct exchange_effects *asked)
{
    switch (asked->ask) {
    case EXCHANGE_ASK_NODES:
        answer_nodes(pair, asked);
        break;
    case EXCHANGE_ASK_KEYS:
        answer_keys(pair, asked);
        break;
    case EXCHANGE_ASK_OBJECTS:
    case EXCHANGE_ASK_PUSH:
        answer_objects(pair, asked);
        break;
    case EXCHANGE_ASK_NOTHING:
        pass_time(pair);
        break;
    }
}

static void begin(struct pair *pair)
{
    pair->exchange = (struct exchange){
        .settle_us = SETTLE_US, .timeout_us = TIMEOUT_US, .arena = &pair->arena, .question = 17
    };
    pair->over = false;
    step(pair, (struct exchange_event){ .kind = EXCHANGE_START });
}

static void play(struct pair *pair)
{
    begin(pair);
    for (uint32_t i = 0; !pair->over; i++) {
        assert_true(i < STEPS_MAX);
        if (random_below(&pair->random, 100) < pair->busy)
            write_somewhere(pair);
        struct exchange_effects asked = pair->effects;
        if (random_below(&pair->random, 100) < pair->loss)
            pass_time(pair);
        else
            answer_one(pair, &asked);
    }
}

static void check_equal(const struct pair *pair)
{
    for (uint32_t i = 0; i < pair->key_count; i++)
        assert_true(pair->sides[0].objects[i] == pair->sides[1].objects[i]);
    assert_true(hash_tree_node(&pair->sides[0].tree, 0, 0) ==
                hash_tree_node(&pair->sides[1].tree, 0, 0));
}

/* --- properties ------------------------------------------------------------------------------ */

/* What both had before; of those that differ, some lost it at one side, some got more there. */
static uint64_t draw_side(struct pair *pair, uint64_t both, bool differs)
{
    uint64_t own = random_next(&pair->random), less = random_next(&pair->random);
    uint64_t kind = differs ? random_below(&pair->random, 9) : 8;
    return kind < 6 ? both | (own & less) : kind == 6 ? 0 : both;
}

static void fill(struct pair *pair, uint32_t differing_per_mille)
{
    for (uint32_t i = 0; i < pair->key_count; i++) {
        uint64_t both = random_below(&pair->random, 5) == 0 ? 0 : random_next(&pair->random);
        bool differs = random_below(&pair->random, 1000) < differing_per_mille;
        for (int side = 0; side < 2; side++)
            set(pair, side, i, draw_side(pair, both, differs));
    }
}

static uint32_t count_differing(const struct pair *pair)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pair->key_count; i++)
        count += pair->sides[0].objects[i] != pair->sides[1].objects[i];
    return count;
}

static void test_any_two(void)
{
    static const uint32_t shares[] = { 0, 1, 10, 200, 1000 };
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct pair *pair = pair_create(seed, 1 + (uint32_t)(seed * 131 % KEYS_MAX));
        fill(pair, shares[seed % 5]);
        pair->page_max = seed % 3 == 0 ? 7 : EXCHANGE_PAGE_MAX;
        pair->object_max = seed % 4 == 0 ? 3 : EXCHANGE_BATCH_MAX;
        uint32_t differing = count_differing(pair);
        play(pair);
        assert_int_equal(pair->status, KVORUM_OK);
        check_equal(pair);
        assert_int_equal(pair->mistaken, 0);
        assert_int_equal(pair->exchange.figures.keys_differing, differing);
        assert_true(pair->exchange.figures.fetched + pair->exchange.figures.pushed <=
                    2 * differing);
        assert_int_equal(pair->exchange.figures.left, 0);
        struct leaf_set doubted;
        assert_false(exchange_doubts(&pair->exchange, &doubted));
        pair_free(pair);
    }
}

/* Whatever is lost, the end is either equal replicas or an honest TIMEOUT, and another exchange
 * goes on from there. */
static void test_losses(void)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct pair *pair = pair_create(seed, 500);
        fill(pair, 100);
        pair->loss = 20;
        pair->page_max = 50;
        int exchanges = 0;
        do {
            play(pair);
            assert_true(pair->status == KVORUM_OK || pair->status == KVORUM_TIMEOUT);
            assert_true(exchanges++ < 100);
        } while (pair->status != KVORUM_OK);
        check_equal(pair);
        pair_free(pair);
    }
}

static void test_busy(void)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct pair *pair = pair_create(seed, 300);
        fill(pair, 100);
        pair->busy = 50;
        pair->page_max = 20;
        play(pair);
        pair->busy = 0;
        play(pair);
        assert_int_equal(pair->status, KVORUM_OK);
        check_equal(pair);
        pair_free(pair);
    }
}

/* --- stories --------------------------------------------------------------------------------- */

static struct pair *pair_with(uint64_t ours, uint64_t theirs)
{
    struct pair *pair = pair_create(1, 100);
    for (uint32_t i = 0; i < 100; i++)
        for (int side = 0; side < 2; side++)
            set(pair, side, i, 1);
    set(pair, 0, 50, ours);
    set(pair, 1, 50, theirs);
    return pair;
}

static void check_moves(uint64_t ours, uint64_t theirs, uint32_t fetched, uint32_t pushed)
{
    struct pair *pair = pair_with(ours, theirs);
    play(pair);
    check_equal(pair);
    assert_int_equal(pair->sides[0].objects[50], ours | theirs);
    assert_int_equal(pair->exchange.figures.fetched, fetched);
    assert_int_equal(pair->exchange.figures.pushed, pushed);
    assert_int_equal(pair->exchange.figures.keys_differing, ours != theirs);
    pair_free(pair);
}

static void test_moves(void)
{
    check_moves(7, 7, 0, 0);
    check_moves(0, 7, 1, 0);  /* only they */
    check_moves(7, 0, 0, 1);  /* only we */
    check_moves(3, 7, 1, 0);  /* theirs is newer and holds all */
    check_moves(7, 3, 0, 1);  /* ours is newer and holds all */
    check_moves(5, 11, 1, 1); /* both have something, theirs is newer */
    check_moves(11, 5, 1, 1); /* ours is newer */
    check_moves(5, 7, 1, 0);  /* equally new, theirs holds all */
    check_moves(7, 5, 1, 1);  /* equally new, ours holds all: theirs had to be looked at */
    check_moves(13, 11, 1, 1);
}

static void test_settles(void)
{
    struct pair *pair = pair_with(3, 1);
    begin(pair);
    while (pair->exchange.state != EXCHANGE_SETTLING) {
        struct exchange_effects asked = pair->effects;
        answer_one(pair, &asked);
    }
    assert_true(pair->exchange.deadline_us == pair->now_us + SETTLE_US);
    pair->now_us += SETTLE_US - 1;
    step(pair, (struct exchange_event){ .kind = EXCHANGE_TICK });
    assert_int_equal(pair->exchange.state, EXCHANGE_SETTLING);
    set(pair, 1, 50, 3); /* the write arrives */
    while (!pair->over) {
        struct exchange_effects asked = pair->effects;
        answer_one(pair, &asked);
    }
    assert_int_equal(pair->status, KVORUM_OK);
    assert_int_equal(pair->exchange.figures.keys_compared, 0);
    pair_free(pair);
}

/* Between the comparison of the keys and the transfer somebody writes. */
static void check_left(int writer)
{
    struct pair *pair = pair_with(writer == 0 ? 3 : 1, writer == 0 ? 1 : 3);
    begin(pair);
    while (pair->exchange.state != EXCHANGE_ACTING) {
        struct exchange_effects asked = pair->effects;
        answer_one(pair, &asked);
    }
    set(pair, writer, 50, 15);
    while (!pair->over) {
        struct exchange_effects asked = pair->effects;
        answer_one(pair, &asked);
    }
    assert_int_equal(pair->exchange.figures.left, 1);
    assert_int_equal(pair->exchange.figures.fetched + pair->exchange.figures.pushed, 0);
    pair_free(pair);
}

static void test_left(void)
{
    check_left(0);
    check_left(1);
}

static void test_silence(void)
{
    static const enum exchange_state states[] = { EXCHANGE_NODES, EXCHANGE_LEAVES, EXCHANGE_KEYS,
                                                  EXCHANGE_ACTING };
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        struct pair *pair = pair_with(3, 1);
        begin(pair);
        while (pair->exchange.state != states[i]) {
            struct exchange_effects asked = pair->effects;
            answer_one(pair, &asked);
        }
        for (int tries = 1; tries <= 3; tries++) {
            struct exchange_effects asked = pair->effects;
            assert_false(pair->over);
            pass_time(pair);
            assert_true(tries == 3 || pair->effects.ask == asked.ask);
            assert_true(tries == 3 || pair->effects.question == asked.question + 1);
        }
        assert_true(pair->over);
        assert_int_equal(pair->status, KVORUM_TIMEOUT);
        pair_free(pair);
    }
}

static void test_stale(void)
{
    struct pair *pair = pair_with(3, 1);
    begin(pair);
    struct exchange_effects first = pair->effects;
    pass_time(pair);
    struct exchange_effects second = pair->effects;
    struct exchange before = pair->exchange;
    answer_nodes(pair, &first);
    assert_memory_equal(&before, &pair->exchange, sizeof(before));
    step(pair, (struct exchange_event){ .kind = EXCHANGE_REFUSED, .question = first.question });
    assert_memory_equal(&before, &pair->exchange, sizeof(before));
    step(pair,
         (struct exchange_event){ .kind = EXCHANGE_KEYS_ANSWER, .question = second.question });
    assert_memory_equal(&before, &pair->exchange, sizeof(before));
    second.nodes = before.nodes;
    answer_nodes(pair, &second);
    assert_int_equal(pair->exchange.level, 1);
    pair_free(pair);
}

static void test_refused(void)
{
    struct pair *pair = pair_with(3, 1);
    begin(pair);
    step(pair, (struct exchange_event){ .kind = EXCHANGE_REFUSED,
                                        .question = pair->effects.question,
                                        .status = KVORUM_NOT_READY });
    assert_true(pair->over);
    assert_int_equal(pair->status, KVORUM_NOT_READY);
    pair_free(pair);
}

static void test_doubts(void)
{
    struct pair *pair = pair_with(3, 1);
    struct leaf_set doubted;
    uint16_t wrong = hash_tree_leaf(pair->key_hash[3]);
    pair->sides[0].tree.sums[wrong]++;
    play(pair);
    assert_true(exchange_doubts(&pair->exchange, &doubted));
    assert_int_equal(leaf_set_count(&doubted), 1);
    assert_true(leaf_set_has(&doubted, wrong));
    pair->exchange.narrowed = true;
    assert_false(exchange_doubts(&pair->exchange, &doubted));
    pair_free(pair);
}

static const struct named_test tests[] = {
    { "any two replicas hold the merge of both afterwards, and only what differed has travelled",
      test_any_two },
    { "lost questions and answers cost time, not objects", test_losses },
    { "writes in between are neither lost nor in the way", test_busy },
    { "an object travels in the direction that makes sense", test_moves },
    { "a difference that goes away while settling is nobody's business", test_settles },
    { "an object that changed since it was compared is left alone", test_left },
    { "a question without answer is asked three times", test_silence },
    { "answers to earlier questions change nothing", test_stale },
    { "a refusal ends the exchange", test_refused },
    { "a leaf that differs without a key that does is doubted", test_doubts },
};

int main(void)
{
    return RUN_TESTS("exchange", tests);
}
