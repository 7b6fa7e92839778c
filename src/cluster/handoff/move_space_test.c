/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of docs/decisions/0007, searched through: one key whose copies on A, B and C move to B,
 * C and D, one deletion of it, reads, coordinators that are behind, messages that are late or
 * doubled, the loss of any one member, and a first attempt that is given up.  Quorums are those of
 * put_step and get_step, barriers and sessions those of plan_steps.h and streams.h.
 *
 * A member holds nothing, the old value or the tombstone.  Once the deletion is acknowledged no
 * read may find the old value again, nor miss the tombstone before it was collected.  Every rule is
 * then left out, and a read must go wrong: a search that finds nothing there would prove nothing
 * here.
 *
 * With KVORUM_PROOF=1 for all w and r with w + r > 3, else for some. */
#include "cluster/handoff/plan_steps.h"
#include "cluster/handoff/streams.h"
#include "cluster/replication/get.h"
#include "cluster/replication/put.h"
#include "tests/support/rows.h"
#include "tests/support/visited.h"

enum { MEMBERS = 4, NEWCOMER = 3, COLUMNS = 3, SESSIONS = 2, EPOCHS = 6, NOBODY = MEMBERS };
enum { NOTHING, OLD_VALUE, TOMBSTONE };
enum { SENT = 1, ACKED, REFUSED };

enum left_out {
    LEFT_NOTHING,
    LEFT_OLD_QUORUM,  /* writes need a quorum of the new owners only */
    LEFT_NEW_QUORUM,  /* of the old only */
    LEFT_ONCE,        /* one in both sets counts twice in each */
    LEFT_BARRIER,     /* no barrier at all */
    LEFT_BARRIER_OLD, /* a barrier of the new owners only */
    LEFT_BARRIER_R,   /* a barrier of a majority, whatever R is */
    LEFT_FENCE,       /* a source need not know of the move when it takes its snapshot */
    LEFT_SOURCE,      /* a stream of any one peer is enough */
    LEFT_STREAM,      /* reads go over without any stream */
    LEFT_EPOCH_CHECK, /* replicas take messages of any epoch */
    LEFT_SESSION,     /* streams are taken after their session */
    LEFT_CLEAN_START, /* a newcomer keeps what it has from before */
};

struct state {
    uint8_t epoch[MEMBERS], value[MEMBERS];
    uint8_t decided, aborted, lost; /* lost: who crashed, or NOBODY */
    uint8_t write_epoch;            /* of its coordinator, +1; 0: not yet written */
    uint8_t write[MEMBERS];
    uint8_t written; /* acknowledged to the client */
    uint8_t read_epoch, answered, seen;
    uint8_t snapshot[SESSIONS][COLUMNS]; /* on their way, value + 1 */
    uint8_t received, collected;
};

/* One epoch as coordinators use it. */
struct view {
    struct epoch epoch;
    uint16_t targets[MEMBERS];
    uint8_t target_count, place[MEMBERS]; /* place: member -> target */
    uint32_t set, other_set;
};

struct model {
    uint8_t w, r;
    enum left_out left_out;
    bool may_lose, may_abort;
    struct view views[2][EPOCHS]; /* [aborted] */
    struct arena arena;
    struct visited visited;
    uint64_t *queue; /* states, in the order in which they are explored */
    uint32_t *parent;
    uint32_t queue_count, at;
    bool violated;
};

/* --- the epochs ------------------------------------------------------------------------------ */

static uint16_t from_row[] = { 0, 1, 2 }, to_row[] = { 1, 2, 3 };

static void add_target(struct view *view, uint16_t member, uint32_t *set)
{
    uint8_t at = 0;
    while (at < view->target_count && view->targets[at] != member)
        at++;
    if (at == view->target_count)
        view->targets[view->target_count++] = member;
    view->place[member] = at;
    *set |= 1u << at;
}

static void make_view(struct view *view)
{
    const struct move *move = ring_move_of(&view->epoch, 0);
    const uint16_t *read = ring_read_row(&view->epoch, 0);
    memset(view->place, UINT8_MAX, sizeof(view->place));
    for (int i = 0; i < COLUMNS; i++)
        add_target(view, read[i], &view->set);
    for (int i = 0; move != NULL && i < COLUMNS; i++)
        add_target(view, read == move->to ? from_row[i] : move->to[i], &view->other_set);
}

