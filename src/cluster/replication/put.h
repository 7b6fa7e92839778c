/* SPDX-License-Identifier: Apache-2.0 */
/** One write, as its coordinator sees it: a step function over acknowledgements.
 *
 *  Targets are numbered 0..target_count-1.  The first `quorum.n` are the effective preference list
 *  (owners; where sloppy, a stand-in in the place of an owner that is down), the rest are spare
 *  stand-ins in order, used one by one when a target fails and the quorum is sloppy.
 *  Target 0 .. are not special: the coordinator's own store is a target like the others.
 *
 *      START     -> send to the first n
 *      ACK       -> counts toward w, when durable toward dw, when an owner toward pw
 *      FAILED    -> refused or unreachable: next spare if sloppy, else one less to hope for
 *      TICK      -> at the deadline: TIMEOUT if the write went out to anyone
 *      reply OK as soon as w, dw, pw and node_confirms are all met;
 *      reply UNAVAILABLE as soon as they can no longer be met, and nobody may hold the write;
 *      reply TIMEOUT ("unknown") as soon as they can no longer be met but somebody holds it.
 *      finished when every target answered or the deadline passed: late acks still matter to `missed`.
 */
#ifndef CLUSTER_PUT_H
#define CLUSTER_PUT_H

#include "cluster/replication/quorum.h"

enum put_state { PUT_NEW, PUT_WAITING, PUT_REPLIED, PUT_FINISHED };
enum put_event_kind { PUT_START, PUT_ACK, PUT_FAILED, PUT_TICK };

struct put_event {
    uint64_t now_us;
    enum put_event_kind kind;
    uint8_t target; /* ACK, FAILED */
    bool durable;   /* ACK: on disk there */
};

struct put_effects {
    uint32_t send;        /* bit i: send the object to target i now */
    bool reply;           /* answer the client with `status`, once in a machine's life */
    kvorum_status status;
    bool finished;        /* the machine may be freed */
};

struct put {
    /* set by the caller before START */
    struct quorum quorum;
    uint8_t target_count;
    uint32_t owners;      /* bit i: target i is an owner of the partition (counts toward pw) */
    uint32_t unreachable; /* bit i: known to be down, do not try (treated as FAILED at START) */
    uint64_t deadline_us;
    /* the machine's */
    enum put_state state;
    uint32_t sent, acked, durable, failed;
    uint8_t next_spare;
};

void put_step(struct put *put, const struct put_event *event, struct put_effects *ret);

#endif
