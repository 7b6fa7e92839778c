/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/generator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli/message.h"
#include "os/clock.h"

enum {
    INPUT_SIZE_MIN = 64 * 1024,
    INPUT_SIZE_MAX = 128 << 20,
    EVENTS = 256,
    RECONNECT_US = 100000,
    GIVE_UP_US = 10000000, /* without any reply */
    KEY_SIZE = 16,
};

struct sent {
    uint64_t at_us;
    bool is_set;
};

struct client {
    int descriptor; /* -1: not connected */
    bool connected, wants_write;
    const struct endpoint *node;
    uint64_t due_us; /* when not connected */
    struct buffer out, in;
    size_t out_sent;
    struct http_response response;
    struct sent *sent; /* ring of `pipeline` */
    uint32_t first, count;
};

struct run {
    struct generator *generator;
    const struct generator_settings *settings;
    struct os_clock clock;
    struct client *clients;
    struct buffer value;
    int poller;
    uint64_t now_us, answered_us, issued;
    bool ever_connected;
};

static uint64_t now(struct run *run)
{
    return clock_monotonic_us(&run->clock.clock);
}

static bool may_issue(const struct run *run)
{
    const struct generator *generator = run->generator;
    uint64_t deadline_us = run->settings->deadline_us;
    return run->issued < generator->requests && !atomic_load(&run->generator->stop) &&
           (deadline_us == 0 || run->now_us < deadline_us);
}

/* --- connections ----------------------------------------------------------------------------- */

