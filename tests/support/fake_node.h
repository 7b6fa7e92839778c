/* SPDX-License-Identifier: Apache-2.0 */
/** A node for tests of protocols: the functions of node/node.h over a small table in memory, and of
 *  server/view.h over constants.  Include it in one .c file of a test program; the linker then
 *  takes these instead of the real ones.
 *
 *  Keys named "fail-STATUS" answer with that status ("fail-TIMEOUT").  With `delayed`, operations
 *  wait and take effect when fake_release() is called, first or last one first. */
#ifndef TESTS_SUPPORT_FAKE_NODE_H
#define TESTS_SUPPORT_FAKE_NODE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/node.h"
#include "node/recover/recover.h"
#include "node/tasks/task.h"
#include "object/hlc.h"
#include "server/cluster_view.h"
#include "server/recover_view.h"
#include "server/view.h"

enum { FAKE_ENTRIES = 4096, FAKE_PENDING = 4096, FAKE_PAGE = 3 };
#define FAKE_WALL_MS 1700000000000ull

struct fake_entry {
    struct bytes bucket, key, encoding;
};

struct fake_bucket {
    struct bytes name;
    struct bucket_properties properties;
};

struct fake_pending {
    uint64_t id;
    struct operation operation;
    struct metadata *metadata;
    node_answer_fn on_answer;
    node_list_fn on_page; /* a listing */
    enum list_kind list_kind;
    uint32_t listed;
    bool wanted, delivering;
    bool setting, reset; /* properties */
    struct bucket_properties overrides;
    void *context;
    struct arena arena;
};

struct node {
    bool delayed;
    struct fake_entry entries[FAKE_ENTRIES];
    uint32_t entry_count;
    struct fake_bucket buckets[16];
    uint32_t bucket_count;
    struct fake_pending *pending[FAKE_PENDING]; /* in the order they came */
    uint32_t pending_count;
    uint64_t next_id;
    struct hlc hlc;
    struct arena memory;
    struct node_limits limits;
    struct operation last; /* its views are dead: for levels, flags, timeout */
    uint32_t submitted;
    uint32_t repairs; /* asked for */
    uint32_t drops;   /* of buckets, which keep what they hold here */
    uint32_t scrubs;  /* the same */
    uint32_t accepts; /* of what scrubs found to be lost */
};

static inline void fake_node_init(struct node *node)
{
    memset(node, 0, sizeof(*node));
    arena_init(&node->memory, SIZE_MAX);
    node->next_id = 1;
    node->limits = (struct node_limits){ .value_size = 1 << 20,
                                         .value_size_warning = 1 << 19,
                                         .siblings = 100,
                                         .siblings_warning = 25,
                                         .requests = 1000 };
}

static inline void fake_pending_done(struct fake_pending *pending)
{
    arena_done(&pending->arena);
    free(pending);
}

static inline void fake_node_done(struct node *node)
{
    for (uint32_t i = 0; i < node->pending_count; i++)
        fake_pending_done(node->pending[i]);
    arena_done(&node->memory);
}

static inline struct bytes fake_copy(struct arena *arena, struct bytes source)
{
    struct bytes copy;
    bool kept = arena_copy(arena, source, &copy);
    assert(kept);
    (void)kept;
    return copy;
}

/* --- properties ----------------------------------------------------------------------------- */

static inline struct fake_bucket *fake_bucket(struct node *node, struct bytes name)
{
    for (uint32_t i = 0; i < node->bucket_count; i++)
        if (bytes_equal(node->buckets[i].name, name))
            return &node->buckets[i];
    return NULL;
}

void node_properties(struct node *node, struct bytes type, struct bytes bucket,
                     struct bucket_properties *ret)
{
    (void)type;
    const struct fake_bucket *known = fake_bucket(node, bucket);
    bucket_properties_init(ret);
    ret->levels.n = 3;
    ret->allow_mult = ret->last_write_wins = 0;
    if (known != NULL)
        bucket_properties_apply(ret, &known->properties);
}

static inline void fake_set_properties(struct node *node, struct bytes name,
                                       const struct bucket_properties *overrides)
{
    struct fake_bucket *bucket = fake_bucket(node, name);
    if (bucket == NULL) {
        bucket = &node->buckets[node->bucket_count++];
        bucket->name = fake_copy(&node->memory, name);
        bucket_properties_init(&bucket->properties);
    }
    if (overrides == NULL)
        bucket_properties_init(&bucket->properties);
    else
        bucket_properties_apply(&bucket->properties, overrides);
}

