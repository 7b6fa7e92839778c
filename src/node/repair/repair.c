/* SPDX-License-Identifier: Apache-2.0 */
/* Anti-entropy begins and ends with the shard, looks around once a second, and has one timer.  When
 * is which pair of replicas compared?
 *
 *      at once        a suspicion: a read found a difference, a member came back
 *      as it goes     what somebody asked for (node_repair): pair after pair
 *      in the hour    every pair in turn */
#include "node/repair/repair_internal.h"

enum {
    PASS_US = 60 * 60 * 1000, /* times 1000 */
    SETTLE_US = 3 * 1000 * 1000,
    SUSPECT_US = 60 * 1000 * 1000,
    LOOK_US = 1000 * 1000,
    LOOK_PARTITIONS = 64,
};

static const uint64_t refresh_default_us = UINT64_C(7) * 24 * 60 * 60 * 1000 * 1000;

static void apply_defaults(struct node_repair_config *config)
{
    if (config->pass_us == 0)
        config->pass_us = PASS_US * UINT64_C(1000);
    if (config->settle_us == 0)
        config->settle_us = SETTLE_US;
    if (config->suspect_us == 0)
        config->suspect_us = SUSPECT_US;
    if (config->refresh_us == 0)
        config->refresh_us = refresh_default_us;
}

/* --- looking around --------------------------------------------------------------------------- */

static void look_at_members(struct node *node)
{
    struct repair *repair = node->repair;
    for (uint16_t i = 0; i < node->config.epoch->member_count && i < RING_MEMBERS_MAX; i++) {
        bool away = !placement_reachable(node, i);
        if (repair->away[i] && !away)
            repair_on_return(node, i);
        repair->away[i] = away;
    }
}

static bool is_ours(struct node *node, uint32_t partition)
{
    return placement_store(node, partition) != NULL &&
           repair_place(node, partition, (uint8_t)(31 - __builtin_clz(repair_ns(node))),
                        node->config.self) >= 0;
}

/* Some at a time: those never scanned, and those scanned long ago. */
static void look_at_partitions(struct node *node)
{
    struct repair *repair = node->repair;
    if (!list_empty(&repair->scans_due))
        return;
    for (int i = 0; i < LOOK_PARTITIONS; i++) {
        uint32_t number = repair->refresh_partition++ % repair->partition_count;
        struct repair_partition *partition =
            is_ours(node, number) ? repair_partition(node, number) : NULL;
        if (partition == NULL || repair->scan.partition == partition)
            continue;
        if (!partition->scanned)
            repair_want_scan(node, partition, false);
        else if (node->now_us - partition->scanned_us >= node->config.repair.refresh_us)
            repair_refresh(node, number);
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t due_us(const struct node *node)
{
    const struct repair *repair = node->repair;
    uint64_t next_us = least(repair->look_us, repair_scan_due_us(node));
    next_us = least(next_us, exchanges_due_us(node));
    next_us = least(next_us, repair_suspects_due_us(node));
    if (!exchanges_have_room(node))
        return next_us;
    next_us = least(next_us, repair_demand_due_us(node));
    return repair->pass_paused ? next_us : least(next_us, repair->pass_us);
}

void repair_wake(struct node *node)
{
    uint64_t next_us = due_us(node);
    if (node->repair_timer.place != 0 && node->repair_timer.key == next_us)
        return;
    heap_remove(&node->timers, &node->repair_timer);
    (void)heap_insert(&node->timers, &node->repair_timer, next_us);
}

void repair_tick(struct node *node)
{
    struct repair *repair = node->repair;
    if (!node->ready || node->config.epoch->member_count == 1) {
        (void)heap_insert(&node->timers, &node->repair_timer, node->now_us + LOOK_US);
        return;
    }
    if (!repair->checked)
        repair_check_kept(node);
    repair_compare_rebuilt(node);
    if (node->now_us >= repair->look_us) {
        look_at_members(node);
        look_at_partitions(node);
        repair->look_us = node->now_us + LOOK_US;
    }
    repair_scan_tick(node);
    exchanges_tick(node);
    repair_suspects_tick(node);
    repair_demand_tick(node);
    repair_pass_tick(node);
    repair_wake(node);
}

/* --- another epoch ---------------------------------------------------------------------------- */

void repair_on_adopted(struct node *node, uint64_t former)
{
    struct repair *repair = node->repair;
    if (repair == NULL)
        return;
    for (uint32_t p = 0; p < repair->partition_count; p++)
        if (repair->partitions[p] != NULL)
            repair->partitions[p]->settled_count = 0; /* it names slots */
    exchanges_end_outdated(node, former);
}

/* --- opening -------------------------------------------------------------------------------- */

kvorum_status repair_open(struct node *node)
{
    struct repair *repair = calloc(1, sizeof(*repair));
    if (repair == NULL)
        return KVORUM_NO_MEMORY;
    node->repair = repair;
    list_init(&repair->scans_due);
    list_init(&repair->exchanges);
    list_init(&repair->suspects);
    arena_init(&repair->demand.arena, NODE_TYPE_SIZE_MAX + NODE_BUCKET_SIZE_MAX + 4096);
    apply_defaults(&node->config.repair);
    repair->seed = hash_tree_seed(node->config.epoch);
    repair->partition_count = node->config.epoch->partition_count;
    repair->partitions = calloc(repair->partition_count, sizeof(struct repair_partition *));
    repair->away = calloc(RING_MEMBERS_MAX, sizeof(*repair->away));
    if (repair->partitions == NULL || repair->away == NULL ||
        !heap_insert(&node->timers, &node->repair_timer, node->now_us + LOOK_US))
        return KVORUM_NO_MEMORY;
    repair->look_us = node->now_us + LOOK_US;
    repair->pass_partition = repair->partition_count; /* the first pass is counted when ready */
    repair->pass_us = node->now_us + LOOK_US;
    return repair_load(node);
}

void repair_close(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair == NULL)
        return;
    repair_scan_end(node);
    exchanges_close(node);
    if (repair->partitions != NULL)
        repair_trees_free(node);
    arena_done(&repair->demand.arena);
    free(repair->partitions);
    free(repair->away);
    free(repair);
    node->repair = NULL;
}
