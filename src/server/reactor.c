/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reactor.h"

#include "os/jobs_thread.h"
#include "server/internal.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    ROUNDS_MAX = 16, /* of one iteration's end; then the loop polls again */
    MAILBOX_LIMIT = 64 << 20,
    JOB_THREADS_MAX = 12,
    DRAIN_MS = 5000,
    DRAIN_INTERVAL_MS = 5,
    SLOW_PUBLISH_SWEEPS = 2,
    GROUP_ENOUGH = 64, /* requests; a sync for as many is well used */
    ROUNDS_HELD_MAX = 128,
    QUIET_ROUNDS = 16,
};

static void wake(void *context)
{
    struct reactor *reactor = context;
    uv_async_send(&reactor->wake);
}

const struct epoch *reactor_epoch(const struct reactor *reactor)
{
    return reactor->node != NULL ? node_epoch(reactor->node) : &reactor->server->epoch;
}

/* --- outgoing mail -------------------------------------------------------------------------- */

void reactor_mail(struct reactor *from, uint16_t to, const struct mail *mail)
{
    mail_append(&from->outboxes[to], mail);
}

void reactor_mail_all(struct reactor *from, const struct mail *mail)
{
    for (uint16_t i = 0; i < from->server->reactor_count; i++)
        reactor_mail(from, i, mail);
}

static void send_outboxes(struct reactor *reactor)
{
    struct server *server = reactor->server;
    for (uint16_t i = 0; i < server->reactor_count; i++) {
        struct buffer *outbox = &reactor->outboxes[i];
        if (outbox->size == 0)
            continue;
        mailbox_put(&server->reactors[i]->mailbox, buffer_bytes(outbox));
        buffer_reset(outbox);
    }
}

/* --- incoming mail -------------------------------------------------------------------------- */

static void start_draining(struct reactor *reactor);
static void leave(struct reactor *reactor);

static void tell_started(struct reactor *reactor, kvorum_status status)
{
    reactor->started = true;
    reactor_mail(reactor, 0,
                 &(struct mail){ .kind = MAIL_STARTED, .shard = reactor->index, .value = status });
}

static void start_shard(struct reactor *reactor)
{
    if (reactor->state != REACTOR_OPENING)
        return;
    kvorum_status status = stores_create_node(reactor);
    if (status != KVORUM_OK)
        tell_started(reactor, status);
}

static void deliver_message(struct reactor *reactor, const struct mail *mail)
{
    struct message message = mail_message(mail);
    struct net_address from = { reactor->server->self, mail->shard };
    if (reactor->node != NULL)
        node_receive(reactor->node, from, &message);
}

static void adopt_socket(struct reactor *reactor, const struct mail *mail)
{
    bool link = mail->kind == MAIL_LINK;
    if (link && reactor->node != NULL)
        peers_adopt(&reactor->peers, mail->descriptor, mail->member, mail->shard);
    else if (!link && reactor->state < REACTOR_DRAINING)
        connection_open(reactor, mail->descriptor, (enum connection_wire)mail->value);
    else
        close(mail->descriptor);
}

static void deliver(struct reactor *reactor, const struct mail *mail)
{
    switch ((enum mail_kind)mail->kind) {
    case MAIL_MESSAGE:
        deliver_message(reactor, mail);
        break;
    case MAIL_CONNECTION:
    case MAIL_LINK:
        adopt_socket(reactor, mail);
        break;
    case MAIL_OPEN:
        stores_open(reactor);
        break;
    case MAIL_OPENED:
        server_shard_opened(reactor->server, mail->shard, (kvorum_status)mail->value);
        break;
    case MAIL_START:
        start_shard(reactor);
        break;
    case MAIL_STARTED:
        server_shard_started(reactor->server, mail->shard, (kvorum_status)mail->value);
        break;
    case MAIL_SERVE:
        if (reactor->state == REACTOR_OPENING)
            reactor->state = REACTOR_SERVING;
        break;
    case MAIL_ADDRESSES:
        peers_follow(&reactor->peers);
        break;
    case MAIL_LIVENESS:
        if (reactor->node != NULL)
            node_set_liveness(reactor->node, mail->member, (enum liveness_state)mail->value);
        if (mail->value == LIVENESS_ALIVE)
            peers_greeted(&reactor->peers, mail->member);
        break;
    case MAIL_DRAIN:
        start_draining(reactor);
        break;
    case MAIL_DRAINED:
        server_shard_drained(reactor->server);
        break;
    case MAIL_CLOSE:
        leave(reactor);
        break;
    }
}

static void read_letters(struct reactor *reactor)
{
    mailbox_take(&reactor->mailbox, &reactor->letters);
    struct bytes rest = buffer_bytes(&reactor->letters);
    const struct mail *mail;
    while ((mail = mail_next(&rest)) != NULL)
        deliver(reactor, mail);
    buffer_reset(&reactor->letters);
}

