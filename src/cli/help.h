/* SPDX-License-Identifier: Apache-2.0 */
/** Help texts, made from the tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/option.h"

/** All commands, one line each. */
void help_overview(FILE *file);
/** One command with its options, or its subcommands. */
void help_command(const struct command *command, const char *path, FILE *file);

#endif
