/* SPDX-License-Identifier: Apache-2.0 */
/* A real socket between a stream and the test, which writes to it as badly as it likes. */
#include "server/frame_stream.h"

#include "tests/support/rows.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 4096, TAIL_LIMIT = 1 << 20, OUTPUT_LIMIT = 64 * 1024 };

struct fixture {
    struct frame_stream stream; /* first member: handlers cast */
    uv_loop_t loop;
    struct frame_stream_options options;
    uint8_t read_buffer[READ_SIZE];
    int other; /* the test's end */
    unsigned messages, failures, closes;
    uint64_t bytes; /* of tails */
    kvorum_status status;
    bool close_at_message;
};

static struct fixture *fixture_of(struct frame_stream *stream)
{
    return (struct fixture *)stream;
}

static void on_connected(struct frame_stream *stream)
{
    fixture_of(stream)->messages += 1000;
}

static void on_message(struct frame_stream *stream, const struct message *message)
{
    struct fixture *fixture = fixture_of(stream);
    assert_int_equal(message->request_id, fixture->messages);
    for (size_t i = 0; i < message->tail.size; i++)
        assert_int_equal(message->tail.data[i], (uint8_t)(message->request_id + i));
    fixture->messages++;
    fixture->bytes += message->tail.size;
    if (fixture->close_at_message)
        frame_stream_close(stream);
}

static void on_failed(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    (void)error;
    assert_true(why[0] != '\0');
    fixture_of(stream)->failures++;
    fixture_of(stream)->status = status;
    frame_stream_close(stream);
}

static void on_closed(struct frame_stream *stream)
{
    fixture_of(stream)->closes++;
}

static const struct frame_stream_handlers handlers = { on_connected, on_message, on_failed,
                                                       on_closed };

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->options = (struct frame_stream_options){ .handlers = &handlers,
                                                      .read_buffer = fixture->read_buffer,
                                                      .read_size = READ_SIZE,
                                                      .tail_limit = TAIL_LIMIT,
                                                      .output_limit = OUTPUT_LIMIT };
    frame_stream_init(&fixture->stream, &fixture->loop, &fixture->options);
}

/* A connected pair of TCP sockets: the stream takes one end. */
static void fixture_pair(struct fixture *fixture)
{
    fixture_init(fixture);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    fixture->other = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fixture->other, (struct sockaddr *)&address, size), 0);
    int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    close(listener);
    assert_int_equal(frame_stream_adopt(&fixture->stream, accepted), 0);
}

