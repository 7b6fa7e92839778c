/* SPDX-License-Identifier: Apache-2.0 */
/* Trees over a clean restart.  At a clean shutdown they are written into their stores, behind the
 * last object; at the next start they are read, and deleted before anything else is written:
 *
 *      't' partition u16 n u8          the tree (cluster/repair/tree.h)
 *      't' partition u16 0             u32, bit n: a tree of that n follows | default n u8
 *                                      | digest of the bucket properties u64
 *
 * A store keeps batches in their order.  So whoever finds a tree finds the store as it was when the
 * tree was written: after an unclean end either the deletion is there, or nothing that came after
 * it, and then the tree is still true.  No other mark is needed.
 *
 * Which tree a key belongs to, the properties of its bucket say.  A shard may have to ask for them
 * first; when it has them, and they are not those of then, the trees are forgotten. */
#include "base/planted.h"
#include "node/records.h"
#include "node/repair/repair_internal.h"

enum { KEY_SIZE = 4, BATCH_SIZE = 4 << 20 };

static struct bytes tree_name(uint32_t partition, uint8_t n, uint8_t memory[KEY_SIZE])
{
    memory[0] = 't';
    memory[1] = (uint8_t)(partition >> 8);
    memory[2] = (uint8_t)partition;
    memory[3] = n;
    return bytes_make(memory, KEY_SIZE);
}

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

/* --- writing -------------------------------------------------------------------------------- */

static kvorum_status add_tree(struct node *node, uint32_t partition, const struct repair_tree *tree)
{
    uint8_t name[KEY_SIZE];
    buffer_reset(&node->encoding);
    hash_tree_encode(&tree->tree, node->repair->seed, &node->encoding);
    if (node->encoding.failed)
        return KVORUM_NO_MEMORY;
    return engine_batch_put(node->batch, tree_name(partition, tree->n, name),
                            buffer_bytes(&node->encoding));
}

static bool worth_keeping(const struct repair_partition *partition)
{
    if (partition == NULL || !partition->scanned)
        return false;
    for (const struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        if (!hash_tree_current(&tree->tree))
            return false;
    return true;
}

static kvorum_status add_partition(struct node *node, const struct repair_partition *partition)
{
    uint8_t name[KEY_SIZE];
    uint32_t ns = 0;
    kvorum_status status = KVORUM_OK;
    for (const struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next) {
        ns |= UINT32_C(1) << tree->n;
        if (status == KVORUM_OK)
            status = add_tree(node, partition->number, tree);
    }
    buffer_reset(&node->encoding);
    write_u32(&node->encoding, ns);
    buffer_append_u8(&node->encoding, (uint8_t)node->config.default_levels.n);
    write_u64(&node->encoding, property_table_digest(node));
    if (status == KVORUM_OK && !node->encoding.failed)
        status = engine_batch_put(node->batch, tree_name(partition->number, 0, name),
                                  buffer_bytes(&node->encoding));
    return status;
}

/* What does not get there is computed again. */
static void keep_store(struct node *node, uint16_t store)
{
    struct repair *repair = node->repair;
    struct engine *engine = node->config.stores[store];
    engine_batch_reset(node->batch);
    for (uint32_t p = store; p < repair->partition_count; p += node->config.store_count) {
        if (worth_keeping(repair->partitions[p]) &&
            add_partition(node, repair->partitions[p]) != KVORUM_OK)
            return;
        if (engine_batch_bytes(node->batch).size < BATCH_SIZE)
            continue;
        if (replica_submit(node, engine, node->batch, ENGINE_LOG, &nothing) != KVORUM_OK)
            return;
        engine_batch_reset(node->batch);
    }
    if (engine_batch_count(node->batch) > 0 &&
        replica_submit(node, engine, node->batch, ENGINE_LOG, &nothing) == KVORUM_OK)
        PROBE("repair: trees were kept for the next start");
}

void node_keep_trees(struct node *node)
{
    node_enter(node);
    repair_scan_end(node);
    for (uint16_t i = 0; node->ready && i < node->config.store_count; i++)
        if (node->config.stores[i] != NULL &&
            engine_can(node->config.stores[i], ENGINE_DURABLE | ENGINE_ORDERED))
            keep_store(node, i);
    node_leave(node);
}

/* --- reading -------------------------------------------------------------------------------- */

struct loading {
    struct repair_partition *partition; /* the one that is being read, or NULL */
    uint32_t missing;                   /* trees of it that are still to come */
};

static void load_list(struct node *node, struct loading *loading, uint32_t number,
                      struct bytes value)
{
    struct reader reader = reader_of(value);
    uint32_t ns = read_u32(&reader);
    uint8_t default_n = read_u8(&reader);
    node->repair->kept_digest = read_u64(&reader);
    *loading = (struct loading){ 0 };
    if (!reader_finished(&reader) || default_n != node->config.default_levels.n ||
        ns >> (TARGETS_MAX + 1) != 0)
        return;
    loading->partition = repair_partition(node, number);
    loading->missing = ns;
    if (loading->partition != NULL)
        loading->partition->scanned = ns == 0;
}

static void load_tree(struct node *node, struct loading *loading, uint32_t number, uint8_t n,
                      struct bytes value)
{
    struct repair_partition *partition = loading->partition;
    if (partition == NULL || partition->number != number || n > TARGETS_MAX ||
        (loading->missing >> n & 1) == 0)
        return;
    struct repair_tree *tree = repair_tree_add(node, partition, n);
    if (tree == NULL || hash_tree_decode(value, node->repair->seed, &tree->tree) != KVORUM_OK) {
        repair_partition_drop(node, partition);
        loading->partition = NULL;
        return;
    }
    loading->missing &= ~(UINT32_C(1) << n);
    partition->scanned = loading->missing == 0;
    partition->scanned_us = node->now_us;
    if (partition->scanned)
        PROBE("repair: a tree was found at the start");
}

/* One that is malformed is none: what it was about is computed again. */
static kvorum_status load_entry(struct node *node, struct bytes name, struct bytes value,
                                void *context)
{
    struct loading *loading = context;
    const uint8_t *key = name.data;
    if (name.size == KEY_SIZE) {
        uint32_t number = (uint32_t)key[1] << 8 | key[2];
        if (number < node->repair->partition_count && key[3] == 0)
            load_list(node, loading, number, value);
        else if (number < node->repair->partition_count)
            load_tree(node, loading, number, key[3], value);
    }
    return engine_batch_delete(node->batch, name);
}

static kvorum_status load_store(struct node *node, struct engine *store)
{
    static const struct record_area trees = { "hash trees", "t", "u" };
    struct loading loading = { 0 };
    engine_batch_reset(node->batch);
    kvorum_status status = records_load(node, store, &trees, load_entry, &loading);
    if (status == KVORUM_OK && engine_batch_count(node->batch) > 0)
        status = replica_submit(node, store, node->batch, ENGINE_LOG, &nothing);
    return status;
}

void repair_check_kept(struct node *node)
{
    uint64_t kept = node->repair->kept_digest;
    node->repair->kept_digest = 0;
    node->repair->checked = true;
    if (kept != 0 && kept != property_table_digest(node))
        repair_forget_trees(node);
}

/* A tree whose record cannot be deleted must not be found again after the store has changed: then
 * nothing may be written, and the node does not start. */
kvorum_status repair_load(struct node *node)
{
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; status == KVORUM_OK && i < node->config.store_count; i++) {
        struct engine *store = node->config.stores[i];
        if (store != NULL && engine_can(store, ENGINE_DURABLE | ENGINE_ORDERED))
            status = load_store(node, store);
    }
    return status;
}
