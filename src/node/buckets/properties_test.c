/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include "node/buckets/properties.h"

struct row {
    const char *name;
    struct bucket_properties properties;
    const char *problem; /* NULL: fine, and survives a round trip */
};

#define UNSET                                                                                      \
    {                                                                                              \
        0, LEVEL_DEFAULT, LEVEL_DEFAULT, LEVEL_DEFAULT, LEVEL_DEFAULT, LEVEL_DEFAULT,              \
            LEVEL_DEFAULT, -1, -1, -1                                                              \
    }

static const struct row rows[] = {
    { "nothing overridden", { UNSET, -1, -1, -1, PROPERTY_NO_TTL }, NULL },
    { "siblings allowed", { UNSET, 1, -1, -1, PROPERTY_NO_TTL }, NULL },
    { "flags may be off", { UNSET, 0, 0, -1, PROPERTY_NO_TTL }, NULL },
    { "numbers within n", { { 5, 3, 3, 1, 1, 0, 2, 1, 0, 1 }, 1, 0, -1, PROPERTY_NO_TTL }, NULL },
    { "a strategy of handoff", { UNSET, -1, -1, HANDOFF_PROXIMITY, PROPERTY_NO_TTL }, NULL },
    { "the default strategy, said", { UNSET, -1, -1, HANDOFF_CONSISTENT, PROPERTY_NO_TTL }, NULL },
    { "values that expire", { UNSET, -1, -1, -1, 3600 }, NULL },
    { "values that never expire, said", { UNSET, 1, -1, HANDOFF_ANY, 0 }, NULL },
    { "words are kept as words",
      { { 3, LEVEL_ONE, LEVEL_QUORUM, LEVEL_ALL, 0, 0, 0, -1, -1, -1 },
        -1,
        -1,
        -1,
        PROPERTY_NO_TTL },
      NULL },
    { "levels by zone are kept",
      { { 3, LEVEL_LOCAL_QUORUM, LEVEL_EACH_QUORUM, LEVEL_EACH_QUORUM, LEVEL_LOCAL_QUORUM, 0, 0, -1,
          -1, -1 },
        -1,
        -1 },
      NULL },
    { "machines are not counted by zone",
      { { 3, 1, 1, 1, 0, 0, LEVEL_EACH_QUORUM, -1, -1, -1 }, -1, -1 },
      "node_confirms: counts machines, not zones" },
    { "r above n is refused",
      { { 3, 4, LEVEL_DEFAULT, LEVEL_DEFAULT, 0, 0, 0, -1, -1, -1 }, -1, -1, -1, PROPERTY_NO_TTL },
      "r: above n_val" },
    { "pw above n is refused",
      { { 2, 1, 1, 1, 1, 3, 0, -1, -1, -1 }, -1, -1, -1, PROPERTY_NO_TTL },
      "pw: above n_val" },
    { "more replicas than the table has columns are refused",
      { { 8, 1, 1, 1, 1, 1, 1, -1, -1, -1 }, -1, -1, -1, PROPERTY_NO_TTL },
      "n_val: not a number from 1 to 7" },
};

static void check(const void *at)
{
    const struct row *row = at;
    const char *problem = bucket_properties_problem(&row->properties);
    if (row->problem != NULL) {
        assert_non_null(problem);
        assert_string_equal(problem, row->problem);
        return;
    }
    assert_null(problem);
    struct buffer buffer, again;
    buffer_init(&buffer, 1024);
    buffer_init(&again, 1024);
    bucket_properties_encode(&row->properties, &buffer);
    struct bucket_properties read;
    assert_int_equal(bucket_properties_decode(buffer_bytes(&buffer), &read), KVORUM_OK);
    bucket_properties_encode(&read, &again);
    assert_true(bytes_equal(buffer_bytes(&buffer), buffer_bytes(&again)));
    assert_int_equal(read.allow_mult, row->properties.allow_mult);
    assert_int_equal(read.levels.w, row->properties.levels.w);
    assert_int_equal(read.handoff_strategy, row->properties.handoff_strategy);
    assert_int_equal(read.ttl_seconds, row->properties.ttl_seconds);
    bool narrow = row->properties.ttl_seconds == PROPERTY_NO_TTL; /* a pair is two bytes */
    for (size_t cut = 1; narrow && cut < buffer.size; cut += 2)   /* inside a pair */
        assert_int_equal(bucket_properties_decode(bytes_make(buffer.data, cut), &read),
                         KVORUM_CORRUPT);
    buffer_done(&buffer);
    buffer_done(&again);
}

int main(void)
{
    return RUN_ROWS("bucket properties", rows, check);
}
