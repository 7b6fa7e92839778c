/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/drops.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/checkers/drops.h"

enum {
    NAME_SIZE = 16,
    LOOK_US = 200 * 1000, /* is the member still there that was asked? */
    TIMEOUT_MS = 3000,
    READS_MAX = 20, /* attempts a key, at the end */
    POLL_US = 200 * 1000,
    OF_HUNDRED_PUTS = 45,
    OF_HUNDRED_GETS = 35,
    OF_HUNDRED_LISTS = 7,
};

uint64_t drops_generation(const struct process *process, uint16_t shard)
{
    struct bucket_properties properties;
    node_properties(process->shards[shard].node, (struct bytes){ 0 }, BYTES_LITERAL(DROPS_BUCKET),
                    &properties);
    return properties.generation;
}

static struct bytes key_name(uint32_t key, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "d%u", key);
    return bytes_of_string(ret_name);
}

/* --- answers --------------------------------------------------------------------------------- */

static void over(struct drops_operation *operation, enum drops_state state, kvorum_status status)
{
    struct world *world = operation->drops->cluster->world;
    operation->state = state;
    operation->status = status;
    operation->done_us = world->now_us;
    world_trace(world, "drops: operation %d at n%u.%u ends: %s", operation->id, operation->member,
                operation->shard,
                state == DROPS_LOST ? "its member went away" : kvorum_status_name(status));
}

/* Of this life of this member, which has power. */
static bool counts(const struct drops_operation *operation)
{
    const struct process *process = &operation->drops->cluster->processes[operation->member];
    return operation->state == DROPS_OPEN && process_alive(process) &&
           process->lives == operation->life;
}

static uint64_t generation_now(const struct drops_operation *operation)
{
    const struct process *process = &operation->drops->cluster->processes[operation->member];
    return drops_generation(process, operation->shard);
}

static void on_answer(void *context, const struct answer *answer)
{
    struct drops_operation *operation = context;
    if (!counts(operation))
        return;
    operation->latest = generation_now(operation);
    over(operation, DROPS_ANSWERED, answer->status);
    if (operation->action == DROPS_GET && answer->object != NULL)
        check_drop_read(operation, answer->object);
    if (operation->action == DROPS_DROP && answer->status == KVORUM_OK)
        check_drop_told(operation);
}

static void on_page(void *context, const struct list_page *page)
{
    struct drops_operation *operation = context;
    if (!counts(operation))
        return;
    for (uint32_t i = 0; i < page->count; i++)
        check_drop_listed(operation, page->names[i]);
    if (page->last || page->status != KVORUM_OK)
        over(operation, DROPS_ANSWERED, page->status);
    else
        operation->wants_page = true;
}

/* --- asking ---------------------------------------------------------------------------------- */

static struct drops_operation *open_operation(struct drops *drops, enum drops_action action,
                                              const struct process *process)
{
    assert(drops->count < drops->capacity);
    struct drops_operation *operation = &drops->operations[drops->count];
    uint16_t shard = (uint16_t)choose(drops->cluster->world, process->shard_count);
    *operation = (struct drops_operation){ .drops = drops,
                                           .id = drops->count++,
                                           .action = action,
                                           .member = process->member,
                                           .shard = shard,
                                           .life = process->lives,
                                           .generation = drops_generation(process, shard),
                                           .invoked_us = drops->cluster->world->now_us };
    operation->latest = operation->generation;
    check_drop_kept(operation, node_serves(process->shards[shard].node));
    check_drop_proven(drops, process);
    return operation;
}

static void submit(struct drops_operation *operation, const struct operation *asked)
{
    struct process *process = &operation->drops->cluster->processes[operation->member];
    process_enter(process);
    node_submit(process->shards[operation->shard].node, asked, on_answer, operation);
    process_leave(process, operation->shard);
}

static void ask_for_key(struct drops_operation *operation, bool all)
{
    char name[NAME_SIZE], value[NAME_SIZE];
    struct operation asked = { .kind = OPERATION_GET,
                               .bucket = BYTES_LITERAL(DROPS_BUCKET),
                               .key = key_name(operation->key, name),
                               .timeout_ms = TIMEOUT_MS };
    quorum_levels_init(&asked.levels);
    if (all) {
        asked.levels.r = asked.levels.pr = LEVEL_ALL;
        asked.levels.sloppy = 0;
    }
    if (operation->action == DROPS_PUT) {
        asked.kind = OPERATION_PUT;
        asked.flags = choose(operation->drops->cluster->world, 6) == 0 ? OPERATION_IF_NONE_MATCH
                                                                       : OPERATION_OVERWRITE;
        snprintf(value, sizeof(value), "%d", operation->id);
        asked.value = bytes_of_string(value);
    }
    submit(operation, &asked);
}

