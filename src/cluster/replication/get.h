/* SPDX-License-Identifier: Apache-2.0 */
/** One read, as its coordinator sees it: a step function over replica answers.  It never sees objects,
 *  only their digests; the caller keeps the bytes, merges them when told to reply, and repairs.
 *
 *      START    -> ask the first n targets: the first reachable one in full, the others by digest
 *                  (a replica may send a small object in full although only the digest was asked)
 *      ANSWER   -> counts toward r (a "not found" too when notfound_ok), toward pr when an owner
 *      enough   -> every digest among the answers has been received in full once?
 *                    yes: reply OK (found) or NOT_FOUND
 *                    no : ask one holder of each missing digest in full, then reply
 *      FAILED   -> next spare if sloppy, else one less to hope for
 *      hopeless -> reply UNAVAILABLE; with basic_quorum a quorum of "not found" replies early
 *      TICK     -> at the deadline reply TIMEOUT if still waiting, then finished
 *      finished -> all asked have answered or failed, or the deadline passed: the caller now repairs
 *                  every answered target whose digest differs from the merged object's
 */
#ifndef CLUSTER_GET_H
#define CLUSTER_GET_H

#include "cluster/replication/quorum.h"

enum get_state { GET_NEW, GET_WAITING, GET_FETCHING, GET_REPLIED, GET_FINISHED };
enum get_event_kind { GET_START, GET_ANSWER, GET_FAILED, GET_TICK };

struct get_event {
    uint64_t now_us;
    enum get_event_kind kind;
    uint8_t target;
    uint64_t digest; /* ANSWER: object_digest there; 0: no such key */
    bool full;       /* ANSWER: the object came with it (or there is none) */
};

struct get_effects {
    uint32_t ask_full;   /* bit i: ask target i for the object */
    uint32_t ask_digest; /* bit i: ask target i for the digest */
    bool reply;          /* once in a machine's life, with `status` */
    kvorum_status status; /* OK: merge what `answered` holds and see whether anything is there */
    bool finished;
};

struct get {
    /* set by the caller before START */
    struct quorum quorum;
    uint8_t target_count;
    uint32_t owners, unreachable; /* as in put.h */
    uint64_t deadline_us;
    /* the machine's */
    enum get_state state;
    uint32_t asked, asked_full, answered, full, not_found, failed;
    uint8_t next_spare;
    uint64_t digests[REPLICAS_MAX];
};

void get_step(struct get *get, const struct get_event *event, struct get_effects *ret);

#endif
