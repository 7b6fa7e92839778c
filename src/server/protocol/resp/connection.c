/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a RESP connection: bytes are parsed as long as nothing is in their way. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/protocol/resp/internal.h"

enum { REQUEST_SLACK = 512 * 1024 }; /* around the largest value in a request: keys, framing */

static uint32_t smaller(uint64_t size, uint32_t limit)
{
    return size < limit ? (uint32_t)size : limit;
}

static uint64_t next_client_id(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static struct protocol *resp_open(struct connection *connection,
                                  const struct protocol_environment *environment)
{
    struct resp_connection *resp = calloc(1, sizeof(*resp));
    if (resp == NULL)
        return NULL;
    uint32_t value = smaller(environment->value_size_limit, UINT32_MAX / 4);
    struct resp_limits limits = {
        .arguments = RESP_ARGUMENTS_MAX,
        .bulk_size = value > NODE_KEY_SIZE_MAX ? value : NODE_KEY_SIZE_MAX,
        .line_size = smaller(environment->header_size_limit, RESP_LINE_SIZE_MAX),
        .request_size = value + REQUEST_SLACK,
    };
    resp->protocol.ops = &protocol_resp;
    resp->connection = connection;
    resp->environment = environment;
    resp->id = next_client_id();
    resp_parser_init(&resp->parser, &limits);
    list_init(&resp->queue);
    list_init(&resp->spare);
    quorum_levels_init(&resp->operation.levels);
    resp_session_reset(resp);
    return &resp->protocol;
}

static struct resp_connection *resp_of(struct protocol *protocol)
{
    return (struct resp_connection *)protocol;
}

static void resp_close(struct protocol *protocol)
{
    struct resp_connection *resp = resp_of(protocol);
    resp->finished = true;
    resp_replies_cancel(resp);
    resp_parser_done(&resp->parser);
    free(resp);
}

static bool may_parse(const struct resp_connection *resp)
{
    return !resp->held && !resp->quitting && !resp->finished &&
           !connection_blocked(resp->connection);
}

/* The stream cannot be trusted any more: say why, behind the replies that are due, and hang up. */
static void give_up(struct resp_connection *resp)
{
    resp->quitting = true;
    resp_reply_error(resp, "ERR", resp->parser.problem);
}

/* False: the request must wait for the replies ahead of it, and is read again then. */
static bool run(struct resp_connection *resp)
{
    struct resp_call call = { .connection = resp, .count = resp->parser.count };
    if (call.count > 0)
        resp_execute(resp, &call);
    if (call.wait)
        resp_hold(resp);
    return !call.wait;
}

static size_t parse_all(struct resp_connection *resp, struct bytes input)
{
    size_t used = 0;
    uint32_t ahead = 1; /* requests before the next look */
    resp->partial = false;
    while (may_parse(resp)) {
        size_t size;
        enum resp_outcome outcome = resp_parse(&resp->parser, bytes_from(input, used), &size);
        if (outcome == RESP_MALFORMED)
            give_up(resp);
        resp->partial = outcome == RESP_PARTIAL && used < input.size;
        if (outcome != RESP_REQUEST || !run(resp))
            break;
        used += size;
        if (--ahead == 0)
            ahead = resp_look_ahead(resp, bytes_from(input, used));
    }
    return resp->quitting || resp->finished ? input.size : used;
}

static size_t resp_input(struct protocol *protocol, struct bytes input)
{
    struct resp_connection *resp = resp_of(protocol);
    assert(!resp->parsing);
    resp->parsing = true;
    size_t used = parse_all(resp, input);
    resp->parsing = false;
    return used;
}

/* What was held back is in the connection's input, and comes again by itself. */
static void resp_writable(struct protocol *protocol)
{
    (void)protocol;
}

static bool resp_mid_request(const struct protocol *protocol)
{
    return ((const struct resp_connection *)protocol)->partial;
}

const struct protocol_ops protocol_resp = {
    .name = "resp",
    .open = resp_open,
    .input = resp_input,
    .writable = resp_writable,
    .close = resp_close,
    .mid_request = resp_mid_request,
};
