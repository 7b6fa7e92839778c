/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/acts/entropy.h"
#include "sim/acts/graves.h"
#include "sim/acts/liveness.h"
#include "sim/checkers/checkers.h"
#include "sim/cluster/decay.h"
#include "sim/run/run_internal.h"

enum { PLAN_TEXT_LIMIT = 4096 };

static const uint64_t workload_limit_us = 600 * SIM_SECOND;

/* --- playing --------------------------------------------------------------------------------- */

bool run_finished(const struct simulation *s)
{
    return workload_finished(&s->workload) && drops_finished(&s->drops);
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
    if (!run_set_properties(s))
        return;
    if (!run_begin_mode_change(s))
        return;
    s->cluster.network.faults = s->plan.network;
    cluster_begin_faults(&s->cluster);
    workload_start(&s->workload);
    drops_begin(&s->drops);
    epoch_changes_begin(&s->epoch_changes);
    uint64_t begun_us = s->world.now_us, end_us = begun_us + workload_limit_us;
    while (!run_finished(s) && s->world.now_us < end_us) {
        bool fine = run_pass_time(s, RUN_POLL_US);
        s->faulty_us = s->world.now_us - begun_us;
        if (!fine)
            return;
    }
    s->workload.submitted = s->plan.operation_count; /* nothing new */
    drops_stop(&s->drops);
    if (s->plan.lone_core && !prove_liveness(s))
        return;
    if (!run_heal(s) || !decay_ends(&s->cluster) || !graves_rest(&s->cluster) ||
        !repair_without_reads(s) || !run_read_everything(s) ||
        (!s->plan.only_detected && !run_list_everything(s)))
        return;
    if (s->plan.mode_changes && !s->plan.memory)
        check_all_told(&s->cluster);
    if (!run_wait_for_drops(s) || !drops_read_all(&s->drops) || !run_come_to_rest_at_last(s))
        return;
    check_bounded(&s->cluster); /* before anybody looks: reads may bring compactions about */
    check_converged(&s->cluster, &s->history, (uint8_t)s->plan.levels.n);
    check_epochs_agree(&s->cluster);
    if (s->plan.collect.age_ms > 0 && s->world.violation.checker == NULL &&
        graves_vanish(&s->cluster))
        (void)(run_read_everything(s) && run_list_everything(s));
}

/* --- what came of it ------------------------------------------------------------------------- */

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

/* --- the world, and what is in it ------------------------------------------------------------ */

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
        (int32_t)(s->plan.operation_count + (collects ? 2 : 1) * run_reads_max(&s->plan) + 1);
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