static void fixture_done(struct fixture *fixture)
{
    frame_stream_close(&fixture->stream);
    while (uv_run(&fixture->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(fixture->closes, 1);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    if (fixture->other > 0)
        close(fixture->other);
}

static void encode(struct buffer *wire, uint64_t id, size_t tail_size)
{
    uint8_t *tail = malloc(tail_size + 1);
    for (size_t i = 0; i < tail_size; i++)
        tail[i] = (uint8_t)(id + i);
    const struct message message = { .kind = MESSAGE_MERGE,
                                     .request_id = id,
                                     .tail = bytes_make(tail, tail_size) };
    frame_encode(&message, wire);
    free(tail);
}

/* Write `wire` in pieces, letting the loop read after each. */
static void write_pieces(struct fixture *fixture, struct bytes wire, size_t piece)
{
    while (wire.size > 0) {
        size_t size = wire.size < piece ? wire.size : piece;
        ssize_t written = write(fixture->other, wire.data, size);
        assert_true(written > 0);
        wire = bytes_from(wire, (size_t)written);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 20; i++)
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct row {
    const char *name;
    size_t tails[4];
    unsigned count;
    size_t piece;
};
static const struct row rows[] = {
    { "a frame in one piece", { 10 }, 1, 1 << 20 },
    { "a frame byte by byte", { 10 }, 1, 1 },
    { "many frames in one piece", { 0, 1, 2, 3 }, 4, 1 << 20 },
    { "frames cut anywhere", { 5, 0, 70, 13 }, 4, 17 },
    { "a frame larger than the read buffer", { 100000 }, 1, 1 << 20 },
    { "large and small ones, cut", { 100000, 3, 70000, 0 }, 4, 5000 },
    { "a small one behind the end of a large one", { 50000, 1, 50000, 1 }, 4, 1 << 20 },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct fixture fixture;
    fixture_pair(&fixture);
    struct buffer wire;
    buffer_init(&wire, 1 << 24);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < row->count; i++) {
        encode(&wire, i, row->tails[i]);
        bytes += row->tails[i];
    }
    write_pieces(&fixture, buffer_bytes(&wire), row->piece);
    assert_int_equal(fixture.messages, row->count);
    assert_int_equal(fixture.bytes, bytes);
    assert_int_equal(fixture.failures, 0);
    close(fixture.other);
    fixture.other = 0;
    uv_run(&fixture.loop, UV_RUN_DEFAULT); /* the end of the other side ends the stream */
    assert_int_equal(fixture.failures, 1);
    assert_int_equal(fixture.status, KVORUM_CLOSED);
    buffer_done(&wire);
    fixture_done(&fixture);
}

static void check_bad_bytes(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_pair(&fixture);
    struct buffer wire;
    buffer_init(&wire, 1 << 24);
    encode(&wire, 0, 5);
    buffer_append_text(&wire, "GET / HTTP/1.1\r\n");
    encode(&wire, 1, 5);
    write_pieces(&fixture, buffer_bytes(&wire), 1 << 20);
    assert_int_equal(fixture.messages, 1); /* nothing behind the bad one */
    assert_int_equal(fixture.failures, 1);
    assert_int_equal(fixture.status, KVORUM_FOREIGN);
    buffer_done(&wire);
    fixture_done(&fixture);
}

static void check_close_inside(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_pair(&fixture);
    fixture.close_at_message = true;
    struct buffer wire;
    buffer_init(&wire, 1 << 24);
    encode(&wire, 0, 5);
    encode(&wire, 1, 5);
    write_pieces(&fixture, buffer_bytes(&wire), 1 << 20);
    assert_int_equal(fixture.messages, 1);
    assert_int_equal(fixture.failures, 0);
    buffer_done(&wire);
    fixture_done(&fixture);
}

/* --- writing ---------------------------------------------------------------------------------- */

static size_t read_all(struct fixture *fixture, size_t wanted)
{
    size_t got = 0;
    char ignored[65536];
    while (got < wanted) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        ssize_t size = recv(fixture->other, ignored, sizeof(ignored), MSG_DONTWAIT);
        got += size > 0 ? (size_t)size : 0;
    }
    return got;
}

static void check_bounded_output(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_pair(&fixture);
    static uint8_t tail[30000];
    const struct message message = { .kind = MESSAGE_MERGE,
                                     .tail = bytes_make(tail, sizeof(tail)) };
    size_t sent = 0;
    for (int i = 0; i < 10000 && frame_stream_has_room(&fixture.stream, &message); i++) {
        frame_stream_send(&fixture.stream, &message);
        frame_stream_flush(&fixture.stream);
        sent += FRAME_HEADER_SIZE + sizeof(tail);
    }
    assert_false(frame_stream_has_room(&fixture.stream, &message)); /* nobody reads */
    assert_int_equal(read_all(&fixture, sent), sent);
    assert_true(frame_stream_has_room(&fixture.stream, &message));
    fixture_done(&fixture);
}

static void check_release(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_pair(&fixture);
    struct buffer wire;
    buffer_init(&wire, 1 << 16);
    encode(&wire, 0, 5);
    write_pieces(&fixture, buffer_bytes(&wire), 1 << 20);
    int descriptor = frame_stream_release(&fixture.stream);
    assert_true(descriptor >= 0);
    frame_stream_close(&fixture.stream);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    assert_int_equal(write(descriptor, "x", 1), 1); /* the socket lives on */
    char byte = 0;
    assert_int_equal(read(fixture.other, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(descriptor);
    buffer_done(&wire);
    fixture_done(&fixture);
}

/* --- dialing ---------------------------------------------------------------------------------- */

static void check_dial(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    char text[32];
    snprintf(text, sizeof(text), "localhost:%u", ntohs(address.sin_port));

    fixture_init(&fixture); /* bound, but nobody listens */
    assert_int_equal(frame_stream_dial(&fixture.stream, text), 0);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture.failures, 1);
    fixture_done(&fixture);

    assert_int_equal(listen(listener, 1), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    fixture_init(&fixture);
    assert_int_equal(frame_stream_dial(&fixture.stream, text), 0);
    while (fixture.messages == 0)
        uv_run(&fixture.loop, UV_RUN_ONCE);
    assert_int_equal(fixture.failures, 0);
    fixture_done(&fixture);

    fixture_init(&fixture);
    assert_int_equal(frame_stream_dial(&fixture.stream, "no address"), UV_EINVAL);
    fixture_done(&fixture);

    fixture_init(&fixture); /* closed while the name is being looked up */
    assert_int_equal(frame_stream_dial(&fixture.stream, "localhost:1"), 0);
    fixture_done(&fixture);
    assert_int_equal(fixture.failures, 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_bad_bytes),      cmocka_unit_test(check_close_inside),
        cmocka_unit_test(check_bounded_output), cmocka_unit_test(check_release),
        cmocka_unit_test(check_dial),
    };
    int failed = cmocka_run_group_tests_name("frame stream", tests, NULL, NULL);
    return failed + RUN_ROWS("frame stream reading", rows, check);
}
