/* SPDX-License-Identifier: Apache-2.0 */
/** What the command line takes from server/: the server itself and its configuration. */
#ifndef CLI_SERVER_COMMAND_H
#define CLI_SERVER_COMMAND_H

#include <stdio.h>

int command_server(int argc, char **argv);
/** The server's flags, explained. */
void server_command_help(FILE *file);
/** Their names with dashes, on one line. */
void server_command_flags(FILE *file);

#endif
