/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of an earlier ownership goes: before a new one begins, and after one that is over.
 *
 * Objects that are owed to somebody (hints) stay, whoever owns the partition.  A job looks for
 * those that are not; on the shard's thread only what is still as the job saw it is deleted.
 *
 * After an ownership nothing goes before all owners have adopted the epoch that ended it: each of
 * them then has what the streams brought, and takes no more writes for which we would count.
 *
 * With a damaged block deletions are lost, those of a sweep and of hints too: so all that lost some
 * is swept again. */
#include "base/planted.h"
#include "cluster/handoff/hint.h"
#include "cluster/handoff/streams.h"
#include "codec/varint.h"
#include "node/collect/collect.h"
#include "node/handoff/handoff.h"
#include "node/internal.h"
#include "node/repair/repair.h"
#include "object/object.h"

enum { SWEEP_KEYS = 256, SWEEPS_A_TICK = 64 };

struct sweep {
    struct reading reading; /* first */
    uint32_t partition;
    uint64_t session; /* for which it is made; 0: what is left goes */
    struct engine *store;
    struct bytes lower, upper;
    struct node_id *targets; /* to whom something may be owed */
    uint16_t target_count;
    struct bytes keys[SWEEP_KEYS];
    uint64_t digests[SWEEP_KEYS];
    uint32_t count;
    bool more;
};

/* --- looking ---------------------------------------------------------------------------------- */

static kvorum_status is_owed(const struct sweep *sweep, struct arena *arena, struct bytes key,
                             const struct engine_read *how, bool *ret_owed)
{
    *ret_owed = true;
    for (uint16_t i = 0; i < sweep->target_count; i++) {
        struct engine_view view;
        struct bytes marker = hint_index_key(arena, &sweep->targets[i], key);
        if (marker.data == NULL)
            return KVORUM_NO_MEMORY;
        kvorum_status status = engine_view_at(sweep->store, marker, how, &view);
        if (status == KVORUM_OK)
            engine_release(&view);
        if (status != KVORUM_NOT_FOUND)
            return status;
    }
    *ret_owed = false;
    return KVORUM_OK;
}

static kvorum_status look(struct sweep *sweep, struct engine_iterator *iterator,
                          const struct engine_read *how)
{
    struct arena *arena = &sweep->reading.arena;
    for (; iterator->valid; engine_iterator_next(iterator)) {
        bool owed;
        if (sweep->count == SWEEP_KEYS) {
            sweep->more = true;
            break;
        }
        kvorum_status status = is_owed(sweep, arena, iterator->key, how, &owed);
        if (status != KVORUM_OK)
            return status;
        if (owed)
            continue;
        sweep->digests[sweep->count] = object_digest(iterator->value);
        if (!arena_copy(arena, iterator->key, &sweep->keys[sweep->count]))
            return KVORUM_NO_MEMORY;
        sweep->count++;
    }
    return iterator->error;
}

static kvorum_status sweep_read(struct reading *reading, bool nowait)
{
    struct sweep *sweep = (struct sweep *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = sweep->lower, .upper = sweep->upper };
    struct engine_iterator *iterator;
    sweep->count = 0;
    sweep->more = false;
    kvorum_status status = engine_iterate_at(sweep->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    status = look(sweep, iterator, &how);
    engine_iterator_close(iterator);
    return status;
}

/* --- deleting --------------------------------------------------------------------------------- */

static bool is_as_seen(struct node *node, const struct sweep *sweep, uint32_t at)
{
    const struct engine_read how = { .nowait = true };
    struct engine_view view;
    bool owed;
    kvorum_status status = engine_view_at(sweep->store, sweep->keys[at], &how, &view);
    if (status != KVORUM_OK)
        return status == KVORUM_WOULD_BLOCK; /* whatever is new is in memory */
    bool same = object_digest(view.value) == sweep->digests[at];
    engine_release(&view);
    status = is_owed(sweep, &node->scratch, sweep->keys[at], &how, &owed);
    return same && (status == KVORUM_WOULD_BLOCK || (status == KVORUM_OK && !owed));
}

static void note_deleted(struct node *node, struct bytes key)
{
    struct key_address address;
    if (store_key_parse(key, &address))
        repair_note(node, address.partition, key, REPAIR_UNKNOWN, 0);
}

static kvorum_status delete_found(struct node *node, const struct sweep *sweep)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status = KVORUM_OK;
    uint32_t *gone = arena_allocate(&node->scratch, (sweep->count + 1) * sizeof(*gone)), count = 0;
    engine_batch_reset(node->batch);
    if (gone == NULL)
        return KVORUM_NO_MEMORY;
    for (uint32_t i = 0; i < sweep->count && status == KVORUM_OK; i++)
        if (is_as_seen(node, sweep, i)) {
            status = engine_batch_delete(node->batch, sweep->keys[i]);
            gone[count++] = i;
        }
    if (status != KVORUM_OK || count == 0)
        return status;
    PROBE("node: what was left of an earlier ownership is swept");
    node->handoff->swept += count;
    status =
        replica_submit(node, sweep->store, node->batch, replica_durability(node, false), &nothing);
    for (uint32_t i = 0; i < count && status == KVORUM_OK; i++)
        note_deleted(node, sweep->keys[gone[i]]);
    return status;
}

/* The partition is clean, and will be known by this session: from here on it may be written to,
 * once that is on disk. */
static kvorum_status save_tenure(struct node *node, uint32_t partition, uint64_t session)
{
    struct bytes key = handoff_tenure_key(&node->scratch, partition);
    const struct commit_plan plan = { .kind = COMMIT_TENURE, .request_id = partition };
    uint64_t value = htole64(session);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, key, bytes_make(&value, sizeof(value)));
    return status == KVORUM_OK ? replica_submit(node, placement_store(node, partition), node->batch,
                                                ENGINE_SYNC, &plan)
                               : status;
}

