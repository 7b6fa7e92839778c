/* SPDX-License-Identifier: Apache-2.0 */
/* Coordinating a get: cluster/replication/get.h decides, this file asks the replicas, keeps what
 * they sent, merges it, answers, and repairs those that were behind. */
#include "base/planted.h"
#include "node/collect.h"
#include "node/drop.h"
#include "node/internal.h"
#include "node/repair.h"
#include "node/scrub.h"

static void apply(struct node *node, struct request *request, const struct get_effects *effects);
static void ask_local(struct node *node, struct request *request, uint8_t at);
static bool read_settle(struct node *node, struct request *request);

static void step(struct node *node, struct request *request, struct get_event event)
{
    event.now_us = node->now_us;
    struct get_effects effects;
    get_step(&request->get, &event, &effects);
    apply(node, request, &effects);
}

/* --- asking --------------------------------------------------------------------------------- */

static void ask_remote(struct node *node, struct request *request, uint8_t at, bool digest)
{
    Peer__Address address = PEER__ADDRESS__INIT;
    address.type =
        (ProtobufCBinaryData){ request->address.type.size, (uint8_t *)request->address.type.data };
    address.bucket = (ProtobufCBinaryData){ request->address.bucket.size,
                                            (uint8_t *)request->address.bucket.data };
    address.key =
        (ProtobufCBinaryData){ request->address.key.size, (uint8_t *)request->address.key.data };
    address.generation = request->address.generation;
    Peer__Get get = PEER__GET__INIT;
    get.address = &address;
    get.digest = digest;
    get.collected = request->collected;
    struct bytes body = node_pack(node, &get.base);
    if (!request_send(node, request, request->targets[at].address, MESSAGE_GET, body,
                      (struct bytes){ 0 }))
        step(node, request, (struct get_event){ .kind = GET_FAILED, .target = at });
}

struct late_ask {
    uint64_t id;
    uint8_t target, attempt;
};

static void ask_again(struct node *node, struct fetch *fetch)
{
    const struct late_ask *late = fetch->input;
    struct request *request = request_find(node, late->id, REQUEST_GET);
    if (request == NULL || request->parked || request->attempt != late->attempt)
        return; /* its deadline has passed, or it asks others by now */
    ask_local(node, request, late->target);
    read_settle(node, request);
}

/* The request lives on, beyond the call that brought it. */
static kvorum_status put_off(struct node *node, struct request *request, uint8_t at)
{
    struct fetch *fetch = fetch_open(node, ask_again, sizeof(struct late_ask), 0);
    bool fine = fetch != NULL && request_keep(node, request);
    if (fine)
        *(struct late_ask *)fetch->input = (struct late_ask){ request->id, at, request->attempt };
    else if (fetch != NULL)
        fetch_close(node, fetch);
    return replica_wait(node, &request->address, fine ? fetch : NULL);
}

/* A member that takes no writes counts as absent where somebody may stand in for it: what it lacks
 * is with whoever does.  Else what it has is as good as before its disk failed. */
static bool counts_as_absent(const struct request *request)
{
    return request->quorum.sloppy && request->target_count > request->places;
}

static void note_lost(struct request *request, uint8_t at, bool lost)
{
    if (lost)
        request->lost |= 1u << at;
}

/* False: what `target` sent may be older than tombstones that others have collected. */
static bool note_collected(struct request *request, const struct target *target, uint64_t collected)
{
    if (collected > request->collected)
        request->collected = collected;
    return target->fence >= request->collected;
}

