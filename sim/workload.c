/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/workload.h"

#include <assert.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"

enum {
    CONTEXT_LIMIT = 1 << 20,
    VALUE_SIZE_MIN = 40,
    SLACK_US = 500 * 1000, /* beyond the timeout: clocks that drift, an event loop iteration */
    CLIENT_RETRY_US = 50 * 1000,
    LIST_TIMEOUT_FACTOR = 4,
};

static void begin_operation(struct client *client);

/* --- the end of an operation ----------------------------------------------------------------- */

static void client_rests(struct client *client)
{
    struct workload *workload = client->workload;
    client->open = NO_OPERATION;
    if (!event_is_set(&client->event))
        world_after(workload->world, &client->event,
                    choose_delay(workload->world, workload->plan->think_us));
}

static void call_over(struct call *call)
{
    struct workload *workload = call->workload;
    world_cancel(workload->world, &call->overdue);
    world_cancel(workload->world, &call->next_page);
    world_cancel(workload->world, &call->cancel);
    workload->open--;
    if (call->done != NULL)
        *call->done = true;
    if (call->client != NULL)
        client_rests(call->client);
}

static void check_read(struct workload *workload, const struct record *record)
{
    struct history *history = workload->history;
    bool complete = record->action == ACTION_GET &&
                    (record->status == KVORUM_OK || record->status == KVORUM_NOT_FOUND) &&
                    workload->plan->strong;
    check_invented_failed(history, record);
    check_superseded(history, record, complete ? READING_STRONG : READING_WEAK);
    if (!complete)
        return;
    check_acknowledged(history, record);
    check_deletes(history, record);
}

static void check_write(struct call *call)
{
    struct workload *workload = call->workload;
    const struct record *record = call->record;
    if (record->status != KVORUM_OK || !action_writes_value(record->action) || call->dw == 0 ||
        workload->plan->memory)
        return;
    if (choose(workload->world, workload->durable_one_in) != 0)
        return;
    check_durable(workload->cluster, workload->history, record,
                  level_is_zoned(call->dw) ? 1 : call->dw);
    if (level_is_zoned(call->dw) && workload->plan->epoch_us == 0)
        check_zones(workload->cluster, workload->history, record, call->dw, call->member);
}

static void remember(struct call *call, const struct answer *answer)
{
    struct record *record = call->record;
    bool unseen = call->for_checkers && answer->status == KVORUM_OK;
    if (answer->object == NULL || call->client == NULL || unseen)
        return;
    answer_context(answer, &call->workload->contexts[record->id]);
    call->client->last_seen[record->key] = record->id;
}

static void on_answer(void *context, const struct answer *answer)
{
    struct call *call = context;
    struct workload *workload = call->workload;
    struct record *record = call->record;
    if (!process_alive(&workload->cluster->processes[call->member]))
        return;
    if (record->state != RECORD_OPEN) {
        world_fail(workload->world, "answered", "operation %d was answered twice", record->id);
        return;
    }
    history_end(workload->history, record, answer->status, answer->object);
    world_mix(workload->world, (uint64_t)record->id, answer->status);
    world_tell(workload->world, record->key, "c%u: operation %d %s key %u: %s%s%s, first of %u: %d",
               record->client, record->id, action_name(record->action), record->key,
               kvorum_status_name(answer->status), answer->reason[0] == '\0' ? "" : ": ",
               answer->reason, record->reading.count,
               record->reading.count == 0 ? NO_OPERATION : record->reading.versions[0].writer);
    remember(call, answer);
    check_reopened(workload->history, record, answer->outdated,
                   workload->plan->timeout_ms * SIM_MILLISECOND);
    check_read(workload, record);
    check_write(call);
    call_over(call);
}

/* The node that had the operation is gone: its client sees the connection break. */
static void lose_calls(void *context, uint16_t member)
{
    struct workload *workload = context;
    for (int32_t i = 0; i < workload->history->count; i++) {
        struct call *call = &workload->calls[i];
        if (call->record == NULL || call->record->state != RECORD_OPEN || call->member != member)
            continue;
        world_tell(workload->world, call->record->key, "c%u: operation %d lost its node",
                   call->record->client, i);
        history_lose(workload->history, call->record);
        call_over(call);
    }
}

/* The client went away: nothing may be answered any more; what it asked for may still happen. */
static void cancel_run(struct event *event)
{
    struct call *call = LIST_ENTRY(event, struct call, cancel);
    struct workload *workload = call->workload;
    struct process *process = &workload->cluster->processes[call->member];
    if (call->record->state != RECORD_OPEN)
        return;
    PROBE("workload: a client went away");
    process_enter(process);
    node_cancel(process->shards[call->shard].node, call->id);
    process_leave(process, call->shard);
    if (call->record->state != RECORD_OPEN)
        return; /* power failed meanwhile */
    history_lose(workload->history, call->record);
    call_over(call);
}

