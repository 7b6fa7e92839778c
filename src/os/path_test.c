/* SPDX-License-Identifier: Apache-2.0 */
#include "os/path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rows.h"

static char here[PATH_MAX]; /* a fresh folder with: folder/, file, link -> folder */

struct row {
    const char *name, *path;
    kvorum_status status;
    const char *expected; /* below `here`, or absolute */
};

static const struct row rows[] = {
    { "a folder that is there", "folder", KVORUM_OK, "folder" },
    { "one that is not there yet", "new", KVORUM_OK, "new" },
    { "slashes at the end do not count", "new//", KVORUM_OK, "new" },
    { "below another", "folder/new", KVORUM_OK, "folder/new" },
    { "a link is followed", "link", KVORUM_OK, "folder" },
    { "a link among the parents is followed", "link/new", KVORUM_OK, "folder/new" },
    { "dots are resolved", "./folder/../new", KVORUM_OK, "new" },
    { "the current folder", ".", KVORUM_OK, "" },
    { "the root", "/", KVORUM_OK, "/" },
    { "something new in the root", "/kvorum-path-test-nothing", KVORUM_OK,
      "/kvorum-path-test-nothing" },
    { "no parent", "nothing/new", KVORUM_NOT_FOUND, NULL },
    { "dots below nothing", "nothing/..", KVORUM_NOT_FOUND, NULL },
    { "a file as parent", "file/new", KVORUM_INVALID, NULL },
    { "nothing at all", "", KVORUM_INVALID, NULL },
};

static void check(const void *context)
{
    const struct row *row = context;
    char *path = NULL, expected[2 * PATH_MAX];
    assert_int_equal(os_path_absolute(row->path, &path), row->status);
    if (row->status != KVORUM_OK) {
        assert_null(path);
        return;
    }
    bool absolute = row->expected[0] == '/', below = row->expected[0] != '\0';
    snprintf(expected, sizeof(expected), "%s%s%s", absolute ? "" : here,
             absolute || !below ? "" : "/", row->expected);
    assert_string_equal(path, expected);
    free(path);
}

int main(void)
{
    char folder[] = "/tmp/kvorum-path-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_non_null(realpath(folder, here));
    assert_int_equal(chdir(here), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("folder", "link"), 0);
    FILE *file = fopen("file", "w");
    assert_non_null(file);
    fclose(file);
    int failed = RUN_ROWS("path", rows, check);
    unlink("file");
    unlink("link");
    rmdir("folder");
    rmdir(here);
    return failed;
}
