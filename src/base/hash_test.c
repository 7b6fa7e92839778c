/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "tests/support/rows.h"

struct row {
    const char *name;
    size_t size; /* of a text that counts 0, 1, 2, ... */
    uint64_t seed, hash;
};

/* Golden: these are on disks and place keys. */
static const struct row rows[] = {
    { "nothing", 0, 0, 0x2d06800538d394c2ull },
    { "nothing, seeded", 0, 1, 0x4dc5b0cc826f6703ull },
    { "one byte", 1, 0, 0xc44bdff4074eecdbull },
    { "a key", 16, 0, 0x8355e3a6f61770dbull },
    { "a key, seeded", 16, 42, 0x74891a34d3fff0a9ull },
    { "the largest short input", 240, 42, 0x4c023d24e6a84d31ull },
    { "a page", 4096, 42, 0x0c535f8a1bfd00adull },
};

static void check(const void *context)
{
    const struct row *row = context;
    uint8_t data[4096];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    struct bytes bytes = { data, row->size };
    assert_true(hash64(bytes, row->seed) == row->hash);
    for (size_t first = 0; first <= row->size; first += 1 + row->size / 7) {
        size_t second = (row->size - first) / 2;
        struct bytes parts[] = { { data, first },
                                 { NULL, 0 },
                                 { data + first, second },
                                 bytes_from(bytes, first + second) };
        assert_true(hash64_parts(parts, 4, row->seed) == row->hash);
    }
}

int main(void)
{
    return RUN_ROWS("hash", rows, check);
}
