/* SPDX-License-Identifier: Apache-2.0 */
#include "os/entropy.h"

#include <string.h>

#include "tests/support/rows.h"

static void test_fill(void)
{
    static uint8_t data[100000];
    os_entropy(data, 0);
    os_entropy(data, sizeof(data));
    unsigned counts[256] = { 0 };
    for (size_t i = 0; i < sizeof(data); i++)
        counts[data[i]]++;
    for (int i = 0; i < 256; i++)
        assert_in_range(counts[i], 200, 600);
    assert_true(os_entropy_u64() != os_entropy_u64());
}

static const struct named_test tests[] = {
    { "all bytes are filled, and differ", test_fill },
};

int main(void)
{
    return RUN_TESTS("entropy", tests);
}
