/* SPDX-License-Identifier: Apache-2.0 */
/* The turn of one hint.
 *
 *      look at hint, index and object --> hint_judge
 *          deliver:  MERGE ... its answer, durable there --> look again --> remove
 *          else:     remove, or rewrite, in one batch
 *
 * Delivery is at least once: a merge is idempotent. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/hints/hints_internal.h"
#include "node/repair/repair.h"
#include "node/scrub/scrub.h"

enum { TIMEOUT_US = 5 * 1000 * 1000 };

/* --- the end of a turn ----------------------------------------------------------------------- */

static void turn_ends(struct node *node, struct hint_queue *queue, enum hint_outcome outcome)
{
    struct hints *hints = node->hints;
    hint_pace_end(&queue->pace, &hints->pace, outcome, node->now_us, &node->random);
    uint64_t when_us = hints_replay_us(node, queue);
    if (when_us != UINT64_MAX)
        hints_wake(node, when_us);
}

static void delivery_failed(struct node *node, struct hint_queue *queue)
{
    node->counters.hint_failures++;
    turn_ends(node, queue, HINT_OUTCOME_FAILED);
}

static void turn_again(struct node *node, struct fetch *fetch)
{
    hint_turn_run(node, fetch->input);
}

/* It stays in flight meanwhile. */
static bool put_off(struct node *node, const struct hint_turn *turn, const struct hint_look *look)
{
    struct fetch *fetch = fetch_open(node, turn_again, sizeof(*turn), turn->hint.key.size);
    if (fetch == NULL)
        return false;
    struct hint_turn *late = fetch->input;
    *late = *turn;
    if (!arena_copy(&fetch->arena, turn->hint.key, &late->hint.key)) {
        fetch_close(node, fetch);
        return false;
    }
    return fetch_wait(node, fetch, look->store, look->keys, look->key_count) == KVORUM_OK;
}

/* Here, not at its target: no room, too much under way.  The queue of one who is away is walked
 * again for it after a pause, since a new epoch may wait for a leaver who holds the hint. */
static enum hint_outcome not_done(struct hint_queue *queue)
{
    if (queue->was_alive) /* then the next walk is about to begin */
        return HINT_OUTCOME_NEUTRAL;
    PROBE("node: a hint had no way out here, and has another turn in the same epoch");
    queue->undone = true;
    return HINT_OUTCOME_FAILED;
}

/* --- removing -------------------------------------------------------------------------------- */

/* The object goes with the last hint, where it is not ours. */
static bool object_goes(struct node *node, const struct hint_look *look)
{
    return look->object.held && !look->owed_to_others && !hints_is_owner(node, &look->address);
}

static kvorum_status put_removal(struct node *node, const struct hint_turn *turn,
                                 const struct hint_look *look, bool *ret_object_goes)
{
    *ret_object_goes = !look->superseded && object_goes(node, look);
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_delete(node->batch, look->keys[KEY_HINT]);
    if (status == KVORUM_OK && !look->superseded)
        status = engine_batch_delete(node->batch, look->keys[KEY_INDEX]);
    if (status == KVORUM_OK && *ret_object_goes)
        status = engine_batch_delete(node->batch, look->keys[KEY_OBJECT]);
    bool marked = turn->step == TURN_DESTROY && !PLANTED(HINT_DROPPED_WITHOUT_MARK) &&
                  hints_target(node, turn->queue) != RING_NO_MEMBER;
    if (status == KVORUM_OK && marked)
        status = hints_put_mark(node, node->batch, &turn->hint.target, look->address.partition,
                                HINT_MARK_SUSPICION);
    return status;
}

static void note_removal(struct node *node, const struct hint_turn *turn)
{
    struct node_counters *counters = &node->counters;
    hints_uncount(node, turn->queue, turn->hint.size);
    counters->hints_delivered += turn->step == TURN_DELIVERED;
    counters->hints_destroyed += turn->step == TURN_DESTROY;
    if (turn->step == TURN_DELIVERED)
        PROBE("node: a hint was delivered and forgotten");
    if (turn->step == TURN_DESTROY)
        PROBE("node: a hint was destroyed, and left a mark");
}

