/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/message.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static void say(const char *prefix, const char *format, va_list arguments)
{
    fflush(stdout);
    fputs(prefix, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void say_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("kvorum: ", format, arguments);
    va_end(arguments);
}

int fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("kvorum: ", format, arguments);
    va_end(arguments);
    return code;
}

void say_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

/* None, too, when it is a control character. */
size_t printable_size(struct bytes text)
{
    uint8_t first = text.data[0];
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > text.size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
    }
    bool control = first == 0xc2 && text.data[1] < 0xa0; /* C1, which some terminals obey */
    return control ? 0 : size;
}

void print_safely(FILE *file, struct bytes text)
{
    while (text.size > 0) {
        size_t size = printable_size(text);
        if (size == 0)
            fputc('.', file);
        else
            fwrite(text.data, 1, size, file);
        text = bytes_from(text, size == 0 ? 1 : size);
    }
}

const char *errno_text(int number)
{
    static _Thread_local char text[128];
    return strerror_r(number, text, sizeof(text));
}

bool colour_wanted(FILE *file)
{
    const char *refused = getenv("NO_COLOR");
    return (refused == NULL || *refused == '\0') && isatty(fileno(file));
}
