/* SPDX-License-Identifier: Apache-2.0 */
/** A temporary folder of the real disk, for tests of what opens paths. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include "tests/support/rows.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct folder {
    char path[64];
};

static inline void folder_make(struct folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/kvorum-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static inline int folder_remove_one(const char *path, const struct stat *about, int kind,
                                    struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void folder_remove(const struct folder *folder)
{
    nftw(folder->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** "FOLDER/NAME", in one of four rotating buffers. */
static inline const char *folder_path(const struct folder *folder, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
    return path;
}

#endif
