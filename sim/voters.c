/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/voters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/placement/placement.h"
#include "node/recover/recover.h"
#include "node/small_file.h"
#include "sim/solo.h"

enum {
    KEYS_MAX = 128,
    NAME_SIZE = 8, /* of a member */
    OPERATORS = 2,
    TROUBLE_MAX = 8,
    CHANGES_MAX = 4,
    BUSY_US = 100 * 1000,
    BUSY_POLL_US = 4 * 1000,
};

static const uint64_t recover_limit_us = 300 * SIM_SECOND;
static const uint64_t move_limit_us = 120 * SIM_SECOND;
static const uint64_t told_limit_us = 60 * SIM_SECOND;

/* Somebody who tries to recover, again and again. */
struct voter_operator {
    struct voters *run;
    struct process *asked;
    uint32_t life; /* of the one that is asked */
    bool waiting;
    uint64_t next_us;
};

struct voters {
    struct solo solo;
    bool moves;      /* the shape changes so that partitions move; what is kept is not checked */
    uint16_t anchor; /* is never lost */
    uint32_t lost;   /* members, as bits */
    uint32_t ever_lost;
    uint32_t voters; /* of the old line */
    bool acknowledged[KEYS_MAX];
    uint32_t holders[KEYS_MAX]; /* owners who held it when most voters were lost, as bits */
    struct voter_operator operators[OPERATORS];
    uint32_t trouble; /* events still to come */
    uint64_t busy_us; /* until then members are likely to be at a recovery */
    bool begun;       /* something was sent to be accepted */
    bool needless;    /* enough voters are back, and nobody has accepted anything */
};

/* --- what a run is made of ------------------------------------------------------------------- */

static const struct solo_bounds bounds = {
    .members_min = 3,
    .replicas_min = 1,
    .latency_steps = 10,
    .delay_steps = 7,
    .loss = 50000,
    .keys_max = KEYS_MAX,
};

static void draw_plan(struct voters *v)
{
    v->moves = choose_one_in(v->solo.world, 3);
    v->trouble = (uint32_t)choose(v->solo.world, TROUBLE_MAX + 1);
}

static void describe(const struct voters *v, struct run_result *ret)
{
    const struct plan *plan = &v->solo.plan;
    snprintf(ret->plan, sizeof(ret->plan), "voters, %u nodes, n=%u, %u partitions%s, loss %u",
             plan->member_count, plan->replica_count, plan->partition_count,
             v->moves ? ", moving" : "", plan->network.loss);
}

/* --- asking ---------------------------------------------------------------------------------- */

static bool is_lost(const struct voters *v, uint16_t member)
{
    return (v->lost >> member & 1) != 0;
}

static bool is_left(const struct voters *v, uint16_t member)
{
    return !is_lost(v, member) && !epoch_book_gone(&v->solo.cluster.book, member);
}

/* One who is left and runs; NULL: nobody does. */
static struct process *choose_left(struct voters *v)
{
    struct cluster *cluster = &v->solo.cluster;
    uint16_t start = (uint16_t)choose(v->solo.world, cluster->count);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[(start + i) % cluster->count];
        if (process->running && is_left(v, process->member))
            return process;
    }
    return NULL;
}

static bool ask(struct voters *v, struct process *process, const struct operation *operation,
                struct asked *ret)
{
    return solo_ask(&v->solo, process, solo_choose_shard(&v->solo, process), operation, ret);
}

static struct process *choose_any(void *context)
{
    return choose_left(context);
}

static bool set_properties(struct voters *v)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.levels.n = v->solo.plan.replica_count;
    return solo_set_properties(&v->solo, &properties, choose_any, v);
}

/* True: acknowledged. */
static bool write_key(struct voters *v, uint32_t key, uint32_t w)
{
    char name[SIM_KEY_SIZE];
    struct asked asked;
    struct process *process = choose_left(v);
    history_key(key, name);
    struct operation operation = solo_operation(OPERATION_PUT, name);
    operation.value = bytes_of_string(name);
    operation.flags = OPERATION_OVERWRITE;
    operation.levels.sloppy = 0;
    operation.levels.w = w;
    operation.levels.dw = 1;
    v->solo.operations++;
    if (process == NULL || !ask(v, process, &operation, &asked))
        return false;
    bool acknowledged = asked.answered && asked.status == KVORUM_OK;
    v->solo.acknowledged += acknowledged;
    return acknowledged;
}

