/* SPDX-License-Identifier: Apache-2.0 */
/** Starting threads that take no signals: those belong to the threads that expect them. */
#ifndef OS_THREADS_H
#define OS_THREADS_H

#include <pthread.h>

/** Start up to `count` threads that run `run(context)`, and return how many could be started: the
 *  first ones of `threads`, which the caller joins. */
unsigned os_threads_start(pthread_t *threads, unsigned count, void *(*run)(void *context),
                          void *context);

#endif
