/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "tests/support/rows.h"

#define NOON 1795244400123ull /* 2026-11-21T07:00:00.123Z */

struct row {
    const char *name;
    enum log_format format;
    uint64_t wall_ms;
    struct log_field field;
    const char *line;
};

#define FIELD(bytes)                                                                               \
    {                                                                                              \
        "k", LOG_FIELD_BYTES, { (const uint8_t *)(bytes), sizeof(bytes) - 1 }, 0                   \
    }
#define U64(value)                                                                                 \
    {                                                                                              \
        "k", LOG_FIELD_U64, { 0 }, (value)                                                         \
    }
#define I64(value)                                                                                 \
    {                                                                                              \
        "k", LOG_FIELD_I64, { 0 }, (uint64_t)(value)                                               \
    }

static const struct row rows[] = {
    { "text has its columns first", LOG_FORMAT_TEXT, NOON, FIELD("n2"),
      "2026-11-21T07:00:00.123Z warn  link lost k=n2\n" },
    { "logfmt names everything", LOG_FORMAT_LOGFMT, NOON, FIELD("n2"),
      "time=2026-11-21T07:00:00.123Z level=warn message=\"link lost\" k=n2\n" },
    { "json is one object", LOG_FORMAT_JSON, NOON, FIELD("n2"),
      "{\"time\":\"2026-11-21T07:00:00.123Z\",\"level\":\"warn\",\"message\":\"link lost\","
      "\"k\":\"n2\"}\n" },
    { "text without a time", LOG_FORMAT_TEXT, 0, FIELD("n2"), "warn  link lost k=n2\n" },
    { "logfmt without a time", LOG_FORMAT_LOGFMT, 0, FIELD("n2"),
      "level=warn message=\"link lost\" k=n2\n" },
    { "json without a time", LOG_FORMAT_JSON, 0, FIELD("n2"),
      "{\"level\":\"warn\",\"message\":\"link lost\",\"k\":\"n2\"}\n" },
    { "a leap day", LOG_FORMAT_TEXT, 951782400000, U64(1),
      "2000-02-29T00:00:00.000Z warn  link lost k=1\n" },
    { "the day after it", LOG_FORMAT_TEXT, 951868799999, U64(1),
      "2000-02-29T23:59:59.999Z warn  link lost k=1\n" },
    { "1 ms after the epoch", LOG_FORMAT_TEXT, 1, U64(1),
      "1970-01-01T00:00:00.001Z warn  link lost k=1\n" },
    { "no leap day in 2100", LOG_FORMAT_TEXT, 4107542400000, U64(1),
      "2100-03-01T00:00:00.000Z warn  link lost k=1\n" },
    { "the largest number", LOG_FORMAT_JSON, 0, U64(UINT64_MAX),
      "{\"level\":\"warn\",\"message\":\"link lost\",\"k\":18446744073709551615}\n" },
    { "the smallest number", LOG_FORMAT_TEXT, 0, I64(INT64_MIN),
      "warn  link lost k=-9223372036854775808\n" },
    { "an empty value is quoted", LOG_FORMAT_TEXT, 0, FIELD(""), "warn  link lost k=\"\"\n" },
    { "spaces, = and quotes are quoted", LOG_FORMAT_LOGFMT, 0, FIELD("a b=\"c\""),
      "level=warn message=\"link lost\" k=\"a b=\\\"c\\\"\"\n" },
    { "a line break cannot fake a line", LOG_FORMAT_TEXT, 0, FIELD("a\nwarn  b\r\t"),
      "warn  link lost k=\"a\\nwarn  b\\r\\t\"\n" },
    { "controls cannot drive a terminal", LOG_FORMAT_TEXT, 0, FIELD("\x1b[2J\x7f\xc2\x9b"),
      "warn  link lost k=\"\\u001b[2J\\u007f\\u009b\"\n" },
    { "UTF-8 stays as it is", LOG_FORMAT_TEXT, 0, FIELD("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
      "warn  link lost k=\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n" },
    { "a lone byte shows", LOG_FORMAT_TEXT, 0, FIELD("a\xff"), "warn  link lost k=\"a\\xff\"\n" },
    { "a lone byte is text in json", LOG_FORMAT_JSON, 0, FIELD("a\xff\""),
      "{\"level\":\"warn\",\"message\":\"link lost\",\"k\":\"a\\\\xff\\\"\"}\n" },
    { "a NUL byte", LOG_FORMAT_JSON, 0, FIELD("a\0b"),
      "{\"level\":\"warn\",\"message\":\"link lost\",\"k\":\"a\\u0000b\"}\n" },
    { "a character cut short", LOG_FORMAT_TEXT, 0, FIELD("\xe2\x82"),
      "warn  link lost k=\"\\xe2\\x82\"\n" },
    { "an overlong slash", LOG_FORMAT_TEXT, 0, FIELD("\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf"),
      "warn  link lost k=\"\\xc0\\xaf\\xe0\\x80\\xaf\\xf0\\x80\\x80\\xaf\"\n" },
    { "a surrogate", LOG_FORMAT_TEXT, 0, FIELD("\xed\xa0\x80"),
      "warn  link lost k=\"\\xed\\xa0\\x80\"\n" },
    { "above the last code point", LOG_FORMAT_TEXT, 0, FIELD("\xf4\x90\x80\x80"),
      "warn  link lost k=\"\\xf4\\x90\\x80\\x80\"\n" },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct buffer line;
    buffer_init(&line, 1 << 20);
    log_format_line(row->format, LOG_LEVEL_WARN, row->wall_ms, "link lost", &row->field, 1, &line);
    buffer_append_u8(&line, 0);
    assert_false(line.failed);
    assert_string_equal((const char *)line.data, row->line);
    buffer_done(&line);
}

static void keep_line(void *context, enum log_level level, struct bytes line)
{
    (void)level;
    buffer_append_bytes(context, line);
}

static void test_macros(void)
{
    struct buffer lines;
    buffer_init(&lines, 1 << 20);
    struct log sink = { .level = LOG_LEVEL_INFO, .write = keep_line, .context = &lines };
    const struct log *log = &sink;
    log_debug(log, "dropped");
    log_info(log, "no field");
    log_error(log, "two", LOG_TEXT("peer", "n2"), LOG_I64("n", -1));
    log_warn(log, "status", LOG_STATUS(KVORUM_TIMEOUT));
    log = NULL;
    log_error(log, "nobody listens");
    buffer_append_u8(&lines, 0);
    assert_string_equal((const char *)lines.data, "info  no field\n"
                                                  "error two peer=n2 n=-1\n"
                                                  "warn  status status=TIMEOUT\n");
    buffer_done(&lines);
}

static void test_long_value(void)
{
    static char text[3 * LOG_VALUE_SIZE_MAX];
    memset(text, 'x', sizeof(text));
    struct buffer line;
    buffer_init(&line, 1 << 20);
    struct log sink = { .write = keep_line, .context = &line, .format = LOG_FORMAT_JSON };
    log_error(&sink, "long", LOG_BYTES("k", bytes_make(text, sizeof(text))));
    buffer_append_u8(&line, 0);
    const char *end = strstr((const char *)line.data, "x...\"}\n");
    assert_non_null(end);
    assert_true(line.size < LOG_VALUE_SIZE_MAX + 100);
    buffer_done(&line);
}

static void test_parse(void)
{
    enum log_level level = LOG_LEVEL_ERROR;
    enum log_format format = LOG_FORMAT_JSON;
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("none", &level) && level == LOG_LEVEL_NONE);
    assert_false(log_level_parse("loud", &level) || level != LOG_LEVEL_NONE);
    assert_true(log_format_parse("logfmt", &format) && format == LOG_FORMAT_LOGFMT);
    assert_false(log_format_parse("", &format) || format != LOG_FORMAT_LOGFMT);
}

static const struct named_test tests[] = {
    { "a level drops what is below it, a NULL log everything", test_macros },
    { "a long value is cut, the line stays whole", test_long_value },
    { "levels and formats are read from their names", test_parse },
};

int main(void)
{
    int failed = RUN_ROWS("log lines", rows, check);
    return failed + RUN_TESTS("log", tests);
}
