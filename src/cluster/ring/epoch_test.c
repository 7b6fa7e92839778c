/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ring/ring.h"

#include "base/hash.h"
#include "codec/varint.h"
#include "tests/support/rows.h"

#include <stdio.h>

enum { RECORD_MAX = 1024, ARENA = 1 << 20 };

static struct member two_members[] = {
    { { "\x01" }, "ant", "here", "10.0.0.1:7400", 100 },
    { { "\x02\x03" }, "bee-2", "there", "[fe80::1]:7400", 10000 },
};
static uint16_t two_table[] = { 0, 1, 1, 0, 0, 1, 1, 0 };
static const struct epoch two = {
    .number = 7,
    .cluster = { "cluster-id-16-by" },
    .hash_seed = 0x1122334455667788,
    .partition_count = 4,
    .replica_count = 2,
    .member_count = 2,
    .members = two_members,
    .table = two_table,
};
static uint16_t one_table[] = { 0 };
static const struct epoch one = {
    .number = 1,
    .partition_count = 1,
    .replica_count = 1,
    .member_count = 1,
    .members = two_members,
    .table = one_table,
};

/* --- golden bytes: epochs are on disk and between releases ------------------------------------ */

struct golden {
    const char *name;
    const struct epoch *epoch;
};
static const struct golden goldens[] = { { "one", &one }, { "two", &two } };

static size_t read_golden(const char *name, uint8_t *ret_data)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/epoch/%s.bin", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(ret_data, 1, RECORD_MAX, file);
    fclose(file);
    return size;
}

static void write_golden(const char *name, struct bytes bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "tests/golden/epoch/%s.bin", name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void assert_same(const struct epoch *a, const struct epoch *b)
{
    assert_true(a->number == b->number && a->hash_seed == b->hash_seed);
    assert_memory_equal(&a->cluster, &b->cluster, sizeof(a->cluster));
    assert_int_equal(a->partition_count, b->partition_count);
    assert_int_equal(a->replica_count, b->replica_count);
    assert_int_equal(a->member_count, b->member_count);
    assert_memory_equal(a->members, b->members, a->member_count * sizeof(*a->members));
    assert_memory_equal(a->table, b->table,
                        a->partition_count * a->replica_count * sizeof(*a->table));
}

static void check_golden(const void *context)
{
    const struct golden *row = context;
    struct buffer buffer;
    buffer_init(&buffer, RECORD_MAX);
    epoch_encode(row->epoch, &buffer);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(row->name, buffer_bytes(&buffer));
    uint8_t golden[RECORD_MAX];
    size_t size = read_golden(row->name, golden);
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_make(golden, size)));

    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, ARENA);
    assert_int_equal(epoch_decode(bytes_make(golden, size), &arena, &epoch), KVORUM_OK);
    assert_same(&epoch, row->epoch);
    arena_done(&arena);
    buffer_done(&buffer);
}

/* --- damage: `two` changed at one place, under a good checksum ------------------------------ */

enum { AT_MEMBERS = 43, AT_NAME = AT_MEMBERS + 20, SECOND_MEMBER = AT_NAME + 4 + 5 + 14 };
enum { SECOND_NAME = SECOND_MEMBER + 20, AT_TABLE = SECOND_NAME + 6 + 6 + 15 };

struct damage {
    const char *name;
    uint32_t offset;
    uint8_t size;
    const char *bytes;
    kvorum_status status;
};

static const struct damage damages[] = {
    { "nothing changed", 0, 0, "", KVORUM_OK },
    { "another magic", 0, 1, "X", KVORUM_CORRUPT },
    { "a newer format", 3, 1, "2", KVORUM_NEWER_FORMAT },
    { "a format before the first", 3, 1, "0", KVORUM_CORRUPT },
    { "epoch 0", 4, 8, "\0\0\0\0\0\0\0\0", KVORUM_CORRUPT },
    { "any hash seed is fine", 28, 8, "\0\0\0\0\0\0\0\0", KVORUM_OK },
    { "no partitions", 36, 4, "\0\0\0\0", KVORUM_CORRUPT },
    { "partitions not a power of two", 36, 4, "\3\0\0\0", KVORUM_CORRUPT },
    { "more partitions than allowed", 36, 4, "\0\0\2\0", KVORUM_CORRUPT },
    { "more partitions than bytes", 36, 4, "\0\0\1\0", KVORUM_CORRUPT },
    { "fewer partitions than bytes", 36, 4, "\2\0\0\0", KVORUM_CORRUPT },
    { "no replicas", 40, 1, "\0", KVORUM_CORRUPT },
    { "more replicas than members", 40, 1, "\3", KVORUM_CORRUPT },
    { "more replicas than allowed", 40, 1, "\10", KVORUM_CORRUPT },
    { "no members", 41, 2, "\0\0", KVORUM_CORRUPT },
    { "more members than bytes", 41, 2, "\3\0", KVORUM_CORRUPT },
    { "more members than allowed", 41, 2, "\xe9\3", KVORUM_CORRUPT },
    { "members out of order", AT_MEMBERS, 1, "\5", KVORUM_CORRUPT },
    { "a member twice", AT_MEMBERS, 2, "\2\3", KVORUM_CORRUPT },
    { "no weight", AT_MEMBERS + 16, 4, "\0\0\0\0", KVORUM_CORRUPT },
    { "the largest weight", AT_MEMBERS + 16, 4, "\x10\x27\0\0", KVORUM_OK },
    { "too much weight", AT_MEMBERS + 16, 4, "\x11\x27\0\0", KVORUM_CORRUPT },
    { "an empty name", AT_NAME, 1, "\0", KVORUM_CORRUPT },
    { "a name longer than allowed", AT_NAME, 1, "\x40", KVORUM_CORRUPT },
    { "a name with a blank", AT_NAME + 1, 1, " ", KVORUM_CORRUPT },
    { "a name that ends early", AT_NAME + 2, 1, "\0", KVORUM_CORRUPT },
    { "a size not in its shortest form", AT_NAME, 2, "\x83\0", KVORUM_CORRUPT },
    { "a zone with a slash", AT_NAME + 5, 1, "/", KVORUM_CORRUPT },
    { "an address with a line feed", AT_NAME + 10, 1, "\n", KVORUM_CORRUPT },
    { "an address that is not ASCII", AT_NAME + 10, 1, "\xff", KVORUM_CORRUPT },
    { "an owner who is nobody", AT_TABLE, 2, "\2\0", KVORUM_CORRUPT },
    { "a hole in the table", AT_TABLE, 2, "\xff\xff", KVORUM_CORRUPT },
    { "an owner twice in a partition", AT_TABLE, 2, "\1\0", KVORUM_CORRUPT },
};

