/* SPDX-License-Identifier: Apache-2.0 */
/* INFO, in Redis' form of `name:value` lines in sections.  Names of Redis where we have that very
 * number; everything this node counts is in the section Kvorum.  What we do not know is not
 * there. */
#include "server/protocol/resp/internal.h"

#include <inttypes.h>
#include <unistd.h>

enum { STATS_MAX = 192, REPLY_MAX = 64 * 1024 };

struct stat {
    const char *name;
    uint64_t value;
};

struct facts {
    const struct server_view *view;
    struct stat stats[STATS_MAX];
    uint32_t count;
};

static void keep(void *context, const char *name, uint64_t value)
{
    struct facts *facts = context;
    if (facts->count < STATS_MAX)
        facts->stats[facts->count++] = (struct stat){ name, value };
}

static uint64_t stat_of(const struct facts *facts, const char *name)
{
    for (uint32_t i = 0; i < facts->count; i++)
        if (strcmp(facts->stats[i].name, name) == 0)
            return facts->stats[i].value;
    return 0;
}

static void line(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, "%s:%s\r\n", name, value);
}

static void number(struct buffer *out, const char *name, uint64_t value)
{
    buffer_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

/* --- sections --------------------------------------------------------------------------------- */

static void server(const struct facts *facts, struct buffer *out)
{
    const struct server_view *view = facts->view;
    const char *colon = strrchr(view->resp, ':');
    line(out, "redis_version", "7.0.0"); /* whose ways clients may expect of the commands we have */
    line(out, "redis_mode", "standalone");
    line(out, "kvorum_version", view->version);
    line(out, "node_name", view->name);
    number(out, "process_id", (uint64_t)getpid());
    line(out, "tcp_port", colon == NULL ? "0" : colon + 1);
    number(out, "uptime_in_seconds", stat_of(facts, "kvorum_uptime_s"));
    number(out, "uptime_in_days", stat_of(facts, "kvorum_uptime_s") / 86400);
    number(out, "io_threads_active", view->reactor_count > 1);
}

static void clients(const struct facts *facts, struct buffer *out)
{
    number(out, "connected_clients", stat_of(facts, "kvorum_clients"));
    number(out, "rejected_connections", stat_of(facts, "kvorum_clients_refused"));
}

static void memory(const struct facts *facts, struct buffer *out)
{
    number(out, "used_memory_dataset", stat_of(facts, "kvorum_store_memory"));
    number(out, "used_memory_peak", stat_of(facts, "kvorum_memory_peak"));
    number(out, "total_system_memory", stat_of(facts, "mem_total"));
    line(out, "maxmemory_policy", "noeviction");
}

static void persistence(const struct facts *facts, struct buffer *out)
{
    line(out, "loading", "0");
    line(out, "aof_enabled", strcmp(facts->view->engine, "memory") == 0 ? "0" : "1");
    line(out, "storage_engine", facts->view->engine);
    line(out, "storage_sync", facts->view->sync);
}

static void stats(const struct facts *facts, struct buffer *out)
{
    uint64_t gets = stat_of(facts, "kvorum_gets"), misses = stat_of(facts, "kvorum_get_not_found");
    uint64_t others = misses + stat_of(facts, "kvorum_get_errors");
    number(out, "keyspace_hits", gets > others ? gets - others : 0);
    number(out, "keyspace_misses", misses);
}

static void replication(const struct facts *facts, struct buffer *out)
{
    (void)facts;
    line(out, "role", "master"); /* every node takes every write */
}

static void cluster(const struct facts *facts, struct buffer *out)
{
    line(out, "cluster_enabled", "0"); /* no slots: any node serves any key */
    number(out, "cluster_members", stat_of(facts, "kvorum_members"));
    number(out, "cluster_epoch", stat_of(facts, "kvorum_epoch"));
}

static void kvorum(const struct facts *facts, struct buffer *out)
{
    for (uint32_t i = 0; i < facts->count; i++)
        number(out, facts->stats[i].name, facts->stats[i].value);
}

static const struct {
    const char *title;
    void (*write)(const struct facts *facts, struct buffer *out);
} sections[] = {
    { "Server", server },           { "Clients", clients }, { "Memory", memory },
    { "Persistence", persistence }, { "Stats", stats },     { "Replication", replication },
    { "Cluster", cluster },         { "Kvorum", kvorum },
};

static bool is_asked(const struct resp_call *call, const char *title)
{
    bool asked = call->count == 1;
    for (uint32_t i = 1; i < call->count; i++) {
        struct bytes word = resp_call_argument(call, i);
        asked |= resp_is(word, title) || resp_is(word, "all") || resp_is(word, "everything") ||
                 resp_is(word, "default");
    }
    return asked;
}

void resp_run_info(struct resp_call *call)
{
    struct facts facts = { .view = call->connection->environment->server };
    struct buffer text;
    buffer_init(&text, REPLY_MAX);
    server_stats(facts.view, keep, &facts);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!is_asked(call, sections[i].title))
            continue;
        buffer_printf(&text, "%s# %s\r\n", text.size == 0 ? "" : "\r\n", sections[i].title);
        sections[i].write(&facts, &text);
    }
    if (text.failed)
        resp_write_error(call->out, "OOM", "out of memory");
    else
        resp_write_bulk(call->out, buffer_bytes(&text));
    buffer_done(&text);
}
