/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over all stores of this shard, a step at a time, each in a job, as fast as the rate
 * allows. */
#include "base/hash.h"
#include "base/planted.h"
#include "node/scrub/scrub_internal.h"

enum {
    STEP_SIZE = 2 << 20,
    RATE_DEFAULT = 16 << 20,
    AGAIN_US = 10 * 1000 * 1000,
    WAIT_US = 1000 * 1000,                     /* for files that are being written */
    UNMENDED_AGAIN_US = 10 * 60 * 1000 * 1000, /* by then the disk may have room again */
};

#define OVERDUE_US (UINT64_C(3600) * 1000 * 1000)

static const uint64_t period_default_us = UINT64_C(14) * 24 * 60 * 60 * 1000 * 1000;

/* --- reports --------------------------------------------------------------------------------- */

bool scrub_reports_open(struct scrub_reports *reports, struct arena *arena)
{
    reports->arena = arena;
    reports->list = arena_allocate(arena, SCRUB_REPORTS_MAX * sizeof(*reports->list));
    return reports->list != NULL;
}

/* In a job.  What cannot be read is no rot: a disk, or its cable, fails, and what stands there may
 * come back. */
void scrub_report(void *context, const struct engine_loss *loss)
{
    struct scrub_reports *reports = context;
    reports->damages++;
    if (loss->damage.status == KVORUM_IO && !loss->other) {
        reports->unreadable++;
        return;
    }
    if (reports->count == SCRUB_REPORTS_MAX) {
        reports->more = true;
        return;
    }
    struct engine_loss *kept = &reports->list[reports->count++];
    *kept = *loss;
    struct bytes file = bytes_of_string(loss->damage.file), copy;
    if (!arena_copy(reports->arena, loss->lower, &kept->lower) ||
        !arena_copy(reports->arena, loss->upper, &kept->upper) ||
        !arena_copy(reports->arena, bytes_make(file.data, file.size + 1), &copy)) {
        reports->count--;
        reports->more = true;
        return;
    }
    kept->damage.file = (const char *)copy.data;
}

/* What the store has in memory too. */
static void take_other(struct node *node, uint16_t store, const struct engine_loss *loss)
{
    node->counters.scrub_damaged++;
    node->counters.scrub_mended += loss->mended;
    node->scrub->unmended += !loss->mended;
    log_error(node->config.log,
              loss->mended
                  ? "a file of a store was damaged; it was written anew from memory"
                  : "a file of a store is damaged, and cannot be written anew; do not stop "
                    "the node before its data is elsewhere",
              LOG_U64("store", store), LOG_TEXT("file", loss->damage.file),
              LOG_U64("offset", loss->damage.offset), LOG_TEXT("damage", loss->damage.what));
}

static void log_damage(struct node *node, uint16_t store, const struct engine_loss *loss)
{
    log_error(node->config.log,
              scrub_is_alone(node)
                  ? "a file of a store is damaged, and no other node has its data"
                  : "a file of a store is damaged; what is lost is fetched from the other owners",
              LOG_U64("store", store), LOG_TEXT("file", loss->damage.file),
              LOG_U64("offset", loss->damage.offset), LOG_TEXT("damage", loss->damage.what));
}

bool scrub_take_reports(struct node *node, uint16_t store, const struct scrub_reports *reports)
{
    bool fine = true;
    if (reports->more)
        node->counters.scrub_damaged += reports->damages - reports->count - reports->unreadable;
    node->counters.disk_errors += reports->unreadable;
    for (uint32_t i = 0; i < reports->count; i++) {
        const struct engine_loss *loss = &reports->list[i];
        if (loss->other) {
            take_other(node, store, loss);
            continue;
        }
        log_damage(node, store, loss);
        node->counters.scrub_damaged += !scrub_loss_known(node, store, loss);
        fine &= scrub_loss_add(node, store, loss->lower, loss->upper, !loss->lost);
    }
    if (reports->more)
        fine &= scrub_loss_add(node, store, (struct bytes){ 0 }, (struct bytes){ 0 }, false);
    if (reports->unreadable > 0)
        log_error(node->config.log, "a file of a store cannot be read; check the disk",
                  LOG_U64("store", store), LOG_U64("places", reports->unreadable));
    return fine;
}

/* --- steps ----------------------------------------------------------------------------------- */

struct scrub_step {
    struct reading reading; /* first */
    struct engine *engine;
    uint16_t store;
    struct engine_scrub position;
    struct scrub_reports reports;
};

static kvorum_status step_read(struct reading *reading, bool nowait)
{
    struct scrub_step *step = (struct scrub_step *)reading;
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    return engine_scrub(step->engine, &step->position, scrub_report, &step->reports);
}

/* When the next step may begin. */
static uint64_t free_us(const struct scrub *scrub)
{
    uint64_t us = throttle_free_us(&scrub->throttle);
    return us > scrub->wait_us ? us : scrub->wait_us;
}

static uint64_t store_size(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.disk_size;
}

