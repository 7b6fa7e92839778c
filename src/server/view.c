/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view.h"

#include "server/internal.h"
#include "server/scrub_view.h"
#include "server/view_json.h"

#include <jansson.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* --- sums over shards ----------------------------------------------------------------------- */

static void add_counters(struct node_counters *into, const struct node_counters *from)
{
#define X(name) into->name += from->name;
    NODE_COUNTER_LIST(X)
#undef X
}

static void sum_counters(const struct server_view *view, struct node_counters *ret_now,
                         struct node_counters *ret_minute_ago)
{
    *ret_now = *ret_minute_ago = (struct node_counters){ 0 };
    for (uint16_t i = 0; i < view->reactor_count; i++) {
        struct node_counters counters;
        snapshot_counters(&view->reactors[i]->snapshot, &counters);
        add_counters(ret_now, &counters);
        snapshot_minute_ago(&view->reactors[i]->snapshot, &counters);
        add_counters(ret_minute_ago, &counters);
    }
}

static struct snapshot_stores sum_stores(const struct server_view *view)
{
    struct snapshot_stores sums = { 0 };
    for (uint16_t i = 0; i < view->reactor_count; i++) {
        struct snapshot *snapshot = &view->reactors[i]->snapshot;
        pthread_mutex_lock(&snapshot->mutex);
        snapshot_stores_add(&sums, &snapshot->stores);
        pthread_mutex_unlock(&snapshot->mutex);
    }
    return sums;
}

static void sum_latencies(const struct server_view *view, struct histogram *ret_get,
                          struct histogram *ret_put)
{
    histogram_init(ret_get);
    histogram_init(ret_put);
    for (uint16_t i = 0; i < view->reactor_count; i++) {
        struct snapshot *snapshot = &view->reactors[i]->snapshot;
        pthread_mutex_lock(&snapshot->mutex);
        histogram_merge(ret_get, &snapshot->get);
        histogram_merge(ret_put, &snapshot->put);
        pthread_mutex_unlock(&snapshot->mutex);
    }
}

static uint64_t uptime_s(const struct server_view *view)
{
    return (clock_monotonic_us(view->clock) - view->started_monotonic_us) / 1000000;
}

/* --- statistics ----------------------------------------------------------------------------- */

struct visitor {
    void (*visit)(void *context, const char *name, uint64_t value);
    void *context;
};

static void tell(const struct visitor *visitor, const char *name, uint64_t value)
{
    visitor->visit(visitor->context, name, value);
}

static void tell_latency(const struct visitor *visitor, const char *const names[5],
                         const struct histogram *histogram)
{
    tell(visitor, names[0], (uint64_t)histogram_mean(histogram));
    tell(visitor, names[1], histogram_quantile(histogram, 0.5));
    tell(visitor, names[2], histogram_quantile(histogram, 0.95));
    tell(visitor, names[3], histogram_quantile(histogram, 0.99));
    tell(visitor, names[4], histogram->count == 0 ? 0 : histogram->max);
}

static void tell_latencies(const struct visitor *visitor, const struct server_view *view)
{
    static const char *const get_names[5] = { "node_get_fsm_time_mean", "node_get_fsm_time_median",
                                              "node_get_fsm_time_95", "node_get_fsm_time_99",
                                              "node_get_fsm_time_100" };
    static const char *const put_names[5] = { "node_put_fsm_time_mean", "node_put_fsm_time_median",
                                              "node_put_fsm_time_95", "node_put_fsm_time_99",
                                              "node_put_fsm_time_100" };
    struct histogram get, put;
    sum_latencies(view, &get, &put);
    tell_latency(visitor, get_names, &get);
    tell_latency(visitor, put_names, &put);
}

/* Riak counts a delete as the put of a tombstone, and what a node asks of its own replicas as what
 * others ask of them. */