void sweep_on_stored(struct node *node, uint32_t partition, kvorum_status status)
{
    struct holding *holding = &node->handoff->holdings[partition];
    holding->sweeping = false;
    node->handoff->sweep_count--;
    if (status == KVORUM_OK && holding->unready) {
        holding->tenure = holding->session;
        collect_on_tenure(node, partition, holding->session);
        holding->unready = false;
    }
    handoff_pump(node);
}

static void end_sweep(struct node *node, struct holding *holding)
{
    holding->sweeping = false;
    node->handoff->sweep_count--;
}

static void sweep_done(struct node *node, struct reading *reading)
{
    struct sweep *sweep = (struct sweep *)reading;
    struct holding *holding = &node->handoff->holdings[sweep->partition];
    bool wanted = sweep->session != 0 ? holding->unready && holding->session == sweep->session
                                      : holding->left;
    kvorum_status status = reading->status;
    wanted = wanted && !hints_unclear(node); /* else once more, when it is clear */
    if (wanted && status == KVORUM_OK)
        status = delete_found(node, sweep);
    bool clean = wanted && status == KVORUM_OK && !sweep->more;
    if (clean && sweep->session != 0) {
        status = save_tenure(node, sweep->partition, sweep->session);
        if (status != KVORUM_OK)
            end_sweep(node, holding); /* the next tick tries again */
    } else {
        if (clean) {
            holding->left = false;
            holding->session = 0;
        }
        end_sweep(node, holding);
    }
    bool next = clean && sweep->session == 0 && node->config.jobs != NULL;
    bool again = (wanted && status == KVORUM_OK && sweep->more) || next;
    reading_close(reading);
    if (again)
        sweep_pump(node);
}

/* --- starting --------------------------------------------------------------------------------- */

static bool sweep_prepare(struct node *node, struct sweep *sweep, uint32_t partition)
{
    const struct epoch *epoch = node->config.epoch;
    struct arena *arena = &sweep->reading.arena;
    sweep->targets = arena_allocate(arena, epoch->member_count * sizeof(*sweep->targets));
    if (sweep->targets == NULL || !store_key_range(arena, partition, &sweep->lower, &sweep->upper))
        return false;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        sweep->targets[i] = epoch->members[i].id;
    sweep->target_count = epoch->member_count;
    sweep->store = placement_store(node, partition);
    sweep->partition = partition;
    return true;
}

static void sweep_start(struct node *node, uint32_t partition, uint64_t session)
{
    struct reading *reading = reading_open(sizeof(struct sweep));
    struct sweep *sweep = (struct sweep *)reading;
    if (reading == NULL)
        return;
    if (!sweep_prepare(node, sweep, partition)) {
        reading_close(reading);
        return;
    }
    sweep->session = session;
    reading->read = sweep_read;
    reading->done = sweep_done;
    node->handoff->holdings[partition].sweeping = true;
    node->handoff->sweep_count++;
    if (node->config.jobs != NULL)
        reading_submit(node, reading); /* never from inside: one page would follow another there */
    else
        reading_start(node, reading);
}

/* Nobody counts on what we have any more. */
static bool may_forget(struct node *node, uint32_t partition)
{
    const struct epoch *epoch = node->config.epoch;
    return node->handoff->all_settled >= epoch->number && ring_move_of(epoch, partition) == NULL;
}

/* Those that hold up a move come first; they are found through the moves. */
static void sweep_newcomers(struct node *node)
{
    struct handoff *handoff = node->handoff;
    const struct epoch *epoch = node->config.epoch;
    for (uint32_t i = 0; i < epoch->move_count && handoff->sweep_count < HANDOFF_SWEEPS_MAX; i++) {
        uint32_t partition = epoch->moves[i].partition;
        const struct holding *holding = &handoff->holdings[partition];
        if (holding->unready && !holding->sweeping)
            sweep_start(node, partition, holding->session);
    }
}

static bool ranges_meet(struct bytes lower, struct bytes upper, struct bytes from, struct bytes to)
{
    return (upper.size == 0 || bytes_compare(from, upper) < 0) && bytes_compare(lower, to) < 0;
}

/* With hints their objects may be left behind, in any partition. */
void handoff_on_mended(struct node *node, uint16_t store, struct bytes lower, struct bytes upper)
{
    bool hints = ranges_meet(lower, upper, BYTES_LITERAL("h"), BYTES_LITERAL("j"));
    for (uint32_t p = store; p < node->config.epoch->partition_count;
         p += node->config.store_count) {
        struct bytes from, to;
        bool meets = hints || !store_key_range(&node->scratch, p, &from, &to) ||
                     ranges_meet(lower, upper, from, to);
        if (meets && !handoff_is_ours(node, p) && !PLANTED(UNCOVERED_HINT_STAYS))
            node->handoff->holdings[p].left = true;
    }
}

void sweep_count_left(struct node *node)
{
    uint64_t left = 0;
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++)
        left += node->handoff->holdings[p].left;
    node->counters.handoff_left = left;
}

void sweep_pump(struct node *node)
{
    struct handoff *handoff = node->handoff;
    uint32_t partitions = node->config.epoch->partition_count;
    if (hints_unclear(node))
        return;
    sweep_newcomers(node);
    for (uint32_t i = 0; i < SWEEPS_A_TICK && handoff->sweep_count == 0; i++) {
        uint32_t partition = handoff->next_sweep;
        const struct holding *holding = &handoff->holdings[partition];
        handoff->next_sweep = (partition + 1) % partitions;
        if (holding->left && !holding->sweeping && may_forget(node, partition))
            sweep_start(node, partition, 0);
    }
}
