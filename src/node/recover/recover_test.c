/* SPDX-License-Identifier: Apache-2.0 */
/* What a member accepts of a new line, as bytes: on the wire, and in its file `recovery`. */
#include "node/recover/recover.h"

#include <stdio.h>
#include <string.h>

#include "node/epochs/epochs.h"
#include "tests/support/rows.h"

static const uint8_t magic[VOTES_MAGIC_SIZE] = { 'K', 'V', 'R', '1' };

struct row {
    const char *name;
    size_t size;
    uint8_t bytes[12];
    bool sound;
    uint16_t needed; /* how many */
    size_t record;   /* bytes of it */
};

static const struct row rows[] = {
    { "two members are needed", 9, { 2, 0, 1, 0, 7, 0, 'r', 'e', 'c' }, true, 2, 3 },
    { "nobody is", 3, { 0, 0, 'r' }, true, 0, 1 },
    { "no record", 6, { 2, 0, 1, 0, 7, 0 }, false, 0, 0 },
    { "fewer slots than are counted", 5, { 2, 0, 1, 0, 7 }, false, 0, 0 },
    { "a slot that no member has", 5, { 1, 0, 0xe8, 3, 'r' }, false, 0, 0 },
    { "the last slot", 5, { 1, 0, 0xe7, 3, 'r' }, true, 1, 1 },
    { "nothing", 0, { 0 }, false, 0, 0 },
};

static void check_row(const void *data)
{
    const struct row *row = data;
    struct recover_proposal proposal;
    uint16_t needed = 0;
    assert_int_equal(recover_proposal_read(bytes_make(row->bytes, row->size), &proposal),
                     row->sound);
    if (!row->sound)
        return;
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        needed = (uint16_t)(needed + proposal.needed[i]);
    assert_int_equal(needed, row->needed);
    assert_int_equal(proposal.record.size, row->record);
    struct buffer again;
    buffer_init(&again, 1 << 16);
    recover_proposal_write(proposal.needed, proposal.record, &again);
    assert_int_equal(again.size, row->size);
    assert_memory_equal(again.data, row->bytes, row->size);
    buffer_done(&again);
}

static size_t read_golden(uint8_t memory[256])
{
    FILE *file = fopen("tests/golden/recovery/accepted.bin", "rb");
    assert_non_null(file);
    size_t size = fread(memory, 1, 256, file);
    (void)fclose(file);
    return size;
}

/* Line 1: promised (5, 99), accepted (4, 98), needed 1 and 7, the record "record". */
static void test_golden(void **state)
{
    (void)state;
    bool needed[RING_MEMBERS_MAX] = { [1] = true, [7] = true };
    const struct acceptor acceptor = { .number = 1, .promised = { 5, 99 }, .accepted = { 4, 98 } };
    struct acceptor read;
    struct bytes proposal;
    struct buffer body, file;
    uint8_t memory[256];
    buffer_init(&body, 1 << 10);
    buffer_init(&file, 1 << 10);
    recover_proposal_write(needed, BYTES_LITERAL("record"), &body);
    votes_encode(magic, &acceptor, buffer_bytes(&body), &file);
    size_t size = read_golden(memory);
    assert_int_equal(file.size, size);
    assert_memory_equal(file.data, memory, size);
    assert_int_equal(votes_decode(magic, bytes_make(memory, size), &read, &proposal), KVORUM_OK);
    assert_int_equal(read.number, 1);
    assert_true(bytes_equal(proposal, buffer_bytes(&body)));
    static const uint8_t votes[VOTES_MAGIC_SIZE] = { 'K', 'V', 'V', '1' };
    assert_int_equal(votes_decode(votes, bytes_make(memory, size), &read, &proposal),
                     KVORUM_CORRUPT);
    buffer_done(&body);
    buffer_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden) };
    return RUN_ROWS("what is proposed for a line", rows, check_row) +
           cmocka_run_group_tests_name("the file recovery", tests, NULL, NULL);
}
