/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of replicas and clients against a model too slow to be wrong.
 *
 *  The model never merges: a state is the set of all writes known there, and each write carries the
 *  set of those its client had seen.  Siblings are the kept writes known there that no known write
 *  had seen, and of the others the newest, unless a kept write had seen it.  After each step the
 *  object at the replica must encode to the very bytes of the model's.
 *
 *  Messages are lost, doubled and reordered, contexts are of any age, wall clocks disagree.
 *  A failing history is cut to its shortest failing beginning; KVORUM_SEED=n runs one alone. */
#include "tests/support/rows.h"

#include <stdio.h>

#include "base/random.h"
#include "object/hlc.h"
#include "tests/support/object_text.h"

enum { REPLICAS = 4, WRITES = 64, MESSAGES = 12, CONTEXTS = 6, STEPS = 120, HISTORIES = 2000 };

/* ANY: each write draws its mode, and since when, as while a bucket's property changes. */
enum story { STORY_SIBLINGS, STORY_LAST_WRITE_WINS, STORY_ANY };

struct write {
    uint64_t had_seen; /* bit i: write i; what it replaces */
    struct sibling sibling;
};

/* An object, or a client's context, as bytes; and what it knows.  A client's context names writes
 * that the coordinator may never have held. */
struct known {
    struct bytes bytes;
    uint64_t writes;
};

struct history {
    struct random random;
    struct arena arena;
    enum story story;
    uint64_t seed, now_ms;
    uint32_t write_count;
    struct write writes[WRITES];
    struct known replicas[REPLICAS], messages[MESSAGES], contexts[CONTEXTS];
    struct hlc clocks[REPLICAS];
    bool broken, loud;
};

static uint64_t draw(struct history *history, uint64_t limit)
{
    return random_below(&history->random, limit);
}

static struct object_mode draw_mode(struct history *history)
{
    struct object_mode mode = { .siblings = history->story == STORY_SIBLINGS };
    if (history->story == STORY_ANY) {
        mode.siblings = random_chance(&history->random, 1, 2);
        mode.since = random_chance(&history->random, 1, 2)
                         ? 0
                         : (history->now_ms - draw(history, 50)) << HLC_COUNTER_BITS;
    }
    return mode;
}

static uint64_t actor_of(uint32_t replica)
{
    return 'a' + replica;
}

static struct bytes encode(struct history *history, const struct object *object, bool context)
{
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    if (context)
        context_encode(object, &buffer);
    else
        object_encode(object, &buffer);
    struct bytes copy;
    if (buffer.failed || !arena_copy(&history->arena, buffer_bytes(&buffer), &copy))
        abort();
    buffer_done(&buffer);
    return copy;
}

static struct object decode(struct history *history, struct bytes bytes)
{
    struct object object = { 0 };
    if (bytes.size != 0 && object_decode(bytes, &history->arena, &object) != KVORUM_OK)
        abort();
    return object;
}

/* --- the model -------------------------------------------------------------------------------- */

static bool knows(uint64_t writes, uint32_t i)
{
    return (writes >> i & 1) != 0;
}

static uint64_t model_counter(const struct history *history, uint64_t writes, uint64_t actor)
{
    uint64_t counter = 0;
    for (uint32_t i = 0; i < history->write_count; i++)
        counter += knows(writes, i) && history->writes[i].sibling.dot.actor == actor;
    return counter;
}

static uint64_t model_max_stamp(const struct history *history, uint64_t writes)
{
    uint64_t stamp = 0;
    for (uint32_t i = 0; i < history->write_count; i++) {
        if (knows(writes, i) && history->writes[i].sibling.stamp > stamp)
            stamp = history->writes[i].sibling.stamp;
    }
    return stamp;
}

static bool model_replaced(const struct history *history, uint64_t writes, uint32_t which)
{
    for (uint32_t i = 0; i < history->write_count; i++) {
        if (knows(writes, i) && knows(history->writes[i].had_seen, which))
            return true;
    }
    return false;
}

/* Nobody known that is not kept has a larger (stamp, actor). */
static bool model_wins(const struct history *history, uint64_t writes, uint32_t which)
{
    const struct sibling *one = &history->writes[which].sibling;
    for (uint32_t i = 0; i < history->write_count; i++) {
        const struct sibling *other = &history->writes[i].sibling;
        if (knows(writes, i) && !other->kept &&
            (other->stamp > one->stamp ||
             (other->stamp == one->stamp && other->dot.actor > one->dot.actor)))
            return false;
    }
    return true;
}

