/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t wanted;

static void remember(int number)
{
    (void)number;
    wanted = 1;
}

void interrupt_watch(void)
{
    struct sigaction action = { .sa_handler = remember, .sa_flags = SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool interrupt_wanted(void)
{
    return wanted != 0;
}

void interrupt_wait(void)
{
    while (!wanted)
        poll(NULL, 0, 200); /* a signal between check and sleep costs at most this */
}

void interrupt_sleep_ms(uint32_t ms)
{
    for (uint32_t slept = 0; slept < ms && !wanted; slept += 20)
        poll(NULL, 0, 20);
}
