/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/frame.h"

#include "tests/support/rows.h"

#include <stdio.h>

static const struct message hello = {
    .kind = MESSAGE_HELLO,
    .request_id = 0x1122334455667788,
    .epoch = 1,
    .body = { (const uint8_t *)"\x0a\x02hi", 4 },
};
static const struct message merge = {
    .kind = MESSAGE_MERGE,
    .request_id = 7,
    .epoch = UINT64_MAX,
    .body = { (const uint8_t *)"body", 4 },
    .tail = { (const uint8_t *)"the value as it is", 18 },
};
static const struct message empty = { .kind = MESSAGE_GOSSIP };

/* --- golden bytes: a change of these files is a change of the wire --------------------------- */

struct golden {
    const char *name;
    const struct message *message;
};
static const struct golden goldens[] = { { "hello", &hello },
                                         { "merge", &merge },
                                         { "empty", &empty } };

static void read_golden(const char *name, uint8_t *ret_data, size_t size, size_t *ret_size)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/frame/%s.bin", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *ret_size = fread(ret_data, 1, size, file);
    fclose(file);
}

static void write_golden(const char *name, struct bytes bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/frame/%s.bin", name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void assert_same(const struct message *a, const struct message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->request_id == b->request_id && a->epoch == b->epoch);
    assert_true(bytes_equal(a->body, b->body) && bytes_equal(a->tail, b->tail));
}

static void check_golden(const void *context)
{
    const struct golden *row = context;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    frame_encode(row->message, &buffer);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(row->name, buffer_bytes(&buffer));
    uint8_t expected[256];
    size_t size;
    read_golden(row->name, expected, sizeof(expected), &size);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.data, expected, size);

    struct message message;
    assert_int_equal(frame_decode(bytes_make(expected, size), 100, &message, &size), KVORUM_OK);
    assert_same(&message, row->message);
    buffer_done(&buffer);
}

/* --- damage: change `merge` at one place ------------------------------------------------------ */

struct damage {
    const char *name;
    size_t keep; /* bytes given; 0: all */
    int at;      /* byte to change, -1: none */
    uint8_t value;
    size_t tail_limit;
    kvorum_status status;
    size_t need; /* with TIMEOUT */
};
enum { MERGE_SIZE = FRAME_HEADER_SIZE + 4 + 18 };
static const struct damage damages[] = {
    { "a whole frame", 0, -1, 0, 18, KVORUM_OK, 0 },
    { "one byte of a frame: the header is wanted", 1, -1, 0, 18, KVORUM_TIMEOUT,
      FRAME_HEADER_SIZE },
    { "a header: the frame is wanted", FRAME_HEADER_SIZE, -1, 0, 18, KVORUM_TIMEOUT, MERGE_SIZE },
    { "all but a byte", MERGE_SIZE - 1, -1, 0, 18, KVORUM_TIMEOUT, MERGE_SIZE },
    { "HTTP on the peer port, at its first byte", 1, 0, 'G', 18, KVORUM_FOREIGN, 0 },
    { "another magic", 0, 2, 'X', 18, KVORUM_FOREIGN, 0 },
    { "a later version, before the header is whole", 4, 3, '2', 18, KVORUM_NEWER_FORMAT, 0 },
    { "an unknown kind", 0, 4, 250, 18, KVORUM_CORRUPT, 0 },
    { "kind 0", 0, 4, 0, 18, KVORUM_CORRUPT, 0 },
    { "reserved bytes in use", 0, 6, 1, 18, KVORUM_CORRUPT, 0 },
    { "a body over its limit, from the header alone", FRAME_HEADER_SIZE, 11, 1, 18,
      KVORUM_TOO_LARGE, 0 },
    { "a tail over the receiver's limit", FRAME_HEADER_SIZE, -1, 0, 17, KVORUM_TOO_LARGE, 0 },
    { "a changed request id", 0, 16, 9, 18, KVORUM_CORRUPT, 0 },
    { "a changed epoch", 0, 31, 0, 18, KVORUM_CORRUPT, 0 },
    { "a changed checksum", 0, 39, 0, 18, KVORUM_CORRUPT, 0 },
    { "a changed body", 0, 40, 'B', 18, KVORUM_CORRUPT, 0 },
    { "a changed tail", 0, MERGE_SIZE - 1, 'X', 18, KVORUM_CORRUPT, 0 },
};

static void check_damage(const void *context)
{
    const struct damage *row = context;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    frame_encode(&merge, &buffer);
    assert_int_equal(buffer.size, MERGE_SIZE);
    if (row->at >= 0)
        buffer.data[row->at] = row->value;
    struct message message;
    size_t size = 0;
    struct bytes input = bytes_make(buffer.data, row->keep > 0 ? row->keep : buffer.size);
    assert_int_equal(frame_decode(input, row->tail_limit, &message, &size), row->status);
    if (row->status == KVORUM_TIMEOUT)
        assert_int_equal(size, row->need);
    if (row->status == KVORUM_OK)
        assert_same(&message, &merge);
    buffer_done(&buffer);
}

static void check_names(void **state)
{
    (void)state;
    assert_string_equal(message_kind_name(MESSAGE_HELLO_ANSWER), "HELLO_ANSWER");
    assert_string_equal(message_kind_name(99), "?");
}

static void check_full_buffer(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, MERGE_SIZE - 1);
    frame_encode(&merge, &buffer);
    assert_true(buffer.failed);
    assert_int_equal(buffer.size, 0);
    buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_names),
        cmocka_unit_test(check_full_buffer),
    };
    int failed = cmocka_run_group_tests_name("frame", tests, NULL, NULL);
    failed += RUN_ROWS("frame golden", goldens, check_golden);
    failed += RUN_ROWS("frame damage", damages, check_damage);
    return failed;
}
