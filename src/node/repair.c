/* SPDX-License-Identifier: Apache-2.0 */
/* When is which pair of replicas compared?
 *
 *      at once        a suspicion: a read found a difference, a member came back
 *      as it goes     what somebody asked for (node_repair): pair after pair
 *      in the hour    every pair in turn; of two owners the earlier one of the row begins
 *
 * Owners and members are taken from the epoch at each use. */
#include "node/collect.h"
#include "node/repair_internal.h"
#include "node/scrub.h"

#include "base/planted.h"
#include "codec/protobuf.h"

enum {
    PASS_US = 60 * 60 * 1000, /* times 1000 */
    SETTLE_US = 3 * 1000 * 1000,
    SUSPECT_US = 60 * 1000 * 1000,
    LOOK_US = 1000 * 1000,
    LOOK_PARTITIONS = 64,
    RETURN_US = 10 * 1000 * 1000, /* hints go first */
    PAIR_US_MIN = 1000,
    SLOTS = TARGETS_MAX * TARGETS_MAX, /* n less 1, and place of the other owner */
};

static const uint64_t refresh_default_us = UINT64_C(7) * 24 * 60 * 60 * 1000 * 1000;

static void apply_defaults(struct node_repair_config *config)
{
    if (config->pass_us == 0)
        config->pass_us = PASS_US * UINT64_C(1000);
    if (config->settle_us == 0)
        config->settle_us = SETTLE_US;
    if (config->suspect_us == 0)
        config->suspect_us = SUSPECT_US;
    if (config->refresh_us == 0)
        config->refresh_us = refresh_default_us;
}

/* --- pairs ---------------------------------------------------------------------------------- */

/* A row that is not full yet has no owners beyond it: who would stand in there gets nothing. */
static uint16_t owners_of(const struct node *node, uint32_t partition, uint8_t n,
                          uint16_t ret_owners[TARGETS_MAX])
{
    uint8_t limit = ring_owner_limit(node->config.epoch, partition);
    return ring_preference(node->config.epoch, partition, ret_owners, n < limit ? n : limit);
}

int repair_place(const struct node *node, uint32_t partition, uint8_t n, uint16_t member)
{
    uint16_t owners[TARGETS_MAX];
    uint16_t count = owners_of(node, partition, n, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return i;
    return -1;
}

static uint32_t ns_in_use(struct node *node)
{
    if (node->repair->ns == 0)
        node->repair->ns = property_table_ns(node);
    return node->repair->ns;
}

/* Bit n: both are owners for buckets with n replicas. */
static uint32_t shared_ns(struct node *node, uint32_t partition, uint16_t member)
{
    uint32_t shared = 0;
    for (uint8_t n = 1; n <= TARGETS_MAX; n++)
        if ((ns_in_use(node) >> n & 1) != 0 &&
            repair_place(node, partition, n, node->config.self) >= 0 &&
            repair_place(node, partition, n, member) >= 0)
            shared |= UINT32_C(1) << n;
    return shared;
}

struct replica_pair {
    uint32_t partition;
    uint16_t member;
    uint8_t n;
};

static bool pair_of_slot(struct node *node, uint32_t partition, uint16_t slot, bool begins,
                         struct replica_pair *ret)
{
    uint8_t n = (uint8_t)(slot / TARGETS_MAX + 1), place = slot % TARGETS_MAX;
    if ((ns_in_use(node) >> n & 1) == 0 || place >= n)
        return false;
    uint16_t owners[TARGETS_MAX];
    uint16_t count = owners_of(node, partition, n, owners);
    int own = repair_place(node, partition, n, node->config.self);
    if (own < 0 || place >= count || place == own || (begins && place < own))
        return false;
    *ret = (struct replica_pair){ partition, owners[place], n };
    return true;
}

/* The next pair from (*partition, *slot) on, which then stand behind it.  False: no more. */
static bool next_pair(struct node *node, uint32_t *partition, uint16_t *slot, bool begins,
                      struct replica_pair *ret)
{
    for (; *partition < node->repair->partition_count; (*partition)++, *slot = 0) {
        if (placement_store(node, *partition) == NULL)
            continue;
        while (*slot < SLOTS)
            if (pair_of_slot(node, *partition, (*slot)++, begins, ret))
                return true;
    }
    return false;
}

static uint64_t count_pairs(struct node *node, bool begins, uint8_t n)
{
    uint32_t partition = 0;
    uint16_t slot = 0;
    uint64_t count = 0;
    struct replica_pair pair;
    while (next_pair(node, &partition, &slot, begins, &pair))
        count += n == 0 || pair.n == n;
    return count;
}

static bool begin(struct node *node, const struct replica_pair *pair, uint32_t demand)
{
    struct repair_partition *partition = repair_partition(node, pair->partition);
    if (partition == NULL || !placement_reachable(node, pair->member))
        return false;
    partition->compared_us = node->now_us;
    return exchange_open(node, pair->partition, pair->member, pair->n, demand);
}

/* --- the hour ------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void pace(struct node *node)
{
    struct repair *repair = node->repair;
    repair->pass_total = count_pairs(node, true, 0);
    repair->pair_us = node->config.repair.pass_us / (repair->pass_total + 1);
    if (repair->pair_us < PAIR_US_MIN)
        repair->pair_us = PAIR_US_MIN;
    repair->paced_for = node->config.epoch->number;
}

/* One who owned nothing when the pass began, and owns his share by now, has more than one pair to
 * compare in the time of a pass. */
static void keep_pace(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair->paced_for == node->config.epoch->number)
        return;
    pace(node);
    repair->pass_us = least(repair->pass_us, node->now_us + repair->pair_us);
}

