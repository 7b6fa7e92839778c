/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's outside: creation, events in, dispatch to the file that knows the rule. */
#include "codec/protobuf.h"
#include "node/collect.h"
#include "node/drop.h"
#include "node/hints.h"
#include "node/lives.h"
#include "node/recover.h"
#include "node/repair.h"
#include "node/scrub.h"
#include "node/tasks.h"

enum {
    DEFAULT_REQUEST_TIMEOUT_US = 10 * 1000 * 1000,
    DEFAULT_SYNC_INTERVAL_US = 1000 * 1000,
    DEFAULT_COLLECT_PAUSE_US = 50 * 1000,
    DEFAULT_COLLECT_INTERVAL_US = 600 * 1000 * 1000,
    FIRST_HINTS_US = 1000 * 1000,
};

static void apply_defaults(struct node_config *config)
{
    struct node_limits *limits = &config->limits;
    if (config->request_timeout_us == 0)
        config->request_timeout_us = DEFAULT_REQUEST_TIMEOUT_US;
    if (config->sync_interval_us == 0)
        config->sync_interval_us = DEFAULT_SYNC_INTERVAL_US;
    if (config->collect.pause_us == 0)
        config->collect.pause_us = DEFAULT_COLLECT_PAUSE_US;
    if (config->collect.interval_us == 0)
        config->collect.interval_us = DEFAULT_COLLECT_INTERVAL_US;
    if (limits->value_size == 0)
        limits->value_size = 50ull << 20;
    if (limits->value_size_warning == 0)
        limits->value_size_warning = 5ull << 20;
    if (limits->siblings == 0)
        limits->siblings = 100;
    if (limits->siblings_warning == 0)
        limits->siblings_warning = 25;
    if (config->default_levels.n == 0) {
        quorum_levels_init(&config->default_levels);
        config->default_levels.n = 3;
    }
    if (limits->requests == 0)
        limits->requests = 50000;
    if (limits->hints == 0)
        limits->hints = 1000000;
    if (limits->hints_size == 0)
        limits->hints_size = 1ull << 30;
    if (limits->hint_rate == 0)
        limits->hint_rate = 16ull << 20;
    if (limits->clock_offset_ms == 0)
        limits->clock_offset_ms = 500;
    if (limits->hint_horizon_ms == 0)
        limits->hint_horizon_ms = 10ull * 24 * 60 * 60 * 1000;
}

static bool config_valid(const struct node_config *config)
{
    return config->epoch != NULL && config->self < config->epoch->member_count &&
           config->shard_count > 0 && config->shard < config->shard_count &&
           config->store_count > 0 && config->store_count <= NODE_STORES_MAX &&
           config->stores != NULL && config->clock != NULL && config->net != NULL;
}

static void init_parts(struct node *node)
{
    node->depth = 0;
    map_init(&node->requests);
    list_init(&node->active);
    node->untimed = &node->active;
    list_init(&node->free_requests);
    list_init(&node->commits);
    list_init(&node->free_commits);
    list_init(&node->errands);
    list_init(&node->readings);
    list_init(&node->roomless);
    map_init(&node->fetch_lines);
    heap_init(&node->timers);
    arena_init(&node->scratch, SCRATCH_LIMIT);
    buffer_init(&node->body, FRAME_BODY_MAX);
    buffer_init(&node->encoding, ENGINE_VALUE_SIZE_MAX);
    random_init(&node->random, node->config.random_seed);
    node->next_id = random_next(&node->random) | 1;
    for (int i = 0; i < OPERATION_KINDS; i++)
        histogram_init(&node->latency[i]);
}

