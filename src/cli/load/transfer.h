/* SPDX-License-Identifier: Apache-2.0 */
/** Records of a source to or from a bucket: write them, write and read each back, or read all and
 *  compare with the source, byte for byte.  Thread: one.  Blocks: transfer_run. */
#ifndef CLI_LOAD_TRANSFER_H
#define CLI_LOAD_TRANSFER_H

#include "cli/load/pump.h"
#include "cli/load/records.h"
#include "cli/progress.h"

enum transfer_mode { TRANSFER_WRITE, TRANSFER_WRITE_VERIFY, TRANSFER_COMPARE };

struct transfer {
    /* set by the caller */
    enum transfer_mode mode;
    const char *type, *bucket, *content_type;
    const char *write_query, *read_query; /* "w=2&timeout=10000"; may be "" */
    struct endpoint *nodes;
    uint32_t node_count, connections, pipeline, timeout_ms, retry_ms;
    struct record_reader *reader;
    uint64_t every;       /* take only each so many-th record; 0, 1: all */
    uint64_t source_size; /* bytes, for the progress bar; 0: unknown */
    const char *label;    /* of the bar */

    /* results */
    uint64_t records, bytes; /* done */
    uint64_t bad;            /* without a usable key */
    uint64_t refused;        /* by a node */
    uint64_t different, missing;
    uint64_t retries;
    double seconds;
    int exit_code; /* EXIT_DONE only when nothing is wrong; everything has been told */

    /* private */
    struct buffer prefix, fields;
    struct progress progress;
    unsigned told;
    uint64_t seen;
    const char *source_problem;
};

void transfer_run(struct transfer *transfer);

#endif