static void count_total(struct node *node)
{
    node->counters.scrub_pass_size = node->counters.scrub_pass_total = 0;
    for (uint16_t i = 0; i < node->config.store_count; i++)
        if (node->config.stores[i] != NULL && engine_can(node->config.stores[i], ENGINE_TABLES))
            node->counters.scrub_pass_total += store_size(node->config.stores[i]);
}

static void pass_begin(struct node *node)
{
    struct scrub *scrub = node->scrub;
    scrub->active = true;
    scrub->again = false;
    scrub->store = 0;
    scrub->position = (struct engine_scrub){ 0 };
    scrub->unmended = 0;
    node->counters.scrub_running = 1;
    count_total(node);
}

static void pass_over(struct node *node)
{
    struct scrub *scrub = node->scrub;
    uint64_t period_us = node->config.scrub.period_us;
    PROBE("scrub: a pass is over");
    scrub->active = false;
    node->counters.scrub_running = 0;
    node->counters.scrub_passes++;
    node->counters.scrub_pass_total = node->counters.scrub_pass_size;
    scrub->pass_us = period_us == UINT64_MAX ? UINT64_MAX : node->now_us + period_us;
    node->counters.scrub_unmended = scrub->unmended;
    if (scrub->unmended > 0 && scrub->pass_us > node->now_us + UNMENDED_AGAIN_US)
        scrub->pass_us = node->now_us + UNMENDED_AGAIN_US;
    scrub->last_ms = clock_wall_ms(node->config.clock);
    scrub_keep_pass(node);
    if (scrub->again)
        pass_begin(node);
}

static void next_store(struct node *node)
{
    struct scrub *scrub = node->scrub;
    scrub->store++;
    scrub->position = (struct engine_scrub){ 0 };
}

static void step_done(struct node *node, struct reading *reading)
{
    struct scrub_step *step = (struct scrub_step *)reading;
    struct scrub *scrub = node->scrub;
    scrub->reading = false;
    scrub->position = step->position;
    node->counters.scrub_size += step->position.size;
    node->counters.scrub_pass_size += step->position.size;
    node->counters.scrub_blocks += step->position.blocks;
    throttle_spend(&scrub->throttle, step->position.size, node->now_us);
    node->counters.scrub_damaged += step->reports.unreadable;
    (void)scrub_take_reports(node, step->store, &step->reports); /* the next pass finds it again */
    if (reading->status != KVORUM_OK || step->position.finished)
        next_store(node);
    scrub_mend(node, step->store);
    if (step->position.waits)
        scrub->wait_us = node->now_us + WAIT_US;
    reading_close(reading);
    scrub_wake(node, free_us(scrub));
}

static void step_begin(struct node *node)
{
    struct scrub *scrub = node->scrub;
    struct reading *reading = reading_open(sizeof(struct scrub_step));
    struct scrub_step *step = (struct scrub_step *)reading;
    if (reading == NULL || !scrub_reports_open(&step->reports, &reading->arena)) {
        if (reading != NULL)
            reading_close(reading);
        scrub_wake(node, node->now_us + AGAIN_US);
        return;
    }
    reading->job.urgency = JOB_LENGTHY; /* it may write, and wait for who writes */
    reading->read = step_read;
    reading->done = step_done;
    step->engine = node->config.stores[scrub->store];
    step->store = scrub->store;
    step->position = scrub->position;
    step->position.budget = STEP_SIZE;
    if (scrub->throttle.rate != THROTTLE_NONE && scrub->throttle.rate < STEP_SIZE)
        step->position.budget = scrub->throttle.rate;
    scrub->reading = true;
    reading_start(node, reading);
}

static bool has_tables(const struct node *node, uint16_t store)
{
    return node->config.stores[store] != NULL &&
           engine_can(node->config.stores[store], ENGINE_TABLES);
}

/* Compactions of a store stand still on damage that one of them met, so it is not left alone until
 * the next pass is due. */
static bool background_met_damage(struct node *node)
{
    struct scrub *scrub = node->scrub;
    bool met = false;
    for (uint16_t i = 0; i < node->config.store_count; i++) {
        struct engine_stats stats;
        if (!has_tables(node, i))
            continue;
        engine_stats(node->config.stores[i], &stats);
        met = met || stats.damage_met > scrub->damage_met[i];
        scrub->damage_met[i] = stats.damage_met;
    }
    if (met)
        PROBE("scrub: a compaction met damage");
    return met;
}

static void pass_tick(struct node *node)
{
    struct scrub *scrub = node->scrub;
    if (!scrub->active && background_met_damage(node))
        pass_begin(node);
    if (!scrub->active && node->now_us >= scrub->pass_us)
        pass_begin(node);
    if (!scrub->active || scrub->reading || scrub->paused || node->now_us < free_us(scrub))
        return;
    while (scrub->store < node->config.store_count && !has_tables(node, scrub->store))
        next_store(node);
    if (scrub->store < node->config.store_count)
        step_begin(node);
    else
        pass_over(node);
}

/* --- time ------------------------------------------------------------------------------------ */

struct heap_item *scrub_timer(struct node *node)
{
    return &node->scrub->timer;
}

