/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

void check_reopened(struct history *history, const struct record *record, bool outdated,
                    uint64_t timeout_us)
{
    struct world *world = history->world;
    uint64_t passed_us = world->now_us - record->invoked_us;
    if (!outdated || passed_us >= timeout_us - timeout_us / 4)
        return;
    world_fail(
        world, "reopened",
        "operation %d (%s, key %u) failed with %s because of a newer epoch, %llu ms after it "
        "began, with a timeout of %llu ms",
        record->id, action_name(record->action), record->key, kvorum_status_name(record->status),
        (unsigned long long)passed_us / 1000, (unsigned long long)timeout_us / 1000);
}
