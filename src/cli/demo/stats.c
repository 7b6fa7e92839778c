/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/stats.h"

#include <stdio.h>
#include <string.h>

#include "cli/http_client.h"
#include "cli/interrupt.h"
#include "cli/status_text.h"

enum { SNAPSHOT_MS = 600, SETTLE_MS = 100, SETTLE_ROUNDS = 30 };

uint64_t stats_keys(const struct demo_cluster *cluster, unsigned node)
{
    interrupt_sleep_ms(SNAPSHOT_MS);
    json_t *status = demo_fetch_status(cluster, node, demo_patience(2000));
    uint64_t keys = status == NULL ? 0 : status_number(status, "keys");
    json_decref(status);
    return keys;
}

static void add_node(const struct demo_cluster *cluster, unsigned node,
                     struct repair_counters *counters)
{
    struct endpoint endpoint;
    struct http_client client;
    struct http_request request = { .method = "GET", .path = BYTES_LITERAL("/stats") };
    demo_endpoint(cluster, node, DEMO_HTTP, &endpoint);
    http_client_init(&client, &endpoint, 16 << 20);
    if (http_client_call(&client, &request) == KVORUM_OK && client.response.code == 200) {
        json_error_t error;
        json_t *stats = json_loadb((const char *)client.response.body.data,
                                   client.response.body.size, 0, &error);
        counters->read_repairs += status_number(stats, "kvorum_read_repairs");
        counters->hints_delivered += status_number(stats, "kvorum_hints_delivered");
        json_decref(stats);
    }
    http_client_done(&client);
}

void stats_repairs(const struct demo_cluster *cluster, struct repair_counters *ret_counters)
{
    *ret_counters = (struct repair_counters){ 0 };
    for (unsigned node = 1; node <= cluster->node_count; node++) {
        if (demo_state(cluster, node) == PROCESS_RUNNING)
            add_node(cluster, node, ret_counters);
    }
}

void stats_settle(const struct demo_cluster *cluster, struct repair_counters *ret_counters)
{
    struct repair_counters before;
    stats_repairs(cluster, ret_counters);
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        before = *ret_counters;
        interrupt_sleep_ms(SETTLE_MS);
        stats_repairs(cluster, ret_counters);
        if (memcmp(&before, ret_counters, sizeof(before)) == 0)
            return;
    }
}
