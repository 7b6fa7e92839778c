/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding a generation: shard 0 asks every member whether it may be this one.  Each of them
 * promises to agree to none that is not later.  Every member that is not known to be dead must say
 * yes, and so must a majority; one that has heard of a later one says which, and the next attempt
 * goes above it.  So of two drops one behind the other the second is the later one, whoever was
 * away for the first, and a drop that was begun where few can be reached comes to nothing at once,
 * not when they are back. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/drop_internal.h"

enum { BACK_OFF_US = 20 * 1000 };

/* --- ends ------------------------------------------------------------------------------------- */

void drop_end(struct node *node, struct request *request, kvorum_status status, const char *reason)
{
    const struct answer answer = { .status = status, .reason = reason };
    request_answer(node, request, &answer);
    request_close(node, request);
}

static void append_silent(const struct node *node, const struct drop *drop, bool dead,
                          struct buffer *names)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        bool is_dead = node->peers[i].state == LIVENESS_DEAD;
        if (epoch->members[i].state != MEMBER_GONE && i != node->config.self && !drop->agreed[i] &&
            is_dead == dead)
            buffer_printf(names, "%s%s", names->size == 0 ? "" : ", ", epoch->members[i].name);
    }
}

static const char *reason_of_silence(struct node *node, const struct drop *drop, bool dead)
{
    struct buffer names;
    buffer_init(&names, 1024);
    append_silent(node, drop, dead, &names);
    const char *reason = reason_printf(
        node,
        dead ? "nothing was dropped: that needs a majority of the members, and %.*s cannot be "
               "reached. Next: kvorum status"
             : "nothing was dropped: %.*s did not answer. Next: kvorum status, then repeat it",
        (int)names.size, names.size == 0 ? "" : (const char *)names.data);
    buffer_done(&names);
    return reason;
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool is_asked(const struct node *node, uint16_t member)
{
    return member != node->config.self && node->config.epoch->members[member].state != MEMBER_GONE;
}

static void ask(struct node *node, const struct request *request)
{
    const struct drop *drop = request->drop;
    Peer__Drop body = PEER__DROP__INIT;
    body.ask = DROP_ASK_PROMISE;
    body.type = protobuf_data(drop->type);
    body.bucket = protobuf_data(drop->bucket);
    body.generation = drop->generation;
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_asked(node, i) && !drop->agreed[i] && placement_reachable(node, i))
            node_send(node, (struct net_address){ i, 0 }, MESSAGE_DROP, request->id,
                      node_pack(node, &body.base), (struct bytes){ 0 });
}

/* Above whatever was heard of. */
static void ask_anew(struct node *node, struct request *request)
{
    struct drop *drop = request->drop;
    uint64_t own = drop_generation(node, drop->type, drop->bucket);
    uint64_t generation = hlc_now(&node->hlc, clock_wall_ms(node->config.clock));
    if (generation <= drop->refused)
        generation = drop->refused + 1;
    if (generation <= own)
        generation = own + 1;
    if (generation <= node->drops->promised)
        generation = node->drops->promised + 1;
    drop->again = false;
    drop->generation = node->drops->promised = generation;
    node->drops->to = node->config.self;
    memset(drop->agreed, 0, RING_MEMBERS_MAX * sizeof(*drop->agreed));
    ask(node, request);
}

/* What comes now is no question any more, but a change of the table like any other. */
static void decide(struct node *node, struct request *request)
{
    const struct drop *drop = request->drop;
    struct bytes type, bucket;
    if (!arena_copy(&node->scratch, drop->type, &type) ||
        !arena_copy(&node->scratch, drop->bucket, &bucket)) {
        drop_end(node, request, KVORUM_NO_MEMORY, "nothing was dropped: out of memory");
        return;
    }
    uint64_t generation = drop->generation;
    node_answer_fn on_answer = request->on_answer;
    void *context = request->context;
    request_close(node, request);
    PROBE("drop: a generation was decided");
    property_decide_generation(node, type, bucket, generation, on_answer, context);
}

/* What is in flight is done with, whoever dies meanwhile. */
static bool is_agreed(const struct drop *drop)
{
    return drop->storing || drop->going_round;
}

static void store(struct node *node, struct request *request)
{
    struct drop *drop = request->drop;
    uint64_t id = request->id;
    drop->storing = true;
    kvorum_status status = property_store_generation(node, id, drop->type, drop->bucket);
    request = status == KVORUM_OK ? NULL : request_find(node, id, REQUEST_DROP);
    if (request != NULL)
        drop_end(node, request, status, kvorum_status_text(status));
}

