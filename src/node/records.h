/* SPDX-License-Identifier: Apache-2.0 */
/** What a node keeps in its stores beside the objects (docs/formats/keys.md), read when it starts.
 *  Each room has an area of keys of its own; what its records mean is known there only. */
#ifndef NODE_RECORDS_H
#define NODE_RECORDS_H

#include "engine/engine.h"

struct node;

struct record_area {
    const char *name;          /* for people: "fences" */
    const char *lower, *upper; /* keys from here to before there */
};

/** What one record says.  The bytes live for the call, in which the store is not written to.
 *  CORRUPT: it is malformed. */
typedef kvorum_status (*record_fn)(struct node *node, struct bytes key, struct bytes value,
                                   void *context);

/** Hand all records of an area to `take`, in the order of their keys, until one is not taken.
 *  Blocks: on the disk.  Errors: what `take` said (a malformed record is named in the log);
 *  UNSUPPORTED: the store has no order of keys; CORRUPT, IO: it cannot be read. */
KVORUM_CHECKED kvorum_status records_load(struct node *node, struct engine *store,
                                          const struct record_area *area, record_fn take,
                                          void *context);

#endif
