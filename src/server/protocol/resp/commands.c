/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and how a request finds its row.  The busiest come first: the search is a
 * walk. */
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "server/protocol/resp/internal.h"

#define FAST_READ (RESP_READONLY | RESP_FAST | RESP_ASYNC)
#define SESSION (RESP_FAST | RESP_LOADING)

const struct resp_command resp_commands[] = {
    { "get", 2, 1, 1, 1, FAST_READ, resp_run_get, "string", "Returns the value of a key." },
    { "set", -3, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_set, "string",
      "Sets the value of a key, whatever it was." },
    { "del", -2, 1, -1, 1, RESP_WRITE | RESP_ASYNC, resp_run_del, "generic",
      "Deletes keys; returns how many there were." },
    { "exists", -2, 1, -1, 1, FAST_READ, resp_run_exists, "generic",
      "Returns how many of the keys exist." },
    { "mget", -2, 1, -1, 1, FAST_READ, resp_run_mget, "string", "Returns the values of keys." },
    { "mset", -3, 1, -1, 2, RESP_WRITE | RESP_ASYNC, resp_run_mset, "string",
      "Sets the values of keys, each for itself: not atomic." },
    { "expire", -3, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_expire, "generic",
      "Lets a key expire after so many seconds." },
    { "ttl", 2, 1, 1, 1, FAST_READ, resp_run_ttl, "generic",
      "Returns the seconds a key has left." },
    { "setex", 4, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_setex, "string",
      "Sets the value of a key for so many seconds." },
    { "psetex", 4, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_psetex, "string",
      "Sets the value of a key for so many milliseconds." },
    { "pexpire", -3, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_pexpire, "generic",
      "Lets a key expire after so many milliseconds." },
    { "expireat", -3, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_expireat, "generic",
      "Lets a key expire at a moment, in seconds since 1970." },
    { "pexpireat", -3, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_pexpireat, "generic",
      "Lets a key expire at a moment, in milliseconds since 1970." },
    { "persist", 2, 1, 1, 1, RESP_WRITE | RESP_ASYNC, resp_run_persist, "generic",
      "Lets a key no longer expire." },
    { "pttl", 2, 1, 1, 1, FAST_READ, resp_run_pttl, "generic",
      "Returns the milliseconds a key has left." },
    { "expiretime", 2, 1, 1, 1, FAST_READ, resp_run_expiretime, "generic",
      "Returns the moment at which a key expires, in seconds since 1970." },
    { "pexpiretime", 2, 1, 1, 1, FAST_READ, resp_run_pexpiretime, "generic",
      "Returns the moment at which a key expires, in milliseconds since 1970." },
    { "ping", -1, 0, 0, 0, SESSION, resp_run_ping, "connection", "Returns PONG, or its argument." },
    { "echo", 2, 0, 0, 0, SESSION, resp_run_echo, "connection", "Returns its argument." },
    { "select", 2, 0, 0, 0, SESSION, resp_run_select, "connection",
      "Chooses a database: bucket db0 to db15." },
    { "dbsize", 1, 0, 0, 0, RESP_READONLY | RESP_ASYNC, resp_run_dbsize, "server",
      "Counts the keys of the database, by walking all partitions." },
    { "flushdb", -1, 0, 0, 0, RESP_WRITE | RESP_ASYNC, resp_run_flushdb, "server",
      "Drops all keys of the database, in the same time however many." },
    { "flushall", -1, 0, 0, 0, RESP_WRITE | RESP_ASYNC, resp_run_flushall, "server",
      "Drops all keys of all databases, db0 to db15." },
    { "info", -1, 0, 0, 0, RESP_LOADING, resp_run_info, "server",
      "Returns facts and counters of this node." },
    { "config", -2, 0, 0, 0, RESP_ADMIN | RESP_LOADING, resp_run_config, "server",
      "GET returns settings; the others are in kvorum.conf." },
    { "command", -1, 0, 0, 0, RESP_LOADING, resp_run_command, "server",
      "Describes the commands there are." },
    { "client", -2, 0, 0, 0, SESSION, resp_run_client, "connection",
      "ID, GETNAME, SETNAME, SETINFO of this connection." },
    { "hello", -1, 0, 0, 0, SESSION, resp_run_hello, "connection",
      "Agrees on the protocol version: 2." },
    { "reset", 1, 0, 0, 0, SESSION, resp_run_reset, "connection",
      "Makes the connection as new: database 0, no name." },
    { "quit", -1, 0, 0, 0, SESSION, resp_run_quit, "connection",
      "Closes the connection when all replies are sent." },
};

