/* SPDX-License-Identifier: Apache-2.0 */
/** Where members say that they are, until an epoch says so.
 *
 *  A member that started under another address greets everybody, and nobody could answer it: the
 *  epoch that has its new address takes votes and writes on disks, and on its way to the member it
 *  needs that address.  So whoever accepted its HELLO dials the address that stood there.
 *
 *      HELLO of a member --address_book_learn--> a note beside its entry in the epoch
 *      the entry has the new address, or any other than when the note was made --> the note is void
 *
 *  Notes are in memory alone: whoever restarts is greeted again.
 *  Thread: any, all of it.  Blocks: for a copy at most. */
#ifndef SERVER_ADDRESS_BOOK_H
#define SERVER_ADDRESS_BOOK_H

#include <pthread.h>

#include "cluster/ring/ring.h"

struct address_note;

struct address_book {
    pthread_mutex_t mutex;
    struct address_note *notes[RING_MEMBERS_MAX]; /* by slot, guarded by mutex; NULL: none */
};

void address_book_init(struct address_book *book);
void address_book_done(struct address_book *book);
/** The member in `slot` of `epoch` says that it is at `address`, "host:port".  True: that is news,
 *  links to it have to follow.  What is no address, and what there is no memory for, is no news. */
bool address_book_learn(struct address_book *book, const struct epoch *epoch, uint16_t slot,
                        const char *address);
/** The member in `slot` of `epoch`, with the address at which it is dialed. */
void address_book_member(struct address_book *book, const struct epoch *epoch, uint16_t slot,
                         struct member *ret_member);

#endif
