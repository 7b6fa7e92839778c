/* SPDX-License-Identifier: Apache-2.0 */
/* After every event: settle which answers stand and which digests are still missing in full, then
 * ask whether the levels are met, or can still be. */
#include "cluster/replication/get.h"

#include <assert.h>

#include "cluster/replication/targets.h"

#define MOVE(state) (1u << (state))

static const uint8_t moves[] = {
    [GET_NEW] = MOVE(GET_WAITING),
    [GET_WAITING] = MOVE(GET_FETCHING) | MOVE(GET_REPLIED),
    [GET_FETCHING] = MOVE(GET_WAITING) | MOVE(GET_REPLIED), /* WAITING: an answer became void */
    [GET_REPLIED] = MOVE(GET_FINISHED),
    [GET_FINISHED] = 0,
};

static void move(struct get *get, enum get_state to)
{
    if (get->state == to)
        return;
    assert((moves[get->state] & MOVE(to)) != 0);
    get->state = to;
}

static bool levels_met_by(const struct get *get, uint32_t answered)
{
    const struct quorum *quorum = &get->quorum;
    return target_count_of(answered) >= quorum->r &&
           target_count_of(answered) >= quorum->node_confirms &&
           target_count_of(answered & get->owners) >= quorum->pr &&
           zones_met_by(get->zones, quorum->zones.r, false, answered) &&
           zones_met_by(get->zones, quorum->zones.pr, false, answered);
}

static uint32_t counted(const struct get *get)
{
    return get->quorum.notfound_ok ? get->answered : get->answered & ~get->not_found;
}

static uint32_t open_targets(const struct get *get)
{
    return get->asked & ~get->answered & ~get->failed;
}

/* Spares count only while something may still fail, since only a failure calls them. */
static bool is_possible(const struct get *get)
{
    uint32_t hoped = open_targets(get);
    if (get->quorum.sloppy && hoped != 0)
        hoped |= targets_spare(get->next_spare, get->target_count, get->unreachable);
    return levels_met_by(get, counted(get) | hoped);
}

/* Answered targets with the same digest as `target`. */
static uint32_t holders(const struct get *get, uint8_t target)
{
    uint32_t found = 0;
    for (uint8_t i = 0; i < get->target_count; i++) {
        if ((get->answered & target_bit(i)) != 0 && get->digests[i] == get->digests[target])
            found |= target_bit(i);
    }
    return found;
}

/* Answers whose digest nobody has sent in full, and what to do about them. */
struct missing {
    uint32_t holders; /* these answers */
    uint32_t ask;     /* one holder of each digest that nobody was asked for yet */
    uint32_t lost;    /* all holders failed: these answers are void */
};

static struct missing find_missing(const struct get *get)
{
    struct missing missing = { 0 };
    uint32_t seen = 0;
    for (uint8_t i = 0; i < get->target_count; i++) {
        if ((get->answered & ~seen & target_bit(i)) == 0)
            continue;
        uint32_t same = holders(get, i);
        uint32_t alive = same & ~get->failed;
        seen |= same;
        if ((same & get->full) != 0)
            continue;
        if (alive == 0)
            missing.lost |= same;
        else
            missing.holders |= same;
        if ((alive & get->asked_full) == 0)
            missing.ask |= alive & -alive;
    }
    return missing;
}

static void replace_by_spares(struct get *get, uint8_t count, uint64_t now_us,
                              struct get_effects *ret)
{
    if (!get->quorum.sloppy || now_us >= get->deadline_us || get->state == GET_REPLIED)
        return;
    for (uint8_t i = 0; i < count; i++) {
        uint32_t spare = targets_take_spare(&get->next_spare, get->target_count, get->unreachable);
        get->asked |= spare;
        ret->ask_digest |= spare;
    }
}

static void start(struct get *get, uint64_t now_us, struct get_effects *ret)
{
    assert(get->quorum.n >= 1 && get->target_count <= REPLICAS_MAX);
    move(get, GET_WAITING);
    get->asked =
        targets_choose(&get->quorum, get->target_count, get->unreachable, &get->next_spare);
    if (!is_possible(get) || now_us >= get->deadline_us)
        get->asked = 0;
    get->asked_full = get->asked & -get->asked; /* the lowest */
    ret->ask_full = get->asked_full;
    ret->ask_digest = get->asked & ~get->asked_full;
}

static void answer(struct get *get, const struct get_event *event)
{
    uint32_t target = target_bit(event->target) & get->asked;
    bool is_whole = event->full || event->digest == 0;
    if (target == 0 || (target & get->full) != 0 || ((target & get->answered) != 0 && !is_whole))
        return;
    get->answered |= target;
    get->failed &= ~target;
    get->digests[event->target] = event->digest;
    if (is_whole)
        get->full |= target;
    if (event->digest == 0)
        get->not_found |= target;
}

