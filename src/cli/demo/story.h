/* SPDX-License-Identifier: Apache-2.0 */
/** What the steps of `demo run` share: the cluster, the data, and the telling of a step as one
 *  line. Thread: one. */
#ifndef CLI_DEMO_STORY_H
#define CLI_DEMO_STORY_H

#include "cli/demo/dataset.h"
#include "cli/demo/nodes.h"
#include "cli/load/transfer.h"

struct story {
    const struct invocation *invocation;
    struct demo_cluster cluster;
    struct dataset packages, installed;
    unsigned victim; /* the node that is killed */
    unsigned step;
    uint64_t begin_ms;    /* of the step */
    uint64_t keys_before; /* of the victim */
};

struct story_work {
    const struct dataset *dataset;
    const char *bucket, *label;
    enum transfer_mode mode;
    const char *query;
    unsigned only_node; /* 0: all that run */
    uint64_t every;     /* of the records; 1: all */
};

/** The next step begins now. */
void story_begin(struct story *run);
/** Since its beginning. */
double story_seconds(const struct story *run);
/** "  3  load       text" */
void story_tell(const struct story *run, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Write or compare records through the nodes that run.  An exit code, having said what went wrong;
 *  the figures are in *ret_transfer. */
int story_move(const struct story *run, const struct story_work *work,
               struct transfer *ret_transfer);
/** Records a second, for people. */
const char *story_rate(const struct transfer *transfer);

/** A node is killed; everything is read back, writes go on, it returns and reads repair it.  Needs
 *  3 nodes and loaded packages.  An exit code. */
int failure_show(struct story *run);

#endif
