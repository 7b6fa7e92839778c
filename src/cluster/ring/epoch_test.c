/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ring/ring.h"

#include "base/hash.h"
#include "codec/varint.h"
#include "tests/support/rows.h"

#include <stdio.h>

enum { RECORD_MAX = 1024, ARENA = 1 << 20 };

static struct member two_members[] = {
    { { "\x01" }, "ant", "here", "10.0.0.1:7400", 100, MEMBER_ACTIVE },
    { { "\x02\x03" }, "bee-2", "there", "[fe80::1]:7400", 10000, MEMBER_ACTIVE },
};
static uint16_t two_table[] = { 0, 1, 1, 0, 0, 1, 1, 0 };
static const struct epoch two = {
    .number = 7,
    .cluster = { "cluster-id-16-by" },
    .hash_seed = 0x1122334455667788,
    .partition_count = 4,
    .replica_count = 2,
    .replicas_wanted = 3,
    .member_count = 2,
    .members = two_members,
    .table = two_table,
    .voter_count = 1,
    .voters = { 0 },
};
static uint16_t one_table[] = { 0 };
static const struct epoch one = {
    .number = 1,
    .partition_count = 1,
    .replica_count = 1,
    .replicas_wanted = 3,
    .member_count = 1,
    .members = two_members,
    .table = one_table,
    .voter_count = 1,
    .voters = { 0 },
};

/* All that format 2 can say: every state, by slot, a short row, moves, staged changes. */
static struct member many_members[] = {
    { { "\x09" }, "ant", "here", "10.0.0.1:7400", 100, MEMBER_ACTIVE },
    { { "\x02" }, "bee", "there", "10.0.0.2:7400", 200, MEMBER_LEAVING },
    { { "\x05" }, "cat", "here", "10.0.0.3:7400", 1, MEMBER_GONE },
    { { "\x07" }, "dog", "there", "10.0.0.4:7400", 10000, MEMBER_JOINING },
    { { "\x01" }, "elk", "away", "10.0.0.5:7400", 100, MEMBER_ACTIVE },
};
static uint16_t many_table[] = { 0, 1, RING_NO_MEMBER, 1, 4, 0 };
static struct move many_moves[] = {
    { 0, MOVE_WRITE_BOTH_READ_OLD, 8, { 0, 3, 4 } },
    { 1, MOVE_WRITE_BOTH_READ_NEW, 7, { 0, 3, RING_NO_MEMBER } },
};
static struct change many_changes[] = {
    { CHANGE_JOIN, 3, 0, 0, "" },       { CHANGE_LEAVE, 1, 0, 0, "" },
    { CHANGE_REMOVE, 0, 0, 0, "" },     { CHANGE_REPLACE, 4, 3, 0, "" },
    { CHANGE_WEIGHT, 0, 0, 10000, "" }, { CHANGE_ZONE, 4, 0, 0, "attic" },
};
static const struct epoch many = {
    .number = 8,
    .cluster = { "cluster-id-16-by" },
    .hash_seed = 1,
    .partition_count = 2,
    .replica_count = 3,
    .replicas_wanted = 5,
    .member_count = 5,
    .members = many_members,
    .table = many_table,
    .voter_count = 2,
    .voters = { 0, 4 },
    .move_count = 2,
    .moves = many_moves,
    .change_count = 6,
    .changes = many_changes,
};

/* --- golden bytes: epochs are on disk and between releases ------------------------------------ */

struct golden {
    const char *name;
    const struct epoch *epoch;
    bool written; /* by this release */
};
static const struct golden goldens[] = {
    { "one", &one, false },   { "two", &two, false }, /* of format 1 */
    { "one-v2", &one, true }, { "two-v2", &two, true }, { "many-v2", &many, true },
};

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
    assert_int_equal(a->replicas_wanted, b->replicas_wanted);
    assert_int_equal(a->voter_count, b->voter_count);
    assert_memory_equal(a->voters, b->voters, a->voter_count * sizeof(*a->voters));
    assert_int_equal(a->change_count, b->change_count);
    for (uint16_t i = 0; i < a->change_count; i++) {
        const struct change *x = &a->changes[i], *y = &b->changes[i];
        assert_true(x->kind == y->kind && x->member == y->member && x->with == y->with &&
                    x->weight == y->weight && strcmp(x->zone, y->zone) == 0);
    }
    assert_int_equal(a->move_count, b->move_count);
    for (uint32_t i = 0; i < a->move_count; i++) {
        const struct move *x = &a->moves[i], *y = &b->moves[i];
        assert_true(x->partition == y->partition && x->phase == y->phase &&
                    x->session == y->session);
        assert_memory_equal(x->to, y->to, a->replica_count * sizeof(*x->to));
    }
}

