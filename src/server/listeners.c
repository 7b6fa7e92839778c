/* SPDX-License-Identifier: Apache-2.0 */
#include "server/listeners.h"

#include "server/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_ATTEMPTS_MAX = 16, BACKLOG = 511, ACCEPTS_MAX = 64, PAUSE_MS = 100 };

static const char *const kind_names[LISTENER_KINDS] = { "resp", "http", "peer" };

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/* libuv closes sockets by a bare system call.  ThreadSanitizer does not see it and takes the next
 * use of the number, by whichever thread, for a race with the accept (or dup) that it saw. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:accept4\nrace:frame_stream_release\ncalled_from_lib:libuv.so.1\n";
}
#endif
#endif

/* --- binding ---------------------------------------------------------------------------------- */

static int bind_to(const struct addrinfo *address)
{
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    int on =
        1; /* a port whose connections linger in TIME_WAIT is free; one in use is still refused */
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

static int listen_at(const char *host, uint16_t port, const char **ret_why)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found;
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) {
        *ret_why = gai_strerror(error);
        return -1;
    }
    int descriptor = bind_to(found);
    if (descriptor < 0)
        *ret_why = errno == EADDRINUSE
                       ? "the port is in use: another kvorum or another program listens there"
                       : strerror(errno);
    freeaddrinfo(found);
    return descriptor;
}

static uint16_t port_of(int descriptor)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    memset(&address, 0, sizeof(address));
    socklen_t size = sizeof(address);
    if (getsockname(descriptor, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* The same address and port, for datagrams.  -1: errno says why. */
static int bind_datagrams(int listening)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);
    if (getsockname(listening, (struct sockaddr *)&address, &size) != 0)
        return -1;
    int descriptor = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, size) == 0)
        return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

/* A port that the system chose may be taken by somebody's datagrams: then it chooses again. */
static bool bind_peer(struct listener *listener, const char *host, uint16_t port,
                      const char **ret_why)
{
    for (int attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
        listener->descriptor = listen_at(host, port, ret_why);
        if (listener->descriptor < 0)
            return false;
        listener->server->listeners.datagrams = bind_datagrams(listener->descriptor);
        if (listener->server->listeners.datagrams >= 0)
            return true;
        *ret_why = errno == EADDRINUSE ? "the port is in use for datagrams (UDP)" : strerror(errno);
        close(listener->descriptor);
        listener->descriptor = -1;
        if (port != 0)
            return false;
    }
    return false;
}

static bool bind_any(struct listener *listener, const char *host, uint16_t port,
                     const char **ret_why)
{
    if (listener->kind == LISTENER_PEER)
        return bind_peer(listener, host, port, ret_why);
    listener->descriptor = listen_at(host, port, ret_why);
    return listener->descriptor >= 0;
}

static bool bind_one(struct listener *listener, const char *address)
{
    char host[256];
    uint16_t port;
    const char *why = "";
    if (address[0] == '\0')
        return true;
    if (!config_split_address(address, host, sizeof(host), &port))
        return false;
    if (!bind_any(listener, host, port, &why)) {
        log_error(listener->server->log, "cannot listen",
                  LOG_TEXT("what", kind_names[listener->kind]), LOG_TEXT("address", address),
                  LOG_U64("port", port), LOG_TEXT("why", why),
                  LOG_TEXT("next", "stop the other one, or choose a port in [listen]"));
        return false;
    }
    bool v6 = strchr(host, ':') != NULL;
    snprintf(listener->address, sizeof(listener->address), v6 ? "[%s]:%u" : "%s:%u", host,
             port_of(listener->descriptor));
    return true;
}

void listeners_init(struct server *server)
{
    server->listeners.datagrams = -1;
    for (unsigned i = 0; i < LISTENER_KINDS; i++)
        server->listeners.all[i] =
            (struct listener){ .server = server, .kind = i, .descriptor = -1 };
}

bool listeners_bind(struct server *server)
{
    const struct config *config = &server->config;
    const char *const addresses[] = { config->resp, config->http, config->peer };
    bool bound = true;
    for (unsigned i = 0; i < LISTENER_KINDS; i++)
        bound = bind_one(&server->listeners.all[i], addresses[i]) && bound;
    return bound;
}

