/* SPDX-License-Identifier: Apache-2.0 */
/** From the figures that shards tell of their background work to what people want to know: is it
 *  going on, how fast, how long yet?  Pure: time comes from the caller. */
#ifndef NODE_TASK_METER_H
#define NODE_TASK_METER_H

#include "node/tasks/task.h"

enum {
    TASK_STALL_US = 10 * 1000 * 1000, /* without progress, then it is stalled */
    TASK_SMOOTH_US = 5 * 1000 * 1000, /* a rate follows what is measured in about this time */
    TASK_SAMPLE_US = 400 * 1000,      /* measured over at least so long */
};

/* Numbers go on the wire. */
enum task_note {
    TASK_NOTE_NONE,
    TASK_NOTE_SWEEP,  /* what is left of an earlier ownership goes first */
    TASK_NOTE_SOURCE, /* a member does not give what it should */
    TASK_NOTE_OTHERS, /* all is here; the others have to take the next step */
    TASK_NOTE_AWAY,   /* what is kept here is for a member that is away */
};

/** What one shard says of one kind, or the sum of what all say. */
struct task_figures {
    bool active, paused;
    bool throttled;       /* it would go on, if its rate let it */
    uint64_t runs;        /* begun in this life */
    uint64_t asked_us;    /* when the last of them was asked for; 0: nobody asks for this kind */
    uint64_t done, total; /* of the run under way, or of the last */
    uint64_t failed;
    uint64_t size, size_total; /* bytes; total 0: not known */
    uint64_t advances;         /* grows with every bit of progress */
    uint64_t limit;            /* bytes a second; 0: none */
    uint64_t left_us;          /* known of what goes by a timetable; 0: to be measured */
    enum task_note note;
    uint16_t member; /* that the note is about */
};

/** Add up; what is not known of one that is active is not known of all. */
void task_figures_add(struct task_figures *sum, const struct task_figures *more);

struct task_meter {
    struct task_figures now;
    enum task_state state;
    uint64_t cancelled_us; /* what was asked for until then was given up; 0: nothing was */
    uint64_t begun_us, ended_us, advanced_us;
    uint64_t sampled_us; /* rates were measured last */
    uint64_t sampled_size, sampled_done;
    uint64_t size_rate; /* bytes a second, smoothed */
    uint64_t done_rate; /* thousandths of units a second, smoothed */
};

/** `figures` of all shards now. */
void task_meter_step(struct task_meter *meter, const struct task_figures *figures, uint64_t now_us);
/** What was asked for until now and has not ended was given up, also in shards that have told
 *  nothing of it yet; it is told as cancelled when it ends. */
void task_meter_cancelled(struct task_meter *meter, uint64_t now_us);
/** All but member, kind, unit and note. */
void task_meter_tell(const struct task_meter *meter, uint64_t now_us, struct task *ret);

#endif
