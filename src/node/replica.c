/* SPDX-License-Identifier: Apache-2.0 */
/* This shard as a replica.  An acknowledgement is tied to the commit of the batch that made it
 * true: it leaves from commit_done, never earlier.  A merge that changes nothing is acknowledged
 * behind a barrier, because what is already here may not be durable yet. */
#include "base/planted.h"
#include "node/collect.h"
#include "node/drop.h"
#include "node/internal.h"
#include "node/repair.h"
#include "node/scrub.h"

struct commit {
    struct engine_commit base;
    struct list link;  /* node->commits, or node->free_commits */
    struct node *node; /* NULL: the node went away before its store answered */
    const struct engine *store;
    struct commit_plan plan;
    bool durable;
};

/* --- reading -------------------------------------------------------------------------------- */

kvorum_status replica_read(struct node *node, const struct key_address *address,
                           struct replica_read *ret_read)
{
    struct engine *store = placement_store(node, address->partition);
    assert(store != NULL);
    struct bytes key = store_key(&node->scratch, address);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    *ret_read = (struct replica_read){ 0 };
    kvorum_status status = fetch_view(node, store, key, &ret_read->view);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status == KVORUM_WOULD_BLOCK)
        return status;
    if (status != KVORUM_OK) {
        node->counters.disk_errors++;
        if (status == KVORUM_CORRUPT)
            scrub_on_corrupt(node, address->partition, key);
        return status;
    }
    ret_read->held = true;
    ret_read->encoding = ret_read->view.value;
    return KVORUM_OK;
}

kvorum_status replica_wait(struct node *node, const struct key_address *address,
                           struct fetch *fetch)
{
    struct bytes key = store_key(&node->scratch, address);
    if (fetch == NULL || key.data == NULL) {
        if (fetch != NULL)
            fetch_close(node, fetch);
        node->counters.overloaded++;
        return KVORUM_OVERLOADED;
    }
    return fetch_wait(node, fetch, placement_store(node, address->partition), &key, 1);
}

/* --- messages put off ------------------------------------------------------------------------ */

struct late_message {
    void (*handle)(struct node *node, struct net_address from, const struct message *message);
    struct net_address from;
    struct message message;
    uint64_t room_since_us;
};

static void handle_again(struct node *node, struct fetch *fetch)
{
    const struct late_message *late = fetch->input;
    /* An epoch may have come in between, and with it others who count. */
    if (!epochs_admit(node, late->from, &late->message))
        return;
    node->room_since_us = late->room_since_us;
    late->handle(node, late->from, &late->message);
    node->room_since_us = 0;
}

static struct fetch *keep_message(struct node *node,
                                  void (*handle)(struct node *node, struct net_address from,
                                                 const struct message *message),
                                  struct net_address from, const struct message *message)
{
    struct fetch *fetch = fetch_open(node, handle_again, sizeof(struct late_message),
                                     message->body.size + message->tail.size);
    if (fetch == NULL)
        return NULL;
    struct late_message *late = fetch->input;
    *late = (struct late_message){ handle, from, *message, node->room_since_us };
    if (arena_copy(&fetch->arena, message->body, &late->message.body) &&
        arena_copy(&fetch->arena, message->tail, &late->message.tail))
        return fetch;
    fetch_close(node, fetch);
    return NULL;
}

/* OK: `handle` will be called with `message` again. */
static kvorum_status put_off(struct node *node, const struct key_address *address,
                             void (*handle)(struct node *node, struct net_address from,
                                            const struct message *message),
                             struct net_address from, const struct message *message)
{
    return replica_wait(node, address, keep_message(node, handle, from, message));
}

enum { ROOM_PATIENCE_US = 1000 * 1000 }; /* then the coordinator may look for a stand-in */

/* The same for a merge that its store has no room for now. */
static kvorum_status wait_for_room(struct node *node, const struct key_address *address,
                                   struct net_address from, const struct message *message)
{
    struct bytes key = store_key(&node->scratch, address);
    if (node->room_since_us == 0)
        node->room_since_us = node->now_us;
    bool patient = node->now_us - node->room_since_us < ROOM_PATIENCE_US && key.data != NULL;
    struct fetch *fetch = patient ? keep_message(node, replica_on_merge, from, message) : NULL;
    node->room_since_us = 0;
    if (fetch == NULL) {
        node->counters.overloaded++;
        return KVORUM_OVERLOADED;
    }
    return fetch_wait_room(node, fetch, placement_store(node, address->partition), key);
}

/* --- prefetching ----------------------------------------------------------------------------- */

