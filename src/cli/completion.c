/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts, made from the tables.  The script asks nothing at run time: all words
 * stand in one case statement, by what was typed so far. */
#include <string.h>

#include "cli/command_table.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/server_command.h"

static void print_names(const struct command *commands)
{
    for (const struct command *c = commands; c->name != NULL; c++)
        printf("%s%s", c == commands ? "" : " ", c->name);
}

static void print_option_names(const struct command *command)
{
    const char *separator = "";
    for (const struct option *o = command->options; o != NULL && o->name != NULL; o++) {
        if (o->hidden)
            continue;
        printf("%s--%s", separator, o->name);
        separator = " ";
    }
    if (command->run_raw != NULL)
        server_command_flags(stdout);
}

/* A branch of the case statement for each command and subcommand. */
static void print_branches(const struct command *commands, const char *prefix)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        printf("    '%s%s') words='", prefix, c->name);
        if (c->children != NULL)
            print_names(c->children);
        else
            print_option_names(c);
        printf("' ;;\n");
        if (c->children != NULL) {
            char path[64];
            snprintf(path, sizeof(path), "%s%s ", prefix, c->name);
            print_branches(c->children, path);
        }
    }
}

/* Values of choices, after --name or -x. */
static void print_choices(const struct command *commands)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->children != NULL)
            print_choices(c->children);
        for (const struct option *o = c->options; o != NULL && o->name != NULL; o++) {
            if (o->kind != OPTION_CHOICE)
                continue;
            printf("    '%s --%s') words='", c->name, o->name);
            for (const char *p = o->argument; *p != '\0'; p++)
                putchar(*p == '|' ? ' ' : *p);
            printf("' ;;\n");
        }
    }
}

static void print_bash(void)
{
    printf("# bash completion of kvorum: source it, or keep it in /etc/bash_completion.d/\n"
           "_kvorum() {\n"
           "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
           "  local path=${COMP_WORDS[1]} last words='' i\n"
           "  [[ $path == demo || $path == config ]] && (( COMP_CWORD > 2 )) && "
           "path+=\" ${COMP_WORDS[2]}\"\n"
           "  (( COMP_CWORD == 1 )) && path=''\n"
           "  last=${path##* }\n"
           "  [[ $previous == -o ]] && previous=--output\n"
           "  case \"$path\" in\n    '') words='");
    print_names(command_table);
    printf("' ;;\n");
    print_branches(command_table, "");
    printf("  esac\n  case \"$last $previous\" in\n");
    print_choices(command_table);
    printf("    'help help' | 'help') words='");
    print_names(command_table);
    printf("' ;;\n    'completion completion') words='bash zsh' ;;\n  esac\n"
           "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
           "  [[ -n ${COMPREPLY[*]} || $current == -* ]] || COMPREPLY=($(compgen -f -- "
           "\"$current\"))\n"
           "}\ncomplete -o filenames -F _kvorum kvorum ./kvorum\n");
}

int command_completion(const struct invocation *invocation)
{
    const char *shell = invocation->arguments[0];
    if (strcmp(shell, "zsh") == 0)
        printf("#compdef kvorum\nautoload -U +X bashcompinit && bashcompinit\n");
    else if (strcmp(shell, "bash") != 0)
        return fail(EXIT_USAGE, "there is no completion for '%s'; bash and zsh have one", shell);
    print_bash();
    return EXIT_DONE;
}
