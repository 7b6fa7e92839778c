/* SPDX-License-Identifier: Apache-2.0 */
/** A stream that comes in: what its files share.  cluster/handoff/transfer.h decides.
 *
 *      handoff_receive.c   which streams there are; asking, and the machine's steps
 *      handoff_page.c      a page that came: counted, and merged entry by entry
 *      handoff_record.c    how far it is, on disk */
#ifndef NODE_HANDOFF_INBOUND_H
#define NODE_HANDOFF_INBOUND_H

#include "node/handoff/handoff.h"

#include "node/internal.h"

enum { INBOUND_RECORD_SIZE_MAX = 64 + ENGINE_KEY_SIZE_MAX };

struct inbound {
    struct transfer transfer;
    struct list link; /* handoff->streams */
    uint64_t id;      /* of its request */
    uint32_t partition;
    uint8_t place;
    uint16_t source;
    uint64_t session;
    struct buffer cursor, next; /* where to go on; behind the page under way */
    uint64_t fence;             /* under which the page was read */
    uint32_t merging; /* merges of the page that wait for the disk, and one for the page */
    bool failed;
};

/* handoff_receive.c */
/** The stream may be over afterwards.  `tail`: of a page. */
void inbound_step(struct node *node, struct request *request, struct transfer_event event,
                  struct bytes tail);
/** The same for what brings nothing with it; it is about the page under way. */
void inbound_event(struct node *node, struct request *request, enum transfer_event_kind kind);

/* handoff_page.c */
/** TRANSFER_MERGED or _FAILED once all of it is merged, perhaps from inside. */
void inbound_merge(struct node *node, struct request *request, struct bytes tail);

/* handoff_record.c */
/** Where an earlier life of the node stopped, or the beginning.  False: it cannot be read. */
bool inbound_load(struct node *node, struct inbound *inbound);
/** Then TRANSFER_SAVED or _FAILED, later. */
kvorum_status inbound_save(struct node *node, const struct request *request);

#endif
