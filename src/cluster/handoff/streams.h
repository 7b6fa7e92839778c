/* SPDX-License-Identifier: Apache-2.0 */
/** Who must give whom what was there before a move: the fenced streams of docs/decisions/0007.
 *
 *      row   A B C                D takes A's place: from A itself, or where A is lost from as many
 *      to    B C D                of the others as hold every acknowledged write between them
 *
 *  A bucket may keep fewer copies than the table has columns, in the first n of them, so whoever
 *  moves to the front receives as well.  The rules hold for each n on its own; one stream serves
 *  all.
 */
#ifndef CLUSTER_HANDOFF_STREAMS_H
#define CLUSTER_HANDOFF_STREAMS_H

#include "cluster/ring/ring.h"

/* Right for every write: all owners between them hold what any one of them acknowledged. */
enum { HANDOFF_W_ANY = 1 };

/** Members who must receive something before reads may ask the new row; at most
 *  RING_REPLICAS_MAX. */
uint8_t handoff_receivers(const struct epoch *epoch, const struct move *move,
                          uint16_t ret_receivers[RING_REPLICAS_MAX]);
/** Owners until now whose streams `receiver` should take: bit i is place i of the row.  `lost`:
 *  places of members that are not to be waited for; those who do instead of them are named. */
uint32_t handoff_sources(const struct epoch *epoch, const struct move *move, uint16_t receiver,
                         uint32_t lost);
/** Whole streams from the places in `received` are enough for `receiver`: for each n that of the
 *  owner whose place it takes, or those of n-w+1 owners.  `w`: the fewest acknowledgements that a
 *  write is content with. */
bool handoff_received(const struct epoch *epoch, const struct move *move, uint16_t receiver,
                      uint32_t received, uint8_t w);
/** `receiver` must be given objects of buckets that keep `n` copies. */
bool handoff_needs(const struct epoch *epoch, const struct move *move, uint16_t receiver,
                   uint8_t n);
/** What belongs to `session` may still be taken: the partition is on that move, and no later one.
 *  Asked of streams, and of hints and repairs that carry a session (0: they belong to none). */
bool handoff_session_open(const struct epoch *epoch, uint32_t partition, uint64_t session);
/** Bit of `member` in the row until now, 0: it is no owner. */
uint32_t handoff_place(const struct epoch *epoch, uint32_t partition, uint16_t member);

#endif
