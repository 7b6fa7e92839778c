/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clients/workload_internal.h"

#include "sim/checkers/checkers.h"

enum { VALUE_SIZE_MIN = 40 };

/* --- reads, writes and deletes --------------------------------------------------------------- */

static uint32_t flags_of(enum action action)
{
    return action == ACTION_PUT_OVERWRITE   ? OPERATION_OVERWRITE
           : action == ACTION_PUT_IF_ABSENT ? OPERATION_IF_NONE_MATCH
           : action == ACTION_PUT_IF_MATCH  ? OPERATION_IF_MATCH
                                            : 0;
}

static bool needs_context(enum action action)
{
    return action == ACTION_PUT_CONTEXT || action == ACTION_PUT_IF_MATCH ||
           action == ACTION_DELETE_CONTEXT;
}

static enum operation_kind kind_of(enum action action)
{
    return action == ACTION_GET     ? OPERATION_GET
           : action_deletes(action) ? OPERATION_DELETE
                                    : OPERATION_PUT;
}

/* Hand the operation to the node; everything in it is copied there. */
static void submit(struct call *call, const struct quorum_levels *levels, struct bytes context)
{
    struct workload *workload = call->workload;
    struct record *record = call->record;
    struct process *process = &workload->cluster->processes[call->member];
    char key[SIM_KEY_SIZE];
    history_key(record->key, key);
    struct operation operation = {
        .kind = kind_of(record->action),
        .bucket = BYTES_LITERAL(SIM_BUCKET),
        .key = bytes_of_string(key),
        .levels = *levels,
        .context = context,
        .flags = flags_of(record->action),
        .timeout_ms = workload->plan->timeout_ms,
    };
    if (action_writes_value(record->action)) {
        operation.value = history_value(workload->history, record);
        if (choose_chance(workload->world, workload->plan->return_body))
            operation.flags |= OPERATION_RETURN_BODY;
    }
    call->for_checkers = operation.flags == flags_of(record->action) && /* else its client asked */
                         history_wants_object(workload->history, record->action);
    if (call->for_checkers)
        operation.flags |= OPERATION_RETURN_BODY;
    uint16_t shard = call->shard = (uint16_t)choose(workload->world, process->shard_count);
    call->dw = levels->dw;
    record->mode_known = workload->history->changes && mode_known(process, shard);
    world_tell(workload->world, record->key, "c%u: operation %d %s key %u at n%u.%u",
               record->client, record->id, action_name(record->action), record->key,
               process->member, shard);
    if (call->client != NULL && choose_chance(workload->world, workload->plan->cancelled))
        world_after(workload->world, &call->cancel,
                    choose_delay(workload->world, workload->plan->network.delay_us));
    process_enter(process);
    call->id = node_submit(process->shards[shard].node, &operation, workload_on_answer, call);
    process_leave(process, shard);
}

void workload_begin_access(struct client *client, enum action action, uint32_t key,
                           struct process *process)
{
    struct workload *workload = client->workload;
    const struct record *source = NULL;
    struct bytes context = { 0 };
    if (needs_context(action) && client->last_seen[key] == NO_OPERATION)
        action = ACTION_GET; /* nothing seen yet: look first */
    if (needs_context(action)) {
        source = &workload->history->records[client->last_seen[key]];
        context = buffer_bytes(&workload->contexts[source->id]);
    }
    struct record *record = history_begin(workload->history, action, client->number, key, source);
    record->value_size =
        (uint32_t)choose_between(workload->world, VALUE_SIZE_MIN, workload->plan->value_size_max);
    client->open = record->id;
    struct call *call = workload_open_call(workload, record, client, process->member);
    struct quorum_levels levels = workload->plan->levels;
    if (workload->plan->varied_levels)
        plan_vary_levels(workload->world, &levels);
    submit(call, &levels, context);
}

/* --- lists ----------------------------------------------------------------------------------- */

