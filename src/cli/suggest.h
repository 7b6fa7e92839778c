/* SPDX-License-Identifier: Apache-2.0 */
/** The name a person may have meant. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

/** Edits (insert, drop, replace a letter, swap two neighbours) from `a` to `b`; texts above 63
 *  bytes are compared by their beginnings. */
unsigned suggest_distance(const char *a, const char *b);

/** Keeps the nearest of the names offered so far. */
struct suggestion {
    const char *meant; /* what was typed */
    const char *name;  /* NULL: nothing is near */
    unsigned distance;
};

void suggestion_offer(struct suggestion *suggestion, const char *name);

#endif
