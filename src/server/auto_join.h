/* SPDX-License-Identifier: Apache-2.0 */
/** [node] auto_join: the shell around cluster/epoch/auto_join.h.  Thread: reactor 0. */
#ifndef SERVER_AUTO_JOIN_H
#define SERVER_AUTO_JOIN_H

#include "cluster/epoch/auto_join.h"

struct server;

struct server_auto_join {
    struct auto_join look;
    bool committing, over;
    char told[256]; /* what was logged last */
};

/** Several times a second, once the shard is there. */
void auto_join_tick(struct server *server);

#endif
