/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include "base/random.h"
#include "tests/support/rows.h"

static void test_growth(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    size_t growths = 0, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        buffer_append_u8(&buffer, (uint8_t)i);
        growths += buffer.capacity != capacity;
        capacity = buffer.capacity;
    }
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(buffer.capacity, 1000);
    assert_true(growths <= 5);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer.data[i], i & 0xff);
    buffer_done(&buffer);
}

static void test_sticky_failure(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 4);
    buffer_append_text(&buffer, "abc");
    buffer_append_text(&buffer, "de");
    assert_true(buffer.failed);
    buffer_append_u8(&buffer, 'x');
    assert_null(buffer_reserve(&buffer, 1));
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES_LITERAL("abc")));
    buffer_reset(&buffer);
    buffer_append_text(&buffer, "defg");
    assert_false(buffer.failed);
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES_LITERAL("defg")));
    buffer_done(&buffer);
}

static void test_absurd_sizes(void)
{
    struct buffer buffer;
    buffer_init(&buffer, SIZE_MAX);
    buffer_append_text(&buffer, "abc");
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
    buffer_done(&buffer);
}

static void test_reserve(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_non_null(buffer_reserve(&buffer, 0));
    uint8_t *at = buffer_reserve(&buffer, 100);
    memset(at, 'x', 100);
    buffer.size += 100;
    assert_non_null(buffer_reserve(&buffer, 0));
    assert_false(buffer.failed);
    assert_null(buffer_reserve(&buffer, 1));
    buffer_done(&buffer);
}

static void test_nothing(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0);
    buffer_append(&buffer, NULL, 0);
    buffer_append_bytes(&buffer, (struct bytes){ 0 });
    buffer_consume(&buffer, 0);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 0);
    buffer_done(&buffer);
}

static void test_printf(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 505);
    buffer_printf(&buffer, "%s=%d", "n", 12);
    assert_true(bytes_equal(buffer_bytes(&buffer), BYTES_LITERAL("n=12")));
    buffer_printf(&buffer, "%0500d", 7);
    assert_int_equal(buffer.size, 504);
    assert_int_equal(buffer.data[503], '7');
    buffer_printf(&buffer, "x");
    assert_false(buffer.failed);
    buffer_printf(&buffer, "x");
    assert_true(buffer.failed);
    buffer_done(&buffer);
}

/* Model: a plain array that is large enough. */
static void test_queue(void)
{
    static uint8_t model[100000];
    size_t first = 0, end = 0;
    struct random random;
    random_init(&random, 1);
    struct buffer buffer;
    buffer_init(&buffer, sizeof(model));
    while (end < sizeof(model) - 100) {
        size_t added = random_below(&random, 100);
        for (size_t i = 0; i < added; i++)
            model[end + i] = (uint8_t)random_next(&random);
        buffer_append(&buffer, model + end, added);
        end += added;
        size_t taken = random_below(&random, end - first + 1);
        buffer_consume(&buffer, taken);
        first += taken;
        assert_true(bytes_equal(buffer_bytes(&buffer), bytes_make(model + first, end - first)));
    }
    buffer_done(&buffer);
}

static const struct named_test tests[] = {
    { "capacity doubles up to the limit", test_growth },
    { "a failure is sticky and keeps what was there", test_sticky_failure },
    { "a size that overflows fails", test_absurd_sizes },
    { "reserved room is exactly what the limit leaves", test_reserve },
    { "nothing may be appended to nothing", test_nothing },
    { "formatted text of any length, its NUL not counted", test_printf },
    { "append and consume make a queue", test_queue },
};

int main(void)
{
    return RUN_TESTS("buffer", tests);
}
