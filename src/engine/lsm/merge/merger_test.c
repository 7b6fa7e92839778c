/* SPDX-License-Identifier: Apache-2.0 */
/* Merges against a sorted array of all entries, walked at random both ways. */
#include "engine/lsm/merge/merger.h"

#include "base/random.h"
#include "tests/support/fake_source.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { ENTRIES_MAX = 400, CHILDREN_MAX = 12, STEPS = 4000 };

struct world {
    struct random random;
    size_t children, count, used[CHILDREN_MAX];
    struct lsm_entry all[ENTRIES_MAX]; /* sorted */
    struct lsm_entry of[CHILDREN_MAX][ENTRIES_MAX];
    char keys[ENTRIES_MAX][32];
    struct lsm_source *source;
    unsigned closed;
};

struct row {
    const char *name;
    size_t children, count;
    unsigned keys;      /* different ones, about */
    const char *before; /* what all keys begin with */
    bool zeros;         /* sequence numbers are 0, so children may hold equal entries */
};

static const struct row rows[] = {
    { "no children give an empty source", 0, 0, 1, "", false },
    { "one child", 1, 50, 50, "", false },
    { "two children", 2, 200, 150, "", false },
    { "three children, many versions of a key", 3, 300, 10, "", false },
    { "four children", 4, 400, 1000, "", false },
    { "twelve children, some of them empty", 12, 30, 40, "", false },
    { "keys that begin with the same eight bytes", 5, 400, 1000, "bucket/0", false },
    { "keys that begin with the same seventeen bytes", 5, 400, 300, "bucket/0123456789", false },
    { "keys of which many are shorter than eight bytes", 5, 400, 700, "\1", false },
    { "equal entries come in the order of the children", 6, 400, 30, "", true },
};

static int entry_order(const void *a, const void *b)
{
    const struct lsm_entry *left = a, *right = b;
    int order = lsm_order(left->key, left->sequence, right);
    if (order != 0)
        return order;
    return (left->value.size > right->value.size) - (left->value.size < right->value.size);
}

/* The size of the value names the child. */
static void fill(struct world *world, const struct row *row)
{
    static const uint8_t value[CHILDREN_MAX];
    world->children = row->children;
    world->count = row->count;
    for (size_t i = 0; i < row->count; i++) {
        size_t child = random_below(&world->random, row->children);
        unsigned number = (unsigned)random_below(&world->random, row->keys);
        snprintf(world->keys[i], sizeof(world->keys[i]), "%s%x", row->before, number * 2654435761u);
        world->keys[i][strlen(row->before) + 1 + random_below(&world->random, 8)] = 0;
        struct bytes key = bytes_of_string(world->keys[i]);
        world->all[i] =
            (struct lsm_entry){ key, bytes_make(value, child), row->zeros ? 0 : i + 1, LSM_PUT };
    }
    qsort(world->all, row->count, sizeof(world->all[0]), entry_order);
    size_t kept = 0;
    for (size_t i = 0; i < row->count; i++)
        if (kept == 0 || entry_order(&world->all[kept - 1], &world->all[i]) != 0)
            world->all[kept++] = world->all[i];
    world->count = kept;
    for (size_t i = 0; i < kept; i++) {
        size_t child = world->all[i].value.size;
        world->of[child][world->used[child]++] = world->all[i];
    }
}

static void open_source(struct world *world)
{
    struct lsm_source *children[CHILDREN_MAX];
    for (size_t i = 0; i < world->children; i++) {
        struct fake_source *fake = fake_source_create(world->of[i], world->used[i]);
        fake->closed = &world->closed;
        children[i] = &fake->base;
    }
    assert_int_equal(lsm_merger_create(children, world->children, &world->source), KVORUM_OK);
}

static void check_at(const struct world *world, size_t at)
{
    const struct lsm_source *source = world->source;
    assert_int_equal(source->status, KVORUM_OK);
    assert_int_equal(source->valid, at < world->count);
    if (at >= world->count)
        return;
    assert_true(bytes_equal(source->entry.key, world->all[at].key));
    assert_int_equal(source->entry.sequence, world->all[at].sequence);
    assert_int_equal(source->entry.value.size, world->all[at].value.size);
}

static size_t seek(struct world *world, struct bytes key, uint64_t sequence)
{
    size_t at = 0;
    world->source->ops->seek(world->source, key, sequence);
    while (at < world->count && lsm_order(key, sequence, &world->all[at]) > 0)
        at++;
    return at;
}

static size_t seek_before(struct world *world, struct bytes key)
{
    size_t at = 0;
    world->source->ops->seek_before(world->source, key);
    while (at < world->count && bytes_compare(world->all[at].key, key) < 0)
        at++;
    return at - 1;
}

