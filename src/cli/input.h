/* SPDX-License-Identifier: Apache-2.0 */
/** Files and standard input as sources of bytes. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/buffer.h"

/** A descriptor of the file, of standard input for "-"; -1 after saying why not. */
int input_open(const char *path);
/** Append all that is left of `descriptor`.  False after saying why not; a buffer's limit is one
 *  reason.  Blocks: on the source. */
bool input_read_all(int descriptor, const char *name, struct buffer *buffer);

#endif
