/* SPDX-License-Identifier: Apache-2.0 */
/* A context is refused, or it encodes to the same bytes.  So that fuzzing gets past the checksum,
 * the input is also tried with the checksum that fits behind it. */
#include <stdlib.h>

#include "base/hash.h"
#include "codec/varint.h"
#include "object/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct bytes bytes)
{
    struct arena arena;
    arena_init(&arena, (size_t)1 << 24);
    struct object_context context;
    if (context_decode(bytes, &arena, &context) == KVORUM_OK) {
        struct sibling sibling = { .stamp = context.stamp, .kept = true };
        struct object object = { context.clock, &sibling, 1, context.last };
        struct buffer buffer;
        buffer_init(&buffer, (size_t)1 << 24);
        context_encode(&object, &buffer);
        if (!bytes_equal(buffer_bytes(&buffer), bytes))
            abort();
        buffer_done(&buffer);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_make(data, size);
    check(bytes);
    struct buffer buffer;
    buffer_init(&buffer, size + 8);
    buffer_append_bytes(&buffer, bytes);
    write_u32(&buffer, (uint32_t)hash64(bytes, 0x63747874));
    check(buffer_bytes(&buffer));
    buffer_done(&buffer);
    return 0;
}
