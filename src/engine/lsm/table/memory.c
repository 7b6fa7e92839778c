/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LINE_SIZE = 64, HUGE_PAGE_SIZE = 2 * 1024 * 1024 };

static size_t round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

void *table_memory_create(size_t *size)
{
    size_t huge = round_up(*size, HUGE_PAGE_SIZE);
    if (huge - *size > *size / 4) {
        *size = round_up(*size, LINE_SIZE);
        return aligned_alloc(LINE_SIZE, *size);
    }
    void *memory = aligned_alloc(HUGE_PAGE_SIZE, huge);
    if (memory != NULL) /* a hint: without huge pages all is well, only slower */
        (void)madvise(memory, huge, MADV_HUGEPAGE);
    *size = huge;
    return memory;
}

void table_memory_destroy(void *memory)
{
    free(memory);
}