const uint32_t resp_command_count = sizeof(resp_commands) / sizeof(resp_commands[0]);

bool resp_is(struct bytes word, const char *name)
{
    size_t i = 0;
    while (i < word.size && name[i] != '\0' &&
           text_lower(word.data[i]) == text_lower((uint8_t)name[i]))
        i++;
    return i == word.size && name[i] == '\0';
}

const struct resp_command *resp_command_find(struct bytes name)
{
    for (uint32_t i = 0; i < resp_command_count; i++)
        if (resp_is(name, resp_commands[i].name))
            return &resp_commands[i];
    return NULL;
}

/* --- what may have been meant ----------------------------------------------------------------- */

enum { NAME_MAX = 16 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance; names longer than NAME_MAX are far from everything. */
static unsigned distance(struct bytes a, struct bytes b)
{
    unsigned row[NAME_MAX + 1];
    if (a.size > NAME_MAX || b.size > NAME_MAX)
        return NAME_MAX;
    for (unsigned j = 0; j <= b.size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned replaced = diagonal + (text_lower(a.data[i - 1]) != text_lower(b.data[j - 1]));
            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.size];
}

const struct resp_command *resp_command_nearest(struct bytes name)
{
    const struct resp_command *nearest = NULL;
    unsigned best = name.size < 3 ? 2 : 3; /* a swap of two letters is 2 */
    for (uint32_t i = 0; i < resp_command_count; i++) {
        unsigned far = distance(name, bytes_of_string(resp_commands[i].name));
        if (far < best) {
            best = far;
            nearest = &resp_commands[i];
        }
    }
    return nearest;
}

/* --- running ---------------------------------------------------------------------------------- */

/* As Redis words it, and what may have been meant. */
static void refuse_unknown(struct resp_call *call, struct bytes name)
{
    struct buffer text;
    buffer_init(&text, 1024);
    const struct resp_command *nearest = resp_command_nearest(name);
    buffer_printf(&text, "unknown command '%.*s'", (int)least((unsigned)name.size, 128),
                  (const char *)name.data);
    if (nearest != NULL)
        buffer_printf(&text, ", did you mean '%s'?", nearest->name);
    buffer_append_text(&text, " with args beginning with: ");
    for (uint32_t i = 1; i < call->count && text.size < 400; i++) {
        struct bytes argument = resp_call_argument(call, i);
        buffer_printf(&text, "'%.*s' ", (int)least((unsigned)argument.size, 128),
                      (const char *)argument.data);
    }
    buffer_append_u8(&text, 0);
    resp_reply_error(call->connection, "ERR",
                     text.failed ? "unknown command" : (const char *)text.data);
    buffer_done(&text);
}

static void refuse_arity(struct resp_call *call)
{
    char text[80];
    snprintf(text, sizeof(text), "wrong number of arguments for '%s' command", call->command->name);
    resp_reply_error(call->connection, "ERR", text);
}

static void run_immediate(struct resp_call *call)
{
    struct resp_reply *reply = resp_reply_begin(call->connection);
    if (reply == NULL)
        return;
    call->out = resp_reply_out(reply);
    call->command->run(call);
    resp_reply_end(reply);
}

/* A browser can be made to send us a form; nothing in it may reach a command. */
static bool is_http(struct bytes name)
{
    return resp_is(name, "post") || resp_is(name, "host:");
}

static void hang_up(struct resp_connection *resp)
{
    log_warn(resp->environment->log, "HTTP came in on the RESP port: connection closed",
             LOG_U64("client", resp->id));
    resp->finished = true;
    connection_finish(resp->connection);
}

void resp_execute(struct resp_connection *resp, struct resp_call *call)
{
    struct bytes name = resp_call_argument(call, 0);
    call->command = resp_command_find(name);
    if (call->command == NULL) {
        if (is_http(name))
            hang_up(resp);
        else
            refuse_unknown(call, name);
        return;
    }
    int arity = call->command->arity;
    if (arity >= 0 ? call->count != (uint32_t)arity : call->count < (uint32_t)-arity)
        refuse_arity(call);
    else if ((call->command->flags & RESP_ASYNC) != 0)
        call->command->run(call);
    else
        run_immediate(call);
}
