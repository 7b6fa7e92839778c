/* SPDX-License-Identifier: Apache-2.0 */
/* Coordinating a put: the coordinator reads its own version, makes the new one with a fresh dot,
 * stores it, and sends the whole object to the other targets, which merge it.
 * cluster/replication/put.h decides when that is enough.
 *
 * The local store comes first: a dot that could not be stored here must not leave the node, or the
 * next write would reuse it.  Its durability may lag behind the sends, because after anything but a
 * clean shutdown the node writes under a new actor (node/identity.h). */
#include "base/hash.h"
#include "base/planted.h"
#include "node/collect.h"
#include "node/drop.h"
#include "node/internal.h"
#include "node/repair.h"
#include "node/scrub.h"
#include "object/clock_vector.h"

static void apply(struct node *node, struct request *request, const struct put_effects *effects);

void write_step(struct node *node, struct request *request, struct put_event event)
{
    event.now_us = node->now_us;
    struct put_effects effects;
    put_step(&request->put, &event, &effects);
    apply(node, request, &effects);
}

/* --- sending -------------------------------------------------------------------------------- */

static uint16_t owner_of(const struct target *target)
{
    return target->stand_in ? target->owner : target->address.member;
}

static bool is_taken(const struct request *request, const struct target *spare, uint16_t owner)
{
    const struct put *put = &request->put;
    for (uint8_t j = request->places; j < request->target_count; j++)
        if (&request->targets[j] != spare && (put->sent & ~put->failed & (1u << j)) &&
            request->targets[j].owner == owner)
            return true;
    return false;
}

/* A spare stands in for the first owner that failed and has nobody in its place who did not. */
static void choose_owner(struct request *request, struct target *spare)
{
    for (uint8_t i = 0; i < request->places; i++) {
        uint16_t owner = owner_of(&request->targets[i]);
        if ((request->put.failed & (1u << i)) && !is_taken(request, spare, owner)) {
            spare->owner = owner;
            PROBE("node: a spare stood in for an owner that failed under way");
            return;
        }
    }
}

void write_send(struct node *node, struct request *request, uint8_t at)
{
    struct target *target = &request->targets[at];
    if (at >= request->places)
        choose_owner(request, target);
    if (target->local) { /* resumed: in the first round it is stored before the machine starts */
        write_store_again(node, request, at);
        return;
    }
    Peer__Address address = PEER__ADDRESS__INIT;
    address.type.data = (uint8_t *)request->address.type.data;
    address.type.len = request->address.type.size;
    address.bucket.data = (uint8_t *)request->address.bucket.data;
    address.bucket.len = request->address.bucket.size;
    address.key.data = (uint8_t *)request->address.key.data;
    address.key.len = request->address.key.size;
    address.generation = request->address.generation;
    Peer__Merge merge = PEER__MERGE__INIT;
    merge.address = &address;
    merge.durable = request->quorum.dw > 0;
    merge.stand_in = target->stand_in;
    merge.owner = target->stand_in ? target->owner : 0;
    merge.fence = PLANTED(FENCE_OF_SENDING) ? collect_promised(node, request->address.partition)
                                            : request->fence;
    merge.collected = collect_committed(node, request->address.partition);
    struct bytes body = node_pack(node, &merge.base);
    if (!request_send(node, request, target->address, MESSAGE_MERGE, body, request->encoding))
        write_step(node, request,
                   (struct put_event){ .kind = PUT_FAILED, .target = at, .refused = true });
}

/* --- answering ------------------------------------------------------------------------------ */

static bool is_enough(const struct put *put, bool other, uint8_t zones, uint32_t answered,
                      uint8_t need)
{
    return __builtin_popcount(answered) >= need &&
           zones_met_by(&put->zones, zones, other, answered);
}

/* Of the targets in `set`: the level that failed the write, one that can no longer be met before
 * one that only was not yet; NULL: all are met. */