static void tell_operations(const struct visitor *visitor, const struct node_counters *now,
                            const struct node_counters *ago)
{
    uint64_t puts = now->puts + now->deletes, puts_ago = ago->puts + ago->deletes;
    uint64_t replica_gets = now->replica_gets + now->own_gets;
    uint64_t replica_gets_ago = ago->replica_gets + ago->own_gets;
    uint64_t replica_puts = now->replica_merges + now->own_puts;
    uint64_t replica_puts_ago = ago->replica_merges + ago->own_puts;
    tell(visitor, "node_gets_total", now->gets);
    tell(visitor, "node_gets", now->gets - ago->gets);
    tell(visitor, "node_puts_total", puts);
    tell(visitor, "node_puts", puts - puts_ago);
    tell(visitor, "vnode_gets_total", replica_gets);
    tell(visitor, "vnode_gets", replica_gets - replica_gets_ago);
    tell(visitor, "vnode_puts_total", replica_puts);
    tell(visitor, "vnode_puts", replica_puts - replica_puts_ago);
    tell(visitor, "read_repairs_total", now->read_repairs);
    tell(visitor, "read_repairs", now->read_repairs - ago->read_repairs);
    tell(visitor, "coord_redirs_total", now->forwards);
    tell(visitor, "node_get_fsm_errors_total", now->get_errors);
    tell(visitor, "node_get_fsm_errors", now->get_errors - ago->get_errors);
    tell(visitor, "node_get_fsm_rejected_total", now->overloaded);
    tell(visitor, "list_fsm_create_total", now->lists);
}

static void tell_own(const struct visitor *visitor, const struct node_counters *now)
{
#define X(name) tell(visitor, "kvorum_" #name, now->name);
    NODE_COUNTER_LIST(X)
#undef X
}

static void tell_system(const struct visitor *visitor)
{
    struct rusage usage;
    struct sysinfo system;
    if (sysinfo(&system) == 0) {
        uint64_t unit = system.mem_unit;
        tell(visitor, "mem_total", system.totalram * unit);
        tell(visitor, "mem_allocated", (system.totalram - system.freeram) * unit);
        tell(visitor, "cpu_nprocs", system.procs);
        tell(visitor, "cpu_avg1", system.loads[0] >> (SI_LOAD_SHIFT - 8)); /* as os_mon: x 256 */
        tell(visitor, "cpu_avg5", system.loads[1] >> (SI_LOAD_SHIFT - 8));
        tell(visitor, "cpu_avg15", system.loads[2] >> (SI_LOAD_SHIFT - 8));
    }
    tell(visitor, "sys_logical_processors", uv_available_parallelism());
    tell(visitor, "sys_wordsize", sizeof(void *));
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    tell(visitor, "kvorum_cpu_user_us",
         (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec);
    tell(visitor, "kvorum_cpu_system_us",
         (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec);
    tell(visitor, "kvorum_memory_peak", (uint64_t)usage.ru_maxrss * 1024);
}

/* Visitors keep names. */
static const struct {
    const char *tables, *size;
} level_names[ENGINE_LEVELS] = {
    { "kvorum_level0_tables", "kvorum_level0_size" },
    { "kvorum_level1_tables", "kvorum_level1_size" },
    { "kvorum_level2_tables", "kvorum_level2_size" },
    { "kvorum_level3_tables", "kvorum_level3_size" },
    { "kvorum_level4_tables", "kvorum_level4_size" },
    { "kvorum_level5_tables", "kvorum_level5_size" },
    { "kvorum_level6_tables", "kvorum_level6_size" },
};

static void tell_stores(const struct visitor *visitor, const struct snapshot_stores *stores)
{
    tell(visitor, "kvorum_keys", stores->live_entries);
    tell(visitor, "kvorum_store_memory", stores->memory_size);
    tell(visitor, "kvorum_store_disk", stores->disk_size);
    tell(visitor, "kvorum_syncs", stores->syncs);
    tell(visitor, "kvorum_synced_batches", stores->synced_batches);
    tell(visitor, "kvorum_log_size", stores->log_size);
    tell(visitor, "kvorum_cache_size", stores->cache_size);
    tell(visitor, "kvorum_cache_limit", stores->cache_limit);
    tell(visitor, "kvorum_cache_hits", stores->cache_hits);
    tell(visitor, "kvorum_cache_misses", stores->cache_misses);
    tell(visitor, "kvorum_table_memory", stores->table_memory_size);
    tell(visitor, "kvorum_flushes", stores->flushes);
    tell(visitor, "kvorum_flushed_size", stores->flushed_size);
    tell(visitor, "kvorum_compactions", stores->compactions);
    tell(visitor, "kvorum_compaction_read_size", stores->compaction_read_size);
    tell(visitor, "kvorum_compaction_written_size", stores->compaction_written_size);
    tell(visitor, "kvorum_read_compactions", stores->read_compactions);
    tell(visitor, "kvorum_slowdowns", stores->slowdowns);
    tell(visitor, "kvorum_stalls", stores->stalls);
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        tell(visitor, level_names[i].tables, stores->level_tables[i]);
        tell(visitor, level_names[i].size, stores->level_size[i]);
    }
}

static void tell_process(const struct visitor *visitor, const struct server_view *view)
{
    const struct server *server = view->server;
    struct snapshot_stores stores = sum_stores(view);
    tell(visitor, "ring_num_partitions", server->epoch.partition_count);
    tell(visitor, "ring_creation_size", server->epoch.partition_count);
    tell(visitor, "kvorum_members", atomic_load(&server->member_count));
    tell(visitor, "kvorum_epoch", atomic_load(&server->epoch_number));
    tell(visitor, "kvorum_uptime_s", uptime_s(view));
    tell(visitor, "kvorum_clients", atomic_load(&server->client_count));
    tell(visitor, "kvorum_clients_refused", atomic_load(&server->clients_refused));
    tell(visitor, "kvorum_clients_slow", atomic_load(&server->clients_slow));
    tell_stores(visitor, &stores);
    tell(visitor, "kvorum_datagrams_refused", atomic_load(&server->datagrams.refused));
    tell(visitor, "kvorum_disk_full", atomic_load(&server->disk_full));
}

void server_stats(const struct server_view *view,
                  void (*visit)(void *context, const char *name, uint64_t value), void *context)
{
    const struct visitor visitor = { visit, context };
    struct node_counters now, ago;
    sum_counters(view, &now, &ago);
    tell_operations(&visitor, &now, &ago);
    tell_latencies(&visitor, view);
    tell_process(&visitor, view);
    tell_system(&visitor);
    tell_own(&visitor, &now);
    tell(&visitor, "kvorum_scrub_last_pass", scrub_view_last_s(view));
}

/* --- status --------------------------------------------------------------------------------- */

static const char *const membership_names[] = { "active", "joining", "leaving", "gone" };
static const char *const state_names[] = { "unknown", "alive", "suspect", "dead" };

static uint32_t held_by(const struct epoch *epoch, uint16_t member)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    uint32_t held = 0;
    for (size_t i = 0; i < places; i++)
        held += epoch->table[i] == member;
    return held;
}

