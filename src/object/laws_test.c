/* SPDX-License-Identifier: Apache-2.0 */
/* Laws over random objects, most of which no history could have made: one dot with two contents,
 * stamps against causality, clocks without siblings.  Objects grow from case to case, so the first
 * failure is a small one; it prints its seed, and KVORUM_SEED=n runs that case alone. */
#include "tests/support/rows.h"

#include <stdio.h>

#include "base/random.h"
#include "object/sibling.h"
#include "tests/support/object_text.h"

enum { CASES = 100000, CASES_A_SIZE = 20000 };

/* Which siblings the objects have: a bucket that never changed its mode, or one that did. */
enum kind { KIND_KEPT, KIND_LAST, KIND_BOTH };
static const char *const kind_names[] = { "kept siblings", "last write wins", "both modes" };

struct law {
    struct random random;
    struct arena arena;
    unsigned size; /* 1..5: actors, counters, stamps are drawn below it */
    enum kind kind;
    uint64_t seed;
};

static uint64_t draw(struct law *law, uint64_t limit)
{
    return random_below(&law->random, limit);
}

static struct bytes random_value(struct law *law)
{
    static const char *values[] = { "", "x", "y", "xy" };
    return bytes_of_string(values[draw(law, 4)]);
}

static void random_metadata(struct law *law, struct sibling *sibling)
{
    sibling->metadata_count = random_chance(&law->random, 1, 3) ? (uint32_t)draw(law, 3) : 0;
    sibling->metadata = arena_allocate_zero(&law->arena, 2 * sizeof(struct metadata));
    for (uint32_t i = 0; i < sibling->metadata_count; i++)
        sibling->metadata[i] =
            (struct metadata){ (uint8_t)(1 + draw(law, 2)), random_value(law), random_value(law) };
}

static void random_siblings(struct law *law, struct dot last, struct object *object)
{
    for (uint64_t counter = 1; counter <= last.counter; counter++) {
        if (random_chance(&law->random, 1, 2))
            continue;
        struct sibling *sibling = &object->siblings[object->sibling_count++];
        *sibling =
            (struct sibling){ .dot = { last.actor, counter },
                              .stamp = draw(law, 2 + law->size),
                              .tombstone = random_chance(&law->random, 1, 4),
                              .kept = law->kind == KIND_KEPT ||
                                      (law->kind == KIND_BOTH && random_chance(&law->random, 1, 2)),
                              .deadline_ms =
                                  random_chance(&law->random, 1, 4) ? 1 + draw(law, 3) : 0,
                              .value = random_value(law) };
        random_metadata(law, sibling);
    }
}

/* Of those that are not kept only the winner stays. */
static void leave_one(struct object *object)
{
    const struct sibling *winner = NULL;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        if (!object->siblings[i].kept)
            winner =
                winner == NULL ? &object->siblings[i] : sibling_max(winner, &object->siblings[i]);
    }
    struct sibling last = winner == NULL ? (struct sibling){ 0 } : *winner;
    uint32_t count = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        if (object->siblings[i].kept || (object->siblings[i].dot.actor == last.dot.actor &&
                                         object->siblings[i].dot.counter == last.dot.counter))
            object->siblings[count++] = object->siblings[i];
    }
    object->sibling_count = count;
}

/* A replaced write that was not kept, by chance; where one is there it says nothing. */
static void random_last(struct law *law, struct object *object)
{
    if (law->kind != KIND_BOTH || object->clock.count == 0 || random_chance(&law->random, 1, 2))
        return;
    struct dot newest = object->clock.entries[draw(law, object->clock.count)];
    object->last.stamp = draw(law, 2 + law->size);
    object->last.dot = (struct dot){ newest.actor, 1 + draw(law, newest.counter) };
}

static struct object random_object(struct law *law)
{
    struct object object = { 0 };
    object.clock.entries = arena_allocate(&law->arena, 8 * sizeof(struct dot));
    object.siblings = arena_allocate(&law->arena, 32 * sizeof(struct sibling));
    for (unsigned actor = 0; actor < law->size; actor++) {
        uint64_t counter = draw(law, 1 + law->size);
        if (counter == 0)
            continue;
        struct dot last = { 'a' + actor, counter };
        object.clock.entries[object.clock.count++] = last;
        random_siblings(law, last, &object);
    }
    leave_one(&object);
    random_last(law, &object);
    return object;
}

