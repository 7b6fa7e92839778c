/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include <stdio.h>

#include "object/object.h"

/* --- golden bytes: a change of these files is a change of the disk and of the wire ------------ */

static struct metadata of_a_page[] = {
    { METADATA_CONTENT_TYPE, { 0 }, BYTES_LITERAL("text/html") },
    { METADATA_USER, BYTES_LITERAL("Color"), BYTES_LITERAL("blue") },
    { METADATA_INDEX, BYTES_LITERAL("age_int"), BYTES_LITERAL("7") },
    { 200, { 0 }, { 0 } }, /* a kind of a later release */
};
static struct dot one_actor[] = { { 0x0102030405060708, 1 } };
static struct sibling one_sibling[] = {
    { .dot = { 0x0102030405060708, 1 }, .stamp = 0x018c2a0000000000, .value = BYTES_LITERAL("hi") },
};
static struct dot two_actors[] = { { 1, 300 }, { UINT64_MAX, UINT64_MAX } };
static struct sibling three_siblings[] = {
    { .dot = { 1, 44 }, .stamp = 1, .kept = true, .value = BYTES_LITERAL("old") },
    { .dot = { 1, 300 }, .stamp = UINT64_MAX, .kept = true, .tombstone = true },
    { .dot = { UINT64_MAX, 1 },
      .stamp = 2,
      .kept = true,
      .metadata = of_a_page,
      .metadata_count = 4,
      .value = BYTES_LITERAL("<p>") },
};

static struct sibling of_both_modes[] = {
    { .dot = { 1, 44 }, .stamp = 1, .value = BYTES_LITERAL("old") },
    { .dot = { 1, 300 }, .stamp = 7, .kept = true, .value = BYTES_LITERAL("new") },
};

static struct sibling of_a_lease[] = {
    { .dot = { 1, 44 },
      .stamp = 1,
      .kept = true,
      .deadline_ms = 1700000000000,
      .metadata = of_a_page,
      .metadata_count = 1,
      .value = BYTES_LITERAL("lease") },
    { .dot = { 1, 45 }, .stamp = 2, .kept = true, .deadline_ms = 1, .tombstone = true },
    { .dot = { 1, 300 }, .stamp = 7, .value = BYTES_LITERAL("stays") },
};

