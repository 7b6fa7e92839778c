/* SPDX-License-Identifier: Apache-2.0 */
/** The real data of `kvorum demo run`: package records of this machine, one file in DIR with unique
 *  keys.  Thread: one.  Blocks: on the disk and on apt-cache. */
#ifndef CLI_DEMO_DATASET_H
#define CLI_DEMO_DATASET_H

#include "cli/demo/cluster.h"

enum { DATASET_KEY_MAX = 256 };

struct dataset {
    char path[DEMO_PATH_MAX];
    char origin[256]; /* for people: "apt-cache dumpavail" */
    uint64_t records, size;
};

/** The package index, or what --source names, as DIR/packages.deb822; when apt knows no
 *  packages, the list of installed ones, and the origin says so.  A file made by an earlier run
 *  is used again unless `fresh`.  Returns an exit code, having said what went wrong. */
int dataset_packages(const struct demo_cluster *cluster, const char *source, bool fresh,
                     struct dataset *ret_dataset);
/** The packages that are installed (/var/lib/dpkg/status), or at most 500 of `packages` where
 *  there is no such list, as DIR/installed.deb822. */
int dataset_installed(const struct demo_cluster *cluster, const struct dataset *packages,
                      struct dataset *ret_dataset);

/** A key to show to people: bash, or the first one that needs no quoting; "bash" when none does. */
void dataset_sample_key(const struct dataset *dataset, char ret_key[DATASET_KEY_MAX]);

/** That `dataset` was loaded is remembered in DIR/loaded.json. */
bool dataset_is_loaded(const struct demo_cluster *cluster, const struct dataset *dataset);
bool dataset_mark_loaded(const struct demo_cluster *cluster, const struct dataset *dataset,
                         bool loaded);

#endif
