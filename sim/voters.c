/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/voters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "node/internal.h"
#include "node/recover/recover.h"
#include "node/small_file.h"
#include "sim/cluster.h"
#include "sim/voters_yesterday.h"

enum {
    KEYS_MAX = 128,
    KEY_SIZE = 16,
    OPERATORS = 2,
    TROUBLE_MAX = 8,
    CHANGES_MAX = 4,
    ATTEMPTS_MAX = 30,
    POLL_US = 100 * 1000,
    BUSY_US = 100 * 1000,
    BUSY_POLL_US = 4 * 1000,
    IN_VAIN_MAX = 300,
    ARENA_LIMIT = 1 << 26,
};

static const uint64_t settle_us = 3 * SIM_SECOND;
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
    struct world *world;
    struct plan plan;
    struct cluster cluster;
    bool moves;      /* the shape changes so that partitions move; what is kept is not checked */
    uint16_t anchor; /* is never lost */
    uint32_t lost;   /* members, as bits */
    uint32_t ever_lost;
    uint32_t voters; /* of the old line */
    uint32_t keys;
    bool acknowledged[KEYS_MAX];
    uint32_t holders[KEYS_MAX]; /* owners who held it when most voters were lost, as bits */
    struct voter_operator operators[OPERATORS];
    struct voters_yesterday yesterday;
    uint32_t trouble; /* events still to come */
    uint64_t busy_us; /* until then members are likely to be at a recovery */
    bool begun;       /* something was sent to be accepted */
    bool needless;    /* enough voters are back, and nobody has accepted anything */
    uint64_t operations, granted;
};

/* --- what a run is made of ------------------------------------------------------------------- */

static bool one_in(struct world *world, uint64_t n)
{
    return choose_one_in(world, n);
}

static void draw_plan(struct voters *v, uint32_t keys)
{
    struct world *world = v->world;
    struct plan *plan = &v->plan;
    plan->member_count = (uint16_t)choose_between(world, 3, SIM_MEMBERS_MAX);
    plan->replica_count = (uint8_t)choose_between(world, 1, 3);
    plan->partition_count = 1u << choose_between(world, 1, 4);
    for (uint16_t i = 0; i < plan->member_count; i++)
        plan->store_count[i] = (uint16_t)choose_between(world, 1, 3);
    plan->sync = NODE_SYNC_ALWAYS;
    plan->jobs_latency_us = UINT64_C(50) << choose(world, 10);
    sizes_draw(world, &plan->sizes);
    plan->network.delay_us = UINT64_C(200) << choose(world, 7);
    plan->network.loss = one_in(world, 2) ? 50000 : 0;
    plan->drift_ppm_max = 200;
    plan->wall_offset_ms_max = 50;
    plan->levels.n = plan->replica_count;
    v->moves = one_in(world, 3);
    v->trouble = (uint32_t)choose(world, TROUBLE_MAX + 1);
    v->keys = keys < KEYS_MAX ? keys : KEYS_MAX;
}

static void describe(const struct voters *v, struct run_result *ret)
{
    const struct plan *plan = &v->plan;
    snprintf(ret->plan, sizeof(ret->plan), "voters, %u nodes, n=%u, %u partitions%s, loss %u",
             plan->member_count, plan->replica_count, plan->partition_count,
             v->moves ? ", moving" : "", plan->network.loss);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct asked {
    bool answered;
    kvorum_status status;
    bool found;
};

static void on_answer(void *context, const struct answer *answer)
{
    struct asked *asked = context;
    *asked = (struct asked){ true, answer->status, answer->object != NULL };
}

static bool pass_time(struct voters *v, uint64_t duration_us)
{
    return world_run_until(v->world, v->world->now_us + duration_us);
}

static bool is_lost(const struct voters *v, uint16_t member)
{
    return (v->lost >> member & 1) != 0;
}

static bool is_left(const struct voters *v, uint16_t member)
{
    return !is_lost(v, member) && !epoch_book_gone(&v->cluster.book, member);
}

/* One who is left and runs; NULL: nobody does. */
static struct process *choose_left(struct voters *v)
{
    uint16_t start = (uint16_t)choose(v->world, v->cluster.count);
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        struct process *process = &v->cluster.processes[(start + i) % v->cluster.count];
        if (process->running && is_left(v, process->member))
            return process;
    }
    return NULL;
}

