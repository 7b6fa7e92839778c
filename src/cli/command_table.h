/* SPDX-License-Identifier: Apache-2.0 */
/** All commands.  Ends with a command without name. */
#ifndef CLI_COMMAND_TABLE_H
#define CLI_COMMAND_TABLE_H

#include "cli/option.h"

extern const struct command command_table[];

/** The command named, or NULL.  `commands` is the table or some command's children. */
const struct command *command_find(const struct command *commands, const char *name);

#endif