static void make_views(struct model *model)
{
    static struct member members[MEMBERS];
    static const enum handoff_step_kind paths[2][EPOCHS] = {
        { 0, HANDOFF_BEGIN, HANDOFF_READ_NEW, HANDOFF_END, HANDOFF_END, HANDOFF_END },
        { 0, HANDOFF_BEGIN, HANDOFF_ABORT, HANDOFF_BEGIN, HANDOFF_READ_NEW, HANDOFF_END },
    };
    struct epoch founding = { .number = 1, .partition_count = 1, .replica_count = COLUMNS };
    founding.member_count = MEMBERS;
    founding.members = members;
    founding.table = from_row;
    memset(model->views, 0, sizeof(model->views));
    for (int aborted = 0; aborted < 2; aborted++) {
        model->views[aborted][0].epoch = founding;
        make_view(&model->views[aborted][0]);
        for (int i = 1; i < (aborted ? 6 : 4); i++) {
            struct view *view = &model->views[aborted][i];
            struct handoff_step step = { paths[aborted][i], 0 };
            assert_int_equal(KVORUM_OK, handoff_apply(&view[-1].epoch, to_row, &step, 1,
                                                      &model->arena, &view->epoch));
            make_view(view);
        }
    }
}

static const struct view *view_of(const struct model *model, const struct state *state, uint8_t at)
{
    return &model->views[state->aborted][at];
}

/* --- states as numbers ----------------------------------------------------------------------- */

static void pack(uint64_t *key, uint8_t digit, uint8_t base)
{
    assert_true(digit < base);
    *key = *key * base + digit;
}

static uint64_t key_of(const struct state *state)
{
    uint64_t key = 0;
    for (int i = 0; i < MEMBERS; i++) {
        pack(&key, state->epoch[i], EPOCHS);
        pack(&key, state->value[i], 3);
        pack(&key, state->write[i], 4);
    }
    for (int i = 0; i < COLUMNS; i++) {
        pack(&key, state->snapshot[0][i], 4);
        pack(&key, state->snapshot[1][i], 4);
    }
    const uint8_t digits[][2] = { { state->decided, EPOCHS },   { state->aborted, 2 },
                                  { state->lost, MEMBERS + 1 }, { state->write_epoch, EPOCHS + 1 },
                                  { state->written, 2 },        { state->read_epoch, EPOCHS + 1 },
                                  { state->answered, 16 },      { state->seen, 3 },
                                  { state->received, 8 },       { state->collected, 2 } };
    for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++)
        pack(&key, digits[i][0], digits[i][1]);
    return key + 1;
}

static uint8_t unpack(uint64_t *key, uint8_t base)
{
    uint8_t digit = (uint8_t)(*key % base);
    *key /= base;
    return digit;
}

static struct state state_of(uint64_t key)
{
    struct state state;
    key--;
    uint8_t *const digits[] = { &state.collected,   &state.received,   &state.seen,
                                &state.answered,    &state.read_epoch, &state.written,
                                &state.write_epoch, &state.lost,       &state.aborted,
                                &state.decided };
    const uint8_t bases[] = { 2, 8, 3, 16, EPOCHS + 1, 2, EPOCHS + 1, MEMBERS + 1, 2, EPOCHS };
    for (size_t i = 0; i < sizeof(bases); i++)
        *digits[i] = unpack(&key, bases[i]);
    for (int i = COLUMNS; i-- > 0;) {
        state.snapshot[1][i] = unpack(&key, 4);
        state.snapshot[0][i] = unpack(&key, 4);
    }
    for (int i = MEMBERS; i-- > 0;) {
        state.write[i] = unpack(&key, 4);
        state.value[i] = unpack(&key, 3);
        state.epoch[i] = unpack(&key, EPOCHS);
    }
    return state;
}

static void reach(struct model *model, const struct state *state)
{
    uint64_t key = key_of(state);
    if (!visited_add(&model->visited, key))
        return;
    model->parent[model->queue_count] = model->at;
    model->queue[model->queue_count++] = key;
}

/* --- members ---------------------------------------------------------------------------------- */

/* A member has the next epoch on its disk.  Who comes anew to a partition begins with nothing. */
static void adopt(const struct model *model, struct state *state, uint8_t member)
{
    const struct view *view = view_of(model, state, ++state->epoch[member]);
    const struct move *move = ring_move_of(&view->epoch, 0);
    if (member != NEWCOMER || move == NULL || move->session != view->epoch.number)
        return;
    state->received = 0;
    if (model->left_out != LEFT_CLEAN_START)
        state->value[member] = NOTHING;
}