static kvorum_status start_parts(struct node *node)
{
    node->batch = engine_batch_create();
    node->peers = calloc(node->config.epoch->member_count, sizeof(*node->peers));
    if (node->batch == NULL || node->peers == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = scrub_open(node);
    if (status == KVORUM_OK)
        status = epochs_open(node);
    if (status == KVORUM_OK)
        status = property_table_open(node);
    if (status == KVORUM_OK)
        status = hints_open(node);
    if (status == KVORUM_OK)
        status = tasks_open(node);
    if (status == KVORUM_OK)
        status = handoff_open(node); /* its packets carry what has settled */
    if (status == KVORUM_OK)
        status = collect_open(node);
    if (status == KVORUM_OK)
        status = gossip_open(node);
    if (status == KVORUM_OK)
        status = repair_open(node);
    if (status == KVORUM_OK)
        status = lives_open(node);
    if (status == KVORUM_OK)
        status = recover_open(node);
    if (status == KVORUM_OK)
        status = drop_open(node);
    if (status == KVORUM_OK)
        status = reclaim_open(node);
    if (status != KVORUM_OK)
        return status;
    bool timed = heap_insert(&node->timers, &node->hint_timer, node->now_us + FIRST_HINTS_US);
    timed = timed && expiry_open(node);
    if (timed && node->config.sync == NODE_SYNC_INTERVAL)
        timed = heap_insert(&node->timers, &node->sync_timer,
                            node->now_us + node->config.sync_interval_us);
    if (!timed)
        return KVORUM_NO_MEMORY;
    tasks_go_by_orders(node);
    return KVORUM_OK;
}

kvorum_status node_create(const struct node_config *config, struct node **ret_node)
{
    if (!config_valid(config))
        return KVORUM_INVALID;
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return KVORUM_NO_MEMORY;
    node->config = *config;
    apply_defaults(&node->config);
    init_parts(node);
    node_enter(node);
    kvorum_status status = start_parts(node);
    node_leave(node);
    if (status != KVORUM_OK) {
        node_destroy(node);
        return status;
    }
    *ret_node = node;
    return KVORUM_OK;
}

static void cancel_listings(struct node *node)
{
    struct list *item = node->active.next;
    while (item != &node->active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        item = item->next;
        if (request->kind == REQUEST_LIST)
            list_cancel(node, request);
    }
}

static void free_requests(struct list *requests)
{
    struct list *item;
    while ((item = list_take_first(requests)) != NULL) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        arena_done(&request->arena);
        free(request);
    }
}

struct node *node_destroy(struct node *node)
{
    if (node == NULL)
        return NULL;
    reclaim_close(node);
    drop_close(node);
    recover_close(node);
    lives_close(node);
    repair_close(node);
    scrub_close(node);
    collect_close(node);
    handoff_close(node); /* its streams look at the epoch */
    tasks_close(node);
    epochs_close(node);
    gossip_close(node);
    hints_close(node);
    property_table_close(node);
    cancel_listings(node);
    fetches_leave(node);
    readings_leave(node);
    forward_done(node);
    free_requests(&node->active);
    free_requests(&node->free_requests);
    replica_done(node);
    map_done(&node->requests);
    map_done(&node->fetch_lines);
    heap_done(&node->timers);
    arena_done(&node->scratch);
    buffer_done(&node->body);
    buffer_done(&node->encoding);
    engine_batch_destroy(node->batch);
    free(node->peers);
    free(node);
    return NULL;
}

/* Every call from outside is bracketed: time is read once, scratch memory goes at the outermost end
 * (an answer may submit the next operation from inside). */
void node_enter(struct node *node)
{
    if (node->depth++ == 0)
        node->now_us = clock_monotonic_us(node->config.clock);
}

void node_leave(struct node *node)
{
    assert(node->depth > 0);
    while (node->depth == 1 && node->reopen_due)
        reopen_run(node);
    if (--node->depth == 0)
        arena_reset(&node->scratch);
}

/* --- messages ------------------------------------------------------------------------------- */

bool node_send(struct node *node, struct net_address to, uint8_t kind, uint64_t request_id,
               struct bytes body, struct bytes tail)
{
    struct message message = { kind, request_id, node->config.epoch->number, body, tail };
    bool sent = net_send(node->config.net, to, &message);
    node->counters.messages_out += sent;
    node->counters.messages_refused += !sent;
    return sent;
}

