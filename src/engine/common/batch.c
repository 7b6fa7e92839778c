/* SPDX-License-Identifier: Apache-2.0 */
/* struct engine_batch: its bytes, as encoded by the caller's thread and later logged as they are.
 *
 *      repeated: kind u8 | key size varint | key | but for DELETE: value size varint | value
 *
 * A batch keeps its memory when it is reset, so a loop of equal batches does not allocate. */
#include "engine/common/batch.h"

#include "base/buffer.h"
#include "codec/varint.h"
#include <stdlib.h>

struct engine_batch {
    struct buffer bytes;
    struct batch_totals totals;
    bool urgent;
};

static void add_to(struct batch_totals *totals, const struct batch_change *change)
{
    totals->count++;
    totals->key_size += change->key.size;
    totals->value_size += change->value.size;
    totals->merges += change->kind == ENGINE_MERGE;
    totals->ranges += change->kind == ENGINE_DELETE_RANGE;
    if (change->key.size > totals->key_size_max)
        totals->key_size_max = change->key.size;
}

struct engine_batch *engine_batch_create(void)
{
    struct engine_batch *batch = calloc(1, sizeof(*batch));
    if (batch != NULL)
        buffer_init(&batch->bytes, ENGINE_BATCH_SIZE_MAX);
    return batch;
}

void engine_batch_destroy(struct engine_batch *batch)
{
    if (batch == NULL)
        return;
    buffer_done(&batch->bytes);
    free(batch);
}

void engine_batch_reset(struct engine_batch *batch)
{
    buffer_reset(&batch->bytes);
    batch->totals = (struct batch_totals){ 0 };
    batch->urgent = false;
}

void engine_batch_set_urgent(struct engine_batch *batch)
{
    batch->urgent = true;
}

bool engine_batch_urgent(const struct engine_batch *batch)
{
    return batch->urgent;
}

static uint8_t *put_sized(uint8_t *at, struct bytes bytes)
{
    at = varint_put(at, bytes.size);
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static kvorum_status append(struct engine_batch *batch, enum engine_change kind, struct bytes key,
                            struct bytes value)
{
    if (key.size == 0)
        return KVORUM_INVALID;
    if (key.size > ENGINE_KEY_SIZE_MAX || value.size > ENGINE_VALUE_SIZE_MAX)
        return KVORUM_TOO_LARGE;
    size_t size = 1 + varint_size(key.size) + key.size;
    if (kind != ENGINE_DELETE)
        size += varint_size(value.size) + value.size;
    if (size > ENGINE_BATCH_SIZE_MAX - batch->bytes.size)
        return KVORUM_TOO_LARGE;
    uint8_t *at = buffer_reserve(&batch->bytes, size);
    if (at == NULL) {
        batch->bytes.failed = false; /* the batch as it was is still good */
        return KVORUM_NO_MEMORY;
    }
    *at++ = (uint8_t)kind;
    at = put_sized(at, key);
    if (kind != ENGINE_DELETE)
        put_sized(at, value);
    batch->bytes.size += size;
    add_to(&batch->totals, &(struct batch_change){ kind, key, value });
    return KVORUM_OK;
}

kvorum_status engine_batch_put(struct engine_batch *batch, struct bytes key, struct bytes value)
{
    return append(batch, ENGINE_PUT, key, value);
}

kvorum_status engine_batch_delete(struct engine_batch *batch, struct bytes key)
{
    return append(batch, ENGINE_DELETE, key, (struct bytes){ 0 });
}

kvorum_status engine_batch_merge(struct engine_batch *batch, struct bytes key, struct bytes operand)
{
    return append(batch, ENGINE_MERGE, key, operand);
}

kvorum_status engine_batch_delete_range(struct engine_batch *batch, struct bytes lower,
                                        struct bytes upper)
{
    if (upper.size > ENGINE_KEY_SIZE_MAX)
        return KVORUM_TOO_LARGE;
    if (upper.size > 0 && bytes_compare(lower, upper) >= 0)
        return KVORUM_INVALID;
    return append(batch, ENGINE_DELETE_RANGE, lower, upper);
}

size_t engine_batch_count(const struct engine_batch *batch)
{
    return batch->totals.count;
}

uint32_t engine_batch_needs(const struct engine_batch *batch)
{
    return (batch->totals.merges > 0 ? ENGINE_MERGES : 0) |
           (batch->totals.ranges > 0 ? ENGINE_RANGES : 0);
}

const struct batch_totals *engine_batch_totals(const struct engine_batch *batch)
{
    return &batch->totals;
}

struct bytes engine_batch_bytes(const struct engine_batch *batch)
{
    return buffer_bytes(&batch->bytes);
}

/* --- decoding ------------------------------------------------------------------------------ */

/* A size in one byte is nearly every size there is. */
static bool take_size(struct bytes *rest, size_t limit, size_t *ret_size)
{
    if (rest->size > 0 && rest->data[0] < 0x80) {
        *ret_size = rest->data[0];
        *rest = bytes_from(*rest, 1);
        return *ret_size <= rest->size;
    }
    struct reader reader = reader_of(*rest);
    uint64_t size = read_varint(&reader);
    if (reader.failed || size > limit || size > reader.rest.size)
        return false;
    *rest = reader.rest;
    *ret_size = (size_t)size;
    return true;
}

static bool take_sized(struct bytes *rest, size_t limit, struct bytes *ret_bytes)
{
    size_t size;
    if (!take_size(rest, limit, &size))
        return false;
    *ret_bytes = bytes_make(rest->data, size);
    *rest = bytes_from(*rest, size);
    return true;
}

static bool is_range(struct bytes lower, struct bytes upper)
{
    return upper.size == 0 ||
           (upper.size <= ENGINE_KEY_SIZE_MAX && bytes_compare(lower, upper) < 0);
}

static bool take_change(struct bytes *rest, struct batch_change *ret_change)
{
    uint8_t kind = rest->data[0];
    if (kind < ENGINE_PUT || kind > ENGINE_DELETE_RANGE)
        return false;
    *ret_change = (struct batch_change){ .kind = (enum engine_change)kind };
    *rest = bytes_from(*rest, 1);
    if (!take_sized(rest, ENGINE_KEY_SIZE_MAX, &ret_change->key) || ret_change->key.size == 0)
        return false;
    if (kind == ENGINE_DELETE)
        return true;
    if (!take_sized(rest, ENGINE_VALUE_SIZE_MAX, &ret_change->value))
        return false;
    return kind != ENGINE_DELETE_RANGE || is_range(ret_change->key, ret_change->value);
}

bool batch_next(struct batch_cursor *cursor, struct batch_change *ret_change)
{
    if (cursor->rest.size == 0 || cursor->failed)
        return false;
    cursor->failed = !take_change(&cursor->rest, ret_change);
    return !cursor->failed;
}

bool batch_measure(struct bytes bytes, struct batch_totals *ret_totals)
{
    struct batch_totals totals = { 0 };
    struct batch_cursor cursor = batch_cursor_of(bytes);
    struct batch_change change;
    while (batch_next(&cursor, &change))
        add_to(&totals, &change);
    *ret_totals = totals;
    return !cursor.failed;
}
