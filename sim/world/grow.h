/* SPDX-License-Identifier: Apache-2.0 */
/** Lists that grow: the simulator stops where there is no memory. */
#ifndef SIM_GROW_H
#define SIM_GROW_H

#include <stdlib.h>

/** Room for one more item behind `count`; returns where the list is now, which the caller owns. */
static inline void *sim_grow(void *list, size_t count, size_t *capacity, size_t item_size)
{
    enum { FIRST_CAPACITY = 64 };
    if (count < *capacity)
        return list;
    *capacity = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    list = realloc(list, *capacity * item_size);
    if (list == NULL)
        abort();
    return list;
}

#endif
