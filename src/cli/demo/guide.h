/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DEMO_GUIDE_H
#define CLI_DEMO_GUIDE_H

#include "cli/demo/cluster.h"

/** Print how to use each protocol, with commands that work as they stand.  `dir`: what --dir must
 *  say; NULL: it is the default.  `key`: one of bucket packages. */
void guide_print(const struct demo_cluster *cluster, const char *dir, const char *key);

#endif