static struct bytes encode(struct law *law, const struct object *object)
{
    struct buffer buffer;
    buffer_init(&buffer, 1 << 16);
    object_encode(object, &buffer);
    struct bytes copy;
    if (buffer.failed || !arena_copy(&law->arena, buffer_bytes(&buffer), &copy))
        abort();
    buffer_done(&buffer);
    return copy;
}

static struct bytes context_of(struct law *law, const struct object *object)
{
    struct buffer buffer;
    buffer_init(&buffer, 1 << 16);
    context_encode(object, &buffer);
    struct bytes copy;
    if (buffer.failed || !arena_copy(&law->arena, buffer_bytes(&buffer), &copy))
        abort();
    buffer_done(&buffer);
    return copy;
}

static bool same(struct law *law, const struct object *a, const struct object *b)
{
    return bytes_equal(encode(law, a), encode(law, b));
}

static struct object merge(struct law *law, const struct object *a, const struct object *b)
{
    struct object merged;
    if (object_merge(a, b, &law->arena, &merged) != KVORUM_OK)
        abort();
    return merged;
}

static void explain(const struct law *law, const char *what, const struct object *objects)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    fprintf(stderr, "%s is broken, %s, KVORUM_SEED=%llu\n", what, kind_names[law->kind],
            (unsigned long long)law->seed);
    for (int i = 0; i < 3; i++)
        fprintf(stderr, "  %c: %s\n", 'a' + i, object_text(&objects[i], &text));
    buffer_done(&text);
}

/* The name of the first broken law of merge, or NULL. */
static const char *check_merge(struct law *law, const struct object *o)
{
    struct object ab = merge(law, &o[0], &o[1]), ba = merge(law, &o[1], &o[0]);
    struct object bc = merge(law, &o[1], &o[2]), aa = merge(law, &o[0], &o[0]);
    struct object left = merge(law, &ab, &o[2]), right = merge(law, &o[0], &bc);
    struct object again = merge(law, &ab, &o[0]);
    if (!same(law, &ab, &ba))
        return "a + b = b + a";
    if (!same(law, &left, &right))
        return "(a + b) + c = a + (b + c)";
    if (!same(law, &aa, &o[0]))
        return "a + a = a";
    if (!same(law, &again, &ab))
        return "(a + b) + a = a + b";
    if (object_contains(&o[0], &o[1]) != same(law, &ab, &o[0]))
        return "a contains b exactly when a + b = a";
    if (!object_contains(&left, &o[1]))
        return "a + b + c contains b";
    return NULL;
}

static const struct sibling *find(const struct object *object, struct dot dot)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        if (object->siblings[i].dot.actor == dot.actor &&
            object->siblings[i].dot.counter == dot.counter)
            return &object->siblings[i];
    }
    return NULL;
}

/* What a write on top of local leaves: what its context did not see and its mode does not give
 * up. */
static bool must_survive(const struct sibling *sibling, const struct object_context *context,
                         struct object_mode mode)
{
    struct dot dot = sibling->dot, last = context->last.dot;
    if (!sibling->kept) {
        bool newer = sibling->stamp != context->last.stamp ? sibling->stamp > context->last.stamp
                     : dot.actor != last.actor             ? dot.actor > last.actor
                                                           : dot.counter > last.counter;
        return mode.siblings && newer;
    }
    bool covered = dot.counter <= clock_vector_counter(&context->clock, dot.actor);
    return !covered && (mode.siblings || sibling->stamp >= mode.since);
}

static bool survivors_right(const struct object *local, const struct object_context *context,
                            struct object_mode mode, const struct object *result)
{
    uint32_t survivors = 0;
    for (uint32_t i = 0; i < local->sibling_count; i++) {
        bool survives = must_survive(&local->siblings[i], context, mode);
        if (survives != (find(result, local->siblings[i].dot) != NULL))
            return false;
        survivors += survives;
    }
    return result->sibling_count == survivors + 1;
}

