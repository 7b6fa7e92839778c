/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/membership/suspicion.h"

#include "tests/support/rows.h"

#include <math.h>

enum { S = 1000 * 1000 };

/* --- the least time: what reliability figures of memberlist name ------------------------------ */

struct row {
    const char *name;
    uint8_t multiplier;
    uint16_t members;
    uint64_t minimum_ms; /* at a probe interval of 1 s */
};

static const struct row rows[] = {
    { "one member waits as long as ten", 4, 1, 4000 },
    { "nobody waits as long as ten", 4, 0, 4000 },
    { "five wait as long as ten", 4, 5, 4000 },
    { "ten wait 4 s", 4, 10, 4000 },
    { "a hundred wait 8 s", 4, 100, 8000 },
    { "a thousand wait 12 s", 4, 1000, 12000 },
    { "the multiplier multiplies", 6, 100, 12000 },
};

static void check(const void *context)
{
    const struct row *row = context;
    uint64_t us = suspicion_minimum_us(S, row->multiplier, row->members);
    assert_in_range(us, row->minimum_ms * 999, row->minimum_ms * 1000 + 1);
}

/* --- confirmations ---------------------------------------------------------------------------- */

static struct node_id id_of(uint8_t number)
{
    return (struct node_id){ { number } };
}

/* The formula in floating point is the slow model. */
static void test_confirmations_shorten(void)
{
    for (unsigned wanted = 1; wanted <= SUSPICION_CONFIRMATIONS_MAX; wanted++) {
        struct suspicion suspicion;
        struct node_id first = id_of(1);
        suspicion_begin(&suspicion, &first, 8 * S, 48 * S, wanted, 5 * S);
        for (unsigned c = 0; c <= wanted; c++) {
            double end = 48.0 - 40.0 * log(c + 1) / log(wanted + 1);
            double got = (double)(suspicion_end_us(&suspicion) - 5 * S) / S;
            assert_true(fabs(got - end) < 0.01);
            struct node_id next = id_of((uint8_t)(c + 2));
            assert_int_equal(suspicion_confirm(&suspicion, &next), c < wanted);
        }
        assert_int_equal(suspicion_end_us(&suspicion), 13 * S);
    }
}

static void test_nobody_confirms_twice(void)
{
    struct suspicion suspicion;
    struct node_id first = id_of(1), second = id_of(2);
    suspicion_begin(&suspicion, &first, 8 * S, 48 * S, 3, 0);
    assert_false(suspicion_confirm(&suspicion, &first));
    assert_true(suspicion_confirm(&suspicion, &second));
    assert_false(suspicion_confirm(&suspicion, &second));
    assert_false(suspicion_confirm(&suspicion, &first));
}

static void test_nobody_to_wait_for(void)
{
    struct suspicion suspicion;
    struct node_id first = id_of(1), second = id_of(2);
    suspicion_begin(&suspicion, &first, 8 * S, 48 * S, 0, 0);
    assert_int_equal(suspicion_end_us(&suspicion), 8 * S);
    assert_false(suspicion_confirm(&suspicion, &second));
}

static void test_own_pause(void)
{
    struct suspicion suspicion;
    struct node_id first = id_of(1);
    suspicion_begin(&suspicion, &first, 8 * S, 48 * S, 0, 0);
    suspicion_forgive(&suspicion, 3 * S);
    assert_int_equal(suspicion_end_us(&suspicion), 11 * S);
}

static void test_too_many_wanted(void)
{
    struct suspicion suspicion;
    struct node_id first = id_of(1);
    suspicion_begin(&suspicion, &first, 8 * S, 48 * S, 200, 0);
    for (uint8_t i = 2; i < 100; i++) {
        struct node_id next = id_of(i);
        assert_int_equal(suspicion_confirm(&suspicion, &next), i < 2 + SUSPICION_CONFIRMATIONS_MAX);
    }
    assert_int_equal(suspicion_end_us(&suspicion), 8 * S);
}

static void test_log2(void)
{
    assert_int_equal(log2_q16(0), 0);
    for (uint64_t value = 1; value < 100000; value += 1 + value / 50)
        assert_true(fabs(log2_q16(value) / 65536.0 - log2((double)value)) < 0.0001);
    assert_int_equal(log2_q16(UINT64_C(1) << 63) >> 16, 63);
    assert_int_equal(log2_q16(UINT64_MAX) >> 16, 63);
}

static const struct named_test tests[] = {
    { "each who confirms shortens the time as Lifeguard says", test_confirmations_shorten },
    { "nobody confirms twice, nor the first accuser", test_nobody_confirms_twice },
    { "with nobody to confirm the shortest time holds", test_nobody_to_wait_for },
    { "a pause of our own is added", test_own_pause },
    { "more accusers are not kept than there is room for", test_too_many_wanted },
    { "the integer logarithm follows the real one", test_log2 },
};

int main(void)
{
    return RUN_ROWS("suspicion: least time", rows, check) + RUN_TESTS("suspicion", tests);
}
