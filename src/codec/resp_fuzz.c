/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut, the parser reads the same requests from it and meets the same
 * problem. */
#include "codec/resp.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"

static const struct resp_limits limits = { 64, 1024, 512, 8192 };

/* Digest of everything read when at most `step` more bytes are shown each time. */
static uint64_t digest(struct bytes stream, size_t step)
{
    struct resp_parser parser;
    resp_parser_init(&parser, &limits);
    uint64_t sum = 0;
    size_t used = 0, seen = 0, took = 0;
    enum resp_outcome outcome = RESP_PARTIAL;
    while (outcome != RESP_MALFORMED && seen < stream.size) {
        seen = stream.size - seen < step ? stream.size : seen + step;
        do {
            size_t left = seen - used;
            uint8_t *copy = malloc(left + 1);
            if (copy == NULL)
                abort();
            memcpy(copy, stream.data + used, left);
            outcome = resp_parse(&parser, bytes_make(copy, left), &took);
            for (uint32_t i = 0; outcome == RESP_REQUEST && i < parser.count; i++)
                sum = hash64(resp_argument(&parser, i), sum + i);
            free(copy);
            used += outcome == RESP_REQUEST ? took : 0;
            sum = outcome == RESP_REQUEST ? hash_mix64(sum) : sum;
        } while (outcome == RESP_REQUEST);
    }
    if (outcome == RESP_MALFORMED)
        sum = hash64(bytes_of_string(parser.problem), sum);
    resp_parser_done(&parser);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 16384)
        return 0;
    struct bytes stream = bytes_make(data + 1, size - 1);
    uint64_t whole = digest(stream, stream.size + 1);
    assert(whole == digest(stream, 1u + data[0] % 37));
    return 0;
}
