/* SPDX-License-Identifier: Apache-2.0 */
/* Counted by itself: from the founding's table and the members' labels, zone by zone. */
#include "base/planted.h"
#include "sim/checkers/checkers.h"

struct zone_count {
    uint16_t owners, hold;
};

static struct zone_count count_zone(struct cluster *cluster, struct history *history,
                                    const struct record *write, const uint16_t *owners,
                                    uint16_t count, const char *zone)
{
    struct zone_count found = { 0 };
    for (uint16_t i = 0; i < count; i++) {
        if (strcmp(cluster->epoch.members[owners[i]].zone, zone) != 0)
            continue;
        found.owners++;
        found.hold += disk_holds(history, write, &cluster->processes[owners[i]]);
    }
    return found;
}

static void check_zone(struct cluster *cluster, struct history *history, const struct record *write,
                       const uint16_t *owners, uint16_t count, const char *zone)
{
    struct zone_count found = count_zone(cluster, history, write, owners, count, zone);
    if (2 * found.hold > found.owners || maybe_collected(history, write))
        return;
    if (!write->version_known) { /* as in durable.c */
        PROBE("checker: zones of an unseen write could not be judged");
        return;
    }
    world_fail(cluster->world, "zones",
               "operation %d (key %u) was acknowledged for zone %s while %u of its %u owners there "
               "hold it",
               write->id, write->key, zone, found.hold, found.owners);
}

void check_zones(struct cluster *cluster, struct history *history, const struct record *write,
                 uint32_t level, uint16_t member)
{
    const struct epoch *epoch = &cluster->epoch;
    char key[SIM_KEY_SIZE];
    uint16_t owners[RING_OWNERS_MAX];
    history_key(write->key, key);
    uint32_t partition =
        ring_partition_of_hash(epoch, ring_hash(epoch, BYTES_LITERAL("default"),
                                                BYTES_LITERAL(SIM_BUCKET), bytes_of_string(key)));
    uint16_t count = ring_preference(epoch, partition, owners, (uint16_t)cluster->plan->levels.n);
    if (level == LEVEL_LOCAL_QUORUM) {
        check_zone(cluster, history, write, owners, count, epoch->members[member].zone);
        return;
    }
    for (uint16_t i = 0; i < count; i++)
        check_zone(cluster, history, write, owners, count, epoch->members[owners[i]].zone);
}
