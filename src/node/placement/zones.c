/* SPDX-License-Identifier: Apache-2.0 */
/* Zones of a request: whom to ask first, and what levels by zone mean for this key.
 *
 * The zone of the coordinator is that of the member a client asked: a write goes on to an owner of
 * the same zone (forward.c), and without one there the level is impossible. */
#include "base/planted.h"
#include "cluster/replication/targets.h"
#include "node/internal.h"

bool zones_is_near(const struct node *node, uint16_t member)
{
    const struct member *members = node->config.epoch->members;
    return member == node->config.self ||
           strcmp(members[member].zone, members[node->config.self].zone) == 0;
}

/* --- nearest first -------------------------------------------------------------------------- */

static int distance(const struct node *node, const struct target *target)
{
    if (target->local)
        return 0;
    if (target->address.member == node->config.self)
        return 1;
    return zones_is_near(node, target->address.member) ? 2 : 3;
}

void zones_order(const struct node *node, struct request *request)
{
    int distances[TARGETS_MAX];
    struct target *targets = request->targets;
    distances[0] = distance(node, &targets[0]);
    for (uint8_t i = 1; i < request->places; i++) {
        struct target target = targets[i];
        int own = distance(node, &target);
        uint8_t at = i;
        for (; at > 0 && distances[at - 1] > own; at--) {
            targets[at] = targets[at - 1];
            distances[at] = distances[at - 1];
        }
        targets[at] = target;
        distances[at] = own;
    }
}

/* --- who stands where ----------------------------------------------------------------------- */

/* Zones get their numbers in the order in which they turn up among the owners. */
static uint8_t zone_index(const struct node *node, uint16_t member, uint16_t *firsts,
                          struct target_zones *zones)
{
    const struct member *members = node->config.epoch->members;
    uint8_t at = 0;
    while (at < zones->count && strcmp(members[firsts[at]].zone, members[member].zone) != 0)
        at++;
    if (at == zones->count)
        firsts[zones->count++] = member;
    return at;
}

/* `ret_firsts`: by zone, a member that stands there. */
static void fill(const struct node *node, const struct request *request, uint16_t *ret_firsts,
                 struct target_zones *ret)
{
    bool moving = request->other_set != 0;
    *ret = (struct target_zones){ .local = ZONE_NOWHERE };
    for (uint8_t i = 0; i < request->places; i++) {
        uint16_t owner = target_owner(&request->targets[i]);
        uint8_t at = zone_index(node, owner, ret_firsts, ret);
        struct target_zone *zone = &ret->zones[at];
        if (!request->targets[i].stand_in)
            zone->owners |= target_bit(i);
        zone->places += !moving || (request->set & target_bit(i)) != 0;
        zone->other_places += (request->other_set & target_bit(i)) != 0;
        if (zones_is_near(node, owner))
            ret->local = at;
    }
}

static bool is_zoned(const struct request *request)
{
    return quorum_is_zoned(&request->quorum) ||
           (request->other_set != 0 && quorum_is_zoned(&request->other));
}

const struct target_zones *zones_fill(const struct node *node, struct request *request)
{
    uint16_t firsts[TARGETS_MAX];
    if (!is_zoned(request))
        return NULL;
    fill(node, request, firsts, &request->zones);
    return &request->zones;
}

/* --- what a level means --------------------------------------------------------------------- */

enum { LEVELS_MAX = 3 };

struct zoned_level {
    const char *name;
    uint8_t *number, *zones;
};

/* A write asks nothing of r, nor a read of w. */
static uint8_t levels_of(const struct request *request, struct quorum *quorum,
                         struct zoned_level ret[LEVELS_MAX])
{
    struct level_zones *zones = &quorum->zones;
    if (request->kind == REQUEST_GET) {
        ret[0] = (struct zoned_level){ "r", &quorum->r, &zones->r };
        ret[1] = (struct zoned_level){ "pr", &quorum->pr, &zones->pr };
        return 2;
    }
    ret[0] = (struct zoned_level){ "w", &quorum->w, &zones->w };
    ret[1] = (struct zoned_level){ "dw", &quorum->dw, &zones->dw };
    ret[2] = (struct zoned_level){ "pw", &quorum->pw, &zones->pw };
    return 3;
}

static void raise(uint8_t *number, uint8_t least)
{
    if (*number < least)
        *number = least;
}

/* Without an owner of the other set in the zone of the coordinator a quorum of all of them is
 * needed: some of them must have the write when those of the one set forget it. */
static void resolve_other(struct request *request, const struct target_zones *zones)
{
    struct zoned_level levels[LEVELS_MAX];
    uint8_t count = levels_of(request, &request->other, levels);
    for (uint8_t i = 0; i < count; i++) {
        uint8_t least = zones_least(zones, *levels[i].zones, true);
        if (*levels[i].zones == ZONE_LEVEL_LOCAL && least == 0) {
            PROBE("node: a local quorum of owners that are all elsewhere");
            *levels[i].zones = ZONE_LEVEL_NONE;
            least = request->other.n / 2 + 1;
        }
        raise(levels[i].number, least);
    }
}

