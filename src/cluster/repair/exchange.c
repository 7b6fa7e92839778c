/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/repair/exchange.h"

#include <assert.h>

#include "base/planted.h"

enum { TRIES_MAX = 3, WINDOW = 4 * EXCHANGE_BATCH_MAX };

#define TO(state) (1u << EXCHANGE_##state)

static const uint8_t moves[] = {
    [EXCHANGE_NEW] = TO(NODES),
    [EXCHANGE_NODES] = TO(NODES) | TO(SETTLING) | TO(LEAVES) | TO(FINISHED),
    [EXCHANGE_SETTLING] = TO(LEAVES),
    [EXCHANGE_LEAVES] = TO(LEAVES) | TO(KEYS) | TO(FINISHED),
    [EXCHANGE_KEYS] = TO(KEYS) | TO(ACTING) | TO(FINISHED),
    [EXCHANGE_ACTING] = TO(ACTING) | TO(KEYS) | TO(FINISHED),
    [EXCHANGE_FINISHED] = 0,
};

static void go(struct exchange *exchange, enum exchange_state state)
{
    assert((moves[exchange->state] & 1u << state) != 0);
    exchange->state = state;
}

static void finish(struct exchange *exchange, kvorum_status status, struct exchange_effects *ret)
{
    go(exchange, EXCHANGE_FINISHED);
    exchange->deadline_us = UINT64_MAX;
    ret->finished = true;
    ret->status = status;
}

static void ask(struct exchange *exchange, enum exchange_ask what, uint64_t now_us,
                struct exchange_effects *ret)
{
    exchange->deadline_us = now_us + exchange->timeout_us;
    ret->ask = what;
    ret->question = ++exchange->question;
}

/* --- trees ---------------------------------------------------------------------------------- */

static void ask_nodes(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    ask(exchange, EXCHANGE_ASK_NODES, now_us, ret);
    ret->level = exchange->level;
    ret->nodes = exchange->nodes;
    ret->count = exchange->node_count;
}

/* Of the nodes asked for, those that differ. */
static void keep_differing(struct exchange *exchange, const struct exchange_event *event)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < exchange->node_count; i++) {
        uint16_t node = exchange->nodes[i];
        if (hash_tree_node(event->tree, exchange->level, node) != event->hashes[i])
            exchange->nodes[kept++] = node;
    }
    exchange->node_count = kept;
}

/* From the last one on, since every node makes room for sixteen. */
static void descend(struct exchange *exchange)
{
    for (uint32_t i = exchange->node_count; i-- > 0;) {
        uint32_t first = (uint32_t)exchange->nodes[i] * HASH_TREE_FANOUT;
        for (uint32_t child = 0; child < HASH_TREE_FANOUT; child++)
            exchange->nodes[i * HASH_TREE_FANOUT + child] = (uint16_t)(first + child);
    }
    exchange->node_count *= HASH_TREE_FANOUT;
    exchange->level++;
}

static void look_again(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    go(exchange, EXCHANGE_LEAVES);
    ask_nodes(exchange, now_us, ret);
}

static void on_nodes(struct exchange *exchange, const struct exchange_event *event,
                     struct exchange_effects *ret)
{
    keep_differing(exchange, event);
    if (exchange->node_count == 0) {
        finish(exchange, KVORUM_OK, ret);
    } else if (exchange->level < HASH_TREE_LEAF_LEVEL) {
        descend(exchange);
        ask_nodes(exchange, event->now_us, ret);
    } else if (exchange->settle_us > 0) {
        go(exchange, EXCHANGE_SETTLING);
        exchange->deadline_us = event->now_us + exchange->settle_us;
    } else {
        look_again(exchange, event->now_us, ret);
    }
}

/* --- keys ----------------------------------------------------------------------------------- */

static void ask_keys(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    go(exchange, EXCHANGE_KEYS);
    ask(exchange, EXCHANGE_ASK_KEYS, now_us, ret);
    ret->leaves = &exchange->differing;
    ret->after = exchange->after;
}