static void watch(struct run *run, struct client *client, int operation)
{
    struct epoll_event event = {
        .events = EPOLLIN | (client->wants_write ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = client,
    };
    epoll_ctl(run->poller, operation, client->descriptor, &event);
}

static void lose(struct run *run, struct client *client, int problem)
{
    struct generator *generator = run->generator;
    if (client->descriptor >= 0)
        close(client->descriptor);
    if (client->connected)
        generator->reconnects++;
    if (client->count > 0 && *generator->first_error == '\0')
        snprintf(generator->first_error, sizeof(generator->first_error), "%s: %s",
                 client->node->text, problem == 0 ? "connection closed" : errno_text(problem));
    if (!run->ever_connected)
        generator->problem = problem;
    generator->errors += client->count;
    client->descriptor = -1;
    client->connected = false;
    client->count = 0;
    client->due_us = run->now_us + RECONNECT_US;
    client->out_sent = 0;
    buffer_reset(&client->out);
    buffer_reset(&client->in);
    http_response_reset(&client->response, false);
}

static void start(struct run *run, struct client *client)
{
    client->descriptor = endpoint_connect_start(client->node);
    if (client->descriptor < 0)
        return lose(run, client, errno);
    client->wants_write = true;
    watch(run, client, EPOLL_CTL_ADD);
}

static void connected(struct run *run, struct client *client)
{
    int problem = endpoint_connect_wait(client->descriptor, 0);
    if (problem != 0)
        return lose(run, client, problem);
    client->connected = run->ever_connected = true;
    run->generator->problem = 0;
}

/* --- requests -------------------------------------------------------------------------------- */

static void issue(struct run *run, struct client *client)
{
    const struct generator_settings *settings = run->settings;
    struct workload *workload = &run->generator->workload;
    char text[KEY_SIZE + 1];
    snprintf(text, sizeof(text), "key:%012llu", (unsigned long long)workload_key(workload));
    struct bytes key = bytes_make(text, KEY_SIZE);
    bool is_set = workload_is_set(workload);
    if (is_set)
        settings->wire->append_set(&settings->wire_settings, key, buffer_bytes(&run->value),
                                   &client->out);
    else
        settings->wire->append_get(&settings->wire_settings, key, &client->out);
    client->sent[(client->first + client->count++) % settings->pipeline] =
        (struct sent){ run->now_us, is_set };
    run->issued++;
}

static void write_out(struct run *run, struct client *client)
{
    while (client->out_sent < client->out.size) {
        ssize_t size = send(client->descriptor, client->out.data + client->out_sent,
                            client->out.size - client->out_sent, MSG_NOSIGNAL);
        if (size > 0)
            client->out_sent += (size_t)size;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return lose(run, client, errno);
    }
    bool rest = client->out_sent < client->out.size;
    if (!rest) {
        buffer_reset(&client->out);
        client->out_sent = 0;
    }
    if (rest != client->wants_write) {
        client->wants_write = rest;
        watch(run, client, EPOLL_CTL_MOD);
    }
}

static void fill(struct run *run, struct client *client)
{
    if (!client->connected)
        return;
    while (client->count < run->settings->pipeline && may_issue(run))
        issue(run, client);
    if (client->out.failed)
        run->generator->out_of_memory = true;
    write_out(run, client);
}

/* --- replies --------------------------------------------------------------------------------- */

static void count_reply(struct run *run, struct client *client, enum wire_reply reply,
                        struct bytes text)
{
    struct generator *generator = run->generator;
    struct sent sent = client->sent[client->first];
    client->first = (client->first + 1) % run->settings->pipeline;
    client->count--;
    run->answered_us = run->now_us;
    if (reply == WIRE_ERROR) {
        if (*generator->first_error == '\0')
            snprintf(generator->first_error, sizeof(generator->first_error), "%.*s",
                     (int)(text.size < 200 ? text.size : 200), (const char *)text.data);
        generator->errors++;
        return;
    }
    generator->misses += reply == WIRE_NOTHING;
    histogram_add(sent.is_set ? &generator->sets : &generator->gets, run->now_us - sent.at_us);
}

/* All whole replies that are there.  False: the connection was lost. */
static bool take_replies(struct run *run, struct client *client)
{
    struct bytes input = buffer_bytes(&client->in);
    size_t taken = 0;
    while (taken < input.size) {
        size_t size;
        struct bytes rest = bytes_from(input, taken);
        enum wire_reply reply = run->settings->wire->reply(&client->response, rest, &size);
        taken += size;
        if (reply == WIRE_MORE)
            break;
        if (reply == WIRE_BAD || client->count == 0) {
            lose(run, client, EPROTO);
            return false;
        }
        count_reply(run, client, reply, bytes_make(rest.data, size));
    }
    buffer_consume(&client->in, taken);
    return true;
}

static void readable(struct run *run, struct client *client)
{
    size_t room_size = client->in.size > INPUT_SIZE_MIN ? client->in.size : INPUT_SIZE_MIN;
    uint8_t *room = buffer_reserve(&client->in, room_size);
    if (room == NULL)
        return lose(run, client, ENOMEM);
    ssize_t size = recv(client->descriptor, room, room_size, 0);
    if (size == 0)
        return lose(run, client, 0);
    if (size < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose(run, client, errno);
        return;
    }
    client->in.size += (size_t)size;
    if (take_replies(run, client))
        fill(run, client);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void handle(struct run *run, struct client *client, uint32_t events)
{
    if (!client->connected) {
        connected(run, client);
        fill(run, client);
        return;
    }
    if ((events & EPOLLOUT) != 0)
        write_out(run, client);
    if (client->connected && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        readable(run, client);
}

static bool unfinished(struct run *run)
{
    bool waiting = false, any = false;
    for (uint32_t i = 0; i < run->generator->client_count; i++) {
        waiting = waiting || run->clients[i].count > 0;
        any = any || run->clients[i].descriptor >= 0;
    }
    if (!any && !run->ever_connected)
        return false; /* nobody is there: told by `problem` */
    if (run->generator->out_of_memory || run->now_us - run->answered_us > GIVE_UP_US)
        return false;
    return waiting || may_issue(run);
}

static void reconnect(struct run *run)
{
    for (uint32_t i = 0; i < run->generator->client_count; i++) {
        struct client *client = &run->clients[i];
        if (client->descriptor < 0 && client->due_us <= run->now_us && may_issue(run))
            start(run, client);
    }
}

static void loop(struct run *run)
{
    struct epoll_event events[EVENTS];
    struct generator *generator = run->generator;
    uint64_t checked_us = 0;
    for (;;) {
        run->now_us = now(run);
        if (run->now_us - checked_us > 10000) { /* walks all clients, so not each time */
            checked_us = run->now_us;
            reconnect(run);
            if (!unfinished(run))
                return;
        }
        int count = epoll_wait(run->poller, events, EVENTS, 10);
        run->now_us = now(run);
        for (int i = 0; i < count; i++)
            handle(run, events[i].data.ptr, events[i].events);
        atomic_store_explicit(&generator->done,
                              generator->gets.count + generator->sets.count + generator->errors,
                              memory_order_relaxed);
    }
}

static bool begin(struct run *run)
{
    struct generator *generator = run->generator;
    const struct generator_settings *settings = run->settings;
    run->poller = epoll_create1(EPOLL_CLOEXEC);
    run->clients = calloc(generator->client_count, sizeof(struct client));
    buffer_init(&run->value, settings->value_size + 1);
    uint8_t *value = buffer_reserve(&run->value, settings->value_size + 1);
    if (run->poller < 0 || run->clients == NULL || value == NULL)
        return false;
    for (uint32_t i = 0; i < settings->value_size; i++)
        value[i] = (uint8_t)('a' + random_below(&generator->workload.random, 26));
    run->value.size = settings->value_size;
    for (uint32_t i = 0; i < generator->client_count; i++) {
        struct client *client = &run->clients[i];
        client->descriptor = -1;
        client->node = &settings->nodes[(generator->first_client + i) % settings->node_count];
        buffer_init(&client->out, (size_t)1 << 30);
        buffer_init(&client->in, INPUT_SIZE_MAX);
        http_response_init(&client->response, INPUT_SIZE_MAX);
        client->sent = calloc(settings->pipeline, sizeof(struct sent));
        if (client->sent == NULL)
            return false;
    }
    return true;
}

static void end(struct run *run)
{
    for (uint32_t i = 0; run->clients != NULL && i < run->generator->client_count; i++) {
        struct client *client = &run->clients[i];
        run->generator->errors += client->count; /* never answered */
        if (client->descriptor >= 0 && client->sent != NULL)
            close(client->descriptor);
        buffer_done(&client->out);
        buffer_done(&client->in);
        http_response_done(&client->response);
        free(client->sent);
    }
    free(run->clients);
    buffer_done(&run->value);
    if (run->poller >= 0)
        close(run->poller);
}

void generator_run(struct generator *generator)
{
    struct run run = { .generator = generator, .settings = generator->settings };
    os_clock_init(&run.clock);
    histogram_init(&generator->gets);
    histogram_init(&generator->sets);
    run.now_us = run.answered_us = now(&run);
    if (begin(&run))
        loop(&run);
    else
        generator->out_of_memory = true;
    end(&run);
}
