/* SPDX-License-Identifier: Apache-2.0 */
/** Processes we started, remembered in files, so that a later command can signal them and nobody
 *  else: a process is its pid, its start time and the boot it lives in.  Thread: one. */
#ifndef CLI_DEMO_PROCESS_H
#define CLI_DEMO_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    uint64_t start_time; /* ticks since boot, /proc/PID/stat */
};

enum process_state { PROCESS_GONE, PROCESS_RUNNING, PROCESS_PAUSED };

/** Start `arguments[0]` in a session of its own; its output is appended to `log_path`.  False after
 *  saying why not. */
bool process_start(char *const *arguments, const char *log_path, struct process *ret_process);
enum process_state process_state(const struct process *process);
/** False with errno: gone (ESRCH), or not allowed.  Never reaches another process. */
bool process_signal(const struct process *process, int number);
/** True when it is gone within the time.  Blocks: until then. */
bool process_wait_gone(const struct process *process, uint32_t timeout_ms);

/** False after saying why not. */
bool process_save(const struct process *process, const char *path);
/** False: no file, a malformed one, or of an earlier boot: nothing of ours is running then. */
bool process_load(const char *path, struct process *ret_process);

#endif
