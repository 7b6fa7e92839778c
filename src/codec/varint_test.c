/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"

#include "base/random.h"
#include "tests/support/rows.h"

struct row {
    const char *name;
    struct bytes bytes;
    bool accepted;
    uint64_t value;
};

#define B(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct row rows[] = {
    { "zero", B("\x00"), true, 0 },
    { "the largest of one byte", B("\x7f"), true, 127 },
    { "the smallest of two bytes", B("\x80\x01"), true, 128 },
    { "the low group comes first", B("\xac\x02"), true, 300 },
    { "all 64 bits", B("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, UINT64_MAX },
    { "the top bit alone", B("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), true, 1ull << 63 },
    { "nothing is refused", B(""), false, 0 },
    { "a missing end is refused", B("\x80"), false, 0 },
    { "zero in two bytes is refused", B("\x80\x00"), false, 0 },
    { "a longer form than needed is refused", B("\xac\x82\x00"), false, 0 },
    { "65 bits are refused", B("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), false, 0 },
    { "a tenth byte of zero is refused", B("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"), false, 0 },
    { "eleven bytes are refused", B("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00"), false, 0 },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct reader reader = reader_of(row->bytes);
    assert_true(read_varint(&reader) == row->value);
    assert_int_equal(reader.failed, !row->accepted);
    assert_int_equal(reader_finished(&reader), row->accepted);
    if (!row->accepted)
        return;
    struct buffer buffer;
    buffer_init(&buffer, varint_size(row->value));
    write_varint(&buffer, row->value);
    assert_true(bytes_equal(buffer_bytes(&buffer), row->bytes));
    buffer_done(&buffer);
}

static void test_round_trips(void)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    struct random random;
    random_init(&random, 1);
    struct buffer buffer;
    buffer_init(&buffer, 10 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        values[i] = random_next(&random) >> random_below(&random, 64);
        size_t before = buffer.size;
        write_varint(&buffer, values[i]);
        assert_int_equal(buffer.size - before, varint_size(values[i]));
    }
    struct reader reader = reader_of(buffer_bytes(&buffer));
    for (int i = 0; i < COUNT; i++)
        assert_true(read_varint(&reader) == values[i]);
    assert_true(reader_finished(&reader));
    buffer_done(&buffer);
}

/* What is accepted has one form only: written again it gives the same bytes. */
static void test_canonical(void)
{
    struct random random;
    random_init(&random, 2);
    for (int i = 0; i < 100000; i++) {
        uint8_t data[12], again[10];
        for (size_t j = 0; j < sizeof(data); j++)
            data[j] = (uint8_t)(random_next(&random) | (random_chance(&random, 3, 4) ? 0x80 : 0));
        struct bytes bytes = { data, random_below(&random, sizeof(data) + 1) };
        struct reader reader = reader_of(bytes);
        uint64_t value = read_varint(&reader);
        if (reader.failed)
            continue;
        size_t size = bytes.size - reader.rest.size;
        assert_int_equal(varint_put(again, value) - again, size);
        assert_memory_equal(again, data, size);
    }
}

static void test_integers(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_u8(&buffer, 0x01);
    write_u16(&buffer, 0x0203);
    write_u32(&buffer, 0x04050607);
    write_u64(&buffer, 0x08090a0b0c0d0e0full);
    assert_true(
        bytes_equal(buffer_bytes(&buffer),
                    BYTES_LITERAL("\x01\x03\x02\x07\x06\x05\x04\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08")));
    struct reader reader = reader_of(buffer_bytes(&buffer));
    assert_int_equal(read_u8(&reader), 0x01);
    assert_int_equal(read_u16(&reader), 0x0203);
    assert_int_equal(read_u32(&reader), 0x04050607);
    assert_true(read_u64(&reader) == 0x08090a0b0c0d0e0full);
    assert_true(reader_finished(&reader));
    buffer_done(&buffer);
}

static void test_sticky(void)
{
    struct reader reader = reader_of(BYTES_LITERAL("abc"));
    assert_int_equal(read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(read_u8(&reader), 0);
    assert_int_equal(read_bytes(&reader, 1).size, 0);
    assert_true(read_varint(&reader) == 0);
    assert_false(reader_finished(&reader));
}

static void test_sized(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    write_sized(&buffer, BYTES_LITERAL("hello"));
    write_sized(&buffer, (struct bytes){ 0 });
    struct reader reader = reader_of(buffer_bytes(&buffer));
    assert_true(bytes_equal(read_sized(&reader, 5), BYTES_LITERAL("hello")));
    assert_int_equal(read_sized(&reader, 0).size, 0);
    assert_true(reader_finished(&reader));
    reader = reader_of(buffer_bytes(&buffer));
    read_sized(&reader, 4);
    assert_true(reader.failed);
    buffer_done(&buffer);
}

static void test_sized_lies(void)
{
    struct reader reader = reader_of(BYTES_LITERAL("\x06hello"));
    assert_int_equal(read_sized(&reader, 100).size, 0);
    assert_true(reader.failed);
    reader = reader_of(BYTES_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hello"));
    assert_int_equal(read_sized(&reader, SIZE_MAX).size, 0);
    assert_true(reader.failed);
    reader = reader_of((struct bytes){ 0 });
    assert_int_equal(read_bytes(&reader, 0).size, 0);
    assert_true(reader_finished(&reader));
}

static void test_limit(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 1);
    write_varint(&buffer, 127);
    assert_false(buffer.failed);
    write_varint(&buffer, 127);
    assert_true(buffer.failed);
    buffer_done(&buffer);
}

static const struct named_test tests[] = {
    { "varints written are read again", test_round_trips },
    { "a number has one form only", test_canonical },
    { "integers are little-endian", test_integers },
    { "the first failure is sticky and reads give zero", test_sticky },
    { "sized bytes keep their size and the limit", test_sized },
    { "a size beyond the end is refused", test_sized_lies },
    { "a full buffer takes no varint", test_limit },
};

int main(void)
{
    int failed = RUN_ROWS("varint", rows, check);
    return failed + RUN_TESTS("reader and writer", tests);
}