static bool await(struct voters *v, const struct asked *asked, const struct process *process,
                  uint32_t life)
{
    uint64_t end_us = v->world->now_us + 60 * SIM_SECOND;
    while (!asked->answered && process->running && process->lives == life) {
        if (v->world->now_us >= end_us)
            world_fail(v->world, "answered", "an operation has no answer after 60 s");
        if (!world_step(v->world))
            return false;
    }
    return true;
}

static bool submit(struct voters *v, struct process *process, const struct operation *operation,
                   struct asked *ret)
{
    uint16_t shard = (uint16_t)choose(v->world, process->shard_count);
    uint32_t life = process->lives;
    *ret = (struct asked){ 0 };
    process_enter(process);
    node_submit(process->shards[shard].node, operation, on_answer, ret);
    process_leave(process, shard);
    return await(v, ret, process, life);
}

static void make_key(uint32_t key, char ret[KEY_SIZE])
{
    snprintf(ret, KEY_SIZE, "key-%05u.", key);
}

static bool set_properties(struct voters *v)
{
    struct bucket_properties properties;
    struct asked asked = { .status = KVORUM_INTERNAL };
    bucket_properties_init(&properties);
    properties.levels.n = v->plan.replica_count;
    for (int i = 0; i < ATTEMPTS_MAX && asked.status != KVORUM_OK; i++) {
        if (!pass_time(v, settle_us))
            return false;
        struct process *process = choose_left(v);
        asked.answered = false;
        process_enter(process);
        node_set_properties(process->shards[0].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                            &properties, false, on_answer, &asked);
        process_leave(process, 0);
        if (!await(v, &asked, process, process->lives))
            return false;
    }
    return pass_time(v, settle_us);
}

/* True: acknowledged. */
static bool write_key(struct voters *v, uint32_t key, uint32_t w)
{
    char name[KEY_SIZE];
    struct asked asked;
    struct process *process = choose_left(v);
    make_key(key, name);
    struct operation operation = { .kind = OPERATION_PUT,
                                   .bucket = BYTES_LITERAL(SIM_BUCKET),
                                   .key = bytes_of_string(name),
                                   .value = bytes_of_string(name),
                                   .flags = OPERATION_OVERWRITE,
                                   .timeout_ms = 2000 };
    quorum_levels_init(&operation.levels);
    operation.levels.sloppy = 0;
    operation.levels.w = w;
    operation.levels.dw = 1;
    v->operations++;
    if (process == NULL || !submit(v, process, &operation, &asked))
        return false;
    v->granted += asked.answered && asked.status == KVORUM_OK;
    return asked.answered && asked.status == KVORUM_OK;
}

static bool write_all(struct voters *v)
{
    for (uint32_t key = 0; key < v->keys; key++) {
        world_span(v->world, STREAM_CLIENTS);
        if (world_ended(v->world))
            break;
        uint32_t w = (uint32_t)choose_between(v->world, 1, v->plan.replica_count);
        v->acknowledged[key] = write_key(v, key, w);
        if (v->world->violation.checker != NULL)
            return false;
    }
    world_noise(v->world);
    return pass_time(v, choose(v->world, 2) * settle_us);
}

/* --- the shape changes ------------------------------------------------------------------------ */

static void forget_answer(void *context, const struct answer *answer)
{
    struct voters *v = context;
    world_trace(v->world, "voters: a change: %s %s", kvorum_status_name(answer->status),
                answer->reason);
}

static void ask_change(struct voters *v, struct process *process, enum change_ask ask)
{
    struct world *world = v->world;
    struct change_request request = { .kind = ask, .allow_zone_loss = true };
    request.change.kind = CHANGE_WEIGHT;
    request.change.weight = (uint32_t)choose_between(world, 50, 300);
    snprintf(request.name, sizeof(request.name), "n%u", (unsigned)choose(world, v->cluster.count));
    world_trace(world, "voters: n%u is asked to change the shape, %d", process->member, (int)ask);
    process_enter(process);
    node_change_epoch(process->shards[0].node, &request, forget_answer, v);
    process_leave(process, 0);
}