static void on_wake(uv_async_t *handle)
{
    struct reactor *reactor = handle->data;
    held_clock_let_go(&reactor->clock);
    reactor->jobs_finished |= jobs_thread_drain(reactor->jobs, false) > 0;
    read_letters(reactor);
}

/* --- timers --------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
    struct reactor *reactor = timer->data;
    reactor->tick_at_us = UINT64_MAX;
    if (reactor->node != NULL)
        node_tick(reactor->node);
}

/* A deadline that moved away is left alone: the timer goes off for nothing, once. */
static void arm_tick(struct reactor *reactor)
{
    uint64_t deadline_us = node_next_deadline_us(reactor->node);
    if (deadline_us >= reactor->tick_at_us)
        return;
    uint64_t now_us = clock_monotonic_us(&reactor->clock.clock);
    uint64_t delay_ms = deadline_us <= now_us ? 0 : (deadline_us - now_us + 999) / 1000;
    reactor->tick_at_us = deadline_us;
    uv_timer_start(&reactor->tick, on_tick, delay_ms, 0);
}

static void on_sweep(uv_timer_t *timer)
{
    struct reactor *reactor = timer->data;
    connections_sweep(reactor);
    peers_sweep(&reactor->peers);
    if (reactor->node == NULL)
        return;
    stores_check(reactor);
    if (reactor->index == 0)
        auto_join_tick(reactor->server);
    if (++reactor->sweeps % SLOW_PUBLISH_SWEEPS == 0)
        snapshot_publish_slowly(&reactor->snapshot, reactor->node, reactor->stores,
                                reactor->server->store_count, reactor_now_ms(reactor));
}

/* --- the end of an iteration ---------------------------------------------------------------- */

/* Does it pay to let the group commit wait for one more poll?  A sync takes as long as dozens of
 * requests.  Those whose sync has just ended are about to write again, and would miss one that
 * starts now: the group would fall apart into halves that wait for each other. */
static bool group_grows(struct reactor *reactor)
{
    const struct node_counters *counters = node_counters(reactor->node);
    uint64_t writes = counters->puts + counters->deletes + counters->replica_merges;
    if (writes != reactor->writes_seen || reactor->jobs_finished)
        reactor->patience = QUIET_ROUNDS;
    reactor->writes_seen = writes;
    reactor->jobs_finished = false;
    bool grows = reactor->patience > 0 && reactor->server->config.sync == NODE_SYNC_ALWAYS &&
                 counters->requests_active < GROUP_ENOUGH && reactor->rounds_held < ROUNDS_HELD_MAX;
    reactor->rounds_held = grows ? reactor->rounds_held + 1 : 0;
    reactor->patience -= grows;
    return grows;
}

static void do_nothing(uv_idle_t *handle)
{
    (void)handle;
}

/* Resumed connections bring new requests, requests bring answers: go round until it is quiet, but
 * not for ever while others wait in the poll. */
static void on_prepare(uv_prepare_t *handle)
{
    struct reactor *reactor = handle->data;
    bool hold = reactor->node != NULL && group_grows(reactor);
    if (hold)
        uv_idle_start(&reactor->again, do_nothing);
    else
        uv_idle_stop(&reactor->again);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        held_clock_let_go(&reactor->clock);
        if (reactor->node != NULL && !hold)
            node_flush(reactor->node);
        connections_flush(reactor);
        if (list_empty(&reactor->dirty_connections))
            break;
    }
    peers_flush(&reactor->peers);
    if (!reactor->started && reactor->node != NULL &&
        (node_ready(reactor->node) || node_left_epoch(reactor->node) != 0))
        tell_started(reactor, KVORUM_OK); /* who is told early that it is no member says so too */
    send_outboxes(reactor);
    if (!list_empty(&reactor->dirty_connections))
        wake(reactor);
    if (reactor->node == NULL)
        return;
    arm_tick(reactor);
    snapshot_publish(&reactor->snapshot, reactor->node);
    held_clock_let_go(&reactor->clock); /* the poll may sleep */
}

/* --- stopping ------------------------------------------------------------------------------- */

static void on_drain(uv_timer_t *timer)
{
    struct reactor *reactor = timer->data;
    bool quiet = connections_drain(reactor);
    if (!quiet && reactor_now_ms(reactor) < reactor->drain_until_ms)
        return;
    uv_timer_stop(timer);
    reactor_mail(reactor, 0, &(struct mail){ .kind = MAIL_DRAINED, .shard = reactor->index });
}

