/* SPDX-License-Identifier: Apache-2.0 */
/* Laws over random objects, most of which no history could have made: one dot with two contents,
 * stamps against causality, clocks without siblings.  Objects grow from case to case, so the first
 * failure is a small one; it prints its seed, and KVORUM_SEED=n runs that case alone. */
#include "tests/support/rows.h"

#include <stdio.h>

#include "base/random.h"
#include "tests/support/object_text.h"

enum { CASES = 100000, CASES_A_SIZE = 20000 };

struct law {
    struct random random;
    struct arena arena;
    unsigned size; /* 1..5: actors, counters, stamps are drawn below it */
    enum object_mode mode;
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
        *sibling = (struct sibling){ .dot = { last.actor, counter },
                                     .stamp = draw(law, 2 + law->size),
                                     .tombstone = random_chance(&law->random, 1, 4),
                                     .value = random_value(law) };
        random_metadata(law, sibling);
    }
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
    if (law->mode == OBJECT_LAST_WRITE_WINS && object.sibling_count > 1) {
        object.siblings[0] = *object_winner(&object);
        object.sibling_count = 1;
    }
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

static bool same(struct law *law, const struct object *a, const struct object *b)
{
    return bytes_equal(encode(law, a), encode(law, b));
}

static struct object merge(struct law *law, const struct object *a, const struct object *b)
{
    struct object merged;
    if (object_merge(a, b, law->mode, &law->arena, &merged) != KVORUM_OK)
        abort();
    return merged;
}

static void explain(const struct law *law, const char *what, const struct object *objects)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    fprintf(stderr, "%s is broken, %s mode, KVORUM_SEED=%llu\n", what,
            law->mode == OBJECT_SIBLINGS ? "siblings" : "last-write-wins",
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
    if (object_contains(&o[0], &o[1], law->mode) != same(law, &ab, &o[0]))
        return "a contains b exactly when a + b = a";
    if (!object_contains(&left, &o[1], law->mode))
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

/* Siblings of local are there exactly when the context does not cover them. */
static bool survivors_right(const struct object *local, const struct object_context *context,
                            const struct object *result)
{
    uint32_t survivors = 0;
    for (uint32_t i = 0; i < local->sibling_count; i++) {
        struct dot dot = local->siblings[i].dot;
        bool covered = dot.counter <= clock_vector_counter(&context->clock, dot.actor);
        if (covered != (find(result, dot) == NULL))
            return false;
        survivors += !covered;
    }
    return result->sibling_count == survivors + 1;
}

/* a is local, b is what the client read. */
static const char *check_put(struct law *law, const struct object *o)
{
    struct object_context context = { o[1].clock, object_max_stamp(&o[1]) };
    struct object seen = { .clock = o[1].clock }, result;
    struct sibling fresh = { .stamp = draw(law, 9), .value = BYTES_LITERAL("new") };
    uint64_t actor = 'a' + draw(law, law->size + 1);
    if (object_put(&o[0], &context, &fresh, actor, law->mode, &law->arena, &result) != KVORUM_OK)
        abort();
    struct dot dot = { actor, clock_vector_counter(&result.clock, actor) };
    const struct sibling *made = find(&result, dot);
    if (made == NULL || !bytes_equal(made->value, fresh.value))
        return "the new dot is the actor's last";
    if (dot.counter <= clock_vector_counter(&o[0].clock, actor) ||
        dot.counter <= clock_vector_counter(&o[1].clock, actor))
        return "the new dot is above local's and the context's";
    if (made->stamp < fresh.stamp || made->stamp <= context.stamp ||
        made->stamp <= object_max_stamp(&o[0]) || object_winner(&result) != made)
        return "the new stamp is above all";
    if (!object_contains(&result, &o[0], law->mode))
        return "put(local) contains local";
    if (!object_contains(&result, &seen, law->mode))
        return "put(context) contains the context's clock";
    if (law->mode == OBJECT_LAST_WRITE_WINS ? result.sibling_count != 1
                                            : !survivors_right(&o[0], &context, &result))
        return "what the context does not cover stays";
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

static void run_case(enum object_mode mode, uint64_t seed)
{
    struct law law = { .mode = mode, .seed = seed };
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

static void run_mode(enum object_mode mode)
{
    const char *only = getenv("KVORUM_SEED");
    if (only != NULL) {
        run_case(mode, strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 0; seed < CASES; seed++)
        run_case(mode, seed);
}

static void laws_hold_among_siblings(void **state)
{
    (void)state;
    run_mode(OBJECT_SIBLINGS);
}

static void laws_hold_where_the_last_write_wins(void **state)
{
    (void)state;
    run_mode(OBJECT_LAST_WRITE_WINS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_hold_among_siblings),
        cmocka_unit_test(laws_hold_where_the_last_write_wins),
    };
    return cmocka_run_group_tests_name("laws", tests, NULL, NULL);
}