static void on_leaves(struct exchange *exchange, const struct exchange_event *event,
                      struct exchange_effects *ret)
{
    keep_differing(exchange, event);
    if (exchange->node_count == 0) {
        PROBE("repair: a difference went away by itself");
        finish(exchange, KVORUM_OK, ret);
        return;
    }
    for (uint32_t i = 0; i < exchange->node_count; i++)
        leaf_set_add(&exchange->differing, exchange->nodes[i]);
    ask_keys(exchange, event->now_us, ret);
}

static enum exchange_action first_action(const struct exchange_entry *ours,
                                         const struct exchange_entry *theirs)
{
    if (ours == NULL || theirs == NULL)
        return ours == NULL ? EXCHANGE_FETCH : EXCHANGE_PUSH;
    /* With equal stamps fetch: whoever merges both knows whether the other lacks something. */
    return ours->stamp > theirs->stamp ? EXCHANGE_PUSH : EXCHANGE_FETCH;
}

static bool note_difference(struct exchange *exchange, const struct exchange_entry *ours,
                            const struct exchange_entry *theirs)
{
    const struct exchange_entry *either = ours != NULL ? ours : theirs;
    assert(either != NULL);
    struct exchange_difference *difference = &exchange->differences[exchange->difference_count];
    if (either->leaf < HASH_TREE_LEAVES)
        leaf_set_add(&exchange->explained, either->leaf);
    exchange->figures.keys_differing++;
    *difference = (struct exchange_difference){
        .ours = ours == NULL ? 0 : ours->digest,
        .theirs = theirs == NULL ? 0 : theirs->digest,
        .action = first_action(ours, theirs),
    };
    if (PLANTED(EXCHANGE_ONE_WAY) && difference->action == EXCHANGE_PUSH)
        return true;
    exchange->difference_count++;
    return arena_copy(exchange->arena, either->key, &difference->key);
}

/* Both pages are sorted; only what lies before `bound` has been listed by both sides. */
static bool compare_pages(struct exchange *exchange, const struct exchange_page *ours,
                          const struct exchange_page *theirs, struct bytes bound)
{
    uint32_t i = 0, j = 0;
    while (i < ours->count || j < theirs->count) {
        const struct exchange_entry *own = i < ours->count ? &ours->entries[i] : NULL;
        const struct exchange_entry *other = j < theirs->count ? &theirs->entries[j] : NULL;
        int order = own == NULL ? 1 : other == NULL ? -1 : bytes_compare(own->key, other->key);
        own = order <= 0 ? own : NULL;
        other = order >= 0 ? other : NULL;
        if (bound.size > 0 && bytes_compare((own != NULL ? own : other)->key, bound) >= 0)
            break;
        i += own != NULL;
        j += other != NULL;
        exchange->figures.keys_compared++;
        bool same = own != NULL && other != NULL && own->digest == other->digest;
        if (!same && !note_difference(exchange, own, other))
            return false;
    }
    return true;
}

static struct bytes nearer(struct bytes a, struct bytes b)
{
    if (a.size == 0 || b.size == 0)
        return a.size == 0 ? b : a;
    return bytes_compare(a, b) < 0 ? a : b;
}

static void act(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret);

static void on_keys(struct exchange *exchange, const struct exchange_event *event,
                    struct exchange_effects *ret)
{
    const struct exchange_page *ours = &event->ours, *theirs = &event->theirs;
    struct bytes bound = nearer(ours->next, theirs->next);
    if (bound.size > 0 && bytes_compare(bound, exchange->after) <= 0) {
        finish(exchange, KVORUM_CORRUPT, ret); /* it would never end */
        return;
    }
    arena_reset(exchange->arena);
    exchange->difference_count = exchange->settled_count = 0;
    size_t most = (size_t)ours->count + theirs->count + 1;
    exchange->differences = arena_allocate(exchange->arena, most * sizeof(*exchange->differences));
    exchange->last_page = bound.size == 0;
    bool fine = exchange->differences != NULL &&
                arena_copy(exchange->arena, bound, &exchange->after) &&
                compare_pages(exchange, ours, theirs, bound);
    if (!fine) {
        finish(exchange, KVORUM_NO_MEMORY, ret);
        return;
    }
    go(exchange, EXCHANGE_ACTING);
    act(exchange, event->now_us, ret);
}

