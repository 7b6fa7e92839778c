/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "sim/checkers/checkers.h"
#include "sim/decay.h"
#include "sim/drops.h"
#include "sim/entropy.h"
#include "sim/epochs.h"
#include "sim/graves.h"
#include "sim/liveness.h"
#include "sim/modes.h"
#include "sim/workload.h"

enum {
    PLAN_TEXT_LIMIT = 4096,
    FINAL_READS_MAX = 20, /* attempts a key and pass */
    FINAL_LOTS_MAX = 400,
    FINAL_PASSES = 2,
    FINAL_LIST_MS = 60 * 1000,
    POLL_US = 200 * 1000,
    CHANGE_ATTEMPTS = 12,
    RECOGNITION_PATIENCES = 3,
};

static const uint64_t settle_us = 2 * SIM_SECOND;
static const uint64_t founding_limit_us = 60 * SIM_SECOND;
static const uint64_t workload_limit_us = 600 * SIM_SECOND;
static const uint64_t restart_limit_us = 60 * SIM_SECOND;
static const uint64_t move_limit_us = 120 * SIM_SECOND;
static const uint64_t drain_us = 12 * SIM_SECOND;

struct simulation {
    struct world world;
    struct plan plan;
    struct cluster cluster;
    struct history history;
    struct workload workload;
    struct mode_change mode_change;
    struct epoch_changes epoch_changes;
    struct drops drops;
    uint64_t faulty_us;   /* how long clients and faults were at work */
    bool *found, *listed; /* by key, at the end */
};

/* A change waits until members that are away are known to be dead, and may have to be repeated:
 * each attempt is given up after gossip's patience and two seconds of slack. */
static uint64_t change_limit_us(const struct simulation *s)
{
    return CHANGE_ATTEMPTS * (plan_patience_us(&s->plan) + 2 * SIM_SECOND);
}

/* Members that were taken for dead must hear of it and say that they are not; probes go round. */
static uint64_t recognition_limit_us(const struct simulation *s)
{
    return RECOGNITION_PATIENCES * plan_patience_us(&s->plan) + 10 * SIM_SECOND;
}

static bool pass_time(struct simulation *s, uint64_t duration_us)
{
    return world_run_until(&s->world, s->world.now_us + duration_us);
}

/* Run until `condition` holds; false (and a violation) when that takes too long. */
static bool wait_for(struct simulation *s, bool (*condition)(const struct simulation *s),
                     uint64_t limit_us, const char *what)
{
    uint64_t end_us = s->world.now_us + limit_us;
    while (!condition(s)) {
        if (s->world.now_us >= end_us)
            world_fail(&s->world, "liveness", "%s took longer than %llu s", what,
                       (unsigned long long)(limit_us / SIM_SECOND));
        if (!pass_time(s, POLL_US))
            return false;
    }
    return true;
}

/* The same, event by event: it ends in the very moment. */
static bool wait_step(struct simulation *s, bool (*condition)(const struct simulation *s),
                      uint64_t limit_us, const char *what)
{
    uint64_t end_us = s->world.now_us + limit_us;
    while (!condition(s)) {
        if (s->world.now_us >= end_us)
            world_fail(&s->world, "liveness", "%s took longer than %llu s", what,
                       (unsigned long long)(limit_us / SIM_SECOND));
        if (!world_step(&s->world))
            return false;
    }
    return true;
}

/* --- the bucket ------------------------------------------------------------------------------ */

struct set_up {
    bool answered;
    kvorum_status status;
};

static void on_properties(void *context, const struct answer *answer)
{
    struct set_up *set_up = context;
    set_up->answered = true;
    set_up->status = answer->status;
}

/* The properties of the bucket are agreed on before anything goes wrong; its mode may change. */
static bool set_properties_of(struct simulation *s, struct bytes bucket,
                              const struct bucket_properties *properties)
{
    uint64_t end_us = s->world.now_us + founding_limit_us;
    struct set_up set_up = { .status = KVORUM_INTERNAL };
    while (set_up.status != KVORUM_OK) {
        if (s->world.now_us >= end_us)
            world_fail(&s->world, "liveness",
                       "bucket properties cannot be set in a healthy "
                       "cluster: %s",
                       kvorum_status_name(set_up.status));
        if (!pass_time(s, settle_us))
            return false;
        struct process *process = &s->cluster.processes[choose(&s->world, s->cluster.count)];
        set_up.answered = false;
        process_enter(process);
        node_set_properties(process->shards[0].node, (struct bytes){ 0 }, bucket, properties, false,
                            on_properties, &set_up);
        process_leave(process, 0);
        while (!set_up.answered && s->world.now_us < end_us) {
            if (!pass_time(s, POLL_US))
                return false;
        }
    }
    return pass_time(s, settle_us);
}

