/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clients/workload_internal.h"

#include "base/planted.h"
#include "sim/checkers/checkers.h"

enum {
    SLACK_US = 500 * 1000, /* beyond the timeout: clocks that drift, an event loop iteration */
    LIST_TIMEOUT_FACTOR = 4,
};

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
        workload_client_rests(call->client);
}

/* --- answers --------------------------------------------------------------------------------- */

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

void workload_on_answer(void *context, const struct answer *answer)
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

/* --- no answer ------------------------------------------------------------------------------- */

void workload_lose_calls(void *context, uint16_t member)
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

struct call *workload_open_call(struct workload *workload, struct record *record,
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
