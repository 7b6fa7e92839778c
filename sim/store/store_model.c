/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store_model.h"

#include <stdlib.h>

enum { PUT_SIZE_MAX = 1800, OPERAND_SIZE_MAX = 120, BYTES_MAX = 1 << 20 };

static kvorum_status append(void *context, struct bytes key, const struct bytes *base,
                            const struct bytes *operands, size_t count, struct buffer *ret_value)
{
    (void)context;
    (void)key;
    if (base != NULL)
        buffer_append_bytes(ret_value, *base);
    for (size_t i = 0; i < count; i++)
        buffer_append_bytes(ret_value, operands[i]);
    return ret_value->failed ? KVORUM_NO_MEMORY : KVORUM_OK;
}

const struct engine_merge_operator model_operator = { .name = "sim append", .merge = append };

static void must(kvorum_status status)
{
    if (status != KVORUM_OK)
        abort();
}

/* Every fourth piece is an operand, and small. */
static void append_piece(uint32_t piece, struct buffer *buffer)
{
    uint32_t most = piece % 4 == 0 ? OPERAND_SIZE_MAX : PUT_SIZE_MAX;
    size_t end = buffer->size + piece * 2654435761u % most;
    buffer_printf(buffer, "%u ", piece);
    while (buffer->size < end)
        buffer_append_u8(buffer, (uint8_t)(piece + (end - buffer->size) * 7));
}

void model_apply(struct model *model, const struct model_batch *batch)
{
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct model_change *change = &batch->changes[i];
        struct model_value *value = &model->values[change->key];
        switch (change->kind) {
        case ENGINE_PUT:
            *value = (struct model_value){ true, 1, { change->piece } };
            break;
        case ENGINE_MERGE:
            value->present = true;
            value->pieces[value->piece_count++] = change->piece;
            break;
        case ENGINE_DELETE:
            *value = (struct model_value){ 0 };
            break;
        case ENGINE_DELETE_RANGE:
            for (uint8_t key = change->key; key < change->key_end; key++)
                model->values[key] = (struct model_value){ 0 };
            break;
        }
    }
}

static void draw_change(struct world *world, const struct model *now, uint32_t *next_piece,
                        struct model_change *ret)
{
    static const enum engine_change kinds[] = { ENGINE_PUT,    ENGINE_PUT,   ENGINE_PUT,
                                                ENGINE_DELETE, ENGINE_MERGE, ENGINE_MERGE };
    *ret = (struct model_change){ .key = (uint8_t)choose(world, MODEL_KEYS) };
    ret->kind = kinds[choose(world, sizeof(kinds) / sizeof(*kinds))];
    if (choose(world, 16) == 0)
        ret->kind = ENGINE_DELETE_RANGE;
    /* a batch may merge into one key several times */
    if (now->values[ret->key].piece_count + MODEL_CHANGES_MAX > MODEL_PIECES_MAX)
        ret->kind = ENGINE_PUT;
    ret->key_end = (uint8_t)choose_between(world, ret->key + 1u, MODEL_KEYS);
    uint32_t piece = (*next_piece)++;
    ret->piece = ret->kind == ENGINE_MERGE ? piece * 4 : piece * 4 + 1;
}

void model_draw(struct world *world, const struct model *now, uint32_t *next_piece,
                struct model_batch *ret_batch)
{
    ret_batch->change_count = (uint32_t)choose(world, MODEL_CHANGES_MAX + 1);
    for (uint32_t i = 0; i < ret_batch->change_count; i++)
        draw_change(world, now, next_piece, &ret_batch->changes[i]);
}

void model_fill(const struct model_batch *batch, struct engine_batch *ret_batch)
{
    struct buffer bytes;
    buffer_init(&bytes, BYTES_MAX);
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct model_change *change = &batch->changes[i];
        struct bytes key = bytes_make(&change->key, 1), end = bytes_make(&change->key_end, 1);
        buffer_reset(&bytes);
        append_piece(change->piece, &bytes);
        if (change->kind == ENGINE_PUT)
            must(engine_batch_put(ret_batch, key, buffer_bytes(&bytes)));
        else if (change->kind == ENGINE_MERGE)
            must(engine_batch_merge(ret_batch, key, buffer_bytes(&bytes)));
        else if (change->kind == ENGINE_DELETE)
            must(engine_batch_delete(ret_batch, key));
        else
            must(engine_batch_delete_range(ret_batch, key, end));
    }
    buffer_done(&bytes);
}

void model_bytes(const struct model_value *value, struct buffer *ret_bytes)
{
    buffer_reset(ret_bytes);
    for (uint32_t i = 0; i < value->piece_count; i++)
        append_piece(value->pieces[i], ret_bytes);
}

bool model_agrees(const struct model_value *value, kvorum_status status, struct bytes found)
{
    if (!value->present || status != KVORUM_OK)
        return !value->present && status == KVORUM_NOT_FOUND;
    struct buffer expected;
    buffer_init(&expected, BYTES_MAX);
    model_bytes(value, &expected);
    bool same = bytes_equal(found, buffer_bytes(&expected));
    buffer_done(&expected);
    return same;
}
