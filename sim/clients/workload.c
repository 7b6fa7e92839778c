/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clients/workload.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/clients/workload_internal.h"

enum { CONTEXT_LIMIT = 1 << 20, CLIENT_RETRY_US = 50 * 1000 };

/* --- clients --------------------------------------------------------------------------------- */

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

static uint32_t choose_key(struct workload *workload)
{
    const struct plan *plan = workload->plan;
    if (plan->hot_keys > 0 && choose(workload->world, 2) == 0)
        return (uint32_t)choose(workload->world, plan->hot_keys);
    return (uint32_t)choose(workload->world, plan->key_count);
}

static void begin_operation(struct client *client)
{
    struct workload *workload = client->workload;
    struct process *process = workload_choose_process(workload);
    if (process == NULL) {
        world_after(workload->world, &client->event, CLIENT_RETRY_US);
        return;
    }
    workload->submitted++;
    enum action action = choose_action(workload);
    if (action == ACTION_LIST)
        workload_begin_list(client, process);
    else if (action == ACTION_PROPERTIES)
        workload_begin_properties(client, process);
    else
        workload_begin_access(client, action, choose_key(workload), process);
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

void workload_client_rests(struct client *client)
{
    struct workload *workload = client->workload;
    client->open = NO_OPERATION;
    if (!event_is_set(&client->event))
        world_after(workload->world, &client->event,
                    choose_delay(workload->world, workload->plan->think_us));
}

void workload_start(struct workload *workload)
{
    for (uint16_t i = 0; i < workload->plan->client_count; i++)
        workload_client_rests(&workload->clients[i]);
}

/* --- how far they are ------------------------------------------------------------------------ */

bool workload_finished(const struct workload *workload)
{
    bool all_retired = workload->retired == (1u << workload->plan->client_count) - 1;
    return (all_retired || workload->submitted >= workload->plan->operation_count) &&
           workload->open == 0;
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

/* --- their beginning and end ----------------------------------------------------------------- */

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
    cluster_on_down(cluster, workload_lose_calls, workload);
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