/* Of a target that answered by digest nothing is lost yet: others may hold the same. */
static void fail(struct get *get, const struct get_event *event, struct get_effects *ret)
{
    uint32_t target = target_bit(event->target) & get->asked & ~get->full & ~get->failed;
    get->failed |= target;
    get->asked_full &= ~target;
    if ((target & ~get->answered) != 0)
        replace_by_spares(get, 1, event->now_us, ret);
}

/* So many have nothing that the levels would not be met if all others had something. */
static bool is_hopeless_by_absence(const struct get *get)
{
    const struct quorum *quorum = &get->quorum;
    uint8_t need = quorum->r > quorum->pr ? quorum->r : quorum->pr;
    need = need > quorum->node_confirms ? need : quorum->node_confirms;
    return target_count_of(get->not_found) > quorum->n - need ||
           zones_hopeless_without(get->zones, quorum->zones.r, false, get->not_found) ||
           zones_hopeless_without(get->zones, quorum->zones.pr, false, get->not_found);
}

/* "Not found" as an answer although it does not count: when a majority of the copies says so and
 * that was asked for, or when such answers alone leave too few others. */
static bool is_absent(const struct get *get)
{
    const struct quorum *quorum = &get->quorum;
    uint8_t absent = target_count_of(get->not_found);
    if (quorum->notfound_ok || absent == 0 || get->answered != get->not_found)
        return false;
    return (quorum->basic_quorum && absent >= quorum->n / 2 + 1) ||
           (!is_possible(get) && is_hopeless_by_absence(get));
}

/* Enough answers are complete.  But "not found" is not said while somebody is known to have it. */
static bool is_ready(const struct get *get, uint32_t missing)
{
    bool in_hand = (get->full & ~get->not_found) != 0;
    return levels_met_by(get, counted(get) & ~missing) && (missing == 0 || in_hand);
}

static void reply(struct get *get, kvorum_status status, struct get_effects *ret)
{
    move(get, GET_REPLIED);
    ret->reply = true;
    ret->status = status;
}

static void conclude_waiting(struct get *get, bool is_late, uint32_t missing,
                             struct get_effects *ret)
{
    if (is_ready(get, missing))
        reply(get, get->answered == get->not_found ? KVORUM_NOT_FOUND : KVORUM_OK, ret);
    else if (is_absent(get))
        reply(get, KVORUM_NOT_FOUND, ret);
    else if (!is_possible(get) || get->asked == 0)
        reply(get, KVORUM_UNAVAILABLE, ret);
    else if (is_late)
        reply(get, KVORUM_TIMEOUT, ret);
    else
        move(get, levels_met_by(get, counted(get)) ? GET_FETCHING : GET_WAITING);
}

static void conclude(struct get *get, uint64_t now_us, struct get_effects *ret)
{
    bool is_late = now_us >= get->deadline_us;
    struct missing missing = find_missing(get);
    get->answered &= ~missing.lost;
    replace_by_spares(get, target_count_of(missing.lost), now_us, ret);
    if (get->state == GET_WAITING || get->state == GET_FETCHING)
        conclude_waiting(get, is_late, missing.holders, ret);
    /* Not before there are enough answers: the object is often on its way in full already. */
    if ((get->state == GET_FETCHING || get->state == GET_REPLIED) && !is_late) {
        get->asked_full |= missing.ask;
        ret->ask_full |= missing.ask;
    }
    if (get->state == GET_REPLIED && (is_late || (open_targets(get) | missing.holders) == 0)) {
        move(get, GET_FINISHED);
        ret->finished = true;
    }
}

static void check(const struct get *get, const struct get_effects *effects)
{
    assert((get->asked & ~targets_below(get->target_count)) == 0);
    assert((get->asked & get->unreachable) == 0 && (get->asked_full & ~get->asked) == 0);
    assert((get->answered & ~get->asked) == 0 && (get->full & ~get->answered) == 0);
    assert((get->not_found & ~get->full) == 0 && (get->failed & ~get->asked) == 0);
    assert((get->failed & get->full) == 0);
    assert(get->quorum.sloppy || (get->asked & ~targets_below(get->quorum.n)) == 0);
    assert((effects->ask_full & effects->ask_digest) == 0);
    assert(((effects->ask_full | effects->ask_digest) & ~get->asked) == 0);
    assert(!effects->reply || get->state >= GET_REPLIED);
    assert(!effects->reply || effects->status != KVORUM_OK || levels_met_by(get, counted(get)));
    assert(get->state != GET_FETCHING || levels_met_by(get, counted(get)));
}

void get_step(struct get *get, const struct get_event *event, struct get_effects *ret)
{
    *ret = (struct get_effects){ 0 };
    if ((event->kind == GET_START) != (get->state == GET_NEW) || get->state == GET_FINISHED)
        return;
    switch (event->kind) {
    case GET_START:
        start(get, event->now_us, ret);
        break;
    case GET_ANSWER:
        answer(get, event);
        break;
    case GET_FAILED:
        fail(get, event, ret);
        break;
    case GET_TICK:
        break;
    }
    conclude(get, event->now_us, ret);
    check(get, ret);
}