bool request_send(struct node *node, const struct request *request, struct net_address to,
                  uint8_t kind, struct bytes body, struct bytes tail)
{
    struct message message = { kind, request->id, request->epoch, body, tail };
    bool sent = net_send(node->config.net, to, &message);
    node->counters.messages_out += sent;
    node->counters.messages_refused += !sent;
    return sent;
}

struct bytes node_pack(struct node *node, const ProtobufCMessage *message)
{
    buffer_reset(&node->body);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *at = buffer_reserve(&node->body, size + 1);
    if (at == NULL)
        return (struct bytes){ 0 };
    node->body.size = protobuf_c_message_pack(message, at);
    return buffer_bytes(&node->body);
}

void *node_unpack(struct node *node, const ProtobufCMessageDescriptor *descriptor,
                  struct bytes body)
{
    ProtobufCAllocator allocator;
    protobuf_arena_allocator(&node->scratch, &allocator);
    return protobuf_c_message_unpack(descriptor, &allocator, body.size, body.data);
}

static void dispatch_background(struct node *node, struct net_address from,
                                const struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_STREAM:
        handoff_on_stream(node, from, message);
        break;
    case MESSAGE_STREAM_ANSWER:
        handoff_on_page(node, from, message);
        break;
    case MESSAGE_PROGRESS:
        handoff_on_progress(node, from, message);
        break;
    case MESSAGE_REPAIR:
        repair_on_question(node, from, message);
        break;
    case MESSAGE_REPAIR_ANSWER:
        repair_on_answer(node, from, message);
        break;
    case MESSAGE_LIFE:
        lives_on_question(node, from, message);
        break;
    case MESSAGE_LIFE_ANSWER:
        lives_on_answer(node, from, message);
        break;
    case MESSAGE_COLLECT:
        collect_on_question(node, from, message);
        break;
    case MESSAGE_COLLECT_ANSWER:
        collect_on_answer(node, from, message);
        break;
    case MESSAGE_TASKS:
        tasks_on_question(node, from, message);
        break;
    case MESSAGE_TASKS_ANSWER:
        tasks_on_answer(node, from, message);
        break;
    case MESSAGE_RECOVER:
        recover_on_message(node, from, message);
        break;
    case MESSAGE_RECOVER_ANSWER:
        recover_on_answer(node, from, message);
        break;
    case MESSAGE_DROP:
        drop_on_question(node, from, message);
        break;
    case MESSAGE_DROP_ANSWER:
        drop_on_answer(node, from, message);
        break;
    default: /* links and founding are the process's business */
        node->counters.messages_bad++;
        break;
    }
}

void node_dispatch(struct node *node, struct net_address from, const struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_GET:
        replica_on_get(node, from, message);
        break;
    case MESSAGE_GET_ANSWER:
        read_on_answer(node, from, message);
        break;
    case MESSAGE_MERGE:
        replica_on_merge(node, from, message);
        break;
    case MESSAGE_MERGE_ANSWER:
        write_on_answer(node, from, message);
        break;
    case MESSAGE_FORWARD:
        forward_on_request(node, from, message);
        break;
    case MESSAGE_FORWARD_ANSWER:
        forward_on_answer(node, from, message);
        break;
    case MESSAGE_LIST:
        list_on_request(node, from, message);
        break;
    case MESSAGE_LIST_ANSWER:
        list_on_answer(node, from, message);
        break;
    case MESSAGE_SUSPECT:
        suspect_on_request(node, from, message);
        break;
    case MESSAGE_SUSPECT_ANSWER:
        suspect_on_answer(node, from, message);
        break;
    case MESSAGE_PROPERTIES:
        property_on_message(node, from, message);
        break;
    case MESSAGE_PROPERTIES_ANSWER:
        property_on_answer(node, from, message);
        break;
    case MESSAGE_EPOCH_REQUEST:
        epochs_on_request(node, from, message);
        break;
    case MESSAGE_EPOCH_ANSWER:
        epochs_on_record(node, from, message);
        break;
    case MESSAGE_EPOCH_PREPARE:
    case MESSAGE_EPOCH_ACCEPT:
        epochs_on_ballot(node, from, message);
        break;
    case MESSAGE_EPOCH_VOTE:
        epochs_on_vote(node, from, message);
        break;
    case MESSAGE_EPOCH_CHANGE:
        epochs_on_change(node, from, message);
        break;
    case MESSAGE_EPOCH_CHANGE_ANSWER:
        epochs_on_change_answer(node, from, message);
        break;
    default:
        dispatch_background(node, from, message);
        break;
    }
}

