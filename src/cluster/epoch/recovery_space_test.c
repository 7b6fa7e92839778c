/* SPDX-License-Identifier: Apache-2.0 */
/* Every course that attempts at one line can take, among four members and up to three attempts with
 * a list of lost ones each: any attempt may begin, go on, or be forgotten (its asker crashed) at
 * any time, and each member promises and accepts late or never.  The members are the acceptors of
 * acceptor.h, whose disks survive crashes; the choice is that of recovery.h.  In no state are two
 * values decided, each accepted by all of those whom some attempt asked.
 *
 * In some courses the disk of some members may be copied once, and put back to the copy (or to the
 * beginning) once, at any time.  Before such a member promises anything again, all who are asked
 * have told it that it was, and remember its new life.
 *
 * In some rows there is a newer epoch, which one of the lost brought back: those who were left out
 * at first go by it, or some learn it at any time.  Nobody fetches it who has accepted anything,
 * and nobody who goes by it accepts a record in which he is a member and that does not go on from
 * it.  Then, in no state, is the last list stuck: somebody in it may go on, and all in it accept.
 * And nothing is decided that leaves behind what one who is needed for it goes by, unless his disk
 * was put back.
 *
 * The same search must find what goes wrong without the rules. */
#include "cluster/epoch/recovery.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "cluster/epoch/acceptor.h"
#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { MEMBERS = 4, ATTEMPTS = 3, LINE = 1, STATES_BITS = 24 };
enum { ONE_MORE = ATTEMPTS }; /* with the last list, where it is asked whether that is stuck */

enum mistake {
    NO_MISTAKE,
    ALWAYS_FREE,      /* what was accepted before is never proposed again */
    NEEDED_IS_KEPT,   /* a later attempt says that all of the first are needed */
    MAJORITY_ACCEPTS, /* more than half of those who are asked decide */
    MAJORITY_PROMISES,
    SILENCE_COUNTS, /* of one who was put back, for not having accepted */
    FORMER_LIVES,   /* what rests on promises that were forgotten is accepted */
    AHEAD_FIRST,    /* who is behind another who is asked ends nothing either */
    AHEAD_ACCEPT,   /* what does not go on from the epoch that they go by */
    /* No mistake, but a rule that is not there yet (docs/decisions/0012, Open). */
    LEFT_OUT_ACCEPT, /* though they are ahead: only who is needed refuses for that */
};

struct row {
    const char *name;
    uint8_t asked[ATTEMPTS]; /* members, as bits; 0: no such attempt */
    enum mistake mistake;
    bool broken;       /* two values are decided */
    uint8_t puts_back; /* members, as bits, whose disk may be put back */
    uint8_t ahead;     /* members, as bits, who go by an epoch that the others may not have */
    bool stuck;        /* nobody in the last list may go on */
    uint8_t learn;     /* members, as bits, who may come to go by that epoch */
    bool behind;       /* what one who is needed goes by is left behind */
};

