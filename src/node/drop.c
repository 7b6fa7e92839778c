/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding a generation: shard 0 asks every member whether it may be this one.  Each of them
 * promises to agree to none that is not later.  Every member that is not known to be dead must say
 * yes, and so must a majority; one that has heard of a later one says which, and the next attempt
 * goes above it.  So of two drops one behind the other the second is the later one, whoever was
 * away for the first, and a drop that was begun where few can be reached comes to nothing at once,
 * not when they are back. */
#include "node/drop.h"

#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/internal.h"

enum {
    ASK_DECIDE = 1,
    ASK_PROMISE,
    ASK_AGAIN_US = 500 * 1000,
    PATIENCE_SLACK_US = 1000 * 1000,
    BACK_OFF_US = 20 * 1000,
};

/** Of one shard. */
struct drops {
    uint64_t promised; /* the latest generation, of any bucket, that was promised to anybody */
    uint16_t to;       /* and to whom */
    struct list errands;
};

/** One that is being decided, on shard 0; on the others only who waits. */
struct drop {
    struct bytes type, bucket;
    uint64_t generation; /* what the others are asked for */
    uint64_t refused;    /* the latest that somebody else knows of */
    uint64_t end_us;     /* given up */
    bool storing;        /* decided, as far as others are concerned */
    bool going_round;    /* stored, and on its way through the shards */
    unsigned refusals;   /* so far */
    bool again;          /* the next attempt begins when the timer says so */
    bool *agreed;        /* by member; NULL: shard 0 does it for us */
};

const char drop_retry_reason[] = "the bucket was dropped meanwhile; retry";

/* --- which one is in force ------------------------------------------------------------------- */

bool drop_is_old(const struct node *node, const struct key_address *address)
{
    return address->generation < drop_generation(node, address->type, address->bucket);
}

bool drop_refuses(struct node *node, struct net_address from, const struct key_address *address)
{
    uint64_t own = drop_generation(node, address->type, address->bucket);
    if (address->generation == own)
        return false;
    if (address->generation > own) {
        PROBE("drop: a message told of a later generation");
        property_hear(node, address);
        return false;
    }
    PROBE("drop: a message of an earlier generation was refused");
    node->counters.drops_refused++;
    property_tell(node, from, address->type, address->bucket);
    return true;
}

kvorum_status drop_pin(struct node *node, struct key_address *address, uint64_t pinned)
{
    uint64_t own = address->generation;
    address->generation = pinned;
    if (pinned > own)
        property_hear(node, address);
    return pinned < own ? KVORUM_DROPPED : KVORUM_OK;
}

/* --- ends ------------------------------------------------------------------------------------ */

static void end(struct node *node, struct request *request, kvorum_status status,
                const char *reason)
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

/* --- asking ---------------------------------------------------------------------------------- */

static bool is_asked(const struct node *node, uint16_t member)
{
    return member != node->config.self && node->config.epoch->members[member].state != MEMBER_GONE;
}

static void ask(struct node *node, const struct request *request)
{
    const struct drop *drop = request->drop;
    Peer__Drop body = PEER__DROP__INIT;
    body.ask = ASK_PROMISE;
    body.type = protobuf_data(drop->type);
    body.bucket = protobuf_data(drop->bucket);
    body.generation = drop->generation;
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_asked(node, i) && !drop->agreed[i] && placement_reachable(node, i))
            node_send(node, (struct net_address){ i, 0 }, MESSAGE_DROP, request->id,
                      node_pack(node, &body.base), (struct bytes){ 0 });
}

/* Above whatever was heard of. */
static void begin_attempt(struct node *node, struct request *request)
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
        end(node, request, KVORUM_NO_MEMORY, "nothing was dropped: out of memory");
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
        end(node, request, status, kvorum_status_text(status));
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
        end(node, request, KVORUM_UNAVAILABLE, reason_of_silence(node, drop, true));
    else if (open == 0)
        store(node, request);
}

