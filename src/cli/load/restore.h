/* SPDX-License-Identifier: Apache-2.0 */
/** One line of an export becomes a key again: its values byte for byte, with content type,
 *  metadata, indexes and links; concurrent ones as siblings.
 *
 *      stage 0       read the key: its context, if it is there
 *      stage 1       write the first value with that context: it replaces whatever is there
 *      stage 2..n    write the others without: they come beside it
 *      stage n+1     read it back and compare (where --verify asks for it, and for siblings always,
 *                    because a bucket without allow_mult keeps the last one only)
 *
 *  A line that failed on the way begins again at stage 0, so no value is there twice.  Pure but for
 *  the counters of the transfer.  Dates and version names are new: they belong to the write. */
#ifndef CLI_LOAD_RESTORE_H
#define CLI_LOAD_RESTORE_H

#include "cli/load/transfer.h"

enum restore_verdict {
    RESTORE_AGAIN, /* the next stage */
    RESTORE_DONE,
    RESTORE_RETRY,
    RESTORE_DIFFERENT, /* *ret_problem says how */
    RESTORE_REFUSED,   /* by the node, or *ret_problem says why */
};

void restore_append_request(const struct transfer *transfer, const struct pump_work *work,
                            const char *host, struct buffer *out);
enum restore_verdict restore_take_response(const struct transfer *transfer, struct pump_work *work,
                                           const struct http_response *answer,
                                           const char **ret_problem);
void restore_begin_again(struct pump_work *work);

#endif
