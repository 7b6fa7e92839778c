/* SPDX-License-Identifier: Apache-2.0 */
/** What stores*.c share: what a reactor knows of each of its stores. */
#ifndef SERVER_STORES_INTERNAL_H
#define SERVER_STORES_INTERNAL_H

#include "server/internal.h"

struct store_job {
    struct job job;
    struct reactor *reactor;
    uint16_t index;
    kvorum_status status;
    struct engine *engine;
    struct engine_commit check; /* a barrier that asks whether it still takes writes */
    bool checking;
};

struct store_opening {
    unsigned left; /* jobs to finish */
    struct store_job stores[NODE_STORES_MAX];
};

#endif