static bool set_properties(struct simulation *s)
{
    struct bucket_properties properties;
    modes_properties(&s->plan, s->plan.siblings != s->plan.mode_changes, &properties);
    if (!set_properties_of(s, BYTES_LITERAL(SIM_BUCKET), &properties))
        return false;
    if (!s->drops.enabled)
        return true;
    bucket_properties_init(&properties);
    properties.levels.n = s->plan.levels.n; /* no more than partitions move with */
    return set_properties_of(s, BYTES_LITERAL(DROPS_BUCKET), &properties);
}

/* --- the end --------------------------------------------------------------------------------- */

static bool all_running(const struct simulation *s)
{
    return cluster_all_running(&s->cluster);
}

static bool sees_all(const struct node *node)
{
    const struct epoch *epoch = node_epoch(node);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && node_liveness(node, i) != LIVENESS_ALIVE)
            return false;
    return true;
}

static bool all_see_all(const struct simulation *s)
{
    for (uint16_t i = 0; i < s->cluster.count; i++) {
        const struct process *process = &s->cluster.processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++)
            if (!sees_all(process->shards[shard].node))
                return false;
    }
    return true;
}

static bool finished(const struct simulation *s)
{
    return workload_finished(&s->workload) && drops_finished(&s->drops);
}

static bool dropped(const struct simulation *s)
{
    return drops_settled(&s->drops);
}

static bool mode_changed(const struct simulation *s)
{
    return s->mode_change.done || !s->plan.mode_changes;
}

/* The clients begin somewhere in the middle of the change, or exactly at its end. */
static bool begin_mode_change(struct simulation *s)
{
    if (!s->plan.mode_changes)
        return true;
    uint64_t busy_us = s->plan.think_us * s->plan.operation_count / s->plan.client_count;
    mode_change_begin(&s->mode_change,
                      s->plan.mode_changes_first ? 0 : choose(&s->world, busy_us + 1));
    return !s->plan.mode_changes_first ||
           wait_step(s, mode_changed, change_limit_us(s), "changing the bucket's mode");
}

static bool process_quiet(const struct process *process)
{
    bool quiet = sim_jobs_idle(&process->jobs);
    for (uint16_t i = 0; process->running && i < process->shard_count; i++)
        quiet = quiet && node_counters(process->shards[i].node)->requests_active == 0;
    return quiet;
}

/* Nodes look for hints every second: a moment in which none of them has anything to do. */
static bool quiet(const struct simulation *s)
{
    for (uint16_t i = 0; i < s->cluster.count; i++)
        if (!process_quiet(&s->cluster.processes[i]))
            return false;
    return true;
}

static bool come_to_rest_within(struct simulation *s, uint64_t limit_us)
{
    uint64_t end_us = s->world.now_us + limit_us;
    while (!quiet(s) && s->world.now_us < end_us)
        if (!world_step(&s->world))
            return false;
    return true;
}

static bool come_to_rest(struct simulation *s)
{
    return come_to_rest_within(s, restart_limit_us);
}

/* What is still owed must end, however slow the disk: a damaged block leaves marks for all
 * partitions and members, and a store that flushes for each batch takes a few of them a second.  So
 * a minute, and one more for each millisecond that a step of a job may take. */
static bool come_to_rest_at_last(struct simulation *s)
{
    return come_to_rest_within(s,
                               restart_limit_us * (1 + s->plan.jobs_latency_us / SIM_MILLISECOND));
}

static void check_final(struct simulation *s, const struct record *read)
{
    if (s->plan.durable) {
        check_acknowledged(&s->history, read);
        check_superseded(&s->history, read, READING_STRONG);
    }
    if (s->plan.durable || s->plan.deletes_hold)
        check_deletes(&s->history, read);
}