static const char *unmet_in(const struct put *put, bool other, uint32_t set, uint8_t *ret_answered,
                            uint8_t *ret_needed)
{
    const struct quorum *quorum = other ? &put->other : &put->quorum;
    uint32_t left = ((1u << put->target_count) - 1) & ~(put->unreachable | put->failed) & set;
    uint32_t acked = put->acked & set;
    struct {
        const char *name;
        uint32_t have, left;
        uint8_t need, zones;
    } levels[] = {
        { "w", acked, left, quorum->w, quorum->zones.w },
        { "dw", put->durable & set, left, quorum->dw, quorum->zones.dw },
        { "pw", acked & put->owners, left & put->owners, quorum->pw, quorum->zones.pw },
        { "node_confirms", acked, left, quorum->node_confirms, ZONE_LEVEL_NONE },
    };
    size_t i = 0;
    while (i < 4 &&
           is_enough(put, other, levels[i].zones, levels[i].have | levels[i].left, levels[i].need))
        i++;
    if (i == 4) /* none is hopeless: the first that is not met yet */
        for (i = 0;
             i < 4 && is_enough(put, other, levels[i].zones, levels[i].have, levels[i].need);)
            i++;
    size_t told = i == 4 ? 0 : i;
    *ret_answered = levels[told].zones == ZONE_LEVEL_NONE
                        ? (uint8_t)__builtin_popcount(levels[told].have)
                        : zones_given(&put->zones, levels[told].zones, other, levels[told].have);
    *ret_needed = levels[told].need;
    return i == 4 ? NULL : levels[i].name;
}

static const char *unmet_level(const struct put *put, uint8_t *ret_answered, uint8_t *ret_needed)
{
    bool moving = put->other_set != 0;
    const char *level =
        unmet_in(put, false, moving ? put->set : UINT32_MAX, ret_answered, ret_needed);
    if (level == NULL && moving)
        level = unmet_in(put, true, put->other_set, ret_answered, ret_needed);
    return level == NULL ? "w" : level;
}

static void reply(struct node *node, struct request *request, kvorum_status status)
{
    struct answer answer = { .n = request->quorum.n, .reason = "" };
    struct object object;
    if (status == KVORUM_UNAVAILABLE && request->held) /* it is true of this round alone */
        status = KVORUM_TIMEOUT;
    answer.status = status;
    answer.outdated = status != KVORUM_OK && request->newer > request->epoch;
    answer.level = unmet_level(&request->put, &answer.answered, &answer.needed);
    for (uint8_t i = 0; i < request->target_count; i++)
        answer.stand_ins += request->targets[i].stand_in && (request->put.acked & (1u << i));
    if (status != KVORUM_OK)
        answer.reason =
            reason_quorum(node, request, status, answer.level, answer.answered, answer.needed);
    else if ((request->flags & OPERATION_RETURN_BODY) != 0 &&
             object_decode(request->encoding, &node->scratch, &object) == KVORUM_OK &&
             object_show(&object, request->mode, &node->scratch, &object) == KVORUM_OK)
        answer.object = &object;
    request_answer(node, request, &answer);
}

static void apply(struct node *node, struct request *request, const struct put_effects *effects)
{
    bool failed = effects->reply && effects->status != KVORUM_OK;
    if (effects->reply && !(failed && reopen_later(node, request, effects->status)))
        reply(node, request, effects->status);
    for (uint8_t i = 0; effects->send != 0 && i < request->target_count; i++)
        if ((effects->send & (1u << i)) && (request->resumed || !request->targets[i].local))
            write_send(node, request, i);
}

int write_local_target(const struct request *request)
{
    for (int i = 0; i < request->target_count; i++)
        if (request->targets[i].local)
            return i;
    return -1;
}

/* Somebody who acknowledged stands in for it. */
static bool is_stood_in_for(const struct request *request, uint16_t owner)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if (request->targets[i].stand_in && request->targets[i].owner == owner &&
            (request->put.acked & (1u << i)))
            return true;
    return false;
}

/* An owner that was away, or did not answer in time, is owed the write by its coordinator, who has
 * it; no level counts that. */
static void owe_to_the_silent(struct node *node, const struct request *request)
{
    const struct put *put = &request->put;
    for (uint8_t i = 0; i < request->places; i++) {
        const struct target *target = &request->targets[i];
        uint16_t owner = owner_of(target);
        if (epochs_slot_changed_since(node, owner, request->epoch))
            continue; /* it is somebody else's, who gets what is there by streams */
        bool has_it = (target->local && !request->resumed) || (put->acked & (1u << i)) ||
                      is_stood_in_for(request, owner);
        if (has_it || owner == node->config.self)
            continue;
        if (write_local_target(request) >= 0)
            hints_owe(node, &request->address, owner, request->encoding.size);
        else /* the key has left this shard meanwhile */
            hints_suspect(node, request->address.partition, owner);
    }
}

