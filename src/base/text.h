/* SPDX-License-Identifier: Apache-2.0 */
/** Small steps over text that came from outside: it is a view (bytes.h) that ends nowhere in
 *  particular, or a string that may be too long.  Nothing is allocated; nothing fails but where it
 *  says so.  Thread: any. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/bytes.h"

/** `text` with its end into `ret`, of `size` bytes; false: it does not fit, and `ret` is as it
 *  was. */
static inline bool text_copy(char *ret, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        return false;
    memcpy(ret, text, length + 1);
    return true;
}

/** Without the blanks and tabs at both ends. */
static inline struct bytes text_trim(struct bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_from(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/** Cuts off what stands before the first `separator`, and that; all of it when there is none. */
static inline struct bytes text_cut(struct bytes *text, uint8_t separator)
{
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, separator, text->size);
    struct bytes part = { text->data, end == NULL ? text->size : (size_t)(end - text->data) };
    *text = end == NULL ? (struct bytes){ 0 } : bytes_from(*text, part.size + 1);
    return part;
}

/** 0 to 15 of either case; -1: it is none. */
static inline int text_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** An ASCII letter as a small one; anything else as it is. */
static inline uint8_t text_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

#endif