/* --- accepting -------------------------------------------------------------------------------- */

static bool count_client(struct server *server)
{
    unsigned before = atomic_fetch_add(&server->client_count, 1);
    if (before < server->config.connections)
        return true;
    atomic_fetch_sub(&server->client_count, 1);
    return false;
}

static void deal(struct server *server, int descriptor, enum connection_wire wire)
{
    struct listeners *listeners = &server->listeners;
    if (!count_client(server)) {
        uint64_t refused = atomic_fetch_add(&server->clients_refused, 1);
        if (refused % 1000 == 0)
            log_warn(server->log, "client connection refused: too many",
                     LOG_U64("limit", server->config.connections), LOG_U64("refused", refused + 1));
        connection_refuse(descriptor, wire);
        return;
    }
    uint16_t target = listeners->next;
    listeners->next = (uint16_t)((target + 1) % server->reactor_count);
    const struct mail mail = { .kind = MAIL_CONNECTION, .descriptor = descriptor, .value = wire };
    if (target == 0)
        connection_open(server->reactors[0], descriptor, wire);
    else
        reactor_mail(server->reactors[0], target, &mail);
}

static void accepted(struct listener *listener, int descriptor)
{
    struct server *server = listener->server;
    if (listener->kind == LISTENER_PEER)
        peers_accept(&server->reactors[0]->peers, descriptor);
    else
        deal(server, descriptor,
             listener->kind == LISTENER_RESP ? CONNECTION_RESP : CONNECTION_HTTP);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void poll_all(struct listeners *listeners, bool on)
{
    for (unsigned i = 0; i < LISTENER_KINDS; i++) {
        struct listener *listener = &listeners->all[i];
        if (listener->polling && on)
            uv_poll_start(&listener->poll, UV_READABLE, on_readable);
        else if (listener->polling)
            uv_poll_stop(&listener->poll);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct listeners *listeners = timer->data;
    listeners->pausing = false;
    poll_all(listeners, true);
}

/* Out of descriptors: a pending connection would wake us without end. */
static void pause_accepting(struct server *server)
{
    struct listeners *listeners = &server->listeners;
    if (!listeners->pausing)
        log_warn(server->log, "cannot accept connections now", LOG_TEXT("why", strerror(errno)),
                 LOG_TEXT("next", "raise the limit of open files"));
    listeners->pausing = true;
    poll_all(listeners, false);
    uv_timer_start(&listeners->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)events;
    for (int i = 0; status == 0 && i < ACCEPTS_MAX; i++) {
        int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            accepted(listener, descriptor);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            pause_accepting(listener->server);
        if (errno != ECONNABORTED && errno != EINTR)
            break;
    }
}

void listeners_start(struct server *server)
{
    struct listeners *listeners = &server->listeners;
    uv_loop_t *loop = &server->reactors[0]->loop;
    uv_timer_init(loop, &listeners->pause);
    listeners->pause.data = listeners;
    listeners->started = true;
    for (unsigned i = 0; i < LISTENER_KINDS; i++) {
        struct listener *listener = &listeners->all[i];
        if (listener->descriptor < 0 ||
            uv_poll_init_socket(loop, &listener->poll, listener->descriptor) != 0)
            continue;
        listener->poll.data = listener;
        listener->polling = true;
    }
    poll_all(listeners, true);
}

static void close_socket(struct listener *listener)
{
    close(listener->descriptor);
    listener->descriptor = -1;
}

static void on_poll_closed(uv_handle_t *poll)
{
    close_socket(poll->data);
}

void listeners_stop(struct server *server)
{
    struct listeners *listeners = &server->listeners;
    if (listeners->started)
        uv_close((uv_handle_t *)&listeners->pause, NULL);
    listeners->started = false;
    if (listeners->datagrams >= 0)
        close(listeners->datagrams);
    listeners->datagrams = -1;
    for (unsigned i = 0; i < LISTENER_KINDS; i++) {
        struct listener *listener = &listeners->all[i];
        if (listener->polling)
            uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
        else if (listener->descriptor >= 0)
            close_socket(listener);
        listener->polling = false;
    }
}
