/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND: the table of commands as clients read it to learn arities and the places of keys. */
#include "server/protocol/resp/internal.h"

static const struct {
    uint16_t flag;
    const char *name;
} flag_names[] = {
    { RESP_WRITE, "write" }, { RESP_READONLY, "readonly" }, { RESP_FAST, "fast" },
    { RESP_ADMIN, "admin" }, { RESP_LOADING, "loading" },
};

enum { FLAG_COUNT = sizeof(flag_names) / sizeof(flag_names[0]) };

static void write_flags(struct buffer *out, uint16_t flags)
{
    uint64_t count = 0;
    for (int i = 0; i < FLAG_COUNT; i++)
        count += (flags & flag_names[i].flag) != 0;
    resp_write_array(out, count);
    for (int i = 0; i < FLAG_COUNT; i++)
        if ((flags & flag_names[i].flag) != 0)
            resp_write_simple(out, flag_names[i].name);
}

static void write_command(struct buffer *out, const struct resp_command *command)
{
    resp_write_array(out, 10);
    resp_write_text(out, command->name);
    resp_write_integer(out, command->arity);
    write_flags(out, command->flags);
    resp_write_integer(out, command->first_key);
    resp_write_integer(out, command->last_key);
    resp_write_integer(out, command->key_step);
    for (int i = 0; i < 4; i++) /* categories, tips, key specifications, subcommands */
        resp_write_array(out, 0);
}

static void write_docs(struct buffer *out, const struct resp_command *command)
{
    resp_write_text(out, command->name);
    resp_write_array(out, 6);
    resp_write_text(out, "summary");
    resp_write_text(out, command->summary);
    resp_write_text(out, "since");
    resp_write_text(out, "1.0.0");
    resp_write_text(out, "group");
    resp_write_text(out, command->group);
}

static void command_all(struct resp_call *call)
{
    resp_write_array(call->out, resp_command_count);
    for (uint32_t i = 0; i < resp_command_count; i++)
        write_command(call->out, &resp_commands[i]);
}

static void command_count(struct resp_call *call)
{
    resp_write_integer(call->out, resp_command_count);
}

static void command_list(struct resp_call *call)
{
    resp_write_array(call->out, resp_command_count);
    for (uint32_t i = 0; i < resp_command_count; i++)
        resp_write_text(call->out, resp_commands[i].name);
}

static void command_info(struct resp_call *call)
{
    if (call->count == 2) {
        command_all(call);
        return;
    }
    resp_write_array(call->out, call->count - 2);
    for (uint32_t i = 2; i < call->count; i++) {
        const struct resp_command *command = resp_command_find(resp_call_argument(call, i));
        if (command != NULL)
            write_command(call->out, command);
        else
            buffer_append_text(call->out, "*-1\r\n");
    }
}

static void docs_of_all(struct resp_call *call)
{
    resp_write_array(call->out, resp_command_count * 2);
    for (uint32_t i = 0; i < resp_command_count; i++)
        write_docs(call->out, &resp_commands[i]);
}

static void command_docs(struct resp_call *call)
{
    uint64_t known = 0;
    if (call->count == 2) {
        docs_of_all(call);
        return;
    }
    for (uint32_t i = 2; i < call->count; i++)
        known += resp_command_find(resp_call_argument(call, i)) != NULL;
    resp_write_array(call->out, known * 2);
    for (uint32_t i = 2; i < call->count; i++) {
        const struct resp_command *command = resp_command_find(resp_call_argument(call, i));
        if (command != NULL)
            write_docs(call->out, command);
    }
}

static const struct {
    const char *name;
    void (*run)(struct resp_call *call);
} subcommands[] = {
    { "count", command_count },
    { "list", command_list },
    { "info", command_info },
    { "docs", command_docs },
};

void resp_run_command(struct resp_call *call)
{
    if (call->count == 1) {
        command_all(call);
        return;
    }
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (resp_is(resp_call_argument(call, 1), subcommands[i].name)) {
            subcommands[i].run(call);
            return;
        }
    resp_write_error(call->out, "ERR",
                     "unknown subcommand of COMMAND: there are COUNT, DOCS, INFO, LIST");
}
