/* SPDX-License-Identifier: Apache-2.0 */
/** What stories on a small cluster (node_world.h) ask about all of the bucket `pets`, in which they
 *  play: its properties, what it lists, and what a member's store holds. */
#ifndef TESTS_SUPPORT_NODE_PETS_H
#define TESTS_SUPPORT_NODE_PETS_H

#include "tests/support/node_world.h"

/* --- properties ------------------------------------------------------------------------------ */

static inline struct bucket_properties properties_at(struct world *world, uint16_t at)
{
    struct bucket_properties properties;
    node_properties(world->nodes[at], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &properties);
    return properties;
}

/* Not answered while a member that may be alive has not confirmed it. */
static inline void ask_properties(struct world *world, uint16_t at,
                                  const struct bucket_properties *properties, bool reset,
                                  struct outcome *outcome)
{
    *outcome = (struct outcome){ 0 };
    node_set_properties(world->nodes[at], (struct bytes){ 0 }, BYTES_LITERAL("pets"), properties,
                        reset, note, outcome);
    settle(world);
}

static inline void set_properties(struct world *world, uint16_t at,
                                  const struct bucket_properties *properties)
{
    struct outcome outcome;
    ask_properties(world, at, properties, false, &outcome);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
}

static inline void reset_properties(struct world *world, uint16_t at)
{
    struct outcome outcome;
    ask_properties(world, at, NULL, true, &outcome);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
}

/* --- values ---------------------------------------------------------------------------------- */

static inline struct outcome delete_key(struct world *world, uint16_t at, const char *key)
{
    struct operation operation = operation_on(OPERATION_DELETE, key);
    return run(world, at, &operation);
}

/* These two are its siblings, in any order, and nothing else is. */
static inline bool are_siblings(const struct outcome *seen, const char *one, const char *other)
{
    char either[sizeof(seen->values)], or [sizeof(seen->values)];
    snprintf(either, sizeof(either), "%s|%s", one, other);
    snprintf(or, sizeof(or), "%s|%s", other, one);
    return strcmp(seen->values, either) == 0 || strcmp(seen->values, or) == 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

struct listed {
    struct node *node;
    uint64_t id;
    uint32_t count;
    uint64_t counted; /* LIST_COUNT */
    bool last;
};

static inline void note_page(void *context, const struct list_page *page)
{
    struct listed *listed = context;
    assert_false(listed->last);
    assert_int_equal(page->status, KVORUM_OK);
    listed->count += page->count;
    listed->counted = page->counted;
    listed->last = page->last;
    if (!page->last && listed->id != 0)
        node_list_next(listed->node, listed->id);
}

/* Of the bucket; LIST_BUCKETS: of all there are. */
static inline struct listed list(struct world *world, uint16_t at, enum list_kind kind)
{
    struct listed listed = { .node = world->nodes[at] };
    struct bytes bucket = kind == LIST_BUCKETS ? (struct bytes){ 0 } : BYTES_LITERAL("pets");
    listed.id =
        node_list(world->nodes[at], kind, (struct bytes){ 0 }, bucket, 0, note_page, &listed);
    settle(world);
    for (int i = 0; i < 10000 && !listed.last; i++) {
        node_list_next(world->nodes[at], listed.id);
        settle(world);
    }
    assert_true(listed.last);
    return listed;
}

/* --- stores ---------------------------------------------------------------------------------- */

/* Entries whose keys begin with `kind` (docs/formats/keys.md): 'o' are objects. */
static inline uint32_t count_stored(struct world *world, uint16_t at, char kind)
{
    const char next = (char)(kind + 1);
    const struct engine_range range = { .lower = bytes_make(&kind, 1),
                                        .upper = bytes_make(&next, 1) };
    struct engine_iterator *iterator;
    uint32_t count = 0;
    assert_int_equal(engine_iterate(world->stores[at], &range, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        count++;
    assert_int_equal(iterator->error, KVORUM_OK);
    engine_iterator_close(iterator);
    return count;
}

#endif
