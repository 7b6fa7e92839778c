/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in the store of the objects they are about, so that one batch holds both:
 *
 *      'h'  target (16)  key of the object                  format u8 | order u64 | size varint
 *      'i'  target (16)  order u64, big-endian  key         format u8 | epoch varint | size varint
 *      'j'  target (16)  partition u16, big-endian  kind u8 format u8 | wall clock ms u64
 *
 * An 'h' entry with an empty value was written by a release before queues. */
#include "cluster/handoff/hint.h"

#include <endian.h>

#include "base/planted.h"
#include "codec/varint.h"

enum { FORMAT = 0x81, ORDER_SIZE = 8, MARK_SIZE = 3 }; /* no object begins with that byte */

static uint8_t *begin_key(struct arena *arena, char kind, const struct node_id *target,
                          size_t rest_size)
{
    uint8_t *data = arena_allocate(arena, HINT_PREFIX_SIZE + rest_size);
    if (data == NULL)
        return NULL;
    data[0] = (uint8_t)kind;
    memcpy(data + 1, target->bytes, NODE_ID_SIZE);
    return data;
}

/* The kind, the target, a number big-endian in its lowest `number_size` bytes, and `tail`. */
static struct bytes make_key(struct arena *arena, char kind, const struct node_id *target,
                             uint64_t number, size_t number_size, struct bytes tail)
{
    uint8_t *data = begin_key(arena, kind, target, number_size + tail.size);
    if (data == NULL)
        return (struct bytes){ 0 };
    uint64_t big = htobe64(number);
    memcpy(data + HINT_PREFIX_SIZE, (uint8_t *)&big + sizeof(big) - number_size, number_size);
    if (tail.size > 0)
        memcpy(data + HINT_PREFIX_SIZE + number_size, tail.data, tail.size);
    return bytes_make(data, HINT_PREFIX_SIZE + number_size + tail.size);
}

struct bytes hint_queue_key(struct arena *arena, const struct hint *hint)
{
    return make_key(arena, 'i', &hint->target, hint->order, ORDER_SIZE, hint->key);
}

struct bytes hint_queue_from(struct arena *arena, const struct node_id *target, uint64_t order)
{
    return make_key(arena, 'i', target, order, ORDER_SIZE, (struct bytes){ 0 });
}

/* Behind the largest order nothing of a clock comes. */
struct bytes hint_queue_end(struct arena *arena, const struct node_id *target)
{
    return make_key(arena, 'i', target, UINT64_MAX, ORDER_SIZE, (struct bytes){ 0 });
}

struct bytes hint_index_key(struct arena *arena, const struct node_id *target, struct bytes key)
{
    return make_key(arena, 'h', target, 0, 0, key);
}

/* No key in a store begins with that byte. */
struct bytes hint_indexes_end(struct arena *arena, const struct node_id *target)
{
    return make_key(arena, 'h', target, UINT8_MAX, 1, (struct bytes){ 0 });
}

struct bytes hint_mark_key(struct arena *arena, const struct node_id *target, uint32_t partition,
                           enum hint_mark mark)
{
    return make_key(arena, 'j', target, partition << 8 | mark, MARK_SIZE, (struct bytes){ 0 });
}

struct bytes hint_marks_end(struct arena *arena, const struct node_id *target)
{
    return make_key(arena, 'j', target, UINT64_MAX, MARK_SIZE + 1, (struct bytes){ 0 });
}

/* --- values ---------------------------------------------------------------------------------- */

static void put_u64(struct hint_value *value, uint64_t number)
{
    number = htole64(number);
    memcpy(value->data + value->size, &number, sizeof(number));
    value->size += sizeof(number);
}

static void put_varint(struct hint_value *value, uint64_t number)
{
    value->size = (size_t)(varint_put(value->data + value->size, number) - value->data);
}

static void begin_value(struct hint_value *value)
{
    value->data[0] = FORMAT;
    value->size = 1;
}

void hint_queue_value(const struct hint *hint, struct hint_value *ret)
{
    begin_value(ret);
    put_varint(ret, hint->epoch);
    put_varint(ret, hint->size);
}

void hint_index_value(const struct hint *hint, struct hint_value *ret)
{
    begin_value(ret);
    put_u64(ret, hint->order);
    put_varint(ret, hint->size);
}

void hint_mark_value(uint64_t made_ms, struct hint_value *ret)
{
    begin_value(ret);
    put_u64(ret, made_ms);
}