static const struct row rows[] = {
    { "two attempts that ask the same", { 15, 15 }, NO_MISTAKE, false },
    { "three attempts that ask the same", { 15, 15, 15 }, NO_MISTAKE, false },
    { "one more is lost each time", { 15, 7, 3 }, NO_MISTAKE, false },
    { "one more comes back each time", { 3, 7, 15 }, NO_MISTAKE, false },
    { "one is lost, and comes back", { 15, 7, 15 }, NO_MISTAKE, false },
    { "one is left out, and comes back when another is lost", { 7, 3, 13 }, NO_MISTAKE, false },
    { "three lists that have one member in common", { 3, 5, 9 }, NO_MISTAKE, false },
    { "three lists of which any two meet", { 3, 5, 6 }, NO_MISTAKE, false },
    { "three larger ones", { 7, 11, 13 }, NO_MISTAKE, false },
    { "two lists that do not meet make two lines", { 3, 12 }, NO_MISTAKE, true },
    { "two that do not meet, and one between", { 3, 6, 12 }, NO_MISTAKE, true },
    { "an attempt that heeds nothing", { 15, 15 }, ALWAYS_FREE, true },
    { "one that calls those needed who were left out", { 7, 3, 13 }, NEEDED_IS_KEPT, true },
    { "decided by more than half of those who are asked", { 7, 13 }, MAJORITY_ACCEPTS, true },
    { "promised by more than half of them", { 3, 14 }, MAJORITY_PROMISES, true },
    { "a disk is put back", { 3, 3 }, NO_MISTAKE, false, 2 },
    { "and one more is lost", { 7, 3 }, NO_MISTAKE, false, 2 },
    { "and one more comes back", { 3, 7 }, NO_MISTAKE, false, 2 },
    { "in three attempts", { 3, 3, 3 }, NO_MISTAKE, false, 2 },
    { "two of three disks are put back", { 7, 7 }, NO_MISTAKE, false, 6 },
    { "the only one in common is put back", { 3, 6 }, NO_MISTAKE, true, 2 },
    { "the silence of one who was put back counts", { 7, 3 }, SILENCE_COUNTS, true, 2 },
    { "promises of former lives count", { 3, 3 }, FORMER_LIVES, true, 2 },
    { "one who comes back goes by a newer epoch", { 3, 7 }, NO_MISTAKE, false, .ahead = 4 },
    { "two come back who do", { 3, 7, 15 }, NO_MISTAKE, false, .ahead = 12 },
    { "one does, and another is lost", { 3, 7, 6 }, NO_MISTAKE, false, .ahead = 4 },
    { "one does, and a disk is put back", { 3, 7 }, NO_MISTAKE, false, 2, .ahead = 4 },
    { "who is behind waits for that one", { 3, 7 }, AHEAD_FIRST, .ahead = 4, .stuck = true },
    { "one learns a newer epoch", { 7, 7 }, NO_MISTAKE, false, .learn = 4 },
    { "any does", { 7, 7 }, NO_MISTAKE, false, .learn = 7 },
    { "one was left out, and learns it", { 7, 3, 7 }, NO_MISTAKE, .learn = 4, .stuck = true },
    { "that one accepts all the same", { 7, 3, 7 }, LEFT_OUT_ACCEPT, .learn = 4 },
    { "two were left out in turn, and both do", { 7, 3, 5 }, LEFT_OUT_ACCEPT, .learn = 6 },
    { "who is needed goes by it, and accepts", { 7, 7 }, AHEAD_ACCEPT, .learn = 4, .behind = true },
    { "who is needed forgot, and learns it", { 3, 3 }, .puts_back = 2, .learn = 2, .stuck = true },
};

struct attempt {
    uint8_t phase; /* 0: to begin, 1: PREPARE, 2: ACCEPT was sent */
    uint8_t promised, accepted;
    uint8_t ballots[MEMBERS], values[MEMBERS], needed[MEMBERS]; /* as promised with */
    uint8_t reborn; /* members, as bits, that had been put back when they promised */
    uint8_t ahead;  /* likewise: that went by the newer epoch then */
    uint8_t value, needs;
    bool newer; /* what it made anew goes on from that epoch */
};

struct follower {
    struct acceptor acceptor;
    uint8_t needed;
    bool ahead; /* goes by the newer epoch */
};

struct past {
    bool copied, put_back;
    uint8_t knows; /* members, as bits: that they were put back */
    uint8_t knew;  /* by the copy */
    struct follower copy;
};

struct world {
    struct follower members[MEMBERS];
    struct past pasts[MEMBERS];
    struct attempt attempts[ATTEMPTS + 1];
};

struct search {
    const struct row *row;
    struct visited visited;
    bool broken, stuck, behind;
};

static struct ballot ballot_of(uint8_t attempt)
{
    return (struct ballot){ attempt + 1u, attempt + 1u };
}