void scrub_wake(struct node *node, uint64_t due_us)
{
    struct heap_item *timer = &node->scrub->timer;
    if (timer->place != 0 && timer->key <= due_us)
        return;
    heap_remove(&node->timers, timer);
    (void)heap_insert(&node->timers, timer, due_us);
}

void scrub_tick(struct node *node)
{
    struct scrub *scrub = node->scrub;
    scrub_wake(node, node->now_us + SCRUB_TICK_US);
    if (!node->ready)
        return;
    for (uint16_t i = 0; i < node->config.store_count; i++)
        scrub_mend(node, i);
    scrub_refill_tick(node);
    pass_tick(node);
    if (scrub->active && !scrub->reading && !scrub->paused)
        scrub_wake(node, free_us(scrub) > node->now_us ? free_us(scrub) : node->now_us + 1);
}

/* --- on demand ------------------------------------------------------------------------------- */

void scrub_pause(struct node *node, bool on)
{
    node->scrub->paused = on;
    scrub_wake(node, node->now_us);
}

void scrub_limit(struct node *node, uint64_t rate)
{
    throttle_set(&node->scrub->throttle, rate, node->now_us);
    scrub_wake(node, node->now_us);
}

void scrub_on_begin(struct node *node)
{
    node->counters.scrub_demands++;
    if (node->scrub->active)
        node->scrub->again = true;
    else
        pass_begin(node);
    scrub_wake(node, node->now_us);
}

void scrub_on_corrupt_partition(struct node *node, uint32_t partition)
{
    (void)partition; /* where in its store it is, nobody knows */
    if (!node->scrub->active)
        pass_begin(node);
    scrub_wake(node, node->now_us);
}

static void tell_shards(struct node *node, enum repair_kind kind)
{
    Peer__Repair body = PEER__REPAIR__INIT;
    body.kind = kind;
    for (uint16_t i = 0; i < node->config.shard_count; i++)
        if (i != node->config.shard)
            node_send(node, (struct net_address){ node->config.self, i }, MESSAGE_REPAIR, 0,
                      node_pack(node, &body.base), (struct bytes){ 0 });
}

void node_scrub(struct node *node)
{
    node_enter(node);
    tell_shards(node, REPAIR_SCRUB);
    scrub_on_begin(node);
    node_leave(node);
}

void node_scrub_accept(struct node *node)
{
    node_enter(node);
    tell_shards(node, REPAIR_ACCEPT);
    scrub_on_accept(node);
    node_leave(node);
}

uint64_t node_scrub_last_ms(const struct node *node)
{
    return node->scrub->last_ms;
}

/* --- opening --------------------------------------------------------------------------------- */

/* A period after the last one ended, however often the node was started since.  Where none is known
 * of, or the wall clock went back, some time within the period: not all members of a cluster that
 * was started at once, at once.  The same where it is overdue, within an hour. */
static uint64_t first_pass_us(const struct node *node)
{
    uint64_t period_us = node->config.scrub.period_us;
    uint64_t chance = hash_mix64(node->config.random_seed), last_ms = node->scrub->last_ms;
    uint64_t now_ms = clock_wall_ms(node->config.clock);
    if (last_ms == 0 || last_ms > now_ms)
        return node->now_us + chance % period_us;
    uint64_t past_us = (now_ms - last_ms) * 1000;
    uint64_t spread_us = period_us < OVERDUE_US ? period_us : OVERDUE_US;
    return node->now_us + (past_us < period_us ? period_us - past_us : chance % spread_us);
}

static kvorum_status set_timer(struct node *node)
{
    struct scrub *scrub = node->scrub;
    struct node_scrub_config *config = &node->config.scrub;
    if (config->rate == 0)
        config->rate = RATE_DEFAULT;
    if (config->period_us == 0)
        config->period_us = period_default_us;
    throttle_set(&scrub->throttle, config->rate == UINT64_MAX ? THROTTLE_NONE : config->rate,
                 node->now_us);
    scrub->pass_us = config->period_us == UINT64_MAX ? UINT64_MAX : first_pass_us(node);
    return heap_insert(&node->timers, &scrub->timer, node->now_us + SCRUB_TICK_US)
               ? KVORUM_OK
               : KVORUM_NO_MEMORY;
}

kvorum_status scrub_open(struct node *node)
{
    node->scrub = calloc(1, sizeof(*node->scrub));
    if (node->scrub == NULL)
        return KVORUM_NO_MEMORY;
    list_init(&node->scrub->losses);
    node->scrub->epoch = node->config.epoch->number;
    kvorum_status status = scrub_losses_load(node);
    return status == KVORUM_OK ? set_timer(node) : status;
}

void scrub_close(struct node *node)
{
    struct scrub *scrub = node->scrub;
    if (scrub == NULL)
        return;
    while (!list_empty(&scrub->losses))
        scrub_loss_remove(node, LIST_ENTRY(scrub->losses.next, struct loss, link));
    heap_remove(&node->timers, &scrub->timer);
    free(scrub);
    node->scrub = NULL;
}
