/* SPDX-License-Identifier: Apache-2.0 */
/** A view of bytes owned by someone else.  Never a bare pointer with a loose length. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

#define BYTES_LITERAL(text) ((struct bytes){ (const uint8_t *)(text), sizeof(text) - 1 })

static inline struct bytes bytes_make(const void *data, size_t size)
{
    return (struct bytes){ data, size };
}

static inline struct bytes bytes_of_string(const char *text)
{
    return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/** Lexical order of unsigned bytes, a prefix before what it begins: <0, 0 or >0. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool bytes_starts_with(struct bytes text, struct bytes prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

/** Copies `part` to `at`, and says where it ends. */
static inline uint8_t *bytes_put(uint8_t *at, struct bytes part)
{
    if (part.size > 0)
        memcpy(at, part.data, part.size);
    return at + part.size;
}

/** `text` from `offset` on; offset <= text.size. */
static inline struct bytes bytes_from(struct bytes text, size_t offset)
{
    return (struct bytes){ text.size == 0 ? text.data : text.data + offset, text.size - offset };
}

#endif
