/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/store/record.h"

#include "cli/message.h"
#include "cli/output.h"

/* --- escaping ------------------------------------------------------------------------------ */

static const char letters[] = "\\nrt", meant[] = "\\\n\r\t";

/* Append the character or byte at the front of `bytes`, and return how many bytes it has. */
static size_t escape_one(struct bytes bytes, struct buffer *out)
{
    const char *known = bytes.data[0] == '\0' ? NULL : strchr(meant, bytes.data[0]);
    if (known != NULL) {
        buffer_append_u8(out, '\\');
        buffer_append_u8(out, (uint8_t)letters[known - meant]);
        return 1;
    }
    size_t size = printable_size(bytes);
    if (size == 0) {
        buffer_printf(out, "\\x%02x", bytes.data[0]);
        return 1;
    }
    buffer_append(out, bytes.data, size);
    return size;
}

void record_escape(struct bytes bytes, size_t columns, struct buffer *out)
{
    size_t begin = out->size;
    while (bytes.size > 0) {
        if (columns > 0 && out->size - begin >= columns) {
            buffer_append_text(out, "...");
            return;
        }
        bytes = bytes_from(bytes, escape_one(bytes, out));
    }
}

static int digit_of(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = letter == '\0' ? NULL : strchr(digits, letter | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Append what the escape behind a backslash stands for, and return its size; 0: it is none. */
static size_t unescape_one(const char *text, struct buffer *out)
{
    const char *known = *text == '\0' ? NULL : strchr(letters, *text);
    if (known != NULL) {
        buffer_append_u8(out, (uint8_t)meant[known - letters]);
        return 1;
    }
    int high = *text == 'x' ? digit_of(text[1]) : -1;
    int low = high < 0 ? -1 : digit_of(text[2]);
    if (low < 0)
        return 0;
    buffer_append_u8(out, (uint8_t)(high * 16 + low));
    return 3;
}

bool record_unescape(const char *text, struct buffer *out)
{
    for (const char *at = text; *at != '\0';) {
        size_t size = 1;
        if (*at != '\\') {
            buffer_append_u8(out, (uint8_t)*at++);
            continue;
        }
        size = unescape_one(at + 1, out);
        if (size == 0) {
            say_error("'%s' is not escaped as it should: after a backslash comes \\, n, r, t or "
                      "xHH with two hexadecimal digits",
                      text);
            return false;
        }
        at += 1 + size;
    }
    return !out->failed;
}

/* --- JSON ---------------------------------------------------------------------------------- */

bool record_print_json(struct bytes key, const struct bytes *value, FILE *file)
{
    json_t *object = json_object();
    json_set_bytes(object, "key", key);
    if (value != NULL)
        json_set_bytes(object, "value", *value);
    bool whole = json_object_size(object) == (value == NULL ? 1 : 2);
    bool good = whole && json_dumpf(object, file, JSON_COMPACT) == 0 && fputc('\n', file) != EOF;
    json_decref(object);
    return good;
}
