/* SPDX-License-Identifier: Apache-2.0 */
/** drops.c, drops_kept.c: what a dropped bucket may show (sim/acts/drops.h), all named "dropped".
 *
 *      read      what is read was written, under this key, in one generation that both members
 *                which were asked may have gone by while they were, and not before a drop that was
 *                acknowledged before the read, and that this member knows of
 *      listed    a key that is listed was written in that generation, or in a later one
 *      told      a drop that is acknowledged is known on every shard of every member that its
 *                coordinator did not take for dead when it was decided
 *      kept      what a member was told on an acknowledged drop it knows for ever
 *      lost      in the end every acknowledged write of the last generation is there, and no other
 *      proven    whoever starts knows the generations of the objects in its stores
 *      reclaimed nothing of earlier generations is left in any store */
#ifndef SIM_CHECKERS_DROPS_H
#define SIM_CHECKERS_DROPS_H

#include "object/object.h"
#include "sim/acts/drops.h"

void check_drop_read(struct drops_operation *read, const struct object *object);
void check_drop_listed(const struct drops_operation *list, struct bytes name);
void check_drop_told(const struct drops_operation *drop);
/** `operation` begins; `serves`: the shard that is asked knows its buckets by now. */
void check_drop_kept(const struct drops_operation *operation, bool serves);
/** `process` serves an operation. */
void check_drop_proven(struct drops *drops, const struct process *process);
/** The generation in a key of a store; false: it is not of our bucket. */
bool check_drop_key(struct bytes key, uint64_t *ret_generation);
/** A last read, from all owners of a cluster that is whole. */
void check_drop_lost(const struct drops_operation *read);
void check_drop_reclaimed(const struct drops *drops);

#endif
