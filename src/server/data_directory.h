/* SPDX-License-Identifier: Apache-2.0 */
/** The data directory of the process, at its start.  Each step returns EXIT_CODE_OK, or has logged
 *  what is wrong and returns the exit code.  Thread: main, before the reactors run. */
#ifndef SERVER_DATA_DIRECTORY_H
#define SERVER_DATA_DIRECTORY_H

#include "kvorum/status.h"

struct server;

/** Make it if it is missing, and lock it: server->disk, server->lock. */
int data_directory_open(struct server *server);
/** Begin a new life: server->identity, server->store_count. */
int data_directory_identify(struct server *server);
/** server->epoch, if it is founded, and server->member.  Behind listeners_bind, which knows our
 *  address. */
int data_directory_load_epoch(struct server *server);
/** Log why it cannot be used.  Returns the exit code for that. */
int data_directory_refuse(const struct server *server, kvorum_status status, const char *why);

#endif
