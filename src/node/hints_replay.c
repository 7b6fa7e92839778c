/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying the queues.  A walk goes through a target's queue, one page after another, while the
 * target is alive; and once through the whole of it when an epoch is new, and now and then, for
 * what is to be re-routed or destroyed though the target is away.
 *
 *      walk --page--> turns, one a hint:  look at hint, index and object --> hint_judge
 *                       |
 *                       deliver:  MERGE ... its answer, durable there --> look again --> remove
 *                       else:     remove, or rewrite, in one batch
 *
 * Whatever waits (for the disk, for an answer) is in flight; a walk ends, and the next begins, only
 * when nothing is, so no hint has two turns at a time.  Delivery is at least once: a merge is
 * idempotent. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/collect.h"
#include "node/drop.h"
#include "node/hints.h"
#include "node/repair.h"
#include "node/scrub.h"

enum {
    PAGE = 64,
    TIMEOUT_US = 5 * 1000 * 1000,
    STEP_US = 1000,               /* between two pages */
    SWEEP_US = 600 * 1000 * 1000, /* how often the queue of one that is away is walked */
};

enum turn_step { TURN_BEGIN, TURN_DELIVERED, TURN_DESTROY, TURN_FORGET };

struct hint_turn {
    struct hint_queue *queue;
    struct hint hint;
    enum turn_step step;
    uint64_t digest; /* DELIVERED: of what was sent */
};

static void run(struct node *node, const struct hint_turn *turn);

/* --- what is there --------------------------------------------------------------------------- */

struct hint_look {
    struct key_address address;
    struct engine *store;
    struct bytes *keys; /* the object's, the hint's, its index; then the indexes of other targets */
    size_t key_count;
    struct replica_read object;
    bool queued, superseded;
    bool owed_to_others;
};

enum { KEY_OBJECT, KEY_HINT, KEY_INDEX, KEY_OTHERS };

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

static void look_end(struct hint_look *look)
{
    if (look->object.held)
        engine_release(&look->object.view);
    look->object.held = false;
}

/* On OK the caller owes look_end.  WOULD_BLOCK: nothing was done. */
static kvorum_status look_begin(struct node *node, const struct hint_turn *turn,
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
        look_end(ret);
    return status;
}

/* --- the end of a turn ----------------------------------------------------------------------- */

static void turn_ends(struct node *node, struct hint_queue *queue, enum hint_outcome outcome)
{
    struct hints *hints = node->hints;
    node->counters.hint_failures += outcome == HINT_OUTCOME_FAILED;
    hint_pace_end(&queue->pace, &hints->pace, outcome, node->now_us, &node->random);
    uint64_t when_us = hints_replay_us(node, queue);
    if (when_us != UINT64_MAX)
        hints_wake(node, when_us);
}

static void turn_again(struct node *node, struct fetch *fetch)
{
    run(node, fetch->input);
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
            repair_note(node, &look->address, look->keys[KEY_OBJECT], REPAIR_UNKNOWN, 0);
    }
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
    if (status == KVORUM_OK) { /* else it stays, and is tried in the next walk */
        hints_uncount(node, turn->queue, turn->hint.size);
        for (size_t i = 0; i < count; i++)
            hints_added(node, &changes[i]);
        node->counters.hints_rerouted++;
        PROBE("node: a hint was re-routed to the owners of now");
    }
    turn_ends(node, turn->queue, HINT_OUTCOME_NEUTRAL);
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
        turn_ends(node, turn->queue, HINT_OUTCOME_FAILED);
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
        run(node, turn);
    else
        turn_ends(node, turn->queue, HINT_OUTCOME_FAILED);
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
    run(node, &next); /* looks again, also for whom else it is kept */
}

static void run(struct node *node, const struct hint_turn *turn)
{
    struct hint_look look;
    kvorum_status status = look_begin(node, turn, &look);
    if (status == KVORUM_WOULD_BLOCK && put_off(node, turn, &look))
        return;
    if (status != KVORUM_OK) { /* an entry that makes no sense stays for an operator to see */
        turn_ends(node, turn->queue, HINT_OUTCOME_NEUTRAL);
        return;
    }
    if (turn->step == TURN_BEGIN)
        judge(node, turn, &look);
    else
        remove_hint(node, turn, &look);
    look_end(&look);
}

/* --- walking --------------------------------------------------------------------------------- */

struct page {
    struct reading reading; /* first */
    struct hint_queue *queue;
    struct engine *store;
    struct bytes lower, upper;
    size_t limit, count;
    bool more; /* behind the last one */
    struct {
        struct bytes key, value;
    } entries[PAGE];
};

static kvorum_status read_page(struct reading *reading, bool nowait)
{
    struct page *page = (struct page *)reading;
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = page->lower, .upper = page->upper };
    struct engine_iterator *iterator;
    page->count = 0;
    kvorum_status status = engine_iterate_at(page->store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && page->count < page->limit &&
           arena_copy(&reading->arena, iterator->key, &page->entries[page->count].key) &&
           arena_copy(&reading->arena, iterator->value, &page->entries[page->count].value)) {
        page->count++;
        engine_iterator_next(iterator);
    }
    page->more = iterator->valid;
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static bool is_alive(struct node *node, const struct hint_queue *queue)
{
    uint16_t member = hints_target(node, queue);
    return member != RING_NO_MEMBER && node_liveness(node, member) == LIVENESS_ALIVE;
}

