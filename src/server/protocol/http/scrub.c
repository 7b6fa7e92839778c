/* SPDX-License-Identifier: Apache-2.0 */
/* /kvorum/scrub: ask this node to read all its files and check them, and see how far it is. */
#include "server/protocol/http/internal.h"

#include "server/view.h"

struct scrub_number {
    const char *name, *stat;
    uint64_t value;
};

static void note_number(void *context, const char *name, uint64_t value)
{
    for (struct scrub_number *number = context; number->name != NULL; number++)
        if (strcmp(number->stat, name) == 0)
            number->value = value;
}

/* `demands` counts on every shard: when it has grown by `shards`, all of them have begun. */
static void answer_progress(struct http *http, uint16_t status)
{
    struct scrub_number numbers[] = {
        { "demands", "kvorum_scrub_demands", 0 },   { "running", "kvorum_scrub_running", 0 },
        { "read", "kvorum_scrub_pass_size", 0 },    { "total", "kvorum_scrub_pass_total", 0 },
        { "blocks", "kvorum_scrub_blocks", 0 },     { "damaged", "kvorum_scrub_damaged", 0 },
        { "mended", "kvorum_scrub_mended", 0 },     { "in_doubt", "kvorum_scrub_losses", 0 },
        { "refilled", "kvorum_scrub_refilled", 0 }, { NULL, NULL, 0 },
    };
    const struct server_view *server = http->environment.server;
    struct buffer body;
    server_stats(server, note_number, numbers);
    buffer_init(&body, 1 << 12);
    buffer_printf(&body, "{\"node\":");
    http_json_string(&body, bytes_of_string(server->name));
    buffer_printf(&body, ",\"shards\":%u", server->reactor_count);
    for (const struct scrub_number *number = numbers; number->name != NULL; number++)
        buffer_printf(&body, ",\"%s\":%llu", number->name, (unsigned long long)number->value);
    buffer_append_text(&body, "}");
    http_begin(http, status);
    http_add(http, "Content-Type", "application/json");
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

void http_get_scrub(struct http *http)
{
    answer_progress(http, 200);
}

void http_post_scrub(struct http *http)
{
    node_scrub(http->environment.node);
    answer_progress(http, 202);
}