/* Nothing is wrong any more: the key must be readable from all its owners. */
static bool read_key(struct simulation *s, uint32_t key)
{
    struct record *read = NULL;
    int nobody = 0; /* how often the lot fell to one that was switched off: no attempt */
    for (int i = 0; i < FINAL_READS_MAX + nobody; i++) {
        bool done = false;
        read = workload_read_all(&s->workload, key, &done);
        nobody += read == NULL && nobody < FINAL_LOTS_MAX;
        while (read != NULL && !done) {
            if (!world_step(&s->world))
                return false;
        }
        if (s->plan.only_detected && read != NULL && read->status == KVORUM_CORRUPT) {
            PROBE("decay: a key is lost, and said to be");
            return true;
        }
        if (read != NULL && (read->status == KVORUM_OK || read->status == KVORUM_NOT_FOUND)) {
            s->found[key] = read->status == KVORUM_OK;
            check_final(s, read);
            return s->world.violation.checker == NULL;
        }
        if (!pass_time(s, POLL_US))
            return false;
    }
    world_fail(&s->world, "liveness",
               "key %u cannot be read from all owners of a healthy cluster: %s", key,
               read == NULL ? "no node runs" : kvorum_status_name(read->status));
    return false;
}

/* A repair that meets a store without room is given up, for a later read to try again: in the last
 * pass each waits until the background has made room. */
static bool read_everything(struct simulation *s)
{
    for (int pass = 0; pass < FINAL_PASSES; pass++) {
        bool last = pass == FINAL_PASSES - 1;
        for (uint32_t key = 0; key < s->plan.key_count; key++) {
            if ((last && !come_to_rest(s)) || !read_key(s, key))
                return false;
        }
        if (!pass_time(s, settle_us))
            return false;
    }
    return true;
}

struct final_list {
    struct simulation *simulation;
    bool answered, over;
    kvorum_status status;
};

static void on_page(void *context, const struct list_page *page)
{
    struct final_list *list = context;
    list->answered = true;
    list->status = page->status;
    list->over = page->last || page->status != KVORUM_OK;
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t key;
        if (history_key_number(page->names[i], &key) && key < list->simulation->plan.key_count)
            list->simulation->listed[key] = true;
    }
}

static bool list_everything(struct simulation *s)
{
    struct final_list list = { .simulation = s };
    struct process *process = &s->cluster.processes[choose(&s->world, s->cluster.count)];
    if (process->retired)
        process = cluster_any_running(&s->cluster);
    struct node *node = process->shards[0].node;
    process_enter(process);
    uint64_t id = node_list(node, LIST_KEYS, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                            FINAL_LIST_MS, on_page, &list);
    process_leave(process, 0);
    while (!list.over) {
        while (!list.answered) {
            if (!world_step(&s->world))
                return false;
        }
        list.answered = false;
        if (list.over)
            break;
        process_enter(process);
        node_list_next(node, id);
        process_leave(process, 0);
    }
    if (list.status != KVORUM_OK)
        world_fail(&s->world, "liveness", "a healthy cluster cannot list a bucket: %s",
                   kvorum_status_name(list.status));
    check_listed(&s->world, s->plan.key_count, s->found, s->listed);
    return s->world.violation.checker == NULL;
}

static bool settled(const struct simulation *s)
{
    return departures_settled(&s->epoch_changes.departures);
}

/* Another epoch may come of what a voter accepted, or of what this one began. */
static bool is_open(const struct process *process)
{
    return node_epoch(process->shards[0].node)->move_count > 0 ||
           epochs_undecided(process->shards[0].node);
}

/* All shards have the same epoch, in which nothing moves, and no other is about to come: a change
 * that waits in line at some node may begin moves, at whose end a member goes, and a voter may have
 * accepted one that only a member knew to be decided whose disk was lost. */
static bool moved(const struct simulation *s)
{
    const struct cluster *cluster = &s->cluster;
    if (!epoch_changes_settled(&s->epoch_changes))
        return false;
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        bool counts = process->running && !epoch_book_gone(&cluster->book, i);
        if (counts && is_open(process))
            return false;
        for (uint16_t shard = 0; counts && shard < process->shard_count; shard++)
            if (node_epoch(process->shards[shard].node)->number != cluster->book.count)
                return false;
    }
    return true;
}