/* The queue of a member that is away is walked without sending: only the window counts. */
static bool may_go_on(struct node *node, struct hint_queue *queue)
{
    const struct hint_pace_config *config = &node->hints->pace;
    if (queue->was_alive && node->hints->paused)
        return false;
    if (queue->was_alive)
        return hint_pace_admits(&queue->pace, config, node->now_us);
    return queue->pace.in_flight < config->window;
}

static void next_store(struct node *node, struct hint_queue *queue)
{
    queue->cursor = 0;
    do
        queue->store++;
    while (queue->store < node->config.store_count && node->config.stores[queue->store] == NULL);
    if (queue->store < node->config.store_count)
        return;
    queue->walking = false;
    queue->oldest =
        queue->used.count == 0 || queue->oldest_met == UINT64_MAX ? 0 : queue->oldest_met;
}

static void page_done(struct node *node, struct reading *reading)
{
    struct page *page = (struct page *)reading;
    struct hint_queue *queue = page->queue;
    uint64_t from = queue->cursor;
    size_t i = 0;
    queue->scanning = false;
    if (reading->status != KVORUM_OK)
        queue->walking = false; /* another walk begins it anew */
    for (; reading->status == KVORUM_OK && i < page->count && may_go_on(node, queue); i++) {
        struct hint_turn turn = { .queue = queue, .step = TURN_BEGIN };
        uint32_t unused;
        enum hint_entry entry =
            hint_parse(page->entries[i].key, page->entries[i].value, &turn.hint, &unused);
        if (turn.hint.order >= queue->cursor)
            queue->cursor = turn.hint.order + 1;
        if (entry != HINT_ENTRY_QUEUE)
            continue;
        if (turn.hint.order < queue->oldest_met)
            queue->oldest_met = turn.hint.order;
        hint_pace_begin(&queue->pace);
        run(node, &turn);
    }
    bool stuck = i > 0 && queue->cursor == from; /* entries of another making */
    if (reading->status == KVORUM_OK && ((i == page->count && !page->more) || stuck))
        next_store(node, queue);
    reading_close(reading);
    uint64_t when_us = hints_replay_us(node, queue);
    if (when_us != UINT64_MAX)
        hints_wake(node, when_us);
}

static void read_next(struct node *node, struct hint_queue *queue)
{
    struct reading *reading = reading_open(sizeof(struct page));
    struct page *page = (struct page *)reading;
    if (page == NULL)
        return;
    uint32_t room = node->hints->pace.window - queue->pace.in_flight;
    reading->read = read_page;
    reading->done = page_done;
    page->queue = queue;
    page->store = node->config.stores[queue->store];
    page->limit = room < PAGE ? room : PAGE;
    page->lower = hint_queue_from(&reading->arena, &queue->target, queue->cursor);
    page->upper = hint_queue_end(&reading->arena, &queue->target);
    if (page->lower.data == NULL || page->upper.data == NULL) {
        reading_close(reading);
        return;
    }
    queue->scanning = true;
    reading_start(node, reading);
}

static void begin_walk(struct node *node, struct hint_queue *queue)
{
    queue->walking = true;
    queue->store = 0;
    queue->cursor = 0;
    queue->oldest_met = UINT64_MAX;
    queue->walked_us = node->now_us;
    queue->walked_epoch = node->config.epoch->number;
    if (node->config.stores[0] == NULL)
        next_store(node, queue);
}

static bool is_due(struct node *node, const struct hint_queue *queue)
{
    return queue->used.count > 0 && queue->pace.in_flight == 0 &&
           (queue->was_alive || queue->walked_epoch != node->config.epoch->number ||
            node->now_us - queue->walked_us >= SWEEP_US);
}

void hints_replay(struct node *node, struct hint_queue *queue)
{
    bool alive = is_alive(node, queue);
    if (alive && !queue->was_alive)
        hint_pace_revive(&queue->pace, &node->hints->pace, node->now_us, &node->random);
    queue->was_alive = alive;
    if (queue->scanning || !may_go_on(node, queue))
        return;
    if (!queue->walking && is_due(node, queue))
        begin_walk(node, queue);
    if (queue->walking)
        read_next(node, queue);
}

uint64_t hints_replay_us(struct node *node, struct hint_queue *queue)
{
    if (!queue->walking || queue->scanning || queue->pace.in_flight >= node->hints->pace.window)
        return UINT64_MAX;
    if (queue->was_alive && node->hints->paused)
        return UINT64_MAX;
    uint64_t soon_us = node->now_us + STEP_US;
    if (!queue->was_alive)
        return soon_us;
    uint64_t next_us = hint_pace_next_us(&queue->pace, &node->hints->pace, node->now_us);
    return next_us > soon_us ? next_us : soon_us;
}