/* What arrives may be gone when the machine is done: an open request keeps a copy. */
static void ask_local(struct node *node, struct request *request, uint8_t at)
{
    struct replica_read read;
    kvorum_status status = request_is_outdated(node, request)
                               ? KVORUM_WRONG_EPOCH
                               : replica_read(node, &request->address, &read);
    if (status == KVORUM_WRONG_EPOCH)
        reopen_note(request, node->config.epoch->number);
    if (status == KVORUM_WOULD_BLOCK && put_off(node, request, at) == KVORUM_OK)
        return;
    enum scrub_doubt doubt =
        status == KVORUM_OK ? scrub_judge(node, &request->address) : SCRUB_SOUND;
    if (doubt != SCRUB_SOUND) {
        if (read.held)
            engine_release(&read.view);
        status = KVORUM_CORRUPT;
        note_lost(request, at, doubt == SCRUB_LOST);
    }
    if (status == KVORUM_OK && replica_is_poisoned(node, request->address.partition) &&
        counts_as_absent(request)) {
        if (read.held)
            engine_release(&read.view);
        status = KVORUM_POISONED;
    }
    if (status != KVORUM_OK) {
        step(node, request, (struct get_event){ .kind = GET_FAILED, .target = at });
        return;
    }
    struct target *target = &request->targets[at];
    target->fence = collect_promised(node, request->address.partition);
    if (!note_collected(request, target, collect_committed(node, request->address.partition))) {
        if (read.held)
            engine_release(&read.view);
        step(node, request, (struct get_event){ .kind = GET_FAILED, .target = at });
        return;
    }
    struct get_event event = { .kind = GET_ANSWER, .target = at, .full = true };
    bool kept = true;
    if (read.encoding.size > 0) {
        event.digest = object_digest(read.encoding);
        target->encoding = read.encoding;
        bool alone = request->target_count == 1;
        if (!alone)
            kept = arena_copy(&request->arena, read.encoding, &target->encoding);
    }
    target->in_hand = kept;
    if (!kept)
        event = (struct get_event){ .kind = GET_FAILED, .target = at };
    step(node, request, event);
    if (read.held)
        engine_release(&read.view);
}

/* Remote targets first: their answers travel while we read our own store. */
static void ask(struct node *node, struct request *request, uint32_t full, uint32_t digest)
{
    uint32_t local = 0;
    for (uint8_t i = 0; i < request->target_count; i++) {
        uint32_t bit = 1u << i;
        if ((full | digest) & bit) {
            if (request->targets[i].local)
                local |= bit;
            else
                ask_remote(node, request, i, (full & bit) == 0);
        }
    }
    for (uint8_t i = 0; i < request->target_count; i++)
        if (local & (1u << i))
            ask_local(node, request, i);
}

/* --- answering ------------------------------------------------------------------------------ */

/* Merge every object in hand; *ret_any tells whether there was one. */
static kvorum_status merge_answers(struct node *node, struct request *request,
                                   struct object *ret_merged, bool *ret_any)
{
    uint64_t merged_digest = 0;
    *ret_any = false;
    for (uint8_t i = 0; i < request->target_count; i++) {
        const struct target *target = &request->targets[i];
        uint64_t digest = request->get.digests[i];
        if (!target->in_hand || target->encoding.size == 0 || digest == merged_digest)
            continue;
        struct object object;
        kvorum_status status = object_decode(target->encoding, &node->scratch, &object);
        if (status == KVORUM_OK && *ret_any)
            status = object_merge(ret_merged, &object, &node->scratch, ret_merged);
        else if (status == KVORUM_OK)
            *ret_merged = object;
        if (status != KVORUM_OK)
            return status;
        merged_digest = *ret_any ? 0 : digest;
        *ret_any = true;
    }
    return KVORUM_OK;
}

static void count_stand_ins(struct request *request, struct answer *answer)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if (request->targets[i].stand_in && (request->get.answered & (1u << i)))
            answer->stand_ins++;
}

/* Levels by zone fail by themselves. */
static const char *unmet_zones(const struct get *get, uint8_t *ret_answered, uint8_t *ret_needed)
{
    const struct level_zones *zones = &get->quorum.zones;
    bool r = !zones_met_by(&get->zones, zones->r, false, get->answered);
    uint8_t level = r ? zones->r : zones->pr;
    if (!r && zones_met_by(&get->zones, zones->pr, false, get->answered))
        return NULL;
    *ret_answered = zones_given(&get->zones, level, false, get->answered);
    *ret_needed = zones_least(&get->zones, level, false);
    return r ? "r" : "pr";
}

/* The level that failed the read: one that can no longer be met, before one that only was not
 * yet. */
static const char *unmet_level(const struct get *get, uint8_t *ret_answered, uint8_t *ret_needed)
{
    uint8_t answered = (uint8_t)__builtin_popcount(get->answered);
    uint8_t owners = (uint8_t)__builtin_popcount(get->answered & get->owners);
    uint32_t left = ((1u << get->target_count) - 1) & ~(get->unreachable | get->failed);
    bool r_met = answered >= get->quorum.r;
    bool pr_hopeless = __builtin_popcount(left & get->owners) < get->quorum.pr &&
                       __builtin_popcount(left) >= get->quorum.r;
    bool pr = (r_met && owners < get->quorum.pr) || pr_hopeless;
    if (r_met && !pr) {
        *ret_answered = answered;
        *ret_needed = get->quorum.node_confirms;
        return "node_confirms";
    }
    *ret_answered = pr ? owners : answered;
    *ret_needed = pr ? get->quorum.pr : get->quorum.r;
    return pr ? "pr" : "r";
}