/* Without waiting: the last may be half decided when the voters are lost. */
static bool change_shape(struct voters *v)
{
    world_span(v->world, STREAM_PLAN);
    uint64_t count = choose(v->world, CHANGES_MAX + 1);
    for (uint64_t i = 0; i < count; i++) {
        world_span(v->world, STREAM_CHANGES);
        if (world_ended(v->world))
            break;
        struct process *process = choose_left(v);
        bool commits = v->moves && i > 0 && one_in(v->world, 2);
        ask_change(v, process, commits ? ASK_COMMIT : ASK_STAGE);
        if (!pass_time(v, 1 + choose_delay(v->world, 300 * SIM_MILLISECOND)))
            return false;
    }
    world_noise(v->world);
    return true;
}

/* --- being lost ------------------------------------------------------------------------------- */

static void lose(struct voters *v, uint16_t member)
{
    struct process *process = &v->cluster.processes[member];
    v->lost |= 1u << member;
    v->ever_lost |= v->lost;
    process->held_down = true;
    world_cancel(v->world, &process->restart);
    process_crash(process, one_in(v->world, 2));
    world_tell(v->world, -1, "voters: n%u is lost", member);
}

/* Of those who are voters in the newest epoch that anybody has. */
static void find_voters(struct voters *v)
{
    const struct epoch *newest = &v->cluster.epoch;
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        const struct process *process = &v->cluster.processes[i];
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

static bool can_be_lost(const struct voters *v, uint16_t member)
{
    return member != v->anchor && !is_lost(v, member);
}

/* A shrunk tape draws the same member each time: after many in vain it is the next. */
static uint16_t choose_next_lost(struct voters *v, uint32_t *in_vain)
{
    uint16_t member = (uint16_t)choose(v->world, v->cluster.count);
    *in_vain = can_be_lost(v, member) ? 0 : *in_vain + 1;
    while (*in_vain > IN_VAIN_MAX && !can_be_lost(v, member))
        member = (uint16_t)((member + 1) % v->cluster.count);
    return member;
}

static void lose_majority(struct voters *v)
{
    uint32_t in_vain = 0;
    find_voters(v);
    world_span(v->world, STREAM_FAULTS);
    v->anchor = (uint16_t)choose(v->world, v->cluster.count);
    while (!lacks_majority(v, v->lost) || one_in(v->world, 4)) {
        uint16_t member = choose_next_lost(v, &in_vain);
        if (can_be_lost(v, member))
            lose(v, member);
        if (__builtin_popcount(v->lost) + 1 == v->cluster.count)
            break;
    }
    world_noise(v->world);
}

/* --- trouble meanwhile ------------------------------------------------------------------------ */

static bool line_is_known(const struct voters *v)
{
    return v->cluster.book.lines > 0;
}

/* With its disk, before anything new is decided.  The old line may then have its voters again, with
 * those who are left: not without them. */
static void return_one(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->world, v->cluster.count);
    struct process *process = &v->cluster.processes[member];
    uint32_t back = (v->ever_lost & ~v->lost) | 1u << member;
    if (!is_lost(v, member) || !lacks_majority(v, ~back) ||
        (!v->begun && !lacks_majority(v, v->lost & ~(1u << member))))
        return;
    PROBE("voters: one who was lost came back before the end");
    world_tell(v->world, -1, "voters: n%u comes back", member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    process_start_after(process, 1 + choose(v->world, SIM_SECOND));
}

static void lose_another(struct voters *v)
{
    uint16_t member = (uint16_t)choose(v->world, v->cluster.count);
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
    process_crash(process, one_in(v->world, 2));
    process_start_after(process, 1 + choose(v->world, SIM_SECOND));
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
        v->busy_us = v->world->now_us + BUSY_US;
    v->begun |= message->kind == MESSAGE_RECOVER && message->tail.size > 0;
    if (message->kind == MESSAGE_RECOVER && message->tail.size > 0)
        voters_yesterday_hurry(&v->yesterday);
}

static bool is_busy(const struct voters *v)
{
    return v->world->now_us < v->busy_us;
}

static void cause_trouble(struct voters *v)
{
    v->trouble--;
    switch (choose(v->world, 4)) {
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

/* Each look at the dice is a span, so that what is taken out of a tape shifts nothing else. */
static void make_trouble(struct voters *v)
{
    if (v->trouble == 0)
        return;
    world_span(v->world, STREAM_FAULTS);
    if (!world_ended(v->world) && one_in(v->world, is_busy(v) ? 8 : 30))
        cause_trouble(v);
    world_noise(v->world);
}

/* --- operators -------------------------------------------------------------------------------- */

static void on_report(void *context, const Peer__RecoverReport *report)
{
    struct voter_operator *operator= context;
    struct voters *v = operator->run;
    world_trace(v->world, "voters: operator %u: %s %s", (unsigned)(operator- v->operators),
                kvorum_status_name((kvorum_status)report->status), report->reason);
    if (report->status == KVORUM_NOT_ALLOWED &&
        strstr(report->reason, "which is a majority") != NULL)
        v->needless = true;
    if (report->status == KVORUM_CONFLICT)
        PROBE("voters: an operator came second");
    operator->waiting = false;
}

/* Operators go on for ever, also when their tape has ended: then they ask calmly. */
static void recover(struct voters *v, struct voter_operator *operator)
{
    char names[SIM_MEMBERS_MAX][KEY_SIZE];
    const char *lost[SIM_MEMBERS_MAX];
    struct recover_order order = { .does = !one_in(v->world, 8), .lost = lost };
    struct process *process = choose_left(v);
    if (process == NULL)
        return;
    order.switched_off = !choose_one_in_apart(v->world, 16);
    order.expected = choose_one_in_apart(v->world, 16) ? v->cluster.epoch.number : 0;
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        if (!is_lost(v, i))
            continue;
        snprintf(names[i], KEY_SIZE, "n%u", i);
        lost[order.lost_count++] = names[i];
    }
    uint16_t shard = (uint16_t)choose(v->world, process->shard_count);
    operator->asked = process;
    operator->life = process->lives;
    operator->waiting = true;
    world_trace(v->world, "voters: operator %u asks n%u.%u", (unsigned)(operator- v->operators),
                process->member, shard);
    process_enter(process);
    node_recover(process->shards[shard].node, &order, on_report, operator);
    process_leave(process, shard);
}

static void work(struct voters *v, struct voter_operator *operator)
{
    const struct process *asked = operator->asked;
    if (operator->waiting &&(!asked->running || asked->lives != operator->life))
        operator->waiting = false; /* it took the answer along */
    if (operator->waiting || v->world->now_us<operator->next_us)
        return;
    world_span(v->world, (enum stream)(STREAM_CLIENTS + 1 + (operator- v->operators)));
    operator->next_us = v->world->now_us + choose_delay(v->world, 2 * SIM_SECOND);
    recover(v, operator);
    world_noise(v->world);
}

static bool all_left_follow(const struct voters *v, bool still)
{
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        const struct process *process = &v->cluster.processes[i];
        if (!is_left(v, i))
            continue;
        if (!process->running)
            return false;
        for (uint16_t s = 0; s < process->shard_count; s++) {
            const struct epoch *epoch = node_epoch(process->shards[s].node);
            if (ring_line(epoch->number) == 0 || (still && epoch->move_count > 0) ||
                (still && epoch->number != v->cluster.book.count))
                return false;
        }
    }
    return true;
}

static bool recover_all(struct voters *v)
{
    uint64_t end_us = v->world->now_us + recover_limit_us;
    for (int i = 0; i < OPERATORS; i++)
        v->operators[i] = (struct voter_operator){
            .run = v, .next_us = v->world->now_us + choose_delay(v->world, 2 * SIM_SECOND)
        };
    while (!(v->needless && !line_is_known(v)) &&
           (!line_is_known(v) || !all_left_follow(v, false))) {
        for (int i = 0; i < OPERATORS; i++)
            work(v, &v->operators[i]);
        make_trouble(v);
        if (v->world->now_us >= end_us)
            world_fail(v->world, "liveness", "nothing is recovered after %llu s",
                       (unsigned long long)(recover_limit_us / SIM_SECOND));
        if (!pass_time(v, is_busy(v) ? 1 + choose_delay(v->world, BUSY_POLL_US) : POLL_US))
            return false;
    }
    return true;
}

/* Who was lost after the others had agreed on the new line with him is a member of it. */
static void readmit(struct voters *v)
{
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        struct process *process = &v->cluster.processes[i];
        if (!is_lost(v, i) || epoch_book_gone(&v->cluster.book, i))
            continue;
        PROBE("voters: one who was lost later is a member of the new line");
        v->lost &= ~(1u << i);
        process->held_down = false;
        process_start_after(process, 1);
    }
}

