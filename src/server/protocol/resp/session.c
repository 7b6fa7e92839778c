/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the connection itself. */
#include "server/protocol/resp/internal.h"

#include <stdio.h>

static void choose_database(struct resp_connection *resp, uint8_t number)
{
    resp->database = number;
    int size = snprintf(resp->bucket, sizeof(resp->bucket), "db%u", number);
    resp->operation.bucket = bytes_make(resp->bucket, (size_t)size);
}

void resp_session_reset(struct resp_connection *resp)
{
    choose_database(resp, 0);
    resp->name[0] = '\0';
}

void resp_run_ping(struct resp_call *call)
{
    if (call->count == 1)
        resp_write_simple(call->out, "PONG");
    else if (call->count == 2)
        resp_write_bulk(call->out, resp_call_argument(call, 1));
    else
        resp_write_error(call->out, "ERR", "wrong number of arguments for 'ping' command");
}

void resp_run_echo(struct resp_call *call)
{
    resp_write_bulk(call->out, resp_call_argument(call, 1));
}

/* A small decimal number; -1 when it is none. */
static int small_number(struct bytes text)
{
    int number = 0;
    if (text.size == 0 || text.size > 5)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

void resp_run_select(struct resp_call *call)
{
    struct bytes text = resp_call_argument(call, 1);
    int number = small_number(text);
    bool negative = text.size > 1 && text.data[0] == '-' && small_number(bytes_from(text, 1)) >= 0;
    if (number >= 0 && number < RESP_DATABASES) {
        choose_database(call->connection, (uint8_t)number);
        resp_write_simple(call->out, "OK");
    } else if (number >= 0 || negative) {
        resp_write_error(call->out, "ERR", "DB index is out of range");
    } else {
        resp_write_error(call->out, "ERR", "value is not an integer or out of range");
    }
}

void resp_run_quit(struct resp_call *call)
{
    call->connection->quitting = true;
    resp_write_simple(call->out, "OK");
}

void resp_run_reset(struct resp_call *call)
{
    resp_session_reset(call->connection);
    resp_write_simple(call->out, "RESET");
}

/* --- CLIENT ----------------------------------------------------------------------------------- */

static bool set_name(struct resp_connection *resp, struct bytes name)
{
    if (name.size > RESP_CLIENT_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    if (name.size > 0)
        memcpy(resp->name, name.data, name.size);
    resp->name[name.size] = '\0';
    return true;
}

static const char bad_name[] =
    "Client names cannot contain spaces, newlines or special characters.";

static void client_setname(struct resp_call *call)
{
    if (set_name(call->connection, resp_call_argument(call, 2)))
        resp_write_simple(call->out, "OK");
    else
        resp_write_error(call->out, "ERR", bad_name);
}

static void client_getname(struct resp_call *call)
{
    if (call->connection->name[0] == '\0')
        resp_write_nil(call->out);
    else
        resp_write_text(call->out, call->connection->name);
}

static void client_id(struct resp_call *call)
{
    resp_write_integer(call->out, (int64_t)call->connection->id);
}

/* The library's name and version: taken and forgotten, as nothing shows them yet. */
static void client_setinfo(struct resp_call *call)
{
    struct bytes what = resp_call_argument(call, 2);
    if (resp_is(what, "lib-name") || resp_is(what, "lib-ver"))
        resp_write_simple(call->out, "OK");
    else
        resp_write_error(call->out, "ERR", "Unrecognized option: only lib-name and lib-ver");
}

static const struct {
    const char *name;
    uint32_t count;
    void (*run)(struct resp_call *call);
} client_commands[] = {
    { "setname", 3, client_setname },
    { "getname", 2, client_getname },
    { "id", 2, client_id },
    { "setinfo", 4, client_setinfo },
};

void resp_run_client(struct resp_call *call)
{
    struct bytes name = resp_call_argument(call, 1);
    for (size_t i = 0; i < sizeof(client_commands) / sizeof(client_commands[0]); i++) {
        if (!resp_is(name, client_commands[i].name))
            continue;
        if (call->count == client_commands[i].count)
            client_commands[i].run(call);
        else
            buffer_printf(call->out, "-ERR wrong number of arguments for 'client|%s' command\r\n",
                          client_commands[i].name);
        return;
    }
    resp_write_error(call->out, "ERR",
                     "unknown subcommand of CLIENT: there are ID, GETNAME, SETNAME, SETINFO");
}

/* --- HELLO ------------------------------------------------------------------------------------ */

/* [AUTH user password] [SETNAME name] behind the version; false when it was answered with an
 * error. */
static bool hello_options(struct resp_call *call)
{
    for (uint32_t i = 2; i < call->count; i += 2) {
        struct bytes option = resp_call_argument(call, i);
        if (resp_is(option, "auth")) {
            resp_write_error(call->out, "ERR", "AUTH is not supported yet: there are no users");
            return false;
        }
        if (!resp_is(option, "setname") || i + 1 >= call->count) {
            resp_write_error(call->out, "ERR", "syntax error in HELLO");
            return false;
        }
        if (!set_name(call->connection, resp_call_argument(call, i + 1))) {
            resp_write_error(call->out, "ERR", bad_name);
            return false;
        }
    }
    return true;
}

void resp_run_hello(struct resp_call *call)
{
    int version = call->count > 1 ? small_number(resp_call_argument(call, 1)) : 2;
    if (version < 0) {
        resp_write_error(call->out, "ERR", "Protocol version is not an integer or out of range");
    } else if (version != 2) {
        resp_write_error(call->out, "NOPROTO", "unsupported protocol version");
    } else if (hello_options(call)) {
        resp_write_array(call->out, 14);
        resp_write_text(call->out, "server");
        resp_write_text(call->out, "kvorum");
        resp_write_text(call->out, "version");
        resp_write_text(call->out, KVORUM_VERSION);
        resp_write_text(call->out, "proto");
        resp_write_integer(call->out, 2);
        resp_write_text(call->out, "id");
        resp_write_integer(call->out, (int64_t)call->connection->id);
        resp_write_text(call->out, "mode");
        resp_write_text(call->out, "standalone"); /* any node serves any key: no slots to learn */
        resp_write_text(call->out, "role");
        resp_write_text(call->out, "master");
        resp_write_text(call->out, "modules");
        resp_write_array(call->out, 0);
    }
}