/* --- reading --------------------------------------------------------------------------------- */

static uint64_t big_endian(const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | data[i];
    return number;
}

static enum hint_entry parse_index(struct bytes value, struct hint *hint)
{
    if (value.size == 0)
        return HINT_ENTRY_MARKER;
    struct reader reader = reader_of(value);
    bool known = read_u8(&reader) == FORMAT;
    hint->order = read_u64(&reader);
    hint->size = read_varint(&reader);
    return known && reader_finished(&reader) ? HINT_ENTRY_INDEX : HINT_ENTRY_NONE;
}

static enum hint_entry parse_queue(struct bytes value, struct hint *hint)
{
    if (hint->key.size <= ORDER_SIZE)
        return HINT_ENTRY_NONE;
    hint->order = big_endian(hint->key.data, ORDER_SIZE);
    hint->key = bytes_from(hint->key, ORDER_SIZE);
    struct reader reader = reader_of(value);
    bool known = read_u8(&reader) == FORMAT;
    hint->epoch = read_varint(&reader);
    hint->size = read_varint(&reader);
    return known && reader_finished(&reader) ? HINT_ENTRY_QUEUE : HINT_ENTRY_NONE;
}

static enum hint_entry parse_mark(struct bytes value, struct hint *hint, uint32_t *ret_partition)
{
    if (hint->key.size != MARK_SIZE || hint->key.data[MARK_SIZE - 1] > HINT_MARK_ORDER)
        return HINT_ENTRY_NONE;
    *ret_partition = (uint32_t)big_endian(hint->key.data, MARK_SIZE - 1);
    hint->size = hint->key.data[MARK_SIZE - 1];
    struct reader reader = reader_of(value);
    bool known = read_u8(&reader) == FORMAT;
    hint->order = read_u64(&reader);
    return known && reader_finished(&reader) ? HINT_ENTRY_MARK : HINT_ENTRY_NONE;
}

enum hint_entry hint_parse(struct bytes key, struct bytes value, struct hint *ret_hint,
                           uint32_t *ret_partition)
{
    *ret_hint = (struct hint){ 0 };
    if (key.size <= HINT_PREFIX_SIZE)
        return HINT_ENTRY_NONE;
    memcpy(ret_hint->target.bytes, key.data + 1, NODE_ID_SIZE);
    ret_hint->key = bytes_from(key, HINT_PREFIX_SIZE);
    switch (key.data[0]) {
    case 'h':
        return parse_index(value, ret_hint);
    case 'i':
        return parse_queue(value, ret_hint);
    case 'j':
        return parse_mark(value, ret_hint, ret_partition);
    default:
        return HINT_ENTRY_NONE;
    }
}

/* --- rules ----------------------------------------------------------------------------------- */

bool hint_fits(const struct hint_usage *used, const struct hint_usage *quota,
               const struct hint_usage *replaced, uint64_t size)
{
    uint64_t count = used->count - replaced->count, bytes = used->size - replaced->size;
    return count < quota->count && size <= quota->size && bytes <= quota->size - size;
}

enum hint_verdict hint_judge(const struct hint_facts *facts)
{
    if (facts->superseded)
        return HINT_FORGET;
    if (!facts->held)
        return facts->lossy ? HINT_DESTROY : HINT_FORGET;
    bool aged =
        facts->now_ms > facts->made_ms && facts->now_ms - facts->made_ms > facts->horizon_ms;
    if (aged || facts->made_ms < facts->collected_ms)
        return HINT_DESTROY;
    bool owns = facts->target_owns || PLANTED(HINT_TO_A_STRANGER);
    return owns ? HINT_DELIVER : HINT_REROUTE;
}

static bool row_names(const struct epoch *epoch, uint32_t partition, const uint16_t *row, uint8_t n,
                      uint16_t member)
{
    uint16_t owners[RING_OWNERS_MAX];
    uint8_t limit = ring_owner_limit_of_row(epoch, row);
    uint16_t count = ring_preference_of_row(epoch, partition, row, owners, n < limit ? n : limit);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return true;
    return false;
}

bool hint_target_owns(const struct epoch *epoch, uint32_t partition, uint8_t n, uint16_t member)
{
    const struct move *move = ring_move_of(epoch, partition);
    return row_names(epoch, partition, ring_row(epoch, partition), n, member) ||
           (move != NULL && row_names(epoch, partition, move->to, n, member));
}