kvorum_status zones_resolve(struct node *node, struct request *request, const char **ret_level,
                            const char **ret_reason)
{
    uint16_t firsts[TARGETS_MAX] = { 0 };
    struct target_zones zones;
    struct zoned_level levels[LEVELS_MAX];
    if (!is_zoned(request))
        return KVORUM_OK;
    fill(node, request, firsts, &zones);
    uint8_t count = levels_of(request, &request->quorum, levels);
    for (uint8_t i = 0; i < count; i++) {
        uint8_t least = zones_least(&zones, *levels[i].zones, false);
        raise(levels[i].number, least);
        if (*levels[i].zones == ZONE_LEVEL_NONE || least > 0)
            continue;
        *ret_level = levels[i].name;
        *ret_reason = reason_printf(
            node,
            "%s=%s cannot be met: none of the %u replicas of %s is in zone %s, where this node "
            "is. Next: ask a node of another zone, or use quorum or each_quorum",
            levels[i].name, zone_level_word(*levels[i].zones), request->quorum.n,
            reason_key(node, &request->address),
            node->config.epoch->members[node->config.self].zone);
        return KVORUM_QUORUM_IMPOSSIBLE;
    }
    if (request->other_set != 0)
        resolve_other(request, &zones);
    return KVORUM_OK;
}

bool zones_must_be_near(const struct request *request)
{
    const struct level_zones *zones = &request->quorum.zones;
    return zones->w == ZONE_LEVEL_LOCAL || zones->dw == ZONE_LEVEL_LOCAL ||
           zones->pw == ZONE_LEVEL_LOCAL;
}

/* --- for people ----------------------------------------------------------------------------- */

static uint8_t level_of(const struct quorum *quorum, const char *name)
{
    const struct {
        const char *name;
        uint8_t level;
    } levels[] = { { "r", quorum->zones.r },
                   { "pr", quorum->zones.pr },
                   { "w", quorum->zones.w },
                   { "dw", quorum->zones.dw },
                   { "pw", quorum->zones.pw } };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(levels[i].name, name) == 0)
            return levels[i].level;
    return ZONE_LEVEL_NONE;
}

static uint32_t answers_to(const struct request *request, const char *level)
{
    if (request->kind == REQUEST_GET)
        return request->get.answered;
    if (request->kind != REQUEST_PUT)
        return 0; /* it never began */
    return strcmp(level, "dw") == 0 ? request->put.durable : request->put.acked;
}

/* Who may yet answer. */
static uint32_t open_to(struct node *node, const struct request *request)
{
    uint32_t open = 0;
    for (uint8_t i = 0; i < request->target_count; i++)
        if (placement_reachable(node, request->targets[i].address.member))
            open |= target_bit(i);
    if (request->kind == REQUEST_GET)
        open &= ~(request->get.failed | request->get.unreachable);
    if (request->kind == REQUEST_PUT)
        open &= ~(request->put.failed | request->put.unreachable);
    return open;
}

/* What is told of a request: of one set, zones that lack answers, or that lack whoever could give
 * them. */
struct lack {
    struct node *node;
    const struct target_zones *zones;
    const uint16_t *firsts; /* by zone: a member there */
    struct buffer *text;
    uint32_t answered;
};

/*  zone b lacks 1 answer (0 of 1 replicas answered, 1 needed); zone c ... */
static bool append_set(const struct lack *lack, uint8_t level, bool other, uint32_t open)
{
    const char *separator = "";
    for (uint8_t i = 0; i < lack->zones->count; i++) {
        const struct target_zone *zone = &lack->zones->zones[i];
        uint8_t need = zone_need(zone, other);
        uint8_t have = target_count_of(lack->answered & zone->owners);
        if (!zone_counts(lack->zones, level, other, i) ||
            target_count_of((lack->answered | open) & zone->owners) >= need)
            continue;
        buffer_printf(
            lack->text, "%szone %s lacks %u answer%s (%u of %u replicas answered, %u needed)",
            separator, lack->node->config.epoch->members[lack->firsts[i]].zone, need - have,
            need - have == 1 ? "" : "s", have, zone_places(zone, other), need);
        separator = "; ";
    }
    return separator[0] != 0;
}

/* Of either set. */
static bool append_sets(const struct lack *lack, const struct request *request, const char *level,
                        uint32_t open)
{
    bool moving = request->other_set != 0;
    struct lack one = *lack, other = *lack;
    if (moving) {
        one.answered &= request->set;
        other.answered &= request->other_set;
    }
    if (append_set(&one, level_of(&request->quorum, level), false, open))
        return true;
    if (!moving || !append_set(&other, level_of(&request->other, level), true, open))
        return false;
    buffer_printf(lack->text, " of the other owners, while the partition moves");
    return true;
}

bool zones_append_lacking(struct node *node, const struct request *request, const char *level,
                          struct buffer *text)
{
    uint16_t firsts[TARGETS_MAX] = { 0 };
    struct target_zones zones;
    uint8_t one = level_of(&request->quorum, level);
    if (!is_zoned(request))
        return false;
    fill(node, request, firsts, &zones);
    const struct lack lack = { node, &zones, firsts, text, answers_to(request, level) };
    bool lacks = append_sets(&lack, request, level, open_to(node, request)) ||
                 append_sets(&lack, request, level, 0);
    if (lacks)
        buffer_printf(
            text, " (%s=%s)", level,
            zone_level_word(one != ZONE_LEVEL_NONE ? one : level_of(&request->other, level)));
    return lacks;
}