static void pass_tick(struct node *node)
{
    struct repair *repair = node->repair;
    struct replica_pair pair;
    keep_pace(node);
    if (repair->pass_paused || node->now_us < repair->pass_us || !exchanges_have_room(node))
        return;
    if (next_pair(node, &repair->pass_partition, &repair->pass_slot, true, &pair)) {
        begin(node, &pair, 0);
        repair->pass_done++;
    } else {
        repair->passes++;
        repair->pass_done = 0;
        repair->ns = 0;
        repair->pass_partition = 0;
        repair->pass_slot = 0;
        pace(node);
    }
    repair->pass_us = node->now_us + repair->pair_us;
}

/* --- suspicions ----------------------------------------------------------------------------- */

static void add_suspect(struct repair_partition *partition, uint16_t member)
{
    for (uint8_t i = 0; i < partition->suspect_count; i++)
        if (partition->suspects[i] == member)
            return;
    if (partition->suspect_count < TARGETS_MAX)
        partition->suspects[partition->suspect_count++] = member;
}

static void suspect_after(struct node *node, uint32_t number, uint16_t member, uint64_t delay_us)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL)
        return;
    uint16_t owners[TARGETS_MAX];
    uint16_t count = owners_of(node, number, TARGETS_MAX, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] != node->config.self && (member == RING_NO_MEMBER || member == owners[i]))
            add_suspect(partition, owners[i]);
    if (partition->suspect_count == 0)
        return;
    uint64_t least_us = 0;
    if (partition->compared_us > 0)
        least_us = partition->compared_us + node->config.repair.suspect_us;
    if (list_empty(&partition->suspect)) {
        partition->suspect_us = node->now_us + delay_us;
        list_append(&node->repair->suspects, &partition->suspect);
    }
    if (partition->suspect_us < least_us)
        partition->suspect_us = least_us;
    repair_wake(node);
}

void repair_suspect(struct node *node, uint32_t partition, uint16_t member)
{
    if (placement_store(node, partition) != NULL)
        suspect_after(node, partition, member, 0);
}

