/* SPDX-License-Identifier: Apache-2.0 */
/* How far something is that this node was asked for: counters of all its shards, by other names. */
#include "server/protocol/http/internal.h"

#include "server/view.h"

static void note_number(void *context, const char *name, uint64_t value)
{
    for (struct http_number *number = context; number->name != NULL; number++)
        if (strcmp(number->stat, name) == 0)
            number->value = value;
}

void http_answer_numbers(struct http *http, uint16_t status, struct http_number *numbers)
{
    const struct server_view *server = http->environment.server;
    struct buffer body;
    server_stats(server, note_number, numbers);
    buffer_init(&body, 1 << 12);
    buffer_printf(&body, "{\"node\":");
    http_json_string(&body, bytes_of_string(server->name));
    buffer_printf(&body, ",\"shards\":%u", server->reactor_count);
    for (const struct http_number *number = numbers; number->name != NULL; number++)
        buffer_printf(&body, ",\"%s\":%llu", number->name, (unsigned long long)number->value);
    buffer_append_text(&body, "}");
    http_json(http, status, &body);
}