static void settle(struct node *node, struct request *request)
{
    struct drop *drop = request->drop;
    const struct epoch *epoch = node->config.epoch;
    unsigned present = 0, agreed = 0, open = 0;
    if (drop->agreed == NULL || is_agreed(drop) || drop->again || epochs_is_behind(node))
        return; /* a newer epoch may name members that have not been asked */
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (epoch->members[i].state == MEMBER_GONE)
            continue;
        bool yes = i == node->config.self || drop->agreed[i];
        present++;
        agreed += yes;
        open += !yes && node->peers[i].state != LIVENESS_DEAD;
    }
    if (2 * (agreed + open) <= present)
        drop_end(node, request, KVORUM_UNAVAILABLE, reason_of_silence(node, drop, true));
    else if (open == 0)
        store(node, request);
}

void drop_attempt(struct node *node, struct request *request)
{
    ask_anew(node, request);
    settle(node, request);
}

/* --- once it is agreed ------------------------------------------------------------------------ */

void drop_on_stored(struct node *node, uint64_t id, kvorum_status status)
{
    struct request *request = request_find(node, id, REQUEST_DROP);
    if (request == NULL)
        return;
    struct drop *drop = request->drop;
    drop->storing = false;
    if (status != KVORUM_OK)
        drop_end(node, request, status, kvorum_status_text(status));
    else if (node->config.shard_count == 1)
        decide(node, request);
    else
        drop->going_round =
            property_pass_round(node, request->id, drop->type, drop->bucket, drop->generation);
}

uint64_t drop_staged(const struct node *node, struct bytes type, struct bytes bucket)
{
    uint64_t staged = 0;
    for (const struct list *item = node->active.next; item != &node->active; item = item->next) {
        const struct request *request = LIST_ENTRY(item, struct request, link);
        const struct drop *drop = request->kind == REQUEST_DROP ? request->drop : NULL;
        if (drop != NULL && is_agreed(drop) && drop->generation > staged &&
            bytes_equal(drop->type, type) && bytes_equal(drop->bucket, bucket))
            staged = drop->generation;
    }
    return staged;
}

void drop_on_everywhere(struct node *node, uint64_t id)
{
    struct request *request = request_find(node, id, REQUEST_DROP);
    if (request != NULL && request->drop->agreed != NULL && request->drop->going_round)
        decide(node, request);
}

/* --- events ---------------------------------------------------------------------------------- */

/* An answer may change the list: begin again after each. */
void drop_on_members(struct node *node)
{
    struct list *item = node->active.next;
    while (item != &node->active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        item = item->next;
        if (request->kind != REQUEST_DROP)
            continue;
        uint64_t id = request->id;
        settle(node, request);
        if (map_find(&node->requests, id) == NULL)
            item = node->active.next;
    }
}

/* An attempt is made again, or those who are silent are asked again: a link may have broken under
 * the question. */
static void go_on(struct node *node, struct request *request)
{
    request_postpone(node, request, node->now_us + DROP_ASK_AGAIN_US);
    if (request->drop->again)
        drop_attempt(node, request);
    else if (!is_agreed(request->drop))
        ask(node, request);
}

void drop_on_deadline(struct node *node, struct request *request)
{
    const struct drop *drop = request->drop;
    if (drop->agreed == NULL)
        drop_end(node, request, KVORUM_TIMEOUT,
                 "this node did not drop the bucket in time. Next: repeat it");
    else if (node->now_us < drop->end_us)
        go_on(node, request);
    else if (is_agreed(drop))
        drop_end(node, request, KVORUM_TIMEOUT,
                 "outcome unknown: the drop was agreed on, and not stored in time. Next: "
                 "repeat it");
    else
        drop_end(node, request, KVORUM_UNAVAILABLE, reason_of_silence(node, drop, false));
}

/* Two that ask at a time would outbid each other for ever. */
static void back_off(struct node *node, struct request *request, uint64_t known)
{
    struct drop *drop = request->drop;
    uint64_t most_us = (uint64_t)BACK_OFF_US << (drop->refusals < 5 ? drop->refusals : 5);
    drop->refusals++;
    if (known >= UINT64_MAX - 1)
        return; /* nothing is above it; it gives up in time */
    drop->refused = known;
    drop->again = true;
    request_postpone(node, request, node->now_us + 1 + random_below(&node->random, most_us));
}

void drop_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__DropAnswer *told = node_unpack(node, &peer__drop_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_DROP);
    if (told == NULL)
        node->counters.messages_bad++;
    if (told == NULL || request == NULL)
        return;
    struct drop *drop = request->drop;
    if (drop->agreed == NULL) {
        if (from.member == node->config.self)
            drop_end(node, request, (kvorum_status)told->status, told->reason);
        return;
    }
    if (is_agreed(drop) || drop->again)
        return;
    if (told->status == KVORUM_OK && told->generation == drop->generation) {
        drop->agreed[from.member] = true;
        settle(node, request);
    } else if (told->status == KVORUM_CONFLICT && told->generation >= drop->generation) {
        PROBE("drop: a later generation was known elsewhere");
        back_off(node, request, told->generation);
    }
}
