/* SPDX-License-Identifier: Apache-2.0 */
/** One read, as its coordinator sees it: a step function over replica answers.  It never sees
 *  objects, only their digests; the caller keeps the bytes, merges them when told to reply, and
 *  repairs.
 *
 *      START    -> ask the first n targets: the first reachable one in full, the others by digest
 *                  (so the nearest should stand first; a replica may send a small object in full
 *                  although only the digest was asked);
 *                  nobody when the levels cannot be met by those reachable: UNAVAILABLE
 *      ANSWER   -> counts toward r and node_confirms (a "not found" too when notfound_ok), toward
 *                  pr when an owner
 *      enough   -> are there enough whose digest has been received in full, from anyone?
 *                    yes: reply OK (found) or NOT_FOUND (no answer had an object)
 *                    no : ask one holder of each missing digest in full, then reply
 *                  "not found" is never said while a holder's object is still on its way
 *      FAILED   -> next spare if sloppy, else one less to hope for; of a target that answered by
 *                  digest only: the next holder of that digest, and without one its answer is void
 *      hopeless -> reply UNAVAILABLE; but NOT_FOUND when nobody has the object and the "not found"s
 *                  alone (uncounted, without notfound_ok) made it hopeless, or with basic_quorum
 *                  are a majority of n
 *      TICK     -> at the deadline reply TIMEOUT if still waiting, then finished
 *      finished -> all asked have answered or failed and every digest came in full (also digests
 *                  that turned up after the reply, so that repair knows the newest object),
 *                  or the deadline passed: the caller now repairs every answered target whose
 *                  digest differs from the merged object's
 *
 *  Harmless at any time: an answer of a target that was not asked, a second answer of one target
 *  (only a full object after a digest adds something; it replaces the digest), an answer after a
 *  failure (it counts), events after the end.
 */
#ifndef CLUSTER_GET_H
#define CLUSTER_GET_H

#include "cluster/replication/zones.h"

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
    uint32_t ask_full;    /* bit i: ask target i for the object */
    uint32_t ask_digest;  /* bit i: ask target i for the digest */
    bool reply;           /* once in a machine's life, with `status` */
    kvorum_status status; /* OK: merge what `answered` holds and see whether anything is there */
    bool finished;        /* the machine may be freed; said once */
};

struct get {
    /* set by the caller before START, the rest zero */
    struct quorum quorum;
    uint8_t target_count;
    uint32_t owners, unreachable; /* as in put.h */
    uint64_t deadline_us;
    const struct target_zones *zones; /* as in put.h */
    /* the machine's */
    enum get_state state;
    uint32_t asked, asked_full; /* asked_full: also those asked by digest first */
    uint32_t answered;          /* with a digest that came, or can still come, in full */
    uint32_t full;              /* answered with the object, or that there is none */
    uint32_t not_found, failed; /* of the answered; of the asked */
    uint8_t next_spare;
    uint64_t digests[REPLICAS_MAX]; /* of the answered; 0: not found */
};

void get_step(struct get *get, const struct get_event *event, struct get_effects *ret);

#endif