/* What was delivered is what is there, or the next walk sends it again. */
static bool changed_meanwhile(const struct hint_turn *turn, const struct hint_look *look)
{
    if (turn->step != TURN_DELIVERED || look->superseded || !look->object.held)
        return false;
    if (object_digest(look->object.encoding) == turn->digest)
        return false;
    PROBE("node: an object changed while its hint was delivered");
    return true;
}

static void remove_hint(struct node *node, const struct hint_turn *turn,
                        const struct hint_look *look)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    enum hint_outcome outcome =
        turn->step == TURN_DELIVERED ? HINT_OUTCOME_DONE : HINT_OUTCOME_NEUTRAL;
    kvorum_status status = KVORUM_OK;
    if (look->queued && !changed_meanwhile(turn, look)) {
        bool gone;
        status = put_removal(node, turn, look, &gone);
        if (status == KVORUM_OK)
            status = replica_submit(node, look->store, node->batch, replica_durability(node, false),
                                    &nothing);
        if (status == KVORUM_OK)
            note_removal(node, turn);
        if (status == KVORUM_OK && gone)
            repair_note(node, look->address.partition, look->keys[KEY_OBJECT], REPAIR_UNKNOWN, 0);
    }
    if (status != KVORUM_OK)
        outcome = not_done(turn->queue);
    turn_ends(node, turn->queue, outcome);
}

/* --- to those who own it now ----------------------------------------------------------------- */

/* One batch: what is owed to the old target is owed to the owners instead. */
static kvorum_status put_reroute(struct node *node, const struct hint_look *look,
                                 struct hint_change *changes, size_t *ret_count)
{
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    uint16_t count = placement_owners(node, look->address.partition,
                                      hints_bucket_n(node, &look->address), owners);
    kvorum_status status = engine_batch_delete(node->batch, look->keys[KEY_HINT]);
    if (status == KVORUM_OK)
        status = engine_batch_delete(node->batch, look->keys[KEY_INDEX]);
    *ret_count = 0;
    for (uint16_t i = 0; i < count && status == KVORUM_OK; i++)
        if (owners[i] != node->config.self)
            status = hints_add(node, node->batch, owners[i], look->address.partition,
                               look->keys[KEY_OBJECT], look->object.encoding.size,
                               &changes[(*ret_count)++]);
    return status;
}

static void reroute(struct node *node, const struct hint_turn *turn, const struct hint_look *look)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct hint_change changes[PLACEMENT_OWNERS_MAX];
    size_t count;
    engine_batch_reset(node->batch);
    kvorum_status status = put_reroute(node, look, changes, &count);
    if (status == KVORUM_OK)
        status = replica_submit(node, look->store, node->batch, replica_durability(node, false),
                                &nothing);
    enum hint_outcome outcome = HINT_OUTCOME_NEUTRAL;
    if (status == KVORUM_OK) {
        hints_uncount(node, turn->queue, turn->hint.size);
        for (size_t i = 0; i < count; i++)
            hints_added(node, &changes[i]);
        node->counters.hints_rerouted++;
        PROBE("node: a hint was re-routed to the owners of now");
    } else {
        outcome = not_done(turn->queue); /* it stays */
    }
    turn_ends(node, turn->queue, outcome);
}

/* --- delivering ------------------------------------------------------------------------------ */

static bool send_object(struct node *node, struct request *request, uint16_t member,
                        const struct key_address *address, struct bytes encoding)
{
    Peer__Address to = PEER__ADDRESS__INIT;
    to.type = protobuf_data(address->type);
    to.bucket = protobuf_data(address->bucket);
    to.key = protobuf_data(address->key);
    to.generation = address->generation;
    if (PLANTED(HINT_OF_ANY_GENERATION))
        to.generation = drop_generation(node, address->type, address->bucket);
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &to;
    merge.durable = true; /* what it is removed for must outlive a power failure there */
    merge.fence =
        PLANTED(HINT_AFTER_COLLECTION) ? UINT64_MAX : collect_promised(node, address->partition);
    merge.collected = collect_committed(node, address->partition);
    return node_send(node, placement_of(node, member, address->partition), MESSAGE_MERGE,
                     request->id, node_pack(node, &merge.base), encoding);
}

