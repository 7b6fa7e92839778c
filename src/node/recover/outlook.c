/* SPDX-License-Identifier: Apache-2.0 */
/* Three shapes of the cluster are compared: before, while partitions move, and once they have. */
#include "node/recover/outlook.h"

#include <stdio.h>
#include <string.h>

#include "cluster/epoch/change.h"

enum { LEVELS = 6, ZONED_LEVELS = 5, NAMES_MAX = 32 };

/* One bucket's levels on their way through the checks. */
struct judging {
    const struct outlook *outlook;
    const struct quorum_levels *levels;
    uint8_t n;
    void (*find)(void *context, enum outlook_kind kind, const char *text);
    void *context;
};

/* A level by itself: the others are asked about by themselves too. */
struct level {
    const char *name;
    uint32_t value;
    bool reads;
    struct quorum_levels alone;
};

const char *outlook_kind_name(enum outlook_kind kind)
{
    static const char *const names[] = {
        [OUTLOOK_LOST] = "lost",       [OUTLOOK_DOUBTFUL] = "doubtful", [OUTLOOK_COPIES] = "copies",
        [OUTLOOK_COLUMNS] = "columns", [OUTLOOK_LEVEL] = "level",       [OUTLOOK_MOVING] = "moving",
        [OUTLOOK_ZONE] = "zone",       [OUTLOOK_UNSEEN] = "more",
    };
    return names[kind];
}

void outlook_init(struct outlook *ret, const struct epoch *base, const struct epoch *next,
                  uint16_t *table, const bool *lost, struct arena *arena)
{
    uint16_t active = 0;
    for (uint16_t i = 0; i < next->member_count; i++)
        active += next->members[i].state == MEMBER_ACTIVE;
    *ret = (struct outlook){
        .base = base, .next = next, .lost = lost, .after = *next, .arena = arena
    };
    ret->after.table = table;
    ret->after.move_count = 0;
    ret->columns = active < next->replicas_wanted ? (uint8_t)active : next->replicas_wanted;
}

/* --- owners --------------------------------------------------------------------------------- */

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* Partitions with fewer owners than `wanted`: of whom reads ask, and those whom writes need too. */
static uint32_t count_short(const struct epoch *epoch, bool reads, uint8_t wanted)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const struct move *move = reads ? NULL : ring_move_of(epoch, p);
        uint8_t owners = ring_owner_limit_of_row(epoch, ring_read_row(epoch, p));
        if (move != NULL)
            owners = least(least(owners, ring_owner_limit_of_row(epoch, move->to)),
                           ring_owner_limit_of_row(epoch, ring_row(epoch, p)));
        count += owners < wanted;
    }
    return count;
}

/* Of the partition with the fewest. */
static uint8_t least_owners(const struct epoch *epoch)
{
    uint8_t owners = RING_OWNERS_MAX;
    for (uint32_t p = 0; p < epoch->partition_count; p++)
        owners = least(owners, ring_owner_limit_of_row(epoch, ring_read_row(epoch, p)));
    return owners;
}

/* --- copies --------------------------------------------------------------------------------- */

static void judge_data(const struct judging *j)
{
    const struct outlook *o = j->outlook;
    struct change_copies copies;
    change_count_copies(o->base, o->lost, j->n, &copies);
    if (copies.none > 0)
        j->find(j->context, OUTLOOK_LOST,
                arena_printf(o->arena,
                             "no copy is left (n=%u) of %u of %u partitions: everything is lost "
                             "there but what is kept as hints; they begin empty",
                             j->n, copies.none, o->base->partition_count));
    if (copies.minority > 0)
        j->find(j->context, OUTLOOK_DOUBTFUL,
                arena_printf(o->arena,
                             "less than a majority of the copies is left (n=%u) of %u of %u "
                             "partitions: a write that was acknowledged may have been on the lost "
                             "nodes only",
                             j->n, copies.minority, o->base->partition_count));
}

