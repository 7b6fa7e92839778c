/* SPDX-License-Identifier: Apache-2.0 */
/* The server about itself. */
#include "server/protocol/http/internal.h"

#include "server/view.h"

struct resource {
    const char *rel, *path;
};

static const struct resource resources[] = {
    { "riak_kv_wm_buckets", "/buckets" },  { "riak_kv_wm_counter", "/buckets" },
    { "riak_kv_wm_crdt", "/types" },       { "riak_kv_wm_index", "/buckets" },
    { "riak_kv_wm_keylist", "/buckets" },  { "riak_kv_wm_link_walker", "/riak" },
    { "riak_kv_wm_mapred", "/mapred" },    { "riak_kv_wm_object", "/buckets" },
    { "riak_kv_wm_ping", "/ping" },        { "riak_kv_wm_props", "/buckets" },
    { "riak_kv_wm_stats", "/stats" },      { "riak_kv_wm_bucket_type", "/types" },
    { "kvorum_status", "/kvorum/status" },
};

enum { RESOURCES = sizeof(resources) / sizeof(resources[0]) };

static bool wants(const struct http *http, const char *type)
{
    struct bytes accept = http_header(http, "accept");
    return accept.size > 0 && memmem(accept.data, accept.size, type, strlen(type)) != NULL;
}

/* Clients build their addresses from this list, so the names are Riak's. */
void http_get_root(struct http *http)
{
    struct buffer body;
    bool json = wants(http, "application/json");
    buffer_init(&body, 1 << 16);
    buffer_append_text(&body, json ? "{" : "<html><body><ul>");
    for (size_t i = 0; i < RESOURCES; i++)
        if (json)
            buffer_printf(&body, "%s\"%s\":\"%s\"", i > 0 ? "," : "", resources[i].rel,
                          resources[i].path);
        else
            buffer_printf(&body, "<li><a href=\"%s\">%s</a></li>", resources[i].path,
                          resources[i].rel);
    buffer_append_text(&body, json ? "}" : "</ul></body></html>\n");
    http_begin(http, 200);
    buffer_append_text(&http->response, "Link: ");
    for (size_t i = 0; i < RESOURCES; i++)
        buffer_printf(&http->response, "%s<%s>; rel=\"%s\"", i > 0 ? ", " : "", resources[i].path,
                      resources[i].rel);
    buffer_append_text(&http->response, "\r\n");
    http_add(http, "Vary", "Accept");
    http_add(http, "Content-Type", json ? "application/json" : "text/html");
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

void http_get_ping(struct http *http)
{
    if (node_left_epoch(http->environment.node) != 0) {
        http_text(http, 503, "%s\n", kvorum_status_text(KVORUM_GONE));
        return;
    }
    http_begin(http, 200);
    http_add(http, "Content-Type", "text/html");
    http_end(http, BYTES_LITERAL("OK"));
}

struct stats_text {
    struct buffer *body;
    const char *separator, *format;
};

static void write_stat(void *context, const char *name, uint64_t value)
{
    struct stats_text *text = context;
    buffer_printf(text->body, "%s\"%s\":%llu", text->separator, name, (unsigned long long)value);
    text->separator = text->format;
}

void http_get_stats(struct http *http)
{
    const struct server_view *server = http->environment.server;
    bool plain = wants(http, "text/plain");
    struct buffer body;
    buffer_init(&body, 1 << 20);
    struct stats_text text = { &body, plain ? "{\n    " : "{", plain ? ",\n    " : "," };
    server_stats(server, write_stat, &text);
    buffer_printf(&body, "%s\"nodename\":\"%s\"%s\"storage_backend\":\"%s\"", text.separator,
                  server->name, text.format, server->engine);
    buffer_append_text(&body, plain ? "\n}\n" : "}");
    http_begin(http, 200);
    http_add(http, "Vary", "Accept");
    http_add(http, "Content-Type", plain ? "text/plain" : "application/json");
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

void http_get_status(struct http *http)
{
    struct buffer json;
    buffer_init(&json, 8 << 20);
    server_status_json(http->environment.server, http->environment.node, &json);
    http_json(http, 200, &json);
}

void http_not_there_yet(struct http *http)
{
    http_text(http, 501,
              "this resource is not there yet in kvorum %s; see docs/http.md for what "
              "is\n",
              KVORUM_VERSION);
}
