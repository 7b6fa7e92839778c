/* SPDX-License-Identifier: Apache-2.0 */
/* What goes of a partition that may hold what was collected, and what stays: nothing is given up
 * that nobody else can have.
 *
 *      objects of a bucket that this member alone owns     stay: there is nobody to get them from.
 *                                                          They are as old as the disk is, or what
 *                                                          is left beside the damage
 *      after damage, what is newer than all that was       stays: no tombstone that is gone was
 *      collected (the floor of stamps)                     above it
 *      all else                                            goes, while every other owner is there
 *                                                          (collect_others_are_there), and comes
 *                                                          from them
 *
 * Buckets are walked by their first keys, so what this reads is little. */
#include "base/planted.h"
#include "node/collect/collect_internal.h"
#include "node/repair/repair_internal.h"

enum { WALK_ARENA_LIMIT = 64 << 20, LOOKED_AT_MAX = 20000 };

struct clearing {
    struct node *node;
    struct engine *store;
    struct bytes lower, upper;
    uint64_t newer;      /* than this stays; UINT64_MAX: nothing does for that */
    uint32_t looked_at;  /* objects whose stamps were asked for */
    struct arena arena;  /* of one bucket */
    struct arena object; /* of one object */
};

/* --- who else has it ------------------------------------------------------------------------- */

/* What a stream brought it does not bring again. */
static bool is_being_given(struct node *node, uint32_t partition)
{
    const struct move *move = ring_move_of(node->config.epoch, partition);
    return move != NULL && (handoff_receives(node, move) || PLANTED(BEHIND_WAITS_FOR_A_MOVE));
}

bool collect_others_are_there(struct node *node, uint32_t partition)
{
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = placement_owners(node, partition, property_table_largest_n(node), owners);
    if (!node->ready || is_being_given(node, partition))
        return false; /* not ready: n of buckets is not known */
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] != node->config.self && node_liveness(node, owners[i]) != LIVENESS_ALIVE)
            return false;
    return true;
}

/* Of a partition that moves those count whom it comes from: who comes to it may have nothing. */
static bool is_only_here(struct node *node, uint32_t partition, uint8_t n)
{
    uint16_t owners[TARGETS_MAX];
    uint16_t count = repair_owners(node, partition, n, owners);
    return count == 1 && owners[0] == node->config.self;
}

/* No bucket can be: whatever n they have. */
static bool nothing_is_only_here(struct node *node, uint32_t partition)
{
    uint32_t ns = property_table_ns(node);
    for (uint8_t n = 1; n <= TARGETS_MAX; n++)
        if ((ns >> n & 1) != 0 && is_only_here(node, partition, n))
            return false;
    return true;
}

/* --- into the batch -------------------------------------------------------------------------- */

static kvorum_status delete_each(const struct clearing *clearing, struct bytes lower,
                                 struct bytes upper)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(clearing->store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator))
        status = engine_batch_delete(clearing->node->batch, iterator->key);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status delete_range(const struct clearing *clearing, struct bytes lower,
                                  struct bytes upper)
{
    return engine_can(clearing->store, ENGINE_RANGES)
               ? engine_batch_delete_range(clearing->node->batch, lower, upper)
               : delete_each(clearing, lower, upper);
}

/* All that it holds: an object that is older in a part of it may be older in that part than what
 * was collected. */
static bool is_newer(struct clearing *clearing, struct bytes encoding)
{
    struct object object;
    arena_reset(&clearing->object);
    if (object_decode(encoding, &clearing->object, &object) != KVORUM_OK ||
        object.sibling_count == 0)
        return false;
    for (uint32_t i = 0; i < object.sibling_count; i++)
        if (object.siblings[i].stamp <= clearing->newer)
            return false;
    return true;
}

/* This runs on the shard's thread, so it looks at so many objects; a range with more of them (that
 * of a store whose own records rotted) goes behind these as a whole. */
static kvorum_status delete_older(struct clearing *clearing, struct bytes lower, struct bytes upper)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(clearing->store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    for (; iterator->valid && status == KVORUM_OK && clearing->looked_at < LOOKED_AT_MAX;
         engine_iterator_next(iterator)) {
        clearing->looked_at++;
        if (is_newer(clearing, iterator->value))
            PROBE("collect: an object beside the damage stayed, since it is newer");
        else
            status = engine_batch_delete(clearing->node->batch, iterator->key);
    }
    if (status == KVORUM_OK)
        status = iterator->error;
    if (status == KVORUM_OK && iterator->valid)
        status = delete_range(clearing, iterator->key, upper);
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status clear_range(struct clearing *clearing, struct bytes lower, struct bytes upper)
{
    return clearing->newer == UINT64_MAX ? delete_range(clearing, lower, upper)
                                         : delete_older(clearing, lower, upper);
}

/* --- bucket by bucket ------------------------------------------------------------------------ */

/* The part of the range in which keys of the bucket of `key` are. */
static bool part_of_bucket(struct clearing *clearing, struct key_address *address,
                           struct bytes *ret_lower, struct bytes *ret_upper)
{
    address->key = (struct bytes){ 0 };
    struct bytes prefix = store_key(&clearing->arena, address);
    struct bytes end = prefix.data == NULL ? prefix : store_key_end(&clearing->arena, prefix);
    if (end.data == NULL)
        return false;
    *ret_lower = bytes_compare(prefix, clearing->lower) < 0 ? clearing->lower : prefix;
    *ret_upper = bytes_compare(clearing->upper, end) < 0 ? clearing->upper : end;
    return true;
}

static kvorum_status clear_bucket(struct clearing *clearing, struct engine_iterator *iterator)
{
    struct node *node = clearing->node;
    struct key_address address;
    struct bytes lower, upper;
    kvorum_status status = KVORUM_OK;
    arena_reset(&clearing->arena);
    if (!store_key_parse(iterator->key, &address)) { /* no object */
        status = engine_batch_delete(node->batch, iterator->key);
        engine_iterator_next(iterator);
        return status;
    }
    uint8_t n = repair_bucket_n(node, address.type, address.bucket);
    bool stays = is_only_here(node, address.partition, n);
    if (!part_of_bucket(clearing, &address, &lower, &upper))
        return KVORUM_NO_MEMORY;
    if (stays)
        PROBE("collect: what nobody else has stayed");
    if (!stays)
        status = clear_range(clearing, lower, upper);
    engine_iterator_seek(iterator, upper);
    return status;
}

static kvorum_status clear_buckets(struct clearing *clearing)
{
    struct engine_range range = { .lower = clearing->lower, .upper = clearing->upper };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(clearing->store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && status == KVORUM_OK)
        status = clear_bucket(clearing, iterator);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

kvorum_status collect_put_clearing(struct node *node, uint32_t partition, struct bytes lower,
                                   struct bytes upper, uint64_t newer)
{
    struct clearing clearing = { .node = node,
                                 .store = placement_store(node, partition),
                                 .lower = lower,
                                 .upper = upper,
                                 .newer = newer };
    if (nothing_is_only_here(node, partition) && newer == UINT64_MAX)
        return delete_range(&clearing, lower, upper);
    arena_init(&clearing.arena, WALK_ARENA_LIMIT);
    arena_init(&clearing.object, WALK_ARENA_LIMIT);
    kvorum_status status = nothing_is_only_here(node, partition)
                               ? clear_range(&clearing, lower, upper)
                               : clear_buckets(&clearing);
    arena_done(&clearing.object);
    arena_done(&clearing.arena);
    return status;
}