static uint8_t asked_by(const struct row *row, uint8_t attempt)
{
    uint8_t last = attempt == ONE_MORE ? ATTEMPTS - 1 : attempt;
    while (attempt == ONE_MORE && row->asked[last] == 0)
        last--;
    return row->asked[last];
}

static bool enough(const struct search *search, uint8_t asked, uint8_t answered,
                   enum mistake mistake)
{
    if (search->row->mistake == mistake)
        return 2 * __builtin_popcount(answered) > __builtin_popcount(asked);
    return answered == asked;
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool ask(struct follower *member, enum acceptor_event_kind kind, uint8_t attempt,
                uint8_t value)
{
    struct acceptor_effects effects;
    struct acceptor_event event = {
        .kind = kind, .number = LINE, .ballot = ballot_of(attempt), .value = value
    };
    acceptor_step(&member->acceptor, &event, &effects);
    enum acceptor_answer answer = effects.answer;
    if (effects.save) {
        event.kind = ACCEPTOR_SAVED;
        acceptor_step(&member->acceptor, &event, &effects);
        answer = effects.answer;
    }
    return answer == (kind == ACCEPTOR_PREPARE ? ACCEPTOR_PROMISE : ACCEPTOR_ACCEPTED);
}

static bool promise(struct world *world, uint8_t attempt, uint8_t m, uint8_t asked)
{
    struct attempt *a = &world->attempts[attempt];
    struct follower *member = &world->members[m];
    if (!ask(member, ACCEPTOR_PREPARE, attempt, 0))
        return false;
    a->promised |= (uint8_t)(1u << m);
    a->ballots[m] = (uint8_t)member->acceptor.accepted.counter;
    a->values[m] = (uint8_t)member->acceptor.value;
    a->needed[m] = member->needed;
    a->ahead |= (uint8_t)((unsigned)member->ahead << m);
    if (!world->pasts[m].put_back)
        return true;
    a->reborn |= (uint8_t)(1u << m);
    for (uint8_t other = 0; other < MEMBERS; other++)
        if ((asked >> other & 1) != 0)
            world->pasts[other].knows |= (uint8_t)(1u << m);
    return true;
}

/* It goes by an epoch that is left behind.  Who is none in what is proposed does so as one of the
 * lost. */
static bool refuses(const struct search *search, const struct world *world, uint8_t attempt,
                    uint8_t m)
{
    const struct attempt *a = &world->attempts[attempt];
    bool member = (asked_by(search->row, a->value - 1) >> m & 1) != 0;
    bool needed = (a->needs >> m & 1) != 0 || search->row->mistake != LEFT_OUT_ACCEPT;
    return member && needed && world->members[m].ahead && !world->attempts[a->value - 1].newer &&
           search->row->mistake != AHEAD_ACCEPT;
}

static bool accept(const struct search *search, struct world *world, uint8_t attempt, uint8_t m)
{
    struct attempt *a = &world->attempts[attempt];
    const struct past *past = &world->pasts[m];
    uint8_t reborn = (uint8_t)((past->knows & ~(1u << m)) | (unsigned)past->put_back << m);
    uint8_t asked = search->row->asked[attempt];
    if ((reborn & asked & ~a->reborn) != 0 && search->row->mistake != FORMER_LIVES)
        return false;
    if (refuses(search, world, attempt, m) ||
        !ask(&world->members[m], ACCEPTOR_ACCEPT, attempt, a->value))
        return false;
    world->members[m].needed = a->needs;
    a->accepted |= (uint8_t)(1u << m);
    return true;
}

static void choose(const struct search *search, struct world *world, uint8_t attempt)
{
    static bool asked[RING_MEMBERS_MAX], needed[RING_MEMBERS_MAX], forgetful[RING_MEMBERS_MAX];
    static uint64_t values[RING_MEMBERS_MAX];
    static struct ballot ballots[RING_MEMBERS_MAX];
    struct attempt *a = &world->attempts[attempt];
    uint8_t mask = asked_by(search->row, attempt), from = 0;
    for (uint8_t m = 0; m < MEMBERS; m++) {
        asked[m] = (mask & a->promised) >> m & 1;
        values[m] = a->values[m];
        forgetful[m] = (a->reborn >> m & 1) != 0 && search->row->mistake != SILENCE_COUNTS;
        ballots[m] = a->ballots[m] == 0 ? (struct ballot){ 0, 0 } : ballot_of(a->ballots[m] - 1);
    }
    struct ballot newest = recovery_newest(asked, ballots);
    while (from < MEMBERS && !(asked[from] && ballot_equal(ballots[from], newest)))
        from++;
    a->phase = 2;
    a->value = attempt + 1u;
    a->needs = mask;
    a->newer = a->ahead != 0;
    if (ballot_is_none(newest) || search->row->mistake == ALWAYS_FREE)
        return;
    for (uint8_t m = 0; m < MEMBERS; m++)
        needed[m] = a->needed[from] >> m & 1;
    if (!recovery_may_be_decided(asked, values, forgetful, values[from], needed))
        return;
    a->value = a->values[from];
    a->needs = a->needed[from];
    if (search->row->mistake != NEEDED_IS_KEPT)
        a->needs &= mask;
}

/* --- the search ------------------------------------------------------------------------------ */

static void check(struct search *search, const struct world *world)
{
    uint8_t decided = 0;
    for (uint8_t i = 0; i < ATTEMPTS; i++) {
        const struct attempt *a = &world->attempts[i];
        if (a->phase != 2 || !enough(search, search->row->asked[i], a->accepted, MAJORITY_ACCEPTS))
            continue;
        search->broken |= decided != 0 && decided != a->value;
        decided = a->value;
        for (uint8_t m = 0; m < MEMBERS; m++)
            search->behind |= (a->needs >> m & 1) != 0 && world->members[m].ahead &&
                              !world->pasts[m].put_back && !world->attempts[a->value - 1].newer;
    }
}

/* By what is on the disks now. */
static void promise_all(const struct search *search, struct world *world, uint8_t attempt)
{
    struct attempt *a = &world->attempts[attempt];
    *a = (struct attempt){ .promised = asked_by(search->row, attempt) };
    for (uint8_t m = 0; m < MEMBERS; m++) {
        a->ballots[m] = (uint8_t)world->members[m].acceptor.accepted.counter;
        a->values[m] = (uint8_t)world->members[m].acceptor.value;
        a->needed[m] = world->members[m].needed;
        a->ahead |=
            (uint8_t)((unsigned)(world->members[m].ahead && (a->promised >> m & 1) != 0) << m);
        a->reborn |= (uint8_t)((unsigned)world->pasts[m].put_back << m);
    }
}

/* Who is none in what was begun would leave before it told anybody; who has accepted anything can
 * make nothing new where another goes by a newer epoch. */
static bool may_go_on(const struct search *search, const struct world *world, uint8_t attempt,
                      uint8_t m)
{
    const struct row *row = search->row;
    uint8_t value = world->attempts[attempt].value, asked = asked_by(row, attempt);
    bool ends = value != attempt + 1u;
    bool fenced = !ballot_is_none(world->members[m].acceptor.accepted);
    uint8_t ahead = world->attempts[attempt].ahead;
    bool behind = fenced && (ahead >> m & 1) == 0 && ahead != 0;
    if ((asked >> m & 1) == 0 || (ends && (asked_by(row, value - 1) >> m & 1) == 0))
        return false;
    return !behind || (ends && row->mistake != AHEAD_FIRST);
}

static void check_goes_on(struct search *search, const struct world *world)
{
    struct world next = *world;
    uint8_t able = 0, refusing = 0;
    if (search->row->ahead == 0 && search->row->learn == 0)
        return;
    promise_all(search, &next, ONE_MORE);
    choose(search, &next, ONE_MORE);
    for (uint8_t m = 0; m < MEMBERS; m++)
        able += may_go_on(search, &next, ONE_MORE, m);
    for (uint8_t m = 0; m < MEMBERS; m++)
        refusing +=
            (next.attempts[ONE_MORE].promised >> m & 1) != 0 && refuses(search, &next, ONE_MORE, m);
    search->stuck |= able == 0 || refusing > 0;
}

static void visit(struct search *search, const struct world *world);

static void deliver(struct search *search, const struct world *world, uint8_t i, uint8_t m)
{
    struct world next = *world;
    const struct attempt *a = &world->attempts[i];
    bool prepares = a->phase == 1 && (a->promised >> m & 1) == 0;
    bool accepts = a->phase == 2 && (a->accepted >> m & 1) == 0;
    if ((search->row->asked[i] >> m & 1) == 0)
        return;
    if ((prepares && promise(&next, i, m, search->row->asked[i])) ||
        (accepts && accept(search, &next, i, m)))
        visit(search, &next);
}

static void put_back(struct search *search, const struct world *world, uint8_t m)
{
    struct world next = *world;
    struct past *past = &next.pasts[m];
    if ((search->row->puts_back >> m & 1) == 0 || past->put_back)
        return;
    next.members[m] = past->copy;
    past->knows = past->knew;
    past->copied = past->put_back = true;
    visit(search, &next);
    if (world->pasts[m].copied)
        return;
    next = *world;
    past->copied = true;
    past->knew = past->knows;
    past->copy = next.members[m];
    visit(search, &next);
}

/* From one of the lost who came back. */
static void learn(struct search *search, const struct world *world, uint8_t m)
{
    struct world next = *world;
    bool fenced = !ballot_is_none(world->members[m].acceptor.accepted);
    if ((search->row->learn >> m & 1) == 0 || fenced || world->members[m].ahead)
        return;
    next.members[m].ahead = true;
    visit(search, &next);
}

static void visit(struct search *search, const struct world *world)
{
    if (!visited_add(&search->visited, hash64(bytes_make(world, sizeof(*world)), 0) | 1))
        return;
    check(search, world);
    check_goes_on(search, world);
    for (uint8_t i = 0; i < ATTEMPTS && search->row->asked[i] != 0; i++) {
        struct world next = *world;
        struct attempt *a = &next.attempts[i];
        if (a->phase == 0) {
            a->phase = 1;
            visit(search, &next);
        } else if (a->phase == 1 &&
                   enough(search, search->row->asked[i], a->promised, MAJORITY_PROMISES)) {
            choose(search, &next, i);
            visit(search, &next);
        }
        for (uint8_t m = 0; m < MEMBERS; m++)
            deliver(search, world, i, m);
    }
    for (uint8_t m = 0; m < MEMBERS; m++) {
        put_back(search, world, m);
        learn(search, world, m);
    }
}

static void check_row(const void *data)
{
    const struct row *row = data;
    struct search search = { .row = row };
    struct world world;
    memset(&world, 0, sizeof(world));
    visited_init(&search.visited, STATES_BITS);
    for (uint8_t m = 0; m < MEMBERS; m++) {
        acceptor_init(&world.members[m].acceptor, LINE - 1);
        world.members[m].ahead = (row->ahead >> m & 1) != 0;
    }
    for (uint8_t m = 0; m < MEMBERS; m++)
        world.pasts[m].copy = world.members[m];
    visit(&search, &world);
    printf("# %zu states\n", search.visited.count);
    visited_done(&search.visited);
    assert_int_equal(search.broken, row->broken);
    assert_int_equal(search.stuck, row->stuck);
    assert_int_equal(search.behind, row->behind);
}

int main(void)
{
    return RUN_ROWS("attempts at one line", rows, check_row);
}