static void sign(uint8_t *record, size_t size)
{
    uint64_t sum = hash64(bytes_make(record, size - 8), 0);
    for (int i = 0; i < 8; i++)
        record[size - 8 + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

static void keep_for_the_corpus(const char *name, struct bytes bytes)
{
    if (getenv("KVORUM_WRITE_CORPUS") == NULL)
        return;
    char path[256];
    int size = snprintf(path, sizeof(path), "tests/corpus/epoch/%s", name);
    for (int i = (int)sizeof("tests/corpus/epoch/") - 1; i < size; i++)
        path[i] = path[i] == ' ' ? '-' : path[i];
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void check_damage(const void *context)
{
    const struct damage *row = context;
    uint8_t record[RECORD_MAX];
    size_t size = read_golden("two", record);
    assert_int_equal(size, AT_TABLE + 16 + 8);
    memcpy(record + row->offset, row->bytes, row->size);
    sign(record, size);
    keep_for_the_corpus(row->name, bytes_make(record, size));
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, ARENA);
    assert_int_equal(epoch_decode(bytes_make(record, size), &arena, &epoch), row->status);
    arena_done(&arena);
}

/* --- every byte, every size, every allocation ----------------------------------------------- */

static kvorum_status decode(struct bytes bytes, size_t memory)
{
    struct arena arena;
    struct epoch epoch = { .number = 99 };
    arena_init(&arena, memory);
    kvorum_status status = epoch_decode(bytes, &arena, &epoch);
    assert_true(status == KVORUM_OK || epoch.number == 99);
    arena_done(&arena);
    return status;
}

static void every_flipped_bit_is_found(void **state)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden("two", record);
    (void)state;
    for (size_t i = 0; i < size * 8; i++) {
        record[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(decode(bytes_make(record, size), ARENA), KVORUM_OK);
        record[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void every_cut_is_found(void **state)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden("two", record);
    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(decode(bytes_make(record, cut), ARENA), KVORUM_CORRUPT);
        if (cut < 12)
            continue;
        uint8_t copy[RECORD_MAX];
        memcpy(copy, record, cut);
        sign(copy, cut);
        assert_int_equal(decode(bytes_make(copy, cut), ARENA), KVORUM_CORRUPT);
    }
}

static void memory_may_run_out(void **state)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden("two", record);
    kvorum_status status = KVORUM_NO_MEMORY;
    (void)state;
    for (size_t memory = 0; status != KVORUM_OK; memory += 64) {
        status = decode(bytes_make(record, size), memory);
        assert_true(status == KVORUM_OK || status == KVORUM_NO_MEMORY);
    }
}

static void a_full_buffer_stays_failed(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < AT_TABLE + 24; limit += 7) {
        struct buffer buffer;
        buffer_init(&buffer, limit);
        epoch_encode(&two, &buffer);
        assert_true(buffer.failed);
        buffer_done(&buffer);
    }
}

static void names_are_plain(void **state)
{
    (void)state;
    assert_true(ring_name_valid("a"));
    assert_true(ring_name_valid("Node_1.rack-2"));
    assert_false(ring_name_valid(""));
    assert_false(ring_name_valid("a b"));
    assert_false(ring_name_valid("caf\xc3\xa9"));
    char name[RING_NAME_MAX + 2];
    memset(name, 'x', sizeof(name));
    name[RING_NAME_MAX + 1] = 0;
    assert_false(ring_name_valid(name));
    name[RING_NAME_MAX] = 0;
    assert_true(ring_name_valid(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_cut_is_found),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(a_full_buffer_stays_failed),
        cmocka_unit_test(names_are_plain),
    };
    int failed = RUN_ROWS("golden epochs", goldens, check_golden);
    failed += RUN_ROWS("damaged epochs", damages, check_damage);
    return failed + cmocka_run_group_tests_name("epochs, in detail", tests, NULL, NULL);
}
