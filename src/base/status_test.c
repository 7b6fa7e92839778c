/* SPDX-License-Identifier: Apache-2.0 */
#include "kvorum/status.h"

#include "tests/support/rows.h"

struct row {
    const char *name;
    int number; /* as on the wire */
    const char *status, *text;
    enum kvorum_status_class class;
};

static const struct row rows[] = {
    { "success is zero", 0, "OK", "success", KVORUM_FINAL },
    { "an absent key is final", 1, "NOT_FOUND", "no such key", KVORUM_FINAL },
    { "a timeout tells nothing", 3, "TIMEOUT", "outcome unknown: too few replicas answered in time",
      KVORUM_UNKNOWN },
    { "a memory limit may pass", 6, "NO_MEMORY", "a memory limit was reached", KVORUM_RETRY },
    { "the last of the list", 26, "INTERNAL", "internal error", KVORUM_FINAL },
    { "a number of a later release", 9999, "UNKNOWN_STATUS", "unknown status", KVORUM_UNKNOWN },
    { "a negative number", -1, "UNKNOWN_STATUS", "unknown status", KVORUM_UNKNOWN },
};

static void check(const void *context)
{
    const struct row *row = context;
    kvorum_status status = (kvorum_status)row->number;
    assert_string_equal(kvorum_status_name(status), row->status);
    assert_string_equal(kvorum_status_text(status), row->text);
    assert_int_equal(kvorum_status_class(status), row->class);
}

int main(void)
{
    return RUN_ROWS("status", rows, check);
}
