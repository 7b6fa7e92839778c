/* SPDX-License-Identifier: Apache-2.0 */
/* Which life follows which, and the bytes of the file that remembers them.  Nodes that ask each
 * other are the simulator's: sim/run/identity_test.c and kvorum-sim --yesterday. */
#include "node/members/life.h"
#include "node/members/lives_book.h"

#include <stdio.h>

#include "support/rows.h"

struct row {
    const char *name;
    uint64_t number;
    uint64_t history[4];
    uint8_t count;
    uint64_t known_number, known_id;
    bool follows;
};
static const struct row rows[] = {
    { "of whom nothing is known, any life follows", 5, { 50 }, 1, 0, 0, true },
    { "it follows itself", 5, { 50, 40 }, 2, 5, 50, true },
    { "and the one before", 5, { 50, 40 }, 2, 4, 40, true },
    { "a copy began a life of the same number", 5, { 50, 40 }, 2, 5, 51, false },
    { "a copy began one before", 5, { 50, 40 }, 2, 4, 41, false },
    { "a copy is ahead", 5, { 50, 40 }, 2, 6, 60, false },
    { "what is older than the history is taken to be followed", 5, { 50, 40 }, 2, 3, 31, true },
    { "the last of the history counts", 5, { 50, 40, 30 }, 3, 3, 31, false },
};

static struct node_life life_of(const struct row *row)
{
    struct node_life life = { .number = row->number, .history_count = row->count };
    memcpy(life.history, row->history, sizeof(row->history));
    return life;
}

static void check(const void *context)
{
    const struct row *row = context;
    struct node_life life = life_of(row);
    struct life_mark known = { row->known_number, row->known_id };
    assert_int_equal(life_follows(&life, known), row->follows);
    if (row->follows)
        return;
    life_renew(&life, known); /* what was told is followed from then on, by later lives too */
    assert_int_equal(life.history[0], row->history[0]);
    assert_true(life.number > known.number && life_follows(&life, known));
    life_begin(&life, 99);
    assert_true(life_follows(&life, known));
}

static void the_history_keeps_its_newest(void)
{
    struct node_life life = { 0 };
    for (uint64_t i = 1; i <= 100; i++)
        life_begin(&life, 1000 + i);
    assert_int_equal(life.number, 100);
    assert_int_equal(life.history_count, LIFE_HISTORY_MAX);
    for (uint64_t i = 0; i < LIFE_HISTORY_MAX; i++)
        assert_int_equal(life.history[i], 1100 - i);
    assert_false(life_follows(&life, (struct life_mark){ 100 - LIFE_HISTORY_MAX + 1, 1 }));
}

static const struct lives_entry sample[] = {
    { { "directory-id-aaa" }, { 7, 0x0706050403020107 } },
    { { "directory-id-bbb" }, { 1, 0x0706050403020101 } },
};

static struct buffer sample_bytes(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 1 << 16);
    lives_book_encode(sample, 2, &buffer);
    assert_false(buffer.failed);
    return buffer;
}

static kvorum_status decode(struct bytes bytes)
{
    static struct lives_entry entries[LIVES_BOOK_MAX];
    uint16_t count = 0;
    kvorum_status status = lives_book_decode(bytes, entries, &count);
    if (status == KVORUM_OK) {
        assert_int_equal(count, 2);
        assert_memory_equal(entries, sample, sizeof(sample));
    }
    return status;
}

static void its_bytes_are_those_of_the_golden_file(void)
{
    uint8_t expected[256];
    struct buffer buffer = sample_bytes();
    FILE *file = fopen("tests/golden/lives/two.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fread(expected, 1, sizeof(expected), file), buffer.size);
    fclose(file);
    assert_memory_equal(buffer.data, expected, buffer.size);
    assert_int_equal(decode(buffer_bytes(&buffer)), KVORUM_OK);
    buffer_done(&buffer);
}

static void no_damaged_byte_and_no_missing_one_is_believed(void)
{
    struct buffer buffer = sample_bytes();
    for (size_t i = 0; i < buffer.size; i++) {
        assert_int_equal(decode(bytes_make(buffer.data, i)), KVORUM_CORRUPT);
        buffer.data[i] ^= 0x41;
        kvorum_status newer = i == 3 ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
        assert_int_equal(decode(buffer_bytes(&buffer)), newer);
        buffer.data[i] ^= 0x41;
    }
    buffer_done(&buffer);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "the history keeps its newest", the_history_keeps_its_newest },
        { "its bytes are those of the golden file", its_bytes_are_those_of_the_golden_file },
        { "no damaged byte and no missing one is believed",
          no_damaged_byte_and_no_missing_one_is_believed },
    };
    return RUN_TESTS("lives", tests) + RUN_ROWS("which life follows", rows, check);
}