bool write_settle(struct node *node, struct request *request)
{
    if (request->put.state != PUT_FINISHED || request->parked)
        return false;
    owe_to_the_silent(node, request);
    request_close(node, request);
    return true;
}

/* --- starting ------------------------------------------------------------------------------- */

uint64_t write_refuse(struct node *node, struct request *request, kvorum_status status,
                      const char *level, const char *reason)
{
    struct answer answer = { .status = status, .level = level, .n = request->quorum.n };
    answer.outdated = request->newer > request->epoch;
    answer.reason = reason != NULL ? reason
                                   : reason_printf(node, "cannot write %s: %s",
                                                   reason_key(node, &request->address),
                                                   kvorum_status_text(status));
    request_answer(node, request, &answer);
    request_close(node, request);
    return 0;
}

/* Where nothing was asked about disks, dw means what the node's sync policy gives anyway. */
static void relax_dw(struct node *node, struct request *request,
                     const struct bucket_properties *properties)
{
    bool asked = request->asked.dw != LEVEL_DEFAULT || properties->levels.dw != LEVEL_DEFAULT;
    if (!asked && node->config.sync != NODE_SYNC_ALWAYS)
        request->quorum.dw = request->other.dw = request->quorum.zones.dw =
            request->other.zones.dw = 0;
}

kvorum_status write_place(struct node *node, struct request *request, const char **ret_level,
                          const char **ret_reason)
{
    struct bucket_properties properties;
    struct object_mode given = request->mode;
    property_table_mode(node, request->address.type, request->address.bucket, &properties,
                        &request->mode);
    request->mode = mode_later(request->mode, given);
    uint64_t before = request->address.generation;
    request->address.generation = properties.generation;
    bool dropped = request->resumed && before != properties.generation;
    if (dropped ||
        (request->pinned && drop_pin(node, &request->address, request->pin) != KVORUM_OK)) {
        *ret_reason = drop_retry_reason;
        return KVORUM_UNAVAILABLE;
    }
    request->strategy = bucket_strategy(&properties);
    if (properties.ttl_seconds != PROPERTY_NO_TTL)
        request->ttl_seconds = properties.ttl_seconds;
    kvorum_status status =
        placement_quorum(node, request, &request->asked, &properties.levels, ret_level);
    if (status != KVORUM_OK) {
        *ret_reason = reason_printf(
            node, "%s cannot be met: this bucket has n=%u replicas, the cluster %u nodes",
            *ret_level, properties.levels.n, node->config.epoch->member_count);
        return status;
    }
    relax_dw(node, request, &properties);
    placement_write_targets(node, request);
    return zones_resolve(node, request, ret_level, ret_reason);
}

static bool owner_reachable(struct node *node, const struct request *request)
{
    for (uint8_t i = 0; i < request->places; i++)
        if (!request->targets[i].stand_in &&
            placement_reachable(node, request->targets[i].address.member))
            return true;
    return false;
}

/* While its partition moves, somebody else knows better what is there. */
static bool is_newcomer(struct node *node, const struct request *request, int local)
{
    if ((request->set & 1u << local) != 0 || request->other_set == 0)
        return false;
    for (uint8_t i = 0; i < request->quorum.n; i++)
        if (placement_reachable(node, request->targets[i].address.member))
            return true;
    return false;
}

/* The coordinator is an owner, one of those whom reads ask if possible; a stand-in may take its
 * place where the quorum is sloppy and no owner can be reached, or when another node already chose
 * us. */
static bool coordinates(struct node *node, const struct request *request, int local)
{
    bool read_here = local >= 0 && (request->other_set == 0 || (request->set & 1u << local) != 0);
    if (local < 0 || (parting_is_leaving(node) && (request->targets[local].stand_in || !read_here)))
        return false;
    if (is_newcomer(node, request, local))
        return (request->flags & OPERATION_FORWARDED) != 0;
    if (!request->targets[local].stand_in)
        return true;
    return (request->flags & OPERATION_FORWARDED) != 0 ||
           (local < request->places && !owner_reachable(node, request));
}

void write_prepare(struct node *node, struct request *request)
{
    request->put = (struct put){
        .quorum = request->quorum,
        .other = request->other,
        .set = request->set,
        .other_set = request->other_set,
        .places = request->places,
        .target_count = request->target_count,
        .deadline_us = request->deadline_us,
    };
    zones_fill(node, request, &request->put.zones);
    for (uint8_t i = 0; i < request->target_count; i++) {
        if (!request->targets[i].stand_in)
            request->put.owners |= 1u << i;
        if (!placement_reachable(node, request->targets[i].address.member))
            request->put.unreachable |= 1u << i;
    }
}