void drop_on_stored(struct node *node, uint64_t id, kvorum_status status)
{
    struct request *request = request_find(node, id, REQUEST_DROP);
    if (request == NULL)
        return;
    struct drop *drop = request->drop;
    drop->storing = false;
    if (status != KVORUM_OK)
        end(node, request, status, kvorum_status_text(status));
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

void drop_on_deadline(struct node *node, struct request *request)
{
    struct drop *drop = request->drop;
    if (drop->agreed != NULL && node->now_us < drop->end_us) {
        request_postpone(node, request, node->now_us + ASK_AGAIN_US);
        if (drop->again) {
            begin_attempt(node, request);
            settle(node, request);
        } else if (!is_agreed(drop))
            ask(node, request); /* a link may have broken under the question */
        return;
    }
    if (drop->agreed != NULL && is_agreed(drop))
        end(node, request, KVORUM_TIMEOUT,
            "outcome unknown: the drop was agreed on, and not stored in time. Next: repeat it");
    else if (drop->agreed != NULL)
        end(node, request, KVORUM_UNAVAILABLE, reason_of_silence(node, drop, false));
    else
        end(node, request, KVORUM_TIMEOUT,
            "this node did not drop the bucket in time. Next: "
            "repeat it");
}

/* --- beginning ------------------------------------------------------------------------------- */

static struct request *open_drop(struct node *node, struct bytes type, struct bytes bucket,
                                 node_answer_fn on_answer, void *context)
{
    struct request *request = request_open(node, REQUEST_DROP);
    struct drop *drop = request == NULL ? NULL : arena_new(&request->arena, struct drop);
    bool first = node->config.shard == 0;
    bool fine = drop != NULL && arena_copy(&request->arena, type, &drop->type) &&
                arena_copy(&request->arena, bucket, &drop->bucket);
    if (fine && first)
        drop->agreed =
            arena_allocate_zero(&request->arena, RING_MEMBERS_MAX * sizeof(*drop->agreed));
    uint64_t patience_us = gossip_patience_us(node) + PATIENCE_SLACK_US;
    uint64_t due_us = first ? ASK_AGAIN_US : 3 * patience_us; /* shard 0's answer comes first */
    if (!fine || (first && drop->agreed == NULL) ||
        !request_register(node, request, node->now_us + due_us)) {
        if (request != NULL)
            request_close(node, request);
        return NULL;
    }
    drop->end_us = node->now_us + patience_us;
    request->drop = drop;
    request->on_answer = on_answer;
    request->context = context;
    return request;
}

static void hand_over(struct node *node, struct request *request)
{
    Peer__Drop body = PEER__DROP__INIT;
    body.ask = ASK_DECIDE;
    body.type = protobuf_data(request->drop->type);
    body.bucket = protobuf_data(request->drop->bucket);
    if (!node_send(node, (struct net_address){ node->config.self, 0 }, MESSAGE_DROP, request->id,
                   node_pack(node, &body.base), (struct bytes){ 0 }))
        end(node, request, KVORUM_OVERLOADED,
            "nothing was dropped: this node is overloaded; retry");
}

static const char *drop_problem(const struct node *node, struct bytes type, struct bytes bucket)
{
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return "bucket name: empty or too long";
    return node->ready ? NULL : "the node is still starting";
}

static void begin(struct node *node, struct bytes type, struct bytes bucket,
                  node_answer_fn on_answer, void *context)
{
    struct answer refused = { .status = node->ready ? KVORUM_INVALID : KVORUM_NOT_READY,
                              .reason = drop_problem(node, type, bucket) };
    struct request *request = NULL;
    if (node->left_epoch != 0)
        refused = (struct answer){ .status = KVORUM_GONE, .reason = left_reason(node) };
    if (refused.reason == NULL) {
        request = open_drop(node, type, bucket, on_answer, context);
        refused = (struct answer){ .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
    }
    if (request == NULL) {
        on_answer(context, &refused);
        return;
    }
    if (node->config.shard != 0) {
        hand_over(node, request);
        return;
    }
    begin_attempt(node, request);
    settle(node, request);
}

void node_drop_bucket(struct node *node, struct bytes type, struct bytes bucket,
                      node_answer_fn on_answer, void *context)
{
    node_enter(node);
    begin(node, type.size == 0 ? BYTES_LITERAL("default") : type, bucket, on_answer, context);
    node_leave(node);
}

/* --- for another shard of this node ----------------------------------------------------------- */

struct drop_errand {
    struct list link; /* node->drops->errands */
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void answer(struct node *node, struct net_address to, uint64_t request_id,
                   kvorum_status status, const char *reason, uint64_t generation)
{
    Peer__DropAnswer body = PEER__DROP_ANSWER__INIT;
    body.status = status;
    body.reason = (char *)(reason == NULL ? "" : reason);
    body.generation = generation;
    node_send(node, to, MESSAGE_DROP_ANSWER, request_id, node_pack(node, &body.base),
              (struct bytes){ 0 });
}

static void errand_answer(void *context, const struct answer *outcome)
{
    struct drop_errand *errand = context;
    answer(errand->node, errand->to, errand->request_id, outcome->status, outcome->reason, 0);
    list_remove(&errand->link);
    free(errand);
}

static void run_errand(struct node *node, struct net_address from, uint64_t request_id,
                       const Peer__Drop *asked)
{
    struct drop_errand *errand = malloc(sizeof(*errand));
    if (errand == NULL) {
        answer(node, from, request_id, KVORUM_NO_MEMORY, "out of memory", 0);
        return;
    }
    *errand = (struct drop_errand){ .node = node, .to = from, .request_id = request_id };
    list_append(&node->drops->errands, &errand->link);
    begin(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket), errand_answer, errand);
}

/* --- messages -------------------------------------------------------------------------------- */

/* Nobody else is promised less from now on; it is said once a start here would know it. */
static void promise(struct node *node, struct net_address to, uint64_t request_id,
                    uint64_t generation)
{
    const struct commit_plan plan = {
        .kind = COMMIT_PROMISE, .to = to, .request_id = request_id, .generation = generation
    };
    node->drops->promised = generation;
    node->drops->to = to.member;
    (void)hlc_see(&node->hlc, generation, clock_wall_ms(node->config.clock));
    kvorum_status status = drop_keep_promise(node, generation, &plan);
    if (status != KVORUM_OK)
        drop_on_promised(node, &plan, status);
}

/* One whose disk refuses it says so, and is asked again. */
void drop_on_promised(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    answer(node, plan->to, plan->request_id, status, NULL, plan->generation);
}

static void on_promise(struct node *node, struct net_address from, uint64_t request_id,
                       const Peer__Drop *asked)
{
    struct drops *drops = node->drops;
    uint64_t own =
        drop_generation(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket));
    bool again = asked->generation == drops->promised && drops->to == from.member;
    if (!node->ready) {
        answer(node, from, request_id, KVORUM_NOT_READY, NULL, 0);
        return;
    }
    if (asked->generation <= own || (asked->generation <= drops->promised && !again)) {
        uint64_t latest = own > drops->promised ? own : drops->promised;
        answer(node, from, request_id, KVORUM_CONFLICT, NULL, latest);
        return;
    }
    promise(node, from, request_id, asked->generation);
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

void drop_on_question(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__Drop *asked = node_unpack(node, &peer__drop__descriptor, message->body);
    bool own = from.member == node->config.self;
    if (asked == NULL || node->config.shard != 0 ||
        (asked->ask == ASK_DECIDE ? !own : asked->ask != ASK_PROMISE || asked->generation == 0)) {
        node->counters.messages_bad++;
        return;
    }
    if (asked->ask == ASK_DECIDE)
        run_errand(node, from, message->request_id, asked);
    else
        on_promise(node, from, message->request_id, asked);
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
            end(node, request, (kvorum_status)told->status, told->reason);
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

/* --- opening --------------------------------------------------------------------------------- */

kvorum_status drop_open(struct node *node)
{
    node->drops = calloc(1, sizeof(*node->drops));
    if (node->drops == NULL)
        return KVORUM_NO_MEMORY;
    list_init(&node->drops->errands);
    node->drops->to = RING_NO_MEMBER;
    return drop_keep_load(node, &node->drops->promised);
}

void drop_close(struct node *node)
{
    struct list *item;
    while (node->drops != NULL && (item = list_take_first(&node->drops->errands)) != NULL)
        free(LIST_ENTRY(item, struct drop_errand, link));
    free(node->drops);
    node->drops = NULL;
}
