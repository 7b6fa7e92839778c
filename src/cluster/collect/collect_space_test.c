/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of docs/decisions/0010, searched through: one key with owners A, B, C and a stand-in M,
 * a value X that was deleted by the tombstone D.  Somebody may lack the delete; what was read
 * anywhere at any time (a read that mends, a hint, a push of an exchange, a page of a stream, a
 * write that was under way) may be merged anywhere later, twice.  Rounds collect, messages of them
 * are lost or late, members restart, and one disk is put back to where it was in the beginning.
 *
 * Once D was collected anywhere, nobody who promised that round may hold X.  And a write Y of a new
 * life of the key may not vanish in a merge.  Every rule is then left out, and something must go
 * wrong: a search that finds nothing there would prove nothing here. */
#include "base/hash.h"
#include "cluster/collect/fence.h"
#include "cluster/collect/round.h"
#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { A, B, C, M, MEMBERS, ROUNDS = 2, SLOTS = 2, VISITED_BITS = 24, TRAIL_MAX = 200 };
enum { X = 1, D = 2, Y = 4 };

enum left_out {
    LEFT_NOTHING,
    LEFT_ROUND,    /* whoever holds the tombstone drops it when it is old */
    LEFT_MEMBERS,  /* only the owners are asked */
    LEFT_READING,  /* an object travels under what its sender had promised when it was sent */
    LEFT_UNHELD,   /* older messages are refused only where the key is not held */
    LEFT_DIGESTS,  /* members that hold something else are no obstacle */
    LEFT_NAMED,    /* the keys named are fenced only once the round is committed */
    LEFT_DOUBT,    /* which keys were named is forgotten at a restart, and nothing else fenced */
    LEFT_REVOKED,  /* a COMMIT of an earlier round is taken after the next one asked */
    LEFT_DROPPED,  /* who is behind what was committed promises that, and keeps what it has */
    LEFT_DURABLE,  /* a promise is answered before it is on disk */
    LEFT_COUNTERS, /* no floor of counters */
};

struct object {
    uint8_t values, clock; /* the dot of Y is that of X where counters begin anew */
};

struct slot { /* what somebody has read */
    struct object object;
    uint8_t under, committed, holder;
};

struct replica {
    struct object object;
    struct fence fence, on_disk;
    uint8_t asked; /* the round whose question was the last; 0: none since the start */
    bool prepared, changed;
    uint8_t dropped; /* the round in which it collected the tombstone */
    bool forgot;     /* its disk was put back */
};

struct state {
    struct replica members[MEMBERS];
    struct slot slots[SLOTS];
    struct round round;
    struct object wanted;
    uint8_t number;               /* of rounds begun */
    uint8_t ask, prepare, settle; /* members whom that may still reach */
    uint8_t commit[ROUNDS + 1];   /* the same, of each round */
    uint8_t commit_number[ROUNDS + 1], settled;
    uint8_t restarts, put_backs, writes, reads;
};

struct model {
    enum left_out left_out;
    struct visited visited;
    const char *violation;
    const char *trail[TRAIL_MAX]; /* how it came there */
    int who[TRAIL_MAX], depth, violation_depth;
    struct replica copies[MEMBERS];
    uint64_t budget;
};

static struct object merged(struct object a, struct object b, uint8_t dot_of_y)
{
    const uint8_t dots[] = { X, D, dot_of_y };
    struct object result = { 0, a.clock | b.clock };
    for (int i = 0; i < 3; i++) {
        uint8_t value = (uint8_t)(1 << i);
        bool in_a = (a.values & value) != 0, in_b = (b.values & value) != 0;
        if ((in_a && in_b) || (in_a && (b.clock & dots[i]) == 0) ||
            (in_b && (a.clock & dots[i]) == 0))
            result.values |= value;
    }
    return result;
}

static uint8_t dot_of_y(const struct model *model)
{
    return model->left_out == LEFT_COUNTERS ? X : Y;
}

static bool same(struct object a, struct object b)
{
    return a.values == b.values && a.clock == b.clock;
}

static void visit(struct model *model, const struct state *state, const char *what, int who);

/* --- members --------------------------------------------------------------------------------- */

static void save(struct replica *member)
{
    member->on_disk = member->fence;
}

static void change(struct replica *member, struct object object)
{
    member->changed |= !same(member->object, object);
    member->object = object;
}

static void behind(struct model *model, struct replica *member, uint8_t committed)
{
    if (!member->forgot)
        model->violation = "one who forgot nothing is taken for behind";
    if (model->left_out != LEFT_DROPPED)
        change(member, (struct object){ 0 });
    fence_renew(&member->fence, committed);
    save(member);
}

static void hear(struct model *model, struct replica *member, uint8_t committed)
{
    if (fence_hear(&member->fence, committed) == FENCE_BEHIND)
        behind(model, member, committed);
}

