/* SPDX-License-Identifier: Apache-2.0 */
/** What a store should hold, computed from the batches it took, the slow and plain way: a key is
 *  absent, or a list of pieces whose bytes stand one after another.
 *
 *      put      the list is this piece         merge         the piece is appended
 *      delete   absent                         delete range  so are all its keys
 */
#ifndef SIM_STORE_MODEL_H
#define SIM_STORE_MODEL_H

#include "engine/engine.h"
#include "sim/world/world.h"

enum { MODEL_KEYS = 12, MODEL_CHANGES_MAX = 5, MODEL_PIECES_MAX = 48 };

struct model_change {
    enum engine_change kind;
    uint8_t key, key_end; /* key_end: of a range, the first one kept */
    uint32_t piece;       /* names the bytes */
};

struct model_batch {
    uint32_t change_count;
    struct model_change changes[MODEL_CHANGES_MAX];
};

struct model_value {
    bool present;
    uint32_t piece_count, pieces[MODEL_PIECES_MAX];
};

struct model {
    struct model_value values[MODEL_KEYS];
};

/** Appends operands to what is there. */
extern const struct engine_merge_operator model_operator;

void model_apply(struct model *model, const struct model_batch *batch);
/** Draw a batch for a store that holds `now`; its pieces are numbered from *next_piece on. */
void model_draw(struct world *world, const struct model *now, uint32_t *next_piece,
                struct model_batch *ret_batch);
void model_fill(const struct model_batch *batch, struct engine_batch *ret_batch);
void model_bytes(const struct model_value *value, struct buffer *ret_bytes);
/** True when `found` (when `status` is OK) is what `value` says. */
bool model_agrees(const struct model_value *value, kvorum_status status, struct bytes found);

#endif