/* A kept write that saw a newer one of the others replaces the older ones with it. */
static void model_sibling(const struct history *history, uint64_t writes, uint32_t which,
                          struct object *object)
{
    const struct sibling *sibling = &history->writes[which].sibling;
    bool replaced = model_replaced(history, writes, which);
    if (sibling->kept ? !replaced : model_wins(history, writes, which) && !replaced)
        object->siblings[object->sibling_count++] = *sibling;
    else if (!sibling->kept && model_wins(history, writes, which))
        object->last = (struct write_mark){ sibling->stamp, sibling->dot };
}

/* Actor by actor, in the order they wrote: that is the canonical order. */
static struct object model_object(struct history *history, uint64_t writes)
{
    struct object object = { 0 };
    object.clock.entries = arena_allocate(&history->arena, REPLICAS * sizeof(struct dot));
    object.siblings = arena_allocate(&history->arena, WRITES * sizeof(struct sibling));
    for (uint32_t replica = 0; replica < REPLICAS; replica++) {
        uint64_t actor = actor_of(replica);
        uint64_t counter = model_counter(history, writes, actor);
        if (counter > 0)
            object.clock.entries[object.clock.count++] = (struct dot){ actor, counter };
        for (uint32_t i = 0; i < history->write_count; i++) {
            if (knows(writes, i) && history->writes[i].sibling.dot.actor == actor)
                model_sibling(history, writes, i, &object);
        }
    }
    return object;
}

/* --- the check -------------------------------------------------------------------------------- */

static void complain(struct history *history, const char *what, const struct object *real,
                     const struct object *model)
{
    history->broken = true;
    if (!history->loud)
        return;
    struct buffer text;
    buffer_init(&text, 1 << 16);
    fprintf(stderr, "%s\n  object: %s\n", what, object_text(real, &text));
    fprintf(stderr, "  model:  %s\n", object_text(model, &text));
    buffer_done(&text);
}

