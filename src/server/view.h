/* SPDX-License-Identifier: Apache-2.0 */
/** What a protocol or an operator may see of the whole process: who it is, where it listens, and
 *  the sums of its shards.
 *
 *  Each reactor publishes its counters at the end of every loop iteration as relaxed atomics, and
 *  the heavier numbers (latencies, keys, memory) every half second under a mutex; readers never
 *  touch a node of another thread.  Thread: a reactor.  Blocks: never for long. */
#ifndef SERVER_VIEW_H
#define SERVER_VIEW_H

#include "node/node.h"

struct reactor;
struct server;

struct server_view {
    const char *name, *zone, *version;
    const char *data_dir;
    const char *engine, *sync;           /* "lsm", "always" */
    const char *http, *resp, *peer, *pb; /* "127.0.0.1:8098"; "" where nothing listens */
    uint64_t started_wall_ms;            /* when the process began */
    uint64_t started_monotonic_us;
    uint8_t n; /* of the default levels */
    uint16_t reactor_count, store_count;
    struct clock *clock;
    struct reactor *const *reactors;
    const struct server *server; /* for view.c */
};

/** Append the status document: one JSON object (see docs/operations/status.md).  `node` is the
 *  shard of the calling reactor. */
void server_status_json(const struct server_view *view, struct node *node, struct buffer *ret_json);

/** Call `visit` with every number: Riak's stat names where we have the number, `kvorum_*` for
 *  ours. */
void server_stats(const struct server_view *view,
                  void (*visit)(void *context, const char *name, uint64_t value), void *context);

#endif
