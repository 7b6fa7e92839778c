/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/rows.h"

static char program[] = "/bin/sleep", seconds[] = "60";
static char *arguments[] = { program, seconds, NULL };

static void a_process_is_paused_resumed_and_killed(void)
{
    struct process process;
    assert_true(process_start(arguments, "/dev/null", &process));
    assert_int_not_equal(process_state(&process), PROCESS_GONE);
    assert_true(process_signal(&process, SIGSTOP));
    for (int i = 0; i < 500 && process_state(&process) != PROCESS_PAUSED; i++)
        usleep(1000);
    assert_int_equal(process_state(&process), PROCESS_PAUSED);
    assert_true(process_signal(&process, SIGCONT));
    assert_false(process_wait_gone(&process, 20));
    assert_true(process_signal(&process, SIGKILL));
    assert_true(process_wait_gone(&process, 5000));
    assert_int_equal(process_state(&process), PROCESS_GONE);
    assert_false(process_signal(&process, SIGKILL));
    assert_int_equal(errno, ESRCH);
}

static void a_traced_process_is_not_paused(void)
{
    struct process process;
    assert_true(process_start(arguments, "/dev/null", &process));
    bool traced = ptrace(PTRACE_SEIZE, process.pid, NULL, NULL) == 0;
    if (traced) {
        assert_int_equal(ptrace(PTRACE_INTERRUPT, process.pid, NULL, NULL), 0);
        assert_int_equal(waitpid(process.pid, NULL, 0), process.pid);
        assert_int_equal(process_state(&process), PROCESS_RUNNING);
    }
    assert_true(process_signal(&process, SIGKILL));
    assert_true(process_wait_gone(&process, 5000));
    if (!traced)
        skip(); /* containers may forbid it */
}

static void a_reused_pid_is_never_signalled(void)
{
    struct process process;
    assert_true(process_start(arguments, "/dev/null", &process));
    struct process other = { process.pid, process.start_time + 1 };
    assert_int_equal(process_state(&other), PROCESS_GONE);
    assert_false(process_signal(&other, SIGKILL));
    assert_int_equal(errno, ESRCH);
    assert_int_not_equal(process_state(&process), PROCESS_GONE);
    assert_true(process_signal(&process, SIGKILL));
    assert_true(process_wait_gone(&process, 5000));
}

static void a_file_remembers_a_process(void)
{
    char path[] = "/tmp/kvorum-process-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct process process = { getpid(), 12345 }, loaded;
    assert_false(process_load(path, &loaded)); /* empty */
    assert_true(process_save(&process, path));
    assert_true(process_load(path, &loaded));
    assert_int_equal(loaded.pid, process.pid);
    assert_int_equal(loaded.start_time, 12345);
    FILE *file = fopen(path, "w");
    fprintf(file, "%d 12345 another-boot\n", (int)getpid());
    fclose(file);
    assert_false(process_load(path, &loaded));
    unlink(path);
    assert_false(process_load(path, &loaded));
}

static const struct named_test tests[] = {
    { "a process is paused, resumed and killed", a_process_is_paused_resumed_and_killed },
    { "a traced process is not paused", a_traced_process_is_not_paused },
    { "a reused pid is never signalled", a_reused_pid_is_never_signalled },
    { "a file remembers a process, until the next boot", a_file_remembers_a_process },
};

int main(void)
{
    return RUN_TESTS("process", tests);
}
