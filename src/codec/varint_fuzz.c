/* SPDX-License-Identifier: Apache-2.0 */
/** Any bytes: what read_varint accepts is written as the same bytes again, and nothing is read past
 *  the end. */
#include "codec/varint.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(bytes_make(data, size));
    while (!reader_finished(&reader) && !reader.failed) {
        struct bytes before = reader.rest;
        uint64_t value = read_varint(&reader);
        if (reader.failed)
            break;
        uint8_t again[10];
        size_t again_size = (size_t)(varint_put(again, value) - again);
        assert(again_size == before.size - reader.rest.size);
        assert(memcmp(again, before.data, again_size) == 0);
        read_sized(&reader, value % 64);
    }
    return 0;
}
