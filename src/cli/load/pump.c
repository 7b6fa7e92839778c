/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/pump.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/load/link.h"
#include "cli/message.h"
#include "os/clock.h"

enum { IN_FLIGHT_SIZE_MAX = 64 << 20, READ_SIZE = 256 * 1024, TICK_US = 50000, RETRY_MS = 100 };

struct pump {
    const struct pump_config *config;
    struct pump_result *result;
    struct os_clock clock;
    uint64_t now_us, ticked_us;
    struct link *links;
    uint32_t link_count, turn; /* turn: the link that is filled first */
    struct pollfd *polls;
    uint8_t *room;
    struct map busy;       /* works taken from the source and not finished */
    size_t in_flight_size; /* their bytes */
    struct pump_work *free;
    struct pump_work *waiting; /* retried later, in any order */
    struct pump_work *held;    /* taken from the source, but its key is busy */
    bool source_ended, ever_connected, stopped;
    int failure_code; /* of the last work that was put aside, and why */
    char failure[256];
};

/* --- works ---------------------------------------------------------------------------------- */

static uint64_t key_of(const struct pump_work *work)
{
    return hash64(buffer_bytes(&work->key), 0);
}

static struct pump_work *new_work(struct pump *pump)
{
    struct pump_work *work = pump->free;
    if (work != NULL) {
        pump->free = work->following;
    } else {
        work = calloc(1, sizeof(*work));
        if (work == NULL)
            return NULL;
        buffer_init(&work->key, 1 << 20);
        buffer_init(&work->value, (size_t)1 << 30);
        buffer_init(&work->note, 1 << 20);
    }
    buffer_reset(&work->key);
    buffer_reset(&work->value);
    buffer_reset(&work->note);
    work->stage = work->attempts = 0;
    work->following = NULL;
    return work;
}

static void free_works(struct pump_work *work)
{
    while (work != NULL) {
        struct pump_work *following = work->following;
        buffer_done(&work->key);
        buffer_done(&work->value);
        buffer_done(&work->note);
        free(work);
        work = following;
    }
}

static void finish_work(struct pump *pump, struct pump_work *work)
{
    map_remove(&pump->busy, work->busy.key);
    pump->in_flight_size -= work->key.size + work->value.size;
    work->following = pump->free;
    pump->free = work;
}

static void stop(struct pump *pump, int exit_code, const char *reason)
{
    pump->stopped = true;
    pump->result->exit_code = exit_code;
    snprintf(pump->result->reason, sizeof(pump->result->reason), "%s", reason);
}

/* The run ends when a work has been tried for too long; also when there is no link left to try it
 * on. */
static void check_patience(struct pump *pump, const struct pump_work *work)
{
    uint64_t tried_us = pump->now_us - work->begin_us;
    if (pump->stopped || tried_us <= pump->config->retry_ms * 1000ull)
        return;
    char text[480];
    snprintf(text, sizeof(text), "'%.*s' was tried %u times in %u s: %s",
             work->key.size < 100 ? (int)work->key.size : 100, (const char *)work->key.data,
             work->attempts, (unsigned)(tried_us / 1000000), pump->failure);
    stop(pump, pump->failure_code, text);
}

/* Put aside for a while. */
static void retry_work(struct pump *pump, struct pump_work *work, int exit_code, const char *reason)
{
    pump->result->retries++;
    work->attempts++;
    work->due_us = pump->now_us + RETRY_MS * 1000ull * (work->attempts < 10 ? work->attempts : 10);
    work->following = pump->waiting;
    pump->waiting = work;
    if (pump->config->ops->again != NULL)
        pump->config->ops->again(pump->config->context, work);
    pump->failure_code = exit_code;
    snprintf(pump->failure, sizeof(pump->failure), "%s", reason);
    check_patience(pump, work);
}

static struct pump_work *take_waiting(struct pump *pump)
{
    for (struct pump_work **at = &pump->waiting; *at != NULL; at = &(*at)->following) {
        struct pump_work *work = *at;
        if (work->due_us <= pump->now_us) {
            *at = work->following;
            return work;
        }
    }
    return NULL;
}

static struct pump_work *take_source(struct pump *pump)
{
    struct pump_work *work = pump->held;
    if (work == NULL && !pump->source_ended) {
        work = new_work(pump);
        if (work == NULL) {
            stop(pump, EXIT_INTERNAL, "out of memory");
            return NULL;
        }
        if (pump->config->ops->next(pump->config->context, work) == PUMP_END) {
            pump->source_ended = true;
            work->following = pump->free;
            pump->free = work;
            return NULL;
        }
    }
    if (work == NULL)
        return NULL;
    pump->held = work;
    work->busy.key = key_of(work);
    if (map_find(&pump->busy, work->busy.key) != NULL)
        return NULL; /* its turn comes when the earlier one is done */
    if (!map_insert(&pump->busy, &work->busy, work->busy.key)) {
        stop(pump, EXIT_INTERNAL, "out of memory");
        return NULL;
    }
    pump->held = NULL;
    pump->in_flight_size += work->key.size + work->value.size;
    work->begin_us = pump->now_us;
    return work;
}

