/* SPDX-License-Identifier: Apache-2.0 */
/** Background work of the nodes, for those who look at it and steer it: partitions that come in,
 *  comparisons that somebody asked for, hints for members that are back, the comparisons and scrubs
 *  that never cease.  Each node has one task of each kind, which is idle, runs,
 *  is paused, or has ended; it is named NODE/KIND.
 *
 *  Pauses and limits outlive a restart of the node (task_orders.h). */
#ifndef NODE_TASK_H
#define NODE_TASK_H

#include "node/node.h"

enum { TASK_NAME_MAX = 15, TASK_UNKNOWN_MEMBER = RING_NO_MEMBER };
#define TASK_NEVER UINT64_MAX

/* Kinds: the name is what people type.  Who adds one fills a row in task_sources.c. */
enum task_kind {
    TASK_MOVE,
    TASK_REPAIR,
    TASK_HINTS,
    TASK_COMPARE,
    TASK_SCRUB,
    TASK_RECLAIM,
    TASK_KINDS
};

/* Numbers go on the wire. */
enum task_state { TASK_IDLE, TASK_RUNNING, TASK_PAUSED, TASK_DONE, TASK_CANCELLED };
/* BACKGROUND begins by itself, and nobody waits for it; what is ENDLESS begins anew at once. */
enum task_nature { TASK_ASKED, TASK_BACKGROUND, TASK_ENDLESS };
enum task_ask { TASK_LIST = 1, TASK_PAUSE, TASK_RESUME, TASK_LIMIT, TASK_CANCEL };

/** One task as its node told. */
struct task {
    uint16_t member;
    const char *kind, *unit; /* "move", "partitions" */
    enum task_nature nature;
    enum task_state state;
    bool stalled;              /* running, and nothing has come for a while, though it may */
    uint64_t done, total;      /* units of this run, or of the last one */
    uint64_t failed;           /* of those done */
    uint64_t size, size_total; /* bytes; the total is an estimate, 0: none yet */
    uint64_t rate, limit;      /* bytes a second; limit 0: none */
    uint64_t left_ms;          /* until it is done, as it looks now; TASK_NEVER: unknown */
    uint64_t age_ms, idle_ms;  /* since it began, or ended; since something came */
    const char *note;          /* for people; "": nothing */
};

struct task_request {
    enum task_ask ask;
    uint16_t member;              /* whose; TASK_UNKNOWN_MEMBER: of all members */
    char kind[TASK_NAME_MAX + 1]; /* "": every kind */
    uint64_t limit;               /* TASK_LIMIT: bytes a second of the node; 0: none */
};

/** A member that said nothing, or refused. */
struct task_silence {
    uint16_t member;
    kvorum_status status;
    const char *reason;
};

struct task_list {
    kvorum_status status; /* OK, or that of the first refusal */
    const char *reason;
    const struct task *tasks; /* by member, then kind: as they are after what was asked */
    uint32_t count;
    const struct task_silence *silent;
    uint32_t silent_count;
};

typedef void (*node_tasks_fn)(void *context, const struct task_list *list);

/** Ask every member, or one, and call `on_list` once, within seconds, perhaps from inside.  What
 *  the list points to is valid during that call.  On any shard. */
void node_tasks(struct node *node, const struct task_request *asked, node_tasks_fn on_list,
                void *context);

#endif