/* Whoever is lost is removed while the rest is well, or comes back; nobody waits for him. */
static bool heal_without_the_lost(struct simulation *s)
{
    if (!wait_for(s, settled, move_limit_us, "removing a member that is lost"))
        return false;
    departures_give_back(&s->epoch_changes.departures);
    departures_retire(&s->epoch_changes.departures);
    return true;
}

static bool retire(struct simulation *s)
{
    departures_retire(&s->epoch_changes.departures);
    return true;
}

static bool heal(struct simulation *s)
{
    mode_change_end_absence(&s->mode_change);
    epoch_changes_end(&s->epoch_changes);
    cluster_heal(&s->cluster);
    if (!heal_without_the_lost(s) ||
        !wait_for(s, all_running, restart_limit_us, "restarting after healing") ||
        !wait_for(s, finished, restart_limit_us, "answering what was in flight") ||
        !pass_time(s, settle_us))
        return false;
    cluster_restart_all(&s->cluster); /* a member whose disk failed confirms nothing before */
    return wait_for(s, all_running, restart_limit_us, "restarting everything") &&
           wait_for(s, mode_changed, change_limit_us(s), "changing the bucket's mode") &&
           wait_for(s, moved, move_limit_us, "moving partitions") && retire(s) &&
           pass_time(s, drain_us) &&
           wait_for(s, all_see_all, recognition_limit_us(s), "finding out that all are alive") &&
           wait_for(s, dropped, restart_limit_us, "reclaiming what was dropped");
}

/* A core serves alone.  False when the run is over: something is wrong, or a disk was lost, and
 * this cluster will never be whole again. */
static bool prove_liveness(struct simulation *s)
{
    struct core core;
    core_form(&core, &s->cluster);
    core_serve(&core, &s->workload);
    if (s->world.violation.checker != NULL || core_without_return(&core))
        return false;
    core_dissolve(&core);
    return true;
}

static bool repair_without_reads(struct simulation *s)
{
    if (!s->plan.unread)
        return true;
    if (!entropy_converges(&s->cluster, &s->history) || !entropy_trees_hold(&s->cluster))
        return false;
    if (s->plan.loses_object && entropy_lose_object(&s->cluster, &s->history) &&
        !entropy_converges(&s->cluster, &s->history))
        return false;
    return entropy_rots(&s->cluster, &s->history);
}

static void play(struct simulation *s)
{
    if (!set_properties(s))
        return;
    if (!begin_mode_change(s))
        return;
    s->cluster.network.faults = s->plan.network;
    cluster_begin_faults(&s->cluster);
    workload_start(&s->workload);
    drops_begin(&s->drops);
    epoch_changes_begin(&s->epoch_changes);
    uint64_t begun_us = s->world.now_us, end_us = begun_us + workload_limit_us;
    while (!finished(s) && s->world.now_us < end_us) {
        bool fine = pass_time(s, POLL_US);
        s->faulty_us = s->world.now_us - begun_us;
        if (!fine)
            return;
    }
    s->workload.submitted = s->plan.operation_count; /* nothing new */
    drops_stop(&s->drops);
    if (s->plan.lone_core && !prove_liveness(s))
        return;
    if (!heal(s) || !decay_ends(&s->cluster) || !graves_rest(&s->cluster) ||
        !repair_without_reads(s) || !read_everything(s) ||
        (!s->plan.only_detected && !list_everything(s)))
        return;
    if (s->plan.mode_changes && !s->plan.memory)
        check_all_told(&s->cluster);
    if (!wait_for(s, dropped, restart_limit_us, "reclaiming what was dropped") ||
        !drops_read_all(&s->drops) || !come_to_rest_at_last(s))
        return;
    check_bounded(&s->cluster); /* before anybody looks: reads may bring compactions about */
    check_converged(&s->cluster, &s->history, (uint8_t)s->plan.levels.n);
    check_epochs_agree(&s->cluster);
    if (s->plan.collect.age_ms > 0 && s->world.violation.checker == NULL &&
        graves_vanish(&s->cluster))
        (void)(read_everything(s) && list_everything(s));
}