struct golden {
    const char *name;
    struct object object;
};
static const struct golden goldens[] = {
    { .name = "empty" },
    { .name = "clock_only", .object.clock = { two_actors, 2 } },
    { "one", { { one_actor, 1 }, one_sibling, 1, { 0 } } },
    { "three", { { two_actors, 2 }, three_siblings, 3, { 0 } } },
    { "both_modes", { { two_actors, 2 }, of_both_modes, 2, { 0 } } },
    { "expires", { { two_actors, 2 }, of_a_lease, 3, { 0 } } },
    { "replaced", { { two_actors, 2 }, of_both_modes + 1, 1, { 5, { UINT64_MAX, 1 } } } },
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

static void assert_same_sibling(const struct sibling *a, const struct sibling *b)
{
    assert_true(a->dot.actor == b->dot.actor && a->dot.counter == b->dot.counter);
    assert_true(a->stamp == b->stamp && a->tombstone == b->tombstone && a->kept == b->kept);
    assert_int_equal(a->deadline_ms, b->deadline_ms);
    assert_true(bytes_equal(a->value, b->value));
    assert_int_equal(a->metadata_count, b->metadata_count);
    for (uint32_t i = 0; i < a->metadata_count; i++) {
        assert_int_equal(a->metadata[i].kind, b->metadata[i].kind);
        assert_true(bytes_equal(a->metadata[i].name, b->metadata[i].name));
        assert_true(bytes_equal(a->metadata[i].value, b->metadata[i].value));
    }
}

static void assert_same(const struct object *a, const struct object *b)
{
    assert_int_equal(a->clock.count, b->clock.count);
    assert_true(clock_vector_covers(&a->clock, &b->clock));
    assert_true(clock_vector_covers(&b->clock, &a->clock));
    assert_int_equal(a->sibling_count, b->sibling_count);
    assert_true(a->last.stamp == b->last.stamp && a->last.dot.actor == b->last.dot.actor &&
                a->last.dot.counter == b->last.dot.counter);
    for (uint32_t i = 0; i < a->sibling_count; i++)
        assert_same_sibling(&a->siblings[i], &b->siblings[i]);
}

static void check_golden(const void *context)
{
    const struct golden *row = context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    object_encode(&row->object, &buffer);
    assert_int_equal(buffer.size, object_encoded_size(&row->object));
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(row->name, buffer_bytes(&buffer));
    uint8_t data[256];
    struct bytes expected = read_golden(row->name, data, sizeof(data));
    assert_int_equal(buffer.size, expected.size);
    assert_memory_equal(buffer.data, expected.data, expected.size);

    struct object object;
    assert_int_equal(object_decode(expected, &arena, &object), KVORUM_OK);
    assert_same(&object, &row->object);
    buffer_done(&buffer);
    arena_done(&arena);
}

/* --- bytes by hand ---------------------------------------------------------------------------- */

#define ACTOR_A "0a 00 00 00 00 00 00 00 "
#define ACTOR_B "0b 00 00 00 00 00 00 00 "
#define STAMP "01 00 00 00 00 00 00 00 "
/* of a sibling: stamp, no flags, no metadata, value of one byte */
#define PLAIN STAMP "00 00 01 "
#define KEPT STAMP "02 00 01 "

struct row {
    const char *name;
    const char *hex;
    kvorum_status expected;
};

static const struct row rows[] = {
    { "one sibling", "01 01 " ACTOR_A "05 01 00 00 " PLAIN "78", KVORUM_OK },
    { "an old dot of the same actor", "01 01 " ACTOR_A "05 01 00 04 " PLAIN "78", KVORUM_OK },
    { "a tombstone with a value is read as it is",
      "01 01 " ACTOR_A "05 01 00 00 " STAMP "01 00 01 78", KVORUM_OK },
    { "two siblings, their values behind them",
      "02 01 " ACTOR_A "05 00 02 00 01 " KEPT "00 00 " KEPT "78 79", KVORUM_OK },
    { "no bytes", "", KVORUM_CORRUPT },
    { "format 0", "00 00 00", KVORUM_CORRUPT },
    { "a later format", "04 00 00", KVORUM_NEWER_FORMAT },
    { "nothing but the format", "01", KVORUM_CORRUPT },
    { "no sibling count", "01 00", KVORUM_CORRUPT },
    { "a byte too many", "01 00 00 00", KVORUM_CORRUPT },
    { "a byte too many behind the value", "01 01 " ACTOR_A "05 01 00 00 " PLAIN "78 79",
      KVORUM_CORRUPT },
    { "a value cut short", "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 00 02 78", KVORUM_CORRUPT },
    { "a value longer than memory",
      "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 00 ff ff ff ff ff ff ff ff ff 01", KVORUM_CORRUPT },
    { "values whose sizes overflow",
      "02 01 " ACTOR_A "05 00 02 00 01 " STAMP "02 00 ff ff ff ff ff ff ff ff ff 01 00 00 " STAMP
      "02 00 02 78",
      KVORUM_CORRUPT },
    { "actors out of order", "01 02 " ACTOR_B "01 " ACTOR_A "01 00", KVORUM_CORRUPT },
    { "an actor twice", "01 02 " ACTOR_A "01 " ACTOR_A "02 00", KVORUM_CORRUPT },
    { "a counter of 0", "01 01 " ACTOR_A "00 00", KVORUM_CORRUPT },
    { "a counter not in its shortest form", "01 01 " ACTOR_A "85 00 00", KVORUM_CORRUPT },
    { "a counter of more than 64 bits", "01 01 " ACTOR_A "ff ff ff ff ff ff ff ff ff 02 00",
      KVORUM_CORRUPT },
    { "a clock count not in its shortest form", "01 80 00 00", KVORUM_CORRUPT },
    { "more clock entries than bytes", "01 02 " ACTOR_A "01 00", KVORUM_CORRUPT },
    { "more clock entries than allowed", "01 81 20 00", KVORUM_CORRUPT },
    { "a dot of an actor not in the clock", "01 01 " ACTOR_A "05 01 01 00 " PLAIN "78",
      KVORUM_CORRUPT },
    { "a dot before the first", "01 01 " ACTOR_A "05 01 00 05 " PLAIN "78", KVORUM_CORRUPT },
    { "a sibling without a clock", "01 00 01 00 00 " PLAIN "78", KVORUM_CORRUPT },
    { "siblings of one actor out of order",
      "02 01 " ACTOR_A "05 00 02 00 00 " KEPT "00 01 " KEPT "78 79", KVORUM_CORRUPT },
    { "siblings of two actors out of order",
      "02 02 " ACTOR_A "05 " ACTOR_B "05 00 02 01 00 " KEPT "00 00 " KEPT "78 79", KVORUM_CORRUPT },
    { "a dot twice", "02 01 " ACTOR_A "05 00 02 00 01 " KEPT "00 01 " KEPT "78 79",
      KVORUM_CORRUPT },
    { "an unknown flag", "01 01 " ACTOR_A "05 01 00 00 " STAMP "08 00 01 78", KVORUM_CORRUPT },
    { "a deadline", "03 01 " ACTOR_A "05 00 01 00 00 " STAMP "04 " STAMP "00 01 78", KVORUM_OK },
    { "a deadline of a dropped value", "03 01 " ACTOR_A "05 00 01 00 00 " STAMP "05 " STAMP "00 00",
      KVORUM_OK },
    { "a deadline in format 1", "01 01 " ACTOR_A "05 01 00 00 " STAMP "04 " STAMP "00 01 78",
      KVORUM_CORRUPT },
    { "a deadline in format 2", "02 01 " ACTOR_A "05 00 01 00 00 " STAMP "06 " STAMP "00 01 78",
      KVORUM_CORRUPT },
    { "format 3 without a deadline", "03 01 " ACTOR_A "05 00 01 00 00 " KEPT "78", KVORUM_CORRUPT },
    { "a deadline of 0",
      "03 01 " ACTOR_A "05 00 01 00 00 " STAMP "04 00 00 00 00 00 00 00 00 00 01 78",
      KVORUM_CORRUPT },
    { "a deadline cut short", "03 01 " ACTOR_A "05 00 01 00 00 " STAMP "04 01 02", KVORUM_CORRUPT },
    { "more siblings than bytes", "02 01 " ACTOR_A "05 00 02 00 00 " KEPT "78", KVORUM_CORRUPT },
    { "a kept sibling", "02 01 " ACTOR_A "05 00 01 00 00 " KEPT "78", KVORUM_OK },
    { "a kept sibling and one that is not",
      "02 01 " ACTOR_A "05 00 02 00 01 " PLAIN "00 00 " KEPT "78 79", KVORUM_OK },
    { "a kept sibling and one that is not and was replaced",
      "02 01 " ACTOR_A "05 01 " STAMP "00 01 01 00 00 " KEPT "78", KVORUM_OK },
    { "one that is not kept, replaced, and nothing else",
      "02 01 " ACTOR_A "05 01 " STAMP "00 01 00", KVORUM_OK },
    { "two siblings that are not kept",
      "02 01 " ACTOR_A "05 00 02 00 01 " PLAIN "00 00 " PLAIN "78 79", KVORUM_CORRUPT },
    { "two siblings that are not kept in format 1",
      "01 01 " ACTOR_A "05 02 00 01 " PLAIN "00 00 " PLAIN "78 79", KVORUM_CORRUPT },
    { "one that is not kept, there and replaced",
      "02 01 " ACTOR_A "05 01 " STAMP "00 01 01 00 00 " PLAIN "78", KVORUM_CORRUPT },
    { "a kept sibling in format 1", "01 01 " ACTOR_A "05 01 00 00 " KEPT "78", KVORUM_CORRUPT },
    { "an object of format 1 in format 2", "02 01 " ACTOR_A "05 00 01 00 00 " PLAIN "78",
      KVORUM_CORRUPT },
    { "a replaced write of an actor not in the clock",
      "02 01 " ACTOR_A "05 01 " STAMP "01 01 01 00 00 " KEPT "78", KVORUM_CORRUPT },
    { "something else before the siblings", "02 01 " ACTOR_A "05 02 01 00 00 " KEPT "78",
      KVORUM_CORRUPT },
    { "metadata of kind 0", "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 01 00 00 00 01 78",
      KVORUM_CORRUPT },
    { "metadata of an unknown kind", "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 01 c8 00 00 01 78",
      KVORUM_OK },
    { "metadata with a name past the end",
      "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 01 01 7f 00 01 78", KVORUM_CORRUPT },
    { "more metadata than bytes", "01 01 " ACTOR_A "05 01 00 00 " STAMP "00 02 01 00 00 01 78",
      KVORUM_CORRUPT },
};

static struct bytes bytes_of_hex(const char *hex, uint8_t *data)
{
    size_t size = 0;
    for (int used; sscanf(hex, "%2hhx %n", &data[size], &used) == 1; hex += used)
        size++;
    return bytes_make(data, size);
}

/* Decoding must not read past the end, so the bytes lie at the end of a block of their own. */
static kvorum_status decode_and_back(struct bytes bytes, struct arena *arena)
{
    uint8_t *exact = malloc(bytes.size + 1);
    assert_non_null(exact);
    if (bytes.size != 0)
        memcpy(exact + 1, bytes.data, bytes.size);
    struct object object = { .sibling_count = 77 };
    kvorum_status status = object_decode(bytes_make(exact + 1, bytes.size), arena, &object);
    if (status == KVORUM_OK) {
        struct buffer buffer;
        buffer_init(&buffer, 1 << 20);
        object_encode(&object, &buffer);
        assert_true(bytes_equal(buffer_bytes(&buffer), bytes));
        buffer_done(&buffer);
    } else {
        assert_int_equal(object.sibling_count, 77);
    }
    free(exact);
    return status;
}

static void check_hex(const void *context)
{
    const struct row *row = context;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t data[256];
    assert_int_equal(decode_and_back(bytes_of_hex(row->hex, data), &arena), row->expected);
    arena_done(&arena);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void every_beginning_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t data[256];
    struct bytes whole = read_golden("three", data, sizeof(data));
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(decode_and_back(bytes_make(data, size), &arena), KVORUM_CORRUPT);
    arena_done(&arena);
}

static void a_changed_byte_is_refused_or_canonical(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t data[256];
    struct bytes whole = read_golden("three", data, sizeof(data));
    unsigned refused = 0;
    for (size_t i = 0; i < whole.size * 256; i++) {
        uint8_t *byte = &data[i / 256], kept = *byte;
        *byte = (uint8_t)i;
        refused += decode_and_back(whole, &arena) != KVORUM_OK;
        *byte = kept;
        arena_reset(&arena);
    }
    assert_true(refused > whole.size);
    arena_done(&arena);
}

static void decoding_fails_cleanly_without_memory(void **state)
{
    (void)state;
    uint8_t data[256];
    struct bytes whole = read_golden("three", data, sizeof(data));
    kvorum_status status = KVORUM_NO_MEMORY;
    size_t refused = 0;
    for (size_t limit = 0; status == KVORUM_NO_MEMORY; limit += 64) {
        struct arena arena;
        arena_init(&arena, limit);
        status = decode_and_back(whole, &arena);
        refused += status == KVORUM_NO_MEMORY;
        arena_done(&arena);
    }
    assert_int_equal(status, KVORUM_OK);
    assert_true(refused > 0);
}

/* "4,096 entries" in three bytes must not make the decoder ask for 64 KiB. */
static void counts_without_bytes_take_no_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    static const uint8_t clock[] = { 1, 0x80, 0x20, 0 }, siblings[] = { 2, 0, 0, 0x80, 0x08 };
    assert_int_equal(decode_and_back(bytes_make(clock, sizeof(clock)), &arena), KVORUM_CORRUPT);
    assert_int_equal(decode_and_back(bytes_make(siblings, sizeof(siblings)), &arena),
                     KVORUM_CORRUPT);
    arena_done(&arena);
}

