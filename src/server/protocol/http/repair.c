/* SPDX-License-Identifier: Apache-2.0 */
/* /kvorum/repair: ask this node to compare what it holds with every other owner, and see how far it
 * is. */
#include "server/protocol/http/internal.h"

/* `demands` counts on every shard: when it has grown by `shards`, all of them have begun. */
static void answer_progress(struct http *http, uint16_t status)
{
    struct http_number numbers[] = {
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
    http_answer_numbers(http, status, numbers);
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