/* A member that we do not know (yet), or not any more.  Its epoch is news all the same. */
static bool is_stranger(const struct node *node, uint16_t member)
{
    const struct epoch *epoch = node->config.epoch;
    return member >= epoch->member_count || epoch->members[member].state == MEMBER_GONE;
}

void node_receive(struct node *node, struct net_address from, const struct message *message)
{
    if (node->left_epoch != 0)
        return;
    node_enter(node);
    node->counters.messages_in++;
    if (is_stranger(node, from.member)) {
        node->counters.messages_bad++;
        epochs_hear(node, message->epoch, from);
        left_tell(node, from, message->epoch);
    } else if (message->kind == MESSAGE_GOSSIP) { /* it says itself who is behind */
        gossip_on_message(node, from, message);
    } else {
        if (node->config.shard == 0 && from.member != node->config.self)
            gossip_step(node, SWIM_HEARD, from.member);
        if (epochs_admit(node, from, message))
            node_dispatch(node, from, message);
    }
    node_leave(node);
}

/* --- time ----------------------------------------------------------------------------------- */

static void sync_stores(struct node *node)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    engine_batch_reset(node->batch);
    for (uint16_t i = 0; i < node->config.store_count; i++) {
        struct engine *store = node->config.stores[i];
        if (store == NULL)
            continue;
        kvorum_status status = replica_submit(node, store, node->batch, ENGINE_SYNC, &nothing);
        node->counters.disk_errors += status != KVORUM_OK;
    }
}

/* Who is no member works for nobody: only requests and what was written still have their time. */
static bool is_of_background(struct node *node, const struct heap_item *item)
{
    const struct heap_item *const background[] = {
        &node->gossip_timer, &node->hint_timer,  &node->repair_timer,
        &node->expiry_timer, epochs_timer(node), &node->handoff->timer,
        lives_timer(node),   scrub_timer(node),  recover_timer(node),
    };
    for (size_t i = 0; i < sizeof(background) / sizeof(*background); i++)
        if (item == background[i])
            return true;
    return false;
}

static void wake(struct node *node, struct heap_item *item)
{
    heap_remove(&node->timers, item);
    if (node->left_epoch != 0 && is_of_background(node, item))
        return;
    if (item == &node->gossip_timer)
        gossip_step(node, SWIM_TICK, node->config.self);
    else if (item == &node->hint_timer) {
        hints_wake(node, hints_tick(node)); /* it may be set to an earlier hour already */
    } else if (item == &node->sync_timer) {
        sync_stores(node);
        (void)heap_insert(&node->timers, item, node->now_us + node->config.sync_interval_us);
    } else if (item == epochs_timer(node))
        epochs_tick(node);
    else if (item == &node->handoff->timer) {
        (void)heap_insert(&node->timers, item, node->now_us + HANDOFF_TICK_US);
        handoff_tick(node);
    } else if (item == &node->expiry_timer)
        expiry_tick(node);
    else if (item == &node->room_timer)
        fetch_room_tick(node);
    else if (item == &node->repair_timer)
        repair_tick(node);
    else if (item == lives_timer(node))
        lives_tick(node);
    else if (item == collect_timer(node))
        collect_tick(node);
    else if (item == scrub_timer(node))
        scrub_tick(node);
    else if (item == reclaim_timer(node))
        reclaim_tick(node);
    else if (item == recover_timer(node))
        recover_tick(node);
    else
        request_timeout(node, LIST_ENTRY(item, struct request, timer));
}

