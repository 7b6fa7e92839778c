/* SPDX-License-Identifier: Apache-2.0 */
/* The adapters that were built in; the build knows which libraries are installed. */
#include "bench/engines/peers.h"

#include <string.h>

const struct peer_ops *const peers[] = {
    &peer_lsm,
    &peer_memory,
#ifdef BENCH_ROCKSDB
    &peer_rocksdb,
#endif
#ifdef BENCH_LEVELDB
    &peer_leveldb,
#endif
#ifdef BENCH_LMDB
    &peer_lmdb,
#endif
#ifdef BENCH_WIREDTIGER
    &peer_wiredtiger,
#endif
    &peer_planted_NONE,
    &peer_planted_FORGETS,
    &peer_planted_MIXES_UP,
    &peer_planted_CUTS,
    &peer_planted_KEEPS_OLD,
    &peer_planted_INVENTS,
    &peer_planted_REPEATS,
    NULL,
};

const struct peer_ops *peer_find(const char *name)
{
    for (size_t i = 0; peers[i] != NULL; i++) {
        if (strcmp(peers[i]->name, name) == 0)
            return peers[i];
    }
    return NULL;
}