static void check_golden(const void *context)
{
    const struct golden *row = context;
    struct buffer buffer;
    buffer_init(&buffer, RECORD_MAX);
    epoch_encode(row->epoch, &buffer);
    if (row->written && getenv("KVORUM_WRITE_GOLDEN") != NULL)
        write_golden(row->name, buffer_bytes(&buffer));
    uint8_t golden[RECORD_MAX];
    size_t size = read_golden(row->name, golden);
    if (row->written)
        assert_true(bytes_equal(buffer_bytes(&buffer), bytes_make(golden, size)));

    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, ARENA);
    assert_int_equal(epoch_decode(bytes_make(golden, size), &arena, &epoch), KVORUM_OK);
    assert_same(&epoch, row->epoch);
    arena_done(&arena);
    buffer_done(&buffer);
}

/* --- damage: a record changed at one place, under a good checksum ---------------------------- */

/* Of `two`, in format 1. */
enum { AT_MEMBERS = 43, AT_NAME = AT_MEMBERS + 20, SECOND_MEMBER = AT_NAME + 4 + 5 + 14 };
enum { SECOND_NAME = SECOND_MEMBER + 20, AT_TABLE = SECOND_NAME + 6 + 6 + 15 };

/* Of `many`: a member takes 21 bytes, 4 of name, 14 of address, and its zone. */
enum { MANY_MEMBERS = 44, MANY_STATE = MANY_MEMBERS + 16, MANY_SECOND = MANY_MEMBERS + 44 };
enum { MANY_VOTERS = MANY_MEMBERS + 5 * 39 + 5 + 6 + 5 + 6 + 5, MANY_TABLE = MANY_VOTERS + 5 };
enum { MANY_MOVES = MANY_TABLE + 12, MANY_MOVE = MANY_MOVES + 4, MANY_CHANGES = MANY_MOVES + 42 };
enum { MANY_JOIN = MANY_CHANGES + 2, MANY_REPLACE = MANY_JOIN + 9, MANY_WEIGHT = MANY_REPLACE + 5 };
enum { MANY_ZONE = MANY_WEIGHT + 7, MANY_END = MANY_ZONE + 9 };

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
    { "a newer format", 3, 1, "3", KVORUM_NEWER_FORMAT },
    { "format 1 called 2", 3, 1, "2", KVORUM_CORRUPT },
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

