/* SPDX-License-Identifier: Apache-2.0 */
#include "os/entropy.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

void os_entropy(void *data, size_t size)
{
    uint8_t *at = data;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        assert(got > 0 || errno == EINTR);
        if (got <= 0)
            continue;
        at += got;
        size -= (size_t)got;
    }
}

uint64_t os_entropy_u64(void)
{
    uint64_t value;
    os_entropy(&value, sizeof(value));
    return value;
}