static void reply_failure(struct node *node, struct request *request, kvorum_status status)
{
    struct answer answer = { .status = status,
                             .n = request->quorum.n,
                             .outdated = request->newer > request->epoch };
    answer.level = unmet_zones(&request->get, &answer.answered, &answer.needed);
    if (answer.level == NULL)
        answer.level = unmet_level(&request->get, &answer.answered, &answer.needed);
    answer.reason =
        reason_quorum(node, request, status, answer.level, answer.answered, answer.needed);
    request_answer(node, request, &answer);
}

/* Whoever is asked besides never had it. */
static void reply_lost(struct node *node, struct request *request)
{
    uint8_t at = (uint8_t)__builtin_ctz(request->lost);
    uint16_t member = request->targets[at].address.member;
    struct answer answer = { .status = KVORUM_CORRUPT, .n = request->quorum.n };
    answer.reason = reason_printf(
        node,
        "cannot read %s: its only replica, on %s, was lost with a damaged file. Next: restore it "
        "and then, or to give it up, run kvorum scrub --accept on that node",
        reason_key(node, &request->address), node->config.epoch->members[member].name);
    PROBE("node: a read of a key that is lost for good");
    request_answer(node, request, &answer);
}

static void reply(struct node *node, struct request *request, kvorum_status status)
{
    if (request->lost != 0 && status != KVORUM_OK) {
        reply_lost(node, request);
        return;
    }
    if (status != KVORUM_OK && status != KVORUM_NOT_FOUND) {
        if (!reopen_later(node, request, status))
            reply_failure(node, request, status);
        return;
    }
    struct object merged = { 0 };
    bool any = false;
    struct answer answer = { .status = merge_answers(node, request, &merged, &any),
                             .n = request->quorum.n,
                             .answered = (uint8_t)__builtin_popcount(request->get.answered),
                             .needed = request->quorum.r,
                             .reason = "" };
    count_stand_ins(request, &answer);
    if (answer.status == KVORUM_OK && any)
        answer.status = object_show(&merged, request->mode, &node->scratch, &merged);
    if (answer.status == KVORUM_OK && any)
        answer.status =
            object_expire(&merged, clock_wall_ms(node->config.clock), &node->scratch, &merged);
    if (answer.status != KVORUM_OK)
        answer.reason =
            reason_printf(node, "cannot read %s: %s", reason_key(node, &request->address),
                          kvorum_status_text(answer.status));
    else if (!any || object_is_deleted(&merged))
        answer.status = KVORUM_NOT_FOUND;
    if (any)
        answer.object = &merged;
    node->counters.get_not_found += answer.status == KVORUM_NOT_FOUND;
    node->counters.get_siblings += merged.sibling_count > 1;
    request_answer(node, request, &answer);
}

/* --- repairing ------------------------------------------------------------------------------ */

/* One answer was read before a tombstone was collected, and another one after it. */
static bool is_mixed(const struct request *request)
{
    for (uint8_t i = 0; i < request->target_count; i++)
        if ((request->get.answered >> i & 1) != 0 && request->targets[i].fence < request->collected)
            return true;
    return false;
}

/* Under which what is merged of all answers was read. */
static uint64_t oldest_fence(const struct request *request)
{
    uint64_t oldest = UINT64_MAX;
    for (uint8_t i = 0; i < request->target_count; i++) {
        const struct target *target = &request->targets[i];
        if (target->in_hand && target->encoding.size > 0 && target->fence < oldest)
            oldest = target->fence;
    }
    return PLANTED(FENCE_OF_SENDING) ? UINT64_MAX : oldest;
}

