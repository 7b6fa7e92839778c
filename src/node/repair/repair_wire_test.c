/* SPDX-License-Identifier: Apache-2.0 */
#include "node/repair/repair_wire.h"

#include "base/random.h"
#include "node/internal.h"
#include "tests/support/rows.h"

#include <stdio.h>

enum { PARTITION = 0x0102, SEED = 3, KEYS = 50 };

struct fixture {
    struct arena arena;
    struct buffer buffer;
    uint8_t prefix[REPAIR_PREFIX_SIZE];
};

static void begin(struct fixture *fixture)
{
    arena_init(&fixture->arena, 1 << 22);
    buffer_init(&fixture->buffer, 1 << 20);
}

static void end(struct fixture *fixture)
{
    arena_done(&fixture->arena);
    buffer_done(&fixture->buffer);
}

static struct bytes key_of(struct fixture *fixture, uint32_t partition, const char *key)
{
    struct key_address address = { BYTES_LITERAL("default"), BYTES_LITERAL("pets"),
                                   bytes_of_string(key), partition };
    struct bytes made = store_key(&fixture->arena, &address);
    assert_non_null(made.data);
    return made;
}

static void write_keys(struct fixture *fixture, struct exchange_entry *entries, uint32_t count)
{
    struct bytes before = repair_prefix(PARTITION, fixture->prefix);
    for (uint32_t i = 0; i < count; i++) {
        repair_write_key(&fixture->buffer, before, &entries[i]);
        before = entries[i].key;
    }
    assert_false(fixture->buffer.failed);
}

static void make_entries(struct fixture *fixture, struct exchange_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "cat%05u", i * 7);
        entries[i] = (struct exchange_entry){ .key = key_of(fixture, PARTITION, name),
                                              .digest = i + 1,
                                              .stamp = i * 1000 };
    }
}

static kvorum_status read_keys(struct fixture *fixture, struct bytes tail,
                               const struct exchange_entry **ret, uint32_t *ret_count)
{
    return repair_read_keys(tail, PARTITION, SEED, &fixture->arena, ret, ret_count);
}

static void test_keys(void)
{
    struct fixture fixture;
    struct exchange_entry entries[KEYS];
    const struct exchange_entry *found;
    uint32_t count;
    begin(&fixture);
    make_entries(&fixture, entries, KEYS);
    write_keys(&fixture, entries, KEYS);
    assert_int_equal(read_keys(&fixture, buffer_bytes(&fixture.buffer), &found, &count), KVORUM_OK);
    assert_int_equal(count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(bytes_equal(found[i].key, entries[i].key));
        assert_true(found[i].digest == entries[i].digest && found[i].stamp == entries[i].stamp);
        assert_int_equal(found[i].leaf, hash_tree_leaf(hash_tree_key(SEED, entries[i].key)));
    }
    assert_int_equal(read_keys(&fixture, (struct bytes){ 0 }, &found, &count), KVORUM_OK);
    assert_int_equal(count, 0);
    end(&fixture);
}

static void test_golden(void)
{
    static const uint8_t golden[] = { 3,   22,  7,   'd', 'e', 'f', 'a', 'u', 'l',  't', 0,   4,
                                      'p', 'e', 't', 's', 'c', 'a', 't', '0', '0',  '0', '0', '0',
                                      1,   0,   0,   0,   0,   0,   0,   0,   0,    24,  1,   '7',
                                      2,   0,   0,   0,   0,   0,   0,   0,   0xe8, 7 };
    struct fixture fixture;
    struct exchange_entry entries[2];
    begin(&fixture);
    make_entries(&fixture, entries, 2);
    write_keys(&fixture, entries, 2);
    assert_int_equal(fixture.buffer.size, sizeof(golden));
    assert_memory_equal(fixture.buffer.data, golden, sizeof(golden));
    end(&fixture);
}

static void check_refused(struct exchange_entry *entries, uint32_t count, struct fixture *fixture)
{
    const struct exchange_entry *found;
    uint32_t found_count;
    buffer_reset(&fixture->buffer);
    write_keys(fixture, entries, count);
    assert_int_equal(read_keys(fixture, buffer_bytes(&fixture->buffer), &found, &found_count),
                     KVORUM_CORRUPT);
}

