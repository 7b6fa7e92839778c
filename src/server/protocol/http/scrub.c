/* SPDX-License-Identifier: Apache-2.0 */
/* /kvorum/scrub: ask this node to read all its files and check them, and see how far it is. */
#include "server/protocol/http/internal.h"

/* `demands` counts on every shard: when it has grown by `shards`, all of them have begun. */
static void answer_progress(struct http *http, uint16_t status)
{
    struct http_number numbers[] = {
        { "demands", "kvorum_scrub_demands", 0 },   { "running", "kvorum_scrub_running", 0 },
        { "read", "kvorum_scrub_pass_size", 0 },    { "total", "kvorum_scrub_pass_total", 0 },
        { "blocks", "kvorum_scrub_blocks", 0 },     { "damaged", "kvorum_scrub_damaged", 0 },
        { "mended", "kvorum_scrub_mended", 0 },     { "in_doubt", "kvorum_scrub_losses", 0 },
        { "refilled", "kvorum_scrub_refilled", 0 }, { "lost", "kvorum_scrub_lost", 0 },
        { "accepted", "kvorum_scrub_accepted", 0 }, { NULL, NULL, 0 },
    };
    http_answer_numbers(http, status, numbers);
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

/* What nobody else can have, and reads refuse. */
void http_post_scrub_accept(struct http *http)
{
    node_scrub_accept(http->environment.node);
    answer_progress(http, 202);
}