static void deliver(struct model *model, const struct state *state, int at, int to)
{
    struct state next = *state;
    struct slot *slot = &next.slots[at];
    struct replica *member = &next.members[to], *holder = &next.members[slot->holder];
    uint64_t under = slot->under;
    if (model->left_out == LEFT_READING)
        under = holder->fence.promised;
    hear(model, member, slot->committed);
    bool named = member->prepared && model->left_out != LEFT_NAMED;
    bool taken = fence_admits(&member->fence, under, named) ||
                 (model->left_out == LEFT_UNHELD && member->object.clock != 0);
    if (!taken) {
        hear(model, holder, (uint8_t)member->fence.committed);
    } else {
        struct object result = merged(member->object, slot->object, dot_of_y(model));
        if (((member->object.values | slot->object.values) & ~result.values & Y) != 0)
            model->violation = "a new write vanished";
        change(member, result);
    }
    visit(model, &next, "merges", to);
}

static void read_object(struct model *model, const struct state *state, int from)
{
    if (state->reads == 0 || state->members[from].object.clock == 0)
        return;
    struct state next = *state;
    const struct replica *member = &next.members[from];
    next.reads--;
    next.slots[1] = (struct slot){ member->object, (uint8_t)member->fence.promised,
                                   (uint8_t)member->fence.committed, (uint8_t)from };
    visit(model, &next, "is read", from);
}

static void write_anew(struct model *model, const struct state *state, int at)
{
    if (state->writes == 0 || state->members[at].dropped == 0 ||
        state->members[at].object.clock != 0)
        return;
    struct state next = *state;
    next.writes--;
    change(&next.members[at], (struct object){ Y, dot_of_y(model) });
    visit(model, &next, "writes anew", at);
}

static void restart(struct model *model, const struct state *state, int who)
{
    if (state->restarts == 0)
        return;
    struct state next = *state;
    struct replica *member = &next.members[who];
    next.restarts--;
    member->fence = member->on_disk;
    member->asked = 0;
    member->prepared = member->changed = false;
    if (model->left_out != LEFT_DOUBT)
        fence_restart(&member->fence);
    if (who == A)
        next.round = (struct round){ 0 };
    visit(model, &next, "restarts", who);
}