/* Every n of which both are owners: usually one. */
static void compare_suspect(struct node *node, struct repair_partition *partition)
{
    uint16_t member = partition->suspects[--partition->suspect_count];
    uint32_t shared = shared_ns(node, partition->number, member);
    for (uint8_t n = 1; n <= TARGETS_MAX; n++)
        if ((shared >> n & 1) != 0)
            begin(node, &(struct replica_pair){ partition->number, member, n }, 0);
}

static struct repair_partition *next_suspect(const struct node *node)
{
    const struct list *suspects = &node->repair->suspects;
    for (const struct list *item = suspects->next; item != suspects; item = item->next) {
        struct repair_partition *partition = LIST_ENTRY(item, struct repair_partition, suspect);
        if (partition->suspect_us <= node->now_us)
            return partition;
    }
    return NULL;
}

/* One that ends at once in vain is suspected again, for later. */
static void suspects_tick(struct node *node)
{
    struct repair_partition *partition;
    while (exchanges_have_room(node) && (partition = next_suspect(node)) != NULL) {
        PROBE("repair: a suspicion was followed");
        compare_suspect(node, partition);
        if (partition->suspect_count == 0)
            list_remove(&partition->suspect);
    }
}

static uint64_t suspects_due_us(const struct node *node)
{
    uint64_t due_us = UINT64_MAX;
    const struct list *suspects = &node->repair->suspects;
    if (!exchanges_have_room(node))
        return due_us;
    for (const struct list *item = suspects->next; item != suspects; item = item->next) {
        uint64_t own_us = LIST_ENTRY(item, struct repair_partition, suspect)->suspect_us;
        due_us = own_us < due_us ? own_us : due_us;
    }
    return due_us;
}

/* --- on demand ------------------------------------------------------------------------------ */

/* Other comparisons are charged too while it lasts: the limit is for what the shard does. */
static void charge_demand(struct node *node)
{
    struct repair_demand *demand = &node->repair->demand;
    uint64_t size = node->counters.repair_bytes_in + node->counters.repair_bytes_out;
    if (demand->active)
        throttle_spend(&demand->throttle, size - demand->charged, node->now_us);
    demand->charged = size;
}

static uint64_t demand_due_us(const struct node *node)
{
    const struct repair_demand *demand = &node->repair->demand;
    uint64_t free_us = throttle_free_us(&demand->throttle);
    if (!demand->active || demand->paused)
        return UINT64_MAX;
    return free_us > node->now_us ? free_us : node->now_us;
}

void repair_pause(struct node *node, bool on)
{
    node->repair->demand.paused = on;
    repair_wake(node);
}

void repair_pass_pause(struct node *node, bool on)
{
    node->repair->pass_paused = on;
    repair_wake(node);
}

void repair_limit(struct node *node, uint64_t rate)
{
    throttle_set(&node->repair->demand.throttle, rate, node->now_us);
    repair_wake(node);
}

/* What is under way ends by itself and counts no more.  The shard that was asked for a repair tells
 * the others, and shard 0 tells of a cancel: the one may overtake the other. */
void repair_cancel(struct node *node, uint64_t until_us)
{
    struct repair_demand *demand = &node->repair->demand;
    struct node_counters *counters = &node->counters;
    if (until_us > demand->cancelled_us)
        demand->cancelled_us = until_us;
    if (demand->asked_us > until_us)
        return; /* asked for since */
    demand->active = false;
    demand->number++;
    counters->repair_demand_failed += counters->repair_demand_total - counters->repair_demand_done;
    counters->repair_demand_done = counters->repair_demand_total;
}

static void demand_tick(struct node *node)
{
    struct repair_demand *demand = &node->repair->demand;
    struct node_counters *counters = &node->counters;
    struct replica_pair pair;
    charge_demand(node);
    while (demand->active && !demand->paused && exchanges_have_room(node) &&
           throttle_free_us(&demand->throttle) <= node->now_us) {
        if (!next_pair(node, &demand->partition, &demand->slot, false, &pair)) {
            demand->active = false;
        } else if (demand->n == 0 || demand->n == pair.n) {
            bool begun = begin(node, &pair, demand->number);
            counters->repair_demand_done += !begun;
            counters->repair_demand_failed += !begun;
        }
    }
}