static size_t jump(struct world *world)
{
    struct random *random = &world->random;
    struct bytes key = BYTES_LITERAL("7");
    if (world->count > 0)
        key = world->all[random_below(random, world->count)].key;
    if (key.size > 1 && random_chance(random, 1, 3))
        key.size--;
    switch (random_below(random, 4)) {
    case 0:
        world->source->ops->first(world->source);
        return 0;
    case 1:
        world->source->ops->last(world->source);
        return world->count - 1;
    case 2:
        return seek(world, key, random_below(random, ENTRIES_MAX));
    default:
        return seek_before(world, key);
    }
}

static void walk(struct world *world)
{
    size_t at = jump(world);
    check_at(world, at);
    for (int i = 0; i < STEPS; i++) {
        if (at >= world->count || random_chance(&world->random, 1, 20)) {
            at = jump(world);
        } else if (random_chance(&world->random, (uint32_t)(i / 100) % 4 + 1, 5)) {
            world->source->ops->next(world->source);
            at++;
        } else {
            world->source->ops->previous(world->source);
            at--;
        }
        check_at(world, at);
    }
}

static void check(const void *context)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct world *world = calloc(1, sizeof(*world));
        assert_non_null(world);
        random_init(&world->random, seed);
        fill(world, context);
        open_source(world);
        walk(world);
        world->source->ops->close(world->source);
        assert_int_equal(world->closed, world->children);
        free(world);
    }
}

/* --- failures ------------------------------------------------------------------------------ */

static const struct lsm_entry numbers[] = {
    { { (const uint8_t *)"1", 1 }, { 0 }, 1, LSM_PUT },
    { { (const uint8_t *)"2", 1 }, { 0 }, 2, LSM_PUT },
    { { (const uint8_t *)"3", 1 }, { 0 }, 3, LSM_PUT },
    { { (const uint8_t *)"4", 1 }, { 0 }, 4, LSM_PUT },
};

static struct fake_source *failing(size_t moves, struct lsm_source **ret_source)
{
    struct fake_source *even = fake_source_create(numbers, 4);
    struct fake_source *odd = fake_source_create(numbers, 4);
    struct lsm_source *children[] = { &even->base, &odd->base };
    odd->moves_left = moves;
    odd->failure = KVORUM_CORRUPT;
    assert_int_equal(lsm_merger_create(children, 2, ret_source), KVORUM_OK);
    return odd;
}

static void test_failure_stops(void)
{
    for (size_t moves = 0; moves < 4; moves++) {
        struct lsm_source *source;
        size_t seen = 0;
        failing(moves, &source);
        for (source->ops->first(source); source->valid; source->ops->next(source))
            seen++;
        assert_int_equal(source->status, KVORUM_CORRUPT);
        assert_int_equal(seen, moves * 2);
        source->ops->close(source);
    }
}

static void test_failure_stops_turn(void)
{
    struct lsm_source *source;
    failing(2, &source);
    source->ops->first(source);
    source->ops->next(source);
    source->ops->next(source);
    assert_true(source->valid);
    source->ops->previous(source);
    assert_false(source->valid);
    assert_int_equal(source->status, KVORUM_CORRUPT);
    source->ops->close(source);
}

static void test_failure_is_over_after_seek(void)
{
    struct lsm_source *source;
    struct fake_source *odd = failing(0, &source);
    source->ops->first(source);
    assert_int_equal(source->status, KVORUM_CORRUPT);
    odd->moves_left = 10;
    source->ops->seek(source, numbers[2].key, LSM_SEQUENCE_MAX);
    assert_true(source->valid);
    assert_int_equal(source->status, KVORUM_OK);
    assert_int_equal(source->entry.sequence, 3);
    source->ops->close(source);
}

static void test_forward_only(void)
{
    struct lsm_source_ops forward = fake_source_ops;
    struct lsm_source *source, *children[2];
    forward.previous = NULL;
    for (int i = 0; i < 2; i++)
        children[i] = &fake_source_create(numbers, 4)->base;
    children[1]->ops = &forward;
    assert_int_equal(lsm_merger_create(children, 2, &source), KVORUM_OK);
    assert_null(source->ops->previous);
    source->ops->close(source);
}

static const struct named_test tests[] = {
    { "a child that fails stops the merge where it failed", test_failure_stops },
    { "also when that happens while turning round", test_failure_stops_turn },
    { "a seek starts afresh after a failure", test_failure_is_over_after_seek },
    { "a child that only goes forward makes the merge so", test_forward_only },
};

int main(void)
{
    int failed = RUN_ROWS("merger", rows, check);
    return RUN_TESTS("merger failures", tests) + failed;
}