static bool write_all(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++) {
        uint32_t w = (uint32_t)choose_between(v->solo.world, 1, v->solo.plan.replica_count);
        v->acknowledged[key] = write_key(v, key, w);
        if (v->solo.world->violation.checker != NULL)
            return false;
    }
    return solo_pass_time(&v->solo, choose(v->solo.world, 2) * SOLO_SETTLE_US);
}

/* --- the shape changes ------------------------------------------------------------------------ */

static void forget_answer(void *context, const struct answer *answer)
{
    struct voters *v = context;
    world_trace(v->solo.world, "voters: a change: %s %s", kvorum_status_name(answer->status),
                answer->reason);
}

static void ask_change(struct voters *v, struct process *process, enum change_ask ask)
{
    struct world *world = v->solo.world;
    struct change_request request = { .kind = ask, .allow_zone_loss = true };
    request.change.kind = CHANGE_WEIGHT;
    request.change.weight = (uint32_t)choose_between(world, 50, 300);
    snprintf(request.name, sizeof(request.name), "n%u",
             (unsigned)choose(world, v->solo.cluster.count));
    world_trace(world, "voters: n%u is asked to change the shape, %d", process->member, (int)ask);
    process_enter(process);
    node_change_epoch(process->shards[0].node, &request, forget_answer, v);
    process_leave(process, 0);
}

/* Without waiting: the last may be half decided when the voters are lost. */
static bool change_shape(struct voters *v)
{
    uint64_t count = choose(v->solo.world, CHANGES_MAX + 1);
    for (uint64_t i = 0; i < count; i++) {
        struct process *process = choose_left(v);
        bool commits = v->moves && i > 0 && choose_one_in(v->solo.world, 2);
        ask_change(v, process, commits ? ASK_COMMIT : ASK_STAGE);
        if (!solo_pass_time(&v->solo, 1 + choose_delay(v->solo.world, 300 * SIM_MILLISECOND)))
            return false;
    }
    return true;
}

/* --- being lost ------------------------------------------------------------------------------- */

static void lose(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    v->lost |= 1u << member;
    v->ever_lost |= v->lost;
    process->held_down = true;
    world_cancel(v->solo.world, &process->restart);
    process_crash(process, choose_one_in(v->solo.world, 2));
    world_tell(v->solo.world, -1, "voters: n%u is lost", member);
}

/* Of those who are voters in the newest epoch that anybody has. */
static void find_voters(struct voters *v)
{
    const struct epoch *newest = &v->solo.cluster.epoch;
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        const struct process *process = &v->solo.cluster.processes[i];
        if (process->running && node_epoch(process->shards[0].node)->number > newest->number)
            newest = node_epoch(process->shards[0].node);
    }
    for (uint8_t i = 0; i < newest->voter_count; i++)
        v->voters |= 1u << newest->voters[i];
}

static unsigned voters_lost(const struct voters *v, uint32_t lost)
{
    return (unsigned)__builtin_popcount(v->voters & lost);
}

static bool lacks_majority(const struct voters *v, uint32_t lost)
{
    return 2 * voters_lost(v, lost) > (unsigned)__builtin_popcount(v->voters);
}

static void lose_majority(struct voters *v)
{
    find_voters(v);
    v->anchor = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
    while (!lacks_majority(v, v->lost) || choose_one_in(v->solo.world, 4)) {
        uint16_t member = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
        if (member != v->anchor && !is_lost(v, member))
            lose(v, member);
        if (__builtin_popcount(v->lost) + 1 == v->solo.cluster.count)
            return;
    }
}

/* --- trouble meanwhile ------------------------------------------------------------------------ */

static bool line_is_known(const struct voters *v)
{
    return v->solo.cluster.book.lines > 0;
}

/* With its disk, before anything new is decided.  The old line may then have its voters again, with
 * those who are left: not without them. */
static void return_one(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
    struct process *process = &v->solo.cluster.processes[member];
    uint32_t back = (v->ever_lost & ~v->lost) | 1u << member;
    if (!is_lost(v, member) || !lacks_majority(v, ~back) ||
        (!v->begun && !lacks_majority(v, v->lost & ~(1u << member))))
        return;
    PROBE("voters: one who was lost came back before the end");
    world_tell(v->solo.world, -1, "voters: n%u comes back", member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    process_start_after(process, 1 + choose(v->solo.world, SIM_SECOND));
}

static void lose_another(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->solo.world, v->solo.cluster.count);
    if (member == v->anchor || is_lost(v, member))
        return;
    PROBE("voters: another was lost before the end");
    lose(v, member);
}