/* --- objects -------------------------------------------------------------------------------- */

static inline struct fake_entry *fake_entry(struct node *node, struct bytes bucket,
                                            struct bytes key)
{
    for (uint32_t i = 0; i < node->entry_count; i++)
        if (bytes_equal(node->entries[i].bucket, bucket) && bytes_equal(node->entries[i].key, key))
            return &node->entries[i];
    return NULL;
}

static inline struct object *fake_object(struct node *node, const struct operation *operation,
                                         struct arena *arena)
{
    const struct fake_entry *entry = fake_entry(node, operation->bucket, operation->key);
    struct object *object = arena_new(arena, struct object);
    if (entry == NULL)
        return NULL;
    kvorum_status status = object_decode(entry->encoding, arena, object);
    if (status == KVORUM_OK)
        status = object_expire(object, FAKE_WALL_MS, arena, object);
    assert(status == KVORUM_OK);
    (void)status;
    return object;
}

static inline void fake_keep(struct node *node, const struct operation *operation,
                             const struct object *object)
{
    struct fake_entry *entry = fake_entry(node, operation->bucket, operation->key);
    struct buffer encoding;
    buffer_init(&encoding, SIZE_MAX);
    if (entry == NULL) {
        assert(node->entry_count < FAKE_ENTRIES);
        entry = &node->entries[node->entry_count++];
        entry->bucket = fake_copy(&node->memory, operation->bucket);
        entry->key = fake_copy(&node->memory, operation->key);
    }
    object_encode(object, &encoding);
    entry->encoding = fake_copy(&node->memory, buffer_bytes(&encoding));
    buffer_done(&encoding);
}

static inline bool fake_context_is(const struct object *object, struct bytes context)
{
    struct buffer current;
    buffer_init(&current, SIZE_MAX);
    if (object != NULL)
        context_encode(object, &current);
    bool same = object != NULL && bytes_equal(buffer_bytes(&current), context);
    buffer_done(&current);
    return same;
}

static inline uint64_t fake_deadline(const struct object *object)
{
    uint64_t deadline_ms = object_winner(object)->deadline_ms;
    return deadline_ms == 0 ? NODE_NEVER : deadline_ms;
}

/* As node/coordinate/composite.c has it, at once. */
static inline kvorum_status fake_touch(const struct operation *operation,
                                       const struct object *local, struct sibling *fresh)
{
    if (local == NULL || object_is_deleted(local))
        return KVORUM_NOT_FOUND;
    uint64_t there_ms = fake_deadline(local), wanted_ms = operation->deadline_ms;
    uint32_t flags = operation->flags;
    if (((flags & OPERATION_IF_EXPIRES) != 0 && there_ms == NODE_NEVER) ||
        ((flags & OPERATION_IF_LASTS) != 0 && there_ms != NODE_NEVER) ||
        ((flags & OPERATION_IF_EARLIER) != 0 && there_ms >= wanted_ms) ||
        ((flags & OPERATION_IF_LATER) != 0 && there_ms <= wanted_ms))
        return KVORUM_CONFLICT;
    const struct sibling *winner = object_winner(local);
    fresh->value = winner->value;
    fresh->metadata = winner->metadata;
    fresh->metadata_count = winner->metadata_count;
    return KVORUM_OK;
}

