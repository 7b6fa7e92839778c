/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seams/fiber.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "sim/seams/fiber_sanitizer.h"

enum { STACK_SIZE = 256 * 1024 };

struct fiber {
    ucontext_t own, back;
    struct fiber_side inside, outside;
    void (*run)(void *context);
    void *context;
    bool begun, ended;
    uint8_t *stack;
};

static struct fiber *current; /* the simulator has one thread */

static void enter(void)
{
    struct fiber *fiber = current;
    fiber_arrive(&fiber->inside, &fiber->outside);
    fiber->run(fiber->context);
    fiber->ended = true;
    fiber_leave(&fiber->inside, &fiber->outside, true);
    /* Not by returning: the end of a function would be noted on the other side's shadow. */
    setcontext(&fiber->back);
    abort();
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
    if (!fiber->begun) {
        fiber_side_init(&fiber->inside, fiber->stack, STACK_SIZE);
        /* cppcheck-suppress getcontextCalled */
        if (getcontext(&fiber->own) != 0)
            abort();
        fiber->own.uc_stack.ss_sp = fiber->stack;
        fiber->own.uc_stack.ss_size = STACK_SIZE;
        fiber->own.uc_link = NULL; /* enter() does not return */
        /* cppcheck-suppress makecontextCalled */
        makecontext(&fiber->own, enter, 0);
    }
    fiber->begun = true;
    current = fiber;
    fiber_side_init(&fiber->outside, NULL, 0); /* ours, wherever we were the last time */
    fiber_leave(&fiber->outside, &fiber->inside, false);
    /* cppcheck-suppress swapcontextCalled */
    if (swapcontext(&fiber->back, &fiber->own) != 0)
        abort();
    fiber_arrive(&fiber->outside, &fiber->inside);
    current = NULL;
    return fiber->ended;
}

void fiber_destroy(struct fiber *fiber)
{
    if (fiber == NULL)
        return;
    assert(fiber->ended);
    fiber_side_destroy(&fiber->inside);
    free(fiber->stack);
    free(fiber);
}

void fiber_pause(void)
{
    struct fiber *fiber = current;
    if (fiber == NULL)
        return;
    fiber_leave(&fiber->inside, &fiber->outside, false);
    /* cppcheck-suppress swapcontextCalled */
    if (swapcontext(&fiber->own, &fiber->back) != 0)
        abort();
    fiber_arrive(&fiber->inside, &fiber->outside);
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