static void crash_one(struct voters *v)
{
    struct process *process = choose_left(v);
    if (process == NULL)
        return;
    process_crash(process, choose_one_in(v->solo.world, 2));
    process_start_after(process, 1 + choose(v->solo.world, SIM_SECOND));
}

static void change_one(struct voters *v)
{
    struct process *process = choose_left(v);
    if (process != NULL)
        ask_change(v, process, ASK_STAGE);
}

/* What goes wrong between promises and acceptances is what matters. */
static void on_frame(void *context, const struct message *message)
{
    struct voters *v = context;
    if (message->kind == MESSAGE_RECOVER && message->tail.size > 0)
        v->busy_us = v->solo.world->now_us + BUSY_US;
    v->begun |= message->kind == MESSAGE_RECOVER && message->tail.size > 0;
}

static bool is_busy(const struct voters *v)
{
    return v->solo.world->now_us < v->busy_us;
}

static void make_trouble(struct voters *v)
{
    if (v->trouble == 0 || !choose_one_in(v->solo.world, is_busy(v) ? 8 : 30))
        return;
    v->trouble--;
    switch (choose(v->solo.world, 4)) {
    case 0:
        crash_one(v);
        break;
    case 1:
        return_one(v);
        break;
    case 2:
        change_one(v);
        break;
    default:
        lose_another(v);
        break;
    }
}

/* --- operators -------------------------------------------------------------------------------- */

static void on_report(void *context, const Peer__RecoverReport *report)
{
    struct voter_operator *asker = context;
    struct voters *v = asker->run;
    world_trace(v->solo.world, "voters: operator %u: %s %s", (unsigned)(asker - v->operators),
                kvorum_status_name((kvorum_status)report->status), report->reason);
    if (report->status == KVORUM_NOT_ALLOWED &&
        strstr(report->reason, "which is a majority") != NULL)
        v->needless = true;
    if (report->status == KVORUM_CONFLICT)
        PROBE("voters: an operator came second");
    asker->waiting = false;
}

static void recover(struct voters *v, struct voter_operator *asker)
{
    char names[SIM_MEMBERS_MAX][NAME_SIZE];
    const char *lost[SIM_MEMBERS_MAX];
    struct recover_order order = { .does = !choose_one_in(v->solo.world, 8),
                                   .lost = lost,
                                   .switched_off = true };
    struct process *process = choose_left(v);
    if (process == NULL)
        return;
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        if (!is_lost(v, i))
            continue;
        snprintf(names[i], NAME_SIZE, "n%u", i);
        lost[order.lost_count++] = names[i];
    }
    uint16_t shard = solo_choose_shard(&v->solo, process);
    asker->asked = process;
    asker->life = process->lives;
    asker->waiting = true;
    world_trace(v->solo.world, "voters: operator %u asks n%u.%u", (unsigned)(asker - v->operators),
                process->member, shard);
    process_enter(process);
    node_recover(process->shards[shard].node, &order, on_report, asker);
    process_leave(process, shard);
}

static void work(struct voters *v, struct voter_operator *asker)
{
    const struct process *asked = asker->asked;
    if (asker->waiting && (!asked->running || asked->lives != asker->life))
        asker->waiting = false; /* it took the answer along */
    if (asker->waiting || v->solo.world->now_us < asker->next_us)
        return;
    asker->next_us = v->solo.world->now_us + choose_delay(v->solo.world, 2 * SIM_SECOND);
    recover(v, asker);
}

static bool all_left_follow(const struct voters *v, bool still)
{
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        const struct process *process = &v->solo.cluster.processes[i];
        if (!is_left(v, i))
            continue;
        if (!process->running)
            return false;
        for (uint16_t s = 0; s < process->shard_count; s++) {
            const struct epoch *epoch = node_epoch(process->shards[s].node);
            if (ring_line(epoch->number) == 0 || (still && epoch->move_count > 0) ||
                (still && epoch->number != v->solo.cluster.book.count))
                return false;
        }
    }
    return true;
}

