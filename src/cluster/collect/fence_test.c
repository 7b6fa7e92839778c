/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a fence, and what a fence admits; collect_space_test.c has the courses. */
#include "cluster/collect/fence_record.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rows.h"

struct admission {
    const char *name;
    struct fence fence;
    uint64_t under;
    bool named, admitted;
};

static const struct admission admissions[] = {
    { "what was read under the promised round is taken",
      { 7, 5, FENCE_NAMED, true },
      7,
      true,
      true },
    { "a named key of before is not, while that is in doubt",
      { 7, 5, FENCE_NAMED, true },
      6,
      true,
      false },
    { "another key of before is", { 7, 5, FENCE_NAMED, true }, 6, false, true },
    { "not what is older than what was committed", { 7, 5, FENCE_NAMED, true }, 4, false, false },
    { "no key of before is, where the names are forgotten",
      { 7, 5, FENCE_ALL, true },
      6,
      false,
      false },
    { "any key of before is, once that round is settled",
      { 7, 5, FENCE_SETTLED, true },
      6,
      true,
      true },
    { "everything is where nothing was ever collected",
      { 0, 0, FENCE_SETTLED, false },
      0,
      false,
      true },
};

static void check_admission(const void *data)
{
    const struct admission *row = data;
    assert_int_equal(fence_admits(&row->fence, row->under, row->named), row->admitted);
}

struct kept {
    const char *name, *file;
    struct fence_record record;
};

static const struct kept kept[] = {
    { "a promise that is in doubt",
      "promised",
      { { 0x0000000300000007, 0x0000000300000005, FENCE_NAMED, true },
        3,
        12,
        0x19b76dac0270000,
        0,
        false } },
    { "a partition that was dropped",
      "dropped",
      { { 0x0000000300000005, 0x0000000300000005, FENCE_SETTLED, false },
        1,
        12,
        0x19b76dac0270000,
        0x0123456789abcdef,
        true } },
};

static void check_kept(const void *data)
{
    const struct kept *row = data;
    uint8_t bytes[FENCE_RECORD_SIZE], golden[FENCE_RECORD_SIZE + 1];
    struct fence_record read;
    char path[64];
    fence_record_encode(&row->record, bytes);
    assert_true(fence_record_decode(bytes_make(bytes, sizeof(bytes)), &read));
    assert_memory_equal(&read, &row->record, sizeof(read));
    snprintf(path, sizeof(path), "tests/golden/fences/%s.bin", row->file);
    FILE *file = fopen(path, getenv("KVORUM_WRITE_GOLDEN") == NULL ? "rb" : "wb+");
    assert_non_null(file);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        assert_int_equal(1, fwrite(bytes, sizeof(bytes), 1, file));
    rewind(file);
    assert_int_equal(FENCE_RECORD_SIZE, fread(golden, 1, sizeof(golden), file));
    fclose(file);
    assert_memory_equal(golden, bytes, sizeof(bytes));
}

struct refused {
    const char *name;
    size_t size, at;
    uint8_t byte;
};

static const struct refused refusals[] = {
    { "a record that is cut", FENCE_RECORD_SIZE - 1, 0, 0x81 },
    { "one of another format", FENCE_RECORD_SIZE, 0, 0x82 },
    { "a flag that nobody knows", FENCE_RECORD_SIZE, 1, 0x15 },
    { "a doubt that is none", FENCE_RECORD_SIZE, 1, 0x07 },
    { "a doubt of one who was never asked", FENCE_RECORD_SIZE, 1, 0x01 },
    { "more committed than promised", FENCE_RECORD_SIZE, 13, 0xff },
};

static void check_refused(const void *data)
{
    const struct refused *row = data;
    uint8_t bytes[FENCE_RECORD_SIZE];
    struct fence_record read;
    fence_record_encode(&kept[0].record, bytes);
    bytes[row->at] = row->byte;
    assert_false(fence_record_decode(bytes_make(bytes, row->size), &read));
}

int main(void)
{
    int failed = RUN_ROWS("fences", admissions, check_admission);
    failed += RUN_ROWS("fences as bytes", kept, check_kept);
    return failed + RUN_ROWS("fences that are none", refusals, check_refused);
}
