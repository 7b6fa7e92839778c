/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut and whenever the node answers, the responses are as long and the
 * connection ends the same way.  The first byte chooses both.  (Keys that the server makes differ
 * each time, but not in length.) */
#include "tests/support/fake_connection.h"

struct outcome {
    size_t size;
    bool finished, mid_request;
};

static struct node node;

static struct outcome serve(struct bytes stream, size_t step, bool delayed)
{
    struct connection connection;
    fake_node_init(&node);
    node.delayed = delayed;
    fake_open(&connection, &node, &protocol_http);
    while (stream.size > 0) {
        size_t size = stream.size < step ? stream.size : step;
        fake_send(&connection, bytes_make(stream.data, size));
        fake_settle(&connection, false);
        stream = bytes_from(stream, size);
    }
    const struct protocol *protocol = connection.protocol;
    struct outcome outcome = { connection.received.size, connection.finished,
                               protocol->ops->mid_request(protocol) };
    assert(connection.in_flight == 0);
    fake_close(&connection);
    fake_node_done(&node);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 16384)
        return 0;
    struct bytes stream = bytes_make(data + 1, size - 1);
    struct outcome whole = serve(stream, stream.size + 1, false);
    struct outcome cut = serve(stream, 1u + data[0] / 2 % 61, data[0] & 1);
    assert(whole.finished == cut.finished);
    assert(whole.size == cut.size);
    assert(whole.finished || whole.mid_request == cut.mid_request);
    return 0;
}