/* A coordinator that is a spare moves to the front, so that the machine uses it from the start. */
static int promote(struct request *request, int local)
{
    if (local < request->places)
        return local;
    for (uint8_t i = 0; i < request->places; i++)
        if (!(request->put.owners & (1u << i)) || (request->put.unreachable & (1u << i))) {
            struct target *spare = &request->targets[local], place = request->targets[i];
            spare->owner = place.stand_in ? place.owner : place.address.member;
            request->targets[i] = *spare;
            request->targets[local] = place;
            return i;
        }
    return local;
}

/* What it is to begin again with, where it may have to. */
static bool keep_operation(struct request *request, const struct operation *operation)
{
    if (request->kept != NULL)
        return true;
    struct operation *copy = arena_new(&request->arena, struct operation);
    if (copy == NULL || !operation_copy(&request->arena, operation, copy))
        return false;
    request->kept = copy;
    return true;
}

struct late_write {
    uint64_t id;
    int own;
    uint8_t attempt;
};

static uint64_t launch(struct node *node, struct request *request,
                       const struct operation *operation, int own);
static uint64_t begin(struct node *node, struct request *request, const struct operation *operation,
                      int own);
static uint64_t give_away(struct node *node, struct request *request,
                          const struct operation *operation, kvorum_status status,
                          const char *reason);

/* NULL: its time is over, and its timer answers, or has answered; or it has begun again. */
struct request *write_in_time(struct node *node, uint64_t id, uint8_t attempt)
{
    struct request *request = request_find(node, id, REQUEST_PUT);
    bool same = request != NULL && !request->parked && request->attempt == attempt;
    return same && node->now_us < request->deadline_us ? request : NULL;
}

static void launch_again(struct node *node, struct fetch *fetch)
{
    const struct late_write *late = fetch->input;
    struct request *request = write_in_time(node, late->id, late->attempt);
    if (request != NULL)
        launch(node, request, request->kept, late->own);
}

/* Nothing has happened yet but that the old version is being fetched. */
static kvorum_status put_off(struct node *node, struct request *request,
                             const struct operation *operation, int own)
{
    struct fetch *fetch = NULL;
    if (keep_operation(request, operation) && request_keep(node, request))
        fetch = fetch_open(node, launch_again, sizeof(struct late_write), operation->value.size);
    if (fetch != NULL)
        *(struct late_write *)fetch->input =
            (struct late_write){ request->id, own, request->attempt };
    return replica_wait(node, &request->address, fetch);
}

static uint64_t launch(struct node *node, struct request *request,
                       const struct operation *operation, int own)
{
    kvorum_status status = write_make(node, request, own, operation);
    if (status == KVORUM_WOULD_BLOCK) {
        status = put_off(node, request, operation, own);
        if (status == KVORUM_OK)
            return request->id;
    }
    if (status == KVORUM_OK && !request_keep(node, request))
        status = KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        return give_away(node, request, operation, status, NULL);
    return begin(node, request, operation, own);
}

static void begin_again(struct node *node, struct fetch *fetch)
{
    const struct late_write *late = fetch->input;
    struct request *request = write_in_time(node, late->id, late->attempt);
    node->fetch_pass = NULL; /* what it would have to read, it has read */
    if (request != NULL)
        begin(node, request, request->kept, late->own);
}

/* The object is made; those who come after it wait behind it, so it stays what is to be written. */
static kvorum_status wait_for_room(struct node *node, struct request *request,
                                   const struct operation *operation, int own)
{
    struct bytes key = store_key(&node->scratch, &request->address);
    struct fetch *fetch = NULL;
    if (key.data != NULL && keep_operation(request, operation))
        fetch = fetch_open(node, begin_again, sizeof(struct late_write), operation->value.size);
    if (fetch == NULL)
        return KVORUM_OVERLOADED;
    *(struct late_write *)fetch->input = (struct late_write){ request->id, own, request->attempt };
    return fetch_wait_room(node, fetch, placement_store(node, request->address.partition), key);
}

