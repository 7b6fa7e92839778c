/* SPDX-License-Identifier: Apache-2.0 */
/** A temporary folder, for tests of what opens paths. */
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
    /* In memory where there is such a place: syncs then cost nothing. */
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder->path, sizeof(folder->path), "%s/kvorum-test-XXXXXX", place);
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

/** "FOLDER/NAME", in one of four rotating buffers. */
static inline const char *folder_path(const struct folder *folder, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
    return path;
}

/** With everything in it; nothing when it is not there. */
static inline void folder_remove_below(const struct folder *folder, const char *name)
{
    nftw(folder_path(folder, name), folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void folder_remove(const struct folder *folder)
{
    folder_remove_below(folder, "");
}

#endif
