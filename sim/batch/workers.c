/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/workers.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How far a seed may be ahead of the first that is not over: one run may take as long as many. */
enum { AHEAD = 8 };

struct worker {
    pid_t pid;
    int socket; /* a seed there, an outcome back, each in one piece */
    bool busy;
    uint64_t seed;
};

struct kept {
    bool there;
    struct outcome outcome;
};

struct workers {
    void (*play)(uint64_t seed, struct outcome *ret_outcome);
    unsigned count;
    uint64_t next;     /* the seed whose outcome is asked for next, */
    uint64_t begin;    /* and the one that is begun next */
    size_t window;     /* places in `kept` */
    struct kept *kept; /* by seed modulo the window */
    struct worker list[];
};

unsigned workers_default(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (unsigned)count;
}

/* --- a worker -------------------------------------------------------------------------------- */

static _Noreturn void work(void (*play)(uint64_t seed, struct outcome *ret_outcome), int socket)
{
    static struct outcome outcome;
    uint64_t seed;
    while (recv(socket, &seed, sizeof(seed), 0) == sizeof(seed)) {
        outcome = (struct outcome){ 0 };
        play(seed, &outcome);
        probes_take(&outcome.probes);
        fflush(stdout);
        if (send(socket, &outcome, sizeof(outcome), 0) != sizeof(outcome))
            _exit(1);
    }
    _exit(0);
}

/* Nobody else holds its socket: when one side is gone the other sees it. */
static void start(struct workers *workers, struct worker *worker)
{
    int sockets[2];
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        abort();
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        for (unsigned i = 0; i < workers->count; i++)
            if (workers->list[i].pid > 0)
                close(workers->list[i].socket);
        close(sockets[0]);
        work(workers->play, sockets[1]);
    }
    close(sockets[1]);
    *worker = (struct worker){ .pid = pid, .socket = sockets[0] };
}

static int bury(struct worker *worker)
{
    int status = 0;
    close(worker->socket);
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
        ;
    worker->pid = 0;
    return status;
}

/* --- outcomes -------------------------------------------------------------------------------- */

static struct kept *place_of(struct workers *workers, uint64_t seed)
{
    return &workers->kept[seed % workers->window];
}

static void give_seeds(struct workers *workers)
{
    fflush(stdout); /* what is printed of earlier runs comes before what a worker prints */
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->list[i];
        if (worker->busy || workers->begin - workers->next >= workers->window)
            continue;
        worker->busy = true;
        worker->seed = workers->begin++;
        if (send(worker->socket, &worker->seed, sizeof(worker->seed), MSG_NOSIGNAL) !=
            sizeof(worker->seed))
            abort();
    }
}

static void died(struct workers *workers, struct worker *worker, struct run_result *ret_result)
{
    int status = bury(worker);
    struct violation *violation = &ret_result->violation;
    violation->checker = "assertion";
    snprintf(violation->text, sizeof(violation->text),
             "the code under test stopped at an assertion, or crashed: %s",
             WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended the process");
    start(workers, worker);
}

static void receive(struct workers *workers, struct worker *worker)
{
    uint64_t seed = worker->seed;
    struct kept *kept = place_of(workers, seed);
    *kept = (struct kept){ .there = true };
    worker->busy = false;
    ssize_t got = recv(worker->socket, &kept->outcome, sizeof(kept->outcome), 0);
    if (got == sizeof(kept->outcome))
        return;
    kept->outcome = (struct outcome){ 0 };
    died(workers, worker, &kept->outcome.result);
}

static void wait_for_any(struct workers *workers)
{
    struct pollfd polls[WORKERS_MAX];
    for (unsigned i = 0; i < workers->count; i++)
        polls[i] = (struct pollfd){ .fd = workers->list[i].busy ? workers->list[i].socket : -1,
                                    .events = POLLIN };
    if (poll(polls, workers->count, -1) < 0 && errno != EINTR)
        abort();
    for (unsigned i = 0; i < workers->count; i++)
        if (polls[i].fd >= 0 && polls[i].revents != 0)
            receive(workers, &workers->list[i]);
}

void workers_next(struct workers *workers, struct outcome *ret_outcome)
{
    struct kept *kept = place_of(workers, workers->next);
    while (!kept->there) {
        give_seeds(workers);
        wait_for_any(workers);
    }
    *ret_outcome = kept->outcome;
    kept->there = false;
    workers->next++;
}

/* --- all of them ----------------------------------------------------------------------------- */

struct workers *workers_start(unsigned count, uint64_t first_seed,
                              void (*play)(uint64_t seed, struct outcome *ret_outcome))
{
    struct workers *workers = calloc(1, sizeof(*workers) + count * sizeof(*workers->list));
    if (workers == NULL)
        abort();
    workers->play = play;
    workers->count = count;
    workers->next = workers->begin = first_seed;
    workers->window = count == 1 ? 1 : (size_t)count * AHEAD;
    workers->kept = calloc(workers->window, sizeof(*workers->kept));
    if (workers->kept == NULL)
        abort();
    for (unsigned i = 0; i < count; i++)
        start(workers, &workers->list[i]);
    return workers;
}

void workers_stop(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        kill(workers->list[i].pid, SIGKILL);
        bury(&workers->list[i]);
    }
    free(workers->kept);
    free(workers);
}
