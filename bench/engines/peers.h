/* SPDX-License-Identifier: Apache-2.0 */
/** The adapters. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench/engines/peer.h"

extern const struct peer_ops peer_lsm, peer_memory, peer_rocksdb, peer_leveldb, peer_lmdb,
    peer_wiredtiger;
/** For the test of the harness. */
extern const struct peer_ops peer_planted_NONE, peer_planted_FORGETS, peer_planted_MIXES_UP,
    peer_planted_CUTS, peer_planted_KEEPS_OLD, peer_planted_INVENTS, peer_planted_REPEATS;

#endif
