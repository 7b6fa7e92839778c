/* SPDX-License-Identifier: Apache-2.0 */
/* Every course that the decision of one epoch can take, in a small world: three acceptors, two or
 * three proposers with a value each, and a network that is the set of all messages ever sent, any
 * of which may be delivered at any time, again, late or never; only refusals, which decide nothing,
 * come at once or never.  Acceptors may crash between asking for their state to be saved and the
 * answer, before or after it reached the disk; proposers may crash and forget.  All states are visited, and in none have two values been accepted by a majority
 * under whatever ballots, or has a proposer announced a value other than that one.
 *
 * The same search must find the mistakes that this protocol is known for, when they are made. */
#include "cluster/epoch/acceptor.h"
#include "cluster/epoch/proposer.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { ACCEPTORS = 3, PROPOSERS_MAX = 3, MESSAGES_MAX = 96, IN_FORCE = 6, NUMBER = 7 };
enum { ACCEPTANCES_MAX = 16 };

enum mistake {
    NO_MISTAKE,
    ANSWERS_EARLY, /* an acceptor answers before its state is saved */
    BALLOT_REUSED, /* a proposer's next life uses the ballots of the last */
    REBORN,        /* a wiped acceptor comes back under its old id */
    OWN_VALUE,     /* a proposer ignores what was accepted under an older ballot */
};

struct message {
    uint8_t kind; /* PREPARE, ACCEPT: acceptor_event_kind; answers: proposer_event_kind + 16 */
    uint8_t voter;
    uint8_t counter, proposer, accepted_counter, accepted_proposer, value;
};
enum { ANSWER = 16 };

/* Kept beside the protocol: who ever accepted what. */
struct acceptance {
    uint8_t counter, proposer, value, voters;
};

struct world {
    struct acceptor acceptors[ACCEPTORS]; /* none is saving: see step_acceptor */
    struct proposer proposers[PROPOSERS_MAX];
    uint8_t attempts[PROPOSERS_MAX];                   /* left */
    uint8_t acceptor_crashes, proposer_crashes, wipes; /* left */
    uint8_t announced; /* the value that proposers called decided; UINT8_MAX: two */
    uint8_t acceptance_count;
    struct acceptance acceptances[ACCEPTANCES_MAX];
    uint8_t message_count;
    struct message messages[MESSAGES_MAX]; /* sorted, without those that can change nothing */
};

struct setting {
    const char *name;
    uint8_t proposers, attempts[PROPOSERS_MAX];
    uint8_t acceptor_crashes, proposer_crashes, wipes;
    enum mistake mistake;
};

struct search {
    const struct setting *setting;
    struct visited visited;
    struct world *stack;
    size_t stack_size, stack_capacity;
    uint64_t states, transitions;
    bool violated;
};

/* --- the network ------------------------------------------------------------------------------ */

static void send_message(struct world *world, struct message message)
{
    uint8_t at = 0;
    while (at < world->message_count && memcmp(&world->messages[at], &message, sizeof(message)) < 0)
        at++;
    if (at < world->message_count && memcmp(&world->messages[at], &message, sizeof(message)) == 0)
        return;
    assert_true(world->message_count < MESSAGES_MAX);
    memmove(&world->messages[at + 1], &world->messages[at],
            (size_t)(world->message_count - at) * sizeof(message));
    world->messages[at] = message;
    world->message_count++;
}

static struct ballot ballot_of(uint8_t counter, uint8_t proposer)
{
    return (struct ballot){ counter, proposer };
}

static void answer(struct world *world, uint8_t voter, const struct acceptor_effects *effects)
{
    const struct acceptor *acceptor = &world->acceptors[voter];
    struct message message = { .voter = voter,
                               .counter = (uint8_t)effects->ballot.counter,
                               .proposer = (uint8_t)effects->ballot.proposer };
    struct ballot other = acceptor->accepted;
    if (effects->answer == ACCEPTOR_PROMISE) {
        message.kind = ANSWER + PROPOSER_PROMISE;
        message.value = (uint8_t)acceptor->value;
    } else if (effects->answer == ACCEPTOR_ACCEPTED) {
        message.kind = ANSWER + PROPOSER_ACCEPTED;
        other = ballot_of(0, 0);
    } else {
        return;
    }
    message.accepted_counter = (uint8_t)other.counter;
    message.accepted_proposer = (uint8_t)other.proposer;
    send_message(world, message);
}

