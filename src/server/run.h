/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_RUN_H
#define SERVER_RUN_H

#include "server/config.h"

/** Serve with a configuration that was checked.  Blocks until stopped; returns the exit code. */
int server_run(const struct config *config);

#endif
