/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of birth.h share.
 *
 *      birth.c           which of the others it is
 *      birth_founder.c   it founds a cluster
 *      birth_member.c    it is in one that exists, and is asked by those who join
 *      birth_joiner.c    it joins */
#ifndef SERVER_BIRTH_INTERNAL_H
#define SERVER_BIRTH_INTERNAL_H

#include "server/internal.h"

/* birth.c */
/** What clients are told that the node waits for. */
void birth_set_waiting(struct server *server, enum waiting_stage stage, unsigned present,
                       unsigned wanted);
/** The epoch is there, and on disk: the server begins. */
void birth_begin(struct birth *birth);

/* birth_founder.c */
void birth_founder_start(struct birth *birth);
void birth_founder_on_join(struct birth *birth, const struct member *member,
                           struct birth_answer *ret_answer);

/* birth_member.c */
void birth_member_on_join(struct birth *birth, const struct member *member,
                          const struct node_id *cluster, struct birth_answer *ret_answer);

/* birth_joiner.c */
void birth_joiner_start(struct birth *birth);
/** Its link and its timer are closed when the loop has turned. */
void birth_joiner_stop(struct birth *birth);

#endif
