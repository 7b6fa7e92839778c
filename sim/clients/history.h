/* SPDX-License-Identifier: Apache-2.0 */
/** What clients did and what they were told: all that the checkers of consistency look at.
 *
 *  Every value names the operation that wrote it.  For each write two sets of other writes are
 *  kept:
 *
 *      sure    what it certainly replaces: the values in the answer its context came from, and what
 *              those certainly replace
 *      maybe   what it may replace by any legal course of events: the same with "maybe", and where
 *              the client did not say (overwrite, delete without context) everything submitted
 *              before it was over
 *
 *  A checker that finds a value present uses `sure`; one that finds a value absent uses `maybe`. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "base/map.h"
#include "object/object.h"
#include "sim/plan/plan.h"

enum { NO_OPERATION = -1, SIM_KEY_SIZE = 16 };

/** One sibling as somebody saw it. */
struct version {
    int32_t writer; /* operation id; NO_OPERATION for a tombstone */
    bool tombstone;
    bool kept; /* made where siblings are kept */
    struct dot dot;
    uint64_t stamp;
};

struct reading {
    struct version *versions;
    uint32_t count;
};

enum record_state {
    RECORD_OPEN,
    RECORD_ANSWERED,
    RECORD_LOST, /* the node that had it went away */
};

struct record {
    int32_t id;
    enum action action;
    uint16_t client;
    uint32_t key;
    enum record_state state;
    kvorum_status status;
    uint64_t invoked_us, done_us;
    uint32_t value_size;
    uint64_t *sure, *maybe; /* writes: sets of operation ids */
    bool maybe_all;         /* `maybe` is everything submitted before it was over */
    bool mode_known;        /* the member that took it knew the bucket's last mode */
    bool version_known;     /* somebody saw what it wrote: */
    struct version version;
    struct version grave;   /* a delete: the newest tombstone in its answer; stamp 0: none */
    struct reading reading; /* the object in its answer */
    bool object;            /* there was one */
};

struct history {
    struct world *world;
    bool siblings; /* the bucket's mode, the last one where it changes: */
    bool changes;
    bool collects; /* a tombstone may be gone */
    struct record *records;
    int32_t count, capacity;
    uint32_t key_count;
    int32_t **by_key; /* ids of the writes of each key */
    uint32_t *by_key_count;
    struct map dots; /* dots.c */
    struct buffer scratch;
};

void history_init(struct history *history, struct world *world, bool siblings, uint32_t key_count,
                  int32_t capacity);
void history_done(struct history *history);

/** An operation begins now.  `source`: the operation whose answer gave it its context, or NULL. */
struct record *history_begin(struct history *history, enum action action, uint16_t client,
                             uint32_t key, const struct record *source);
/** It was answered now; `object` may be NULL. */
void history_end(struct history *history, struct record *record, kvorum_status status,
                 const struct object *object);
/** The node that had it is gone. */
void history_lose(struct history *history, struct record *record);
/** Somebody saw this object under `key`, in an answer or on the wire. */
void history_see(struct history *history, uint32_t key, const struct object *object);

/** A MERGE frame, seen on the wire. */
void history_see_merge(struct history *history, const struct message *message);

/** The bytes that `record` writes, valid until the next call. */
struct bytes history_value(struct history *history, const struct record *record);
/** Who wrote `value` under `key`; NO_OPERATION when nobody did. */
int32_t history_writer(struct history *history, uint32_t key, struct bytes value);
void history_key(uint32_t key, char ret_name[SIM_KEY_SIZE]);
/** False when it is no key of the simulator's. */
bool history_key_number(struct bytes name, uint32_t *ret_key);

/* --- what follows ---------------------------------------------------------------------------- */

bool action_writes_value(enum action action);
bool action_deletes(enum action action);
/** Answered OK. */
bool record_acknowledged(const struct record *record);
/** Not told to be without effect: it may have happened, or may still happen. */
bool record_may_happen(const struct record *record);
bool surely_replaces(const struct record *later, const struct record *earlier);
bool maybe_replaces(const struct record *later, const struct record *earlier);
/** It stays until a write that saw it replaces it; else something newer may take its place. */
bool record_is_kept(const struct history *history, const struct record *write);
/** The stamp of this write decides what it hides once its tombstone is collected, so it must be
 *  known: the answer must carry what was written. */
bool history_wants_object(const struct history *history, enum action action);
/** Some delete of this key may have replaced `earlier`. */
bool maybe_deleted(const struct history *history, const struct record *earlier);
/** Nothing is there of the key any more: may a delete have taken `earlier`, and been collected?
 *  Where the last write wins, that is one with a later stamp, whichever came first: its answer told
 *  the stamp (history_wants_object); of one whose outcome nobody knows it may be any. */
bool maybe_collected(const struct history *history, const struct record *earlier);
/** Order of last write wins: (stamp, actor, counter). */
int version_compare(const struct version *a, const struct version *b);

#endif