static bool come_to_rest(struct voters *v)
{
    uint64_t end_us = v->world->now_us + move_limit_us;
    v->cluster.network.faults.loss = 0;
    while (!all_left_follow(v, true)) {
        if (v->world->now_us >= end_us)
            world_fail(v->world, "liveness", "a new line still moves after %llu s",
                       (unsigned long long)(move_limit_us / SIM_SECOND));
        if (!pass_time(v, POLL_US))
            return false;
    }
    return pass_time(v, settle_us);
}

/* --- coming back ------------------------------------------------------------------------------ */

static bool is_told(const struct process *process)
{
    return process->retired || (process->running && node_left_epoch(process->shards[0].node) != 0);
}

static bool wait_told(struct voters *v, struct process *process)
{
    uint64_t end_us = v->world->now_us + told_limit_us;
    while (!is_told(process)) {
        if (process->running && one_in(v->world, 20))
            ask_change(v, process, ASK_STAGE);
        if (v->world->now_us >= end_us)
            world_fail(v->world, "told", "n%u came back %llu s ago and still thinks that it is one",
                       process->member, (unsigned long long)(told_limit_us / SIM_SECOND));
        if (!pass_time(v, POLL_US))
            return false;
    }
    return true;
}

static void start_again(struct voters *v, uint16_t member)
{
    struct process *process = &v->cluster.processes[member];
    bool was_lost = is_lost(v, member);
    v->lost &= ~(1u << member);
    process->held_down = false;
    if (was_lost && !process->running && !process->retired)
        process_start(process);
}

