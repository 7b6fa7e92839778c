/* SPDX-License-Identifier: Apache-2.0 */
/* The pass in the background: every pair in turn, once in the hour; of two owners the earlier one
 * of the row begins. */
#include "node/repair/repair_internal.h"

enum { PAIR_US_MIN = 1000 };

static void pace(struct node *node)
{
    struct repair *repair = node->repair;
    repair->pass_total = repair_pair_count(node, true, 0);
    repair->pair_us = node->config.repair.pass_us / (repair->pass_total + 1);
    if (repair->pair_us < PAIR_US_MIN)
        repair->pair_us = PAIR_US_MIN;
    repair->paced_for = node->config.epoch->number;
}

/* One who owned nothing when the pass began, and owns his share by now, has more than one pair to
 * compare in the time of a pass. */
static void keep_pace(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair->paced_for == node->config.epoch->number)
        return;
    pace(node);
    if (repair->pass_us > node->now_us + repair->pair_us)
        repair->pass_us = node->now_us + repair->pair_us;
}

void repair_pass_tick(struct node *node)
{
    struct repair *repair = node->repair;
    struct replica_pair pair;
    keep_pace(node);
    if (repair->pass_paused || node->now_us < repair->pass_us || !exchanges_have_room(node))
        return;
    if (repair_pair_next(node, &repair->pass_partition, &repair->pass_slot, true, &pair)) {
        repair_pair_begin(node, &pair, 0);
        repair->pass_done++;
    } else {
        repair->passes++;
        repair->pass_done = 0;
        repair->ns = 0;
        repair->pass_partition = 0;
        repair->pass_slot = 0;
        pace(node);
    }
    repair->pass_us = node->now_us + repair->pair_us;
}

void repair_pass_pause(struct node *node, bool on)
{
    node->repair->pass_paused = on;
    repair_wake(node);
}