static kvorum_status decode_of(const struct object *object)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    object_encode(object, &buffer);
    assert_false(buffer.failed);
    kvorum_status status = decode_and_back(buffer_bytes(&buffer), &arena);
    buffer_done(&buffer);
    arena_done(&arena);
    return status;
}

static void decoders_keep_the_limits(void **state)
{
    (void)state;
    static struct dot dots[OBJECT_CLOCK_MAX + 1];
    static struct sibling siblings[OBJECT_SIBLING_MAX + 1];
    static struct metadata metadata[OBJECT_METADATA_MAX + 1];
    for (uint32_t i = 0; i <= OBJECT_CLOCK_MAX; i++)
        dots[i] = (struct dot){ i, 1 };
    for (uint32_t i = 0; i <= OBJECT_SIBLING_MAX; i++)
        siblings[i] = (struct sibling){ .dot = dots[i], .kept = true };
    for (uint32_t i = 0; i <= OBJECT_METADATA_MAX; i++)
        metadata[i].kind = METADATA_LINK;
    struct object object = { { dots, OBJECT_CLOCK_MAX }, siblings, OBJECT_SIBLING_MAX, { 0 } };
    siblings[3].metadata = metadata;
    siblings[3].metadata_count = OBJECT_METADATA_MAX;
    assert_int_equal(decode_of(&object), KVORUM_OK);
    siblings[3].metadata_count++;
    assert_int_equal(decode_of(&object), KVORUM_CORRUPT);
    siblings[3].metadata_count--;
    object.sibling_count++;
    assert_int_equal(decode_of(&object), KVORUM_CORRUPT);
    object.sibling_count--;
    object.clock.count++;
    assert_int_equal(decode_of(&object), KVORUM_CORRUPT);
}