/* --- objects -------------------------------------------------------------------------------- */

static bool fetches(const struct exchange_difference *difference)
{
    return difference->action == EXCHANGE_FETCH || difference->action == EXCHANGE_CHECK;
}

/* What the first open one needs, and some behind it that need the same. */
static bool form_batch(struct exchange *exchange)
{
    struct exchange_difference *all = exchange->differences;
    uint32_t count = exchange->difference_count, first;
    while (exchange->settled_count < count &&
           all[exchange->settled_count].action == EXCHANGE_SETTLED)
        exchange->settled_count++;
    first = exchange->settled_count;
    exchange->batch_count = 0;
    for (uint32_t i = first;
         i < count && i - first < WINDOW && exchange->batch_count < EXCHANGE_BATCH_MAX; i++) {
        all[i].waiting =
            all[i].action != EXCHANGE_SETTLED && fetches(&all[i]) == fetches(&all[first]);
        if (all[i].waiting)
            exchange->batch[exchange->batch_count++] = i;
    }
    exchange->waiting_count = exchange->batch_count;
    exchange->progress = false;
    return exchange->batch_count > 0;
}

static void act(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    if (form_batch(exchange)) {
        bool fetch = fetches(&exchange->differences[exchange->batch[0]]);
        ask(exchange, fetch ? EXCHANGE_ASK_OBJECTS : EXCHANGE_ASK_PUSH, now_us, ret);
        ret->indices = exchange->batch;
        ret->count = exchange->batch_count;
    } else if (exchange->last_page) {
        finish(exchange, KVORUM_OK, ret);
    } else {
        ask_keys(exchange, now_us, ret);
    }
}

/* One side has sent its object, the other merged it. */
static void moved(struct exchange *exchange, struct exchange_difference *difference,
                  uint64_t digest)
{
    enum exchange_action next = EXCHANGE_SETTLED;
    difference->ours = digest;
    exchange->figures.fetched += fetches(difference);
    exchange->figures.pushed += !fetches(difference);
    if (difference->action == EXCHANGE_FETCH && digest != difference->theirs)
        next = EXCHANGE_PUSH;
    else if (difference->action == EXCHANGE_PUSH && difference->theirs != 0)
        next = EXCHANGE_CHECK;
    if (next == EXCHANGE_PUSH)
        difference->theirs = 0; /* ours is the merge of both: nothing to check behind it */
    difference->action = next;
}

static void on_object(struct exchange *exchange, const struct exchange_event *event,
                      struct exchange_effects *ret)
{
    if (event->index >= exchange->difference_count || !exchange->differences[event->index].waiting)
        return;
    struct exchange_difference *difference = &exchange->differences[event->index];
    difference->waiting = false;
    exchange->waiting_count--;
    exchange->progress |= event->result != EXCHANGE_LATER;
    if (event->result == EXCHANGE_MOVED) {
        moved(exchange, difference, event->digest);
    } else if (event->result != EXCHANGE_LATER) {
        exchange->figures.left +=
            event->result == EXCHANGE_LEFT && difference->action != EXCHANGE_CHECK;
        exchange->figures.failed += event->result == EXCHANGE_FAILED;
        difference->action = EXCHANGE_SETTLED;
    }
    if (exchange->waiting_count > 0)
        return;
    exchange->tries = exchange->progress ? 0 : exchange->tries + 1;
    if (exchange->tries >= TRIES_MAX)
        finish(exchange, KVORUM_TIMEOUT, ret);
    else
        act(exchange, event->now_us, ret);
}