static void overdue_run(struct event *event)
{
    struct call *call = LIST_ENTRY(event, struct call, overdue);
    struct workload *workload = call->workload;
    const struct process *process = &workload->cluster->processes[call->member];
    uint64_t paused_us = process_paused_us(process) - call->paused_us;
    if (paused_us > 0) {
        call->paused_us += paused_us;
        world_after(workload->world, event, paused_us + SLACK_US);
        return;
    }
    world_fail(
        workload->world, "answered",
        "operation %d (%s, key %u, at n%u) has no answer %llu ms after it began, its timeout "
        "was %u ms",
        call->record->id, action_name(call->record->action), call->record->key, call->member,
        (unsigned long long)(workload->world->now_us - call->record->invoked_us) / 1000,
        workload->plan->timeout_ms);
}

/* --- the beginning --------------------------------------------------------------------------- */

static struct call *open_call(struct workload *workload, struct record *record,
                              struct client *client, uint16_t member)
{
    struct call *call = &workload->calls[record->id];
    *call =
        (struct call){ .workload = workload, .record = record, .client = client, .member = member };
    event_init(&call->overdue, NULL, overdue_run);
    event_init(&call->next_page, NULL, NULL);
    event_init(&call->cancel, &workload->cluster->processes[member].gate, cancel_run);
    call->paused_us = process_paused_us(&workload->cluster->processes[member]);
    uint64_t limit_us = workload->plan->timeout_ms * SIM_MILLISECOND;
    if (record->action == ACTION_LIST)
        limit_us *= LIST_TIMEOUT_FACTOR;
    if (record->action == ACTION_PROPERTIES)
        limit_us = plan_patience_us(workload->plan) + 2 * SIM_SECOND; /* as the node's own */
    world_after(workload->world, &call->overdue, limit_us + limit_us / 20 + SLACK_US);
    workload->open++;
    return call;
}

static struct process *choose_process(struct workload *workload)
{
    struct cluster *cluster = workload->cluster;
    struct process *process = &cluster->processes[choose(workload->world, cluster->count)];
    return process->running && !process->gate.closed ? process : NULL;
}

static uint32_t choose_key(struct workload *workload)
{
    const struct plan *plan = workload->plan;
    if (plan->hot_keys > 0 && choose(workload->world, 2) == 0)
        return (uint32_t)choose(workload->world, plan->hot_keys);
    return (uint32_t)choose(workload->world, plan->key_count);
}

static enum action choose_action(struct workload *workload)
{
    const uint32_t *weights = workload->plan->weights;
    uint64_t sum = 0;
    for (int i = 0; i < ACTION_COUNT; i++)
        sum += weights[i];
    uint64_t drawn = choose(workload->world, sum);
    int action = 0;
    while (drawn >= weights[action])
        drawn -= weights[action++];
    return (enum action)action;
}

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
    call->id = node_submit(process->shards[shard].node, &operation, on_answer, call);
    process_leave(process, shard);
}

static void begin_access(struct client *client, enum action action, uint32_t key,
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
    struct call *call = open_call(workload, record, client, process->member);
    struct quorum_levels levels = workload->plan->levels;
    if (workload->plan->varied_levels)
        plan_vary_levels(workload->world, &levels);
    submit(call, &levels, context);
}

/* --- lists and properties -------------------------------------------------------------------- */

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
        on_answer(call, &answer);
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

static void begin_list(struct client *client, struct process *process)
{
    struct workload *workload = client->workload;
    struct record *record = history_begin(workload->history, ACTION_LIST, client->number, 0, NULL);
    client->open = record->id;
    struct call *call = open_call(workload, record, client, process->member);
    uint16_t shard = call->shard = (uint16_t)choose(workload->world, process->shard_count);
    event_init(&call->next_page, &process->gate, next_page_run);
    process_enter(process);
    call->id = node_list(process->shards[shard].node, LIST_KEYS, (struct bytes){ 0 },
                         BYTES_LITERAL(SIM_BUCKET), workload->plan->timeout_ms, on_page, call);
    process_leave(process, shard);
}

/* Of another bucket: this one keeps its mode, which the checkers rely on. */
static void begin_properties(struct client *client, struct process *process)
{
    struct workload *workload = client->workload;
    struct record *record =
        history_begin(workload->history, ACTION_PROPERTIES, client->number, 0, NULL);
    client->open = record->id;
    struct call *call = open_call(workload, record, client, process->member);
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = (int8_t)choose(workload->world, 2);
    uint16_t shard = (uint16_t)choose(workload->world, process->shard_count);
    process_enter(process);
    node_set_properties(process->shards[shard].node, (struct bytes){ 0 }, BYTES_LITERAL("other"),
                        &properties, choose(workload->world, 4) == 0, on_answer, call);
    process_leave(process, shard);
}

