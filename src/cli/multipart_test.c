/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/multipart.h"

#include <stdio.h>

#include "support/rows.h"

struct row {
    const char *name;
    const char *content_type, *body;
    const char *parts; /* "head-type=body|..." or NULL: refused */
};

static const struct row rows[] = {
    { "two parts", "multipart/mixed; boundary=B",
      "--B\r\nContent-Type: a/b\r\n\r\none\r\n--B\r\ncontent-type:  c/d \r\n\r\ntwo\r\n--B--\r\n",
      "a/b=one|c/d=two|" },
    { "a preamble and a quoted boundary", "Multipart/Mixed; boundary=\"B\"; x=y",
      "hello\r\n--B\r\nContent-Type: a\r\n\r\none\r\n--B--", "a=one|" },
    { "a part without a head", "multipart/mixed; boundary=B", "--B\r\n\r\none\r\n--B--", "=one|" },
    { "an empty body", "multipart/mixed; boundary=B", "--B\r\nContent-Type: a\r\n\r\n\r\n--B--",
      "a=|" },
    { "line ends inside a body stay", "multipart/mixed; boundary=B",
      "--B\r\n\r\none\r\n\r\n--\r\ntwo\r\n--B--", "=one\r\n\r\n--\r\ntwo|" },
    { "a part cut short is left out", "multipart/mixed; boundary=B",
      "--B\r\n\r\none\r\n--B\r\n\r\ntw", "=one|" },
    { "no boundary", "multipart/mixed", "--B\r\n\r\none\r\n--B--", NULL },
    { "no multipart", "text/plain; boundary=B", "--B\r\n\r\none\r\n--B--", NULL },
    { "a body without the boundary", "multipart/mixed; boundary=C", "--B\r\n\r\none\r\n--B--",
      NULL },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct multipart multipart;
    struct bytes head, body;
    char parts[256] = "";
    bool begun =
        multipart_begin(&multipart, bytes_of_string(row->content_type), bytes_of_string(row->body));
    assert_int_equal(begun, row->parts != NULL);
    while (begun && multipart_next(&multipart, &head, &body)) {
        struct bytes type = { 0 };
        multipart_field(head, "content-type", &type);
        size_t size = strlen(parts);
        snprintf(parts + size, sizeof(parts) - size, "%.*s=%.*s|", (int)type.size,
                 type.size == 0 ? "" : (const char *)type.data, (int)body.size,
                 (const char *)body.data);
    }
    if (begun)
        assert_string_equal(parts, row->parts);
}

int main(void)
{
    return RUN_ROWS("multipart", rows, check);
}
