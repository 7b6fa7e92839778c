/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/handoff.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "cluster/handoff/hint.h"
#include "sim/cluster.h"

enum {
    KEYS_MAX = 256,
    KEY_SIZE = 16,
    VALUE_SIZE_MAX = 2000,
    AWAY_MAX = 2,
    LIFE_MIN_MS = 500,
    LIFE_MAX_MS = 120 * 1000,
    READS_MAX = 20,
    POLL_US = 100 * 1000,
    ARENA_LIMIT = 1 << 26,
};

static const uint64_t settle_us = 3 * SIM_SECOND;
static const uint64_t death_us = 6 * SIM_SECOND;
static const uint64_t limit_us = 400 * SIM_SECOND;

struct written {
    int32_t number;       /* of the last acknowledged write; -1: none */
    int32_t tried;        /* of the last one that was tried: it may have happened */
    bool away;            /* the last acknowledged one was made while some were away */
    uint64_t deadline_ms; /* of that one, wall clock; 0: none */
    bool unsure;          /* one with a deadline may have happened, and taken the place of others */
};

struct handoff {
    struct world *world;
    struct plan plan;
    struct cluster cluster;
    struct bucket_properties properties;
    bool away[SIM_MEMBERS_MAX];
    bool moves; /* those who are away lose what they own */
    bool destroys;
    uint32_t keys;
    struct written written[KEYS_MAX];
    uint64_t operations, acknowledged;
    uint64_t last_deadline_ms;
};

/* --- what a run is made of ------------------------------------------------------------------- */

static bool one_in(struct world *world, uint64_t n)
{
    return choose(world, n) == 0;
}

static void draw_plan(struct handoff *h, uint32_t keys)
{
    struct world *world = h->world;
    struct plan *plan = &h->plan;
    plan->member_count = (uint16_t)choose_between(world, 4, SIM_MEMBERS_MAX);
    plan->replica_count = (uint8_t)choose_between(world, 2, 3);
    plan->partition_count = 1u << choose_between(world, 1, 4);
    for (uint16_t i = 0; i < plan->member_count; i++)
        plan->store_count[i] = (uint16_t)choose_between(world, 1, 3);
    plan->sync = NODE_SYNC_ALWAYS;
    plan->jobs_latency_us = UINT64_C(50) << choose(world, 8);
    sizes_draw(world, &plan->sizes);
    plan->network.delay_us = UINT64_C(200) << choose(world, 6);
    plan->network.loss = one_in(world, 2) ? 30000 : 0;
    plan->drift_ppm_max = 200;
    plan->wall_offset_ms_max = 50;
    if (one_in(world, 2))
        plan->limits.hints = choose_between(world, 1, 6);
    if (one_in(world, 3))
        plan->limits.hint_rate = choose_between(world, 2000, 100000);
    h->destroys = one_in(world, 4);
    if (h->destroys)
        plan->limits.hint_horizon_ms = choose_between(world, 200, 8000);
    h->moves = !h->destroys && one_in(world, 2);
    h->keys = keys < KEYS_MAX ? keys : KEYS_MAX;
    bucket_properties_init(&h->properties);
    h->properties.handoff_strategy = (int8_t)choose(world, HANDOFF_STRATEGIES);
    h->properties.levels.n = plan->replica_count;
    plan->levels.n = plan->replica_count;
}

