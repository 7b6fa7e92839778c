/* SPDX-License-Identifier: Apache-2.0 */
/* Operations made of a read and a write: a delete that was given no context, conditional writes,
 * and writes that take a deadline or a value from what is there.  As in Riak the condition is
 * checked by a read before the write, so it is not atomic: two clients may both see it hold.
 * (Consistent buckets are where it will be.) */
#include "node/buckets/drop.h"
#include "node/internal.h"

struct composite {
    struct node *node;
    struct request *request;
    struct operation operation; /* a copy in the request's arena */
};

bool composite_needed(const struct operation *operation)
{
    if (operation->kind == OPERATION_DELETE)
        return operation->context.size == 0 || (operation->flags & OPERATION_IF_MATCH) != 0;
    return operation->kind == OPERATION_PUT &&
           (operation->flags & (OPERATION_IF_NONE_MATCH | OPERATION_IF_MATCH |
                                OPERATION_KEEP_DEADLINE | OPERATION_TOUCH)) != 0;
}

static bool copy_metadata(struct arena *arena, struct operation *operation)
{
    size_t count = operation->metadata_count;
    struct metadata *copy = arena_allocate(arena, (count + 1) * sizeof(*copy));
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        copy[i].kind = operation->metadata[i].kind;
        if (!arena_copy(arena, operation->metadata[i].name, &copy[i].name) ||
            !arena_copy(arena, operation->metadata[i].value, &copy[i].value))
            return false;
    }
    operation->metadata = copy;
    return true;
}

bool operation_copy(struct arena *arena, const struct operation *from, struct operation *ret)
{
    *ret = *from;
    return arena_copy(arena, from->type, &ret->type) &&
           arena_copy(arena, from->bucket, &ret->bucket) &&
           arena_copy(arena, from->key, &ret->key) &&
           arena_copy(arena, from->context, &ret->context) &&
           arena_copy(arena, from->value, &ret->value) && copy_metadata(arena, ret);
}

static void finish(struct composite *composite, const struct answer *answer)
{
    struct node *node = composite->node;
    struct request *request = composite->request;
    request_answer(node, request, answer);
    request_close(node, request);
}

static void on_written(void *context, const struct answer *answer)
{
    finish(context, answer);
}

/* A deadline that does not come is behind every other. */
static uint64_t deadline_of(const struct sibling *sibling)
{
    return sibling->deadline_ms == 0 ? NODE_NEVER : sibling->deadline_ms;
}

/* As Redis' EXPIRE with NX, XX, GT, LT. */
static kvorum_status check_touch(const struct operation *operation, const struct answer *found)
{
    if (found->status == KVORUM_NOT_FOUND)
        return KVORUM_NOT_FOUND;
    uint64_t there_ms = deadline_of(object_winner(found->object));
    uint64_t wanted_ms = operation->deadline_ms;
    uint32_t flags = operation->flags;
    bool refused = ((flags & OPERATION_IF_EXPIRES) != 0 && there_ms == NODE_NEVER) ||
                   ((flags & OPERATION_IF_LASTS) != 0 && there_ms != NODE_NEVER) ||
                   ((flags & OPERATION_IF_EARLIER) != 0 && there_ms >= wanted_ms) ||
                   ((flags & OPERATION_IF_LATER) != 0 && there_ms <= wanted_ms);
    return refused ? KVORUM_CONFLICT : KVORUM_OK;
}

/* What the read found, held against what the client expects; OK when the write may go on. */
static kvorum_status check(struct node *node, const struct operation *operation,
                           const struct answer *found)
{
    if (operation->kind == OPERATION_DELETE && found->status == KVORUM_NOT_FOUND)
        return KVORUM_NOT_FOUND;
    if ((operation->flags & OPERATION_TOUCH) != 0)
        return check_touch(operation, found);
    if ((operation->flags & OPERATION_IF_NONE_MATCH) != 0)
        return found->status == KVORUM_NOT_FOUND ? KVORUM_OK : KVORUM_CONFLICT;
    if ((operation->flags & OPERATION_IF_MATCH) == 0)
        return KVORUM_OK;
    if (found->status == KVORUM_NOT_FOUND)
        return KVORUM_NOT_FOUND;
    struct object_context expected;
    kvorum_status status = context_decode(operation->context, &node->scratch, &expected);
    if (status != KVORUM_OK)
        return status;
    bool same = clock_vector_covers(&expected.clock, &found->object->clock) &&
                clock_vector_covers(&found->object->clock, &expected.clock);
    return same ? KVORUM_OK : KVORUM_CONFLICT;
}

