/* SPDX-License-Identifier: Apache-2.0 */
/** Memory that runs out: while armed, the n-th allocation of the program fails, once or from then
 *  on.  Only for a program linked with the --wrap options of tests/CMakeLists.txt, in its one
 *  source file, before tests/support/fault_disk.h, whose own memory does not count.
 *  Thread: one. */
#ifndef TESTS_SUPPORT_FAULT_MEMORY_H
#define TESTS_SUPPORT_FAULT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static struct {
    bool armed;
    size_t calls;   /* while armed */
    size_t fail_at; /* from 1; 0: none */
    bool fail_on;   /* and all after it */
} fault_memory_state;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

#define FAULT_REALLOC __real_realloc

static inline bool fault_memory_fails(void)
{
    if (!fault_memory_state.armed)
        return false;
    size_t call = ++fault_memory_state.calls, fail_at = fault_memory_state.fail_at;
    return fail_at != 0 && (call == fail_at || (fault_memory_state.fail_on && call > fail_at));
}

void *__wrap_malloc(size_t size)
{
    return fault_memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fault_memory_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_memory_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fault_memory_fails() ? NULL : __real_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

#endif