static void check_replica(struct history *history, const struct known *replica)
{
    struct object real = decode(history, replica->bytes);
    struct object model = model_object(history, replica->writes);
    if (object_max_stamp(&real) != model_max_stamp(history, replica->writes))
        complain(history, "the largest stamp of all is not here", &real, &model);
    if (!bytes_equal(encode(history, &real, false), encode(history, &model, false)))
        complain(history, "not what the model says", &real, &model);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* What a write in `mode` replaces without having been told: where the last write wins, what was not
 * kept, and what was kept before that was decided. */
static uint64_t model_given_up(const struct history *history, uint64_t writes,
                               struct object_mode mode)
{
    uint64_t given_up = 0;
    for (uint32_t i = 0; i < history->write_count; i++) {
        const struct sibling *sibling = &history->writes[i].sibling;
        if (knows(writes, i) && !mode.siblings && (!sibling->kept || sibling->stamp < mode.since))
            given_up |= (uint64_t)1 << i;
    }
    return given_up;
}

/* On top of any context held by any client, or blindly. */
static void step_put(struct history *history, uint32_t at)
{
    struct known *replica = &history->replicas[at];
    const struct known *client = &history->contexts[draw(history, CONTEXTS)];
    bool blind = client->bytes.size == 0 || random_chance(&history->random, 1, 3);
    if (history->write_count == WRITES)
        return;
    struct object_context context = { .stamp = 0 };
    if (!blind && context_decode(client->bytes, &history->arena, &context) != KVORUM_OK)
        abort();
    uint64_t seen = blind ? 0 : client->writes;
    uint64_t skew_ms = 40 * at;
    uint64_t stamp = hlc_now(&history->clocks[at], history->now_ms + skew_ms);
    struct object_mode mode = draw_mode(history);
    uint64_t above = model_max_stamp(history, replica->writes | seen) + 1;
    above = above > mode.since ? above : mode.since + 1;
    char *value = arena_printf(&history->arena, "w%u", history->write_count);
    struct sibling fresh = { .stamp = stamp,
                             .tombstone = random_chance(&history->random, 1, 4),
                             .kept = mode.siblings,
                             .value = bytes_of_string(value) };

    struct object local = decode(history, replica->bytes);
    if (object_put(&local, blind ? NULL : &context, &fresh, actor_of(at), mode, &history->arena,
                   &local) != KVORUM_OK)
        abort();
    struct write *write = &history->writes[history->write_count];
    *write = (struct write){ seen | model_given_up(history, replica->writes, mode), fresh };
    write->sibling.stamp = stamp > above ? stamp : above;
    write->sibling.dot.actor = actor_of(at);
    replica->writes |= seen | (uint64_t)1 << history->write_count++;
    write->sibling.dot.counter = model_counter(history, replica->writes, actor_of(at));
    replica->bytes = encode(history, &local, false);
}

static void step_receive(struct history *history, uint32_t at, const struct known *message)
{
    struct known *replica = &history->replicas[at];
    if (message->bytes.size == 0)
        return;
    struct object local = decode(history, replica->bytes);
    struct object incoming = decode(history, message->bytes);
    if (object_merge(&local, &incoming, &history->arena, &local) != KVORUM_OK)
        abort();
    (void)hlc_see(&history->clocks[at], object_max_stamp(&incoming), history->now_ms);
    replica->writes |= message->writes;
    replica->bytes = encode(history, &local, false);
}

/* Lost is what is overwritten, late and doubled what is drawn again. */
static void step(struct history *history)
{
    uint32_t at = (uint32_t)draw(history, REPLICAS);
    struct known *replica = &history->replicas[at];
    history->now_ms += draw(history, 3);
    struct object object = decode(history, replica->bytes);
    switch (draw(history, 5)) {
    case 0:
    case 1:
        step_put(history, at);
        break;
    case 2:
        history->messages[draw(history, MESSAGES)] = *replica;
        break;
    case 3:
        step_receive(history, at, &history->messages[draw(history, MESSAGES)]);
        break;
    default:
        history->contexts[draw(history, CONTEXTS)] =
            (struct known){ encode(history, &object, true), replica->writes };
        break;
    }
    check_replica(history, replica);
}

/* Everybody tells everybody, in an order of each one's own, some things twice. */
static void settle(struct history *history)
{
    struct known said[REPLICAS];
    memcpy(said, history->replicas, sizeof(said));
    for (uint32_t at = 0; at < REPLICAS; at++) {
        uint32_t first = (uint32_t)draw(history, REPLICAS);
        for (uint32_t i = 0; i < REPLICAS; i++) {
            step_receive(history, at, &said[(first + i) % REPLICAS]);
            step_receive(history, at, &history->messages[draw(history, MESSAGES)]);
        }
        check_replica(history, &history->replicas[at]);
    }
    for (uint32_t at = 1; at < REPLICAS; at++) {
        struct object here = decode(history, history->replicas[at].bytes);
        struct object first = decode(history, history->replicas[0].bytes);
        if (!bytes_equal(history->replicas[at].bytes, history->replicas[0].bytes))
            complain(history, "replicas that heard the same differ", &here, &first);
    }
}

static bool run(enum story story, uint64_t seed, uint32_t steps, bool loud)
{
    struct history *history = calloc(1, sizeof(*history));
    if (history == NULL)
        abort();
    history->story = story;
    history->loud = loud;
    history->now_ms = 1000;
    random_init(&history->random, seed);
    arena_init(&history->arena, 1 << 24);
    for (uint32_t i = 0; i < steps && !history->broken; i++)
        step(history);
    if (!history->broken)
        settle(history);
    bool fine = !history->broken;
    arena_done(&history->arena);
    free(history);
    return fine;
}

static void run_story(enum story story)
{
    const char *only = getenv("KVORUM_SEED");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t end = only != NULL ? first + 1 : HISTORIES;
    for (uint64_t seed = first; seed < end; seed++) {
        if (run(story, seed, STEPS, false))
            continue;
        uint32_t steps = 0;
        while (run(story, seed, steps, false))
            steps++;
        fprintf(stderr, "KVORUM_SEED=%llu fails after %u steps\n", (unsigned long long)seed, steps);
        (void)run(story, seed, steps, true);
        fail();
    }
}

static void siblings_are_what_nobody_replaced(void **state)
{
    (void)state;
    run_story(STORY_SIBLINGS);
}

static void the_last_write_wins_everywhere(void **state)
{
    (void)state;
    run_story(STORY_LAST_WRITE_WINS);
}

static void a_bucket_may_change_its_mode(void **state)
{
    (void)state;
    run_story(STORY_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siblings_are_what_nobody_replaced),
        cmocka_unit_test(the_last_write_wins_everywhere),
        cmocka_unit_test(a_bucket_may_change_its_mode),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
