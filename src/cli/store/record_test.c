/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/store/record.h"

#include "tests/support/rows.h"

struct row {
    const char *name;
    struct bytes bytes;
    size_t columns;
    const char *escaped;
    const char *json; /* NULL: not looked at */
};

static const struct row rows[] = {
    { "text stays as it is", BYTES_LITERAL("a cat"), 0, "a cat", "{\"key\":\"a cat\"}" },
    { "no bytes are no text", BYTES_LITERAL(""), 0, "", "{\"key\":\"\"}" },
    { "other scripts stay too", BYTES_LITERAL("\xc3\xa4\xe2\x82\xac"), 0, "\xc3\xa4\xe2\x82\xac",
      "{\"key\":\"\xc3\xa4\xe2\x82\xac\"}" },
    { "a zero byte is escaped", BYTES_LITERAL("a\0b"), 0, "a\\x00b", "{\"key\":\"a\\u0000b\"}" },
    { "lines stay one line", BYTES_LITERAL("a\nb\r\tc"), 0, "a\\nb\\r\\tc", NULL },
    { "a backslash is escaped", BYTES_LITERAL("a\\n"), 0, "a\\\\n", NULL },
    { "a terminal is not driven", BYTES_LITERAL("\x1b[2J\x7f"), 0, "\\x1b[2J\\x7f", NULL },
    { "what is no UTF-8 becomes base64", BYTES_LITERAL("a\xff\xfe"), 0, "a\\xff\\xfe",
      "{\"key_base64\":\"Yf/+\"}" },
    { "half a character is no UTF-8", BYTES_LITERAL("\xe2\x82"), 0, "\\xe2\\x82",
      "{\"key_base64\":\"4oI=\"}" },
    { "a long one is cut", BYTES_LITERAL("abcdefgh"), 4, "abcd...", NULL },
    { "one that fits is not", BYTES_LITERAL("abcd"), 4, "abcd", NULL },
};

static void check_json(const struct row *row)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_true(record_print_json(row->bytes, NULL, file));
    fclose(file);
    assert_int_equal(text[size - 1], '\n');
    text[size - 1] = '\0';
    assert_string_equal(text, row->json);
    free(text);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct buffer escaped, back;
    buffer_init(&escaped, 4096);
    buffer_init(&back, 4096);
    record_escape(row->bytes, row->columns, &escaped);
    buffer_append_u8(&escaped, 0);
    assert_string_equal((char *)escaped.data, row->escaped);
    if (strstr(row->escaped, "...") == NULL) {
        assert_true(record_unescape(row->escaped, &back));
        assert_true(bytes_equal(buffer_bytes(&back), row->bytes));
    }
    if (row->json != NULL)
        check_json(row);
    buffer_done(&escaped);
    buffer_done(&back);
}

static void test_bad(void)
{
    static const char *const bad[] = { "\\", "\\q", "\\x", "\\x1", "\\x1g", "a\\xg1" };
    struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(record_unescape(bad[i], &out));
    buffer_done(&out);
}

static const struct named_test tests[] = {
    { "an escape that is none is refused", test_bad },
};

int main(void)
{
    int failed = RUN_ROWS("record", rows, check);
    return failed + RUN_TESTS("unescape", tests);
}