/* Keys of the store that the first of them is in; the others are left for the next call. */
static size_t prefetch_store(struct node *node, const struct key_address *addresses, size_t count,
                             bool *done)
{
    struct bytes keys[ENGINE_PREFETCH_MAX];
    struct engine *store = NULL;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct engine *own = done[i] ? NULL : placement_store(node, addresses[i].partition);
        if (store == NULL)
            store = own;
        done[i] |= own == NULL;
        if (own == NULL || own != store)
            continue;
        done[i] = true;
        keys[taken] = store_key(&node->scratch, &addresses[i]);
        taken += keys[taken].data != NULL;
    }
    if (taken > 0)
        engine_prefetch(store, keys, taken);
    return taken;
}

void node_prefetch(struct node *node, struct bytes type, struct bytes bucket,
                   const struct bytes *keys, size_t count)
{
    struct key_address addresses[ENGINE_PREFETCH_MAX];
    bool done[ENGINE_PREFETCH_MAX];
    size_t addressed = 0;
    for (size_t i = 0; i < count && addressed < ENGINE_PREFETCH_MAX; i++) {
        done[addressed] = false;
        bool fine = placement_address(node, type, bucket, keys[i], &addresses[addressed]);
        if (fine)
            addresses[addressed].generation =
                drop_generation(node, addresses[addressed].type, bucket);
        addressed += fine;
    }
    while (prefetch_store(node, addresses, addressed, done) > 0)
        continue;
    if (node->depth == 0)
        arena_reset(&node->scratch);
}

static void replica_release(struct replica_read *read)
{
    if (read->held)
        engine_release(&read->view);
    read->held = false;
}

static bool message_address(struct node *node, const Peer__Address *from,
                            struct key_address *ret_address)
{
    bool fine = from != NULL &&
                placement_address(node, bytes_make(from->type.data, from->type.len),
                                  bytes_make(from->bucket.data, from->bucket.len),
                                  bytes_make(from->key.data, from->key.len), ret_address) &&
                placement_store(node, ret_address->partition) != NULL;
    if (fine)
        ret_address->generation = from->generation;
    if (fine && PLANTED(GENERATION_NOT_ASKED))
        ret_address->generation = drop_generation(node, ret_address->type, ret_address->bucket);
    return fine;
}

/* Objects up to this size travel whole even where the digest would do: cheaper than a second
 * trip. */
enum { SMALL_OBJECT_SIZE = 1024 };

void replica_on_get(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Get *get = node_unpack(node, &peer__get__descriptor, message->body);
    struct key_address address;
    if (get == NULL || !message_address(node, get->address, &address)) {
        node->counters.messages_bad++;
        return;
    }
    collect_hear(node, address.partition, get->collected);
    struct replica_read read;
    Peer__GetAnswer answer = PEER__GET_ANSWER__INIT;
    answer.status =
        drop_refuses(node, from, &address) ? KVORUM_DROPPED : replica_read(node, &address, &read);
    if (answer.status == KVORUM_WOULD_BLOCK) {
        answer.status = put_off(node, &address, replica_on_get, from, message);
        if (answer.status == KVORUM_OK)
            return;
    }
    enum scrub_doubt doubt = answer.status == KVORUM_OK ? scrub_judge(node, &address) : SCRUB_SOUND;
    if (doubt != SCRUB_SOUND) {
        replica_release(&read);
        answer.status = KVORUM_CORRUPT;
        answer.lost = doubt == SCRUB_LOST;
    }
    answer.fence = collect_promised(node, address.partition);
    answer.collected = collect_committed(node, address.partition);
    node->counters.replica_gets++;
    struct bytes tail = { 0 };
    bool held = answer.status == KVORUM_OK;
    if (held) {
        answer.digest = read.encoding.size == 0 ? 0 : object_digest(read.encoding);
        answer.full = !get->digest || read.encoding.size <= SMALL_OBJECT_SIZE;
        if (answer.full)
            tail = read.encoding;
        if (replica_is_poisoned(node, address.partition))
            answer.status = KVORUM_POISONED; /* this is what is here, and it may be old */
    }
    struct bytes body = node_pack(node, &answer.base);
    node_send(node, from, MESSAGE_GET_ANSWER, message->request_id, body, tail);
    if (held)
        replica_release(&read);
}

/* --- committing ----------------------------------------------------------------------------- */

enum engine_durability replica_durability(const struct node *node, bool must_sync)
{
    return must_sync || node->config.sync == NODE_SYNC_ALWAYS ? ENGINE_SYNC : ENGINE_LOG;
}