static void test_refused(void)
{
    struct fixture fixture;
    struct exchange_entry entries[2], good[2];
    begin(&fixture);
    make_entries(&fixture, good, 2);
    memcpy(entries, good, sizeof(good));
    entries[1].digest = 0;
    check_refused(entries, 2, &fixture); /* no object */
    entries[1] = good[0];
    check_refused(entries, 2, &fixture); /* twice */
    entries[0] = good[1];
    check_refused(entries, 2, &fixture); /* backwards */
    entries[0].key = key_of(&fixture, PARTITION + 1, "cat");
    check_refused(entries, 1, &fixture); /* of another partition */
    entries[0].key = BYTES_LITERAL("h\1\2cat");
    check_refused(entries, 1, &fixture); /* not an object's */
    end(&fixture);
}

/* Whatever is cut or flipped: a status, and no access outside (the sanitizers see to that). */
static void test_damage(void)
{
    struct fixture fixture;
    struct exchange_entry entries[KEYS];
    const struct exchange_entry *found;
    const struct repair_want *wants;
    struct random random;
    uint32_t count, index;
    struct bytes encoding;
    random_init(&random, 1);
    begin(&fixture);
    make_entries(&fixture, entries, KEYS);
    write_keys(&fixture, entries, KEYS);
    for (int i = 0; i < 20000; i++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        size_t at = random_below(&random, fixture.buffer.size);
        uint8_t flip = (uint8_t)(1 + random_below(&random, 255));
        struct bytes cut =
            bytes_make(fixture.buffer.data, 1 + random_below(&random, fixture.buffer.size));
        fixture.buffer.data[at] ^= flip;
        (void)!repair_read_keys(cut, PARTITION, SEED, &arena, &found, &count);
        (void)!repair_read_wants(cut, PARTITION, &arena, &wants, &count);
        struct reader reader = reader_of(cut);
        while (repair_read_object(&reader, 5, &index, &encoding))
            assert_true(index < 5 && encoding.size > 0);
        fixture.buffer.data[at] ^= flip;
        arena_done(&arena);
    }
    end(&fixture);
}

static void test_wants(void)
{
    struct fixture fixture;
    const struct repair_want *found;
    struct repair_want want = { { 0 }, 77, REPAIR_UNLESS_EQUAL };
    uint32_t count;
    begin(&fixture);
    want.key = key_of(&fixture, PARTITION, "dog");
    struct bytes before = repair_prefix(PARTITION, fixture.prefix);
    for (uint32_t i = 0; i <= EXCHANGE_BATCH_MAX; i++) {
        kvorum_status status = repair_read_wants(buffer_bytes(&fixture.buffer), PARTITION,
                                                 &fixture.arena, &found, &count);
        assert_int_equal(status, KVORUM_OK);
        assert_int_equal(count, i);
        repair_write_want(&fixture.buffer, before, &want);
        before = want.key;
    }
    assert_true(bytes_equal(found[5].key, want.key) && found[5].digest == 77);
    assert_int_equal(found[5].mode, REPAIR_UNLESS_EQUAL);
    assert_int_equal(
        repair_read_wants(buffer_bytes(&fixture.buffer), PARTITION, &fixture.arena, &found, &count),
        KVORUM_CORRUPT); /* one too many */
    end(&fixture);
}

static void test_objects(void)
{
    struct fixture fixture;
    uint32_t index = 9;
    struct bytes encoding;
    begin(&fixture);
    repair_write_object(&fixture.buffer, 3, BYTES_LITERAL("one"));
    repair_write_object(&fixture.buffer, 0, BYTES_LITERAL("two"));
    struct reader reader = reader_of(buffer_bytes(&fixture.buffer));
    assert_true(repair_read_object(&reader, 4, &index, &encoding));
    assert_int_equal(index, 3);
    assert_true(bytes_equal(encoding, BYTES_LITERAL("one")));
    assert_true(repair_read_object(&reader, 4, &index, &encoding));
    assert_false(repair_read_object(&reader, 4, &index, &encoding));
    assert_false(reader.failed);
    reader = reader_of(buffer_bytes(&fixture.buffer));
    assert_false(repair_read_object(&reader, 3, &index, &encoding));
    assert_true(reader.failed); /* nobody asked for number 3 */
    end(&fixture);
}

static const struct named_test tests[] = {
    { "keys come back, with their leaves", test_keys },
    { "the bytes of keys are what they always were", test_golden },
    { "keys out of order, of elsewhere, or without an object are refused", test_refused },
    { "damaged tails do no harm", test_damage },
    { "what is wanted comes back, up to a batch", test_wants },
    { "objects come back, if somebody asked for them", test_objects },
};

int main(void)
{
    return RUN_TESTS("repair wire", tests);
}