static struct request *open_delivery(struct node *node, const struct hint_turn *turn,
                                     struct bytes encoding)
{
    struct request *request = request_open(node, REQUEST_HINT);
    struct hint_turn *kept =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*kept));
    bool fine = kept != NULL;
    if (fine) {
        *kept = *turn;
        kept->step = TURN_DELIVERED;
        kept->digest = object_digest(encoding);
        fine = arena_copy(&request->arena, turn->hint.key, &kept->hint.key) &&
               request_register(node, request, node->now_us + TIMEOUT_US);
    }
    if (!fine) {
        if (request != NULL)
            request_close(node, request);
        return NULL;
    }
    request->hint = kept;
    request->answered = true; /* nobody waits for it */
    return request;
}

static void deliver(struct node *node, const struct hint_turn *turn, const struct hint_look *look,
                    uint16_t member)
{
    if (node_liveness(node, member) != LIVENESS_ALIVE) {
        turn_ends(node, turn->queue, HINT_OUTCOME_NEUTRAL);
        return;
    }
    struct request *request = open_delivery(node, turn, look->object.encoding);
    if (request == NULL) {
        delivery_failed(node, turn->queue);
        return;
    }
    hint_pace_spend(&turn->queue->pace, look->object.encoding.size);
    node->hints->sent_size += look->object.encoding.size;
    bool sent = send_object(node, request, member, &look->address, look->object.encoding);
    if (!sent || PLANTED(HINT_FORGOTTEN_EARLY))
        hints_on_acknowledged(node, request, sent ? KVORUM_OK : KVORUM_UNAVAILABLE, sent);
}

void hints_on_acknowledged(struct node *node, struct request *request, kvorum_status status,
                           bool durable)
{
    const struct hint_turn *turn = request->hint;
    bool dropped = status == KVORUM_DROPPED; /* there is nothing left to deliver */
    if ((status == KVORUM_OK && durable) || dropped)
        hint_turn_run(node, turn);
    else
        delivery_failed(node, turn->queue);
    request_close(node, request);
}

/* --- a turn ---------------------------------------------------------------------------------- */

static void judge(struct node *node, const struct hint_turn *turn, const struct hint_look *look)
{
    const struct hints *hints = node->hints;
    uint16_t member = hints_target(node, turn->queue);
    uint32_t partition = look->address.partition;
    struct hint_facts facts = {
        .superseded = look->superseded || !look->queued || member == node->config.self ||
                      (drop_is_old(node, &look->address) && !PLANTED(HINT_OF_ANY_GENERATION)),
        .held = look->object.held,
        .lossy = scrub_salt(node, partition) != 0 || collect_salt(node, partition) != 0,
        .target_owns =
            member != RING_NO_MEMBER &&
            placement_is_owner(node, partition, hints_bucket_n(node, &look->address), member),
        .made_ms = hlc_wall_ms(turn->hint.order),
        .now_ms = clock_wall_ms(node->config.clock),
        .horizon_ms = hints->horizon_ms,
        .collected_ms = hints->collected_ms == NULL ? 0 : hints->collected_ms[partition],
    };
    struct hint_turn next = *turn;
    switch (hint_judge(&facts)) {
    case HINT_DELIVER:
        deliver(node, turn, look, member);
        return;
    case HINT_REROUTE:
        reroute(node, turn, look);
        return;
    case HINT_DESTROY:
        next.step = TURN_DESTROY;
        break;
    case HINT_FORGET:
        next.step = TURN_FORGET;
        break;
    }
    hint_turn_run(node, &next); /* looks again, also for whom else it is kept */
}

void hint_turn_run(struct node *node, const struct hint_turn *turn)
{
    struct hint_look look;
    kvorum_status status = hint_look_begin(node, turn, &look);
    if (status == KVORUM_WOULD_BLOCK && put_off(node, turn, &look))
        return;
    if (status != KVORUM_OK) { /* an entry that makes no sense stays for an operator to see */
        bool no_sense = status == KVORUM_CORRUPT;
        turn_ends(node, turn->queue, no_sense ? HINT_OUTCOME_NEUTRAL : not_done(turn->queue));
        return;
    }
    if (turn->step == TURN_BEGIN)
        judge(node, turn, &look);
    else
        remove_hint(node, turn, &look);
    hint_look_end(&look);
}