static void demand_begin(struct node *node, struct bytes type, struct bytes bucket,
                         uint64_t asked_us)
{
    struct repair_demand *demand = &node->repair->demand;
    if (asked_us <= demand->cancelled_us) {
        PROBE("repair: a cancel overtook the demand that it was about");
        return;
    }
    demand->asked_us = asked_us;
    arena_reset(&demand->arena);
    demand->partition = demand->slot = 0;
    demand->number++;
    node->counters.repair_demands++;
    demand->active = arena_copy(&demand->arena, type, &demand->type) &&
                     arena_copy(&demand->arena, bucket, &demand->bucket);
    demand->n = bucket.size == 0 ? 0 : repair_bucket_n(node, type, bucket);
    node->counters.repair_demand_done = node->counters.repair_demand_failed = 0;
    node->counters.repair_demand_total = count_pairs(node, false, demand->n);
    repair_wake(node);
}

/* What a salvaged store lacks nobody knows: as if somebody had asked for all of it. */
static void compare_rebuilt(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair->rebuilt_compared)
        return;
    repair->rebuilt_compared = true;
    if (!collect_is_rebuilt(node))
        return;
    PROBE("repair: a store that was rebuilt is compared with the other owners");
    log_warn(node->config.log,
             "a store was salvaged, or put back: it is compared with the other owners now; kvorum "
             "tasks shows how far that is");
    demand_begin(node, BYTES_LITERAL("default"), (struct bytes){ 0 }, node->now_us);
}

void repair_on_begin(struct node *node, struct net_address from, const Peer__Repair *asked)
{
    if (from.member == node->config.self)
        demand_begin(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket),
                     asked->asked_us);
    else
        node->counters.messages_bad++;
}

void node_repair(struct node *node, struct bytes type, struct bytes bucket)
{
    Peer__Repair begin = PEER__REPAIR__INIT;
    begin.kind = REPAIR_BEGIN;
    node_enter(node);
    if (type.size == 0)
        type = BYTES_LITERAL("default");
    begin.type = protobuf_data(type);
    begin.bucket = protobuf_data(bucket);
    begin.asked_us = node->now_us;
    for (uint16_t i = 0; i < node->config.shard_count; i++)
        if (i != node->config.shard)
            node_send(node, (struct net_address){ node->config.self, i }, MESSAGE_REPAIR, 0,
                      node_pack(node, &begin.base), (struct bytes){ 0 });
    demand_begin(node, type, bucket, node->now_us);
    node_leave(node);
}

/* --- afterwards ----------------------------------------------------------------------------- */

static void tell_doubts(struct node *node, const struct repair_exchange *exchange,
                        const struct leaf_set *leaves)
{
    Peer__Repair doubt = PEER__REPAIR__INIT;
    doubt.kind = REPAIR_DOUBT;
    doubt.partition = exchange->partition;
    doubt.n = exchange->n;
    if (!repair_pack_leaves(node, leaves, &doubt))
        return;
    node_send(node, placement_of(node, exchange->member, exchange->partition), MESSAGE_REPAIR, 0,
              node_pack(node, &doubt.base), (struct bytes){ 0 });
}

/* --- marks of dropped hints ------------------------------------------------------------------ */

void repair_on_mark(struct node *node, uint32_t number)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL)
        return; /* nor can it be compared */
    partition->marks++;
    partition->settled_count = 0;
}

