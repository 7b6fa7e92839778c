/* SPDX-License-Identifier: Apache-2.0 */
/* The file that keeps pauses and limits of background work: its bytes, and bytes that are none. */
#include "node/tasks/task_orders.h"

#include <stdio.h>

#include "base/hash.h"
#include "codec/varint.h"
#include "support/rows.h"

static const struct task_orders sample = {
    .kinds = { [TASK_MOVE] = { .limited = true, .limit = 4 << 20 },
               [TASK_HINTS] = { .paused = true },
               [TASK_SCRUB] = { .paused = true, .limited = true, .limit = 0 } },
};

static struct buffer sample_bytes(void)
{
    struct buffer buffer;
    buffer_init(&buffer, TASK_ORDERS_SIZE_MAX);
    task_orders_encode(&sample, &buffer);
    assert_false(buffer.failed);
    return buffer;
}

static bool same(const struct task_orders *a, const struct task_orders *b)
{
    bool all = true;
    for (int kind = 0; kind < TASK_KINDS; kind++)
        all &= a->kinds[kind].paused == b->kinds[kind].paused &&
               a->kinds[kind].limited == b->kinds[kind].limited &&
               a->kinds[kind].limit == b->kinds[kind].limit;
    return all;
}

static void its_bytes_are_those_of_the_golden_file(void)
{
    uint8_t expected[256];
    struct buffer buffer = sample_bytes();
    FILE *file = fopen("tests/golden/tasks/three.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fread(expected, 1, sizeof(expected), file), buffer.size);
    fclose(file);
    assert_memory_equal(buffer.data, expected, buffer.size);
    struct task_orders again;
    assert_int_equal(task_orders_decode(buffer_bytes(&buffer), &again), KVORUM_OK);
    assert_true(same(&again, &sample));
    buffer_done(&buffer);
}

static void no_damaged_byte_and_no_missing_one_is_believed(void)
{
    struct buffer buffer = sample_bytes();
    struct task_orders again;
    for (size_t i = 0; i < buffer.size; i++) {
        assert_int_equal(task_orders_decode(bytes_make(buffer.data, i), &again), KVORUM_CORRUPT);
        buffer.data[i] ^= 0x41;
        kvorum_status newer = i == 3 ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
        assert_int_equal(task_orders_decode(buffer_bytes(&buffer), &again), newer);
        buffer.data[i] ^= 0x41;
    }
    buffer_done(&buffer);
}

struct row {
    const char *name;
    uint32_t count;
    const char *kind;
    uint8_t flags;
    size_t extra; /* bytes at the end */
    kvorum_status status;
};

static const struct row rows[] = {
    { "a kind of another release is left out", 1, "dance", 1, 0, KVORUM_OK },
    { "a flag that nobody knows", 1, "move", 4, 0, KVORUM_CORRUPT },
    { "a name that is too long", 1, "a-name-above-sixteen", 1, 0, KVORUM_CORRUPT },
    { "no name", 1, "", 1, 0, KVORUM_CORRUPT },
    { "more kinds than there can be", 65, "move", 1, 0, KVORUM_CORRUPT },
    { "fewer kinds than it says", 2, "move", 1, 0, KVORUM_CORRUPT },
    { "something behind the last", 1, "move", 1, 1, KVORUM_CORRUPT },
};

static void check(const void *data)
{
    const struct row *row = data;
    struct buffer buffer;
    struct task_orders orders;
    buffer_init(&buffer, TASK_ORDERS_SIZE_MAX);
    buffer_append(&buffer, "KVT1", 4);
    write_u32(&buffer, row->count);
    write_sized(&buffer, bytes_of_string(row->kind));
    buffer_append(&buffer, &row->flags, 1);
    write_u64(&buffer, 7);
    for (size_t i = 0; i < row->extra; i++)
        buffer_append(&buffer, "x", 1);
    write_u64(&buffer, hash64(buffer_bytes(&buffer), 0));
    assert_int_equal(task_orders_decode(buffer_bytes(&buffer), &orders), row->status);
    if (row->status == KVORUM_OK)
        assert_true(same(&orders, &(struct task_orders){ 0 }));
    buffer_done(&buffer);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "its bytes are those of the golden file", its_bytes_are_those_of_the_golden_file },
        { "no damaged byte and no missing one is believed",
          no_damaged_byte_and_no_missing_one_is_believed },
    };
    return RUN_TESTS("orders", tests) + RUN_ROWS("records", rows, check);
}