static void put_back(struct model *model, const struct state *state, int who)
{
    if (state->put_backs == 0)
        return;
    struct state next = *state;
    next.put_backs--;
    next.members[who] = model->copies[who];
    next.members[who].forgot = true;
    if (who == A)
        next.round = (struct round){ 0 };
    visit(model, &next, "is put back", who);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static uint8_t all_of(const struct model *model)
{
    return model->left_out == LEFT_MEMBERS ? 1u << A | 1u << B | 1u << C : (1u << MEMBERS) - 1;
}

static void step(const struct model *model, struct state *state, const struct round_event *event)
{
    struct round_effects effects;
    round_step(&state->round, event, &effects);
    switch (effects.send) {
    case ROUND_SEND_NOTHING:
        break;
    case ROUND_SEND_ASK:
        state->ask = all_of(model);
        state->prepare = state->settle = 0;
        break;
    case ROUND_SEND_PREPARE:
        state->prepare = all_of(model);
        break;
    case ROUND_SEND_COMMIT:
        state->commit[state->number] = all_of(model);
        state->commit_number[state->number] = (uint8_t)state->round.number;
        break;
    case ROUND_SEND_SETTLE:
        state->settle = all_of(model);
        state->settled = (uint8_t)state->round.committed;
        break;
    }
    if (effects.finished)
        state->ask = state->prepare = 0;
}

static void start(struct model *model, const struct state *state)
{
    struct state next = *state;
    if (state->number == ROUNDS || state->members[A].object.values != D ||
        (state->round.phase != ROUND_NEW && state->round.phase != ROUND_FINISHED))
        return;
    next.number++;
    next.wanted = next.members[A].object;
    next.round = (struct round){ .key_count = 1 };
    for (uint16_t i = 0; i < MEMBERS; i++)
        if ((all_of(model) >> i & 1) != 0)
            round_add(&next.round, i);
    step(model, &next, &(struct round_event){ .kind = ROUND_START });
    visit(model, &next, "begins a round", A);
}

static void give_up(struct model *model, const struct state *state)
{
    struct state next = *state;
    if (state->round.phase != ROUND_ASKING && state->round.phase != ROUND_PREPARING)
        return;
    step(model, &next, &(struct round_event){ .kind = ROUND_TICK });
    visit(model, &next, "gives the round up", A);
}

static void answer(const struct model *model, struct state *state, int who, enum round_phase phase,
                   kvorum_status status, const struct fence *before)
{
    const struct replica *member = &state->members[who];
    uint8_t key = member->object.clock == 0             ? ROUND_KEY_ABSENT
                  : same(member->object, state->wanted) ? ROUND_KEY_HELD
                                                        : ROUND_KEY_OTHER;
    if (model->left_out == LEFT_DIGESTS)
        key = ROUND_KEY_HELD;
    step(model, state,
         &(struct round_event){ .kind = ROUND_ANSWER,
                                .member = (uint16_t)who,
                                .phase = phase,
                                .status = status,
                                .promised = before->promised,
                                .committed = before->committed,
                                .keys = &key,
                                .key_count = 1 });
}

static void on_ask(struct model *model, const struct state *state, int who)
{
    if ((state->ask >> who & 1) == 0)
        return;
    struct state next = *state;
    struct replica *member = &next.members[who];
    next.ask &= (uint8_t) ~(1u << who);
    if (model->left_out != LEFT_REVOKED) { /* which keys are in doubt is not forgotten */
        member->asked = next.number;
        member->changed = false;
    }
    answer(model, &next, who, ROUND_ASKING, KVORUM_OK, &member->fence);
    visit(model, &next, "is asked", who);
}

static void on_prepare(struct model *model, const struct state *state, int who)
{
    if ((state->prepare >> who & 1) == 0)
        return;
    struct state next = *state;
    struct replica *member = &next.members[who];
    next.prepare &= (uint8_t) ~(1u << who);
    kvorum_status status = KVORUM_NOT_READY;
    uint8_t committed = (uint8_t)next.round.committed;
    if (member->asked == next.number || model->left_out == LEFT_REVOKED) {
        enum fence_verdict verdict = fence_prepare(&member->fence, next.round.number, committed);
        if (verdict == FENCE_BEHIND)
            behind(model, member, committed);
        if (verdict == FENCE_FINE) {
            status = KVORUM_OK;
            member->asked = next.number;
            member->prepared = true;
            member->changed = false;
            if (model->left_out != LEFT_DURABLE)
                save(member);
        }
    }
    answer(model, &next, who, ROUND_PREPARING, status, &member->fence);
    visit(model, &next, "promises", who);
}

static void on_commit(struct model *model, const struct state *state, int who, int number)
{
    if ((state->commit[number] >> who & 1) == 0)
        return;
    struct state next = *state;
    struct replica *member = &next.members[who];
    next.commit[number] &= (uint8_t) ~(1u << who);
    uint8_t round = next.commit_number[number];
    bool asked = member->asked == number && member->prepared;
    if (asked && fence_commit(&member->fence, round)) {
        bool goes = !member->changed && member->object.values == D;
        if (goes || model->left_out == LEFT_DIGESTS) {
            member->object = (struct object){ 0 };
            member->dropped = round;
        }
        member->prepared = false;
        save(member);
    }
    visit(model, &next, "commits", who);
}

static void on_settle(struct model *model, const struct state *state, int who)
{
    if ((state->settle >> who & 1) == 0)
        return;
    struct state next = *state;
    struct replica *member = &next.members[who];
    next.settle &= (uint8_t) ~(1u << who);
    if (member->asked == next.number) {
        if (fence_settle(&member->fence, next.settled) == FENCE_BEHIND)
            behind(model, member, next.settled);
        member->asked = 0;
        member->prepared = false;
    }
    visit(model, &next, "settles", who);
}

static void by_clock(struct model *model, const struct state *state, int who)
{
    if (model->left_out != LEFT_ROUND || state->members[who].object.values != D)
        return;
    struct state next = *state;
    next.members[who].object = (struct object){ 0 };
    next.members[who].dropped = 1;
    visit(model, &next, "drops by the clock", who);
}

/* --- the search ------------------------------------------------------------------------------ */

/* What was collected by one alone, whose disk was put back then, was not. */
static uint8_t newest_collected(const struct state *state)
{
    uint8_t newest = 0;
    for (int i = 0; i < MEMBERS; i++)
        if (state->members[i].dropped > newest)
            newest = state->members[i].dropped;
    return newest;
}

static void judge(struct model *model, const struct state *state)
{
    uint8_t collected = newest_collected(state);
    for (int i = 0; i < MEMBERS && collected > 0; i++) {
        const struct replica *member = &state->members[i];
        bool bound = member->dropped > 0 || member->fence.promised >= collected;
        if (bound && (member->object.values & X) != 0)
            model->violation = "what was deleted came back";
    }
}

static void visit(struct model *model, const struct state *state, const char *what, int who)
{
    if (model->violation_depth != 0)
        return;
    assert_true(model->depth < TRAIL_MAX);
    model->trail[model->depth] = what;
    model->who[model->depth] = who;
    judge(model, state);
    if (model->violation != NULL && model->violation_depth == 0)
        model->violation_depth = model->depth + 1;
    uint64_t key = hash64(bytes_make(state, sizeof(*state)), 1) | 1;
    if (model->violation != NULL || model->visited.count >= model->budget ||
        !visited_add(&model->visited, key))
        return;
    model->depth++;
    start(model, state);
    give_up(model, state);
    for (int i = 0; i < MEMBERS; i++) {
        for (int slot = 0; slot < SLOTS; slot++)
            if (state->slots[slot].object.clock != 0)
                deliver(model, state, slot, i);
        on_ask(model, state, i);
        on_prepare(model, state, i);
        for (int number = 1; number <= ROUNDS; number++)
            on_commit(model, state, i, number);
        on_settle(model, state, i);
        by_clock(model, state, i);
        read_object(model, state, i);
        write_anew(model, state, i);
        restart(model, state, i);
        put_back(model, state, i);
    }
    model->depth--;
}

struct row {
    const char *name;
    enum left_out left_out;
    struct object c, m; /* what C and M hold in the beginning; A and B hold the tombstone */
    struct object late; /* was read in the beginning */
    uint8_t restarts, put_backs, writes, reads;
};

#define NONE                                                                                       \
    {                                                                                              \
        0, 0                                                                                       \
    }
#define VALUE                                                                                      \
    {                                                                                              \
        X, X                                                                                       \
    }
#define GRAVE                                                                                      \
    {                                                                                              \
        D, X | D                                                                                   \
    }

static const struct row rows[] = {
    { "C lacks the delete, a late value", LEFT_NOTHING, VALUE, NONE, VALUE, 0, 0, 1, 1 },
    { "C lacks the key, the stand-in holds the value", LEFT_NOTHING, NONE, VALUE, NONE, 0, 0, 1,
      1 },
    { "all know of it, a late value, restarts", LEFT_NOTHING, GRAVE, NONE, VALUE, 1, 0, 0, 0 },
    { "all know of it, one disk is put back", LEFT_NOTHING, GRAVE, NONE, VALUE, 1, 1, 0, 0 },
    { "collected by the clock", LEFT_ROUND, VALUE, NONE, NONE, 0, 0, 0, 1 },
    { "only owners are asked", LEFT_MEMBERS, GRAVE, VALUE, NONE, 0, 0, 0, 1 },
    { "fenced by the sending", LEFT_READING, GRAVE, NONE, VALUE, 0, 0, 0, 0 },
    { "fenced where the key is not held", LEFT_UNHELD, GRAVE, NONE, VALUE, 0, 0, 1, 1 },
    { "other objects are no obstacle", LEFT_DIGESTS, VALUE, NONE, NONE, 0, 0, 0, 0 },
    { "fenced when it is committed", LEFT_NAMED, GRAVE, NONE, VALUE, 0, 0, 0, 0 },
    { "what was named is forgotten", LEFT_DOUBT, GRAVE, NONE, VALUE, 1, 0, 0, 0 },
    { "two rounds at once", LEFT_REVOKED, VALUE, NONE, VALUE, 1, 1, 0, 1 },
    { "who is behind keeps what it has", LEFT_DROPPED, VALUE, NONE, VALUE, 0, 1, 0, 1 },
    { "a promise before the disk", LEFT_DURABLE, GRAVE, NONE, VALUE, 1, 0, 0, 0 },
    { "no floor of counters", LEFT_COUNTERS, GRAVE, NONE, NONE, 0, 0, 1, 1 },
};

static void check(const void *data)
{
    const struct row *row = data;
    struct model model = { .left_out = row->left_out, .budget = UINT64_C(7) << 20 };
    struct state first;
    memset(&first, 0, sizeof(first));
    first.members[A].object = first.members[B].object = (struct object)GRAVE;
    first.members[C].object = row->c;
    first.members[M].object = row->m;
    first.slots[0].object = row->late;
    first.restarts = row->restarts;
    first.put_backs = row->put_backs;
    first.writes = row->writes;
    first.reads = row->reads;
    memcpy(model.copies, first.members, sizeof(model.copies));
    if (row->put_backs > 0) /* it was copied before the delete came */
        for (int i = 0; i < MEMBERS - 1; i++)
            model.copies[i].object = (struct object)VALUE;
    visited_init(&model.visited, VISITED_BITS);
    visit(&model, &first, "begins", A);
    print_message("# %s: %llu states, %s\n", row->name, (unsigned long long)model.visited.count,
                  model.violation == NULL ? "0 violations" : model.violation);
    for (int i = 0; i < model.violation_depth; i++)
        print_message("#   %c %s\n", "ABCM"[model.who[i]], model.trail[i]);
    bool all = model.visited.count < model.budget;
    visited_done(&model.visited);
    assert_true(all);
    assert_int_equal(model.violation != NULL, row->left_out != LEFT_NOTHING);
}

int main(void)
{
    return RUN_ROWS("collecting", rows, check);
}