static void ask(struct world *world, uint8_t at, const struct proposer_effects *effects)
{
    const struct proposer *proposer = &world->proposers[at];
    struct message message = { .counter = (uint8_t)proposer->ballot.counter,
                               .proposer = (uint8_t)proposer->ballot.proposer };
    for (uint8_t voter = 0; voter < ACCEPTORS; voter++) {
        message.voter = voter;
        message.kind = ACCEPTOR_PREPARE;
        message.value = 0;
        if (effects->prepare & 1u << voter)
            send_message(world, message);
        message.kind = ACCEPTOR_ACCEPT;
        message.value = (uint8_t)proposer->value;
        if (effects->accept & 1u << voter)
            send_message(world, message);
    }
    bool first = world->announced == 0 || world->announced == proposer->value;
    if (effects->decided)
        world->announced = first ? (uint8_t)proposer->value : UINT8_MAX;
}

/* --- what may happen --------------------------------------------------------------------------- */

static void step_proposer(const struct search *search, struct world *world, uint8_t at,
                          const struct proposer_event *event);
static void visit(struct search *search, const struct world *world);

/* Lives of one proposer have different names, unless that is the mistake; 16 lives a proposer. */
static uint8_t owner_of(const struct message *message)
{
    return (uint8_t)((message->proposer - 1) / 16);
}

static void refuse(struct search *search, const struct world *world, const struct message *message)
{
    struct world next = *world;
    const struct proposer_event event = { .kind = PROPOSER_REFUSED,
                                          .voter = message->voter,
                                          .ballot = ballot_of(message->counter, message->proposer),
                                          .accepted = world->acceptors[message->voter].promised };
    step_proposer(search, &next, owner_of(message), &event);
    visit(search, &next);
}

static void note_acceptance(struct world *world, const struct message *accept)
{
    uint8_t i = 0;
    for (; i < world->acceptance_count; i++) {
        struct acceptance *one = &world->acceptances[i];
        if (one->counter == accept->counter && one->proposer == accept->proposer &&
            one->value == accept->value)
            break;
    }
    assert_true(i < ACCEPTANCES_MAX);
    if (i == world->acceptance_count)
        world->acceptances[world->acceptance_count++] =
            (struct acceptance){ accept->counter, accept->proposer, accept->value, 0 };
    world->acceptances[i].voters |= (uint8_t)(1u << accept->voter);
}

/* The power fails before the state is saved, or after that and before the answer: in between it
 * would only be deaf. */
static void crash_while_saving(struct search *search, const struct world *before,
                               const struct world *saving, const struct message *message,
                               const struct acceptor_effects *early)
{
    struct world next = *before;
    uint8_t voter = message->voter;
    next.acceptor_crashes--;
    if (early != NULL) {
        answer(&next, voter, early);
        if (message->kind == ACCEPTOR_ACCEPT)
            note_acceptance(&next, message);
    }
    visit(search, &next);
    next = *saving;
    if (message->kind == ACCEPTOR_ACCEPT)
        note_acceptance(&next, message);
    next.acceptor_crashes--;
    acceptor_load(&next.acceptors[voter], IN_FORCE, &saving->acceptors[voter]);
    visit(search, &next);
}