static void encoding_fails_at_the_limit_of_the_buffer(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 40);
    object_encode(&goldens[2].object, &buffer);
    assert_false(buffer.failed);
    object_encode(&goldens[2].object, &buffer);
    assert_true(buffer.failed);
    buffer_done(&buffer);
}

static void digests_tell_objects_apart(void **state)
{
    (void)state;
    uint8_t data[256];
    struct bytes whole = read_golden("three", data, sizeof(data));
    uint64_t digest = object_digest(whole);
    assert_true(digest != 0);
    assert_true(digest == object_digest(whole));
    data[whole.size - 1] ^= 1;
    assert_true(digest != object_digest(whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beginning_is_refused),
        cmocka_unit_test(a_changed_byte_is_refused_or_canonical),
        cmocka_unit_test(decoding_fails_cleanly_without_memory),
        cmocka_unit_test(counts_without_bytes_take_no_memory),
        cmocka_unit_test(decoders_keep_the_limits),
        cmocka_unit_test(encoding_fails_at_the_limit_of_the_buffer),
        cmocka_unit_test(digests_tell_objects_apart),
    };
    int failed = RUN_ROWS("golden objects", goldens, check_golden);
    failed += RUN_ROWS("object bytes", rows, check_hex);
    return failed + cmocka_run_group_tests_name("damaged objects", tests, NULL, NULL);
}
