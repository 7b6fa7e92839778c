/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/engines/records.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum { POOL_SIZE = 1 << 20, ZIPF_DRAWN = 1 << 20, ENDS = 8 };
#define ZIPF_EXPONENT 0.99

static uint64_t scramble(uint64_t number)
{
    number = (number ^ number >> 31) * 0x7fb5d329728ea185;
    number = (number ^ number >> 27) * 0x81dadef4bc2dd44d;
    return number ^ number >> 33;
}

void records_init(struct records *records, uint64_t count, size_t value_size)
{
    struct random random;
    *records = (struct records){ .count = count, .value_size = value_size };
    while ((UINT64_C(1) << records->bits) < count)
        records->bits++;
    size_t size = POOL_SIZE + value_size + ENDS;
    records->pool = bench_new(size);
    random_init(&random, 20);
    memset(records->pool, 'k', size);
    for (size_t i = 0; i + 8 <= size; i += 16) {
        uint64_t noise = random_next(&random);
        memcpy(records->pool + i, &noise, sizeof(noise));
    }
}

void records_done(struct records *records)
{
    free(records->pool);
    free(records->zipf);
}

struct bytes record_key(uint64_t number, bool missing, char ret_text[KEY_SIZE])
{
    uint64_t rest = number * 2 + missing;
    int place = KEY_SIZE;
    while (rest > 0) {
        ret_text[--place] = (char)('0' + rest % 10);
        rest /= 10;
    }
    memset(ret_text, '0', (size_t)place);
    return bytes_make(ret_text, KEY_SIZE);
}

uint64_t record_of_key(struct bytes key)
{
    uint64_t twice = 0;
    if (key.size != KEY_SIZE)
        return UINT64_MAX;
    for (size_t i = 0; i < KEY_SIZE; i++) {
        if (key.data[i] < '0' || key.data[i] > '9')
            return UINT64_MAX;
        twice = twice * 10 + (key.data[i] - '0');
    }
    return twice % 2 == 0 ? twice / 2 : UINT64_MAX;
}

static uint64_t head_of(uint64_t number, unsigned generation)
{
    return number | (uint64_t)generation << 56;
}

static const uint8_t *body_of(const struct records *records, uint64_t head)
{
    return records->pool + scramble(head) % POOL_SIZE;
}

struct bytes record_value(const struct records *records, uint64_t number, unsigned generation,
                          uint8_t *ret_value)
{
    uint64_t head = head_of(number, generation);
    memcpy(ret_value, &head, sizeof(head));
    memcpy(ret_value + sizeof(head), body_of(records, head), records->value_size - sizeof(head));
    return bytes_make(ret_value, records->value_size);
}

bool record_check(const struct records *records, uint64_t number, struct bytes value, bool whole)
{
    uint64_t head;
    if (value.size != records->value_size)
        return false;
    memcpy(&head, value.data, sizeof(head));
    if ((head & ~(UINT64_C(0xff) << 56)) != number)
        return false;
    size_t begin = whole || value.size < 2 * ENDS ? sizeof(head) : value.size - ENDS;
    return memcmp(value.data + begin, body_of(records, head) + (begin - sizeof(head)),
                  value.size - begin) == 0;
}

unsigned record_generation(struct bytes value)
{
    return value.data[7];
}

/* Each step is a bijection of the numbers of `bits` bits; those past the end are walked on until
 * they come back below it, which keeps it one of [0, count). */
uint64_t records_shuffled(const struct records *records, uint64_t index)
{
    uint64_t mask = (UINT64_C(1) << records->bits) - 1;
    unsigned half = records->bits / 2 + 1;
    do {
        index = (index * 0x9e3779b97f4a7c15 + 0x7f4a7c15) & mask;
        index ^= index >> half;
        index = (index * 0xd6e8feb86659fd93) & mask;
        index ^= index >> half;
        index = (index * 0xa0761d6478bd642f) & mask;
    } while (index >= records->count);
    return index;
}

/* "Quickly Generating Billion-Record Synthetic Databases", Gray et al., SIGMOD 1994: the inverse
 * of the distribution in closed form, from the sum of all weights. */
void records_draw_zipf(struct records *records)
{
    struct random random;
    if (records->zipf != NULL)
        return;
    assert(records->count > 0);
    records->zipf = bench_new(ZIPF_DRAWN * sizeof(*records->zipf));
    double n = (double)records->count, sum = 0, two = 1 + pow(0.5, ZIPF_EXPONENT);
    for (uint64_t i = 1; i <= records->count; i++)
        sum += pow((double)i, -ZIPF_EXPONENT);
    double alpha = 1 / (1 - ZIPF_EXPONENT);
    double eta = (1 - pow(2 / n, 1 - ZIPF_EXPONENT)) / (1 - two / sum);
    random_init(&random, 21);
    for (size_t i = 0; i < ZIPF_DRAWN; i++) {
        double unit = random_unit(&random), weight = unit * sum;
        double rank = weight < 1     ? 0
                      : weight < two ? 1
                                     : floor(n * pow(eta * unit - eta + 1, alpha));
        records->zipf[i] = (uint32_t)(scramble((uint64_t)rank) % records->count);
    }
}

uint64_t records_zipf(struct records *records)
{
    return records->zipf[records->zipf_served++ % ZIPF_DRAWN];
}