static struct pump_work *take_work(struct pump *pump)
{
    struct pump_work *work = take_waiting(pump);
    if (work != NULL || pump->in_flight_size > IN_FLIGHT_SIZE_MAX)
        return work;
    return take_source(pump);
}

/* --- links ---------------------------------------------------------------------------------- */

static void send_work(struct pump *pump, struct link *link, struct pump_work *work)
{
    link_push(link, work, pump->now_us);
    pump->config->ops->request(pump->config->context, work, link->node->text, &link->out);
    if (link->out.failed)
        stop(pump, EXIT_INTERNAL, "out of memory");
}

/* One request for each link in turn, so that all nodes are kept busy from the first record on. */
static void fill_links(struct pump *pump)
{
    uint32_t full = 0;
    while (full < pump->link_count && !pump->stopped) {
        struct link *link = &pump->links[pump->turn++ % pump->link_count];
        bool room = link->state == LINK_OPEN && link->count < pump->config->pipeline;
        struct pump_work *work = room ? take_work(pump) : NULL;
        if (room && work == NULL)
            return;
        full = room ? 0 : full + 1;
        if (room)
            send_work(pump, link, work);
    }
}

/* What the lost connection had under way is asked again, perhaps of another node: reads and whole
 * writes may be repeated. */
static void lose_link(struct pump *pump, struct link *link, int problem, const char *why)
{
    char reason[256];
    snprintf(reason, sizeof(reason), "%s: %s", link->node->text, why);
    link_close(link, pump->now_us, problem);
    pump->result->reconnects++;
    for (struct pump_work *work = link_pop(link); work != NULL; work = link_pop(link))
        retry_work(pump, work, EXIT_CONNECT, reason);
}

static void judge(struct pump *pump, struct link *link, struct pump_work *work)
{
    const struct http_response *response = &link->response;
    switch (pump->config->ops->response(pump->config->context, work, response)) {
    case PUMP_DONE:
        pump->result->done++;
        finish_work(pump, work);
        break;
    case PUMP_AGAIN:
        send_work(pump, link, work);
        break;
    case PUMP_REFUSED:
        pump->result->refused++;
        finish_work(pump, work);
        break;
    case PUMP_RETRY: {
        char reason[256];
        int size = response->body.size < 180 ? (int)response->body.size : 180;
        snprintf(reason, sizeof(reason), "HTTP %d from %s: %.*s", response->code, link->node->text,
                 size, (const char *)response->body.data);
        retry_work(pump, work, response->code == 503 ? EXIT_QUORUM : EXIT_INTERNAL, reason);
    }
    }
}

/* Every whole response in `input`.  False: the link was lost. */
static bool take_responses(struct pump *pump, struct link *link, struct bytes input)
{
    while (input.size > 0) {
        input = bytes_from(input, http_response_input(&link->response, input));
        if (link->response.state == HTTP_BAD) {
            lose_link(pump, link, EPROTO, link->response.problem);
            return false;
        }
        if (link->response.state != HTTP_COMPLETE)
            continue;
        struct pump_work *work = link_pop(link);
        if (work == NULL) {
            lose_link(pump, link, EPROTO, "an answer that nobody asked for");
            return false;
        }
        link->since_us = pump->now_us;
        judge(pump, link, work);
        bool keep = link->response.keep_alive;
        http_response_reset(&link->response, false);
        if (!keep) {
            lose_link(pump, link, 0, "closed by the node");
            return false;
        }
    }
    return true;
}

static void read_link(struct pump *pump, struct link *link)
{
    long size;
    do {
        size = link_read(link, pump->room, READ_SIZE);
        if (size == 0)
            return lose_link(pump, link, link->problem, errno_text(link->problem));
    } while (size > 0 && take_responses(pump, link, bytes_make(pump->room, (size_t)size)) &&
             size == READ_SIZE);
}

static bool anything_open(const struct pump *pump)
{
    for (uint32_t i = 0; i < pump->link_count; i++) {
        if (pump->links[i].state != LINK_CLOSED)
            return true;
    }
    return false;
}

/* Nobody was ever there: say so at once instead of retrying. */
static void check_reachable(struct pump *pump)
{
    if (pump->ever_connected || pump->stopped || anything_open(pump))
        return;
    char reason[320];
    const struct link *link = &pump->links[0];
    snprintf(reason, sizeof(reason), "no connection to %s%s: %s", link->node->text,
             pump->config->node_count > 1 ? " or any other node" : "", errno_text(link->problem));
    stop(pump, EXIT_CONNECT, reason);
}

