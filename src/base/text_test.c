/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "tests/support/rows.h"

struct copied {
    const char *name, *text;
    bool fits;
};

static const struct copied copies[] = {
    { "a text that leaves room for its end is copied", "abc", true },
    { "one that leaves none is not", "abcd", false },
    { "an empty one is copied", "", true },
};

static void check_copied(const void *at)
{
    const struct copied *row = at;
    char ret[4] = "-";
    assert_int_equal(text_copy(ret, sizeof(ret), row->text), row->fits);
    assert_string_equal(ret, row->fits ? row->text : "-");
}

struct shape {
    const char *name, *text, *trimmed, *cut, *rest; /* cut at a comma */
};

static const struct shape shapes[] = {
    { "blanks and tabs at both ends go", "\t a b \t", "a b", "\t a b \t", "" },
    { "of nothing but blanks nothing is left", " \t ", "", " \t ", "" },
    { "what stands before the first separator is cut off", "a,b,c", "a,b,c", "a", "b,c" },
    { "a separator in front cuts off nothing", ",a", ",a", "", "a" },
    { "an empty text stays one", "", "", "", "" },
};

static void check_shape(const void *at)
{
    const struct shape *row = at;
    struct bytes rest = bytes_of_string(row->text);
    assert_true(bytes_equal(text_trim(rest), bytes_of_string(row->trimmed)));
    assert_true(bytes_equal(text_cut(&rest, ','), bytes_of_string(row->cut)));
    assert_true(bytes_equal(rest, bytes_of_string(row->rest)));
}

struct letter {
    const char *name;
    uint8_t c;
    int digit;
    uint8_t lower;
};

static const struct letter letters[] = {
    { "a figure is a digit", '9', 9, '9' },
    { "so is a small letter", 'f', 15, 'f' },
    { "and a large one", 'A', 10, 'a' },
    { "a letter behind f is none", 'G', -1, 'g' },
    { "what differs from a letter by one bit is none", 'A' ^ 0x80, -1, 'A' ^ 0x80 },
    { "nor is what stands beside the letters", '@', -1, '@' },
};

static void check_letter(const void *at)
{
    const struct letter *row = at;
    assert_int_equal(text_hex_digit(row->c), row->digit);
    assert_int_equal(text_lower(row->c), row->lower);
}

int main(void)
{
    int failed = RUN_ROWS("copy", copies, check_copied);
    failed += RUN_ROWS("cut and trim", shapes, check_shape);
    return failed + RUN_ROWS("letters", letters, check_letter);
}