static void describe(const struct handoff *h, struct run_result *ret)
{
    const struct plan *plan = &h->plan;
    snprintf(ret->plan, sizeof(ret->plan),
             "handoff, %u nodes, n=%u, %u partitions, %s%s%s, hints %llu, rate %llu, loss %u",
             plan->member_count, plan->replica_count, plan->partition_count,
             handoff_strategy_name((enum handoff_strategy)h->properties.handoff_strategy),
             h->moves ? ", a new epoch" : "", h->destroys ? ", a short horizon" : "",
             (unsigned long long)plan->limits.hints, (unsigned long long)plan->limits.hint_rate,
             plan->network.loss);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct asked {
    bool answered;
    kvorum_status status;
};

static void on_answer(void *context, const struct answer *answer)
{
    struct asked *asked = context;
    *asked = (struct asked){ true, answer->status };
}

static bool pass_time(struct handoff *h, uint64_t duration_us)
{
    return world_run_until(h->world, h->world->now_us + duration_us);
}

static bool await(struct handoff *h, const struct asked *asked, const struct process *process,
                  uint32_t life)
{
    uint64_t end_us = h->world->now_us + 60 * SIM_SECOND;
    while (!asked->answered && process->running && process->lives == life) {
        if (h->world->now_us >= end_us)
            world_fail(h->world, "answered", "an operation has no answer after 60 s");
        if (!world_step(h->world))
            return false;
    }
    return true;
}

static struct process *choose_process(struct handoff *h)
{
    for (;;) {
        struct process *process = &h->cluster.processes[choose(h->world, h->cluster.count)];
        if (process->running)
            return process;
    }
}

static bool set_properties(struct handoff *h)
{
    struct asked asked = { .status = KVORUM_INTERNAL };
    for (int i = 0; i < 20 && asked.status != KVORUM_OK; i++) {
        if (!pass_time(h, settle_us))
            return false;
        struct process *process = choose_process(h);
        asked.answered = false;
        process_enter(process);
        node_set_properties(process->shards[0].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                            &h->properties, false, on_answer, &asked);
        process_leave(process, 0);
        if (!await(h, &asked, process, process->lives))
            return false;
    }
    return pass_time(h, settle_us);
}

static void make_key(uint32_t key, char ret[KEY_SIZE])
{
    snprintf(ret, KEY_SIZE, "key-%05u.", key);
}

static uint64_t wall_ms(struct process *process)
{
    return clock_wall_ms(&process->clock.base);
}

static struct bytes make_value(struct handoff *h, int32_t number, char *memory)
{
    int size = snprintf(memory, VALUE_SIZE_MAX, "w%08d ", number);
    size_t whole = (size_t)choose_between(h->world, (uint64_t)size, VALUE_SIZE_MAX);
    memset(memory + size, 'v', whole - (size_t)size);
    return bytes_make(memory, whole);
}

/* One write after another of a key, so the last acknowledged is what counts. */
static bool write_key(struct handoff *h, uint32_t key, bool away)
{
    char name[KEY_SIZE], memory[VALUE_SIZE_MAX];
    struct written *written = &h->written[key];
    struct process *process = choose_process(h);
    uint16_t shard = (uint16_t)choose(h->world, process->shard_count);
    int32_t number = (int32_t)h->operations++;
    make_key(key, name);
    struct operation operation = { .kind = OPERATION_PUT,
                                   .bucket = BYTES_LITERAL(SIM_BUCKET),
                                   .key = bytes_of_string(name),
                                   .value = make_value(h, number, memory),
                                   .flags = OPERATION_OVERWRITE,
                                   .timeout_ms = 2000 };
    quorum_levels_init(&operation.levels);
    operation.levels.sloppy = 1;
    operation.levels.w = (uint32_t)choose_between(h->world, 1, h->plan.replica_count);
    operation.levels.dw = 1;
    /* Else the only copy may be one that the horizon destroys. */
    operation.levels.pw = h->destroys ? 1 : 0;
    if (one_in(h->world, 3))
        operation.deadline_ms =
            wall_ms(process) + choose_between(h->world, LIFE_MIN_MS, LIFE_MAX_MS);
    if (operation.deadline_ms > h->last_deadline_ms)
        h->last_deadline_ms = operation.deadline_ms;
    struct asked asked = { 0 };
    uint32_t life = process->lives;
    written->tried = number;
    world_trace(h->world, "write %d of %s at n%u.%u, w=%u", number, name, process->member, shard,
                operation.levels.w);
    process_enter(process);
    node_submit(process->shards[shard].node, &operation, on_answer, &asked);
    process_leave(process, shard);
    if (!await(h, &asked, process, life))
        return false;
    world_trace(h->world, "write %d: %s", number,
                asked.answered ? kvorum_status_name(asked.status) : "lost");
    if (!asked.answered || asked.status != KVORUM_OK) {
        written->unsure |= operation.deadline_ms != 0;
        return true;
    }
    h->acknowledged++;
    written->number = number;
    written->away = away;
    written->deadline_ms = operation.deadline_ms;
    return true;
}

static bool write_all(struct handoff *h, bool away)
{
    for (uint32_t key = 0; key < h->keys; key++)
        if (away || one_in(h->world, 2))
            if (!write_key(h, key, away) ||
                !pass_time(h, choose_delay(h->world, 5 * SIM_MILLISECOND)))
                return false;
    return true;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void send_away(struct handoff *h)
{
    uint64_t count = choose_between(h->world, 1, h->moves ? 1 : AWAY_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct process *process = choose_process(h);
        h->away[process->member] = true;
        process->held_down = true;
        process_stop(process);
    }
}

static bool all_up(const struct handoff *h)
{
    for (uint16_t i = 0; i < h->cluster.count; i++)
        if (!h->away[i] && !h->cluster.processes[i].running)
            return false;
    return true;
}

static bool wait_all_up(struct handoff *h)
{
    uint64_t end_us = h->world->now_us + limit_us;
    while (!all_up(h) && h->world->now_us < end_us)
        if (!pass_time(h, POLL_US))
            return false;
    return true;
}

/* Whoever is away gives each of its places to a member that is no owner there. */
static void give_places(struct handoff *h)
{
    struct epoch *epoch = &h->cluster.epoch;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t *row = epoch->table + (size_t)p * epoch->replica_count;
        uint16_t list[SIM_MEMBERS_MAX];
        uint16_t count = ring_preference(epoch, p, list, SIM_MEMBERS_MAX);
        for (uint8_t i = 0; i < epoch->replica_count; i++)
            if (h->away[row[i]] && count > epoch->replica_count)
                row[i] = list[choose_between(h->world, epoch->replica_count, count - 1u)];
    }
    epoch->number++;
}

/* While everybody is down, so that nobody is of two minds. */
static bool begin_epoch(struct handoff *h)
{
    struct cluster *cluster = &h->cluster;
    if (!wait_all_up(h) || !pass_time(h, settle_us))
        return false;
    for (uint16_t i = 0; i < cluster->count; i++)
        process_stop(&cluster->processes[i]);
    give_places(h);
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        if (identity_save_epoch(&process->disk.base, &process->identity, &cluster->epoch) !=
            KVORUM_OK)
            abort();
    }
    for (uint16_t i = 0; i < cluster->count; i++)
        if (!h->away[i])
            process_start(&cluster->processes[i]);
    return true;
}