static void deliver_to_acceptor(struct search *search, const struct world *world,
                                const struct message *message)
{
    struct world next = *world;
    struct acceptor *acceptor = &next.acceptors[message->voter];
    const struct acceptor_event saved = { .kind = ACCEPTOR_SAVED };
    const struct acceptor_event event = {
        .kind = (enum acceptor_event_kind)message->kind,
        .number = NUMBER,
        .ballot = ballot_of(message->counter, message->proposer),
        .value = message->value,
    };
    struct acceptor_effects effects;
    acceptor_step(acceptor, &event, &effects);
    if (effects.answer == ACCEPTOR_REFUSE)
        refuse(search, &next, message);
    bool accepts =
        message->kind == ACCEPTOR_ACCEPT && (effects.save || effects.answer == ACCEPTOR_ACCEPTED);
    if (effects.save) {
        const struct world saving = next;
        acceptor_step(acceptor, &saved, &effects);
        assert_int_not_equal(effects.answer, ACCEPTOR_NO_ANSWER);
        bool early = search->setting->mistake == ANSWERS_EARLY;
        if (accepts)
            note_acceptance(&next, message);
        if (world->acceptor_crashes > 0)
            crash_while_saving(search, world, &saving, message, early ? &effects : NULL);
    }
    answer(&next, message->voter, &effects);
    visit(search, &next);
}

static void step_proposer(const struct search *search, struct world *world, uint8_t at,
                          const struct proposer_event *event)
{
    struct proposer_effects effects;
    struct proposer_event changed = *event;
    if (search->setting->mistake == OWN_VALUE && event->kind == PROPOSER_PROMISE)
        changed.accepted = ballot_of(0, 0);
    proposer_step(&world->proposers[at], &changed, &effects);
    world->proposers[at].next_tick_us = 0; /* time is whenever a state is left */
    world->proposers[at].conflicts = 0;
    ask(world, at, &effects);
}

static void deliver_to_proposer(const struct search *search, struct world *world,
                                const struct message *message)
{
    const struct proposer_event event = {
        .kind = (enum proposer_event_kind)(message->kind - ANSWER),
        .voter = message->voter,
        .ballot = ballot_of(message->counter, message->proposer),
        .accepted = ballot_of(message->accepted_counter, message->accepted_proposer),
        .value = message->value,
    };
    step_proposer(search, world, owner_of(message), &event);
}

static void start_attempt(const struct search *search, struct world *world, uint8_t at)
{
    const struct proposer_event event = { .kind = PROPOSER_START,
                                          .voter_count = ACCEPTORS,
                                          .value = 1u + at };
    world->attempts[at]--;
    step_proposer(search, world, at, &event);
}

/* Its time to rest is over: the next attempt. */
static void retry(const struct search *search, struct world *world, uint8_t at)
{
    const struct proposer_event event = { .kind = PROPOSER_TICK };
    world->attempts[at]--;
    step_proposer(search, world, at, &event);
}

/* It forgets everything, and may begin again with the value of somebody else: so values of one
 * ballot differ where a ballot is used twice. */
static void crash_proposer(const struct search *search, struct world *world, uint8_t at)
{
    uint64_t life = world->proposers[at].life;
    world->proposer_crashes--;
    proposer_init(&world->proposers[at],
                  search->setting->mistake == BALLOT_REUSED ? life : life + 1);
    const struct proposer_event event = { .kind = PROPOSER_START,
                                          .voter_count = ACCEPTORS,
                                          .value = 1u + PROPOSERS_MAX + at };
    if (world->attempts[at] > 0) {
        world->attempts[at]--;
        step_proposer(search, world, at, &event);
    }
}

static void wipe_acceptor(struct world *world, uint8_t voter)
{
    world->wipes--;
    acceptor_init(&world->acceptors[voter], IN_FORCE);
}

/* --- what must hold ---------------------------------------------------------------------------- */

static bool is_sound(const struct world *world)
{
    uint8_t decided = 0;
    for (uint8_t i = 0; i < world->acceptance_count; i++) {
        const struct acceptance *one = &world->acceptances[i];
        if (__builtin_popcount(one->voters) <= ACCEPTORS / 2)
            continue;
        if (decided != 0 && decided != one->value)
            return false;
        decided = one->value;
    }
    return world->announced == 0 || world->announced == decided;
}