/* A mark is settled when all that both own has been compared, whatever the bucket. */
static void settle_marks(struct node *node, const struct repair_exchange *exchange)
{
    struct repair_partition *partition = repair_partition(node, exchange->partition);
    if (partition == NULL || partition->marks != exchange->marks || exchange->machine.narrowed)
        return;
    uint8_t at = 0;
    while (at < partition->settled_count && partition->settled[at].member != exchange->member)
        at++;
    if (at == TARGETS_MAX)
        return;
    if (at == partition->settled_count) {
        partition->settled[partition->settled_count++].member = exchange->member;
        partition->settled[at].ns = 0;
    }
    partition->settled[at].ns |= UINT32_C(1) << exchange->n;
    uint32_t open = shared_ns(node, exchange->partition, exchange->member);
    if ((open & ~partition->settled[at].ns) == 0) {
        partition->settled[at].ns = 0;
        hints_compared(node, exchange->partition, exchange->member);
    }
}

void repair_exchange_over(struct node *node, const struct repair_exchange *exchange,
                          kvorum_status status)
{
    const struct exchange_figures *figures = &exchange->machine.figures;
    struct node_counters *counters = &node->counters;
    struct leaf_set doubted;
    bool failed = status != KVORUM_OK || figures->failed > 0;
    bool doubts = status == KVORUM_OK && exchange_doubts(&exchange->machine, &doubted);
    counters->repair_exchanges++;
    counters->repair_failures += failed;
    counters->repair_keys_compared += figures->keys_compared;
    counters->repair_keys_differing += figures->keys_differing;
    if (exchange->demand != 0 && exchange->demand == node->repair->demand.number) {
        counters->repair_demand_done++;
        counters->repair_demand_failed += failed;
    }
    if (failed)
        log_info(node->config.log, "two replicas could not be compared",
                 LOG_U64("partition", exchange->partition),
                 LOG_TEXT("member", node->config.epoch->members[exchange->member].name),
                 LOG_TEXT("status", kvorum_status_name(status)),
                 LOG_U64("failed", figures->failed));
    if (doubts) {
        repair_doubt(node, exchange->partition, exchange->n, &doubted);
        tell_doubts(node, exchange, &doubted);
    }
    scrub_on_compared(node, exchange, !failed && !doubts && figures->left == 0);
    if (failed || doubts || figures->left > 0)
        repair_suspect(node, exchange->partition, exchange->member);
    else
        settle_marks(node, exchange);
}

/* --- another epoch --------------------------------------------------------------------------- */

void repair_on_adopted(struct node *node, uint64_t former)
{
    struct repair *repair = node->repair;
    if (repair == NULL)
        return;
    for (uint32_t p = 0; p < repair->partition_count; p++)
        if (repair->partitions[p] != NULL)
            repair->partitions[p]->settled_count = 0; /* it names slots */
    exchanges_end_outdated(node, former);
}

/* --- looking around ------------------------------------------------------------------------- */

static void on_return(struct node *node, uint16_t member)
{
    PROBE("repair: a member came back");
    for (uint32_t p = 0; p < node->repair->partition_count; p++)
        if (placement_store(node, p) != NULL &&
            repair_place(node, p, TARGETS_MAX, node->config.self) >= 0)
            suspect_after(node, p, member, RETURN_US);
}

void repair_on_lost(struct node *node)
{
    if (node->repair == NULL)
        return;
    PROBE("repair: a member was removed, and what it held with it");
    for (uint32_t p = 0; p < node->repair->partition_count; p++)
        if (placement_store(node, p) != NULL &&
            repair_place(node, p, TARGETS_MAX, node->config.self) >= 0)
            suspect_after(node, p, RING_NO_MEMBER, RETURN_US);
}

static void look_at_members(struct node *node)
{
    struct repair *repair = node->repair;
    for (uint16_t i = 0; i < node->config.epoch->member_count && i < RING_MEMBERS_MAX; i++) {
        bool away = !placement_reachable(node, i);
        if (repair->away[i] && !away)
            on_return(node, i);
        repair->away[i] = away;
    }
}

static bool is_ours(struct node *node, uint32_t partition)
{
    return placement_store(node, partition) != NULL &&
           repair_place(node, partition, (uint8_t)(31 - __builtin_clz(ns_in_use(node))),
                        node->config.self) >= 0;
}

