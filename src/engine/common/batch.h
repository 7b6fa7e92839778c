/* SPDX-License-Identifier: Apache-2.0 */
/** Batches from the engine's side: a checked walk over their bytes, which may come from a log.
 *
 *      struct batch_cursor cursor = batch_cursor_of(bytes);
 *      struct batch_change change;
 *      while (batch_next(&cursor, &change)) ...
 *      if (cursor.failed) ...                        the bytes are no batch
 */
#ifndef ENGINE_COMMON_BATCH_H
#define ENGINE_COMMON_BATCH_H

#include "engine/engine.h"

struct batch_change {
    enum engine_change kind;
    struct bytes key, value; /* views; value is empty for DELETE, the upper bound for a range */
};

struct batch_cursor {
    struct bytes rest;
    bool failed;
};

static inline struct batch_cursor batch_cursor_of(struct bytes bytes)
{
    return (struct batch_cursor){ bytes, false };
}

/** Next change; false at the end or when the rest is malformed (`failed`). */
bool batch_next(struct batch_cursor *cursor, struct batch_change *ret_change);

/** What a batch would need at most, for checks before anything is changed. */
struct batch_totals {
    size_t count, key_size, value_size, key_size_max;
    size_t merges, ranges; /* changes of these kinds */
};
/** Capabilities that an engine must have to take this batch. */
uint32_t engine_batch_needs(const struct engine_batch *batch);
/** What batch_measure says of its bytes. */
const struct batch_totals *engine_batch_totals(const struct engine_batch *batch);

/** False when the bytes are no batch. */
bool batch_measure(struct bytes bytes, struct batch_totals *ret_totals);

#endif
