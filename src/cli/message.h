/* SPDX-License-Identifier: Apache-2.0 */
/** Messages for people, all on standard error.  A good one says what failed, where, why, and the
 *  next step.  Thread: one at a time. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stdio.h>

#include "base/bytes.h"
#include "cli/exit_code.h"

/** "kvorum: " and the text, then a newline. */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** say_error, then return `code`, so that a command can end with `return fail(...)`. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The text and a newline, without "kvorum: ". */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Size of the printable UTF-8 character that `text` (not empty) begins with; 0: it is none. */
size_t printable_size(struct bytes text);
/** Write `text` so that it can neither drive a terminal nor break a line: bytes that are no
 *  printable UTF-8 become '.'. */
void print_safely(FILE *file, struct bytes text);

/** The text of an errno value; valid until the next call of this thread. */
const char *errno_text(int number);

/** Colour is wanted on `file`: a terminal, and NO_COLOR is not set. */
bool colour_wanted(FILE *file);

#endif
