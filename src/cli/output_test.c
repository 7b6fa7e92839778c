/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "cli/base64.h"
#include "cli/json_documents.h"
#include "cli/message.h"
#include "support/rows.h"

static void figures(void)
{
    assert_string_equal(text_of_count(0), "0");
    assert_string_equal(text_of_count(999), "999");
    assert_string_equal(text_of_count(63666), "63,666");
    assert_string_equal(text_of_count(UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(text_of_size(999), "999 B");
    assert_string_equal(text_of_size(1500), "1.5 kB");
    assert_string_equal(text_of_size(50164600), "50 MB");
    assert_string_equal(text_of_time(0.45), "450 ms");
    assert_string_equal(text_of_time(3.21), "3.2 s");
    assert_string_equal(text_of_time(125), "2 min");
    assert_string_equal(text_of_time(7500), "2 h 05 min");
}

static void bars(void)
{
    assert_string_equal(text_of_bar(0, 4), "    ");
    assert_string_equal(text_of_bar(1, 4), "████");
    assert_string_equal(text_of_bar(0.5, 4), "██  ");
    assert_string_equal(text_of_bar(0.125, 2), "▎ ");
    assert_string_equal(text_of_bar(7, 2), "██");
}

static void printed(enum output_format format, char *ret_text, size_t size)
{
    static const char *const columns[] = { "name", ">count", NULL };
    struct table table;
    FILE *file = tmpfile();
    assert_non_null(file);
    table_init(&table, columns);
    table_cell(&table, "%s", "a,\"b\"");
    table_cell(&table, "%d", 7);
    table_cell(&table, "%s", "é");
    table_cell(&table, "%d", 1000);
    table_print(&table, format, file);
    table_done(&table);
    rewind(file);
    ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void tables(void)
{
    char text[512];
    printed(OUTPUT_TABLE, text, sizeof(text));
    assert_string_equal(text, "name   count\na,\"b\"      7\né       1000\n");
    printed(OUTPUT_CSV, text, sizeof(text));
    assert_string_equal(text, "name,count\n\"a,\"\"b\"\"\",7\né,1000\n");
    printed(OUTPUT_PLAIN, text, sizeof(text));
    assert_string_equal(text, "a,\"b\"     7\né      1000\n");
    printed(OUTPUT_JSON, text, sizeof(text));
    json_error_t error;
    json_t *rows = json_loads(text, 0, &error);
    assert_int_equal(json_array_size(rows), 2);
    json_t *count = json_object_get(json_array_get(rows, 1), "count");
    assert_int_equal(json_integer_value(count), 1000);
    json_decref(rows);
}

static void terminals_are_safe(void)
{
    char text[64] = "";
    FILE *file = tmpfile();
    print_safely(file, BYTES_LITERAL("a\x1b[2J\n\xff\xc2\x9b é \xe2\x82"));
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "a.[2J.... é ..");
}

static void bad_text_becomes_json(void)
{
    json_t *text = json_text(BYTES_LITERAL("a\xff"
                                           "é\xe2\x82z"));
    assert_string_equal(json_string_value(text), "a\xef\xbf\xbd"
                                                 "é\xef\xbf\xbd\xef\xbf\xbdz");
    json_decref(text);
}

static void base64_there_and_back(void)
{
    static const char *const pairs[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct buffer out;
        buffer_init(&out, 100);
        base64_append(&out, bytes_of_string(pairs[i][0]));
        assert_true(bytes_equal(buffer_bytes(&out), bytes_of_string(pairs[i][1])));
        buffer_reset(&out);
        assert_true(base64_append_decoded(&out, bytes_of_string(pairs[i][1])));
        assert_true(bytes_equal(buffer_bytes(&out), bytes_of_string(pairs[i][0])));
        buffer_done(&out);
    }
    struct buffer out;
    buffer_init(&out, 100);
    assert_false(base64_append_decoded(&out, BYTES_LITERAL("Zg=")));
    assert_false(base64_append_decoded(&out, BYTES_LITERAL("Z=g=")));
    assert_false(base64_append_decoded(&out, BYTES_LITERAL("Zg==Zg==")));
    buffer_done(&out);
}

static void documents_are_cut_apart(void)
{
    static const char text[] = "{\"a\":\"}\\\"{\"} [1,{}]\n{}";
    static const char *const expected[] = { "{\"a\":\"}\\\"{\"}", " [1,{}]", "\n{}" };
    struct json_documents documents;
    struct bytes document;
    size_t found = 0;
    json_documents_init(&documents, 100);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_true(json_documents_add(&documents, bytes_make(text + i, 1)));
        while (json_documents_next(&documents, &document)) {
            assert_true(found < 3);
            assert_true(bytes_equal(document, bytes_of_string(expected[found])));
            found++;
        }
    }
    assert_int_equal(found, 3);
    json_documents_done(&documents);
}

static const struct named_test tests[] = {
    { "figures as people read them", figures },
    { "bars in eighths", bars },
    { "tables, CSV, plain lines and JSON", tables },
    { "nothing printed can drive a terminal", terminals_are_safe },
    { "text that is no UTF-8 becomes valid JSON", bad_text_becomes_json },
    { "base64 there and back", base64_there_and_back },
    { "JSON documents are cut apart, wherever the input is cut", documents_are_cut_apart },
};

int main(void)
{
    return RUN_TESTS("output", tests);
}
