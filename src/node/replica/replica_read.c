/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored here under a key; and what soon will be asked for, read ahead. */
#include "node/buckets/drop.h"
#include "node/replica/replica_internal.h"
#include "node/scrub/scrub.h"

kvorum_status replica_read(struct node *node, const struct key_address *address,
                           struct replica_read *ret_read)
{
    struct engine *store = placement_store(node, address->partition);
    assert(store != NULL);
    struct bytes key = store_key(&node->scratch, address);
    if (key.data == NULL)
        return KVORUM_NO_MEMORY;
    *ret_read = (struct replica_read){ 0 };
    kvorum_status status = fetch_view(node, store, key, &ret_read->view);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status == KVORUM_WOULD_BLOCK)
        return status;
    if (status != KVORUM_OK) {
        node->counters.disk_errors++;
        if (status == KVORUM_CORRUPT)
            scrub_on_corrupt(node, address->partition, key);
        return status;
    }
    ret_read->held = true;
    ret_read->encoding = ret_read->view.value;
    return KVORUM_OK;
}

void replica_release(struct replica_read *read)
{
    if (read->held)
        engine_release(&read->view);
    read->held = false;
}

kvorum_status replica_wait(struct node *node, const struct key_address *address,
                           struct fetch *fetch)
{
    struct bytes key = store_key(&node->scratch, address);
    if (fetch == NULL || key.data == NULL) {
        if (fetch != NULL)
            fetch_close(node, fetch);
        node->counters.overloaded++;
        return KVORUM_OVERLOADED;
    }
    return fetch_wait(node, fetch, placement_store(node, address->partition), &key, 1);
}

/* --- prefetching ----------------------------------------------------------------------------- */

/* Keys of the store that the first of them is in; the others are left for the next call. */
static size_t prefetch_store(struct node *node, const struct key_address *addresses, size_t count,
                             bool *done)
{
    struct bytes keys[ENGINE_PREFETCH_MAX];
    struct engine *store = NULL;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct engine *own = done[i] ? NULL : placement_store(node, addresses[i].partition);
        if (store == NULL)
            store = own;
        done[i] |= own == NULL;
        if (own == NULL || own != store)
            continue;
        done[i] = true;
        keys[taken] = store_key(&node->scratch, &addresses[i]);
        taken += keys[taken].data != NULL;
    }
    if (taken > 0)
        engine_prefetch(store, keys, taken);
    return taken;
}

void node_prefetch(struct node *node, struct bytes type, struct bytes bucket,
                   const struct bytes *keys, size_t count)
{
    struct key_address addresses[ENGINE_PREFETCH_MAX];
    bool done[ENGINE_PREFETCH_MAX];
    size_t addressed = 0;
    for (size_t i = 0; i < count && addressed < ENGINE_PREFETCH_MAX; i++) {
        done[addressed] = false;
        bool fine = placement_address(node, type, bucket, keys[i], &addresses[addressed]);
        if (fine)
            addresses[addressed].generation =
                drop_generation(node, addresses[addressed].type, bucket);
        addressed += fine;
    }
    while (prefetch_store(node, addresses, addressed, done) > 0)
        continue;
    if (node->depth == 0)
        arena_reset(&node->scratch);
}
