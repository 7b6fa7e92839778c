/* SPDX-License-Identifier: Apache-2.0 */
/** Partitions on their way to or from this member, over the machines of cluster/handoff/.
 *
 *      handoff.c          what this shard knows of each partition, and keeps on disk
 *      handoff_sweep.c    what is left of an earlier ownership goes before a new one begins
 *      handoff_receive.c  streams that come in: map in handoff_inbound.h
 *      handoff_source.c   pages for streams that go out
 *      handoff_drive.c    who has what, and the next steps, on shard 0
 *      parting.c          who leaves owes nothing before it is gone
 *
 *  A shard keeps beside the objects of a partition, in the same store (integers big-endian):
 *
 *      'm' 't' partition u16               session u64: of the move by which it came here
 *      'm' 's' partition u16 place u8      a stream: see handoff_record.c
 */
#ifndef NODE_HANDOFF_H
#define NODE_HANDOFF_H

#include "base/heap.h"
#include "base/list.h"
#include "cluster/handoff/plan_steps.h"
#include "cluster/handoff/transfer.h"
#include "node/node.h"

struct commit_plan;
struct request;

enum {
    HANDOFF_TICK_US = 500 * 1000,
    HANDOFF_STREAMS_MAX = 4, /* that come in to a shard at a time */
    HANDOFF_SWEEPS_MAX = 8,
    HANDOFF_PAGES_MAX = 8, /* being read for others at a time */
    HANDOFF_PAGE_SIZE = 128 * 1024,
    HANDOFF_PAGE_KEYS = 500,
    HANDOFF_STEPS_MAX = 4096, /* in one epoch */
};

/** What this shard knows of one partition. */
struct holding {
    uint64_t
        tenure; /* session by which it came here; 0: it was ours from the founding, or is not */
    uint64_t session;  /* of the move on which it comes now; 0: none */
    uint32_t received; /* places of the old row whose streams are whole */
    uint32_t asking;   /* of those whose streams are under way */
    bool unready;      /* what is left of an earlier ownership is still here */
    bool left;         /* it may be, and the partition is not ours */
    bool sweeping;
};

/** On shard 0: who said that all shards of his have which epoch, and what came to him. */
struct arrival {
    uint64_t session;
    uint32_t places; /* of the new row, whose members have received what they must */
};

struct handoff {
    struct heap_item timer;
    struct holding *holdings; /* by partition */
    struct throttle throttle;
    struct list streams;
    uint32_t stream_count, sweep_count, page_count;
    uint32_t next_sweep; /* partition */
    uint64_t swept;      /* keys so far */
    bool paused;
    uint64_t all_settled; /* all shards of all members have adopted this epoch */
    /* shard 0 */
    uint64_t *settled;      /* by member: all shards of it */
    uint64_t *shard_epochs; /* by shard of this member */
    bool *shard_dry;        /* the same: it holds no hints */
    uint64_t *dry_us;       /* by member that leaves: when it said last that it holds no hints */
    struct arrival *arrivals;
    bool proposing;
    struct handoff_step *steps; /* that are being proposed */
};

KVORUM_CHECKED kvorum_status handoff_open(struct node *node);
void handoff_close(struct node *node);
void handoff_tick(struct node *node);
/** The epoch is another one; `former` is the one before. */
void handoff_on_adopted(struct node *node, const struct epoch *former);
/** What a store held between the keys (upper empty: to the end) was lost, deletions too: what is
 *  back there of partitions that are not ours goes, as what is left of an earlier ownership. */
void handoff_on_mended(struct node *node, uint16_t store, struct bytes lower, struct bytes upper);

/** This shard may be given objects of `partition`, and asked for them. */
bool handoff_ready(const struct node *node, uint32_t partition);
/** Session by which the partition came here: an actor of one ownership is none of another. */
uint64_t handoff_tenure(const struct node *node, uint32_t partition);

void handoff_on_stream(struct node *node, struct net_address from, const struct message *message);
void handoff_on_page(struct node *node, struct net_address from, const struct message *message);
void handoff_on_progress(struct node *node, struct net_address from, const struct message *message);
void handoff_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status);
void handoff_on_due(struct node *node, struct request *request);
void handoff_on_lost(struct node *node, struct request *request, uint16_t member);
/** A heartbeat of `member` says that all its shards have adopted epoch `number`. */
void handoff_on_settled(struct node *node, uint16_t member, uint64_t number);
/** The newest epoch that all shards of this member have adopted. */
uint64_t handoff_settled(const struct node *node);

/** This member is LEAVING: it takes nothing for others any more. */
bool parting_is_leaving(const struct node *node);
/** This shard holds nothing for others. */
bool parting_is_dry(const struct node *node);

/** No stream asks for its next page, until it is resumed. */
void handoff_pause(struct node *node, bool on);
/** At most so many bytes a second come into this shard; 0: no limit. */
void handoff_limit(struct node *node, uint64_t rate);
/** This member must be given something by `move`. */
bool handoff_receives(struct node *node, const struct move *move);
/** This shard has all that it must have by `move`. */
bool handoff_is_whole(struct node *node, const struct move *move);
/** Some stream is asked for again and again without an answer: by whom. */
bool receive_waits_for(const struct node *node, uint16_t *ret_member);

/* --- among the files of it -------------------------------------------------------------------- */

bool handoff_is_ours(struct node *node, uint32_t partition);
/** Sweep, ask for streams: whatever may go on. */
void handoff_pump(struct node *node);
void sweep_pump(struct node *node);
/** The counter of partitions of which something may be left here. */
void sweep_count_left(struct node *node);
void sweep_on_stored(struct node *node, uint32_t partition, kvorum_status status);
void receive_pump(struct node *node);
void receive_close_all(struct node *node);
/** Streams whose session is over end. */
void receive_on_adopted(struct node *node);
/** Shard 0: no shard of this member holds anything for others. */
bool parting_all_dry(const struct node *node);
/** `member`, who is leaving, says so, or says that it does. */
void parting_on_told(struct node *node, uint16_t member, bool dry);
/** How many of the steps may be taken. */
uint32_t parting_hold_back(struct node *node, const struct handoff_step *steps, uint32_t count);
void drive_tick(struct node *node);
/** Tell shard 0, and the voters, how far this shard is. */
void drive_tell(struct node *node);

struct bytes handoff_tenure_key(struct arena *arena, uint32_t partition);
struct bytes handoff_stream_key(struct arena *arena, uint32_t partition, uint8_t place);

#endif
