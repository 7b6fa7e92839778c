/* SPDX-License-Identifier: Apache-2.0 */
/* What a turn sees: the hint, its index and its object, as they are now. */
#include "node/hints/hints_internal.h"

static size_t count_queues(const struct node *node)
{
    size_t queues = 0;
    struct list *all = &node->hints->queues;
    for (struct list *item = all->next; item != all; item = item->next)
        queues++;
    return queues;
}

static bool look_keys(struct node *node, const struct hint_turn *turn, struct hint_look *look)
{
    const struct hint *hint = &turn->hint;
    struct arena *arena = &node->scratch;
    look->keys = arena_allocate(arena, (KEY_OTHERS + count_queues(node)) * sizeof(*look->keys));
    if (look->keys == NULL)
        return false;
    look->keys[KEY_OBJECT] = hint->key;
    look->keys[KEY_HINT] = hint_queue_key(arena, hint);
    look->keys[KEY_INDEX] = hint_index_key(arena, &hint->target, hint->key);
    look->key_count = KEY_OTHERS;
    struct list *all = &node->hints->queues;
    bool removes = turn->step != TURN_BEGIN;
    for (struct list *item = all->next; removes && item != all; item = item->next) {
        const struct hint_queue *other = LIST_ENTRY(item, struct hint_queue, link);
        if (other != turn->queue && other->used.count > 0)
            look->keys[look->key_count++] = hint_index_key(arena, &other->target, hint->key);
    }
    for (size_t i = 0; i < look->key_count; i++)
        if (look->keys[i].data == NULL)
            return false;
    return true;
}

/* OK or NOT_FOUND; the value of the index goes to `ret_order`. */
static kvorum_status look_at(struct node *node, struct engine *store, struct bytes key,
                             uint64_t *ret_order)
{
    struct engine_view view;
    struct hint hint;
    uint32_t unused;
    kvorum_status status = fetch_view(node, store, key, &view);
    if (status != KVORUM_OK)
        return status;
    if (hint_parse(key, view.value, &hint, &unused) == HINT_ENTRY_INDEX)
        *ret_order = hint.order;
    engine_release(&view);
    return KVORUM_OK;
}

static kvorum_status look_beside(struct node *node, const struct hint_turn *turn,
                                 struct hint_look *look)
{
    uint64_t order = 0, unused;
    kvorum_status status = look_at(node, look->store, look->keys[KEY_HINT], &unused);
    look->queued = status == KVORUM_OK;
    if (status == KVORUM_OK || status == KVORUM_NOT_FOUND)
        status = look_at(node, look->store, look->keys[KEY_INDEX], &order);
    look->superseded = status != KVORUM_OK || order != turn->hint.order;
    for (size_t i = KEY_OTHERS; i < look->key_count; i++) {
        if (status != KVORUM_OK && status != KVORUM_NOT_FOUND)
            return status;
        status = look_at(node, look->store, look->keys[i], &unused);
        look->owed_to_others |= status == KVORUM_OK;
    }
    return status == KVORUM_NOT_FOUND ? KVORUM_OK : status;
}

void hint_look_end(struct hint_look *look)
{
    if (look->object.held)
        engine_release(&look->object.view);
    look->object.held = false;
}

kvorum_status hint_look_begin(struct node *node, const struct hint_turn *turn,
                              struct hint_look *ret)
{
    *ret = (struct hint_look){ 0 };
    if (!store_key_parse(turn->hint.key, &ret->address))
        return KVORUM_CORRUPT;
    ret->store = placement_store(node, ret->address.partition);
    if (ret->store == NULL)
        return KVORUM_CORRUPT;
    if (!look_keys(node, turn, ret))
        return KVORUM_NO_MEMORY;
    kvorum_status status = replica_read(node, &ret->address, &ret->object);
    if (status == KVORUM_OK)
        status = look_beside(node, turn, ret);
    if (status != KVORUM_OK)
        hint_look_end(ret);
    return status;
}