/* What this node holds for the member: all shards together. */
static json_t *json_hints(const struct server *server, struct node *node, uint16_t member)
{
    const struct server_view *view = &server->view;
    struct node_hints sums = { 0 };
    for (uint16_t i = 0; i < view->reactor_count; i++)
        snapshot_hints(&view->reactors[i]->snapshot, member, &sums);
    uint64_t now_ms = node_wall_ms(node);
    uint64_t age_ms = sums.oldest_ms != 0 && now_ms > sums.oldest_ms ? now_ms - sums.oldest_ms : 0;
    return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)sums.count, "size",
                     (json_int_t)sums.size, "oldest_s", (json_int_t)(age_ms / 1000), "marks",
                     (json_int_t)sums.marks);
}

static json_t *json_member(const struct server *server, struct node *node, uint16_t index)
{
    const struct epoch *epoch = node_epoch(node);
    const struct member *member = &epoch->members[index];
    bool self = index == server->self, left = node_left_epoch(node) != 0;
    enum liveness_state state = self   ? LIVENESS_ALIVE
                                : left ? LIVENESS_UNKNOWN /* it does not look any more */
                                       : node_liveness(node, index);
    uint64_t since_s =
        self ? uptime_s(&server->view) : node_liveness_since_us(node, index) / 1000000;
    return json_pack("{s:s, s:o, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:b, s:o}", "name",
                     member->name, "id", view_json_id(&member->id), "zone", member->zone, "weight",
                     (json_int_t)member->weight, "address", member->address, "membership",
                     membership_names[self && left ? MEMBER_GONE : member->state], "state",
                     state_names[state], "since_s", (json_int_t)since_s, "partitions",
                     (json_int_t)held_by(epoch, index), "self", self, "hints",
                     json_hints(server, node, index));
}

