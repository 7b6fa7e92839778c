/* SPDX-License-Identifier: Apache-2.0 */
/** A reactor: one thread, one libuv loop, one shard of the node, its stores, clients and links.
 *
 *      poll      sockets are read, requests run, answers gather in output buffers;
 *                mail of other reactors and finished jobs (one uv_async for both)
 *      timers    node_tick, deadlines
 *      prepare   node_flush (group commit), outboxes to other reactors, every socket written once;
 *                then the loop sleeps
 *
 *  Reactor 0 runs on the main thread and also accepts, greets peers, founds, and handles signals.
 */
#ifndef SERVER_REACTOR_H
#define SERVER_REACTOR_H

#include <uv.h>

#include "base/list.h"
#include "os/clock.h"
#include "server/connection.h"
#include "server/mailbox.h"
#include "server/peers.h"
#include "server/protocol/protocol.h"
#include "server/snapshot.h"

enum { REACTOR_READ_SIZE = 256 * 1024, REACTOR_SWEEP_MS = 250, REACTORS_MAX = 64 };

struct server;

enum reactor_state {
    REACTOR_WAITING,
    /* no cluster view yet */ REACTOR_OPENING, /* its stores, its shard */
    REACTOR_SERVING,
    REACTOR_DRAINING, /* clients are being finished */
    REACTOR_CLOSED,
};

struct reactor {
    struct server *server;
    uint16_t index;
    enum reactor_state state;
    pthread_t thread;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t tick, sweep;
    uv_async_t wake;
    uv_idle_t again;     /* while it runs, the poll does not sleep */
    uint64_t tick_at_us; /* when `tick` is set to go off; UINT64_MAX: not set */

    uint64_t writes_seen; /* when it was last asked whether the group grows */
    unsigned rounds_held;
    int patience;
    bool jobs_finished; /* since then */

    /* For the shard: let go before the loop sleeps and before a socket's requests, so that what
     * came in one piece comes at one moment. */
    struct held_clock clock;
    struct node *node; /* while SERVING and DRAINING */
    struct jobs *jobs;
    struct engine *stores[NODE_STORES_MAX]; /* NULL: another reactor's */
    struct store_opening *opening;
    kvorum_status store_status;   /* of the worst store */
    uint64_t disk_errors_checked; /* counter when the stores were last asked */
    struct protocol_environment environment;

    uint8_t *read_buffer; /* REACTOR_READ_SIZE, shared by all sockets */
    struct list connections, dirty_connections;
    uint64_t drain_until_ms;
    unsigned sweeps;
    bool started; /* told reactor 0 that the shard takes operations */
    struct peers peers;
    struct mailbox mailbox;
    struct buffer letters; /* being read */
    struct buffer outboxes[REACTORS_MAX];
    struct snapshot snapshot;
};

/** Own: the caller ends it with reactor_destroy.  NULL: no memory, threads or descriptors. */
struct reactor *reactor_create(struct server *server, uint16_t index);
/** After its loop ended.  NULL is fine; always returns NULL. */
struct reactor *reactor_destroy(struct reactor *reactor);
/** Run until MAIL_CLOSE was handled.  Blocks. */
void reactor_run(struct reactor *reactor);

/** The epoch in force on this reactor.  Valid until the next event of its node. */
const struct epoch *reactor_epoch(const struct reactor *reactor);

/** Put a letter for `to` into the outbox; it leaves at the end of the iteration. */
void reactor_mail(struct reactor *from, uint16_t to, const struct mail *mail);
/** The same to every reactor, `from` too. */
void reactor_mail_all(struct reactor *from, const struct mail *mail);

/** Milliseconds, cached once an iteration. */
static inline uint64_t reactor_now_ms(const struct reactor *reactor)
{
    return uv_now(&reactor->loop);
}

#endif
