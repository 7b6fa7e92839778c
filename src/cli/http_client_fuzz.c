/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says how the rest is cut; what a whole response carries is read as siblings,
 * too. */
#include <assert.h>
#include <stdlib.h>

#include "cli/http_response.h"
#include "cli/json_documents.h"
#include "cli/siblings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_siblings(struct http_response *response)
{
    static struct siblings siblings;
    response->code = 300;
    if (!siblings_read(response, &siblings))
        return;
    for (uint32_t i = 0; i < siblings.count; i++) {
        struct bytes value = siblings.list[i].value;
        assert(value.size <= response->body.size);
        assert(value.data >= response->body.data);
    }
}

static void read_documents(struct bytes body)
{
    struct json_documents documents;
    struct bytes document;
    json_documents_init(&documents, 1 << 20);
    if (json_documents_add(&documents, body)) {
        while (json_documents_next(&documents, &document))
            assert(document.size > 0 && document.size <= body.size);
    }
    json_documents_done(&documents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_response response;
    size_t step = size == 0 ? 1 : (size_t)data[0] + 1, at = size > 0;
    http_response_init(&response, 1 << 16);
    while (at < size && response.state != HTTP_BAD) {
        size_t part = size - at < step ? size - at : step;
        size_t taken = http_response_input(&response, bytes_make(data + at, part));
        assert(taken <= part);
        assert(taken == part || response.state >= HTTP_COMPLETE);
        assert(response.body.size <= 1 << 16 && response.head.size <= HTTP_HEAD_SIZE_MAX);
        at += taken;
        if (response.state != HTTP_COMPLETE)
            continue;
        read_siblings(&response);
        read_documents(buffer_bytes(&response.body));
        http_response_reset(&response, false);
    }
    http_response_end(&response);
    http_response_done(&response);
    return 0;
}
