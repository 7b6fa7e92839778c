/* SPDX-License-Identifier: Apache-2.0 */
#include "os/log_file.h"

#include <errno.h>
#include <unistd.h>

#include "os/clock.h"

static uint64_t wall_ms(void *context)
{
    (void)context;
    struct os_clock clock;
    os_clock_init(&clock);
    return clock_wall_ms(&clock.clock);
}

static bool write_all(int descriptor, struct bytes rest)
{
    while (rest.size > 0) {
        ssize_t put = write(descriptor, rest.data, rest.size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        rest = bytes_from(rest, (size_t)put);
    }
    return true;
}

static void write_line(void *context, enum log_level level, struct bytes line)
{
    (void)level;
    struct log_file *file = context;
    int saved_errno = errno; /* logging must not disturb who logs a failed call */
    pthread_mutex_lock(&file->mutex);
    bool written = write_all(file->descriptor, line);
    pthread_mutex_unlock(&file->mutex);
    errno = saved_errno;
    if (!written)
        atomic_fetch_add(&file->lost, 1);
}

void log_file_init(struct log_file *file, int descriptor, enum log_level level,
                   enum log_format format)
{
    file->log = (struct log){ level, format, wall_ms, write_line, file };
    file->descriptor = descriptor;
    pthread_mutex_init(&file->mutex, NULL);
    atomic_init(&file->lost, 0);
}

void log_file_done(struct log_file *file)
{
    pthread_mutex_destroy(&file->mutex);
}
