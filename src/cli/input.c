/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/message.h"

int input_open(const char *path)
{
    if (strcmp(path, "-") == 0)
        return STDIN_FILENO;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        say_error("cannot open %s: %s", path, errno_text(errno));
    return descriptor;
}

bool input_read_all(int descriptor, const char *name, struct buffer *buffer)
{
    for (;;) {
        uint8_t *room = buffer_reserve(buffer, 64 * 1024);
        if (room == NULL) {
            say_error("%s is larger than %zu MB", name, buffer->limit >> 20);
            return false;
        }
        ssize_t size = read(descriptor, room, 64 * 1024);
        if (size == 0)
            return true;
        if (size > 0) {
            buffer->size += (size_t)size;
        } else if (errno != EINTR) {
            say_error("cannot read %s: %s", name, errno_text(errno));
            return false;
        }
    }
}