static void come_back(struct handoff *h)
{
    for (uint16_t i = 0; i < h->cluster.count; i++) {
        struct process *process = &h->cluster.processes[i];
        process->held_down = false;
        if (h->away[i] && !process->running)
            process_start_after(process, 1 + choose(h->world, SIM_SECOND));
    }
    memset(h->away, 0, sizeof(h->away));
}

static void crash_one(struct handoff *h)
{
    struct process *process = choose_process(h);
    process_crash(process, one_in(h->world, 2));
    process_start_after(process, 1 + choose(h->world, SIM_SECOND));
}

/* --- running dry ----------------------------------------------------------------------------- */

static uint64_t count_owed(const struct process *process)
{
    uint64_t owed = 0;
    for (uint16_t i = 0; i < process->shard_count; i++)
        for (uint16_t member = 0; member < SIM_MEMBERS_MAX; member++) {
            struct node_hints hints;
            node_hints(process->shards[i].node, member, &hints);
            owed += hints.count + hints.marks;
        }
    return owed;
}

static bool all_dry(const struct handoff *h)
{
    uint64_t owed = 0;
    for (uint16_t i = 0; i < h->cluster.count; i++) {
        const struct process *process = &h->cluster.processes[i];
        if (!process->running)
            return false;
        owed += count_owed(process);
    }
    return owed == 0;
}

static bool run_dry(struct handoff *h)
{
    uint64_t end_us = h->world->now_us + limit_us;
    uint64_t crashes = choose(h->world, 4);
    while (!all_dry(h)) {
        if (h->world->now_us >= end_us) {
            world_fail(h->world, "liveness", "what is owed is not handed over after %llu s",
                       (unsigned long long)(limit_us / SIM_SECOND));
            return false;
        }
        if (!pass_time(h, 1 + choose(h->world, SIM_SECOND)))
            return false;
        if (crashes > 0 && one_in(h->world, 3)) {
            crashes--;
            crash_one(h);
        }
    }
    return wait_all_up(h) && pass_time(h, settle_us);
}

/* --- what must be true ----------------------------------------------------------------------- */

/* Of the write whose value it is; -1: of none.  That of a deletion has no bytes to be looked at. */
static int32_t number_of(struct bytes value)
{
    char head[KEY_SIZE] = "";
    int number;
    if (value.size > 0)
        memcpy(head, value.data, value.size < 9 ? value.size : 9);
    return sscanf(head, "w%08d", &number) == 1 ? number : -1;
}

