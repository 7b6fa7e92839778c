/* SPDX-License-Identifier: Apache-2.0 */
/* Tapes from anywhere: what is accepted encodes to the very same bytes, and can be copied, trimmed
 * and cut.  The checksum is put right first, or nothing would get past it. */
#include "sim/world/tape.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sign(uint8_t *record, size_t size)
{
    if (size < 8)
        return;
    uint64_t sum = hash64(bytes_make(record, size - 8), 0);
    for (int i = 0; i < 8; i++)
        record[size - 8 + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

static void use(const struct tape *tape)
{
    struct tape copy;
    tape_copy(tape, &copy);
    tape_trim(&copy);
    assert(tape_count(&copy) <= tape_count(tape));
    for (int i = 0; i < STREAM_COUNT; i++) {
        struct tape_stream *stream = &copy.streams[i];
        if (stream->span_count > 0)
            tape_remove_spans(stream, 0, (stream->span_count + 1) / 2);
    }
    tape_done(&copy);
}

static void check(struct bytes bytes)
{
    struct tape_header header;
    struct tape tape;
    const char *why;
    if (tape_decode(bytes, &header, &tape, &why) != KVORUM_OK)
        return;
    struct buffer buffer;
    buffer_init(&buffer, bytes.size);
    tape_encode(&header, &tape, &buffer);
    assert(!buffer.failed && bytes_equal(buffer_bytes(&buffer), bytes));
    buffer_done(&buffer);
    use(&tape);
    tape_done(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(bytes_make(data, size));
    uint8_t *copy = malloc(size + 1);
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    sign(copy, size);
    check(bytes_make(copy, size));
    free(copy);
    return 0;
}