static void check_page(struct workload *workload, const struct list_page *page)
{
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t key;
        struct bytes name = page->names[i];
        if (!history_key_number(name, &key) || key >= workload->plan->key_count ||
            workload->history->by_key_count[key] == 0)
            world_fail(workload->world, "invented", "a list names a key nobody wrote: \"%.*s\"",
                       (int)name.size, (const char *)name.data);
    }
}

static void on_page(void *context, const struct list_page *page)
{
    struct call *call = context;
    if (!process_alive(&call->workload->cluster->processes[call->member]))
        return;
    check_page(call->workload, page);
    struct answer answer = { .status = page->status, .reason = "" };
    if (page->status != KVORUM_OK || page->last)
        workload_on_answer(call, &answer);
    else if (!event_is_set(&call->next_page))
        world_after(call->workload->world, &call->next_page,
                    choose_delay(call->workload->world, call->workload->plan->think_us));
    else
        world_fail(call->workload->world, "answered", "a page nobody asked for");
}

static void next_page_run(struct event *event)
{
    struct call *call = LIST_ENTRY(event, struct call, next_page);
    struct process *process = &call->workload->cluster->processes[call->member];
    if (call->record->state != RECORD_OPEN)
        return;
    process_enter(process);
    node_list_next(process->shards[call->shard].node, call->id);
    process_leave(process, call->shard);
}

void workload_begin_list(struct client *client, struct process *process)
{
    struct workload *workload = client->workload;
    struct record *record = history_begin(workload->history, ACTION_LIST, client->number, 0, NULL);
    client->open = record->id;
    struct call *call = workload_open_call(workload, record, client, process->member);
    uint16_t shard = call->shard = (uint16_t)choose(workload->world, process->shard_count);
    event_init(&call->next_page, &process->gate, next_page_run);
    process_enter(process);
    call->id = node_list(process->shards[shard].node, LIST_KEYS, (struct bytes){ 0 },
                         BYTES_LITERAL(SIM_BUCKET), workload->plan->timeout_ms, on_page, call);
    process_leave(process, shard);
}

/* --- properties ------------------------------------------------------------------------------ */

void workload_begin_properties(struct client *client, struct process *process)
{
    struct workload *workload = client->workload;
    struct record *record =
        history_begin(workload->history, ACTION_PROPERTIES, client->number, 0, NULL);
    client->open = record->id;
    struct call *call = workload_open_call(workload, record, client, process->member);
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = (int8_t)choose(workload->world, 2);
    uint16_t shard = (uint16_t)choose(workload->world, process->shard_count);
    process_enter(process);
    node_set_properties(process->shards[shard].node, (struct bytes){ 0 }, BYTES_LITERAL("other"),
                        &properties, choose(workload->world, 4) == 0, workload_on_answer, call);
    process_leave(process, shard);
}

/* --- what the run itself asks ---------------------------------------------------------------- */

struct process *workload_choose_process(struct workload *workload)
{
    struct cluster *cluster = workload->cluster;
    struct process *process = &cluster->processes[choose(workload->world, cluster->count)];
    return process->running && !process->gate.closed ? process : NULL;
}

struct record *workload_ask(struct workload *workload, enum action action, uint32_t key,
                            struct process *process, const struct quorum_levels *levels, bool *done)
{
    struct record *record = history_begin(workload->history, action, SIM_CLIENTS_MAX, key, NULL);
    record->value_size = VALUE_SIZE_MIN;
    struct call *call = workload_open_call(workload, record, NULL, process->member);
    call->done = done;
    submit(call, levels, (struct bytes){ 0 });
    return record;
}

struct record *workload_read_all(struct workload *workload, uint32_t key, bool *done)
{
    struct process *process = workload_choose_process(workload);
    if (process == NULL)
        return NULL;
    struct quorum_levels levels = workload->plan->levels;
    levels.r = LEVEL_ALL;
    levels.pr = LEVEL_ALL;
    levels.sloppy = 0;
    return workload_ask(workload, ACTION_GET, key, process, &levels, done);
}