void node_tick(struct node *node)
{
    node_enter(node);
    request_set_timers(node);
    struct heap_item *item;
    while ((item = heap_first(&node->timers)) != NULL && item->key <= node->now_us)
        wake(node, item);
    node_leave(node);
}

uint64_t node_next_deadline_us(struct node *node)
{
    request_set_timers(node);
    const struct heap_item *item = heap_first(&node->timers);
    return item == NULL ? UINT64_MAX : item->key;
}

void node_flush(struct node *node)
{
    for (uint16_t i = 0; i < node->config.store_count; i++)
        if (node->config.stores[i] != NULL)
            engine_kick(node->config.stores[i]);
}

/* --- members come and go -------------------------------------------------------------------- */

static void fail_request(struct node *node, struct request *request, uint16_t member)
{
    int target = request_target_of(request, member);
    if (request->parked)
        return;
    if (request->kind == REQUEST_GET && target >= 0)
        read_on_failed(node, request, (uint8_t)target);
    else if (request->kind == REQUEST_FORWARD && request->forward.member == member)
        forward_on_lost(node, request);
    else if (request->kind == REQUEST_LIST)
        list_on_lost(node, request, member);
    else if (request->kind == REQUEST_STREAM)
        handoff_on_lost(node, request, member);
}

/* A write in flight stays in flight: the member may have taken it.  Ids are collected first,
 * because an answer may end or start other requests. */
static void fail_requests(struct node *node, uint16_t member)
{
    uint64_t *ids = arena_allocate(&node->scratch, (node->requests.count + 1) * sizeof(*ids));
    size_t count = 0;
    if (ids == NULL)
        return; /* deadlines will do it */
    for (struct list *item = node->active.next; item != &node->active; item = item->next)
        ids[count++] = LIST_ENTRY(item, struct request, link)->id;
    for (size_t i = 0; i < count; i++) {
        struct map_item *found = map_find(&node->requests, ids[i]);
        if (found != NULL)
            fail_request(node, LIST_ENTRY(found, struct request, by_id), member);
    }
}

void node_fail_all(struct node *node)
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (i != node->config.self)
            fail_requests(node, i);
}

void node_link_lost(struct node *node, uint16_t member, bool refused)
{
    if (member >= node->config.epoch->member_count || member == node->config.self)
        return;
    node_enter(node);
    if (node->config.shard == 0)
        gossip_step(node, refused ? SWIM_LINK_REFUSED : SWIM_LINK_LOST, member);
    fail_requests(node, member);
    node_leave(node);
}

static void fail_unsent(struct node *node, struct request *request, uint16_t member, uint8_t kind)
{
    int target = request_target_of(request, member);
    if (request->parked)
        return;
    if (kind == MESSAGE_FORWARD && request->kind == REQUEST_FORWARD &&
        request->forward.member == member)
        forward_on_unsent(node, request);
    else if (kind == MESSAGE_MERGE && request->kind == REQUEST_PUT && target >= 0)
        write_on_acknowledged(node, request, (uint8_t)target, KVORUM_UNAVAILABLE, false);
    else if (kind == MESSAGE_GET && request->kind == REQUEST_GET && target >= 0)
        read_on_failed(node, request, (uint8_t)target);
}

/* What did not leave had no effect there: that is more than a lost link says. */
void node_unsent(struct node *node, uint16_t member, const struct message *message)
{
    node_enter(node);
    struct map_item *found = map_find(&node->requests, message->request_id);
    if (found != NULL)
        fail_unsent(node, LIST_ENTRY(found, struct request, by_id), member, message->kind);
    node_leave(node);
}

void node_set_liveness(struct node *node, uint16_t member, enum liveness_state state)
{
    if (member >= node->config.epoch->member_count || node->peers[member].state == state)
        return;
    node_enter(node);
    node->peers[member].state = state;
    node->peers[member].since_us = node->now_us;
    node_leave(node);
}

/* --- operations ----------------------------------------------------------------------------- */