static inline kvorum_status fake_write(struct node *node, const struct operation *operation,
                                       struct arena *arena, struct object **ret_object)
{
    struct object *local = fake_object(node, operation, arena);
    bool live = local != NULL && !object_is_deleted(local);
    struct bucket_properties properties;
    struct object_context context = { 0 };
    node_properties(node, operation->type, operation->bucket, &properties);
    if (operation->kind == OPERATION_DELETE && !live)
        return KVORUM_NOT_FOUND;
    if ((operation->flags & OPERATION_IF_NONE_MATCH) != 0 && live)
        return KVORUM_CONFLICT;
    if ((operation->flags & OPERATION_IF_MATCH) != 0 && !fake_context_is(local, operation->context))
        return KVORUM_CONFLICT;
    if (operation->context.size > 0 &&
        context_decode(operation->context, arena, &context) != KVORUM_OK)
        return KVORUM_CORRUPT;
    bool covers = (operation->flags & OPERATION_OVERWRITE) != 0 ||
                  (operation->kind == OPERATION_DELETE && operation->context.size == 0);
    if (covers && local != NULL)
        context = object_context_of(local);
    struct sibling fresh = { .stamp = hlc_now(&node->hlc, FAKE_WALL_MS),
                             .tombstone = operation->kind == OPERATION_DELETE,
                             .metadata = (struct metadata *)operation->metadata,
                             .metadata_count = operation->metadata_count,
                             .value = operation->value,
                             .deadline_ms = operation->deadline_ms };
    if ((operation->flags & OPERATION_TOUCH) != 0) {
        kvorum_status touched = fake_touch(operation, local, &fresh);
        if (touched != KVORUM_OK)
            return touched;
    }
    if ((operation->flags & OPERATION_KEEP_DEADLINE) != 0 && live)
        fresh.deadline_ms = fake_deadline(local);
    if (fresh.deadline_ms == NODE_NEVER)
        fresh.deadline_ms = 0;
    struct object *object = arena_new(arena, struct object);
    struct object_mode mode = { .siblings = properties.allow_mult == 1 };
    kvorum_status status = object_put(local, &context, &fresh, 1, mode, arena, object);
    if (status == KVORUM_OK)
        fake_keep(node, operation, object);
    if ((operation->flags & OPERATION_RETURN_BODY) != 0)
        *ret_object = object;
    return status;
}

static inline kvorum_status fake_read(struct node *node, const struct operation *operation,
                                      struct arena *arena, struct object **ret_object)
{
    *ret_object = fake_object(node, operation, arena);
    return *ret_object == NULL || object_is_deleted(*ret_object) ? KVORUM_NOT_FOUND : KVORUM_OK;
}

/* OK: the key does not ask for a failure. */
static inline kvorum_status fake_failure(struct bytes key)
{
    static const kvorum_status statuses[] = {
        KVORUM_TIMEOUT,   KVORUM_UNAVAILABLE, KVORUM_TOO_LARGE,        KVORUM_OVERLOADED,
        KVORUM_NO_SPACE,  KVORUM_STORE_FULL,  KVORUM_CORRUPT,          KVORUM_QUORUM_IMPOSSIBLE,
        KVORUM_NOT_READY, KVORUM_NO_MEMORY,   KVORUM_TOO_MANY_SIBLINGS
    };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct bytes name = bytes_of_string(kvorum_status_name(statuses[i]));
        if (bytes_starts_with(key, BYTES_LITERAL("fail-")) && bytes_equal(bytes_from(key, 5), name))
            return statuses[i];
    }
    return KVORUM_OK;
}

static inline void fake_run(struct node *node, const struct operation *operation,
                            node_answer_fn on_answer, void *context)
{
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct object *object = NULL;
    struct answer answer = { .level = "", .reason = "" };
    answer.status = fake_failure(operation->key);
    if (answer.status != KVORUM_OK) {
        answer.level = operation->kind == OPERATION_GET ? "r" : "w";
        answer.answered = 1;
        answer.needed = 2;
        answer.n = 3;
        answer.reason = "why,\n  and what next";
    } else if (operation->kind == OPERATION_GET) {
        answer.status = fake_read(node, operation, &arena, &object);
    } else {
        answer.status = fake_write(node, operation, &arena, &object);
    }
    answer.object = object;
    on_answer(context, &answer);
    arena_done(&arena);
}

/* --- waiting -------------------------------------------------------------------------------- */

static inline struct fake_pending *fake_wait(struct node *node, void *context)
{
    struct fake_pending *pending = calloc(1, sizeof(*pending));
    assert(pending != NULL && node->pending_count < FAKE_PENDING);
    arena_init(&pending->arena, SIZE_MAX);
    pending->id = node->next_id++;
    pending->context = context;
    pending->wanted = true;
    node->pending[node->pending_count++] = pending;
    return pending;
}

static inline void fake_keep_operation(struct fake_pending *pending,
                                       const struct operation *operation)
{
    struct operation *copy = &pending->operation;
    *copy = *operation;
    copy->type = fake_copy(&pending->arena, operation->type);
    copy->bucket = fake_copy(&pending->arena, operation->bucket);
    copy->key = fake_copy(&pending->arena, operation->key);
    copy->context = fake_copy(&pending->arena, operation->context);
    copy->value = fake_copy(&pending->arena, operation->value);
    size_t size = operation->metadata_count * sizeof(struct metadata);
    struct metadata *metadata = arena_allocate(&pending->arena, size);
    for (uint32_t i = 0; i < operation->metadata_count; i++) {
        metadata[i] = operation->metadata[i];
        metadata[i].name = fake_copy(&pending->arena, metadata[i].name);
        metadata[i].value = fake_copy(&pending->arena, metadata[i].value);
    }
    copy->metadata = metadata;
}

