/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include <stdio.h>

#include "base/hash.h"
#include "tests/support/object_text.h"

/* --- golden bytes: clients keep contexts across upgrades -------------------------------------- */

struct golden {
    const char *name;
    const char *object;
};
static const struct golden goldens[] = {
    { "context_empty", "" },
    { "context_one", "a1 | a1@7=x" },
    { "context_two", "a300 b2 | a299@7=x b2@9!" },
    { "context_last", "a300 b2 | a299~7=x b2@9!" },
    { "context_replaced", "a300 b2 <a299~7 | b2@9!" },
};

static void golden_path(const char *name, char ret_path[128])
{
    snprintf(ret_path, 128, "tests/golden/object/%s.bin", name);
}

static struct bytes read_golden(const char *name, uint8_t *data, size_t size)
{
    char path[128];
    golden_path(name, path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t read = fread(data, 1, size, file);
    fclose(file);
    return bytes_make(data, read);
}

static void write_golden(const char *name, struct bytes bytes)
{
    char path[128];
    golden_path(name, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void check_golden(const void *row_context)
{
    const struct golden *row = row_context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    struct object object = object_of_text(row->object, &arena);
    context_encode(&object, &buffer);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(row->name, buffer_bytes(&buffer));
    uint8_t data[256];
    struct bytes expected = read_golden(row->name, data, sizeof(data));
    assert_true(bytes_equal(buffer_bytes(&buffer), expected));

    struct object_context context;
    assert_int_equal(context_decode(expected, &arena, &context), KVORUM_OK);
    assert_true(context.stamp == object_max_stamp(&object));
    struct write_mark last = object_last_mark(&object);
    assert_true(context.last.stamp == last.stamp && context.last.dot.actor == last.dot.actor &&
                context.last.dot.counter == last.dot.counter);
    assert_int_equal(context.clock.count, object.clock.count);
    assert_true(clock_vector_covers(&context.clock, &object.clock));
    assert_true(clock_vector_covers(&object.clock, &context.clock));
    buffer_done(&buffer);
    arena_done(&arena);
}

/* --- foreign and damaged bytes ---------------------------------------------------------------- */

/* Damage of every single bit and every cut is caught by the checksum. */
static void damaged_contexts_are_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t data[256];
    struct bytes whole = read_golden("context_two", data, sizeof(data));
    struct object_context context = { .stamp = 77 };
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(context_decode(bytes_make(data, size), &arena, &context), KVORUM_CORRUPT);
    for (size_t bit = 0; bit < whole.size * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(context_decode(whole, &arena, &context), KVORUM_CORRUPT);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(context.stamp == 77);
    assert_int_equal(context_decode(whole, &arena, &context), KVORUM_OK);
    arena_done(&arena);
}

struct row {
    const char *name;
    struct bytes body; /* behind it the checksum that fits */
    kvorum_status expected;
};

static const struct row rows[] = {
    { "an empty clock", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0\0"), KVORUM_OK },
    { "one actor", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\5"), KVORUM_OK },
    { "a write that is not kept",
      BYTES_LITERAL("\2\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\5\7\0\0\0\0\0\0\0\0\4"), KVORUM_OK },
    { "one that the clock does not cover",
      BYTES_LITERAL("\2\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\5\7\0\0\0\0\0\0\0\0\5"), KVORUM_CORRUPT },
    { "one that is later than the latest",
      BYTES_LITERAL("\2\6\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\5\7\0\0\0\0\0\0\0\0\4"), KVORUM_CORRUPT },
    { "one that does not follow", BYTES_LITERAL("\2\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\5"),
      KVORUM_CORRUPT },
    { "another format", BYTES_LITERAL("\3\7\0\0\0\0\0\0\0\0"), KVORUM_CORRUPT },
    { "no clock", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0"), KVORUM_CORRUPT },
    { "a byte too many", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0\0\0"), KVORUM_CORRUPT },
    { "a clock cut short", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0"), KVORUM_CORRUPT },
    { "a counter of 0", BYTES_LITERAL("\1\7\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\0"), KVORUM_CORRUPT },
    { "nothing", BYTES_LITERAL(""), KVORUM_CORRUPT },
};

static void check_body(const void *row_context)
{
    const struct row *row = row_context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer buffer;
    buffer_init(&buffer, 1 << 10);
    uint32_t sum = htole32((uint32_t)hash64(row->body, 0x63747874));
    buffer_append_bytes(&buffer, row->body);
    buffer_append(&buffer, &sum, sizeof(sum));
    struct object_context context;
    assert_int_equal(context_decode(buffer_bytes(&buffer), &arena, &context), row->expected);
    buffer_done(&buffer);
    arena_done(&arena);
}

static void contexts_fail_cleanly_without_memory(void **state)
{
    (void)state;
    uint8_t data[256];
    struct bytes whole = read_golden("context_two", data, sizeof(data));
    struct arena arena;
    arena_init(&arena, 0);
    struct object_context context = { .stamp = 77 };
    assert_int_equal(context_decode(whole, &arena, &context), KVORUM_NO_MEMORY);
    assert_true(context.stamp == 77);
    arena_done(&arena);

    struct buffer buffer;
    buffer_init(&buffer, 10);
    context_encode(&(struct object){ 0 }, &buffer);
    assert_true(buffer.failed);
    buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_contexts_are_refused),
        cmocka_unit_test(contexts_fail_cleanly_without_memory),
    };
    int failed = RUN_ROWS("golden contexts", goldens, check_golden);
    failed += RUN_ROWS("context bytes", rows, check_body);
    return failed + cmocka_run_group_tests_name("damaged contexts", tests, NULL, NULL);
}