/* --- messages that can change nothing any more -------------------------------------------------- */

static bool is_current(const struct world *world, const struct message *message)
{
    struct ballot own = world->proposers[owner_of(message)].ballot;
    return ballot_equal(own, ballot_of(message->counter, message->proposer));
}

static bool is_dead(const struct world *world, const struct message *message)
{
    enum proposer_state state = world->proposers[owner_of(message)].state;
    bool current = is_current(world, message);
    if (message->kind == ANSWER + PROPOSER_PROMISE)
        return !current || state != PROPOSER_PREPARING;
    if (message->kind == ANSWER + PROPOSER_ACCEPTED)
        return !current || state != PROPOSER_ACCEPTING;
    struct ballot ballot = ballot_of(message->counter, message->proposer);
    bool over = state == PROPOSER_IDLE || state == PROPOSER_WAITING || state == PROPOSER_DECIDED;
    return ballot_less(ballot, world->acceptors[message->voter].promised) && (!current || over);
}

static void forget_dead(struct world *world)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < world->message_count; i++)
        if (!is_dead(world, &world->messages[i]))
            world->messages[kept++] = world->messages[i];
    world->message_count = kept;
}

/* --- the search -------------------------------------------------------------------------------- */

static uint8_t *put_ballot(uint8_t *at, struct ballot ballot)
{
    *at++ = (uint8_t)ballot.counter;
    *at++ = (uint8_t)ballot.proposer;
    return at;
}

static uint8_t *put_acceptor(uint8_t *at, const struct acceptor *acceptor)
{
    at = put_ballot(put_ballot(at, acceptor->promised), acceptor->accepted);
    at = put_ballot(at, acceptor->asked);
    *at++ = (uint8_t)acceptor->value;
    *at++ = (uint8_t)(acceptor->answering << 1 | acceptor->saved);
    return at;
}

static uint8_t *put_proposer(uint8_t *at, const struct proposer *proposer)
{
    at = put_ballot(put_ballot(at, proposer->ballot), proposer->carried);
    *at++ = (uint8_t)proposer->state;
    *at++ = (uint8_t)proposer->life;
    *at++ = (uint8_t)proposer->counter;
    *at++ = (uint8_t)proposer->own;
    *at++ = (uint8_t)proposer->value;
    *at++ = (uint8_t)proposer->answered;
    return at;
}

static uint64_t key_of(const struct world *world)
{
    uint8_t text[1024], *at = text;
    uint64_t ghosts = 0;
    for (uint8_t i = 0; i < ACCEPTORS; i++) {
        at = put_acceptor(at, &world->acceptors[i]);
    }
    for (uint8_t i = 0; i < PROPOSERS_MAX; i++) {
        at = put_proposer(at, &world->proposers[i]);
        *at++ = world->attempts[i];
    }
    *at++ = world->acceptor_crashes;
    *at++ = world->proposer_crashes;
    *at++ = world->wipes;
    *at++ = world->announced;
    for (uint8_t i = 0; i < world->acceptance_count; i++)
        ghosts += hash64(bytes_make(&world->acceptances[i], sizeof(struct acceptance)), 1);
    memcpy(at, &ghosts, sizeof(ghosts)); /* in any order */
    at += sizeof(ghosts);
    memcpy(at, world->messages, world->message_count * sizeof(struct message));
    at += world->message_count * sizeof(struct message);
    return hash64(bytes_make(text, (size_t)(at - text)), 0) | 1;
}

static void visit(struct search *search, const struct world *reached)
{
    struct world copy = *reached, *world = &copy;
    forget_dead(world);
    search->transitions++;
    if (search->violated || !visited_add(&search->visited, key_of(world)))
        return;
    search->states++;
    if (!is_sound(world)) {
        search->violated = true;
        return;
    }
    if (search->stack_size == search->stack_capacity) {
        search->stack_capacity = search->stack_capacity == 0 ? 1024 : 2 * search->stack_capacity;
        search->stack = realloc(search->stack, search->stack_capacity * sizeof(*search->stack));
        assert_non_null(search->stack);
    }
    search->stack[search->stack_size++] = *world;
}

