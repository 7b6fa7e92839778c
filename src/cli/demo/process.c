/* SPDX-License-Identifier: Apache-2.0 */
/*  The file: one line, "PID START-TIME BOOT-ID". */
#include "cli/demo/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/message.h"

/* The state letter and start time of a process; false when there is none. */
static bool read_stat(pid_t pid, char *ret_state, uint64_t *ret_start_time)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *after_name = strrchr(text, ')'); /* the name may hold anything */
    uint64_t start_time;
    char state;
    if (after_name == NULL ||
        sscanf(after_name + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%" SCNu64,
               &state, &start_time) != 2)
        return false;
    *ret_state = state;
    *ret_start_time = start_time;
    return true;
}

static bool spawn(char *const *arguments, const char *log_path, pid_t *ret_pid, int *ret_problem)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    *ret_problem = posix_spawn(ret_pid, arguments[0], &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return *ret_problem == 0;
}

bool process_start(char *const *arguments, const char *log_path, struct process *ret_process)
{
    struct process process = { 0 };
    int problem;
    char state;
    if (!spawn(arguments, log_path, &process.pid, &problem)) {
        say_error("cannot start %s: %s", arguments[0], errno_text(problem));
        return false;
    }
    if (!read_stat(process.pid, &state, &process.start_time)) {
        say_error("started %s, but /proc does not show it; is /proc mounted?", arguments[0]);
        return false;
    }
    *ret_process = process;
    return true;
}

enum process_state process_state(const struct process *process)
{
    char state;
    uint64_t start_time;
    if (!read_stat(process->pid, &state, &start_time) || start_time != process->start_time)
        return PROCESS_GONE;
    if (state == 'Z' || state == 'X') {
        waitpid(process->pid, NULL, WNOHANG); /* in case it is our own child */
        return PROCESS_GONE;
    }
    /* 't' is held by a tracer, which lets go again: a debugger, or the search for leaks at exit */
    return state == 'T' ? PROCESS_PAUSED : PROCESS_RUNNING;
}

/* A handle on the process, which its pid's next owner cannot slip under; -1 with errno. */
static int open_process(const struct process *process)
{
    int handle = pidfd_open(process->pid, 0);
    if (handle >= 0 && process_state(process) == PROCESS_GONE) {
        close(handle);
        errno = ESRCH;
        return -1;
    }
    return handle;
}

bool process_signal(const struct process *process, int number)
{
    int handle = open_process(process);
    if (handle < 0)
        return false;
    int outcome = pidfd_send_signal(handle, number, NULL, 0), problem = errno;
    close(handle);
    errno = problem;
    return outcome == 0;
}

bool process_wait_gone(const struct process *process, uint32_t timeout_ms)
{
    int handle = open_process(process);
    if (handle < 0)
        return errno == ESRCH;
    struct pollfd wait = { handle, POLLIN, 0 };
    int ready;
    do {
        ready = poll(&wait, 1, (int)timeout_ms);
    } while (ready < 0 && errno == EINTR);
    close(handle);
    if (ready <= 0)
        return false;
    waitpid(process->pid, NULL, WNOHANG);
    return true;
}

/* --- files ---------------------------------------------------------------------------------- */

static bool read_boot_id(char ret_id[64])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return false;
    bool read = fscanf(file, "%63s", ret_id) == 1;
    fclose(file);
    return read;
}

bool process_save(const struct process *process, const char *path)
{
    char boot_id[64] = "-", temporary[4200];
    (void)read_boot_id(boot_id);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "we");
    bool written = file != NULL && fprintf(file, "%d %" PRIu64 " %s\n", (int)process->pid,
                                           process->start_time, boot_id) > 0;
    if (file != NULL && fclose(file) != 0)
        written = false;
    if (written && rename(temporary, path) == 0)
        return true;
    say_error("cannot write %s: %s", path, errno_text(errno));
    return false;
}

bool process_load(const char *path, struct process *ret_process)
{
    char boot_id[64] = "-", saved_boot_id[64];
    int pid;
    uint64_t start_time;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    int read = fscanf(file, "%d %" SCNu64 " %63s", &pid, &start_time, saved_boot_id);
    fclose(file);
    (void)read_boot_id(boot_id);
    if (read != 3 || pid <= 1 || strcmp(boot_id, saved_boot_id) != 0)
        return false;
    *ret_process = (struct process){ pid, start_time };
    return true;
}