/* Rule 5: behind us: refused; ahead of us: we fetch what we lack, and take it. */
static bool takes(const struct model *model, struct state *state, uint8_t member, uint8_t epoch)
{
    if (model->left_out == LEFT_EPOCH_CHECK)
        return true;
    while (state->epoch[member] < epoch)
        adopt(model, state, member);
    return state->epoch[member] == epoch;
}

static void learn(struct model *model, const struct state *from, uint8_t member)
{
    struct state state = *from;
    if (state.epoch[member] == state.decided)
        return;
    adopt(model, &state, member);
    reach(model, &state);
}

static void lose(struct model *model, const struct state *from, uint8_t member)
{
    struct state state = *from;
    if (!model->may_lose || state.lost != NOBODY)
        return;
    state.lost = member;
    reach(model, &state);
}

/* --- deciding --------------------------------------------------------------------------------- */

static bool is_streamed(const struct model *model, const struct state *state,
                        const struct view *view)
{
    const struct move *move = ring_move_of(&view->epoch, 0);
    if (model->left_out == LEFT_STREAM)
        return true;
    if (!handoff_session_open(&view_of(model, state, state->epoch[NEWCOMER])->epoch, 0,
                              move->session))
        return false;
    if (model->left_out == LEFT_SOURCE)
        return state->received != 0;
    return handoff_received(&view->epoch, move, NEWCOMER, state->received, model->w);
}

static uint8_t barrier_r(const struct model *model)
{
    return model->left_out == LEFT_BARRIER_R ? COLUMNS : model->r;
}

