/* SPDX-License-Identifier: Apache-2.0 */
/** Sink of base/log.h to a file descriptor: standard error, a pipe, a file opened with O_APPEND.
 *  A line is one write(2).  Thread: any.  Blocks: as the descriptor does; a line that a
 *  non-blocking one does not take is counted as lost. */
#ifndef OS_LOG_FILE_H
#define OS_LOG_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"

struct log_file {
    struct log log;        /* what to pass around */
    int descriptor;        /* the caller's */
    pthread_mutex_t mutex; /* a line the kernel takes in pieces stays in one piece */
    atomic_ulong lost;     /* lines not, or not wholly, written */
};

/** `file` must stay in place until log_file_done. */
void log_file_init(struct log_file *file, int descriptor, enum log_level level,
                   enum log_format format);
/** Does not close the descriptor. */
void log_file_done(struct log_file *file);

#endif