static inline void fake_remove(struct node *node, uint32_t index)
{
    memmove(&node->pending[index], &node->pending[index + 1],
            (node->pending_count - index - 1) * sizeof(node->pending[0]));
    node->pending_count--;
}

void node_cancel(struct node *node, uint64_t id)
{
    for (uint32_t i = 0; i < node->pending_count; i++)
        if (node->pending[i]->id == id) {
            fake_pending_done(node->pending[i]);
            fake_remove(node, i);
            return;
        }
    assert(!"cancelled something that is not under way");
}

void node_repair(struct node *node, struct bytes type, struct bytes bucket)
{
    (void)type;
    (void)bucket;
    node->repairs++;
}

void node_drop_bucket(struct node *node, struct bytes type, struct bytes bucket,
                      node_answer_fn on_answer, void *context)
{
    const struct answer answer = { .status = KVORUM_OK };
    (void)type;
    (void)bucket;
    node->drops++;
    on_answer(context, &answer);
}

void node_scrub(struct node *node)
{
    node->scrubs++;
}

void node_scrub_accept(struct node *node)
{
    node->accepts++;
}

void node_prefetch(struct node *node, struct bytes type, struct bytes bucket,
                   const struct bytes *keys, size_t count)
{
    (void)node;
    (void)type;
    (void)bucket;
    (void)keys;
    (void)count;
}

uint64_t node_submit(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context)
{
    node->last = *operation;
    node->submitted++;
    assert(operation->bucket.size > 0 && operation->key.size <= NODE_KEY_SIZE_MAX);
    if (!node->delayed) {
        fake_run(node, operation, on_answer, context);
        return 0;
    }
    struct fake_pending *pending = fake_wait(node, context);
    pending->on_answer = on_answer;
    fake_keep_operation(pending, operation);
    return pending->id;
}

/* --- lists ---------------------------------------------------------------------------------- */

static inline bool fake_listed(struct node *node, const struct fake_pending *pending,
                               uint32_t index)
{
    const struct fake_entry *entry = &node->entries[index];
    struct arena arena;
    struct object object;
    arena_init(&arena, SIZE_MAX);
    bool live =
        object_decode(entry->encoding, &arena, &object) == KVORUM_OK && !object_is_deleted(&object);
    arena_done(&arena);
    if (pending->list_kind != LIST_BUCKETS)
        return live && bytes_equal(entry->bucket, pending->operation.bucket);
    for (uint32_t i = 0; live && i < index; i++)
        if (bytes_equal(node->entries[i].bucket, entry->bucket))
            return false;
    return live;
}

static inline bool fake_is_waiting(const struct node *node, uint64_t id)
{
    for (uint32_t i = 0; i < node->pending_count; i++)
        if (node->pending[i]->id == id)
            return true;
    return false;
}

/* Tell one page; true when it was the last. */
static inline bool fake_page(struct node *node, struct fake_pending *pending)
{
    struct bytes names[FAKE_PAGE];
    struct list_page page = { .names = names, .reason = "" };
    page.status = fake_failure(pending->operation.bucket);
    while (page.status == KVORUM_OK && page.count < FAKE_PAGE &&
           pending->listed < node->entry_count) {
        const struct fake_entry *entry = &node->entries[pending->listed];
        if (fake_listed(node, pending, pending->listed++))
            names[page.count++] = pending->list_kind == LIST_BUCKETS ? entry->bucket : entry->key;
    }
    pending->operation.timeout_ms += page.count; /* counts */
    page.counted = pending->operation.timeout_ms;
    if (pending->list_kind == LIST_COUNT)
        page.count = 0;
    page.last = page.status != KVORUM_OK || pending->listed == node->entry_count;
    if (page.status != KVORUM_OK)
        page.reason = "why,\n  and what next";
    bool last = page.last;
    pending->wanted = false;
    pending->delivering = true;
    uint64_t id = pending->id;
    pending->on_page(pending->context, &page);
    if (fake_is_waiting(node, id))
        pending->delivering = false;
    return last;
}

