/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/common/batch.h"

#include "tests/support/rows.h"
#include <stdio.h>

/* Bytes in, changes out: "put a 1" and "delete a", or "malformed" where the walk stops. */
struct row {
    const char *name;
    const char *bytes;
    size_t size;
    const char *expected;
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct row rows[] = {
    { "nothing is a batch of nothing", BYTES(""), "" },
    { "one put", BYTES("\1\1a\1x"), "put a x." },
    { "a put of an empty value", BYTES("\1\1a\0"), "put a ." },
    { "one delete", BYTES("\2\1a"), "delete a." },
    { "several in order", BYTES("\1\2ab\1x\2\1a\1\1a\0"), "put ab x.delete a.put a ." },
    { "an unknown kind", BYTES("\3\1a"), "malformed" },
    { "kind zero", BYTES("\0\1a"), "malformed" },
    { "an empty key", BYTES("\2\0"), "malformed" },
    { "a kind alone", BYTES("\1"), "malformed" },
    { "a key cut short", BYTES("\2\2a"), "malformed" },
    { "a value cut short", BYTES("\1\1a\2x"), "malformed" },
    { "a value without its size", BYTES("\1\1a"), "malformed" },
    { "a size not in its shortest form", BYTES("\2\x81\0a"), "malformed" },
    { "a key size of 2^63", BYTES("\2\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "malformed" },
    { "a key above the limit", BYTES("\2\x81\xc0\4a"), "malformed" },
    { "what comes before the damage is told", BYTES("\2\1a\7"), "delete a.malformed" },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct batch_cursor cursor = batch_cursor_of(bytes_make(row->bytes, row->size));
    struct batch_change change;
    struct batch_totals totals;
    char seen[256] = "";
    size_t size = 0, count = 0;
    while (batch_next(&cursor, &change)) {
        size +=
            (size_t)snprintf(seen + size, sizeof(seen) - size, "%s %.*s%s%.*s.",
                             change.kind == ENGINE_PUT ? "put" : "delete", (int)change.key.size,
                             (const char *)change.key.data, change.kind == ENGINE_PUT ? " " : "",
                             (int)change.value.size, (const char *)change.value.data);
        count++;
    }
    assert_false(batch_next(&cursor, &change));
    snprintf(seen + size, sizeof(seen) - size, "%s", cursor.failed ? "malformed" : "");
    assert_string_equal(seen, row->expected);
    assert_int_equal(batch_measure(bytes_make(row->bytes, row->size), &totals), !cursor.failed);
    assert_int_equal(totals.count, count);
}

int main(void)
{
    return RUN_ROWS("batch", rows, check);
}