static void ask_for_list(struct drops_operation *operation)
{
    struct process *process = &operation->drops->cluster->processes[operation->member];
    process_enter(process);
    operation->list =
        node_list(process->shards[operation->shard].node, LIST_KEYS, (struct bytes){ 0 },
                  BYTES_LITERAL(DROPS_BUCKET), TIMEOUT_MS, on_page, operation);
    process_leave(process, operation->shard);
}

static void ask_for_drop(struct drops_operation *operation)
{
    struct process *process = &operation->drops->cluster->processes[operation->member];
    process_enter(process);
    node_drop_bucket(process->shards[operation->shard].node, (struct bytes){ 0 },
                     BYTES_LITERAL(DROPS_BUCKET), on_answer, operation);
    process_leave(process, operation->shard);
}

static enum drops_action choose_action(struct world *world)
{
    uint64_t drawn = choose(world, 100);
    return drawn < OF_HUNDRED_PUTS                                        ? DROPS_PUT
           : drawn < OF_HUNDRED_PUTS + OF_HUNDRED_GETS                    ? DROPS_GET
           : drawn < OF_HUNDRED_PUTS + OF_HUNDRED_GETS + OF_HUNDRED_LISTS ? DROPS_LIST
                                                                          : DROPS_DROP;
}

static uint32_t choose_key(const struct drops_operation *operation)
{
    struct world *world = operation->drops->cluster->world;
    if (choose(world, 2) == 0)
        return (uint32_t)choose(world, DROPS_SHARED_KEYS);
    uint32_t own = (uint32_t)operation->id;
    return DROPS_SHARED_KEYS +
           (operation->action == DROPS_PUT ? own : (uint32_t)choose(world, own + 1));
}

static void begin_one(struct drops_client *client)
{
    struct drops *drops = client->drops;
    struct cluster *cluster = drops->cluster;
    struct process *process = &cluster->processes[choose(cluster->world, cluster->count)];
    if (!process->running || process->gate.closed)
        return;
    struct drops_operation *operation =
        open_operation(drops, choose_action(cluster->world), process);
    client->open = operation;
    if (operation->action == DROPS_LIST)
        ask_for_list(operation);
    else if (operation->action == DROPS_DROP)
        ask_for_drop(operation);
    else {
        operation->key = choose_key(operation);
        ask_for_key(operation, false);
    }
}

static void turn_page(struct drops_operation *operation)
{
    struct process *process = &operation->drops->cluster->processes[operation->member];
    operation->wants_page = false;
    process_enter(process);
    node_list_next(process->shards[operation->shard].node, operation->list);
    process_leave(process, operation->shard);
}

static void client_run(struct event *event)
{
    struct drops_client *client = LIST_ENTRY(event, struct drops_client, event);
    struct drops *drops = client->drops;
    struct drops_operation *open = client->open;
    uint64_t think_us = drops->cluster->plan->think_us;
    if (open != NULL && open->state == DROPS_OPEN && !counts(open)) {
        open->latest = DROPS_NEVER; /* nobody knows how far it had got */
        over(open, DROPS_LOST, KVORUM_CLOSED);
    }
    if (open != NULL && open->state == DROPS_OPEN) {
        const struct process *process = &drops->cluster->processes[open->member];
        if (open->wants_page && !process->gate.closed)
            turn_page(open);
        world_after(drops->cluster->world, event, open->wants_page ? think_us : LOOK_US / 10);
        return;
    }
    client->open = NULL;
    if (drops->stopped || drops->count >= DROPS_OPERATIONS_MAX)
        return;
    begin_one(client);
    world_after(drops->cluster->world, event, 1 + choose(drops->cluster->world, 2 * think_us));
}

/* --- a run ----------------------------------------------------------------------------------- */