/* A reader sees all that the next write would leave, and of the rest the winner. */
static bool shown_right(struct law *law, const struct object *object, struct object_mode mode)
{
    struct object shown;
    static const struct object_context blind = { .stamp = 0 };
    if (object_show(object, mode, &law->arena, &shown) != KVORUM_OK)
        abort();
    uint32_t survivors = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        bool survives = must_survive(&object->siblings[i], &blind, mode);
        if (survives && find(&shown, object->siblings[i].dot) == NULL)
            return false;
        survivors += survives;
    }
    return shown.sibling_count == survivors + (survivors < object->sibling_count ? 1 : 0) &&
           bytes_equal(context_of(law, &shown), context_of(law, object)) &&
           (object_winner(&shown) == NULL) == (object_winner(object) == NULL);
}

/* a is local, b is what the client read. */
static const char *check_put(struct law *law, const struct object *o)
{
    struct object_context context = object_context_of(&o[1]);
    struct object seen = { .clock = o[1].clock, .last = object_last_mark(&o[1]) }, result;
    struct sibling fresh = { .stamp = draw(law, 9), .value = BYTES_LITERAL("new") };
    struct object_mode mode = { law->kind == KIND_KEPT ||
                                    (law->kind == KIND_BOTH && random_chance(&law->random, 1, 2)),
                                draw(law, 2 + law->size) };
    uint64_t actor = 'a' + draw(law, law->size + 1);
    if (object_put(&o[0], &context, &fresh, actor, mode, &law->arena, &result) != KVORUM_OK)
        abort();
    struct dot dot = { actor, clock_vector_counter(&result.clock, actor) };
    const struct sibling *made = find(&result, dot);
    if (made == NULL || !bytes_equal(made->value, fresh.value) || made->kept != mode.siblings)
        return "the new dot is the actor's last";
    if (dot.counter <= clock_vector_counter(&o[0].clock, actor) ||
        dot.counter <= clock_vector_counter(&o[1].clock, actor))
        return "the new dot is above local's and the context's";
    if (made->stamp < fresh.stamp || made->stamp <= context.stamp || made->stamp <= mode.since ||
        made->stamp <= object_max_stamp(&o[0]) || object_winner(&result) != made)
        return "the new stamp is above all";
    if (!object_contains(&result, &o[0]))
        return "put(local) contains local";
    if (!object_contains(&result, &seen))
        return "put(context) contains what the client saw";
    if (!survivors_right(&o[0], &context, mode, &result))
        return "what the context did not see and the mode does not give up stays";
    if (!shown_right(law, &o[0], mode))
        return "a reader is shown what the next write leaves, and the winner of the rest";
    return NULL;
}

static const char *check_round_trip(struct law *law, const struct object *o)
{
    struct bytes bytes = encode(law, &o[0]);
    struct object decoded;
    if (object_decode(bytes, &law->arena, &decoded) != KVORUM_OK)
        return "what is encoded decodes";
    if (bytes.size != object_encoded_size(&o[0]) || !same(law, &decoded, &o[0]))
        return "decoding is the inverse of encoding";
    return NULL;
}

static void run_case(enum kind kind, uint64_t seed)
{
    struct law law = { .kind = kind, .seed = seed };
    law.size = (unsigned)(1 + seed / CASES_A_SIZE);
    random_init(&law.random, seed);
    arena_init(&law.arena, 1 << 20);
    const struct object objects[3] = { random_object(&law), random_object(&law),
                                       random_object(&law) };
    const char *broken = check_merge(&law, objects);
    if (broken == NULL)
        broken = check_put(&law, objects);
    if (broken == NULL)
        broken = check_round_trip(&law, objects);
    if (broken != NULL)
        explain(&law, broken, objects);
    arena_done(&law.arena);
    assert_null(broken);
}

static void run_kind(enum kind kind)
{
    const char *only = getenv("KVORUM_SEED");
    if (only != NULL) {
        run_case(kind, strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 0; seed < CASES; seed++)
        run_case(kind, seed);
}

static void laws_hold_among_siblings(void **state)
{
    (void)state;
    run_kind(KIND_KEPT);
}

static void laws_hold_where_the_last_write_wins(void **state)
{
    (void)state;
    run_kind(KIND_LAST);
}

static void laws_hold_between_the_modes(void **state)
{
    (void)state;
    run_kind(KIND_BOTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_hold_among_siblings),
        cmocka_unit_test(laws_hold_where_the_last_write_wins),
        cmocka_unit_test(laws_hold_between_the_modes),
    };
    return cmocka_run_group_tests_name("laws", tests, NULL, NULL);
}
