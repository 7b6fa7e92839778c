/* SPDX-License-Identifier: Apache-2.0 */
/* The routes, as a table.  In a pattern B and K are a bucket and a key, * is any one segment and
 * ** any number of them.  /types/T stands before any of the bucket routes; /riak is the old
 * form. */
#include "server/protocol/http/internal.h"

#include <stdio.h>

#define ON(method) (1u << HTTP_##method)

struct route {
    uint32_t methods;
    const char *pattern;
    void (*run)(struct http *http);
};

static const struct route routes[] = {
    { ON(GET) | ON(HEAD), "", http_get_root },
    { ON(GET) | ON(HEAD), "ping", http_get_ping },
    { ON(GET) | ON(HEAD), "stats", http_get_stats },
    { ON(GET) | ON(HEAD), "kvorum/status", http_get_status },
    { ON(GET) | ON(HEAD), "kvorum/cluster", http_get_cluster },
    { ON(GET) | ON(HEAD), "kvorum/cluster/plan", http_get_cluster_plan },
    { ON(POST), "kvorum/cluster/stage", http_post_cluster_stage },
    { ON(POST), "kvorum/cluster/clear", http_post_cluster_clear },
    { ON(POST), "kvorum/cluster/commit", http_post_cluster_commit },
    { ON(GET) | ON(HEAD), "kvorum/cluster/recover", http_get_cluster_recover },
    { ON(POST), "kvorum/cluster/recover", http_post_cluster_recover },
    { ON(GET) | ON(HEAD), "kvorum/repair", http_get_repair },
    { ON(POST), "kvorum/repair", http_post_repair },
    { ON(GET) | ON(HEAD), "kvorum/tasks", http_get_tasks },
    { ON(POST), "kvorum/tasks", http_post_tasks },
    { ON(GET) | ON(HEAD), "kvorum/scrub", http_get_scrub },
    { ON(POST), "kvorum/scrub", http_post_scrub },
    { ON(POST), "kvorum/scrub/accept", http_post_scrub_accept },
    { ON(GET) | ON(HEAD), "buckets", http_list_buckets },
    { ON(GET) | ON(HEAD), "buckets/B/keys", http_list_keys },
    { ON(POST), "buckets/B/keys", http_post_object },
    { ON(GET) | ON(HEAD), "buckets/B/keys/K", http_get_object },
    { ON(PUT), "buckets/B/keys/K", http_put_object },
    { ON(POST), "buckets/B/keys/K", http_post_object },
    { ON(DELETE), "buckets/B/keys/K", http_delete_object },
    { ON(GET) | ON(HEAD), "buckets/B/props", http_get_props },
    { ON(PUT), "buckets/B/props", http_put_props },
    { ON(DELETE), "buckets/B/props", http_reset_props },
    { ON(POST), "buckets/B/drop", http_post_drop },
    { ON(GET) | ON(HEAD), "riak", http_list_buckets },
    { ON(GET) | ON(HEAD), "riak/B", http_get_bucket_old },
    { ON(PUT), "riak/B", http_put_props },
    { ON(POST), "riak/B", http_post_object },
    { ON(GET) | ON(HEAD), "riak/B/K", http_get_object },
    { ON(PUT), "riak/B/K", http_put_object },
    { ON(POST), "riak/B/K", http_post_object },
    { ON(DELETE), "riak/B/K", http_delete_object },
    { ~0u, "mapred", http_not_there_yet },
    { ~0u, "buckets/B/index/**", http_not_there_yet },
    { ~0u, "buckets/B/counters/*", http_not_there_yet },
    { ~0u, "buckets/B/datatypes", http_not_there_yet },
    { ~0u, "buckets/B/datatypes/*", http_not_there_yet },
    { ~0u, "buckets/B/keys/K/**", http_not_there_yet },
    { ~0u, "riak/B/K/**", http_not_there_yet },
    { ~0u, "props", http_not_there_yet }, /* of a bucket type */
};

static bool take_pattern_part(const char **pattern, char part[32])
{
    size_t size = strcspn(*pattern, "/");
    if (**pattern == 0)
        return false;
    snprintf(part, 32, "%.*s", (int)size, *pattern);
    *pattern += size + ((*pattern)[size] == '/');
    return true;
}

static bool matches(struct http *http, const char *pattern, uint32_t first)
{
    struct http_request *request = &http->request;
    uint32_t at = first;
    char part[32];
    request->bucket = request->key = (struct bytes){ 0 };
    while (take_pattern_part(&pattern, part)) {
        if (strcmp(part, "**") == 0)
            return at < request->segment_count;
        if (at >= request->segment_count)
            return false;
        struct bytes segment = request->segments[at++];
        if (strcmp(part, "B") == 0)
            request->bucket = segment;
        else if (strcmp(part, "K") == 0)
            request->key = segment;
        else if (strcmp(part, "*") != 0 && !bytes_is_text(segment, part))
            return false;
    }
    return at == request->segment_count;
}

static void refuse_method(struct http *http, uint32_t methods)
{
    static const struct {
        uint32_t method;
        const char *name;
    } names[] = { { ON(GET), "GET" },
                  { ON(HEAD), "HEAD" },
                  { ON(PUT), "PUT" },
                  { ON(POST), "POST" },
                  { ON(DELETE), "DELETE" } };
    char allowed[64] = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (methods & names[i].method) {
            size_t used = strlen(allowed);
            snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used > 0 ? ", " : "",
                     names[i].name);
        }
    http_begin(http, 405);
    http_add(http, "Allow", allowed);
    http_end_text(http, "method not allowed here\n");
}

/* /types/T/...: the first segment of what follows, or 0 when the answer has been given. */
static bool skip_type(struct http *http, uint32_t *ret_first)
{
    struct http_request *request = &http->request;
    *ret_first = 0;
    if (request->segment_count < 2 || !bytes_is_text(request->segments[0], "types"))
        return true;
    request->type = request->segments[1];
    *ret_first = 2;
    if (bytes_is_text(request->type, "default"))
        return true;
    http_text(http, 404, "Unknown bucket type: %.*s\n", (int)request->type.size,
              (const char *)request->type.data);
    return false;
}

void http_route(struct http *http)
{
    uint32_t methods = 0, first;
    uint32_t own = http->request.method < 32 ? 1u << http->request.method : 0;
    if (!skip_type(http, &first))
        return;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!matches(http, routes[i].pattern, first))
            continue;
        methods |= routes[i].methods;
        if (routes[i].methods & own) {
            routes[i].run(http);
            return;
        }
    }
    if (methods != 0)
        refuse_method(http, methods);
    else
        http_text(http, 404,
                  "no such resource; GET / lists them, an object is "
                  "/buckets/BUCKET/keys/KEY\n");
}
