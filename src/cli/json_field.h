/* SPDX-License-Identifier: Apache-2.0 */
/** Fields of the documents that a node answers with (docs/http.md).  A newer node, or none, may
 *  leave one out: then it is empty, or 0. */
#ifndef CLI_JSON_FIELD_H
#define CLI_JSON_FIELD_H

#include <jansson.h>
#include <string.h>

static inline const char *field_text(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

static inline unsigned long long field_number(const json_t *json, const char *name)
{
    return (unsigned long long)json_integer_value(json_object_get(json, name));
}

/** For qsort: documents (const json_t *) by their "name", n2 before n10. */
static inline int field_name_order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *other = b;
    return strverscmp(field_text(*one, "name"), field_text(*other, "name"));
}

#endif
