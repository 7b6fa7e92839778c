/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/merge/fold.h"

#include <stdlib.h>

void lsm_fold_init(struct lsm_fold *fold)
{
    *fold = (struct lsm_fold){ 0 };
    buffer_init(&fold->bytes, ENGINE_BATCH_SIZE_MAX);
}

void lsm_fold_done(struct lsm_fold *fold)
{
    buffer_done(&fold->bytes);
    free(fold->ends);
    *fold = (struct lsm_fold){ 0 };
}

void lsm_fold_reset(struct lsm_fold *fold)
{
    buffer_reset(&fold->bytes);
    fold->count = 0;
}

bool lsm_fold_add(struct lsm_fold *fold, struct bytes operand)
{
    if (fold->count == fold->capacity) {
        size_t capacity = fold->capacity == 0 ? 16 : fold->capacity * 2;
        size_t *ends = realloc(fold->ends, capacity * sizeof(*ends));
        if (ends == NULL)
            return false;
        fold->ends = ends;
        fold->capacity = capacity;
    }
    buffer_append_bytes(&fold->bytes, operand);
    if (fold->bytes.failed)
        return false;
    fold->ends[fold->count++] = fold->bytes.size;
    return true;
}

static struct bytes operand_at(const struct lsm_fold *fold, size_t index)
{
    size_t begin = index == 0 ? 0 : fold->ends[index - 1];
    return bytes_make(fold->bytes.data + begin, fold->ends[index] - begin);
}

kvorum_status lsm_fold_apply(const struct lsm_fold *fold, bool newest_first,
                             const struct engine_merge_operator *merge, struct bytes key,
                             const struct bytes *base, struct buffer *ret_value)
{
    if (merge == NULL)
        return KVORUM_UNSUPPORTED;
    struct bytes *operands = malloc(fold->count * sizeof(*operands));
    if (operands == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < fold->count; i++)
        operands[i] = operand_at(fold, newest_first ? fold->count - 1 - i : i);
    kvorum_status status =
        merge->merge(merge->context, key, base, operands, fold->count, ret_value);
    free(operands);
    return status == KVORUM_OK && ret_value->failed ? KVORUM_NO_MEMORY : status;
}