static bool recover_all(struct voters *v)
{
    uint64_t end_us = v->solo.world->now_us + recover_limit_us;
    for (int i = 0; i < OPERATORS; i++)
        v->operators[i] = (struct voter_operator){
            .run = v, .next_us = v->solo.world->now_us + choose_delay(v->solo.world, 2 * SIM_SECOND)
        };
    while (!(v->needless && !line_is_known(v)) &&
           (!line_is_known(v) || !all_left_follow(v, false))) {
        for (int i = 0; i < OPERATORS; i++)
            work(v, &v->operators[i]);
        make_trouble(v);
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "liveness", "nothing is recovered after %llu s",
                       (unsigned long long)(recover_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, is_busy(v) ? 1 + choose_delay(v->solo.world, BUSY_POLL_US)
                                                 : SOLO_POLL_US))
            return false;
    }
    return true;
}

/* Who was lost after the others had agreed on the new line with him is a member of it. */
static void readmit(struct voters *v)
{
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        struct process *process = &v->solo.cluster.processes[i];
        if (!is_lost(v, i) || epoch_book_gone(&v->solo.cluster.book, i))
            continue;
        PROBE("voters: one who was lost later is a member of the new line");
        v->lost &= ~(1u << i);
        process->held_down = false;
        process_start_after(process, 1);
    }
}

static bool come_to_rest(struct voters *v)
{
    uint64_t end_us = v->solo.world->now_us + move_limit_us;
    v->solo.cluster.network.faults.loss = 0;
    while (!all_left_follow(v, true)) {
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "liveness", "a new line still moves after %llu s",
                       (unsigned long long)(move_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    return solo_pass_time(&v->solo, SOLO_SETTLE_US);
}

/* --- coming back ------------------------------------------------------------------------------ */

static bool is_told(const struct process *process)
{
    return process->retired || (process->running && node_left_epoch(process->shards[0].node) != 0);
}

static bool wait_told(struct voters *v, struct process *process)
{
    uint64_t end_us = v->solo.world->now_us + told_limit_us;
    while (!is_told(process)) {
        if (process->running && choose_one_in(v->solo.world, 20))
            ask_change(v, process, ASK_STAGE);
        if (v->solo.world->now_us >= end_us)
            world_fail(v->solo.world, "told",
                       "n%u came back %llu s ago and still thinks that it is one", process->member,
                       (unsigned long long)(told_limit_us / SIM_SECOND));
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    return true;
}

static void start_again(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    bool was_lost = is_lost(v, member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    if (was_lost && !process->running && !process->retired)
        process_start(process);
}

static bool retire(struct voters *v, uint16_t member)
{
    struct process *process = &v->solo.cluster.processes[member];
    if (!wait_told(v, process))
        return false;
    process_stop(process);
    process->held_down = process->retired = true;
    world_cancel(v->solo.world, &process->restart);
    return true;
}

/* Two of them at a time, where the old line still lacks its majority then; those who have come back
 * by themselves first. */
static bool give_back(struct voters *v)
{
    uint16_t count = v->solo.cluster.count;
    for (uint16_t i = 0; i < count; i++)
        if (epoch_book_gone(&v->solo.cluster.book, i) && !is_lost(v, i) && !retire(v, i))
            return false;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t next = (uint16_t)(i + 1);
        uint32_t both = 1u << i | 1u << next;
        bool pair = next < count && is_lost(v, next) && lacks_majority(v, ~both);
        if (!is_lost(v, i))
            continue;
        start_again(v, i);
        if (pair)
            start_again(v, next);
        if (!retire(v, i) || (pair && !retire(v, next)))
            return false;
    }
    return true;
}

/* --- what must be true ------------------------------------------------------------------------ */

static bool owns(const struct voters *v, const char *name, uint16_t member)
{
    const struct epoch *epoch = &v->solo.cluster.epoch;
    const uint16_t *row = ring_row(epoch, solo_partition(&v->solo, name));
    for (uint8_t c = 0; c < epoch->replica_count; c++)
        if (row[c] == member)
            return true;
    return false;
}

static bool store_holds(struct engine *store, const char *name)
{
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    bool found = false;
    if (engine_iterate(store, &objects, &iterator) != KVORUM_OK)
        abort();
    for (engine_iterator_first(iterator); iterator->valid && !found;
         engine_iterator_next(iterator)) {
        struct key_address address;
        found = store_key_parse(iterator->key, &address) &&
                bytes_equal(address.key, bytes_of_string(name));
    }
    engine_iterator_close(iterator);
    return found;
}

static bool process_holds(const struct process *process, const char *name)
{
    for (uint16_t s = 0; s < process->store_count; s++)
        if (store_holds(process->stores[s], name))
            return true;
    return false;
}

/* By the table of the founding: what is kept is looked at where nothing moves. */
static void find_holders(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++) {
        char name[SIM_KEY_SIZE];
        history_key(key, name);
        for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
            const struct process *process = &v->solo.cluster.processes[i];
            if (process->running && owns(v, name, i) && process_holds(process, name))
                v->holders[key] |= 1u << i;
        }
    }
}

/* What each had accepted as a voter, by its disk. */
static void note_votes(struct voters *v)
{
    static const uint8_t magic[VOTES_MAGIC_SIZE] = { 'K', 'V', 'V', '1' };
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        struct process *process = &v->solo.cluster.processes[i];
        struct acceptor acceptor;
        struct bytes record;
        struct sim_disk copy;
        struct buffer buffer;
        if (!process->running)
            continue;
        buffer_init(&buffer, EPOCH_RECORD_MAX);
        sim_disk_copy_synced(&process->disk, &copy);
        if (small_file_read(&copy.base, "votes", &buffer) == KVORUM_OK &&
            votes_decode(magic, buffer_bytes(&buffer), &acceptor, &record) == KVORUM_OK &&
            record.size > 0)
            v->solo.cluster.book.voted[i] = acceptor.number;
        sim_disk_done(&copy);
        buffer_done(&buffer);
    }
}