static void decide(struct model *model, const struct state *from)
{
    const struct view *view = view_of(model, from, from->decided);
    const struct move *move = ring_move_of(&view->epoch, 0);
    uint64_t persisted[MEMBERS];
    bool streamed = move != NULL && is_streamed(model, from, view);
    if (from->decided == (from->aborted ? 5 : 3))
        return;
    for (int i = 0; i < MEMBERS; i++) {
        bool pretends = model->left_out == LEFT_BARRIER ||
                        (model->left_out == LEFT_BARRIER_OLD && i == 0 && move != NULL);
        persisted[i] = pretends ? view->epoch.number : from->epoch[i] + 1u;
    }
    if (model->left_out == LEFT_BARRIER_OLD && move != NULL)
        persisted[1] = persisted[2] = persisted[NEWCOMER]; /* one of the new speaks for all */
    struct handoff_input input = { .epoch = &view->epoch,
                                   .persisted = persisted,
                                   .streamed = &streamed,
                                   .target = to_row,
                                   .r = barrier_r(model),
                                   .moves_per_member = 1 };
    struct handoff_step step;
    struct state state = *from;
    state.decided++;
    if (handoff_steps(&input, &step, 1) == 1)
        reach(model, &state);
    if (model->may_abort && from->decided == 1) {
        state.aborted = true;
        reach(model, &state);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void start_write(struct model *model, const struct state *from, uint8_t epoch)
{
    struct state state = *from;
    const struct view *view = view_of(model, from, epoch);
    state.write_epoch = epoch + 1;
    for (uint8_t i = 0; i < view->target_count; i++)
        state.write[view->targets[i]] = SENT;
    reach(model, &state);
}

static void make_quorums(const struct model *model, const struct view *view, struct put *ret)
{
    struct quorum quorum = { .n = COLUMNS, .w = model->w };
    *ret = (struct put){ .quorum = quorum,
                         .target_count = view->target_count,
                         .deadline_us = 1000,
                         .state = PUT_WAITING };
    if (view->other_set == 0)
        return;
    ret->places = view->target_count;
    ret->other = quorum;
    ret->set = view->set;
    ret->other_set = view->other_set;
    bool first_is_new = (view->set >> view->place[NEWCOMER] & 1) != 0;
    if (model->left_out == LEFT_OLD_QUORUM)
        *(first_is_new ? &ret->other : &ret->quorum) = (struct quorum){ .n = COLUMNS };
    if (model->left_out == LEFT_NEW_QUORUM)
        *(first_is_new ? &ret->quorum : &ret->other) = (struct quorum){ .n = COLUMNS };
}

static bool is_met_counting_twice(const struct model *model, const struct put *put)
{
    int twice = __builtin_popcount(put->acked & put->set & put->other_set);
    return __builtin_popcount(put->acked & put->set) + twice >= model->w &&
           __builtin_popcount(put->acked & put->other_set) + twice >= model->w;
}

/* What the coordinator says when `member` acknowledges, by the machine that would say it. */
static bool completes(const struct model *model, const struct state *state, const struct view *view,
                      uint8_t member)
{
    struct put put;
    make_quorums(model, view, &put);
    put.next_spare = put.target_count;
    for (uint8_t i = 0; i < view->target_count; i++) {
        uint8_t answer = state->write[view->targets[i]];
        put.sent |= 1u << i;
        put.acked |= answer == ACKED && view->targets[i] != member ? 1u << i : 0;
    }
    put.durable = put.acked;
    struct put_event event = { .now_us = 1, .kind = PUT_ACK, .durable = true };
    event.target = view->place[member];
    struct put_effects effects;
    put_step(&put, &event, &effects);
    if (model->left_out == LEFT_ONCE && view->other_set != 0)
        return is_met_counting_twice(model, &put);
    return effects.reply && effects.status == KVORUM_OK;
}

static void deliver_write(struct model *model, const struct state *from, uint8_t member)
{
    struct state state = *from;
    uint8_t epoch = state.write_epoch - 1;
    bool taken = takes(model, &state, member, epoch);
    state.write[member] = taken ? ACKED : REFUSED;
    if (taken) {
        state.value[member] = TOMBSTONE;
        state.written |= completes(model, &state, view_of(model, from, epoch), member);
    }
    reach(model, &state);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void start_read(struct model *model, const struct state *from, uint8_t epoch)
{
    struct state state = *from;
    state.read_epoch = epoch + 1;
    reach(model, &state);
}

static bool read_completes(const struct model *model, const struct state *state,
                           const struct view *view, uint8_t member)
{
    struct get get = { .quorum = { .n = COLUMNS, .r = model->r, .notfound_ok = true },
                       .target_count = COLUMNS,
                       .deadline_us = 1000,
                       .state = GET_WAITING,
                       .asked = (1u << COLUMNS) - 1,
                       .asked_full = (1u << COLUMNS) - 1,
                       .next_spare = COLUMNS };
    for (uint8_t i = 0; i < COLUMNS; i++) {
        if ((state->answered >> view->targets[i] & 1) == 0 || view->targets[i] == member)
            continue;
        get.answered |= 1u << i;
        get.digests[i] = 1;
    }
    get.full = get.answered;
    struct get_event event = { .now_us = 1, .kind = GET_ANSWER, .digest = 1, .full = true };
    event.target = view->place[member];
    struct get_effects effects;
    get_step(&get, &event, &effects);
    return effects.reply && effects.status == KVORUM_OK;
}

static void answer_read(struct model *model, const struct state *from, uint8_t member)
{
    struct state state = *from;
    uint8_t epoch = state.read_epoch - 1;
    const struct view *view = view_of(model, from, epoch);
    if ((view->set >> view->place[member] & 1) == 0 || (state.answered >> member & 1) != 0 ||
        !takes(model, &state, member, epoch))
        return;
    state.answered |= 1u << member;
    if (state.value[member] > state.seen)
        state.seen = state.value[member];
    if (read_completes(model, &state, view, member)) {
        model->violated |= state.seen == OLD_VALUE || (state.seen == NOTHING && !state.collected);
        state.read_epoch = state.answered = state.seen = 0;
    }
    reach(model, &state);
}

/* --- streams ---------------------------------------------------------------------------------- */

static uint64_t session_number(int session)
{
    return session == 0 ? 2 : 4;
}

/* By what a source knows; a member knows of its move what its epoch says. */
static void snapshot(struct model *model, const struct state *from, uint8_t source, int session)
{
    uint8_t begun = (uint8_t)(session_number(session) - 1);
    if (from->decided < begun || (session == 1 && !from->aborted) ||
        from->snapshot[session][source] != 0)
        return;
    const struct view *view = view_of(model, from, begun);
    uint32_t lost = from->lost < COLUMNS ? 1u << from->lost : 0;
    uint32_t sources = handoff_sources(&view->epoch, ring_move_of(&view->epoch, 0), NEWCOMER, lost);
    bool knows = handoff_session_open(&view_of(model, from, from->epoch[source])->epoch, 0,
                                      session_number(session));
    bool is_source = (sources >> source & 1) != 0 || model->left_out == LEFT_SOURCE;
    bool is_fenced = knows || (model->left_out == LEFT_FENCE && from->epoch[source] < begun);
    if (!is_source || !is_fenced)
        return;
    struct state state = *from;
    state.snapshot[session][source] = state.value[source] + 1;
    reach(model, &state);
}

/* As often as the network likes. */
static void deliver_stream(struct model *model, const struct state *from, uint8_t source,
                           int session)
{
    const struct view *view = view_of(model, from, from->epoch[NEWCOMER]);
    bool is_open = handoff_session_open(&view->epoch, 0, session_number(session));
    if (from->snapshot[session][source] == 0 || (!is_open && model->left_out != LEFT_SESSION))
        return;
    struct state state = *from;
    uint8_t value = state.snapshot[session][source] - 1;
    if (value > state.value[NEWCOMER])
        state.value[NEWCOMER] = value;
    if (is_open)
        state.received |= 1u << source;
    reach(model, &state);
}

/* --- collecting the tombstone ----------------------------------------------------------------- */

/* All owners hold it and know that no move is under way.  It is also older than any read that may
 * have collected answers from before. */
static bool may_collect(const struct model *model, const struct state *state)
{
    const struct view *view = view_of(model, state, state->decided);
    if (!state->written || view->other_set != 0 || state->read_epoch != 0)
        return false;
    for (uint8_t i = 0; i < COLUMNS; i++) {
        uint16_t owner = view->targets[i];
        if (state->epoch[owner] != state->decided || state->value[owner] != TOMBSTONE)
            return false;
    }
    return true;
}

static void collect(struct model *model, const struct state *from)
{
    struct state state = *from;
    if (!state.collected && may_collect(model, from)) {
        state.collected = true;
        reach(model, &state);
        state = *from;
    }
    const struct view *view = view_of(model, from, from->decided);
    for (uint8_t i = 0; from->collected && view->other_set == 0 && i < COLUMNS; i++) {
        uint16_t owner = view->targets[i];
        if (from->value[owner] != TOMBSTONE || from->epoch[owner] != from->decided ||
            from->lost == owner)
            continue;
        state = *from;
        state.value[owner] = NOTHING;
        reach(model, &state);
    }
}

/* --- the search ------------------------------------------------------------------------------- */

static void explore_member(struct model *model, const struct state *state, uint8_t member)
{
    learn(model, state, member);
    lose(model, state, member);
    if (state->write[member] == SENT)
        deliver_write(model, state, member);
    if (state->read_epoch != 0 &&
        view_of(model, state, state->read_epoch - 1)->place[member] < MEMBERS)
        answer_read(model, state, member);
}

static void explore(struct model *model, const struct state *state)
{
    decide(model, state);
    collect(model, state);
    for (uint8_t i = 0; i < MEMBERS; i++)
        if (i != state->lost)
            explore_member(model, state, i);
    for (uint8_t epoch = 0; epoch <= state->decided; epoch++) {
        if (state->write_epoch == 0)
            start_write(model, state, epoch);
        if (state->written && state->read_epoch == 0)
            start_read(model, state, epoch);
    }
    for (uint8_t source = 0; source < COLUMNS; source++) {
        for (int session = 0; session <= state->aborted; session++) {
            if (state->lost != source)
                snapshot(model, state, source, session);
            if (state->lost != NEWCOMER)
                deliver_stream(model, state, source, session);
        }
    }
}

static void print_state(const struct state *state)
{
    print_message("# decided %u%s write %u", state->decided, state->aborted ? "'" : "",
                  state->write_epoch);
    for (int i = 0; i < MEMBERS; i++)
        print_message(" %c:e%u v%u%s%s", 'A' + i, state->epoch[i], state->value[i],
                      state->write[i] == ACKED     ? " acked"
                      : state->write[i] == REFUSED ? " refused"
                                                   : "",
                      state->lost == i ? " lost" : "");
    print_message(" received %u written %u collected %u read %u answered %x seen %u snapshots",
                  state->received, state->written, state->collected, state->read_epoch,
                  state->answered, state->seen);
    for (int i = 0; i < COLUMNS; i++)
        print_message(" %u/%u", state->snapshot[0][i], state->snapshot[1][i]);
    print_message("\n");
}

/* How it came to the read that goes wrong next, the last state first. */
static void print_story(const struct model *model)
{
    for (uint32_t at = model->at - 1; at != 0; at = model->parent[at]) {
        struct state state = state_of(model->queue[at]);
        print_state(&state);
    }
}

/* An epoch index is only meaningful with the path it is on: whoever is behind the fork is on both.
 * */
static uint64_t search(struct model *model, unsigned bits)
{
    arena_init(&model->arena, 1 << 20);
    make_views(model);
    visited_init(&model->visited, bits);
    model->queue = malloc(sizeof(*model->queue) << (bits - 1));
    model->parent = malloc(sizeof(*model->parent) << (bits - 1));
    assert_non_null(model->queue);
    assert_non_null(model->parent);
    model->queue_count = model->at = 0;
    model->violated = false;
    struct state first = { .value = { OLD_VALUE, OLD_VALUE, OLD_VALUE, NOTHING }, .lost = NOBODY };
    reach(model, &first);
    for (; model->at < model->queue_count && !model->violated; model->at++) {
        struct state state = state_of(model->queue[model->at]);
        explore(model, &state);
    }
    if (model->violated && model->left_out == LEFT_NOTHING)
        print_story(model);
    uint64_t count = model->visited.count;
    free(model->queue);
    free(model->parent);
    visited_done(&model->visited);
    arena_done(&model->arena);
    return count;
}

struct row {
    const char *name;
    enum left_out left_out;
    bool may_lose, may_abort;
    const char *sample; /* without KVORUM_PROOF: pairs of w and r */
};

static const struct row rows[] = {
    { "every w and r, all members live", LEFT_NOTHING, false, false, "13 22 23 31 32 33" },
    { "every w and r, one member is lost", LEFT_NOTHING, true, false, "31 22" },
    { "every w and r, the first attempt is given up", LEFT_NOTHING, false, true, "31 22" },
    { "a quorum of the new owners only", LEFT_OLD_QUORUM, false, false, "22" },
    { "a quorum of the old owners only", LEFT_NEW_QUORUM, false, false, "22" },
    { "one in both counted twice", LEFT_ONCE, false, false, "22" },
    { "no barrier", LEFT_BARRIER, false, false, "22" },
    { "a barrier of the new owners only", LEFT_BARRIER_OLD, false, false, "22" },
    { "a barrier of a majority with r=1", LEFT_BARRIER_R, false, false, "31" },
    { "a stream that is not fenced", LEFT_FENCE, false, false, "22" },
    { "a stream of any one peer", LEFT_SOURCE, false, false, "22" },
    { "no stream", LEFT_STREAM, false, false, "22" },
    { "no check of epochs", LEFT_EPOCH_CHECK, false, false, "22" },
    { "a stream after its session", LEFT_SESSION, false, true, "22" },
    { "a newcomer that keeps what it had", LEFT_CLEAN_START, false, true, "22" },
};

static bool is_wanted(const struct row *row, const struct model *model)
{
    const char pair[] = { (char)('0' + model->w), (char)('0' + model->r), 0 };
    if (model->w + model->r <= COLUMNS)
        return false;
    return getenv("KVORUM_PROOF") != NULL || strstr(row->sample, pair) != NULL;
}

static void check(const void *data)
{
    const struct row *row = data;
    uint64_t states = 0;
    struct model model = { .left_out = row->left_out,
                           .may_lose = row->may_lose,
                           .may_abort = row->may_abort };
    bool violated = false;
    for (model.w = 1; model.w <= COLUMNS && !violated; model.w++) {
        for (model.r = 1; model.r <= COLUMNS && !violated; model.r++) {
            if (!is_wanted(row, &model))
                continue;
            uint64_t found = search(&model, getenv("KVORUM_PROOF") != NULL ? 24 : 22);
            violated = model.violated;
            print_message("# w=%u r=%u: %llu states%s\n", model.w, model.r,
                          (unsigned long long)found, violated ? ", violated" : "");
            states += found;
        }
    }
    print_message("# %s: %llu states, %s\n", row->name, (unsigned long long)states,
                  violated ? "a violation" : "0 violations");
    assert_int_equal(violated, row->left_out != LEFT_NOTHING);
}

int main(void)
{
    return RUN_ROWS("moves", rows, check);
}