static void send_merge_answer(struct node *node, struct net_address to, uint64_t request_id,
                              kvorum_status status, bool durable)
{
    Peer__MergeAnswer answer = PEER__MERGE_ANSWER__INIT;
    answer.status = status;
    answer.durable = durable;
    node_send(node, to, MESSAGE_MERGE_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

static void send_fenced(struct node *node, struct net_address to, uint64_t request_id,
                        uint32_t partition)
{
    Peer__MergeAnswer answer = PEER__MERGE_ANSWER__INIT;
    answer.status = KVORUM_FENCED;
    answer.partition = partition;
    answer.collected = collect_committed(node, partition);
    node_send(node, to, MESSAGE_MERGE_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

static void carry_out(struct node *node, const struct commit_plan *plan, kvorum_status status,
                      bool durable)
{
    struct request *request;
    switch (plan->kind) {
    case COMMIT_NOTHING:
        break;
    case COMMIT_ANSWER:
        if (status == KVORUM_OK)
            status = plan->verdict;
        send_merge_answer(node, plan->to, plan->request_id, status, durable);
        break;
    case COMMIT_SUSPECT_ANSWER:
        suspect_answer(node, plan->to, plan->request_id, status);
        break;
    case COMMIT_TARGET:
        request = request_find(node, plan->request_id, REQUEST_PUT);
        if (request != NULL && plan->attempt == request->attempt)
            write_on_acknowledged(node, request, plan->target, status, durable);
        break;
    case COMMIT_PROPERTIES:
    case COMMIT_PROPERTIES_ANSWER:
    case COMMIT_GENERATION:
        property_on_stored(node, plan, status);
        break;
    case COMMIT_PROMISE:
        drop_on_promised(node, plan, status);
        break;
    case COMMIT_STREAM:
    case COMMIT_TENURE:
        handoff_on_stored(node, plan, status);
        break;
    case COMMIT_LOSS:
        scrub_on_stored(node, plan, status);
        break;
    case COMMIT_FENCE:
        collect_on_stored(node, plan, status);
        break;
    }
}

bool replica_is_poisoned(const struct node *node, uint32_t partition)
{
    return node->poisoned[partition % node->config.store_count];
}

static void report_disk(struct node *node, const struct engine *store, kvorum_status status)
{
    node->counters.disk_errors++;
    for (uint16_t i = 0; i < node->config.store_count; i++)
        node->poisoned[i] |= node->config.stores[i] == store && status == KVORUM_POISONED;
    if (node->poisoned_reported)
        return;
    node->poisoned_reported = true;
    log_error(node->config.log,
              "a store refused a write; this node no longer acknowledges writes "
              "to it. Check the disk, then restart the node",
              LOG_TEXT("status", kvorum_status_name(status)));
}

static void commit_done(struct engine_commit *base, kvorum_status status)
{
    struct commit *commit = LIST_ENTRY(base, struct commit, base);
    struct node *node = commit->node;
    list_remove(&commit->link);
    if (node == NULL) {
        free(commit);
        return;
    }
    struct commit_plan plan = commit->plan;
    bool durable = commit->durable && status == KVORUM_OK;
    list_append(&node->free_commits, &commit->link);
    node_enter(node);
    if (status != KVORUM_OK)
        report_disk(node, commit->store, status);
    carry_out(node, &plan, status, durable);
    node_leave(node);
}

static struct commit *commit_open(struct node *node)
{
    struct list *item = list_first(&node->free_commits);
    struct commit *commit =
        item == NULL ? calloc(1, sizeof(*commit)) : LIST_ENTRY(item, struct commit, link);
    if (commit == NULL)
        return NULL;
    if (item != NULL)
        list_remove(item);
    list_init(&commit->link);
    list_append(&node->commits, &commit->link);
    commit->node = node;
    commit->base.done = commit_done;
    return commit;
}

kvorum_status replica_submit(struct node *node, struct engine *store,
                             const struct engine_batch *batch, enum engine_durability durability,
                             const struct commit_plan *plan)
{
    struct commit *commit = commit_open(node);
    if (commit == NULL)
        return KVORUM_NO_MEMORY;
    commit->plan = *plan;
    commit->store = store;
    commit->durable = durability == ENGINE_SYNC; /* as safe as this store ever makes it */
    kvorum_status status = engine_submit(store, batch, durability, &commit->base);
    if (status != KVORUM_OK) {
        list_remove(&commit->link);
        list_append(&node->free_commits, &commit->link);
        if (status == KVORUM_IO || status == KVORUM_POISONED || status == KVORUM_NO_SPACE)
            report_disk(node, store, status);
    }
    return status;
}

void replica_done(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->free_commits)) != NULL)
        free(LIST_ENTRY(item, struct commit, link));
    while ((item = list_take_first(&node->commits)) != NULL) /* commit_done frees these */
        LIST_ENTRY(item, struct commit, link)->node = NULL;
}

/* --- writing -------------------------------------------------------------------------------- */

kvorum_status replica_store(struct node *node, const struct key_address *address, uint64_t before,
                            struct bytes encoding, const struct target *target, bool must_sync,
                            const struct commit_plan *plan)
{
    struct engine *store = placement_store(node, address->partition);
    struct bytes key = store_key(&node->scratch, address);
    uint64_t after = repair_digest(node, encoding);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    if (!handoff_ready(node, address->partition))
        return KVORUM_NOT_READY;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, key, encoding);
    if (status == KVORUM_OK)
        status = expiry_add(node, node->batch, key, encoding);
    if (status == KVORUM_OK)
        status = drop_prove(node, address);
    struct hint_change change = { 0 };
    if (status == KVORUM_OK && target != NULL && target->stand_in) {
        status = hints_add(node, node->batch, target->owner, address->partition, key, encoding.size,
                           &change);
        if (status == KVORUM_STORE_FULL)
            return hints_refuse(node, address, target->owner, plan);
    }
    if (status != KVORUM_OK)
        return status;
    hints_added(node, &change);
    status = replica_submit(node, store, node->batch, replica_durability(node, must_sync), plan);
    if (status != KVORUM_OK)
        hints_not_added(node, &change);
    bool forgets = PLANTED(TREE_NOT_UPDATED) && plan->kind != COMMIT_TARGET;
    struct key_address stored; /* the request may be over, and `address` gone with it */
    if (status == KVORUM_OK && !forgets && store_key_parse(key, &stored))
        repair_note(node, &stored, key, before, after);
    return status;
}

