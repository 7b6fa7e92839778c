/* SPDX-License-Identifier: Apache-2.0 */
/** One total order of siblings: who wins where only one may stay.  And the one sibling of an object
 *  that is not kept. */
#ifndef OBJECT_SIBLING_H
#define OBJECT_SIBLING_H

#include "object/object.h"

/** By (stamp, actor, counter), and for one dot that carries two contents (a broken actor) by
 *  content: <0, 0 or >0.  0 only when the two encode to the same bytes. */
int sibling_compare(const struct sibling *a, const struct sibling *b);

/** By (stamp, actor, counter); no write is below every write. */
int write_mark_compare(struct write_mark a, struct write_mark b);

static inline struct write_mark write_mark_of(const struct sibling *sibling)
{
    return (struct write_mark){ sibling->stamp, sibling->dot };
}

/** The sibling that is not kept, or NULL. */
const struct sibling *object_last(const struct object *object);

/** The greater of two; `a` when they are the same. */
static inline const struct sibling *sibling_max(const struct sibling *a, const struct sibling *b)
{
    return sibling_compare(a, b) < 0 ? b : a;
}

#endif
