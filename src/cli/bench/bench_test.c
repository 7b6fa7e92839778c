/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/wire.h"
#include "cli/bench/workload.h"
#include "support/rows.h"

struct row {
    const char *name;
    const char *input;
    long size; /* 0: more is needed, -1: none */
};

static const struct row rows[] = {
    { "a simple text", "+OK\r\n+", 5 },
    { "an error", "-ERR no\r\n", 9 },
    { "a number", ":12\r\n", 5 },
    { "a bulk", "$3\r\nabc\r\n", 9 },
    { "an empty bulk", "$0\r\n\r\n", 6 },
    { "no value", "$-1\r\n$", 5 },
    { "an array", "*2\r\n$1\r\na\r\n:1\r\n", 15 },
    { "an array in an array", "*1\r\n*1\r\n+a\r\n", 12 },
    { "nothing yet", "", 0 },
    { "half a line", "$3\r", 0 },
    { "half a bulk", "$3\r\nabc\r", 0 },
    { "half an array", "*2\r\n:1\r\n", 0 },
    { "no kind", "hello\r\n", -1 },
    { "a bare line feed", "+OK\n", -1 },
    { "a negative size", "$-2\r\n", -1 },
    { "a size of letters", "$x\r\n", -1 },
    { "a bulk without its end", "$1\r\nabc", -1 },
    { "arrays without end", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", -1 },
};

static void check(const void *context)
{
    const struct row *row = context;
    assert_int_equal(resp_reply_size(bytes_of_string(row->input)), row->size);
}

static void requests_are_what_redis_expects(void)
{
    struct buffer out;
    struct wire_settings settings = { "h:1", "b", "?r=1", "" };
    buffer_init(&out, 4096);
    wire_resp.append_set(&settings, BYTES_LITERAL("k"), BYTES_LITERAL("0123456789"), &out);
    wire_resp.append_get(&settings, BYTES_LITERAL("k"), &out);
    assert_true(bytes_equal(buffer_bytes(&out),
                            BYTES_LITERAL("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n"
                                          "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")));
    buffer_reset(&out);
    wire_http.append_get(&settings, BYTES_LITERAL("k:1"), &out);
    assert_true(
        bytes_equal(buffer_bytes(&out), BYTES_LITERAL("GET /buckets/b/keys/k%3A1?r=1 HTTP/1.1\r\n"
                                                      "Host: h:1\r\n\r\n")));
    buffer_done(&out);
}

/* The share of the most frequent numbers is what 1/i^0.99 says, within a percent of all draws. */
static void zipf_is_zipf(void)
{
    enum { COUNT = 1000, DRAWS = 1000000 };
    static uint64_t drawn[COUNT];
    struct random random;
    struct zipf zipf;
    random_init(&random, 1);
    zipf_init(&zipf, COUNT);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = zipf_next(&zipf, &random);
        assert_true(number < COUNT);
        drawn[number]++;
    }
    double first = (double)drawn[0] / DRAWS, second = (double)drawn[1] / DRAWS, tenth = 0;
    for (int i = 0; i < COUNT / 10; i++)
        tenth += (double)drawn[i] / DRAWS;
    double zeta = zipf.zeta;
    assert_true(first > 1 / zeta - 0.01 && first < 1 / zeta + 0.01);
    assert_true(second > 0.5034 / zeta - 0.01 && second < 0.5034 / zeta + 0.01);
    assert_true(tenth > 0.66 && tenth < 0.72); /* the sum over i <= 100 of 1/i^0.99, / zeta: 0.69 */
    assert_true(drawn[COUNT - 1] < 1000);
}

static void small_key_spaces_work(void)
{
    for (uint64_t count = 1; count <= 5; count++) {
        struct zipf zipf;
        zipf_init(&zipf, count);
        struct workload workload = { DISTRIBUTION_ZIPF, count, 1, 0, &zipf, { { 0 } }, 0, 1 };
        random_init(&workload.random, count);
        for (int i = 0; i < 1000; i++)
            assert_true(workload_key(&workload) < count);
    }
}

static void sequential_keys_come_once_each(void)
{
    struct workload workload = { DISTRIBUTION_SEQUENTIAL, 4, 1, 1, NULL, { { 0 } }, 1, 2 };
    assert_int_equal(workload_key(&workload), 1);
    assert_int_equal(workload_key(&workload), 3);
    assert_int_equal(workload_key(&workload), 1);
}

static void the_mix_is_kept(void)
{
    struct workload workload = { DISTRIBUTION_UNIFORM, 10, 3, 1, NULL, { { 0 } }, 0, 1 };
    int sets = 0;
    random_init(&workload.random, 5);
    for (int i = 0; i < 100000; i++)
        sets += workload_is_set(&workload);
    assert_true(sets > 24000 && sets < 26000);
}

static const struct named_test tests[] = {
    { "requests are what servers expect", requests_are_what_redis_expects },
    { "zipf numbers are distributed as they should be", zipf_is_zipf },
    { "small key spaces work", small_key_spaces_work },
    { "sequential keys are dealt to threads", sequential_keys_come_once_each },
    { "the mix is kept", the_mix_is_kept },
};

int main(void)
{
    return RUN_ROWS("resp replies", rows, check) + RUN_TESTS("bench", tests);
}