static void report(const struct simulation *s, struct run_result *ret)
{
    ret->violation = s->world.violation;
    ret->trace_hash = s->world.trace_hash;
    ret->event_count = s->world.event_count;
    ret->virtual_us = s->world.now_us;
    ret->faulty_us = s->faulty_us;
    ret->operations = (uint64_t)s->history.count;
    ret->joined = s->cluster.count - s->plan.member_count;
    ret->gone = (uint32_t)__builtin_popcount(s->cluster.book.gone);
    ret->clustered = true;
    ret->durable = s->plan.durable;
    bool deletes_hold = s->plan.durable || s->plan.deletes_hold;
    for (int32_t i = 0; i < s->history.count; i++) {
        const struct record *record = &s->history.records[i];
        ret->acknowledged += record_acknowledged(record);
        ret->asked += record->client < SIM_CLIENTS_MAX;
        ret->deletes +=
            deletes_hold && action_deletes(record->action) && record_acknowledged(record);
    }
}

static void describe(const struct simulation *s, struct run_result *ret)
{
    struct buffer text;
    buffer_init(&text, PLAN_TEXT_LIMIT);
    plan_describe(&s->plan, &text);
    snprintf(ret->plan, sizeof(ret->plan), "%.*s", (int)text.size, (const char *)text.data);
    buffer_done(&text);
}

static void begin_world(struct world *world, const struct run_options *options)
{
    world_init(world, options->seed);
    world->tracing = options->tracing;
    world->telling = options->telling;
    world->told_key = options->told_key;
    if (options->replay != NULL)
        world_replay(world, options->replay);
    if (options->noise_seed != 0)
        world_redraw_noise(world, options->noise_seed);
    if (options->ret_world != NULL)
        *options->ret_world = world;
    world_span(world, STREAM_PLAN);
}

static void end_world(struct world *world, const struct run_options *options)
{
    if (options->ret_tape != NULL) {
        *options->ret_tape = world->tape;
        world->tape = (struct tape){ 0 };
    }
    if (options->ret_world != NULL)
        *options->ret_world = NULL;
    world_done(world);
}

static void run_alone(const struct run_options *options, uint32_t steps,
                      struct run_result *ret_result)
{
    struct world world;
    begin_world(&world, options);
    run_kinds[options->kind].play(&world, steps, ret_result);
    end_world(&world, options);
}

static void run_cluster(const struct run_options *options, uint32_t steps,
                        struct run_result *ret_result)
{
    struct simulation *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    begin_world(&s->world, options);
    plan_draw(&s->world, steps, &s->plan);
    if (run_kinds[options->kind].plan != NULL)
        run_kinds[options->kind].plan(&s->world, &s->plan);
    bool collects = s->plan.collect.age_ms > 0;
    describe(s, ret_result);
    world_trace(&s->world, "seed %llu: %s", (unsigned long long)options->seed, ret_result->plan);
    world_span(&s->world, STREAM_PLAN);
    cluster_init(&s->cluster, &s->world, &s->plan);
    int32_t capacity =
        (int32_t)(s->plan.operation_count +
                  (collects ? 2 : 1) * FINAL_PASSES * FINAL_READS_MAX * s->plan.key_count + 1);
    if (s->plan.lone_core)
        capacity += (int32_t)core_operations_max(s->plan.key_count);
    history_init(&s->history, &s->world, s->plan.siblings, s->plan.key_count, capacity);
    s->history.changes = s->plan.mode_changes;
    s->history.collects = collects;
    workload_init(&s->workload, &s->cluster, &s->history);
    mode_change_init(&s->mode_change, &s->cluster, &s->history);
    epoch_changes_init(&s->epoch_changes, &s->cluster);
    drops_init(&s->drops, &s->cluster, s->plan.drops);
    s->found = calloc(s->plan.key_count, sizeof(*s->found));
    s->listed = calloc(s->plan.key_count, sizeof(*s->listed));
    if (s->found == NULL || s->listed == NULL)
        abort();
    play(s);
    report(s, ret_result);
    workload_done(&s->workload);
    mode_change_done(&s->mode_change);
    epoch_changes_done(&s->epoch_changes);
    drops_done(&s->drops);
    cluster_done(&s->cluster);
    history_done(&s->history);
    end_world(&s->world, options);
    free(s->found);
    free(s->listed);
    free(s);
}

void run(const struct run_options *options, struct run_result *ret_result)
{
    const struct kind_row *kind = &run_kinds[options->kind];
    uint32_t steps = options->operation_count == 0 ? kind->steps : options->operation_count;
    *ret_result = (struct run_result){ 0 };
    if (kind->play != NULL)
        run_alone(options, steps, ret_result);
    else
        run_cluster(options, steps, ret_result);
}