/* Some at a time: those never scanned, and those scanned long ago. */
static void look_at_partitions(struct node *node)
{
    struct repair *repair = node->repair;
    if (!list_empty(&repair->scans_due))
        return;
    for (int i = 0; i < LOOK_PARTITIONS; i++) {
        uint32_t number = repair->refresh_partition++ % repair->partition_count;
        struct repair_partition *partition =
            is_ours(node, number) ? repair_partition(node, number) : NULL;
        if (partition == NULL || repair->scan.partition == partition)
            continue;
        if (!partition->scanned)
            repair_want_scan(node, partition, false);
        else if (node->now_us - partition->scanned_us >= node->config.repair.refresh_us)
            repair_refresh(node, number);
    }
}

/* --- time ----------------------------------------------------------------------------------- */

static uint64_t due_us(const struct node *node)
{
    const struct repair *repair = node->repair;
    uint64_t next_us = least(repair->look_us, repair_scan_due_us(node));
    next_us = least(next_us, exchanges_due_us(node));
    next_us = least(next_us, suspects_due_us(node));
    if (!exchanges_have_room(node))
        return next_us;
    next_us = least(next_us, demand_due_us(node));
    return repair->pass_paused ? next_us : least(next_us, repair->pass_us);
}

void repair_wake(struct node *node)
{
    uint64_t next_us = due_us(node);
    if (node->repair_timer.place != 0 && node->repair_timer.key == next_us)
        return;
    heap_remove(&node->timers, &node->repair_timer);
    (void)heap_insert(&node->timers, &node->repair_timer, next_us);
}

void repair_tick(struct node *node)
{
    struct repair *repair = node->repair;
    if (!node->ready || node->config.epoch->member_count == 1) {
        (void)heap_insert(&node->timers, &node->repair_timer, node->now_us + LOOK_US);
        return;
    }
    if (!repair->checked)
        repair_check_kept(node);
    compare_rebuilt(node);
    if (node->now_us >= repair->look_us) {
        look_at_members(node);
        look_at_partitions(node);
        repair->look_us = node->now_us + LOOK_US;
    }
    repair_scan_tick(node);
    exchanges_tick(node);
    suspects_tick(node);
    demand_tick(node);
    pass_tick(node);
    repair_wake(node);
}

/* --- opening -------------------------------------------------------------------------------- */

kvorum_status repair_open(struct node *node)
{
    struct repair *repair = calloc(1, sizeof(*repair));
    if (repair == NULL)
        return KVORUM_NO_MEMORY;
    node->repair = repair;
    list_init(&repair->scans_due);
    list_init(&repair->exchanges);
    list_init(&repair->suspects);
    arena_init(&repair->demand.arena, NODE_TYPE_SIZE_MAX + NODE_BUCKET_SIZE_MAX + 4096);
    apply_defaults(&node->config.repair);
    repair->seed = hash_tree_seed(node->config.epoch);
    repair->partition_count = node->config.epoch->partition_count;
    repair->partitions = calloc(repair->partition_count, sizeof(struct repair_partition *));
    repair->away = calloc(RING_MEMBERS_MAX, sizeof(*repair->away));
    if (repair->partitions == NULL || repair->away == NULL ||
        !heap_insert(&node->timers, &node->repair_timer, node->now_us + LOOK_US))
        return KVORUM_NO_MEMORY;
    repair->look_us = node->now_us + LOOK_US;
    repair->pass_partition = repair->partition_count; /* the first pass is counted when ready */
    repair->pass_us = node->now_us + LOOK_US;
    return repair_load(node);
}

void repair_close(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair == NULL)
        return;
    repair_scan_end(node);
    exchanges_close(node);
    if (repair->partitions != NULL)
        repair_trees_free(node);
    arena_done(&repair->demand.arena);
    free(repair->partitions);
    free(repair->away);
    free(repair);
    node->repair = NULL;
}
