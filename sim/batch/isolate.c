/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/isolate.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared with the child, which has one of these in its life. */
struct report {
    struct run_result result;
    bool whole; /* the run came to an end */
    size_t tape_size;
    uint8_t tape[TAPE_SIZE_MAX];
};

static struct report *report; /* for the handler */
static const struct world *running;

/* Allocates nothing: it is called where the heap may be broken. */
static void hand_over(const struct tape *tape)
{
    struct buffer buffer = { .data = report->tape,
                             .capacity = sizeof(report->tape),
                             .limit = sizeof(report->tape) };
    struct tape_header none = { 0 };
    tape_encode(&none, tape, &buffer);
    report->tape_size = buffer.failed ? 0 : buffer.size;
}

static void on_abort(int number)
{
    (void)number;
    if (running != NULL) {
        report->result.violation.at_us = running->now_us;
        report->result.trace_hash = running->trace_hash;
        hand_over(&running->tape);
    }
    _exit(2);
}

static void catch_aborts(void)
{
    struct sigaction action = { .sa_handler = on_abort };
    sigemptyset(&action.sa_mask);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void be_quiet(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
}

static _Noreturn void play(const struct run_options *options, unsigned seconds, bool quiet)
{
    struct tape tape = { 0 };
    struct run_options own = *options;
    own.ret_tape = &tape;
    own.ret_world = &running;
    if (quiet)
        be_quiet();
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_aborts();
    alarm(seconds); /* its default is the end of the process */
    run(&own, &report->result);
    tape_trim(&tape);
    hand_over(&tape);
    report->whole = true;
    fflush(stdout);
    _exit(0);
}

static void take_tape(struct tape *ret_tape)
{
    struct tape_header header;
    const char *why;
    struct bytes bytes = bytes_make(report->tape, report->tape_size);
    if (report->tape_size == 0 || tape_decode(bytes, &header, ret_tape, &why) != KVORUM_OK)
        *ret_tape = (struct tape){ 0 };
    tape_trim(ret_tape);
}

/* The violation is kept as text of the parent's: pointers of the child mean nothing here, but
 * those to its constants do, since both are one program. */
static void judge(struct run_result *ret_result)
{
    *ret_result = report->result;
    if (report->whole)
        return;
    bool died = report->tape_size > 0;
    ret_result->violation.checker = died ? "assertion" : "endless";
    snprintf(ret_result->violation.text, sizeof(ret_result->violation.text), "%s",
             died ? "the code under test stopped at an assertion, or crashed"
                  : "the run does not end");
}

static void *must(void *memory)
{
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

void isolate_run(const struct run_options *options, unsigned seconds, bool quiet,
                 struct run_result *ret_result)
{
    const int no_file = -1;
    report = must(mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       /* cppcheck-suppress invalidFunctionArg */
                       no_file, 0));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0)
        play(options, seconds, quiet);
    int status;
    while (waitpid(child, &status, 0) < 0)
        ;
    judge(ret_result);
    if (options->ret_tape != NULL)
        take_tape(options->ret_tape);
    munmap(report, sizeof(*report));
}