static void connect_links(struct pump *pump)
{
    for (uint32_t i = 0; i < pump->link_count; i++) {
        struct link *link = &pump->links[i];
        if (link->state == LINK_CLOSED && link->due_us <= pump->now_us)
            link_connect(link, pump->now_us);
    }
    check_reachable(pump);
}

static void handle_events(struct pump *pump)
{
    for (uint32_t i = 0; i < pump->link_count; i++) {
        struct link *link = &pump->links[i];
        short events = pump->polls[i].revents;
        if (link->state == LINK_CONNECTING && events != 0) {
            link_connected(link, pump->now_us);
            pump->ever_connected |= link->state == LINK_OPEN;
        } else if (link->state == LINK_OPEN && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_link(pump, link);
        }
        bool waits = link->state == LINK_CONNECTING || link->count > 0;
        if (waits && pump->now_us - link->since_us > pump->config->timeout_ms * 1000ull)
            lose_link(pump, link, ETIMEDOUT, "no answer in time");
    }
    check_reachable(pump);
}

static void wait_for_events(struct pump *pump)
{
    for (uint32_t i = 0; i < pump->link_count; i++) {
        struct link *link = &pump->links[i];
        if (link->state == LINK_OPEN && !link_write(link))
            lose_link(pump, link, link->problem, errno_text(link->problem));
        bool writes = link->state == LINK_CONNECTING || link->sent < link->out.size;
        pump->polls[i] = (struct pollfd){ link->state == LINK_CLOSED ? -1 : link->descriptor,
                                          (short)(POLLIN | (writes ? POLLOUT : 0)), 0 };
    }
    poll(pump->polls, pump->link_count, 10);
    pump->now_us = clock_monotonic_us(&pump->clock.clock);
}

static bool finished(const struct pump *pump)
{
    return pump->stopped || (pump->source_ended && pump->held == NULL && pump->busy.count == 0);
}

static void tick(struct pump *pump)
{
    if (pump->now_us - pump->ticked_us < TICK_US)
        return;
    pump->ticked_us = pump->now_us;
    for (const struct pump_work *work = pump->waiting; work != NULL; work = work->following)
        check_patience(pump, work);
    if (!pump->config->ops->tick(pump->config->context) && !pump->stopped)
        stop(pump, EXIT_INTERNAL, "interrupted");
}

static void loop(struct pump *pump)
{
    while (!finished(pump)) {
        connect_links(pump);
        fill_links(pump);
        if (finished(pump))
            break;
        wait_for_events(pump);
        handle_events(pump);
        tick(pump);
    }
}

/* --- begin and end -------------------------------------------------------------------------- */

static bool begin(struct pump *pump)
{
    const struct pump_config *config = pump->config;
    const uint32_t node_count = config->node_count;
    for (uint32_t i = 0; i < node_count; i++) {
        if (!endpoint_resolve(&config->nodes[i])) {
            stop(pump, EXIT_CONNECT, "a node's address is not known");
            return false;
        }
    }
    uint32_t count = config->connections > node_count ? config->connections : node_count;
    assert(node_count > 0 && count > 0);
    pump->links = calloc(count, sizeof(struct link));
    pump->polls = calloc(count, sizeof(struct pollfd));
    pump->room = malloc(READ_SIZE);
    bool good = pump->links != NULL && pump->polls != NULL && pump->room != NULL;
    while (good && pump->link_count < count) {
        struct link *link = &pump->links[pump->link_count];
        good = link_init(link, &config->nodes[pump->link_count % node_count], config->pipeline,
                         config->body_size_max);
        pump->link_count++;
    }
    if (!good)
        stop(pump, EXIT_INTERNAL, "out of memory");
    return good;
}

static void end(struct pump *pump)
{
    for (uint32_t i = 0; i < pump->link_count; i++) {
        for (struct pump_work *work = link_pop(&pump->links[i]); work != NULL;
             work = link_pop(&pump->links[i])) {
            work->following = pump->free;
            pump->free = work;
        }
        link_done(&pump->links[i]);
    }
    free_works(pump->free);
    free_works(pump->waiting);
    if (pump->held != NULL)
        free_works(pump->held);
    map_done(&pump->busy);
    free(pump->links);
    free(pump->polls);
    free(pump->room);
}

void pump_run(const struct pump_config *config, struct pump_result *ret_result)
{
    assert(config->node_count > 0 && config->pipeline > 0);
    *ret_result = (struct pump_result){ 0 };
    struct pump pump = { .config = config, .result = ret_result };
    os_clock_init(&pump.clock);
    map_init(&pump.busy);
    pump.now_us = clock_monotonic_us(&pump.clock.clock);
    if (begin(&pump))
        loop(&pump);
    end(&pump);
}
