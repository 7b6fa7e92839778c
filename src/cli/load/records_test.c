/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/records.h"

#include <stdio.h>
#include <unistd.h>

#include "support/rows.h"

struct row {
    const char *name;
    const char *format, *field;
    const char *text;
    const char *records; /* "line key=value|", or "line !|" for a bad one */
};

static const struct row rows[] = {
    { "two records", "deb822", "Package", "Package: a\nVersion: 1\n\nPackage: b\n",
      "1 a=Package: a\nVersion: 1\n|4 b=Package: b\n|" },
    { "no newline at the end", "deb822", "Package", "Package: a\n\nPackage: b",
      "1 a=Package: a\n|"
      "3 b=Package: b|" },
    { "blank lines around", "deb822", "Package", "\n \n\nPackage: a\n\t\n\n\n",
      "4 a=Package: a\n|" },
    { "folded fields stay", "deb822", "Package", "Package: a\nDescription: x\n more\n .\n end\n",
      "1 a=Package: a\nDescription: x\n more\n .\n end\n|" },
    { "names have no case, values are trimmed", "deb822", "package", "PACKAGE:   a b \t\n",
      "1 a b=PACKAGE:   a b \t\n|" },
    { "a longer name is another one", "deb822", "Package", "Package-Type: udeb\nPackage: a\n",
      "1 a=Package-Type: udeb\nPackage: a\n|" },
    { "another key field", "deb822", "SHA256", "Package: a\nSHA256: 12\n",
      "1 12=Package: a\nSHA256: 12\n|" },
    { "without the field it is bad", "deb822", "Package", "Version: 1\n\nPackage: b\n",
      "1 !|3 b=Package: b\n|" },
    { "an empty key is bad", "deb822", "Package", "Package: \n", "1 !|" },
    { "carriage returns", "deb822", "Package", "Package: a\r\n\r\nPackage: b\r\n",
      "1 a=Package: a\r\n|3 b=Package: b\r\n|" },
    { "nothing", "deb822", "Package", "", "" },
    { "only blanks", "deb822", "Package", "\n\n \n", "" },
    { "lines", "jsonl", "id", "{\"id\":\"a\"}\n{\"id\":7,\"x\":[]}\n",
      "1 a={\"id\":\"a\"}|2 7={\"id\":7,\"x\":[]}|" },
    { "a last line without newline, blank ones between", "jsonl", "id",
      "{\"id\":\"a\"}\n\n  \n{\"id\":\"b\"}", "1 a={\"id\":\"a\"}|4 b={\"id\":\"b\"}|" },
    { "what is no JSON is bad", "jsonl", "id", "{\"id\":\n{\"id\":\"b\"}\n",
      "1 !|2 b={\"id\":\"b\"}|" },
    { "what is no object is bad", "jsonl", "id", "[1]\n\"id\"\n", "1 !|2 !|" },
    { "a key that is no text is bad", "jsonl", "id", "{\"id\":null}\n{\"id\":1.5}\n{\"x\":1}\n",
      "1 !|2 !|3 !|" },
    { "an empty text is no key", "jsonl", "id", "{\"id\":\"\"}\n", "1 !|" },
    { "an export's keys", "export", "key",
      "{\"key\":\"a\",\"value\":\"\"}\n{\"key_base64\":\"/w==\"}\n{\"key_base64\":\"/w\"}\n{}\n",
      "1 a={\"key\":\"a\",\"value\":\"\"}|2 \xff={\"key_base64\":\"/w==\"}|3 !|4 !|" },
    { "escapes in keys", "jsonl", "id", "{\"id\":\"a\\u00e9\\n\"}\n",
      "1 a\xc3\xa9\n={\"id\":\"a\\u00e9\\n\"}|" },
};

static void read_all(struct record_reader *reader, char *text, size_t size)
{
    struct buffer key;
    struct bytes value;
    const char *reason;
    buffer_init(&key, 1 << 20);
    for (;;) {
        size_t used = strlen(text);
        buffer_reset(&key);
        enum record_outcome outcome = record_reader_next(reader, &key, &value, &reason);
        if (outcome == RECORD_END)
            break;
        assert_int_not_equal(outcome, RECORD_FAILED);
        unsigned line = (unsigned)reader->line;
        if (outcome == RECORD_BAD)
            snprintf(text + used, size - used, "%u !|", line);
        else
            snprintf(text + used, size - used, "%u %.*s=%.*s|", line, (int)key.size,
                     (char *)key.data, (int)value.size, (const char *)value.data);
    }
    buffer_done(&key);
}

static void check(const void *context)
{
    const struct row *row = context;
    char text[1024] = "";
    struct record_reader reader;
    record_reader_init_text(&reader, record_format_find(row->format), row->field,
                            bytes_of_string(row->text));
    read_all(&reader, text, sizeof(text));
    assert_int_equal(reader.offset, strlen(row->text));
    record_reader_done(&reader);
    assert_string_equal(text, row->records);
}

/* A pipe hands out little at a time; the records are the same. */
static void records_come_through_a_pipe_whole(void)
{
    enum { COUNT = 20000 };
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < COUNT; i++)
            dprintf(ends[1], "Package: p%d\nText: %0*d\n\n", i, i % 300 + 1, 0);
        _exit(0);
    }
    close(ends[1]);
    struct record_reader reader;
    struct buffer key;
    struct bytes value;
    const char *reason;
    buffer_init(&key, 1 << 20);
    record_reader_init(&reader, &record_format_deb822, "Package", ends[0]);
    for (int i = 0; i < COUNT; i++) {
        char expected[32];
        buffer_reset(&key);
        assert_int_equal(record_reader_next(&reader, &key, &value, &reason), RECORD_FOUND);
        snprintf(expected, sizeof(expected), "p%d", i);
        assert_true(bytes_equal(buffer_bytes(&key), bytes_of_string(expected)));
        assert_int_equal(value.size, 9 + strlen(expected) + 1 + 6 + (size_t)(i % 300 + 1) + 1);
        assert_int_equal(reader.line, (unsigned)i * 3 + 1);
    }
    buffer_reset(&key);
    assert_int_equal(record_reader_next(&reader, &key, &value, &reason), RECORD_END);
    record_reader_done(&reader);
    buffer_done(&key);
    close(ends[0]);
}

static const struct named_test tests[] = {
    { "records come through a pipe whole", records_come_through_a_pipe_whole },
};

int main(void)
{
    return RUN_ROWS("records", rows, check) + RUN_TESTS("record reader", tests);
}
