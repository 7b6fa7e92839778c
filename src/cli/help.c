/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <assert.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/server_command.h"
#include "cli/suggest.h"

static void print_commands(const struct command *commands, const char *prefix, FILE *file)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "%s%s %s", prefix, c->name, c->arguments);
        fprintf(file, "  %-24s %s\n", usage, c->summary);
    }
}

void help_overview(FILE *file)
{
    fputs("kvorum: a masterless key-value store\n\nUsage: kvorum COMMAND [OPTIONS] [ARGUMENTS]\n\n",
          file);
    print_commands(command_table, "", file);
    fputs(
        "\nkvorum COMMAND --help explains a command.  The address of a node is taken from\n"
        "KVORUM_NODE, or 127.0.0.1:8098.\n"
        "Exit codes: 0 done, 1 not found or not healthy, 2 usage, 3 cannot connect, 4 quorum not\n"
        "met, 5 timed out, 6 not allowed, 7 conflict, 8 refused as unsafe, 70 internal error.\n",
        file);
}

static void print_defaults(const struct option *option, FILE *file)
{
    if (option->fallback != NULL)
        fprintf(file, " [%s]", option->fallback);
    if (option->environment != NULL)
        fprintf(file, " [environment: %s]", option->environment);
}

static void print_options(const struct option *options, FILE *file)
{
    fputs("\nOptions:\n", file);
    for (const struct option *o = options; o->name != NULL; o++) {
        if (o->hidden)
            continue;
        char usage[80], letter[8] = "    ";
        if (o->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        snprintf(usage, sizeof(usage), "%s--%s%s%s", letter, o->name,
                 o->argument == NULL ? "" : " ", o->argument == NULL ? "" : o->argument);
        fprintf(file, "  %-32s", usage);
        if (strlen(usage) > 31)
            fprintf(file, "\n  %-32s", "");
        fputs(o->help, file);
        print_defaults(o, file);
        fputc('\n', file);
    }
}

static bool has_levels(const struct option *options)
{
    for (const struct option *o = options; o->name != NULL; o++)
        if (o->kind == OPTION_LEVEL)
            return true;
    return false;
}

void help_command(const struct command *command, const char *path, FILE *file)
{
    bool options = command->options != NULL && command->options->name != NULL;
    fprintf(file, "%s\n\nUsage: kvorum %s%s%s%s\n", command->summary, path,
            options ? " [OPTIONS]" : "", *command->arguments == '\0' ? "" : " ",
            command->arguments);
    if (command->children != NULL) {
        fputs("\nCommands:\n", file);
        print_commands(command->children, "", file);
    }
    if (options)
        print_options(command->options, file);
    if (options && has_levels(command->options))
        fputs(
            "\nLEVEL: a number of replicas, one, quorum, all, local_quorum (a majority of those in "
            "the\nzone of the node that is asked), each_quorum (a majority in every zone that has "
            "any) or\ndefault (what the bucket says).\n",
            file);
    if (command->run_raw != NULL)
        server_command_help(file);
    if (command->details != NULL)
        fprintf(file, "\n%s\n", command->details);
}

int command_help(const struct invocation *invocation)
{
    if (invocation->argument_count == 0) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *command = NULL, *among = command_table;
    char path[64] = "";
    for (int i = 0; i < invocation->argument_count; i++) {
        const char *name = invocation->arguments[i];
        command = command_find(among, name);
        if (command == NULL)
            return fail(EXIT_USAGE, "there is no command '%s%s'\n  Next: kvorum help", path, name);
        size_t size = strlen(path);
        snprintf(path + size, sizeof(path) - size, "%s%s", size == 0 ? "" : " ", command->name);
        among = command->children;
    }
    assert(command != NULL);
    help_command(command, path, stdout);
    return EXIT_DONE;
}
