/* SPDX-License-Identifier: Apache-2.0 */
/** Readers of a lone store who take their time: snapshots, iterators and lent values are held over
 *  writes, flushes and compactions, and must go on showing what was there when they came. */
#ifndef SIM_STORE_READERS_H
#define SIM_STORE_READERS_H

#include "sim/disk/disk.h"
#include "sim/store/store_model.h"

enum { READERS_MAX = 4 };

enum reader_kind { READER_NONE, READER_SNAPSHOT, READER_ITERATOR, READER_VIEW };

struct reader_held {
    enum reader_kind kind;
    struct model model; /* of when it came */
    struct engine_snapshot *snapshot;
    struct engine_iterator *iterator;
    int at; /* key the iterator stands on; -1: none */
    struct engine_view view;
    uint8_t key; /* of the view */
};

struct readers {
    struct world *world;
    const struct sim_disk *disk;
    struct reader_held held[READERS_MAX];
};

/** One reader comes, looks again, or goes; `now` is what `engine` should hold. */
void readers_step(struct readers *readers, struct engine *engine, const struct model *now);
/** All go, as they must before the engine is closed. */
void readers_leave(struct readers *readers, struct engine *engine);

#endif