/* --- time ----------------------------------------------------------------------------------- */

static void on_tick(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    if (now_us < exchange->deadline_us)
        return;
    if (exchange->state == EXCHANGE_SETTLING) {
        look_again(exchange, now_us, ret);
        return;
    }
    PROBE("repair: a question was not answered in time");
    if (++exchange->tries >= TRIES_MAX) {
        finish(exchange, KVORUM_TIMEOUT, ret);
        return;
    }
    switch (exchange->state) {
    case EXCHANGE_NODES:
    case EXCHANGE_LEAVES:
        ask_nodes(exchange, now_us, ret);
        break;
    case EXCHANGE_KEYS:
        ask_keys(exchange, now_us, ret);
        break;
    case EXCHANGE_ACTING:
        act(exchange, now_us, ret);
        break;
    case EXCHANGE_NEW:
    case EXCHANGE_SETTLING:
    case EXCHANGE_FINISHED:
        break;
    }
}

static void start(struct exchange *exchange, uint64_t now_us, struct exchange_effects *ret)
{
    go(exchange, EXCHANGE_NODES);
    exchange->level = 0;
    exchange->nodes[0] = 0;
    exchange->node_count = 1;
    ask_nodes(exchange, now_us, ret);
}

/* --- events --------------------------------------------------------------------------------- */

static bool answers(const struct exchange *exchange, const struct exchange_event *event)
{
    bool tree = exchange->state == EXCHANGE_NODES || exchange->state == EXCHANGE_LEAVES;
    if (event->question != exchange->question)
        return false;
    switch (event->kind) {
    case EXCHANGE_NODES_ANSWER:
        return tree && event->hash_count == exchange->node_count;
    case EXCHANGE_KEYS_ANSWER:
        return exchange->state == EXCHANGE_KEYS;
    case EXCHANGE_OBJECT:
        return exchange->state == EXCHANGE_ACTING;
    case EXCHANGE_REFUSED:
        return exchange->state != EXCHANGE_SETTLING;
    case EXCHANGE_START:
    case EXCHANGE_TICK:
        break;
    }
    return false;
}

static void take_answer(struct exchange *exchange, const struct exchange_event *event,
                        struct exchange_effects *ret)
{
    if (event->kind == EXCHANGE_REFUSED) {
        finish(exchange, event->status, ret);
        return;
    }
    if (event->kind == EXCHANGE_OBJECT) {
        on_object(exchange, event, ret);
        return;
    }
    exchange->tries = 0;
    if (event->kind == EXCHANGE_KEYS_ANSWER)
        on_keys(exchange, event, ret);
    else if (exchange->state == EXCHANGE_NODES)
        on_nodes(exchange, event, ret);
    else
        on_leaves(exchange, event, ret);
}

void exchange_step(struct exchange *exchange, const struct exchange_event *event,
                   struct exchange_effects *ret)
{
    *ret = (struct exchange_effects){ .ask = EXCHANGE_ASK_NOTHING };
    if (exchange->state == EXCHANGE_NEW) {
        if (event->kind == EXCHANGE_START)
            start(exchange, event->now_us, ret);
    } else if (exchange->state != EXCHANGE_FINISHED) {
        if (event->kind == EXCHANGE_TICK)
            on_tick(exchange, event->now_us, ret);
        else if (answers(exchange, event))
            take_answer(exchange, event, ret);
    }
    assert(ret->finished <= (exchange->state == EXCHANGE_FINISHED));
    assert(exchange->settled_count <= exchange->difference_count);
    assert(exchange->waiting_count <= exchange->batch_count);
}

bool exchange_doubts(const struct exchange *exchange, struct leaf_set *ret_leaves)
{
    uint64_t any = 0;
    for (size_t i = 0; i < HASH_TREE_WORDS; i++) {
        ret_leaves->words[i] = exchange->differing.words[i] & ~exchange->explained.words[i];
        any |= ret_leaves->words[i];
    }
    return any != 0 && !exchange->narrowed;
}
