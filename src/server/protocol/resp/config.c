/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG GET: what tools ask Redis for, answered from what is so here. */
#include "server/protocol/resp/internal.h"

#include <stdio.h>

enum { VALUE_MAX = 64 };

typedef void setting_fn(const struct protocol_environment *environment, char *ret_value);

static void set_text(char *ret_value, const char *text)
{
    snprintf(ret_value, VALUE_MAX, "%s", text);
}

static void no_snapshots(const struct protocol_environment *environment, char *ret_value)
{
    (void)environment;
    set_text(ret_value, "");
}

static void append_only(const struct protocol_environment *environment, char *ret_value)
{
    set_text(ret_value, strcmp(environment->server->engine, "memory") == 0 ? "no" : "yes");
}

static void append_sync(const struct protocol_environment *environment, char *ret_value)
{
    const char *sync = environment->server->sync;
    bool always = strcmp(sync, "always") == 0, never = strcmp(sync, "never") == 0;
    set_text(ret_value, always ? "always" : never ? "no" : "everysec");
}

static void databases(const struct protocol_environment *environment, char *ret_value)
{
    (void)environment;
    snprintf(ret_value, VALUE_MAX, "%d", RESP_DATABASES);
}

static void no_memory_limit(const struct protocol_environment *environment, char *ret_value)
{
    (void)environment;
    set_text(ret_value, "0");
}

static void no_eviction(const struct protocol_environment *environment, char *ret_value)
{
    (void)environment;
    set_text(ret_value, "noeviction");
}

static void bulk_limit(const struct protocol_environment *environment, char *ret_value)
{
    snprintf(ret_value, VALUE_MAX, "%llu", (unsigned long long)environment->value_size_limit);
}

static void address(const struct protocol_environment *environment, char *ret_value)
{
    set_text(ret_value, environment->server->resp);
    char *colon = strrchr(ret_value, ':');
    if (colon != NULL)
        *colon = '\0';
}

static void port(const struct protocol_environment *environment, char *ret_value)
{
    const char *colon = strrchr(environment->server->resp, ':');
    set_text(ret_value, colon == NULL ? "0" : colon + 1);
}

static void directory(const struct protocol_environment *environment, char *ret_value)
{
    set_text(ret_value, environment->server->data_dir);
}

static const struct {
    const char *name;
    setting_fn *value;
} settings[] = {
    { "save", no_snapshots },
    { "appendonly", append_only },
    { "appendfsync", append_sync },
    { "databases", databases },
    { "maxmemory", no_memory_limit },
    { "maxmemory-policy", no_eviction },
    { "proto-max-bulk-len", bulk_limit },
    { "bind", address },
    { "port", port },
    { "dir", directory },
};

enum { SETTING_COUNT = sizeof(settings) / sizeof(settings[0]) };

static bool is_asked(const struct resp_call *call, const char *name)
{
    for (uint32_t i = 2; i < call->count; i++)
        if (resp_glob_match(resp_call_argument(call, i), bytes_of_string(name)))
            return true;
    return false;
}

static void config_get(struct resp_call *call)
{
    bool asked[SETTING_COUNT];
    uint64_t count = 0;
    for (int i = 0; i < SETTING_COUNT; i++)
        count += asked[i] = is_asked(call, settings[i].name);
    resp_write_array(call->out, count * 2);
    for (int i = 0; i < SETTING_COUNT; i++) {
        char value[VALUE_MAX];
        if (!asked[i])
            continue;
        settings[i].value(call->connection->environment, value);
        resp_write_text(call->out, settings[i].name);
        resp_write_text(call->out, value);
    }
}

void resp_run_config(struct resp_call *call)
{
    if (!resp_is(resp_call_argument(call, 1), "get"))
        resp_write_error(call->out, "ERR",
                         "only CONFIG GET is supported: settings are in kvorum.conf, "
                         "read at start");
    else if (call->count < 3)
        resp_write_error(call->out, "ERR", "wrong number of arguments for 'config|get' command");
    else
        config_get(call);
}
