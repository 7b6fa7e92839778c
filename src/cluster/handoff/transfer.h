/* SPDX-License-Identifier: Apache-2.0 */
/** One fenced stream, as its receiver sees it: what one source holds of a partition, page by page.
 *
 *      ASKING --page--> TAKING --all merged--> SAVING --cursor on disk--> RESTING --time--> ASKING
 *        '--not now, lost, damaged--> RESTING              '--it was the last--> COMPLETE
 *      any --the session is over--> OVER
 *
 *  The receiver asks, so the source keeps no state and may restart: a page is read after the source
 *  has the move's epoch on its disk (rule 3), which is as good as a snapshot of then, since
 *  whatever is written later is written to the receiver too.  The receiver may restart as well: the
 *  cursor and the totals behind a page are on its disk before it asks for the next, in order behind
 *  the page's merges.  One page is under way at a time, so a stream holds at most one page in
 *  memory.
 *
 *  Each page says how many objects it has and the sum of their hashes; the totals are saved with
 *  the cursor and sent with every question, and the source returns them with the page added.  What
 *  does not add up is asked for again.
 *
 *  Harmless at any time: answers to an earlier question, doubled answers, ticks, events after the
 *  end.
 */
#ifndef CLUSTER_HANDOFF_TRANSFER_H
#define CLUSTER_HANDOFF_TRANSFER_H

#include "base/bytes.h"
#include "cluster/handoff/throttle.h"

enum transfer_state {
    TRANSFER_NEW,
    TRANSFER_ASKING,
    TRANSFER_TAKING,
    TRANSFER_SAVING,
    TRANSFER_RESTING,
    TRANSFER_COMPLETE,
    TRANSFER_OVER,
};

enum transfer_event_kind {
    TRANSFER_START,  /* with the totals that were saved, zero at first */
    TRANSFER_PAGE,   /* an answer with objects, or with none */
    TRANSFER_LATER,  /* the source cannot now, or was not reached */
    TRANSFER_MERGED, /* all objects of the page were handed to the store, in this order */
    TRANSFER_SAVED,  /* cursor and totals are on disk, and so is all before them */
    TRANSFER_FAILED, /* the page could not be merged or saved: ask for it again */
    TRANSFER_TICK,
    TRANSFER_PAUSE,
    TRANSFER_RESUME, /* also: the throttle has another rate */
    TRANSFER_CLOSE,  /* the move is over, or this member need not have it any more */
};

/** What was received, of pages that are safe. */
struct transfer_totals {
    uint64_t keys;
    uint64_t size; /* bytes of keys and values */
    uint64_t sum;  /* of transfer_hash, modulo 2^64: any order gives the same */
};

struct transfer_event {
    uint64_t now_us;
    enum transfer_event_kind kind;
    uint32_t page;                  /* PAGE, LATER: the question that it answers */
    struct transfer_totals found;   /* PAGE: counted here, from the objects that came */
    struct transfer_totals claimed; /* PAGE: totals with this page, as the source says */
    bool last;                      /* PAGE: nothing follows */
};

struct transfer_effects {
    bool ask;   /* for the page behind the saved cursor: number `page`, with `totals` */
    bool merge; /* the objects of the page in this event, then MERGED or FAILED */
    bool save;  /* the page's cursor and `totals`, then SAVED or FAILED */
    bool ended; /* COMPLETE or OVER; said once */
};

struct transfer {
    /* set by the caller before START, the rest zero */
    struct throttle *throttle; /* shared; outlives the transfer */
    uint64_t patience_us;      /* to wait for an answer, then ask again */
    uint64_t rest_us;          /* before asking again what went wrong */
    /* the machine's */
    enum transfer_state state;
    struct transfer_totals totals; /* safe */
    struct transfer_totals next;   /* with the page under way */
    uint32_t page;                 /* number of the last question */
    uint32_t retries;              /* since the last page that was taken */
    bool last, paused;
    uint64_t due_us;      /* TICK from then on: ASKING gives up, RESTING asks */
    uint64_t progress_us; /* of the last page that was taken: stalled since */
};

void transfer_step(struct transfer *transfer, const struct transfer_event *event,
                   struct transfer_effects *ret);
/** When to TICK; UINT64_MAX: nothing is awaited. */
uint64_t transfer_due_us(const struct transfer *transfer);
bool transfer_is_over(const struct transfer *transfer);

/** Of one object in a sum. */
uint64_t transfer_hash(struct bytes key, struct bytes encoding);
void transfer_count(struct transfer_totals *totals, struct bytes key, struct bytes encoding);

#endif