static void repair_target(struct node *node, struct request *request, const struct target *target,
                          struct bytes merged)
{
    node->counters.read_repairs++;
    repair_suspect(node, request->address.partition, target->address.member);
    PROBE("node: a read repaired a replica");
    if (target->local) {
        replica_merge_quietly(node, &request->address, merged, oldest_fence(request));
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
    merge.fence = oldest_fence(request);
    merge.collected = request->collected;
    node_send(node, target->address, MESSAGE_MERGE, 0, node_pack(node, &merge.base), merged);
}

/* Bring owners that answered with something else up to the merge of all answers.  Never a blind
 * write: the receiver merges by version. */
static void repair(struct node *node, struct request *request)
{
    const struct get *get = &request->get;
    bool differ = false;
    for (uint8_t i = 1; i < request->target_count; i++)
        differ |= (get->answered & 1u << i) && get->digests[i] != get->digests[0];
    struct object merged;
    bool any = false;
    if (is_mixed(request) || request_is_outdated(node, request))
        return;
    if ((!differ && (get->answered & 1)) ||
        merge_answers(node, request, &merged, &any) != KVORUM_OK || !any)
        return;
    struct buffer encoding;
    buffer_init(&encoding, ENGINE_VALUE_SIZE_MAX);
    object_encode(&merged, &encoding);
    uint64_t digest = encoding.failed ? 0 : object_digest(buffer_bytes(&encoding));
    for (uint8_t i = 0; digest != 0 && i < request->target_count; i++)
        if ((get->answered & 1u << i) && (get->owners & 1u << i) && get->digests[i] != digest)
            repair_target(node, request, &request->targets[i], buffer_bytes(&encoding));
    buffer_done(&encoding);
}

/* --- older and newer than what was collected ------------------------------------------------- */

static void prepare(struct node *node, struct request *request);

static void ask_anew(struct node *node, struct request *request)
{
    PROBE("node: a read met a collection and was made again");
    for (uint8_t i = 0; i < request->target_count; i++) {
        request->targets[i].in_hand = false;
        request->targets[i].encoding = (struct bytes){ 0 };
    }
    request->lost = 0;
    prepare(node, request);
    step(node, request, (struct get_event){ .kind = GET_START });
}

static void apply(struct node *node, struct request *request, const struct get_effects *effects)
{
    bool answers = effects->status == KVORUM_OK || effects->status == KVORUM_NOT_FOUND;
    if (effects->reply && answers && is_mixed(request) && node->now_us < request->get.deadline_us) {
        ask_anew(node, request);
        return;
    }
    /* A step made from inside ask() may reply and finish: the request is closed once, at the end of
     * the outermost entry (read_settle). */
    if (effects->reply)
        reply(node, request, effects->status);
    if (effects->ask_full | effects->ask_digest)
        ask(node, request, effects->ask_full, effects->ask_digest);
}

/* Close a finished request; every entry into this file ends here. */
static bool read_settle(struct node *node, struct request *request)
{
    if (request->get.state != GET_FINISHED || request->parked)
        return false;
    if (request->target_count > 1)
        repair(node, request);
    request_close(node, request);
    return true;
}

/* --- entries -------------------------------------------------------------------------------- */

static void prepare(struct node *node, struct request *request)
{
    request->get = (struct get){
        .quorum = request->quorum,
        .target_count = request->target_count,
        .deadline_us = request->deadline_us,
    };
    zones_fill(node, request, &request->get.zones);
    for (uint8_t i = 0; i < request->target_count; i++) {
        if (!request->targets[i].stand_in)
            request->get.owners |= 1u << i;
        if (!placement_reachable(node, request->targets[i].address.member))
            request->get.unreachable |= 1u << i;
    }
}

static uint64_t refuse(node_answer_fn on_answer, void *context, kvorum_status status,
                       const char *level, const char *reason)
{
    struct answer answer = { .status = status, .level = level, .reason = reason };
    on_answer(context, &answer);
    return 0;
}

/* Whom to ask, and how many of them, by the epoch in force. */
static kvorum_status place(struct node *node, struct request *request, const char **ret_level,
                           const char **ret_reason)
{
    struct bucket_properties properties;
    property_table_mode(node, request->address.type, request->address.bucket, &properties,
                        &request->mode);
    request->address.generation = properties.generation;
    request->strategy = bucket_strategy(&properties);
    kvorum_status status =
        placement_quorum(node, request, &request->asked, &properties.levels, ret_level);
    if (status != KVORUM_OK) {
        *ret_reason = reason_printf(
            node, "%s cannot be met: this bucket has n=%u replicas, the cluster %u nodes",
            *ret_level, properties.levels.n, node->config.epoch->member_count);
        return status;
    }
    placement_read_targets(node, request);
    status = zones_resolve(node, request, ret_level, ret_reason);
    if (status == KVORUM_OK)
        prepare(node, request);
    return status;
}

uint64_t read_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                    void *context)
{
    node->counters.gets++;
    struct request *request = request_open(node, REQUEST_GET);
    if (request == NULL)
        return refuse(on_answer, context, KVORUM_NO_MEMORY, NULL, "out of memory");
    request->operation = OPERATION_GET;
    request->on_answer = on_answer;
    request->context = context;
    bool addressed = placement_address(node, operation->type, operation->bucket, operation->key,
                                       &request->address);
    assert(addressed); /* node_submit checked the sizes */
    request->asked = operation->levels;
    request->deadline_us =
        node->now_us + (operation->timeout_ms > 0 ? operation->timeout_ms * 1000ull
                                                  : node->config.request_timeout_us);
    const char *level = NULL, *reason = NULL;
    kvorum_status status = place(node, request, &level, &reason);
    if (status != KVORUM_OK) {
        request_close(node, request);
        return refuse(on_answer, context, status, level, reason);
    }
    bool alone = request->target_count == 1 && request->targets[0].local;
    if (!alone && !request_keep(node, request)) {
        request_close(node, request);
        return refuse(on_answer, context, KVORUM_NO_MEMORY, NULL, "out of memory");
    }
    uint64_t id = request->id;
    step(node, request, (struct get_event){ .kind = GET_START });
    bool answered = request->answered;
    bool closed = read_settle(node, request);
    assert(closed || request->registered);
    return closed || answered ? 0 : id;
}