void drops_init(struct drops *drops, struct cluster *cluster, bool enabled)
{
    *drops = (struct drops){ .cluster = cluster, .enabled = enabled, .stopped = true };
    if (!enabled)
        return;
    drops->capacity = DROPS_OPERATIONS_MAX + READS_MAX * (DROPS_OPERATIONS_MAX + DROPS_SHARED_KEYS);
    drops->operations = calloc((size_t)drops->capacity, sizeof(*drops->operations));
    if (drops->operations == NULL)
        abort();
    for (int i = 0; i < DROPS_CLIENTS; i++) {
        struct drops_client *client = &drops->clients[i];
        client->drops = drops;
        event_init(&client->event, NULL, client_run);
        client->event.stream = STREAM_CHANGES;
    }
}

void drops_begin(struct drops *drops)
{
    if (!drops->enabled)
        return;
    drops->stopped = false;
    for (int i = 0; i < DROPS_CLIENTS; i++)
        world_after(drops->cluster->world, &drops->clients[i].event, 1);
}

void drops_stop(struct drops *drops)
{
    drops->stopped = true;
}

bool drops_finished(const struct drops *drops)
{
    for (int32_t i = 0; i < drops->count; i++)
        if (drops->operations[i].state == DROPS_OPEN)
            return false;
    return true;
}

static bool process_settled(const struct process *process, uint64_t generation)
{
    for (uint16_t shard = 0; shard < process->shard_count; shard++)
        if (drops_generation(process, shard) != generation ||
            node_counters(process->shards[shard].node)->reclaims_due > 0)
            return false;
    return true;
}

static bool is_member(const struct drops *drops, uint16_t at)
{
    const struct process *process = &drops->cluster->processes[at];
    return process->running && !process->retired && !epoch_book_gone(&drops->cluster->book, at);
}

bool drops_settled(const struct drops *drops)
{
    const struct cluster *cluster = drops->cluster;
    uint64_t generation = DROPS_NEVER;
    for (uint16_t i = 0; i < cluster->count && drops->enabled; i++) {
        const struct process *process = &cluster->processes[i];
        if (!is_member(drops, i))
            continue;
        if (generation == DROPS_NEVER)
            generation = drops_generation(process, 0);
        if (!process_settled(process, generation))
            return false;
    }
    return true;
}

void drops_done(struct drops *drops)
{
    for (int i = 0; drops->enabled && i < DROPS_CLIENTS; i++)
        world_cancel(drops->cluster->world, &drops->clients[i].event);
    free(drops->operations);
}

/* --- the end --------------------------------------------------------------------------------- */

/* NULL: the run is over. */
static struct drops_operation *read_once(struct drops *drops, uint32_t key)
{
    struct world *world = drops->cluster->world;
    uint16_t at;
    do
        at = (uint16_t)choose(world, drops->cluster->count);
    while (!is_member(drops, at));
    struct drops_operation *read = open_operation(drops, DROPS_GET, &drops->cluster->processes[at]);
    read->key = key;
    ask_for_key(read, true);
    while (read->state == DROPS_OPEN)
        if (!world_step(world))
            return NULL;
    return read;
}

static bool read_key(struct drops *drops, uint32_t key)
{
    struct world *world = drops->cluster->world;
    struct drops_operation *read = NULL;
    for (int i = 0; i < READS_MAX; i++) {
        read = read_once(drops, key);
        if (read == NULL || world->violation.checker != NULL)
            return false;
        if (read->status == KVORUM_OK || read->status == KVORUM_NOT_FOUND) {
            check_drop_lost(read);
            return world->violation.checker == NULL;
        }
        if (!world_run_until(world, world->now_us + POLL_US))
            return false;
    }
    world_fail(world, "liveness", "key d%u cannot be read from all owners of a healthy cluster: %s",
               key, kvorum_status_name(read->status));
    return false;
}

bool drops_read_all(struct drops *drops)
{
    if (!drops->enabled)
        return true;
    int32_t written = drops->count;
    for (int32_t i = 0; i < written; i++) {
        const struct drops_operation *write = &drops->operations[i];
        bool own = write->action == DROPS_PUT && write->key >= DROPS_SHARED_KEYS;
        if (own && !read_key(drops, write->key))
            return false;
    }
    for (uint32_t key = 0; key < DROPS_SHARED_KEYS; key++)
        if (!read_key(drops, key))
            return false;
    check_drop_reclaimed(drops);
    return drops->cluster->world->violation.checker == NULL;
}