/* The stamp orders writes for ever: take note of it even if the object changes nothing here. */
static void see_stamp(struct node *node, const struct object *object)
{
    (void)hlc_see(&node->hlc, object_max_stamp(object), clock_wall_ms(node->config.clock));
}

static kvorum_status barrier(struct node *node, const struct key_address *address, bool must_sync,
                             const struct commit_plan *plan)
{
    node->counters.replica_merges_needless++;
    PROBE("node: a merge changed nothing and waited for what is there");
    if (PLANTED(BARRIER_MISSING)) {
        carry_out(node, plan, KVORUM_OK, true);
        return KVORUM_OK;
    }
    engine_batch_reset(node->batch);
    return replica_submit(node, placement_store(node, address->partition), node->batch,
                          replica_durability(node, must_sync), plan);
}

/* The mistake: this member's word on the bucket's mode counts for more than the versions'. */
static void forget_mode(struct node *node, const struct key_address *address, struct object *merged)
{
    struct bucket_properties properties;
    struct object_mode mode;
    property_table_mode(node, address->type, address->bucket, &properties, &mode);
    if (mode.siblings || merged->sibling_count < 2)
        return;
    merged->siblings[0] = *object_winner(merged);
    merged->sibling_count = 1;
}

/* Before it is stored: what that sets off may use the same buffer. */
static void tell_digest(struct bytes encoding, uint64_t *ret_digest)
{
    if (ret_digest != NULL)
        *ret_digest = object_digest(encoding);
}

