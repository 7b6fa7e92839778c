/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as rows: bytes in, words out.  Each row runs whole, byte by byte, and cut in two
 * everywhere, each time in fresh memory, so a view into an earlier input would be seen. */
#include "codec/resp.h"

#include <stdio.h>

#include "tests/support/rows.h"

static const struct resp_limits limits = { 8, 32, 64, 120 };

struct row {
    const char *name, *input;
    const char *expected; /* words in [], requests ended by ';', then "..." or the problem */
};

static const struct row rows[] = {
    { "a multibulk request", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "[GET][k];" },
    { "an empty argument", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "[ECHO][];" },
    { "bytes of framing inside an argument", "*1\r\n$6\r\n\r\n$1\r\n\r\n", "[\r\n$1\r\n];" },
    { "two requests in one read", "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", "[PING];[QUIT];" },
    { "no arguments is a request to ignore", "*0\r\n*1\r\n$1\r\na\r\n", ";[a];" },
    { "a negative count is a request to ignore", "*-1\r\n", ";" },
    { "a request without its last byte", "*1\r\n$4\r\nPING\r", "..." },
    { "a count that may go on", "*8", "..." },
    { "more arguments than the limit", "*9\r\n", "invalid multibulk length" },
    { "a count of many digits", "*123456789012345678901234567890", "invalid multibulk length" },
    { "a count with a leading zero", "*01\r\n", "invalid multibulk length" },
    { "a count that is no number", "*a\r\n", "invalid multibulk length" },
    { "an empty count", "*\r\n", "invalid multibulk length" },
    { "a count with a plus", "*+1\r\n", "invalid multibulk length" },
    { "minus zero", "*-0\r\n", "invalid multibulk length" },
    { "a count that ends in a bare newline", "*1\n", "invalid multibulk length" },
    { "a carriage return without newline", "*1\rx", "invalid multibulk length" },
    { "an argument as long as the limit", "*1\r\n$32\r\n12345678901234567890123456789012\r\n",
      "[12345678901234567890123456789012];" },
    { "an argument above the limit is refused by its length", "*1\r\n$33\r\n",
      "invalid bulk length" },
    { "a length that overflows", "*1\r\n$18446744073709551617\r\n", "invalid bulk length" },
    { "a negative length", "*1\r\n$-1\r\n", "invalid bulk length" },
    { "a length that is no number", "*1\r\n$x\r\n", "invalid bulk length" },
    { "something else than a bulk", "*1\r\n:1\r\n", "expected '$', got ':'" },
    { "a control byte instead of a bulk", "*1\r\n\r\n", "expected '$', got 0x0d" },
    { "a bulk longer than it says", "*1\r\n$1\r\nab\r\n", "bulk is not followed by CRLF" },
    { "small arguments may not add up to a large request",
      "*4\r\n$30\r\n123456789012345678901234567890\r\n$30\r\n123456789012345678901234567890\r\n"
      "$30\r\n123456789012345678901234567890\r\n$30\r\n",
      "request is too large" },
    { "a problem after good requests", "*1\r\n$4\r\nPING\r\n*x",
      "[PING];invalid multibulk length" },
    { "an inline request", "GET k\r\n", "[GET][k];" },
    { "an inline request with a bare newline", "PING\n", "[PING];" },
    { "an empty line is ignored", "\r\nPING\r\n", ";[PING];" },
    { "spaces around words", "  GET \t k  \r\n", "[GET][k];" },
    { "double quotes with escapes", "SET \"a b\" \"\\x41\\n\\\"\\q\"\r\n", "[SET][a b][A\n\"q];" },
    { "single quotes", "SET 'a \"b' 'it\\'s' '\\n'\r\n", "[SET][a \"b][it's][\\n];" },
    { "empty quotes are an empty word", "ECHO \"\"\r\n", "[ECHO][];" },
    { "a quote in the middle of a word", "ECHO a\"b c\"\r\n", "[ECHO][ab c];" },
    { "an open quote", "SET \"a b\r\n", "unbalanced quotes in request" },
    { "a word behind a closing quote", "SET \"a\"b\r\n", "unbalanced quotes in request" },
    { "a backslash before the end", "SET \"a\\\r\n", "unbalanced quotes in request" },
    { "half a hexadecimal escape", "ECHO \"\\x4\"\r\n", "[ECHO][x4];" },
    { "a line that has not ended", "PING", "..." },
    { "an inline request above its limit",
      "ECHO 1234567890123456789012345678901234567890123456789012345678901234567890",
      "too big inline request" },
    { "inline and multibulk mixed", "PING\r\n*1\r\n$1\r\na\r\nPING\r\n", "[PING];[a];[PING];" },
};

