/* SPDX-License-Identifier: Apache-2.0 */
#include "os/threads.h"

#include <signal.h>

unsigned os_threads_start(pthread_t *threads, unsigned count, void *(*run)(void *context),
                          void *context)
{
    sigset_t all, before;
    unsigned started = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < count && pthread_create(&threads[started], NULL, run, context) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
