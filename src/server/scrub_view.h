/* SPDX-License-Identifier: Apache-2.0 */
/** Scrubs of this process, for its status and statistics.  Thread: a reactor. */
#ifndef SERVER_SCRUB_VIEW_H
#define SERVER_SCRUB_VIEW_H

#include "server/view.h"

#include <jansson.h>

/** Seconds since 1970 when the last pass ended that all shards have made; 0: there is none. */
uint64_t scrub_view_last_s(const struct server_view *view);
/** `now`: the sums over all shards.  The caller's; NULL: no memory. */
json_t *scrub_view_json(const struct server_view *view, const struct node_counters *now);

#endif
