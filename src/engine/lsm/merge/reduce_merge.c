/* SPDX-License-Identifier: Apache-2.0 */
/* Merge operands of a reduction: collected, copied, until what lies below them is known; then one
 * PUT replaces them, or they are handed out one after the other.
 *
 *      +3  +2  +1  =5              becomes  =11, numbered as +3 was
 *      +3  +2  | snapshot |  =5    stays: who reads at the snapshot must not see them */
#include "engine/lsm/merge/reduce_internal.h"

#include <stdlib.h>

enum {
    /* Operands of one key that are combined at once; of more, each such part by itself, so that a
     * counter of a billion steps does not have to fit into memory. */
    OPERANDS_SIZE_MAX = 64 << 20,
};

static bool operands_grow(struct operands *operands)
{
    if (operands->count < operands->capacity)
        return true;
    size_t capacity = operands->capacity * 2 + 16;
    struct operand *list = realloc(operands->list, capacity * sizeof(*list));
    if (list == NULL)
        return false;
    operands->list = list;
    struct bytes *views = realloc(operands->views, capacity * sizeof(*views));
    if (views == NULL)
        return false;
    operands->views = views;
    operands->capacity = capacity;
    return true;
}

static bool operands_add(struct operands *operands, const struct lsm_entry *entry)
{
    size_t offset = operands->values.size;
    buffer_append_bytes(&operands->values, entry->value);
    if (operands->values.failed || !operands_grow(operands))
        return false;
    operands->list[operands->count++] =
        (struct operand){ offset, entry->value.size, entry->sequence };
    return true;
}

static struct bytes operand_value(const struct operands *operands, size_t index)
{
    const struct operand *operand = &operands->list[index];
    return bytes_from(bytes_make(operands->values.data, operand->offset + operand->size),
                      operand->offset);
}

/* True: the source stands on a version of the key in `stripe` that is not covered. */
static bool in_stripe(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    const struct lsm_source *source = reduce->source;
    return source->valid && is_key(reduce, source->entry.key) &&
           source->entry.sequence >= stripe->lowest && source->entry.sequence >= stripe->cover;
}

/* The source moves to the first version that is no operand, or out of the stripe. */
static kvorum_status collect(struct lsm_reduce *reduce, const struct stripe *stripe)
{
    struct operands *operands = &reduce->operands;
    operands->count = operands->handed_out = 0;
    buffer_reset(&operands->values);
    do {
        if (!operands_add(operands, &reduce->source->entry))
            return KVORUM_NO_MEMORY;
        move_on(reduce);
        if (reduce->source->status != KVORUM_OK)
            return reduce->source->status;
    } while (in_stripe(reduce, stripe) && reduce->source->entry.kind == LSM_MERGE &&
             operands->values.size < OPERANDS_SIZE_MAX);
    return KVORUM_OK;
}

static kvorum_status find_blob(struct lsm_reduce *reduce, bool *ret_known, struct bytes *ret_base)
{
    kvorum_status status =
        reduce->options.blob_read == NULL ? KVORUM_CORRUPT : read_blob(reduce, ret_base);
    *ret_known = status == KVORUM_OK;
    return is_damage(status) ? KVORUM_OK : status;
}

/* What the operands are merged into, if that is *ret_known: *ret_base, which is `base` or, when the
 * key is absent there, NULL. */
static kvorum_status find_base(struct lsm_reduce *reduce, const struct stripe *stripe,
                               bool *ret_known, const struct bytes **ret_base, struct bytes *base)
{
    const struct lsm_source *source = reduce->source;
    *ret_known = true;
    *ret_base = NULL;
    if (!in_stripe(reduce, stripe)) {
        bool ended = !source->valid || !is_key(reduce, source->entry.key);
        *ret_known = stripe->cover > 0 || (ended && reduce->options.bottom);
        return KVORUM_OK;
    }
    switch (source->entry.kind) {
    case LSM_PUT:
        *base = source->entry.value;
        *ret_base = base;
        return KVORUM_OK;
    case LSM_BLOB:
        *ret_base = base;
        return find_blob(reduce, ret_known, base);
    case LSM_DELETE:
        return KVORUM_OK;
    default: /* more operands than are taken at once */
        *ret_known = false;
        return KVORUM_OK;
    }
}

struct lsm_entry lsm_reduce_operand(struct lsm_reduce *reduce)
{
    struct operands *operands = &reduce->operands;
    size_t index = operands->handed_out++;
    return (struct lsm_entry){ buffer_bytes(&reduce->key), operand_value(operands, index),
                               operands->list[index].sequence, LSM_MERGE };
}

static kvorum_status call_operator(struct lsm_reduce *reduce, const struct bytes *base)
{
    const struct engine_merge_operator *merge = reduce->options.merge;
    struct operands *operands = &reduce->operands;
    for (size_t i = 0; i < operands->count; i++)
        operands->views[operands->count - 1 - i] = operand_value(operands, i);
    buffer_reset(&reduce->result);
    return merge->merge(merge->context, buffer_bytes(&reduce->key), base, operands->views,
                        operands->count, &reduce->result);
}

/* Hand out what the operator made, as one PUT in place of all. */
static kvorum_status combined(struct lsm_reduce *reduce, const struct stripe *stripe,
                              struct lsm_entry *ret_entry)
{
    uint64_t sequence = reduce->operands.list[0].sequence;
    struct bytes value = buffer_bytes(&reduce->result);
    reduce->operands.count = 0;
    reduce->hidden_from = stripe->lowest;
    bool keep = !filter_wanted(reduce, stripe) || filter_keeps(reduce, value);
    if (!keep && at_bottom(reduce, stripe))
        return NONE_KEPT;
    *ret_entry = (struct lsm_entry){ .key = buffer_bytes(&reduce->key),
                                     .value = keep ? value : (struct bytes){ 0 },
                                     .sequence = at_bottom(reduce, stripe) ? 0 : sequence,
                                     .kind = keep ? LSM_PUT : LSM_DELETE };
    return KVORUM_OK;
}

/* An operator that refuses its operands is a matter for whoever reads the key: here they stay as
 * they are, so that one bad operand does not stop all compactions. */
static bool must_stop(kvorum_status status)
{
    return status == KVORUM_NO_MEMORY || status == KVORUM_IO;
}

kvorum_status lsm_reduce_merge(struct lsm_reduce *reduce, const struct stripe *stripe,
                               struct lsm_entry *ret_entry)
{
    const struct bytes *base;
    struct bytes base_value;
    bool known;
    if (reduce->options.merge == NULL) {
        reduce->open = true;
        reduce->lent = true;
        *ret_entry = reduce->source->entry;
        return KVORUM_OK;
    }
    kvorum_status status = collect(reduce, stripe);
    if (status == KVORUM_OK)
        status = find_base(reduce, stripe, &known, &base, &base_value);
    if (status != KVORUM_OK)
        return status;
    if (known) {
        status = call_operator(reduce, base);
        if (status == KVORUM_OK && !reduce->result.failed)
            return combined(reduce, stripe, ret_entry);
        if (must_stop(status))
            return status;
    }
    reduce->open = true;
    *ret_entry = lsm_reduce_operand(reduce);
    return KVORUM_OK;
}
