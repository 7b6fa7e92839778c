/* SPDX-License-Identifier: Apache-2.0 */
/** What the sanitizers are told when a fiber goes on and when it pauses, so that the simulator
 *  makes the same run under them as without: they keep a shadow of the stack they believe to be on.
 *  Without a sanitizer all of it is nothing.
 *
 *      side A: fiber_leave(A, B) -> the other stack -> side B: fiber_arrive(B)
 *
 *  Interfaces: <sanitizer/common_interface_defs.h>, <sanitizer/tsan_interface.h>. */
#ifndef SIM_FIBER_SANITIZER_H
#define SIM_FIBER_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define SIM_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define SIM_THREAD_SANITIZER 1
#endif
#endif

/** One of the two stacks between which a fiber goes to and fro. */
struct fiber_side {
    const void *bottom; /* lowest address */
    size_t size;        /* bytes */
    void *shadow;       /* what the sanitizer keeps of it meanwhile */
};

#if defined(SIM_ADDRESS_SANITIZER)
#include <sanitizer/common_interface_defs.h>

static inline void fiber_side_init(struct fiber_side *side, const void *bottom, size_t size)
{
    *side = (struct fiber_side){ .bottom = bottom, .size = size };
}

static inline void fiber_side_destroy(struct fiber_side *side)
{
    (void)side;
}

/** `from` is never come back to when `ends`. */
static inline void fiber_leave(struct fiber_side *from, const struct fiber_side *to, bool ends)
{
    __sanitizer_start_switch_fiber(ends ? NULL : &from->shadow, to->bottom, to->size);
}

/** The first time on a stack its `shadow` is NULL.  `other`, where we come from, learns its size:
 *  nobody else knows that of the main stack. */
static inline void fiber_arrive(const struct fiber_side *on, struct fiber_side *other)
{
    __sanitizer_finish_switch_fiber(on->shadow, &other->bottom, &other->size);
}

#elif defined(SIM_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>

static inline void fiber_side_init(struct fiber_side *side, const void *bottom, size_t size)
{
    *side = (struct fiber_side){ .bottom = bottom, .size = size };
    side->shadow = bottom == NULL ? __tsan_get_current_fiber() : __tsan_create_fiber(0);
}

static inline void fiber_side_destroy(struct fiber_side *side)
{
    __tsan_destroy_fiber(side->shadow);
}

/* Part of its caller: a function notes its begin and its end, and its end is on the other side. */
__attribute__((always_inline)) static inline void
fiber_leave(struct fiber_side *from, const struct fiber_side *to, bool ends)
{
    (void)from;
    (void)ends;
    __tsan_switch_to_fiber(to->shadow, 0);
}

static inline void fiber_arrive(const struct fiber_side *on, struct fiber_side *other)
{
    (void)on;
    (void)other;
}

#else

static inline void fiber_side_init(struct fiber_side *side, const void *bottom, size_t size)
{
    *side = (struct fiber_side){ .bottom = bottom, .size = size };
}

static inline void fiber_side_destroy(struct fiber_side *side)
{
    (void)side;
}

static inline void fiber_leave(struct fiber_side *from, const struct fiber_side *to, bool ends)
{
    (void)from;
    (void)to;
    (void)ends;
}

static inline void fiber_arrive(const struct fiber_side *on, struct fiber_side *other)
{
    (void)on;
    (void)other;
}

#endif
#endif
