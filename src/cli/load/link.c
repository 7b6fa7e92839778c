/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT_SIZE_MAX = 1 << 30, BACKOFF_FIRST_MS = 50, BACKOFF_LAST_MS = 2000 };

bool link_init(struct link *link, const struct endpoint *node, uint32_t capacity,
               size_t body_size_max)
{
    *link = (struct link){ .descriptor = -1, .node = node, .capacity = capacity };
    buffer_init(&link->out, OUT_SIZE_MAX);
    http_response_init(&link->response, body_size_max);
    link->works = calloc(capacity, sizeof(struct pump_work *));
    return link->works != NULL;
}

void link_done(struct link *link)
{
    if (link->descriptor >= 0)
        close(link->descriptor);
    buffer_done(&link->out);
    http_response_done(&link->response);
    free(link->works);
}

void link_close(struct link *link, uint64_t now_us, int problem)
{
    if (link->descriptor >= 0)
        close(link->descriptor);
    link->descriptor = -1;
    link->state = LINK_CLOSED;
    link->problem = problem;
    link->backoff_ms = link->backoff_ms == 0                    ? BACKOFF_FIRST_MS
                       : link->backoff_ms * 2 < BACKOFF_LAST_MS ? link->backoff_ms * 2
                                                                : BACKOFF_LAST_MS;
    link->due_us = now_us + link->backoff_ms * 1000ull;
    buffer_reset(&link->out);
    link->sent = 0;
    http_response_reset(&link->response, false);
}

void link_connect(struct link *link, uint64_t now_us)
{
    assert(link->state == LINK_CLOSED && link->count == 0);
    link->descriptor = endpoint_connect_start(link->node);
    if (link->descriptor < 0)
        return link_close(link, now_us, errno);
    link->state = LINK_CONNECTING;
    link->since_us = now_us;
}

void link_connected(struct link *link, uint64_t now_us)
{
    int problem = endpoint_connect_wait(link->descriptor, 0);
    if (problem != 0)
        return link_close(link, now_us, problem);
    link->state = LINK_OPEN;
    link->backoff_ms = 0;
}

void link_push(struct link *link, struct pump_work *work, uint64_t now_us)
{
    assert(link->count < link->capacity);
    if (link->count == 0)
        link->since_us = now_us;
    link->works[(link->first + link->count++) % link->capacity] = work;
}

struct pump_work *link_pop(struct link *link)
{
    if (link->count == 0)
        return NULL;
    struct pump_work *work = link->works[link->first];
    link->first = (link->first + 1) % link->capacity;
    link->count--;
    return work;
}

bool link_write(struct link *link)
{
    while (link->sent < link->out.size) {
        ssize_t size = send(link->descriptor, link->out.data + link->sent,
                            link->out.size - link->sent, MSG_NOSIGNAL);
        if (size > 0) {
            link->sent += (size_t)size;
        } else if (errno == EAGAIN) {
            return true;
        } else if (errno != EINTR) {
            link->problem = errno;
            return false;
        }
    }
    buffer_reset(&link->out);
    link->sent = 0;
    return true;
}

long link_read(struct link *link, uint8_t *room, size_t size)
{
    for (;;) {
        ssize_t got = recv(link->descriptor, room, size, 0);
        if (got > 0)
            return got;
        if (got == 0) {
            link->problem = ECONNRESET;
            return 0;
        }
        if (errno == EAGAIN)
            return -1;
        if (errno != EINTR) {
            link->problem = errno;
            return 0;
        }
    }
}