static void deliver_all(struct search *search, const struct world *world)
{
    for (uint8_t i = 0; i < world->message_count; i++) {
        const struct message message = world->messages[i];
        if (message.kind < ANSWER) {
            deliver_to_acceptor(search, world, &message);
            continue;
        }
        struct world next = *world;
        deliver_to_proposer(search, &next, &message);
        visit(search, &next);
    }
}

static void things_break(struct search *search, const struct world *world)
{
    for (uint8_t voter = 0; voter < ACCEPTORS; voter++) {
        struct world next = *world;
        if (world->wipes > 0) {
            wipe_acceptor(&next, voter);
            visit(search, &next);
        }
    }
    for (uint8_t at = 0; at < search->setting->proposers && world->proposer_crashes > 0; at++) {
        struct world next = *world;
        crash_proposer(search, &next, at);
        visit(search, &next);
    }
}

static void proposers_begin(struct search *search, const struct world *world)
{
    for (uint8_t at = 0; at < search->setting->proposers; at++) {
        struct world next = *world;
        if (world->attempts[at] == 0)
            continue;
        if (world->proposers[at].state == PROPOSER_IDLE)
            start_attempt(search, &next, at);
        else if (world->proposers[at].state == PROPOSER_WAITING)
            retry(search, &next, at);
        else
            continue;
        visit(search, &next);
    }
}

static struct world beginning(const struct setting *setting)
{
    struct world world = { 0 };
    for (uint8_t voter = 0; voter < ACCEPTORS; voter++) {
        acceptor_init(&world.acceptors[voter], IN_FORCE);
    }
    for (uint8_t at = 0; at < setting->proposers; at++) {
        proposer_init(&world.proposers[at], 1u + 16u * at);
        world.attempts[at] = setting->attempts[at];
    }
    world.acceptor_crashes = setting->acceptor_crashes;
    world.proposer_crashes = setting->proposer_crashes;
    world.wipes = setting->wipes;
    return world;
}

static void explore(struct search *search)
{
    struct world world = beginning(search->setting);
    visit(search, &world);
    while (search->stack_size > 0 && !search->violated) {
        world = search->stack[--search->stack_size];
        deliver_all(search, &world);
        things_break(search, &world);
        proposers_begin(search, &world);
    }
}

static const struct setting settings[] = {
    { "two proposers, one tries twice", 2, { 2, 1 }, 0, 0, 0, NO_MISTAKE },
    { "two proposers, both try twice", 2, { 2, 2 }, 0, 0, 0, NO_MISTAKE },
    { "an acceptor crashes", 2, { 2, 1 }, 1, 0, 0, NO_MISTAKE },
    { "a proposer crashes", 2, { 2, 1 }, 0, 1, 0, NO_MISTAKE },
    { "three proposers", 3, { 1, 1, 1 }, 0, 0, 0, NO_MISTAKE },
    { "an acceptor that answers before it saved", 2, { 1, 1 }, 1, 0, 0, ANSWERS_EARLY },
    { "a ballot used for two values", 1, { 2 }, 0, 1, 0, BALLOT_REUSED },
    { "a wiped acceptor under its old id", 2, { 1, 1 }, 0, 0, 1, REBORN },
    { "a proposer that insists on its own value", 2, { 1, 1 }, 0, 0, 0, OWN_VALUE },
};

static void check(const void *data)
{
    struct search search = { .setting = data };
    visited_init(&search.visited, 24);
    explore(&search);
    printf("%s: %llu states, %llu transitions%s\n", search.setting->name,
           (unsigned long long)search.states, (unsigned long long)search.transitions,
           search.violated ? ", two values decided" : "");
    assert_int_equal(search.violated, search.setting->mistake != NO_MISTAKE);
    free(search.stack);
    visited_done(&search.visited);
}

int main(void)
{
    return RUN_ROWS("every course of a decision", settings, check);
}