static json_t *json_members(const struct server *server, struct node *node)
{
    json_t *members = json_array();
    const struct epoch *epoch = node_epoch(node);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE)
            json_array_append_new(members, json_member(server, node, i));
    return members;
}

/* What is left now: over all partitions, how many owners more than a majority are alive. */
struct margin {
    int worst;
    uint32_t unavailable; /* partitions without a majority */
    unsigned down;        /* members that are not alive */
};

static struct margin find_margin(const struct server *server, struct node *node, uint8_t n)
{
    const struct epoch *epoch = node_epoch(node);
    struct margin margin = { .worst = RING_REPLICAS_MAX };
    bool alive[RING_MEMBERS_MAX];
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        alive[i] = i == server->self || node_liveness(node, i) == LIVENESS_ALIVE;
        margin.down += !alive[i] && epoch->members[i].state != MEMBER_GONE;
    }
    for (uint32_t partition = 0; partition < epoch->partition_count; partition++) {
        uint16_t owners[RING_OWNERS_MAX];
        uint8_t limit = ring_owner_limit(epoch, partition);
        uint16_t count = ring_preference(epoch, partition, owners, n < limit ? n : limit);
        int left = -(count / 2 + 1);
        for (uint16_t i = 0; i < count; i++)
            left += alive[owners[i]];
        margin.unavailable += left < 0;
        margin.worst = left < margin.worst ? left : margin.worst;
    }
    return margin;
}

static const char *plural(unsigned count)
{
    return count == 1 ? "" : "s";
}

/* The sentence of `kvorum status`, computed, never a fixed text. */
static json_t *json_sentence(const struct epoch *epoch, const struct margin *margin, uint16_t nodes)
{
    uint16_t present = ring_present_count(epoch);
    char text[320], down[64] = "every node is up";
    if (margin->down > 0)
        snprintf(down, sizeof(down), "%u of %u nodes %s down", margin->down, present,
                 margin->down == 1 ? "is" : "are");
    if (margin->unavailable > 0)
        snprintf(text, sizeof(text),
                 "%s: %u of %u partitions have no majority of their owners, so quorum requests for "
                 "their keys fail",
                 down, margin->unavailable, epoch->partition_count);
    else if (margin->worst > 0)
        snprintf(text, sizeof(text),
                 "%s: any %d more node%s may fail and every key keeps a "
                 "majority of its replicas",
                 down, margin->worst, plural((unsigned)margin->worst));
    else if (nodes == 0)
        snprintf(text, sizeof(text), "%s, and with %u node%s no failure is survived", down, present,
                 plural(present));
    else
        snprintf(text, sizeof(text),
                 "%s: everything is available, but one more failure would leave "
                 "some keys without a majority",
                 down);
    return json_string(text);
}

static json_t *json_listeners(const struct server_view *view)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "http", view->http, "resp", view->resp, "peer",
                     view->peer, "pb", view->pb);
}

/* What the epoch above says is how it was when this node was still a member. */
static void add_departure(json_t *status, struct node *node)
{
    json_object_set_new(status, "left_epoch", json_integer((json_int_t)node_left_epoch(node)));
    json_object_set_new(status, "survives_more", json_integer(-1));
    json_object_set_new(status, "survives_text", json_string(kvorum_status_text(KVORUM_GONE)));
    json_object_set_new(status, "unavailable_partitions",
                        json_integer(node_epoch(node)->partition_count));
}

