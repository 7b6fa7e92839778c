/* SPDX-License-Identifier: Apache-2.0 */
/** Mail between the reactors of one process: the only thing they share.
 *
 *      sender: outbox (a plain buffer) --- once an iteration, in one piece ---> mailbox
 *      receiver, woken once: takes all of it by swapping buffers
 *
 *  Thread: put by any, take by the owner.  Blocks: for the copy of a batch at most. */
#ifndef SERVER_MAILBOX_H
#define SERVER_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "codec/frame.h"

enum mail_kind {
    MAIL_MESSAGE,    /* of `shard` of this node, for the receiver's shard */
    MAIL_CONNECTION, /* a client's `descriptor`, `value` says which protocol */
    MAIL_LINK,       /* a peer's `descriptor`, from `shard` of `member`, already greeted */
    MAIL_OPEN,       /* the cluster view is there: open the stores */
    MAIL_OPENED,     /* to reactor 0: `shard` did, `value` is the status */
    MAIL_START,      /* all did: create the shard of the node, 0 first */
    MAIL_STARTED,    /* to reactor 0: `shard` takes operations, or `value` says why not */
    MAIL_SERVE,      /* all shards have started */
    MAIL_ADDRESSES,  /* some member is elsewhere than the epoch says */
    MAIL_LIVENESS,   /* `member` is now in state `value` */
    MAIL_DRAIN,      /* finish what is in flight, take nothing new */
    MAIL_DRAINED,    /* to reactor 0 */
    MAIL_CLOSE,      /* close the stores and leave the loop */
};

/** One letter; the body and the tail of a message follow it, padded to 8 bytes. */
struct mail {
    uint32_t size; /* with all that follows */
    uint8_t kind;
    uint8_t message_kind;
    uint16_t shard, member;
    int32_t descriptor;
    uint32_t value;
    uint32_t body_size, tail_size;
    uint64_t request_id, epoch;
};

struct mailbox {
    pthread_mutex_t mutex;
    struct buffer letters; /* guarded by mutex */
    bool closed;           /* guarded by mutex */
    atomic_size_t size;    /* of letters: for senders that ask whether there is room */
    size_t limit;          /* of messages; other mail always fits */
    void (*wake)(void *context);
    void *context;
};

void mailbox_init(struct mailbox *mailbox, size_t limit, void (*wake)(void *context),
                  void *context);
void mailbox_done(struct mailbox *mailbox);

/** False when messages of `size` bytes, with `waiting` already in the sender's outbox, are too
 *  many. */
bool mailbox_has_room(struct mailbox *mailbox, size_t waiting, size_t size);
/** Deliver a batch of letters and wake the owner if it may be asleep. */
void mailbox_put(struct mailbox *mailbox, struct bytes letters);
/** The owner is leaving: nobody wakes it any more.  It takes what is left. */
void mailbox_close(struct mailbox *mailbox);
/** Swap what has arrived into `ret_letters`, which must be empty. */
void mailbox_take(struct mailbox *mailbox, struct buffer *ret_letters);

/** Append letters to an outbox. */
void mail_append(struct buffer *outbox, const struct mail *mail);
void mail_append_message(struct buffer *outbox, uint16_t from_shard, const struct message *message);
size_t mail_message_size(const struct message *message);
/** Cut the first letter off `letters`; NULL at the end. */
const struct mail *mail_next(struct bytes *letters);
struct message mail_message(const struct mail *mail);

#endif