/* One deadline for both parts; 0 would mean the default. */
static uint32_t time_left_ms(const struct composite *composite)
{
    const struct node *node = composite->node;
    uint64_t limit_us = composite->operation.timeout_ms > 0
                            ? composite->operation.timeout_ms * 1000ull
                            : node->config.request_timeout_us;
    uint64_t passed_us = node->now_us - composite->request->start_us;
    uint64_t left_ms = passed_us < limit_us ? (limit_us - passed_us) / 1000 : 0;
    return left_ms == 0 ? 1 : (uint32_t)left_ms;
}

/* Views of `found` last as long as the call that starts the write. */
static void take_over(struct operation *operation, const struct answer *found)
{
    const struct sibling *winner = found->status == KVORUM_OK ? object_winner(found->object) : NULL;
    if (winner != NULL && (operation->flags & OPERATION_KEEP_DEADLINE) != 0)
        operation->deadline_ms = deadline_of(winner);
    if (winner == NULL || (operation->flags & OPERATION_TOUCH) == 0)
        return;
    operation->value = winner->value;
    operation->metadata = winner->metadata;
    operation->metadata_count = winner->metadata_count;
    operation->seen_stamp = winner->stamp;
}

static void start_write(struct composite *composite, const struct answer *found)
{
    struct node *node = composite->node;
    struct operation *operation = &composite->operation;
    struct buffer seen;
    buffer_init(&seen, 1 << 20);
    take_over(operation, found);
    bool overwrites = (operation->flags & OPERATION_OVERWRITE) != 0;
    if (operation->context.size == 0 && found->object != NULL && !overwrites) {
        context_encode(found->object, &seen);
        operation->context = buffer_bytes(&seen);
    }
    operation->flags &=
        ~(uint32_t)(OPERATION_IF_NONE_MATCH | OPERATION_IF_MATCH | OPERATION_KEEP_DEADLINE);
    operation->timeout_ms = time_left_ms(composite);
    if (seen.failed) {
        struct answer answer = { .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
        finish(composite, &answer);
    } else
        write_start(node, operation, on_written, composite);
    buffer_done(&seen);
}

static void on_read(void *context, const struct answer *found)
{
    struct composite *composite = context;
    struct node *node = composite->node;
    struct answer answer = *found;
    if (found->status == KVORUM_OK || found->status == KVORUM_NOT_FOUND) {
        answer.status = check(node, &composite->operation, found);
        if (answer.status == KVORUM_OK) {
            start_write(composite, found);
            return;
        }
        answer.reason = kvorum_status_text(answer.status);
    }
    finish(composite, &answer);
}

uint64_t composite_start(struct node *node, const struct operation *operation,
                         node_answer_fn on_answer, void *context)
{
    struct request *request = request_open(node, REQUEST_COMPOSITE);
    struct composite *composite =
        request == NULL ? NULL : arena_allocate_zero(&request->arena, sizeof(*composite));
    struct answer refused = { .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
    if (composite == NULL || !operation_copy(&request->arena, operation, &composite->operation) ||
        !request_register(node, request, UINT64_MAX)) {
        if (request != NULL)
            request_close(node, request);
        on_answer(context, &refused);
        return 0;
    }
    request->operation = 0; /* its parts are counted */
    request->on_answer = on_answer;
    request->context = context;
    struct bytes type = operation->type.size == 0 ? BYTES_LITERAL("default") : operation->type;
    composite->operation.pinned = true; /* what is read must not be written into a later one */
    composite->operation.generation = drop_generation(node, type, operation->bucket);
    composite->node = node;
    composite->request = request;
    request->composite = composite;
    uint64_t id = request->id;
    struct operation get = composite->operation;
    get.kind = OPERATION_GET;
    get.context = (struct bytes){ 0 };
    read_start(node, &get, on_read, composite);
    return map_find(&node->requests, id) == NULL ? 0 : id;
}