static kvorum_status refuse(struct node *node, const struct operation *operation,
                            const char **ret_reason)
{
    const struct node_limits *limits = &node->config.limits;
    if (node->left_epoch != 0) {
        *ret_reason = left_reason(node);
        return KVORUM_GONE;
    }
    if (!node->ready || node->counters.requests_active >= limits->requests) {
        node->counters.overloaded += node->ready;
        *ret_reason = node->ready ? "too many requests in flight on this node; retry later"
                                  : "this node is still starting; retry in a moment";
        return node->ready ? KVORUM_OVERLOADED : KVORUM_NOT_READY;
    }
    *ret_reason =
        reason_invalid(node, operation->key.size == 0      ? "Key cannot be zero-length"
                             : operation->bucket.size == 0 ? "Bucket cannot be zero-length"
                                                           : NULL);
    if (*ret_reason != NULL)
        return KVORUM_INVALID;
    if (operation->key.size > NODE_KEY_SIZE_MAX || operation->bucket.size > NODE_BUCKET_SIZE_MAX ||
        operation->type.size > NODE_TYPE_SIZE_MAX || operation->value.size > limits->value_size) {
        node->counters.too_large++;
        *ret_reason = reason_printf(
            node, "key %zu B (limit %d), bucket %zu B (limit %d), value %zu B (limit %llu)",
            operation->key.size, NODE_KEY_SIZE_MAX, operation->bucket.size, NODE_BUCKET_SIZE_MAX,
            operation->value.size, (unsigned long long)limits->value_size);
        return KVORUM_TOO_LARGE;
    }
    return KVORUM_OK;
}

uint64_t node_submit(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context)
{
    node_enter(node);
    uint64_t id = 0;
    struct answer refused = { .reason = "" };
    refused.status = refuse(node, operation, &refused.reason);
    if (refused.status != KVORUM_OK)
        on_answer(context, &refused);
    else if (composite_needed(operation))
        id = composite_start(node, operation, on_answer, context);
    else if (operation->kind == OPERATION_GET)
        id = read_start(node, operation, on_answer, context);
    else
        id = write_start(node, operation, on_answer, context);
    node_leave(node);
    return id;
}

void node_cancel(struct node *node, uint64_t id)
{
    struct map_item *item = map_find(&node->requests, id);
    if (item == NULL)
        return;
    struct request *request = LIST_ENTRY(item, struct request, by_id);
    request->answered = true;
    request->on_answer = NULL;
    if (request->kind == REQUEST_LIST)
        list_cancel(node, request);
}

/* --- looking in ----------------------------------------------------------------------------- */

enum liveness_state node_liveness(const struct node *node, uint16_t member)
{
    if (member >= node->config.epoch->member_count)
        return LIVENESS_DEAD;
    return member == node->config.self ? LIVENESS_ALIVE : node->peers[member].state;
}

uint64_t node_liveness_since_us(const struct node *node, uint16_t member)
{
    uint64_t now_us = clock_monotonic_us(node->config.clock);
    uint64_t since_us = node->peers[member].since_us;
    return now_us > since_us ? now_us - since_us : 0;
}

const struct epoch *node_epoch(const struct node *node)
{
    return node->config.epoch;
}

bool node_ready(const struct node *node)
{
    return node->ready || node->newcomer;
}

uint64_t node_actor(const struct node *node)
{
    return node->config.actor;
}

bool node_serves(const struct node *node)
{
    return node->ready;
}

uint16_t node_self(const struct node *node)
{
    return node->config.self;
}

uint64_t node_wall_ms(const struct node *node)
{
    return clock_wall_ms(node->config.clock);
}

const struct node_limits *node_limits(const struct node *node)
{
    return &node->config.limits;
}

const struct node_counters *node_counters(const struct node *node)
{
    return &node->counters;
}

const struct histogram *node_latency(const struct node *node, enum operation_kind kind)
{
    return &node->latency[kind];
}

void answer_context(const struct answer *answer, struct buffer *buffer)
{
    if (answer->object != NULL)
        context_encode(answer->object, buffer);
}