void read_reopen(struct node *node, struct request *request)
{
    struct answer refused = { .reason = "" };
    request->lost = 0; /* bits of the targets of before */
    refused.status = place(node, request, &refused.level, &refused.reason);
    if (refused.status != KVORUM_OK) {
        request_answer(node, request, &refused);
        request_close(node, request);
        return;
    }
    step(node, request, (struct get_event){ .kind = GET_START });
    read_settle(node, request);
}

/* Of a generation that others know to be over: whatever is read of it, nobody may see. */
static void read_dropped(struct node *node, struct request *request)
{
    struct answer answer = { .status = KVORUM_UNAVAILABLE, .level = "r", .n = request->quorum.n };
    answer.reason = drop_retry_reason;
    request_answer(node, request, &answer);
    request_close(node, request);
}

void read_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_GET);
    int at = request == NULL ? -1 : request_target_of(request, from.member);
    if (at < 0 || request_is_earlier(request, message))
        return; /* late: answered, finished and forgotten */
    Peer__GetAnswer *answer = node_unpack(node, &peer__get_answer__descriptor, message->body);
    if (answer != NULL && answer->status == KVORUM_DROPPED) {
        read_dropped(node, request);
        return;
    }
    if (answer != NULL && answer->status == KVORUM_WRONG_EPOCH) {
        if (message->epoch <= request->epoch)
            return; /* of an earlier round */
        reopen_note(request, message->epoch);
    }
    struct get_event event = { .kind = GET_FAILED, .target = (uint8_t)at };
    struct target *target = &request->targets[at];
    if (answer != NULL && answer->status != KVORUM_OK)
        note_lost(request, (uint8_t)at, answer->lost);
    bool fine =
        answer != NULL && (answer->status == KVORUM_OK ||
                           (answer->status == KVORUM_POISONED && !counts_as_absent(request)));
    if (fine) {
        uint64_t before = target->fence;
        target->fence = answer->fence;
        collect_hear(node, request->address.partition, answer->collected);
        if (!note_collected(request, target, answer->collected)) {
            if (target->in_hand) /* doubled, or to a question before */
                target->fence = before;
            else if (!target->asked_again) {
                target->asked_again = true;
                ask_remote(node, request, (uint8_t)at, false);
                read_settle(node, request);
                return;
            }
            fine = false;
        }
    }
    if (fine && (!answer->full || (answer->digest == 0) == (message->tail.size == 0))) {
        event = (struct get_event){ .kind = GET_ANSWER, .target = (uint8_t)at };
        event.digest = answer->digest;
        event.full = answer->full || answer->digest == 0;
        if (event.full && !target->in_hand) {
            bool kept = message->tail.size == 0 ||
                        arena_copy(&request->arena, message->tail, &target->encoding);
            if (!kept)
                event = (struct get_event){ .kind = GET_FAILED, .target = (uint8_t)at };
            target->in_hand = kept;
        }
    }
    step(node, request, event);
    read_settle(node, request);
}

void read_on_failed(struct node *node, struct request *request, uint8_t target)
{
    step(node, request, (struct get_event){ .kind = GET_FAILED, .target = target });
    read_settle(node, request);
}

void read_on_deadline(struct node *node, struct request *request)
{
    if (request->parked) {
        request->parked = false;
        reply_failure(node, request, request->verdict);
        request->get.state = GET_FINISHED;
    } else
        step(node, request, (struct get_event){ .kind = GET_TICK });
    bool closed = read_settle(node, request);
    assert(closed);
}
