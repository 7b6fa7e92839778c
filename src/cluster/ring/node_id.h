/* SPDX-License-Identifier: Apache-2.0 */
/** Ids of nodes and of clusters: compared, and in formats and packets NODE_ID_SIZE bytes as they
 *  are. */
#ifndef CLUSTER_RING_NODE_ID_H
#define CLUSTER_RING_NODE_ID_H

#include "cluster/ring/ring.h"
#include "codec/varint.h"

static inline bool node_id_equal(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->bytes, b->bytes, NODE_ID_SIZE) == 0;
}

static inline void node_id_write(struct buffer *buffer, const struct node_id *id)
{
    buffer_append(buffer, id->bytes, NODE_ID_SIZE);
}

/** Zeros where the reader fails. */
static inline struct node_id node_id_read(struct reader *reader)
{
    struct node_id id = { 0 };
    struct bytes bytes = read_bytes(reader, NODE_ID_SIZE);
    if (!reader->failed)
        memcpy(id.bytes, bytes.data, NODE_ID_SIZE);
    return id;
}

#endif
