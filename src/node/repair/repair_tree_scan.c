/* SPDX-License-Identifier: Apache-2.0 */
/* Computing the trees of a partition.  A scan holds one iterator, which shows the store as it was
 * when the scan began; what is written meanwhile is noted as always.  Its chunks are read by jobs,
 * with a pause after each. */
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub.h"

enum {
    CHUNK_ENTRIES = 2048,
    SCAN_PAUSE_US = 20 * 1000,
    SCAN_AGAIN_US = 1000 * 1000, /* after an error */
};

/* Leaves that are not known are dirty again. */
void repair_scan_end(struct node *node)
{
    struct tree_scan *scan = &node->repair->scan;
    struct repair_partition *partition = scan->partition;
    if (partition == NULL)
        return;
    for (struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        if (tree->tree.recomputing)
            hash_tree_abandoned(&tree->tree);
    scan->iterator = engine_iterator_close(scan->iterator);
    scan->dropped = scan->reading;
    scan->partition = NULL;
    scan->again_us = node->now_us + SCAN_AGAIN_US;
    if (!partition->scanned)
        repair_partition_drop(node, partition);
}

static void scan_complete(struct node *node)
{
    struct tree_scan *scan = &node->repair->scan;
    struct repair_partition *partition = scan->partition;
    for (struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        if (tree->tree.recomputing)
            hash_tree_recomputed(&tree->tree);
    scan->iterator = engine_iterator_close(scan->iterator);
    scan->partition = NULL;
    scan->next_us = node->now_us + SCAN_PAUSE_US;
    partition->scanned = true;
    partition->scanned_us = node->now_us;
    node->counters.repair_scans++;
    exchanges_hurry(node, partition->number);
}

/* False: no memory. */
static bool recall_run(struct node *node, const struct chunk *chunk, uint32_t run)
{
    struct repair_partition *partition = node->repair->scan.partition;
    const struct scanned_run *of = &chunk->runs[run];
    uint32_t end = run + 1 < chunk->run_count ? of[1].first : chunk->count;
    if (repair_run_is_old(node, of))
        return true;
    uint8_t n = repair_bucket_n(node, of->type, of->bucket);
    struct repair_tree *tree = repair_tree_find(partition, n);
    if (tree == NULL)
        tree = repair_tree_add(node, partition, n);
    for (uint32_t i = of->first; tree != NULL && i < end; i++)
        hash_tree_recall(&tree->tree, chunk->entries[i].key_hash, chunk->entries[i].digest);
    return tree != NULL;
}

static void scan_chunk_done(struct node *node, struct reading *reading)
{
    struct tree_scan *scan = &node->repair->scan;
    struct chunk *chunk = (struct chunk *)reading;
    assert(scan->partition != NULL || scan->dropped);
    bool fine = reading->status == KVORUM_OK, dropped = scan->dropped;
    scan->reading = scan->dropped = false;
    node->counters.disk_errors += !fine;
    if (reading->status == KVORUM_CORRUPT)
        scrub_on_corrupt_partition(node, chunk->partition);
    node->counters.repair_scanned_keys += chunk->looked_at;
    if (!dropped) {
        scan->iterator = chunk->iterator;
        chunk->iterator = NULL;
        for (uint32_t run = 0; fine && run < chunk->run_count; run++)
            fine = recall_run(node, chunk, run);
        scan->next_us = node->now_us + (scan->partition->urgent ? 0 : SCAN_PAUSE_US);
        if (!fine)
            repair_scan_end(node);
        else if (chunk->next.size == 0)
            scan_complete(node);
    }
    reading_close(reading);
    repair_wake(node);
}

static void want_leaves(const struct repair_partition *partition, struct leaf_set *ret)
{
    if (!partition->scanned)
        memset(ret, 0xff, sizeof(*ret));
    for (const struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        for (size_t i = 0; i < HASH_TREE_WORDS; i++)
            ret->words[i] |= tree->tree.wanted.words[i];
}

static void scan_chunk(struct node *node)
{
    struct tree_scan *scan = &node->repair->scan;
    assert(scan->partition != NULL);
    struct chunk *chunk = chunk_open(node, scan->partition->number, scan_chunk_done);
    if (chunk == NULL) {
        repair_scan_end(node);
        return;
    }
    chunk->held = true;
    chunk->begun = scan->begun;
    chunk->iterator = scan->iterator;
    chunk->entries_max = CHUNK_ENTRIES;
    want_leaves(scan->partition, &chunk->wanted);
    scan->iterator = NULL;
    scan->begun = scan->reading = true;
    chunk_start(node, chunk);
}

static void scan_begin(struct node *node, struct repair_partition *partition)
{
    struct tree_scan *scan = &node->repair->scan;
    struct chunk *range = chunk_open(node, partition->number, NULL);
    if (range == NULL)
        return;
    struct engine_range all = { .lower = range->lower, .upper = range->upper };
    kvorum_status status = engine_iterate(range->store, &all, &scan->iterator);
    reading_close(&range->reading);
    if (status != KVORUM_OK) {
        node->counters.disk_errors++;
        scan->again_us = node->now_us + SCAN_AGAIN_US;
        return;
    }
    if (!partition->scanned)
        repair_partition_drop(node, partition); /* what is here is of a scan that failed */
    for (struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        if (tree->tree.dirty_count > 0)
            hash_tree_recompute(&tree->tree);
    scan->partition = partition;
    scan->begun = false;
    scan_chunk(node);
}

void repair_scan_tick(struct node *node)
{
    struct repair *repair = node->repair;
    struct tree_scan *scan = &repair->scan;
    if (scan->reading || node->now_us < repair_scan_due_us(node))
        return;
    if (scan->partition != NULL) {
        scan_chunk(node);
        return;
    }
    struct list *item = list_take_first(&repair->scans_due);
    list_init(item);
    scan_begin(node, LIST_ENTRY(item, struct repair_partition, queue));
}

uint64_t repair_scan_due_us(const struct node *node)
{
    const struct repair *repair = node->repair;
    const struct tree_scan *scan = &repair->scan;
    if (scan->reading || (scan->partition == NULL && list_empty(&repair->scans_due)))
        return UINT64_MAX;
    if (scan->partition != NULL)
        return scan->next_us;
    bool urgent = LIST_ENTRY(repair->scans_due.next, struct repair_partition, queue)->urgent;
    return urgent || scan->next_us < scan->again_us ? scan->again_us : scan->next_us;
}
