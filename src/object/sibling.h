/* SPDX-License-Identifier: Apache-2.0 */
/** One total order of siblings: who wins where only one may stay. */
#ifndef OBJECT_SIBLING_H
#define OBJECT_SIBLING_H

#include "object/object.h"

/** By (stamp, actor, counter), and for one dot that carries two contents (a broken actor) by
 *  content: <0, 0 or >0.  0 only when the two encode to the same bytes. */
int sibling_compare(const struct sibling *a, const struct sibling *b);

/** The greater of two; `a` when they are the same. */
static inline const struct sibling *sibling_max(const struct sibling *a, const struct sibling *b)
{
    return sibling_compare(a, b) < 0 ? b : a;
}

#endif