/* The number of the newest write that `process` holds of the key; -1: none. */
static int32_t held_by(struct process *process, const char *name)
{
    struct arena arena;
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    int32_t newest = -1;
    arena_init(&arena, ARENA_LIMIT);
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct engine_iterator *iterator;
        if (engine_iterate(process->stores[i], &objects, &iterator) != KVORUM_OK)
            abort();
        for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
            struct object object;
            if (memmem(iterator->key.data, iterator->key.size, name, strlen(name)) == NULL ||
                object_decode(iterator->value, &arena, &object) != KVORUM_OK ||
                object.sibling_count == 0)
                continue;
            int32_t number = number_of(object_winner(&object)->value);
            if (number > newest)
                newest = number;
        }
        engine_iterator_close(iterator);
    }
    arena_done(&arena);
    return newest;
}

static bool owns(const struct epoch *epoch, uint32_t partition, uint16_t member)
{
    return hint_target_owns(epoch, partition, epoch->replica_count, member);
}

static void check_key(struct handoff *h, uint32_t key)
{
    const struct written *written = &h->written[key];
    const struct epoch *epoch = &h->cluster.epoch;
    char name[KEY_SIZE];
    make_key(key, name);
    uint32_t partition =
        ring_partition_of_hash(epoch, ring_hash(epoch, BYTES_LITERAL("default"),
                                                BYTES_LITERAL(SIM_BUCKET), bytes_of_string(name)));
    for (uint16_t i = 0; i < h->cluster.count; i++) {
        int32_t held = held_by(&h->cluster.processes[i], name);
        /* Without streams only what was handed over is where it should be after a new epoch. */
        bool due = written->away || !h->moves;
        bool expired =
            written->deadline_ms != 0 && wall_ms(&h->cluster.processes[i]) >= written->deadline_ms;
        bool dropped = held < 0 && (expired || written->unsure);
        if (due && !dropped && owns(epoch, partition, i) && held < written->number)
            world_fail(h->world, "handed-over",
                       "%s: n%u, an owner, holds write %d and not %d, which was acknowledged", name,
                       i, held, written->number);
        else if (h->moves && !owns(epoch, partition, i) && written->away && held == written->number)
            world_fail(h->world, "stranger",
                       "%s: n%u is no owner any more and holds write %d, made while it was away",
                       name, i, held);
    }
}

/* --- deadlines ------------------------------------------------------------------------------- */

struct seen {
    bool answered;
    kvorum_status status;
    int32_t number; /* of the write whose value it was; -1: none */
};

static void on_read(void *context, const struct answer *answer)
{
    struct seen *seen = context;
    *seen = (struct seen){ true, answer->status, -1 };
    if (answer->status != KVORUM_OK)
        return;
    seen->number = number_of(object_winner(answer->object)->value);
}

static bool read_key(struct handoff *h, struct process *process, const char *name, struct seen *ret)
{
    struct operation operation = { .kind = OPERATION_GET,
                                   .bucket = BYTES_LITERAL(SIM_BUCKET),
                                   .key = bytes_of_string(name),
                                   .timeout_ms = 2000 };
    quorum_levels_init(&operation.levels);
    operation.levels.r = LEVEL_ALL;
    *ret = (struct seen){ 0 };
    process_enter(process);
    node_submit(process->shards[0].node, &operation, on_read, ret);
    process_leave(process, 0);
    while (!ret->answered)
        if (!world_step(h->world))
            return false;
    return true;
}

/* By the clock of the node that is asked a deadline has come or has not, to the millisecond. */
static void check_deadline(struct handoff *h, uint32_t key)
{
    const struct written *written = &h->written[key];
    struct process *process = choose_process(h);
    struct seen seen = { .status = KVORUM_TIMEOUT };
    uint64_t before_ms = 0;
    char name[KEY_SIZE];
    make_key(key, name);
    if (written->number < 0 || written->unsure || written->tried != written->number ||
        (h->moves && !written->away))
        return;
    for (int i = 0; i < READS_MAX && seen.status != KVORUM_OK && seen.status != KVORUM_NOT_FOUND;
         i++) {
        before_ms = wall_ms(process);
        if (!read_key(h, process, name, &seen) || !pass_time(h, POLL_US))
            return;
    }
    uint64_t after_ms = wall_ms(process);
    bool over = written->deadline_ms != 0 && before_ms >= written->deadline_ms;
    bool live = written->deadline_ms == 0 || after_ms < written->deadline_ms;
    if (over && seen.status == KVORUM_OK)
        world_fail(h->world, "expired", "%s: write %d is read %llu ms after its deadline", name,
                   seen.number, (unsigned long long)(before_ms - written->deadline_ms));
    else if (live && seen.number != written->number)
        world_fail(h->world, "expired", "%s: write %d is not read before its deadline: %s, %d",
                   name, written->number, kvorum_status_name(seen.status), seen.number);
}