/* Nothing was written here, and this store is in no state to: another owner may be. */
static uint64_t give_away(struct node *node, struct request *request,
                          const struct operation *operation, kvorum_status status,
                          const char *reason)
{
    bool forwarded = (request->flags & OPERATION_FORWARDED) != 0;
    if (forwarded || operation == NULL || !forward_is_inability(status))
        return write_refuse(node, request, status, NULL, reason);
    PROBE("node: a write went to another owner since this store takes none");
    forward_note_unable(request, node->config.self, status);
    return forward_begin(node, request, operation);
}

/* NULL: the status says it all. */
static const char *no_room(struct node *node, const struct request *request, kvorum_status status,
                           int own)
{
    const struct target *target = &request->targets[own];
    if (status != KVORUM_STORE_FULL || !target->stand_in)
        return NULL;
    return reason_printf(node,
                         "cannot write %s: no owner of it answers, and this node holds as much for "
                         "%s as [limits] hints and hints_size allow. Next: kvorum status",
                         reason_key(node, &request->address),
                         node->config.epoch->members[target->owner].name);
}

/* The object was made, and waited: what it was made of may be gone. */
static bool was_overtaken(struct node *node, const struct request *request)
{
    return request->fence_drops != collect_drops(node, request->address.partition) ||
           !collect_is_current(node, &request->address, request->fence);
}

static uint64_t begin(struct node *node, struct request *request, const struct operation *operation,
                      int own)
{
    uint64_t id = request->id;
    const struct put before = request->put;
    kvorum_status status;
    if (drop_is_old(node, &request->address)) {
        PROBE("node: a write met a drop before it began");
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL, drop_retry_reason);
    }
    if (was_overtaken(node, request)) {
        PROBE("node: a write waited for room while older tombstones were collected");
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL,
                            "not written: deletions were collected meanwhile; retry");
    }
    if (request_is_outdated(node, request)) { /* it waited for the disk: its operation is kept */
        PROBE("node: a write met a new epoch before it began");
        reopen_note(request, node->config.epoch->number);
        if (request->kept != NULL && reopen_later(node, request, KVORUM_UNAVAILABLE))
            return id;
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL, write_not_written);
    }
    const struct commit_plan plan = {
        .kind = COMMIT_TARGET, .request_id = id, .target = (uint8_t)own, .attempt = request->attempt
    };
    /* The machine starts first, so that an acknowledgement from inside the store finds it waiting;
     * nothing has left the node before the store has taken the write. */
    struct put_event start = { .now_us = node->now_us, .kind = PUT_START };
    struct put_effects effects;
    put_step(&request->put, &start, &effects);
    if (effects.reply) { /* hopeless from the start: nothing was stored or sent */
        apply(node, request, &effects);
        request_close(node, request);
        return 0;
    }
    node->depth++; /* a nested answer must not end the scratch memory this frame uses */
    status = replica_store(node, &request->address, request->before, request->encoding,
                           &request->targets[own], request->quorum.dw > 0, &plan);
    if (status == KVORUM_OK) {
        request = request_find(node, id, REQUEST_PUT);
        if (request != NULL) {
            apply(node, request, &effects);
            if (write_settle(node, request))
                request = NULL;
        }
    } else {
        request->put = before;
        if (status == KVORUM_OVERLOADED)
            status = wait_for_room(node, request, operation, own);
        if (status != KVORUM_OK) {
            id = give_away(node, request, operation, status, no_room(node, request, status, own));
            request = id == 0 ? NULL : request;
        }
    }
    node->depth--;
    return request == NULL || request->answered ? 0 : id;
}

static uint64_t coordinate(struct node *node, struct request *request,
                           const struct operation *operation, int local)
{
    write_prepare(node, request);
    int promoted = promote(request, local);
    if (promoted != local)
        write_prepare(node, request);
    if (promoted >= request->places)
        return write_refuse(node, request, KVORUM_UNAVAILABLE, NULL,
                            "this node is no owner of the key and none of its owners is away");
    return launch(node, request, operation, promoted);
}

/* Here, or where there is an owner. */
static uint64_t route(struct node *node, struct request *request, const struct operation *operation)
{
    const char *level = NULL, *reason = NULL;
    kvorum_status status = write_place(node, request, &level, &reason);
    if (status != KVORUM_OK)
        return write_refuse(node, request, status, level, reason);
    int local = write_local_target(request);
    if (coordinates(node, request, local) && !forward_is_unable(request, node->config.self))
        return coordinate(node, request, operation, local);
    return forward_begin(node, request, operation);
}