static bool retire(struct voters *v, uint16_t member)
{
    struct process *process = &v->cluster.processes[member];
    if (!wait_told(v, process))
        return false;
    process_stop(process);
    process->held_down = process->retired = true;
    world_cancel(v->world, &process->restart);
    return true;
}

/* Two of them at a time, where the old line still lacks its majority then; those who have come back
 * by themselves first. */
static bool give_back(struct voters *v)
{
    uint16_t count = v->cluster.count;
    for (uint16_t i = 0; i < count; i++)
        if (epoch_book_gone(&v->cluster.book, i) && !is_lost(v, i) && !retire(v, i))
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

static bool owns(const struct epoch *epoch, const char *name, uint16_t member)
{
    uint32_t partition =
        ring_partition_of_hash(epoch, ring_hash(epoch, BYTES_LITERAL("default"),
                                                BYTES_LITERAL(SIM_BUCKET), bytes_of_string(name)));
    const uint16_t *row = ring_row(epoch, partition);
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
    for (uint32_t key = 0; key < v->keys; key++) {
        char name[KEY_SIZE];
        make_key(key, name);
        for (uint16_t i = 0; i < v->cluster.count; i++) {
            const struct process *process = &v->cluster.processes[i];
            if (process->running && owns(&v->cluster.epoch, name, i) &&
                process_holds(process, name))
                v->holders[key] |= 1u << i;
        }
    }
}

/* What each had accepted as a voter, by its disk. */
static void note_votes(struct voters *v)
{
    static const uint8_t magic[VOTES_MAGIC_SIZE] = { 'K', 'V', 'V', '1' };
    for (uint16_t i = 0; i < v->cluster.count; i++) {
        struct process *process = &v->cluster.processes[i];
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
            v->cluster.book.voted[i] = acceptor.number;
        sim_disk_done(&copy);
        buffer_done(&buffer);
    }
}

static bool is_kept(const struct voters *v, uint32_t key)
{
    uint32_t forgetful = v->ever_lost | v->yesterday.put_back;
    uint32_t left = v->holders[key] & ~(forgetful | v->cluster.book.gone);
    return !v->moves && v->acknowledged[key] && left != 0;
}

static bool check_key(struct voters *v, uint32_t key)
{
    char name[KEY_SIZE];
    struct asked asked = { 0 };
    make_key(key, name);
    struct operation operation = { .kind = OPERATION_GET,
                                   .bucket = BYTES_LITERAL(SIM_BUCKET),
                                   .key = bytes_of_string(name),
                                   .timeout_ms = 2000 };
    quorum_levels_init(&operation.levels);
    operation.levels.r = LEVEL_ALL;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        struct process *process = choose_left(v);
        if (process != NULL && !submit(v, process, &operation, &asked))
            return false;
        if (asked.answered && (asked.status == KVORUM_OK || asked.status == KVORUM_NOT_FOUND))
            break;
        if (!pass_time(v, POLL_US))
            return false;
    }
    if (is_kept(v, key) && asked.status != KVORUM_OK)
        world_fail(v->world, "kept", "%s was held by an owner who is left, and is not read: %s",
                   name, kvorum_status_name(asked.status));
    return v->world->violation.checker == NULL;
}