static void start_draining(struct reactor *reactor)
{
    reactor->state = REACTOR_DRAINING;
    reactor->drain_until_ms = reactor_now_ms(reactor) + DRAIN_MS;
    uv_timer_start(&reactor->sweep, on_drain, 0, DRAIN_INTERVAL_MS);
}

static void leave(struct reactor *reactor)
{
    reactor->state = REACTOR_CLOSED;
    connections_close(reactor);
    stores_close(reactor);
    peers_close(&reactor->peers);
    reactor->jobs = jobs_thread_stop(reactor->jobs);
    mailbox_close(&reactor->mailbox);
    uv_close((uv_handle_t *)&reactor->wake, NULL);
    uv_close((uv_handle_t *)&reactor->tick, NULL);
    uv_close((uv_handle_t *)&reactor->sweep, NULL);
    uv_close((uv_handle_t *)&reactor->prepare, NULL);
    uv_close((uv_handle_t *)&reactor->again, NULL);
}

/* --- life ----------------------------------------------------------------------------------- */

/* A store may be flushing and compacting at once, and no group commit should wait for either. */
static unsigned job_threads(const struct server *server)
{
    unsigned threads = 3 * server->store_count / server->reactor_count;
    return threads < 3 ? 3 : threads > JOB_THREADS_MAX ? JOB_THREADS_MAX : threads;
}

static void init_handles(struct reactor *reactor)
{
    uv_prepare_init(&reactor->loop, &reactor->prepare);
    uv_idle_init(&reactor->loop, &reactor->again);
    uv_timer_init(&reactor->loop, &reactor->tick);
    uv_timer_init(&reactor->loop, &reactor->sweep);
    reactor->prepare.data = reactor->tick.data = reactor->sweep.data = reactor->wake.data = reactor;
    uv_prepare_start(&reactor->prepare, on_prepare);
    uv_timer_start(&reactor->sweep, on_sweep, REACTOR_SWEEP_MS, REACTOR_SWEEP_MS);
}

static void init_parts(struct reactor *reactor)
{
    struct server *server = reactor->server;
    held_clock_init(&reactor->clock);
    list_init(&reactor->connections);
    list_init(&reactor->dirty_connections);
    mailbox_init(&reactor->mailbox, MAILBOX_LIMIT, wake, reactor);
    buffer_init(&reactor->letters, SIZE_MAX / 2);
    for (unsigned i = 0; i < REACTORS_MAX; i++)
        buffer_init(&reactor->outboxes[i], SIZE_MAX / 2);
    peers_init(&reactor->peers, reactor);
    snapshot_init(&reactor->snapshot);
    reactor->environment = (struct protocol_environment){
        .log = server->log,
        .server = &server->view,
        .value_size_limit = server->config.value_size,
        .header_size_limit = (uint32_t)server->config.header_size,
    };
}

struct reactor *reactor_create(struct server *server, uint16_t index)
{
    struct reactor *reactor = calloc(1, sizeof(*reactor));
    if (reactor == NULL)
        return NULL;
    *reactor = (struct reactor){ .server = server, .index = index, .tick_at_us = UINT64_MAX };
    reactor->read_buffer = malloc(REACTOR_READ_SIZE);
    if (reactor->read_buffer == NULL || uv_loop_init(&reactor->loop) != 0)
        goto fail;
    if (uv_async_init(&reactor->loop, &reactor->wake, on_wake) != 0 ||
        jobs_thread_start(job_threads(server), wake, reactor, &reactor->jobs) != KVORUM_OK)
        goto fail; /* the process ends: the loop is not worth unwinding */
    init_handles(reactor);
    init_parts(reactor);
    return reactor;
fail:
    free(reactor->read_buffer);
    free(reactor);
    return NULL;
}

void reactor_run(struct reactor *reactor)
{
    reactor->thread = pthread_self();
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
}

static void close_left_sockets(struct reactor *reactor)
{
    mailbox_take(&reactor->mailbox, &reactor->letters);
    struct bytes rest = buffer_bytes(&reactor->letters);
    const struct mail *mail;
    while ((mail = mail_next(&rest)) != NULL) {
        if (mail->kind == MAIL_CONNECTION || mail->kind == MAIL_LINK)
            close(mail->descriptor);
    }
}

struct reactor *reactor_destroy(struct reactor *reactor)
{
    if (reactor == NULL)
        return NULL;
    close_left_sockets(reactor);
    uv_loop_close(&reactor->loop);
    mailbox_done(&reactor->mailbox);
    buffer_done(&reactor->letters);
    for (unsigned i = 0; i < REACTORS_MAX; i++)
        buffer_done(&reactor->outboxes[i]);
    peers_done(&reactor->peers);
    snapshot_done(&reactor->snapshot);
    free(reactor->read_buffer);
    free(reactor);
    return NULL;
}