/* --- clients --------------------------------------------------------------------------------- */

static void begin_operation(struct client *client)
{
    struct workload *workload = client->workload;
    struct process *process = choose_process(workload);
    if (process == NULL) {
        world_after(workload->world, &client->event, CLIENT_RETRY_US);
        return;
    }
    workload->submitted++;
    enum action action = choose_action(workload);
    if (action == ACTION_LIST)
        begin_list(client, process);
    else if (action == ACTION_PROPERTIES)
        begin_properties(client, process);
    else
        begin_access(client, action, choose_key(workload), process);
}

static void client_run(struct event *event)
{
    struct client *client = LIST_ENTRY(event, struct client, event);
    assert(client->open == NO_OPERATION);
    if (world_ended(client->workload->world))
        client->workload->retired |= 1u << client->number;
    else if (client->workload->submitted < client->workload->plan->operation_count)
        begin_operation(client);
}

bool workload_finished(const struct workload *workload)
{
    bool all_retired = workload->retired == (1u << workload->plan->client_count) - 1;
    return (all_retired || workload->submitted >= workload->plan->operation_count) &&
           workload->open == 0;
}

void workload_start(struct workload *workload)
{
    for (uint16_t i = 0; i < workload->plan->client_count; i++)
        client_rests(&workload->clients[i]);
}

uint32_t workload_open_at(const struct workload *workload, uint32_t members)
{
    uint32_t count = 0;
    for (int32_t i = 0; i < workload->history->count; i++) {
        const struct call *call = &workload->calls[i];
        count += call->record != NULL && call->record->state == RECORD_OPEN &&
                 (members >> call->member & 1) != 0;
    }
    return count;
}

struct record *workload_ask(struct workload *workload, enum action action, uint32_t key,
                            struct process *process, const struct quorum_levels *levels, bool *done)
{
    struct record *record = history_begin(workload->history, action, SIM_CLIENTS_MAX, key, NULL);
    record->value_size = VALUE_SIZE_MIN;
    struct call *call = open_call(workload, record, NULL, process->member);
    call->done = done;
    submit(call, levels, (struct bytes){ 0 });
    return record;
}

struct record *workload_read_all(struct workload *workload, uint32_t key, bool *done)
{
    struct process *process = choose_process(workload);
    if (process == NULL)
        return NULL;
    struct quorum_levels levels = workload->plan->levels;
    levels.r = LEVEL_ALL;
    levels.pr = LEVEL_ALL;
    levels.sloppy = 0;
    return workload_ask(workload, ACTION_GET, key, process, &levels, done);
}

/* Every merge on the wire names a version of a key; the sooner it is seen, the more is known. */
static void watch(void *context, const struct message *message)
{
    struct workload *workload = context;
    if (message->kind != MESSAGE_MERGE)
        return;
    history_see_merge(workload->history, message);
}

void workload_init(struct workload *workload, struct cluster *cluster, struct history *history)
{
    *workload = (struct workload){
        .world = cluster->world, .cluster = cluster, .plan = cluster->plan, .history = history
    };
    workload->calls = calloc((size_t)history->capacity, sizeof(*workload->calls));
    workload->contexts = calloc((size_t)history->capacity, sizeof(*workload->contexts));
    if (workload->calls == NULL || workload->contexts == NULL)
        abort();
    for (int32_t i = 0; i < history->capacity; i++)
        buffer_init(&workload->contexts[i], CONTEXT_LIMIT);
    workload->durable_one_in = choose(workload->world, 4) == 0 ? 1 : 12;
    cluster->watch = watch;
    cluster->watch_context = workload;
    cluster_on_down(cluster, lose_calls, workload);
    for (uint16_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        struct client *client = &workload->clients[i];
        *client = (struct client){ .workload = workload, .number = i, .open = NO_OPERATION };
        event_init(&client->event, NULL, client_run);
        client->event.stream = (enum stream)(STREAM_CLIENTS + i);
        client->last_seen = calloc(history->key_count, sizeof(*client->last_seen));
        if (client->last_seen == NULL)
            abort();
        for (uint32_t key = 0; key < history->key_count; key++)
            client->last_seen[key] = NO_OPERATION;
    }
}

void workload_done(struct workload *workload)
{
    cluster_on_down(workload->cluster, NULL, NULL);
    for (uint16_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        world_cancel(workload->world, &workload->clients[i].event);
        free(workload->clients[i].last_seen);
    }
    for (int32_t i = 0; i < workload->history->capacity; i++) {
        if (workload->calls[i].record != NULL) {
            world_cancel(workload->world, &workload->calls[i].overdue);
            world_cancel(workload->world, &workload->calls[i].next_page);
            world_cancel(workload->world, &workload->calls[i].cancel);
        }
        buffer_done(&workload->contexts[i]);
    }
    free(workload->calls);
    free(workload->contexts);
}