static inline bool fake_pages(struct node *node, struct fake_pending *pending)
{
    bool last = false;
    uint64_t id = pending->id;
    while (!last && pending->wanted) {
        last = fake_page(node, pending);
        if (!fake_is_waiting(node, id)) /* the callback cancelled it */
            return true;
    }
    if (last)
        node_cancel(node, id);
    return last;
}

uint64_t node_list(struct node *node, enum list_kind kind, struct bytes type, struct bytes bucket,
                   uint32_t timeout_ms, node_list_fn on_page, void *context)
{
    (void)timeout_ms;
    struct fake_pending *pending = fake_wait(node, context);
    uint64_t id = pending->id;
    pending->on_page = on_page;
    pending->list_kind = kind;
    pending->operation.type = fake_copy(&pending->arena, type);
    pending->operation.bucket = fake_copy(&pending->arena, bucket);
    return !node->delayed && fake_pages(node, pending) ? 0 : id;
}

void node_list_next(struct node *node, uint64_t id)
{
    for (uint32_t i = 0; i < node->pending_count; i++) {
        struct fake_pending *pending = node->pending[i];
        if (pending->id != id)
            continue;
        assert(!pending->wanted);
        pending->wanted = true;
        if (!node->delayed && !pending->delivering)
            fake_pages(node, pending);
        return;
    }
    assert(!"asked for more of a list that has ended");
}

/* --- setting properties --------------------------------------------------------------------- */

static inline void fake_run_set(struct node *node, struct bytes bucket,
                                const struct bucket_properties *overrides, bool reset,
                                node_answer_fn on_answer, void *context)
{
    struct answer answer = { .status = fake_failure(bucket), .reason = "" };
    const char *problem = reset ? NULL : bucket_properties_problem(overrides);
    if (problem != NULL)
        answer = (struct answer){ .status = KVORUM_INVALID, .reason = problem };
    if (answer.status == KVORUM_OK)
        fake_set_properties(node, bucket, reset ? NULL : overrides);
    on_answer(context, &answer);
}

void node_set_properties(struct node *node, struct bytes type, struct bytes bucket,
                         const struct bucket_properties *overrides, bool reset,
                         node_answer_fn on_answer, void *context)
{
    (void)type;
    if (!node->delayed) {
        fake_run_set(node, bucket, overrides, reset, on_answer, context);
        return;
    }
    struct fake_pending *pending = fake_wait(node, context);
    pending->on_answer = on_answer;
    pending->setting = true;
    pending->reset = reset;
    if (!reset)
        pending->overrides = *overrides;
    pending->operation.bucket = fake_copy(&pending->arena, bucket);
}

/* --- letting go ----------------------------------------------------------------------------- */

/* Writes of one key keep their order, as they do at a coordinator. */
static inline bool fake_follows_a_write(const struct node *node, uint32_t index)
{
    const struct operation *one = &node->pending[index]->operation;
    for (uint32_t i = 0; i < index; i++) {
        const struct operation *other = &node->pending[i]->operation;
        if (one->kind == OPERATION_PUT && other->kind == OPERATION_PUT &&
            bytes_equal(one->key, other->key))
            return true;
    }
    return false;
}

/** Carry out and answer one waiting operation; false when none can go on. */
static inline bool fake_release(struct node *node, bool last_first)
{
    for (uint32_t n = 0; n < node->pending_count; n++) {
        uint32_t index = last_first ? node->pending_count - 1 - n : n;
        struct fake_pending *pending = node->pending[index];
        if (!pending->wanted || fake_follows_a_write(node, index))
            continue;
        if (pending->on_page != NULL) {
            bool ended = fake_page(node, pending);
            if (ended)
                node_cancel(node, pending->id);
            return true;
        }
        fake_remove(node, index);
        if (pending->setting)
            fake_run_set(node, pending->operation.bucket, &pending->overrides, pending->reset,
                         pending->on_answer, pending->context);
        else
            fake_run(node, &pending->operation, pending->on_answer, pending->context);
        fake_pending_done(pending);
        return true;
    }
    return false;
}

/* --- looking in ----------------------------------------------------------------------------- */

uint64_t node_wall_ms(const struct node *node)
{
    (void)node;
    return FAKE_WALL_MS;
}

uint64_t node_left_epoch(const struct node *node)
{
    (void)node;
    return 0;
}

const struct node_limits *node_limits(const struct node *node)
{
    return &node->limits;
}

void answer_context(const struct answer *answer, struct buffer *buffer)
{
    if (answer->object != NULL)
        context_encode(answer->object, buffer);
}