/* Show the parser what is unread of `input` up to `size`; false when it met a problem. */
static bool feed(struct resp_parser *parser, const char *input, size_t size, size_t *used,
                 struct buffer *ret)
{
    for (;;) {
        size_t left = size - *used, took = 0;
        uint8_t *copy = malloc(left + 1);
        assert_non_null(copy);
        memcpy(copy, input + *used, left);
        enum resp_outcome outcome = resp_parse(parser, bytes_make(copy, left), &took);
        for (uint32_t i = 0; outcome == RESP_REQUEST && i < parser->count; i++) {
            struct bytes argument = resp_argument(parser, i);
            buffer_printf(ret, "[%.*s]", (int)argument.size, (const char *)argument.data);
        }
        free(copy);
        *used += took;
        if (outcome == RESP_MALFORMED)
            buffer_append_text(ret, parser->problem + strlen("Protocol error: "));
        if (outcome != RESP_REQUEST)
            return outcome == RESP_PARTIAL;
        buffer_append_u8(ret, ';');
    }
}

/* `cut`: the first piece; then pieces of `step`. */
static void check_cut(const struct row *row, size_t cut, size_t step)
{
    struct resp_parser parser;
    struct buffer got;
    resp_parser_init(&parser, &limits);
    buffer_init(&got, 4096);
    size_t size = strlen(row->input), used = 0, seen = cut;
    bool good = feed(&parser, row->input, seen, &used, &got);
    while (good && seen < size) {
        seen = seen + step < size ? seen + step : size;
        good = feed(&parser, row->input, seen, &used, &got);
    }
    if (good && used < size)
        buffer_append_text(&got, "...");
    buffer_append_u8(&got, 0);
    assert_string_equal((const char *)got.data, row->expected);
    buffer_done(&got);
    resp_parser_done(&parser);
}

static void check(const void *argument)
{
    const struct row *row = argument;
    size_t size = strlen(row->input);
    check_cut(row, size, 1);
    check_cut(row, 0, 1);
    for (size_t cut = 1; cut < size; cut++)
        check_cut(row, cut, size);
}

static void many_arguments(void **state)
{
    (void)state;
    const struct resp_limits wide = { RESP_ARGUMENTS_MAX, 100, 100, 1 << 24 };
    struct resp_parser parser;
    struct buffer input;
    size_t used = 0;
    buffer_init(&input, 1 << 24);
    resp_parser_init(&parser, &wide);
    resp_write_array(&input, 5000);
    for (int i = 0; i < 5000; i++)
        resp_write_bulk(&input, bytes_make(&i, sizeof(i)));
    assert_int_equal(resp_parse(&parser, buffer_bytes(&input), &used), RESP_REQUEST);
    assert_int_equal(used, input.size);
    for (int i = 0; i < 5000; i++)
        assert_memory_equal(resp_argument(&parser, (uint32_t)i).data, &i, sizeof(i));
    assert_int_equal(resp_parse(&parser, BYTES_LITERAL("PING\n"), &used), RESP_REQUEST);
    assert_int_equal(parser.count, 1);
    resp_parser_done(&parser);
    buffer_done(&input);
}

static void replies(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    resp_write_simple(&out, "OK");
    resp_write_error(&out, "ERR", "two\r\n  lines");
    resp_write_integer(&out, 0);
    resp_write_integer(&out, -5);
    resp_write_integer(&out, INT64_MAX);
    resp_write_bulk(&out, BYTES_LITERAL("a\r\nb"));
    resp_write_text(&out, "");
    resp_write_nil(&out);
    resp_write_array(&out, 10);
    buffer_append_u8(&out, 0);
    assert_string_equal((const char *)out.data,
                        "+OK\r\n-ERR two lines\r\n:0\r\n:-5\r\n:9223372036854775807\r\n"
                        "$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*10\r\n");
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(many_arguments),
                                        cmocka_unit_test(replies) };
    int failed = RUN_ROWS("resp requests", rows, check);
    return failed + cmocka_run_group_tests_name("resp", tests, NULL, NULL);
}
