/* SPDX-License-Identifier: Apache-2.0 */
/* What is owed beside the batch of a write: marks, for what finds no room or is not stored here,
 * and hints for what is stored already. */
#include "node/hints/hints.h"

#include "base/hash.h"
#include "base/planted.h"

/* --- marks ----------------------------------------------------------------------------------- */

static size_t place_of_mark(const struct node_id *target, uint32_t partition)
{
    return hash64(bytes_make(target->bytes, sizeof(target->bytes)), partition) % HINT_MARK_PUTS;
}

uint32_t *hints_mark_puts(struct node *node, const struct node_id *target, uint32_t partition,
                          enum hint_mark mark)
{
    return &node->hints->mark_puts[mark][place_of_mark(target, partition)];
}

struct hint_handover *hints_handover(struct node *node, const struct node_id *target,
                                     uint32_t partition)
{
    return &node->hints->handovers[place_of_mark(target, partition)];
}

/* As far as memory can tell. */
static bool is_there(struct node *node, uint32_t partition, struct bytes key)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    if (engine_view_at(placement_store(node, partition), key, &how, &view) != KVORUM_OK)
        return false;
    engine_release(&view);
    return true;
}

/* One that is there is not written again, where memory knows that: a store that is behind has many
 * marks, and more would keep it so. */
kvorum_status hints_put_mark(struct node *node, struct engine_batch *batch,
                             const struct node_id *target, uint32_t partition, enum hint_mark mark)
{
    struct hint_value value;
    struct hint_queue *queue = hints_queue(node, target);
    struct bytes key = hint_mark_key(&node->scratch, target, partition, mark);
    if (key.data == NULL || queue == NULL)
        return KVORUM_NO_MEMORY;
    ++*hints_mark_puts(node, target, partition, mark);
    if (is_there(node, partition, key)) {
        PROBE("node: a mark was put where it is already");
        return KVORUM_OK;
    }
    hint_mark_value(clock_wall_ms(node->config.clock), &value);
    queue->marks_put++;
    queue->marks++; /* at least as many as there are: counted again when they are looked at */
    node->counters.hint_marks++;
    return engine_batch_put(batch, key, bytes_make(value.data, value.size));
}

/* "A dropped hint leaves an overflow mark": durable before the refusal leaves. */
kvorum_status hints_refuse(struct node *node, const struct key_address *address, uint16_t owner,
                           const struct commit_plan *plan)
{
    const struct node_id *target = &node->config.epoch->members[owner].id;
    struct commit_plan refusal = *plan;
    refusal.verdict = KVORUM_STORE_FULL;
    node->counters.hints_refused++;
    PROBE("node: a hint was refused for want of room");
    if (plan->kind != COMMIT_ANSWER || PLANTED(HINT_DROPPED_WITHOUT_MARK))
        return KVORUM_STORE_FULL; /* the coordinator's own: the write has not begun */
    engine_batch_reset(node->batch);
    kvorum_status status =
        hints_put_mark(node, node->batch, target, address->partition, HINT_MARK_SUSPICION);
    if (status != KVORUM_OK)
        return status;
    return replica_submit(node, placement_store(node, address->partition), node->batch, ENGINE_SYNC,
                          &refusal);
}

struct late_debt {
    struct key_address address;
    uint16_t owner;
    uint64_t size;
};

static void owe_again(struct node *node, struct fetch *fetch)
{
    const struct late_debt *late = fetch->input;
    hints_owe(node, &late->address, late->owner, late->size);
}

static struct fetch *keep_debt(struct node *node, const struct key_address *address, uint16_t owner,
                               uint64_t size)
{
    struct fetch *fetch = fetch_open(node, owe_again, sizeof(struct late_debt), address->key.size);
    struct late_debt *late = fetch == NULL ? NULL : fetch->input;
    if (late == NULL)
        return NULL;
    *late = (struct late_debt){ *address, owner, size };
    if (address_copy(&fetch->arena, &late->address))
        return fetch;
    fetch_close(node, fetch);
    return NULL;
}

/* In the line of the object, like a write: a hint of it that is about to be removed was read there,
 * and must still be the newest when it goes. */
static void owe_later(struct node *node, const struct key_address *address, struct bytes key,
                      uint16_t owner, uint64_t size, kvorum_status why)
{
    struct engine *store = placement_store(node, address->partition);
    struct fetch *fetch = keep_debt(node, address, owner, size);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (fetch != NULL)
        status = why == KVORUM_WOULD_BLOCK ? fetch_wait(node, fetch, store, &key, 1)
                                           : fetch_wait_room(node, fetch, store, key);
    node->counters.hints_refused += status != KVORUM_OK;
}

static kvorum_status put_debt(struct node *node, const struct key_address *address,
                              struct bytes key, uint16_t owner, uint64_t size,
                              struct hint_change *ret_change)
{
    engine_batch_reset(node->batch);
    kvorum_status status =
        hints_add(node, node->batch, owner, address->partition, key, size, ret_change);
    if (status != KVORUM_STORE_FULL)
        return status;
    *ret_change = (struct hint_change){ 0 };
    node->counters.hints_refused++;
    if (PLANTED(HINT_DROPPED_WITHOUT_MARK))
        return KVORUM_STORE_FULL;
    return hints_put_mark(node, node->batch, &node->config.epoch->members[owner].id,
                          address->partition, HINT_MARK_SUSPICION);
}

void hints_owe(struct node *node, const struct key_address *address, uint16_t owner, uint64_t size)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct engine *store = placement_store(node, address->partition);
    struct bytes key = store_key(&node->scratch, address);
    struct hint_change change = { 0 };
    if (store == NULL || key.data == NULL || owner >= node->config.epoch->member_count)
        return;
    struct engine_view view;
    kvorum_status status = fetch_view(node, store, key, &view);
    if (status == KVORUM_WOULD_BLOCK) {
        owe_later(node, address, key, owner, size, status);
        return;
    }
    if (status == KVORUM_OK)
        engine_release(&view);
    if (put_debt(node, address, key, owner, size, &change) != KVORUM_OK)
        return;
    hints_added(node, &change);
    PROBE("node: an owner that did not answer is owed the write");
    status = replica_submit(node, store, node->batch, replica_durability(node, false), &nothing);
    if (status == KVORUM_OK)
        return;
    hints_not_added(node, &change);
    if (status == KVORUM_OVERLOADED)
        owe_later(node, address, key, owner, size, status);
}

void hints_suspect(struct node *node, uint32_t partition, uint16_t owner)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    engine_batch_reset(node->batch);
    kvorum_status status = hints_put_mark(node, node->batch, &node->config.epoch->members[owner].id,
                                          partition, HINT_MARK_SUSPICION);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    node->counters.hints_refused += status != KVORUM_OK;
}