static bool is_kept(const struct voters *v, uint32_t key)
{
    uint32_t left = v->holders[key] & ~(v->ever_lost | v->solo.cluster.book.gone);
    return !v->moves && v->acknowledged[key] && left != 0;
}

static bool check_key(struct voters *v, uint32_t key)
{
    char name[SIM_KEY_SIZE];
    struct asked asked = { 0 };
    history_key(key, name);
    struct operation operation = solo_operation(OPERATION_GET, name);
    operation.levels.r = LEVEL_ALL;
    for (int i = 0; i < SOLO_ATTEMPTS_MAX; i++) {
        struct process *process = choose_left(v);
        if (process != NULL && !ask(v, process, &operation, &asked))
            return false;
        if (asked.answered && (asked.status == KVORUM_OK || asked.status == KVORUM_NOT_FOUND))
            break;
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    if (is_kept(v, key) && asked.status != KVORUM_OK)
        world_fail(v->solo.world, "kept",
                   "%s was held by an owner who is left, and is not read: %s", name,
                   kvorum_status_name(asked.status));
    return v->solo.world->violation.checker == NULL;
}

static bool check_writes(struct voters *v, uint32_t key)
{
    for (int i = 0; i < SOLO_ATTEMPTS_MAX; i++)
        if (write_key(v, key, LEVEL_ALL))
            return true;
        else if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    world_fail(v->solo.world, "liveness", "key %u cannot be written in a new line", key);
    return false;
}

/* --- a run ----------------------------------------------------------------------------------- */

static bool check_all(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++)
        if (!check_key(v, key))
            return false;
    return true;
}

static void play(struct voters *v)
{
    if (!set_properties(v) || !write_all(v))
        return;
    v->solo.cluster.network.faults = v->solo.plan.network;
    if (!change_shape(v))
        return;
    lose_majority(v);
    if (!solo_pass_time(&v->solo, SIM_SECOND))
        return;
    find_holders(v);
    note_votes(v);
    if (!solo_pass_time(&v->solo, choose(v->solo.world, 7) * SIM_SECOND) || !recover_all(v))
        return;
    if (v->needless && !line_is_known(v)) {
        PROBE("voters: enough voters came back in time");
        return;
    }
    readmit(v);
    if (!come_to_rest(v) || !check_all(v) || !give_back(v) || !come_to_rest(v) || !check_all(v))
        return;
    for (uint32_t key = 0; key < v->solo.keys; key++)
        if (!check_writes(v, key))
            return;
}

void voters_play(struct world *world, uint32_t keys, struct run_result *ret_result)
{
    struct voters *v = calloc(1, sizeof(*v));
    if (v == NULL)
        abort();
    solo_draw(&v->solo, world, keys, &bounds);
    draw_plan(v);
    describe(v, ret_result);
    solo_begin(&v->solo, ret_result);
    v->solo.cluster.watch = on_frame;
    v->solo.cluster.watch_context = v;
    play(v);
    ret_result->gone = (uint32_t)__builtin_popcount(v->solo.cluster.book.gone);
    solo_end(&v->solo, ret_result);
    free(v);
}
