/* SPDX-License-Identifier: Apache-2.0 */
/** One write, as its coordinator sees it: a step function over acknowledgements.
 *
 *  Targets are numbered 0..target_count-1, each a different node.  The first `quorum.n` are the
 *  effective preference list (owners; where sloppy, perhaps a stand-in in the place of an owner
 *  that is down), the rest are spare stand-ins in order, used one by one when a target fails and
 *  the quorum is sloppy.  Targets are not special: the coordinator's own store is one like the
 *  others.
 *
 *      START     -> send to the first n; or to nobody, when the levels cannot be met by those
 *                   reachable: UNAVAILABLE, and nothing has happened
 *      ACK       -> counts toward w and node_confirms, when durable toward dw, when an owner
 *                   toward pw
 *      FAILED    -> next spare if sloppy, else one less to hope for
 *      TICK      -> at the deadline: TIMEOUT if somebody may hold the write
 *      reply OK as soon as w, dw, pw and node_confirms are all met;
 *      reply UNAVAILABLE as soon as they can no longer be met, and nobody can hold the write;
 *      reply TIMEOUT ("unknown") as soon as they can no longer be met but somebody may hold it: it
 *      was sent to a target that has not definitely refused it.
 *      finished when it replied and every target asked has answered, or the deadline passed: until
 *      then late acks still spare their owners a hint, and failures still go to a spare after OK.
 *
 *  While a partition moves the write needs its levels from two sets of owners, those until now and
 *  those to come (docs/decisions/0007): `quorum` in `set` and `other` in `other_set`.  A target in
 *  both counts in both, and once in each.  Then the first `places` targets have the places of
 *  either preference list, and a spare counts where the one counted that it stands in for.
 *
 *  Levels by zone (zones.h) are met by owners in the zones they name, in each set by itself.
 *
 *  Harmless at any time: an answer of a target that was never sent to, a second answer of one
 *  target (only "acked, now durable" adds something), an ACK after a FAILED (the ack is the truth),
 *  events after the end.  A FAILED after a plain ACK says only that it will not become durable
 *  there.
 */
#ifndef CLUSTER_PUT_H
#define CLUSTER_PUT_H

#include "cluster/replication/zones.h"

enum put_state { PUT_NEW, PUT_WAITING, PUT_REPLIED, PUT_FINISHED };
enum put_event_kind { PUT_START, PUT_ACK, PUT_FAILED, PUT_TICK };

struct put_event {
    uint64_t now_us;
    enum put_event_kind kind;
    uint8_t target; /* ACK, FAILED */
    bool durable;   /* ACK: as safe there as that store ever makes it */
    bool refused;   /* FAILED: it surely has no effect there (it answered no, or was never sent) */
};

struct put_effects {
    uint32_t send; /* bit i: send the object to target i now */
    bool reply;    /* answer the client with `status`, once in a machine's life */
    kvorum_status status;
    bool finished; /* the machine may be freed; said once */
};

struct put {
    /* set by the caller before START, the rest zero */
    struct quorum quorum;
    uint8_t target_count; /* at most REPLICAS_MAX */
    uint32_t owners;      /* bit i: target i is an owner of the partition (counts toward pw) */
    uint32_t unreachable; /* bit i: known to be down, do not try (refused, at START) */
    uint64_t deadline_us;
    /* while the partition moves, else zero */
    struct quorum other;     /* n and levels of the second set; flags as in `quorum` */
    uint32_t set, other_set; /* bit i: target i counts there; of the first `places` */
    uint8_t places;
    const struct target_zones *zones; /* of the caller; NULL: no level is about zones */
    /* the machine's */
    enum put_state state;
    uint32_t sent, acked, durable; /* owners not in `acked` at the end are due a hint */
    uint32_t failed, refused;
    uint8_t next_spare;
    bool gave_up; /* replied something else than OK */
};

/** Some target holds the write, or may. */
static inline bool put_may_be_held(const struct put *put)
{
    return (put->acked | (put->sent & ~put->refused)) != 0;
}

void put_step(struct put *put, const struct put_event *event, struct put_effects *ret);

#endif
