/* SPDX-License-Identifier: Apache-2.0 */
/* /kvorum/repair: ask this node to compare what it holds with every other owner, and see how far it
 * is. */
#include "server/protocol/http/internal.h"

#include "server/view.h"

struct repair_numbers {
    const char *name, *stat;
    uint64_t value;
};

static void note_number(void *context, const char *name, uint64_t value)
{
    for (struct repair_numbers *number = context; number->name != NULL; number++)
        if (strcmp(number->stat, name) == 0)
            number->value = value;
}

/* `demands` counts on every shard: when it has grown by `shards`, all of them have begun. */
static void answer_progress(struct http *http, uint16_t status)
{
    struct repair_numbers numbers[] = {
        { "demands", "kvorum_repair_demands", 0 },
        { "pairs", "kvorum_repair_demand_total", 0 },
        { "done", "kvorum_repair_demand_done", 0 },
        { "failed", "kvorum_repair_demand_failed", 0 },
        { "keys_compared", "kvorum_repair_keys_compared", 0 },
        { "keys_differing", "kvorum_repair_keys_differing", 0 },
        { "fetched", "kvorum_repair_fetched", 0 },
        { "pushed", "kvorum_repair_pushed", 0 },
        { "bytes_out", "kvorum_repair_bytes_out", 0 },
        { "bytes_in", "kvorum_repair_bytes_in", 0 },
        { NULL, NULL, 0 },
    };
    const struct server_view *server = http->environment.server;
    struct buffer body;
    server_stats(server, note_number, numbers);
    buffer_init(&body, 1 << 12);
    buffer_printf(&body, "{\"node\":");
    http_json_string(&body, bytes_of_string(server->name));
    buffer_printf(&body, ",\"shards\":%u", server->reactor_count);
    for (const struct repair_numbers *number = numbers; number->name != NULL; number++)
        buffer_printf(&body, ",\"%s\":%llu", number->name, (unsigned long long)number->value);
    buffer_append_text(&body, "}");
    http_begin(http, status);
    http_add(http, "Content-Type", "application/json");
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

void http_get_repair(struct http *http)
{
    answer_progress(http, 200);
}

void http_post_repair(struct http *http)
{
    struct bytes type = { 0 }, bucket = { 0 };
    (void)http_query(http, "type", &type);
    (void)http_query(http, "bucket", &bucket);
    if (type.size > NODE_TYPE_SIZE_MAX || bucket.size > NODE_BUCKET_SIZE_MAX) {
        http_text(http, 400, "bucket or type: longer than %d or %d bytes\n", NODE_BUCKET_SIZE_MAX,
                  NODE_TYPE_SIZE_MAX);
        return;
    }
    node_repair(http->environment.node, type, bucket);
    answer_progress(http, 202);
}