static bool check_writes(struct voters *v, uint32_t key)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (write_key(v, key, LEVEL_ALL))
            return true;
        else if (!pass_time(v, POLL_US))
            return false;
    world_fail(v->world, "liveness", "key %u cannot be written in a new line", key);
    return false;
}

/* --- a run ----------------------------------------------------------------------------------- */

static bool check_all(struct voters *v)
{
    for (uint32_t key = 0; key < v->keys; key++)
        if (!check_key(v, key))
            return false;
    return true;
}

static void play(struct voters *v)
{
    if (!set_properties(v) || !write_all(v))
        return;
    v->cluster.network.faults = v->plan.network;
    if (!change_shape(v))
        return;
    lose_majority(v);
    if (!pass_time(v, SIM_SECOND))
        return;
    find_holders(v);
    note_votes(v);
    v->cluster.never_lost = 1u << v->anchor;
    voters_yesterday_begin(&v->yesterday);
    if (!pass_time(v, choose(v->world, 7) * SIM_SECOND) || !recover_all(v))
        return;
    voters_yesterday_end(&v->yesterday);
    if (v->needless && !line_is_known(v)) {
        PROBE("voters: enough voters came back in time");
        return;
    }
    readmit(v);
    if (!come_to_rest(v) || !check_all(v) || !give_back(v) || !come_to_rest(v) || !check_all(v))
        return;
    for (uint32_t key = 0; key < v->keys; key++)
        if (!check_writes(v, key))
            return;
}

void voters_play(struct world *world, uint32_t keys, struct run_result *ret_result)
{
    struct voters *v = calloc(1, sizeof(*v));
    if (v == NULL)
        abort();
    v->world = world;
    draw_plan(v, keys);
    describe(v, ret_result);
    world_trace(world, "seed %llu: %s", (unsigned long long)world->seed, ret_result->plan);
    cluster_init(&v->cluster, world, &v->plan);
    voters_yesterday_init(&v->yesterday, &v->cluster, &v->lost);
    v->cluster.watch = on_frame;
    v->cluster.watch_context = v;
    play(v);
    voters_yesterday_end(&v->yesterday);
    ret_result->violation = world->violation;
    ret_result->trace_hash = world->trace_hash;
    ret_result->event_count = world->event_count;
    ret_result->virtual_us = world->now_us;
    ret_result->clustered = true;
    ret_result->operations = ret_result->asked = v->operations;
    ret_result->acknowledged = v->granted;
    ret_result->gone = (uint32_t)__builtin_popcount(v->cluster.book.gone);
    cluster_done(&v->cluster);
    world_drop_events(world); /* datagrams on their way know the network */
    free(v);
}
