/* SPDX-License-Identifier: Apache-2.0 */
#include "server/auto_join.h"

#include <stdio.h>

#include "server/internal.h"

enum { PLAN_MEMORY_MAX = 256 << 20 };

static void on_committed(void *context, const struct answer *answer)
{
    struct server *server = context;
    server->auto_join.committing = false;
    if (answer->status == KVORUM_OK)
        log_info(server->log, "the join is committed: partitions move in",
                 LOG_TEXT("next", "kvorum tasks list"));
    else
        log_info(server->log, "the join could not be committed; it is tried again",
                 LOG_STATUS(answer->status), LOG_TEXT("reason", answer->reason));
}

static void commit(struct server *server, uint64_t number)
{
    const struct change_request request = { .kind = ASK_COMMIT, .expected = number };
    server->auto_join.committing = true;
    node_change_epoch(server->reactors[0]->node, &request, on_committed, server);
}

static void tell_once(struct server *server, const char *why)
{
    struct server_auto_join *join = &server->auto_join;
    char text[sizeof(join->told)];
    snprintf(text, sizeof(text), "%s", why);
    if (text[0] == '\0' || strcmp(text, join->told) == 0)
        return;
    memcpy(join->told, text, sizeof(text));
    log_warn(server->log, "this node does not commit its join now", LOG_TEXT("why", text));
}

void auto_join_tick(struct server *server)
{
    struct server_auto_join *join = &server->auto_join;
    struct node *node = server->reactors[0]->node;
    if (!server->config.auto_join || join->over || join->committing || !server->serving ||
        server->stopping || !node_serves(node))
        return;
    const struct epoch *epoch = node_epoch(node);
    const struct change_options options = node_change_options(node);
    struct arena arena;
    const char *why;
    arena_init(&arena, PLAN_MEMORY_MAX);
    uint64_t number = epoch->number, now_us = clock_monotonic_us(&server->clock.clock);
    enum auto_join_verdict verdict =
        auto_join_look(&join->look, epoch, node_self(node), &options, &arena, now_us, &why);
    if (verdict == AUTO_JOIN_WAIT)
        tell_once(server, why);
    arena_done(&arena);
    join->over = verdict == AUTO_JOIN_OVER;
    if (verdict == AUTO_JOIN_COMMIT)
        commit(server, number);
}
