/* SPDX-License-Identifier: Apache-2.0 */
/** Listing the keys of a bucket, or the buckets, page by page. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "cli/session.h"

/** Visit every name, as the bytes it is; the visitor returns false to stop.  `bucket` without
 *  data: the buckets.  Returns an exit code, having said what went wrong. */
int names_visit(struct session *session, struct bytes bucket,
                bool (*visit)(void *context, struct bytes name), void *context);

#endif