static void judge_copies(const struct judging *j)
{
    const struct outlook *o = j->outlook;
    uint8_t before = least(j->n, least_owners(o->base));
    uint8_t after = least(j->n, least_owners(&o->after));
    if (after < before)
        j->find(j->context, OUTLOOK_COPIES,
                arena_printf(o->arena,
                             "n=%u, and %u node%s left to own anything: each key has %u cop%s "
                             "until nodes are added, and levels above are lowered to that where "
                             "the bucket is sloppy",
                             j->n, after, after == 1 ? " is" : "s are", after,
                             after == 1 ? "y" : "ies"));
    if (after > o->columns)
        j->find(j->context, OUTLOOK_COLUMNS,
                arena_printf(o->arena,
                             "n=%u is above the %u column%s of the table: owners beyond them are "
                             "others now, what only those before held may not be found, and no "
                             "commit can move partitions while this is so",
                             j->n, o->columns, o->columns == 1 ? "" : "s"));
}

/* --- levels that are numbers ------------------------------------------------------------------ */

static struct level make_level(const struct judging *j, const char *name, size_t at, bool reads)
{
    struct level ret = { .name = name, .reads = reads };
    memcpy(&ret.value, (const uint8_t *)j->levels + at, sizeof(ret.value));
    quorum_levels_init(&ret.alone);
    ret.alone.n = j->n;
    ret.alone.sloppy = j->levels->sloppy;
    memcpy((uint8_t *)&ret.alone + at, &ret.value, sizeof(ret.value));
    return ret;
}

/* Those that know zones come first. */
static void list_levels(const struct judging *j, struct level ret[LEVELS])
{
    ret[0] = make_level(j, "r", offsetof(struct quorum_levels, r), true);
    ret[1] = make_level(j, "w", offsetof(struct quorum_levels, w), false);
    ret[2] = make_level(j, "dw", offsetof(struct quorum_levels, dw), false);
    ret[3] = make_level(j, "pr", offsetof(struct quorum_levels, pr), true);
    ret[4] = make_level(j, "pw", offsetof(struct quorum_levels, pw), false);
    ret[5] = make_level(j, "node_confirms", offsetof(struct quorum_levels, node_confirms), false);
}

static bool can_meet(const struct level *level, uint8_t owners)
{
    struct quorum_levels asked;
    struct quorum quorum;
    const char *name;
    quorum_levels_init(&asked);
    return quorum_resolve(&asked, &level->alone, owners, &quorum, &name) == KVORUM_OK;
}

/* How many owners the level cannot do without; 0: it cannot be met by any number. */
static uint8_t owners_needed(const struct level *level)
{
    for (uint8_t owners = 1; owners <= REPLICAS_MAX; owners++)
        if (can_meet(level, owners))
            return owners;
    return 0;
}

static void judge_number(const struct judging *j, const struct level *level)
{
    const struct outlook *o = j->outlook;
    uint8_t needed = owners_needed(level);
    if (needed <= 1 || count_short(o->base, level->reads, needed) > 0)
        return;
    uint32_t after = count_short(&o->after, level->reads, needed);
    uint32_t during = count_short(o->next, level->reads, needed);
    const char *requests = level->reads ? "reads" : "writes";
    if (after > 0)
        j->find(j->context, OUTLOOK_LEVEL,
                arena_printf(o->arena,
                             "%s=%u needs %u owners, and %u of %u partitions have fewer: such %s "
                             "are refused until nodes are added, or the level is lowered",
                             level->name, level->value, needed, after, o->after.partition_count,
                             requests));
    else if (during > 0)
        j->find(j->context, OUTLOOK_MOVING,
                arena_printf(o->arena,
                             "%s=%u needs %u owners, and %u of %u partitions have fewer until they "
                             "have moved: such %s are refused there so long",
                             level->name, level->value, needed, during, o->next->partition_count,
                             requests));
}

/* --- levels by zone --------------------------------------------------------------------------- */

static bool stands_in(const struct epoch *epoch, uint16_t slot, const char *zone)
{
    return epoch->members[slot].state != MEMBER_GONE &&
           strcmp(epoch->members[slot].zone, zone) == 0;
}