static void check_deadlines(struct handoff *h)
{
    for (uint32_t key = 0; key < h->keys && h->world->violation.checker == NULL; key++)
        check_deadline(h, key);
}

/* Nobody waits for a deadline any more, and nobody has a value that has passed it. */
static void check_dropped(struct handoff *h, struct process *process)
{
    struct engine_range waiting = { .lower = BYTES_LITERAL("e"), .upper = BYTES_LITERAL("f") };
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct engine_iterator *iterator;
        if (engine_iterate(process->stores[i], &waiting, &iterator) != KVORUM_OK)
            abort();
        engine_iterator_first(iterator);
        if (iterator->valid)
            world_fail(h->world, "liveness", "n%u has not dropped a value that expired",
                       process->member);
        engine_iterator_close(iterator);
    }
}

static void outlive_all(struct handoff *h)
{
    uint64_t most_ms = 0;
    for (uint16_t i = 0; i < h->cluster.count; i++) {
        uint64_t now_ms = wall_ms(&h->cluster.processes[i]);
        if (h->last_deadline_ms > now_ms && h->last_deadline_ms - now_ms > most_ms)
            most_ms = h->last_deadline_ms - now_ms;
    }
    if (!pass_time(h, most_ms * SIM_MILLISECOND + 2 * settle_us))
        return;
    check_deadlines(h);
    for (uint16_t i = 0; i < h->cluster.count; i++)
        check_dropped(h, &h->cluster.processes[i]);
}

/* --- a run ----------------------------------------------------------------------------------- */

static void play(struct handoff *h)
{
    if (!set_properties(h) || !write_all(h, false) || !pass_time(h, settle_us))
        return;
    send_away(h);
    h->cluster.network.faults = h->plan.network;
    if (!pass_time(h, choose(h->world, 2) * death_us) || !write_all(h, true) ||
        !pass_time(h, death_us))
        return;
    if (one_in(h->world, 2))
        crash_one(h);
    if (!wait_all_up(h) || !write_all(h, true) || (h->moves && !begin_epoch(h)))
        return;
    if (h->destroys && !pass_time(h, h->plan.limits.hint_horizon_ms * SIM_MILLISECOND))
        return;
    if (!pass_time(h, settle_us))
        return;
    come_back(h);
    if (!pass_time(h, settle_us) || !run_dry(h))
        return;
    for (uint32_t key = 0; key < h->keys && h->world->violation.checker == NULL; key++)
        check_key(h, key);
    h->cluster.network.faults.loss = 0;
    check_deadlines(h);
    if (h->world->violation.checker == NULL)
        outlive_all(h);
}

void handoff_play(struct world *world, uint32_t keys, struct run_result *ret_result)
{
    struct handoff *h = calloc(1, sizeof(*h));
    if (h == NULL)
        abort();
    h->world = world;
    draw_plan(h, keys);
    describe(h, ret_result);
    world_trace(world, "seed %llu: %s", (unsigned long long)world->seed, ret_result->plan);
    for (uint32_t key = 0; key < h->keys; key++)
        h->written[key] = (struct written){ .number = -1, .tried = -1 };
    cluster_init(&h->cluster, world, &h->plan);
    play(h);
    ret_result->violation = world->violation;
    ret_result->trace_hash = world->trace_hash;
    ret_result->event_count = world->event_count;
    ret_result->virtual_us = world->now_us;
    ret_result->operations = h->operations;
    ret_result->acknowledged = h->acknowledged;
    ret_result->clustered = ret_result->durable = true;
    cluster_done(&h->cluster);
    world_drop_events(world); /* datagrams on their way know the network */
    free(h);
}