static const struct server_view fake_view = { .name = "n1",
                                              .zone = "z1",
                                              .version = "0.1.0",
                                              .data_dir = "/data",
                                              .engine = "lsm",
                                              .sync = "always",
                                              .http = "127.0.0.1:8098",
                                              .resp = "127.0.0.1:6379",
                                              .peer = "127.0.0.1:9098",
                                              .pb = "",
                                              .n = 3,
                                              .reactor_count = 1,
                                              .store_count = 1 };

/* Changes of the cluster are granted, but for a node named "nobody". */
void node_change_epoch(struct node *node, const struct change_request *request,
                       node_answer_fn on_answer, void *context)
{
    (void)node;
    bool known = strcmp(request->name, "nobody") != 0;
    const struct answer answer = { .status = known ? KVORUM_OK : KVORUM_NOT_FOUND,
                                   .reason = known ? "" : "no such node" };
    on_answer(context, &answer);
}

const struct epoch *node_epoch(const struct node *node)
{
    (void)node;
    static struct member members[] = { { .name = "n1" }, { .name = "n2" } };
    static const struct epoch epoch = { .members = members, .member_count = 2 };
    return &epoch;
}

/* One of n1, which moves; "sleep" is no kind of work, and n2 is down. */
void node_tasks(struct node *node, const struct task_request *asked, node_tasks_fn on_list,
                void *context)
{
    (void)node;
    static const struct task task = { .member = 0,
                                      .kind = "move",
                                      .unit = "partitions",
                                      .state = TASK_RUNNING,
                                      .done = 3,
                                      .total = 4,
                                      .size = 3000,
                                      .rate = 100,
                                      .left_ms = TASK_NEVER,
                                      .note = "" };
    static const struct task_silence silence = { 1, KVORUM_UNAVAILABLE, "it is down" };
    bool known = strcmp(asked->kind, "sleep") != 0;
    bool refused = asked->ask == TASK_CANCEL;
    const struct task_list list = {
        .status = !known    ? KVORUM_NOT_FOUND
                  : refused ? KVORUM_NOT_ALLOWED
                            : KVORUM_OK,
        .reason = !known    ? "no such kind of work"
                  : refused ? "not given up"
                            : "",
        .tasks = &task,
        .count = 1,
        .silent = &silence,
        .silent_count = asked->member == TASK_UNKNOWN_MEMBER,
    };
    on_list(context, &list);
}

/** Lost are a and b, or nobody. */
void node_recover(struct node *node, const struct recover_order *order, recover_report_fn on_report,
                  void *context)
{
    (void)node;
    Peer__RecoverReport report = PEER__RECOVER_REPORT__INIT;
    Peer__RecoverMember member = PEER__RECOVER_MEMBER__INIT, *members[] = { &member };
    bool fine = order->lost_count == 2 && strcmp(order->lost[0], "a") == 0 &&
                strcmp(order->lost[1], "b") == 0;
    report.status = fine ? KVORUM_OK : KVORUM_NOT_ALLOWED;
    report.reason = fine ? "" : "everybody answers";
    member.name = "c";
    report.members = members;
    report.n_members = 1;
    on_report(context, &report);
}

void recover_view_json(const Peer__RecoverReport *report, struct buffer *ret_json)
{
    buffer_append_text(ret_json, report->status == KVORUM_OK ? "{\"possible\":true}"
                                                             : "{\"possible\":false}");
}

void cluster_view_json(struct node *node, struct buffer *ret_json)
{
    (void)node;
    buffer_printf(ret_json, "{\"epoch\":7}");
}

void node_plan(struct node *node, node_plan_fn on_plan, void *context)
{
    static const struct epoch epoch = { .number = 7 };
    (void)node;
    on_plan(context, &(struct node_plan){ .epoch = &epoch, .why = "" });
}

void cluster_plan_json(const struct node_plan *plan, struct buffer *ret_json)
{
    (void)plan;
    buffer_printf(ret_json, "{\"possible\":false}");
}

void server_status_json(const struct server_view *view, struct node *node, struct buffer *ret_json)
{
    (void)node;
    buffer_printf(ret_json, "{\"node\":\"%s\"}", view->name);
}

void server_stats(const struct server_view *view,
                  void (*visit)(void *context, const char *name, uint64_t value), void *context)
{
    (void)view;
    visit(context, "node_gets", 12);
    visit(context, "kvorum_clients", 3);
    visit(context, "kvorum_uptime_s", 86401);
}

#endif
