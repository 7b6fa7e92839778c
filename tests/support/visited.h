/* SPDX-License-Identifier: Apache-2.0 */
/** A set of 64-bit keys that only grows, for searches through all states of a small machine. */
#ifndef TESTS_SUPPORT_VISITED_H
#define TESTS_SUPPORT_VISITED_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"

struct visited {
    uint64_t *keys; /* 0: free */
    size_t count, capacity;
};

static inline void visited_init(struct visited *set, unsigned bits)
{
    set->count = 0;
    set->capacity = (size_t)1 << bits;
    set->keys = calloc(set->capacity, sizeof(*set->keys));
    assert(set->keys != NULL);
}

static inline void visited_done(struct visited *set)
{
    free(set->keys);
}

/** True the first time that `key`, which is not 0, comes. */
static inline bool visited_add(struct visited *set, uint64_t key)
{
    assert(key != 0 && set->count < set->capacity / 2);
    for (size_t at = hash_mix64(key) & (set->capacity - 1);; at = (at + 1) & (set->capacity - 1)) {
        if (set->keys[at] == key)
            return false;
        if (set->keys[at] == 0) {
            set->keys[at] = key;
            set->count++;
            return true;
        }
    }
}

#endif
