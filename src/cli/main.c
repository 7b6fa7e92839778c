/* SPDX-License-Identifier: Apache-2.0 */
/* kvorum COMMAND ...: finds the command in the table and runs it. */
#include <string.h>

#include "cli/command_table.h"
#include "cli/help.h"
#include "cli/message.h"
#include "cli/suggest.h"

static int say_unknown(const struct command *commands, const char *path, const char *name)
{
    struct suggestion near = { .meant = name };
    for (const struct command *c = commands; c->name != NULL; c++)
        suggestion_offer(&near, c->name);
    const char *blank = *path == '\0' ? "" : " ";
    if (near.name != NULL)
        return fail(EXIT_USAGE, "there is no command '%s%s%s'; did you mean '%s%s%s'?", path, blank,
                    name, path, blank, near.name);
    return fail(EXIT_USAGE, "there is no command '%s%s%s'\n  Next: kvorum help%s%s", path, blank,
                name, blank, path);
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_command(struct invocation *invocation, int argc, char **argv)
{
    if (!options_parse(invocation, argc, argv))
        return EXIT_USAGE;
    if (invocation->help) {
        help_command(invocation->command, invocation->path, stdout);
        return EXIT_DONE;
    }
    int code = invocation->command->run(invocation);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = fail(EXIT_INTERNAL, "cannot write to standard output");
    return code;
}

int main(int argc, char **argv)
{
    const struct command *commands = command_table, *command = NULL;
    struct invocation invocation = { 0 };
    int at = 1;
    for (; at < argc && commands != NULL; at++) {
        if (asks_for_help(argv[at]))
            break;
        if (strcmp(argv[at], "--version") == 0 && at == 1)
            argv[at] += 2;
        command = command_find(commands, argv[at]);
        if (command == NULL)
            return say_unknown(commands, invocation.path, argv[at]);
        size_t size = strlen(invocation.path);
        snprintf(invocation.path + size, sizeof(invocation.path) - size, "%s%s",
                 size == 0 ? "" : " ", command->name);
        commands = command->children;
    }
    invocation.command = command;
    if (command == NULL || commands != NULL) {
        bool asked = at < argc;
        if (command == NULL)
            help_overview(asked ? stdout : stderr);
        else
            help_command(command, invocation.path, asked ? stdout : stderr);
        return asked ? EXIT_DONE : EXIT_USAGE;
    }
    if (command->run_raw != NULL)
        return command->run_raw(argc - at + 1, argv + at - 1);
    return run_command(&invocation, argc - at, argv + at);
}