uint64_t write_again(struct node *node, struct request *request)
{
    request->kind = REQUEST_PUT;
    request->epoch = node->config.epoch->number;
    return route(node, request, request->kept);
}

uint64_t write_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context)
{
    bool first_hand = (operation->flags & OPERATION_FORWARDED) == 0; /* counted where it came in */
    node->counters.puts += first_hand && operation->kind == OPERATION_PUT;
    node->counters.deletes += first_hand && operation->kind == OPERATION_DELETE;
    struct request *request = request_open(node, REQUEST_PUT);
    if (request == NULL) {
        struct answer answer = { .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
        on_answer(context, &answer);
        return 0;
    }
    request->operation = operation->kind;
    request->on_answer = on_answer;
    request->context = context;
    request->flags = operation->flags;
    request->asked = operation->levels;
    request->mode = operation->mode;
    request->pinned = operation->pinned;
    request->pin = operation->generation;
    request->put.state = PUT_NEW;
    request->deadline_us =
        node->now_us + (operation->timeout_ms > 0 ? operation->timeout_ms * 1000ull
                                                  : node->config.request_timeout_us);
    bool addressed = placement_address(node, operation->type, operation->bucket, operation->key,
                                       &request->address);
    assert(addressed); /* node_submit checked the sizes */
    return route(node, request, operation);
}

/* --- events --------------------------------------------------------------------------------- */

/* A disk that failed under the write may have kept it; every other refusal came before anything was
 * written. */
void write_on_acknowledged(struct node *node, struct request *request, uint8_t target,
                           kvorum_status status, bool durable)
{
    struct put_event event = {
        .kind = status == KVORUM_OK ? PUT_ACK : PUT_FAILED,
        .target = target,
        .durable = durable,
        .refused = status != KVORUM_IO && status != KVORUM_POISONED,
    };
    if (request->parked)
        return;
    write_step(node, request, event);
    write_settle(node, request);
}

/* Every other answer is of the present round, or as good as one. */
static bool is_stale_refusal(struct request *request, kvorum_status status, uint64_t epoch)
{
    if (status == KVORUM_WRONG_EPOCH && epoch > request->epoch)
        reopen_note(request, epoch);
    return status == KVORUM_WRONG_EPOCH && epoch <= request->epoch;
}

/* Of a generation that others know to be over: what was stored of it, nobody will see. */
static void write_dropped(struct node *node, struct request *request)
{
    struct answer answer = { .status = KVORUM_UNAVAILABLE, .level = "w", .n = request->quorum.n };
    answer.reason = drop_retry_reason;
    request_answer(node, request, &answer);
    request_close(node, request);
}

void write_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__MergeAnswer *answer = node_unpack(node, &peer__merge_answer__descriptor, message->body);
    if (answer == NULL) {
        node->counters.messages_bad++;
        return;
    }
    if (answer->status == KVORUM_FENCED)
        collect_hear(node, answer->partition, answer->collected);
    struct request *request = request_find(node, message->request_id, REQUEST_PUT);
    if (request != NULL && answer->status == KVORUM_DROPPED) {
        write_dropped(node, request);
        return;
    }
    if (request != NULL) {
        int at = request_target_of(request, from.member);
        if (at < 0 || request_is_earlier(request, message) ||
            is_stale_refusal(request, (kvorum_status)answer->status, message->epoch))
            return;
        if (answer->status == KVORUM_FENCED)
            write_on_fenced(node, request, (uint8_t)at);
        else
            write_on_acknowledged(node, request, (uint8_t)at, (kvorum_status)answer->status,
                                  answer->durable);
        return;
    }
    request = request_find(node, message->request_id, REQUEST_HINT);
    if (request != NULL)
        hints_on_acknowledged(node, request, (kvorum_status)answer->status, answer->durable);
    request = request_find(node, message->request_id, REQUEST_REPAIR);
    if (request != NULL)
        repair_on_pushed(node, request, (kvorum_status)answer->status);
}

void write_on_deadline(struct node *node, struct request *request)
{
    if (request->parked) {
        write_on_parked(node, request);
        return;
    }
    if (request->put.state == PUT_NEW) { /* the old version did not come in time */
        PROBE("node: a write gave up before it began");
        write_refuse(node, request, KVORUM_OVERLOADED, NULL,
                     "the coordinating node's disk is behind: nothing was written; retry later");
        return;
    }
    write_step(node, request, (struct put_event){ .kind = PUT_TICK });
    bool closed = write_settle(node, request);
    assert(closed);
}
