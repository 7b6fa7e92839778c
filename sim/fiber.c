/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fiber.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

enum { STACK_SIZE = 256 * 1024 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IN_ONE_GO = true };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
enum { IN_ONE_GO = true };
#else
enum { IN_ONE_GO = false };
#endif
#else
enum { IN_ONE_GO = false };
#endif

struct fiber {
    ucontext_t own, back;
    void (*run)(void *context);
    void *context;
    bool begun, ended;
    uint8_t *stack;
};

static struct fiber *current; /* the simulator has one thread */

static void enter(void)
{
    struct fiber *fiber = current;
    fiber->run(fiber->context);
    fiber->ended = true; /* own.uc_link leads back */
}

struct fiber *fiber_create(void (*run)(void *context), void *context)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));
    if (fiber == NULL || (fiber->stack = malloc(STACK_SIZE)) == NULL)
        abort();
    fiber->run = run;
    fiber->context = context;
    return fiber;
}

bool fiber_go(struct fiber *fiber)
{
    assert(current == NULL && !fiber->ended);
    if (IN_ONE_GO) {
        fiber->run(fiber->context);
        fiber->ended = true;
        return true;
    }
    if (!fiber->begun) {
        /* cppcheck-suppress getcontextCalled */
        if (getcontext(&fiber->own) != 0)
            abort();
        fiber->own.uc_stack.ss_sp = fiber->stack;
        fiber->own.uc_stack.ss_size = STACK_SIZE;
        fiber->own.uc_link = &fiber->back;
        /* cppcheck-suppress makecontextCalled */
        makecontext(&fiber->own, enter, 0);
    }
    fiber->begun = true;
    current = fiber;
    /* cppcheck-suppress swapcontextCalled */
    if (swapcontext(&fiber->back, &fiber->own) != 0)
        abort();
    current = NULL;
    return fiber->ended;
}

void fiber_destroy(struct fiber *fiber)
{
    if (fiber == NULL)
        return;
    assert(fiber->ended);
    free(fiber->stack);
    free(fiber);
}

void fiber_pause(void)
{
    /* cppcheck-suppress swapcontextCalled */
    if (current != NULL && swapcontext(&current->own, &current->back) != 0)
        abort();
}

bool fiber_inside(void)
{
    return current != NULL;
}

/* The planted copies of the layers call this for pthread_cond_wait: cmake/layers.cmake. */
int kvorum_planted_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int kvorum_planted_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    (void)condition;
    if (current == NULL) {
        fprintf(stderr, "a wait that nobody can end\n");
        abort();
    }
    pthread_mutex_unlock(mutex);
    fiber_pause();
    pthread_mutex_lock(mutex);
    return 0;
}
