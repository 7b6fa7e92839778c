/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/option.h"

/* Split HOST:PORT, HOST or [V6]:PORT; *ret_port points to the digits or is NULL. */
static bool split(const char *text, const char **ret_host, size_t *ret_size, const char **ret_port)
{
    bool bracketed = text[0] == '[';
    const char *host = text + bracketed;
    const char *end = bracketed ? strchr(host, ']') : host + strcspn(host, ":");
    if (end == NULL || end == host)
        return false;
    const char *after = end + bracketed;
    if (*after != '\0' && *after != ':')
        return false;
    *ret_host = host;
    *ret_size = (size_t)(end - host);
    *ret_port = *after == ':' ? after + 1 : NULL;
    return true;
}

bool endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_endpoint)
{
    struct endpoint endpoint = { .port = default_port };
    const char *host, *port;
    size_t size;
    if (!split(text, &host, &size, &port) || size >= sizeof(endpoint.host))
        return false;
    int64_t number = default_port;
    if (port != NULL &&
        (*port < '0' || *port > '9' || !option_read_number(port, 1, 65535, &number)))
        return false;
    memcpy(endpoint.host, host, size);
    endpoint.port = (uint16_t)number;
    bool v6 = strchr(endpoint.host, ':') != NULL;
    snprintf(endpoint.text, sizeof(endpoint.text), v6 ? "[%s]:%u" : "%s:%u", endpoint.host,
             endpoint.port);
    *ret_endpoint = endpoint;
    return true;
}

uint32_t endpoint_parse_list(const char *text, uint16_t default_port,
                             struct endpoint ret[ENDPOINTS_MAX])
{
    uint32_t count = 0;
    while (*text != '\0') {
        char one[160];
        size_t size = strcspn(text, ",");
        snprintf(one, sizeof(one), "%.*s", (int)(size < sizeof(one) ? size : 0), text);
        if (count == ENDPOINTS_MAX || !endpoint_parse(one, default_port, &ret[count])) {
            say_error("'%s' is no address of a node; it looks like 127.0.0.1:%u", one,
                      default_port);
            return 0;
        }
        count++;
        text += size + (text[size] == ',');
    }
    if (count == 0)
        say_error("no node is given; an address looks like 127.0.0.1:%u", default_port);
    return count;
}

bool endpoint_resolve(struct endpoint *endpoint)
{
    if (endpoint->address_size > 0)
        return true;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found;
    char port[8];
    snprintf(port, sizeof(port), "%u", endpoint->port);
    int problem = getaddrinfo(endpoint->host, port, &hints, &found);
    if (problem == EAI_NONAME || problem == EAI_ADDRFAMILY) { /* loopback only: no family counts */
        hints.ai_flags = 0;
        problem = getaddrinfo(endpoint->host, port, &hints, &found);
    }
    if (problem != 0) {
        say_error("cannot find the host '%s': %s\n  Next: check --node, or KVORUM_NODE",
                  endpoint->host, gai_strerror(problem));
        return false;
    }
    memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
    endpoint->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

int endpoint_connect_start(const struct endpoint *endpoint)
{
    int family = endpoint->address.ss_family;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    int outcome =
        connect(descriptor, (const struct sockaddr *)&endpoint->address, endpoint->address_size);
    if (outcome == 0 || errno == EINPROGRESS)
        return descriptor;
    int problem = errno;
    close(descriptor);
    errno = problem;
    return -1;
}

int endpoint_connect_wait(int descriptor, uint32_t timeout_ms)
{
    struct pollfd wait = { descriptor, POLLOUT, 0 };
    int ready = poll(&wait, 1, (int)timeout_ms);
    if (ready <= 0)
        return ready == 0 ? ETIMEDOUT : errno;
    int problem = 0;
    socklen_t size = sizeof(problem);
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 ? problem : errno;
}