static void add_ring(json_t *status, const struct server *server, struct node *node)
{
    const struct epoch *epoch = node_epoch(node);
    uint8_t n = server->view.n;
    uint16_t owners = ring_owner_count(epoch);
    uint16_t nodes, zones;
    ring_survives(epoch, n, &nodes, &zones);
    struct margin margin = find_margin(server, node, n);
    json_object_set_new(status, "cluster", view_json_id(&epoch->cluster));
    json_object_set_new(status, "epoch", json_integer((json_int_t)epoch->number));
    json_object_set_new(status, "partitions", json_integer(epoch->partition_count));
    json_object_set_new(status, "replicas", json_integer(n < owners ? n : owners));
    json_object_set_new(status, "imbalance", json_real(ring_imbalance(epoch)));
    json_object_set_new(status, "survives",
                        json_pack("{s:i, s:i}", "nodes", (int)nodes, "zones", (int)zones));
    json_object_set_new(status, "survives_more", json_integer(margin.worst));
    json_object_set_new(status, "survives_text", json_sentence(epoch, &margin, nodes));
    json_object_set_new(status, "unavailable_partitions", json_integer(margin.unavailable));
    if (node_left_epoch(node) != 0)
        add_departure(status, node);
}

static void add_process(json_t *status, const struct server_view *view)
{
    json_object_set_new(status, "node", json_string(view->name));
    json_object_set_new(status, "version", json_string(view->version));
    json_object_set_new(status, "uptime_s", json_integer((json_int_t)uptime_s(view)));
    json_object_set_new(status, "reactors", json_integer(view->reactor_count));
    json_object_set_new(status, "stores", json_integer(view->store_count));
    json_object_set_new(status, "engine", json_string(view->engine));
    json_object_set_new(status, "sync", json_string(view->sync));
    json_object_set_new(status, "listeners", json_listeners(view));
}

/* Down to the lowest that holds anything. */
static json_t *json_levels(const struct snapshot_stores *stores)
{
    json_t *levels = json_array();
    int count = ENGINE_LEVELS;
    while (count > 0 && stores->level_tables[count - 1] == 0)
        count--;
    for (int i = 0; i < count; i++)
        json_array_append_new(levels,
                              json_pack("{s:I, s:I}", "tables", (json_int_t)stores->level_tables[i],
                                        "size", (json_int_t)stores->level_size[i]));
    return levels;
}

static void add_stores(json_t *status, const struct server_view *view)
{
    struct snapshot_stores stores = sum_stores(view);
    json_object_set_new(status, "memory", json_integer((json_int_t)stores.memory_size));
    json_object_set_new(status, "disk_size", json_integer((json_int_t)stores.disk_size));
    json_object_set_new(status, "keys", json_integer((json_int_t)stores.live_entries));
    json_object_set_new(status, "levels", json_levels(&stores));
    json_object_set_new(status, "cache",
                        json_pack("{s:I, s:I, s:I, s:I}", "size", (json_int_t)stores.cache_size,
                                  "limit", (json_int_t)stores.cache_limit, "hits",
                                  (json_int_t)stores.cache_hits, "misses",
                                  (json_int_t)stores.cache_misses));
    json_object_set_new(status, "flushes", json_integer((json_int_t)stores.flushes));
    json_object_set_new(status, "compactions", json_integer((json_int_t)stores.compactions));
    json_object_set_new(status, "slowdowns", json_integer((json_int_t)stores.slowdowns));
    json_object_set_new(status, "stalls", json_integer((json_int_t)stores.stalls));
    json_object_set_new(status, "disk_full", json_boolean(atomic_load(&view->server->disk_full)));
}

static void add_gossip_and_scrub(json_t *status, const struct server_view *view)
{
    struct node_counters now, ago;
    sum_counters(view, &now, &ago);
    json_object_set_new(
        status, "gossip",
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "signed", view->server->key.size > 0, "health",
                  (json_int_t)now.gossip_health, "incarnation", (json_int_t)now.gossip_incarnation,
                  "refutations", (json_int_t)now.gossip_refutations, "own_pauses",
                  (json_int_t)now.gossip_own_pauses, "refused",
                  (json_int_t)atomic_load(&view->server->datagrams.refused)));
    json_object_set_new(status, "scrub", scrub_view_json(view, &now));
}

void server_status_json(const struct server_view *view, struct node *node, struct buffer *ret_json)
{
    json_t *status = json_object();
    add_ring(status, view->server, node);
    add_process(status, view);
    json_object_set_new(status, "nodes", json_members(view->server, node));
    add_gossip_and_scrub(status, view);
    add_stores(status, view);
    view_json_print(status, ret_json);
}
