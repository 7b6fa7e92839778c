/* SPDX-License-Identifier: Apache-2.0 */
/** Keys and values, which may be any bytes, as people and programs read them.
 *
 *      table, plain   escaped: printable UTF-8 as it is; \\ \n \r \t; \xHH for every other byte
 *      json           text, or under another name (key_base64) where it is no UTF-8
 *
 *  Escaping loses nothing: record_unescape brings the same bytes back. */
#ifndef CLI_STORE_RECORD_H
#define CLI_STORE_RECORD_H

#include <stdio.h>

#include "base/buffer.h"

/** Append `bytes` escaped; with `columns` > 0 at most about so many, and then "..." at the end. */
void record_escape(struct bytes bytes, size_t columns, struct buffer *out);
/** The bytes that escaped `text` stands for, appended.  False after saying what is wrong. */
bool record_unescape(const char *text, struct buffer *out);
/** One JSON object on one line; without `value` when that is NULL.  False: out of memory, or the
 *  file does not take it. */
bool record_print_json(struct bytes key, const struct bytes *value, FILE *file);

#endif