kvorum_status replica_merge(struct node *node, const struct key_address *address,
                            struct bytes encoding, uint64_t fence, const struct target *target,
                            bool must_sync, const struct commit_plan *plan, uint64_t *ret_digest)
{
    struct object incoming, local = { 0 }, merged;
    if (PLANTED(EXPIRY_FROM_INSERT))
        encoding = expiry_from_insert(node, encoding);
    kvorum_status status = object_decode(encoding, &node->scratch, &incoming);
    if (status != KVORUM_OK)
        return status;
    see_stamp(node, &incoming);
    if (!collect_admits(node, address, fence))
        return KVORUM_FENCED;
    if (PLANTED(ACKNOWLEDGE_AND_FORGET) ||
        (PLANTED(HINT_DROPPED) && target != NULL && target->stand_in))
        return barrier(node, address, must_sync, plan);
    if (!handoff_ready(node, address->partition))
        return KVORUM_NOT_READY;
    if (!node->ready && node->config.shard != 0)
        return KVORUM_NOT_READY; /* what was dropped is not known yet */
    if (drop_is_old(node, address))
        return KVORUM_DROPPED; /* whoever it comes from, and however late */
    struct replica_read read;
    status = replica_read(node, address, &read);
    if (status != KVORUM_OK)
        return status;
    if (PLANTED(REPAIR_WITHOUT_VERSION_CHECK) && plan->request_id == 0)
        replica_release(&read);
    if (!read.held) {
        tell_digest(encoding, ret_digest);
        return replica_store(node, address, 0, encoding, target, must_sync, plan);
    }

    status = object_decode(read.encoding, &node->scratch, &local);
    if (status == KVORUM_OK && object_contains(&local, &incoming) &&
        (target == NULL || !target->stand_in)) {
        tell_digest(read.encoding, ret_digest);
        status = barrier(node, address, must_sync, plan);
    } else if (status == KVORUM_OK) {
        status = object_merge(&local, &incoming, &node->scratch, &merged);
        if (status == KVORUM_OK && PLANTED(MODE_OF_THE_MEMBER))
            forget_mode(node, address, &merged);
        buffer_reset(&node->encoding);
        if (status == KVORUM_OK)
            object_encode(&merged, &node->encoding);
        if (status == KVORUM_OK && node->encoding.failed)
            status = KVORUM_NO_MEMORY;
        if (status == KVORUM_OK) {
            tell_digest(buffer_bytes(&node->encoding), ret_digest);
            status = replica_store(node, address, repair_digest(node, read.encoding),
                                   buffer_bytes(&node->encoding), target, must_sync, plan);
        }
    }
    replica_release(&read);
    return status;
}

struct late_merge {
    struct key_address address;
    struct bytes encoding;
    uint64_t fence;
};

static void merge_again(struct node *node, struct fetch *fetch)
{
    const struct late_merge *late = fetch->input;
    replica_merge_quietly(node, &late->address, late->encoding, late->fence);
}

/* Errors of the disk are counted where they are met. */
void replica_merge_quietly(struct node *node, const struct key_address *address,
                           struct bytes encoding, uint64_t fence)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status =
        replica_merge(node, address, encoding, fence, NULL, false, &nothing, NULL);
    if (status != KVORUM_WOULD_BLOCK)
        return;
    struct fetch *fetch = fetch_open(node, merge_again, sizeof(struct late_merge), encoding.size);
    if (fetch != NULL) {
        struct late_merge *late = fetch->input;
        late->address = *address;
        late->fence = fence;
        if (!address_copy(&fetch->arena, &late->address) ||
            !arena_copy(&fetch->arena, encoding, &late->encoding)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    (void)replica_wait(node, address, fetch);
}

void replica_on_merge(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Merge *merge = node_unpack(node, &peer__merge__descriptor, message->body);
    struct key_address address;
    if (merge == NULL || !message_address(node, merge->address, &address) ||
        message->tail.size == 0 ||
        (merge->stand_in && merge->owner >= node->config.epoch->member_count)) {
        node->counters.messages_bad++;
        return;
    }
    if (!node->ready) { /* the bucket's mode is not known yet: merging could drop siblings */
        PROBE("node: a merge came before the shard was ready");
        send_merge_answer(node, from, message->request_id, KVORUM_NOT_READY, false);
        return;
    }
    if (merge->stand_in && parting_is_leaving(node) && !PLANTED(LEAVER_DROPS_HINTS)) {
        PROBE("node: a leaver did not stand in for anybody");
        send_merge_answer(node, from, message->request_id, KVORUM_NOT_READY, false);
        return;
    }
    struct target target = { .stand_in = merge->stand_in, .owner = (uint16_t)merge->owner };
    const struct commit_plan plan = { .kind = COMMIT_ANSWER,
                                      .to = from,
                                      .request_id = message->request_id };
    collect_hear(node, address.partition, merge->collected);
    kvorum_status status = KVORUM_DROPPED;
    if (!drop_refuses(node, from, &address))
        status = replica_merge(node, &address, message->tail, merge->fence, &target, merge->durable,
                               &plan, NULL);
    if (status == KVORUM_WOULD_BLOCK) {
        status = put_off(node, &address, replica_on_merge, from, message);
        if (status == KVORUM_OK)
            return;
    } else if (status == KVORUM_OVERLOADED) {
        status = wait_for_room(node, &address, from, message);
        if (status == KVORUM_OK)
            return;
    }
    node->counters.replica_merges++;
    node->counters.stand_in_writes += merge->stand_in;
    if (status == KVORUM_FENCED)
        send_fenced(node, from, message->request_id, address.partition);
    else if (status != KVORUM_OK)
        send_merge_answer(node, from, message->request_id, status, false);
}
