/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "sim/cluster/yesterday.h"

enum { ARENA_LIMIT = 1 << 24 };

/* --- events from the network ----------------------------------------------------------------- */

static void on_receive(void *context, struct net_address to, struct net_address from,
                       const struct message *message)
{
    struct cluster *cluster = context;
    process_receive(&cluster->processes[to.member], to.shard, from, message);
}

static void on_receive_datagram(void *context, uint16_t to, struct bytes datagram)
{
    struct cluster *cluster = context;
    process_receive_datagram(&cluster->processes[to], datagram);
}

static void on_link_lost(void *context, uint16_t to, uint16_t member, bool refused)
{
    struct cluster *cluster = context;
    process_link_lost(&cluster->processes[to], member, refused);
}

static void on_watch(void *context, const struct message *message)
{
    struct cluster *cluster = context;
    if (cluster->watch != NULL)
        cluster->watch(cluster->watch_context, message);
}

static const struct network_events network_events = {
    .receive = on_receive,
    .receive_datagram = on_receive_datagram,
    .link_lost = on_link_lost,
    .watch = on_watch,
};

/* --- the founding ---------------------------------------------------------------------------- */

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return memcmp(x->id.bytes, y->id.bytes, NODE_ID_SIZE);
}

static struct node_id draw_id(struct world *world)
{
    struct node_id id;
    for (size_t i = 0; i < NODE_ID_SIZE; i++)
        id.bytes[i] = (uint8_t)choose(world, 256);
    return id;
}

/* A shrunk tape draws the same id for all. */
static void make_unique(struct member *members, uint16_t last)
{
    for (uint16_t i = 0; i < last; i++) {
        if (compare_members(&members[i], &members[last]) == 0) {
            members[last].id.bytes[NODE_ID_SIZE - 1]++;
            make_unique(members, last);
            return;
        }
    }
}

static void draw_members(struct cluster *cluster)
{
    struct epoch *epoch = &cluster->epoch;
    epoch->members = arena_allocate_zero(&cluster->arena, cluster->count * sizeof(*epoch->members));
    if (epoch->members == NULL)
        abort();
    bool zones = choose(cluster->world, 2) == 0;
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct member *member = &epoch->members[i];
        member->id = draw_id(cluster->world);
        make_unique(epoch->members, i);
        member->weight = RING_WEIGHT_DEFAULT;
        snprintf(member->zone, sizeof(member->zone), "z%d", zones ? i % 3 : 0);
        snprintf(member->address, sizeof(member->address), "10.0.0.%d:7000", i + 1);
    }
    qsort(epoch->members, cluster->count, sizeof(*epoch->members), compare_members);
    for (uint16_t i = 0; i < cluster->count; i++)
        snprintf(epoch->members[i].name, sizeof(epoch->members[i].name), "n%u", i);
}

static void found(struct cluster *cluster)
{
    struct epoch *epoch = &cluster->epoch;
    draw_members(cluster);
    epoch->number = 1;
    epoch->cluster = draw_id(cluster->world);
    epoch->hash_seed = choose(cluster->world, UINT64_MAX);
    epoch->partition_count = cluster->plan->partition_count;
    epoch->replica_count = cluster->plan->replica_count;
    epoch->replicas_wanted = cluster->plan->replica_count;
    epoch->member_count = cluster->count;
    epoch->voter_count =
        ring_choose_voters(epoch->members, epoch->member_count, NULL, 0, epoch->voters);
    size_t entries = (size_t)epoch->partition_count * epoch->replica_count;
    epoch->table = arena_allocate_zero(&cluster->arena, entries * sizeof(*epoch->table));
    struct ring_plan_input input = {
        .members = epoch->members,
        .member_count = epoch->member_count,
        .partition_count = epoch->partition_count,
        .replica_count = epoch->replica_count,
    };
    const char *why = "";
    if (epoch->table == NULL || ring_plan(&input, &cluster->arena, epoch->table, &why) != KVORUM_OK)
        abort();
}

void cluster_init(struct cluster *cluster, struct world *world, const struct plan *plan)
{
    *cluster = (struct cluster){ .world = world, .plan = plan, .count = plan->member_count };
    arena_init(&cluster->arena, ARENA_LIMIT);
    event_init(&cluster->fault, NULL, NULL);
    event_init(&cluster->repair, NULL, NULL);
    cluster->total = (uint16_t)(plan->member_count + plan->joiner_count);
    network_init(&cluster->network, world, cluster->total, &network_events, cluster);
    found(cluster);
    epoch_book_init(&cluster->book, world, &cluster->epoch);
    for (uint16_t i = 0; i < cluster->total; i++) {
        struct process *process = &cluster->processes[i];
        process_init(process, world, &cluster->network, plan, i, cluster->processes);
        process->book = &cluster->book;
        process->calm = true;
        if (i < cluster->count)
            process_format(process, &cluster->epoch.members[i].id, &cluster->epoch);
    }
    for (uint16_t i = 0; i < cluster->count; i++)
        process_start(&cluster->processes[i]);
}

void cluster_done(struct cluster *cluster)
{
    world_cancel(cluster->world, &cluster->fault);
    world_cancel(cluster->world, &cluster->repair);
    for (uint16_t i = 0; i < cluster->total; i++)
        process_done(&cluster->processes[i]);
    yesterday_done(cluster);
    epoch_book_done(&cluster->book);
    network_done(&cluster->network);
    arena_done(&cluster->arena);
}

void cluster_on_down(struct cluster *cluster, void (*went_down)(void *context, uint16_t member),
                     void *context)
{
    for (uint16_t i = 0; i < cluster->total; i++) {
        cluster->processes[i].went_down = went_down;
        cluster->processes[i].went_down_context = context;
    }
}

struct node_id cluster_draw_id(struct cluster *cluster)
{
    return draw_id(cluster->world);
}

void cluster_grow(struct cluster *cluster, const struct epoch *epoch)
{
    assert(cluster->count < cluster->total && epoch->member_count > cluster->count);
    struct process *process = &cluster->processes[cluster->count++];
    PROBE("cluster: a member joined");
    world_trace(cluster->world, "n%u joins in epoch %llu", process->member,
                (unsigned long long)epoch->number);
    process_format(process, &epoch->members[process->member].id, epoch);
    process->calm = cluster->calm;
    process_start(process);
}

struct process *cluster_any_running(struct cluster *cluster)
{
    uint16_t i = 0;
    while (!cluster->processes[i].running)
        i++;
    assert(i < cluster->count);
    return &cluster->processes[i];
}

bool cluster_all_running(const struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        if (!cluster->processes[i].running && !cluster->processes[i].retired)
            return false;
    }
    return true;
}