static const struct damage damages_v2[] = {
    { "v2 nothing changed", 0, 0, "", KVORUM_OK },
    { "v2 called format 1", 3, 1, "1", KVORUM_CORRUPT },
    { "v2 fewer replicas wanted than columns", 41, 1, "\2", KVORUM_CORRUPT },
    { "v2 more replicas wanted than allowed", 41, 1, "\10", KVORUM_CORRUPT },
    { "v2 members in any order", MANY_MEMBERS, 1, "\xff", KVORUM_OK },
    { "v2 a member twice", MANY_MEMBERS, 1, "\2", KVORUM_CORRUPT },
    { "v2 the id of one who is gone", MANY_MEMBERS, 1, "\5", KVORUM_CORRUPT },
    { "v2 a state that is none", MANY_STATE, 1, "\4", KVORUM_CORRUPT },
    { "v2 an owner who is gone", MANY_STATE, 1, "\3", KVORUM_CORRUPT },
    { "v2 no voters", MANY_VOTERS, 1, "\0", KVORUM_CORRUPT },
    { "v2 too many voters", MANY_VOTERS, 1, "\10", KVORUM_CORRUPT },
    { "v2 a voter who is nobody", MANY_VOTERS + 3, 2, "\5\0", KVORUM_CORRUPT },
    { "v2 a voter who is gone", MANY_VOTERS + 3, 2, "\2\0", KVORUM_CORRUPT },
    { "v2 a voter twice", MANY_VOTERS + 3, 2, "\0\0", KVORUM_CORRUPT },
    { "v2 an empty row", MANY_TABLE, 4, "\xff\xff\xff\xff", KVORUM_CORRUPT },
    { "v2 a hole inside a row", MANY_TABLE + 8, 2, "\xff\xff", KVORUM_CORRUPT },
    { "v2 a hole at the end of a row", MANY_TABLE + 10, 2, "\xff\xff", KVORUM_OK },
    { "v2 more moves than bytes", MANY_MOVES, 4, "\xff\xff\xff\xff", KVORUM_CORRUPT },
    { "v2 a partition moves twice", MANY_MOVE, 4, "\1\0\0\0", KVORUM_CORRUPT },
    { "v2 a partition that is none moves", MANY_MOVE + 19, 4, "\2\0\0\0", KVORUM_CORRUPT },
    { "v2 a phase that is none", MANY_MOVE + 4, 1, "\3", KVORUM_CORRUPT },
    { "v2 no phase", MANY_MOVE + 4, 1, "\0", KVORUM_CORRUPT },
    { "v2 a session before the first epoch", MANY_MOVE + 5, 1, "\0", KVORUM_CORRUPT },
    { "v2 a session of the future", MANY_MOVE + 5, 1, "\11", KVORUM_CORRUPT },
    { "v2 a move to one who is gone", MANY_MOVE + 13, 2, "\2\0", KVORUM_CORRUPT },
    { "v2 a move to one twice", MANY_MOVE + 15, 2, "\0\0", KVORUM_CORRUPT },
    { "v2 more changes than there are", MANY_CHANGES, 2, "\7\0", KVORUM_CORRUPT },
    { "v2 more changes than allowed", MANY_CHANGES, 2, "\xd1\7", KVORUM_CORRUPT },
    { "v2 a change that is none", MANY_JOIN, 1, "\7", KVORUM_CORRUPT },
    { "v2 a change of one who is gone", MANY_JOIN + 1, 2, "\2\0", KVORUM_CORRUPT },
    { "v2 replaced by itself", MANY_REPLACE + 3, 2, "\4\0", KVORUM_CORRUPT },
    { "v2 a change to no weight", MANY_WEIGHT + 3, 4, "\0\0\0\0", KVORUM_CORRUPT },
    { "v2 a change to too much weight", MANY_WEIGHT + 3, 4, "\x11\x27\0\0", KVORUM_CORRUPT },
    { "v2 a zone with a slash", MANY_ZONE + 4, 1, "/", KVORUM_CORRUPT },
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

static void damage(const struct damage *row, const char *golden, size_t golden_size)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden(golden, record);
    assert_int_equal(size, golden_size);
    memcpy(record + row->offset, row->bytes, row->size);
    sign(record, size);
    keep_for_the_corpus(row->name, bytes_make(record, size));
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, ARENA);
    assert_int_equal(epoch_decode(bytes_make(record, size), &arena, &epoch), row->status);
    arena_done(&arena);
}

static void check_damage(const void *context)
{
    damage(context, "two", AT_TABLE + 16 + 8);
}

static void check_damage_v2(const void *context)
{
    damage(context, "many-v2", MANY_END + 8);
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

static void every_flipped_bit_is_found_in(const char *golden)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden(golden, record);
    for (size_t i = 0; i < size * 8; i++) {
        record[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(decode(bytes_make(record, size), ARENA), KVORUM_OK);
        record[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void every_cut_is_found_in(const char *golden)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden(golden, record);
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

static void memory_may_run_out_in(const char *golden)
{
    uint8_t record[RECORD_MAX];
    size_t size = read_golden(golden, record);
    kvorum_status status = KVORUM_NO_MEMORY;
    for (size_t memory = 0; status != KVORUM_OK; memory += 64) {
        status = decode(bytes_make(record, size), memory);
        assert_true(status == KVORUM_OK || status == KVORUM_NO_MEMORY);
    }
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    every_flipped_bit_is_found_in("two");
    every_flipped_bit_is_found_in("many-v2");
}

static void every_cut_is_found(void **state)
{
    (void)state;
    every_cut_is_found_in("two");
    every_cut_is_found_in("many-v2");
}

static void memory_may_run_out(void **state)
{
    (void)state;
    memory_may_run_out_in("two");
    memory_may_run_out_in("many-v2");
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
    failed += RUN_ROWS("damaged epochs of format 2", damages_v2, check_damage_v2);
    return failed + cmocka_run_group_tests_name("epochs, in detail", tests, NULL, NULL);
}
