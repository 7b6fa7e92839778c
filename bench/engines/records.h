/* SPDX-License-Identifier: Apache-2.0 */
/** The data set: records 0..count-1 with keys and values that follow from their number.
 *
 *      key    16 decimal digits of 2 * number; the odd ones are never stored
 *      value  number and generation (8 bytes, little-endian, generation in the top byte), then
 *             bytes of which half can be compressed away
 *
 *  Generation 0 is the fill, 1 what overwrote it.
 */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include "base/bytes.h"
#include "bench/engines/peer.h"

struct records {
    uint64_t count;
    size_t value_size;
    unsigned bits;        /* of the smallest power of two >= count */
    uint8_t *pool;        /* what values are cut from */
    uint32_t *zipf;       /* drawn beforehand: the drawing is dearer than some reads */
    uint64_t zipf_served; /* wraps round */
};

void records_init(struct records *records, uint64_t count, size_t value_size);
void records_done(struct records *records);

struct bytes record_key(uint64_t number, bool missing, char ret_text[KEY_SIZE]);
/** The number a key stands for; UINT64_MAX: none of ours. */
uint64_t record_of_key(struct bytes key);
struct bytes record_value(const struct records *records, uint64_t number, unsigned generation,
                          uint8_t *ret_value);
/** Whether `value` is that of `number`, of any generation.  `whole`: every byte is compared,
 *  otherwise size, both ends. */
bool record_check(const struct records *records, uint64_t number, struct bytes value, bool whole);
unsigned record_generation(struct bytes value);

/** The `index`-th number of a fixed random order of all: a bijection. */
uint64_t records_shuffled(const struct records *records, uint64_t index);
/** Draw numbers whose frequencies fall as 1/rank^0.99, ranks scattered over the numbers. */
void records_draw_zipf(struct records *records);
uint64_t records_zipf(struct records *records);

#endif