static bool has_node(const struct epoch *epoch, const char *zone)
{
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (stands_in(epoch, i, zone))
            return true;
    return false;
}

/* Partitions without a copy in the zone. */
static uint32_t count_without(const struct epoch *epoch, uint8_t n, const char *zone)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t owners[RING_OWNERS_MAX], found = 0;
        const uint16_t *row = ring_read_row(epoch, p);
        uint8_t limit = ring_owner_limit_of_row(epoch, row);
        uint16_t size = ring_preference_of_row(epoch, p, row, owners, least(n, limit));
        for (uint16_t i = 0; i < size; i++)
            found += stands_in(epoch, owners[i], zone);
        count += found == 0;
    }
    return count;
}

static void judge_zone(const struct judging *j, const char *zone, const char *local,
                       const char *each)
{
    const struct outlook *o = j->outlook;
    if (!has_node(o->next, zone)) {
        if (*each != '\0')
            j->find(j->context, OUTLOOK_ZONE,
                    arena_printf(o->arena,
                                 "%s=each_quorum goes without zone %s, of which no node is left",
                                 each, zone));
        return;
    }
    if (*local == '\0')
        return;
    uint32_t before = count_without(o->base, j->n, zone);
    uint32_t after = count_without(&o->after, j->n, zone);
    uint32_t during = count_without(o->next, j->n, zone);
    if (after > before)
        j->find(j->context, OUTLOOK_LEVEL,
                arena_printf(o->arena,
                             "%s=local_quorum cannot be met in zone %s for %u of %u partitions, "
                             "which have no copy there",
                             local, zone, after, o->after.partition_count));
    else if (during > before)
        j->find(j->context, OUTLOOK_MOVING,
                arena_printf(o->arena,
                             "%s=local_quorum cannot be met in zone %s for %u of %u partitions "
                             "until they have moved",
                             local, zone, during, o->next->partition_count));
}

/* "r, w" */
static void name_levels(const struct level *levels, uint32_t value, char ret[NAMES_MAX])
{
    size_t size = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < ZONED_LEVELS; i++)
        if (levels[i].value == value)
            size += (size_t)snprintf(ret + size, NAMES_MAX - size, "%s%s", size == 0 ? "" : ", ",
                                     levels[i].name);
}

static bool is_first_of_its_zone(const struct epoch *epoch, uint16_t slot)
{
    for (uint16_t i = 0; i < slot; i++)
        if (stands_in(epoch, i, epoch->members[slot].zone))
            return false;
    return epoch->members[slot].state != MEMBER_GONE;
}

static void judge_zones(const struct judging *j, const struct level *levels)
{
    const struct epoch *base = j->outlook->base;
    char local[NAMES_MAX], each[NAMES_MAX];
    name_levels(levels, LEVEL_LOCAL_QUORUM, local);
    name_levels(levels, LEVEL_EACH_QUORUM, each);
    if (*local == '\0' && *each == '\0')
        return;
    for (uint16_t i = 0; i < base->member_count; i++)
        if (is_first_of_its_zone(base, i))
            judge_zone(j, base->members[i].zone, local, each);
}

/* --- all of it ------------------------------------------------------------------------------ */

static bool is_number(uint32_t level)
{
    return level < LEVEL_EACH_QUORUM;
}

void outlook_judge(const struct outlook *outlook, const struct quorum_levels *levels,
                   void (*find)(void *context, enum outlook_kind kind, const char *text),
                   void *context)
{
    uint32_t n = levels->n == 0 ? REPLICAS_DEFAULT : levels->n;
    const struct judging j = { outlook, levels, (uint8_t)(n < REPLICAS_MAX ? n : REPLICAS_MAX),
                               find, context };
    struct level list[LEVELS];
    list_levels(&j, list);
    judge_data(&j);
    judge_copies(&j);
    for (size_t i = 0; i < LEVELS; i++)
        if (is_number(list[i].value))
            judge_number(&j, &list[i]);
    judge_zones(&j, list);
}
