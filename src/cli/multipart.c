/* SPDX-License-Identifier: Apache-2.0 */
/*  --B CR LF head CR LF CR LF body CR LF --B CR LF ... CR LF --B-- */
#include "cli/multipart.h"

#include <stdio.h>
#include <strings.h>

static bool find(struct bytes text, const char *what, size_t *ret_at)
{
    const uint8_t *at = text.size == 0 ? NULL : memmem(text.data, text.size, what, strlen(what));
    if (at == NULL)
        return false;
    *ret_at = (size_t)(at - text.data);
    return true;
}

/* boundary=token or boundary="quoted", anywhere in the parameters. */
static bool read_boundary(struct bytes content_type, struct bytes *ret_boundary)
{
    size_t at;
    if (content_type.size < 10 ||
        strncasecmp((const char *)content_type.data, "multipart/", 10) != 0 ||
        !find(content_type, "boundary=", &at))
        return false;
    struct bytes text = bytes_from(content_type, at + 9);
    bool quoted = text.size > 0 && text.data[0] == '"';
    if (quoted)
        text = bytes_from(text, 1);
    size_t size = 0;
    while (size < text.size && text.data[size] != (quoted ? '"' : ';') &&
           (quoted || text.data[size] != ' '))
        size++;
    if (size == 0 || size > MULTIPART_BOUNDARY_MAX || memchr(text.data, 0, size) != NULL)
        return false;
    *ret_boundary = bytes_make(text.data, size);
    return true;
}

bool multipart_begin(struct multipart *multipart, struct bytes content_type, struct bytes body)
{
    struct bytes boundary;
    if (!read_boundary(content_type, &boundary))
        return false;
    snprintf(multipart->delimiter, sizeof(multipart->delimiter), "\r\n--%.*s", (int)boundary.size,
             (const char *)boundary.data);
    struct bytes first = bytes_of_string(multipart->delimiter + 2);
    size_t at;
    if (bytes_starts_with(body, first))
        multipart->rest = bytes_from(body, first.size);
    else if (find(body, multipart->delimiter, &at))
        multipart->rest = bytes_from(body, at + first.size + 2);
    else
        return false;
    return true;
}

bool multipart_next(struct multipart *multipart, struct bytes *ret_head, struct bytes *ret_body)
{
    struct bytes rest = multipart->rest;
    size_t end, head_end;
    if (!bytes_starts_with(rest, BYTES_LITERAL("\r\n")) ||
        !find(bytes_from(rest, 2), multipart->delimiter, &end))
        return false;
    multipart->rest = bytes_from(rest, 2 + end + strlen(multipart->delimiter));
    struct bytes part = bytes_make(rest.data, 2 + end); /* from the CR LF of its delimiter on */
    if (!find(part, "\r\n\r\n", &head_end))
        return false;
    *ret_head = head_end == 0 ? bytes_make(part.data, 0) : bytes_make(part.data + 2, head_end);
    *ret_body = bytes_from(part, head_end + 4);
    return true;
}

bool multipart_next_field(struct bytes *head, struct bytes *ret_name, struct bytes *ret_value)
{
    while (head->size > 0) {
        const uint8_t *end = memchr(head->data, '\n', head->size);
        size_t size = end == NULL ? head->size : (size_t)(end - head->data) + 1;
        struct bytes line = bytes_make(head->data, size);
        *head = bytes_from(*head, size);
        while (line.size > 0 && strchr("\r\n \t", line.data[line.size - 1]) != NULL)
            line.size--;
        const uint8_t *colon = line.size == 0 ? NULL : memchr(line.data, ':', line.size);
        if (colon == NULL)
            continue;
        *ret_name = bytes_make(line.data, (size_t)(colon - line.data));
        line = bytes_from(line, ret_name->size + 1);
        while (line.size > 0 && line.data[0] == ' ')
            line = bytes_from(line, 1);
        *ret_value = line;
        return true;
    }
    return false;
}

bool multipart_field(struct bytes head, const char *name, struct bytes *ret_value)
{
    size_t name_size = strlen(name);
    struct bytes found, value;
    while (multipart_next_field(&head, &found, &value)) {
        if (found.size != name_size || strncasecmp((const char *)found.data, name, name_size) != 0)
            continue;
        *ret_value = value;
        return true;
    }
    return false;
}
