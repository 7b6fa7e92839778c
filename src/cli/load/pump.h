/* SPDX-License-Identifier: Apache-2.0 */
/** Many HTTP requests over several connections to several nodes, pipelined: import, export,
 *  read-back.
 *
 *      next() -> [work] -> a link's pipeline -> response() -> DONE | AGAIN | RETRY | REFUSED
 *                   ^                                                        |
 *                   +---- waiting, with back-off (also after a lost link) <--+
 *
 *  Never two works with the same key at once, so writes of one key keep the order of the source.
 *  Bounded: connections x pipeline works, and IN_FLIGHT_SIZE_MAX bytes beyond a first one.
 *  Thread: one.  Blocks: pump_run, until all is done. */
#ifndef CLI_LOAD_PUMP_H
#define CLI_LOAD_PUMP_H

#include "base/map.h"
#include "cli/endpoint.h"
#include "cli/http_response.h"

struct pump_work {
    struct buffer key, value; /* filled by next() */
    struct buffer note;       /* response()'s, for the stages that follow; empty at first */
    uint64_t number;          /* of next()'s: a line, a count */
    unsigned stage;           /* 0 at first; response() may count it up and say AGAIN */
    unsigned attempts;
    uint64_t begin_us, due_us;
    struct pump_work *following; /* in the waiting or the free list */
    struct map_item busy;        /* by the hash of the key */
};

enum pump_next { PUMP_NEXT, PUMP_END };
enum pump_verdict { PUMP_DONE, PUMP_AGAIN, PUMP_RETRY, PUMP_REFUSED };

struct pump_ops {
    enum pump_next (*next)(void *context, struct pump_work *work);
    /** Append the whole request for the stage of `work`. */
    void (*request)(void *context, const struct pump_work *work, const char *host,
                    struct buffer *out);
    enum pump_verdict (*response)(void *context, struct pump_work *work,
                                  const struct http_response *response);
    /** `work` failed and will be sent again from the beginning: set its stage back.  NULL: the
     *  stage that failed is repeated. */
    void (*again)(void *context, struct pump_work *work);
    /** About every 50 ms.  False: stop now. */
    bool (*tick)(void *context);
};

struct pump_config {
    const struct pump_ops *ops;
    void *context;
    struct endpoint *nodes; /* resolved by pump_run */
    uint32_t node_count;
    uint32_t connections, pipeline;
    uint32_t timeout_ms; /* of one request */
    uint32_t retry_ms;   /* after it a work that is still retried ends the run */
    size_t body_size_max;
};

struct pump_result {
    uint64_t done, refused, retries, reconnects;
    int exit_code;    /* EXIT_DONE, or why the run ended early */
    char reason[512]; /* then for people: what, where, why */
};

/** REFUSED works are counted, not told: response() has told them. */
void pump_run(const struct pump_config *config, struct pump_result *ret_result);

#endif
