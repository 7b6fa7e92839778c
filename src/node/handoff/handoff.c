/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard knows of the partitions that come and go: read from its stores at the start, and
 * made anew from each epoch.
 *
 * Who comes to a partition begins with nothing: what is left there of an earlier ownership, or of a
 * move that was given up, may be older than a tombstone that others have collected.  So the shard
 * first sweeps the partition, then writes the session's number (its tenure), and only then takes
 * objects for it.  A crash in between begins with the sweep again. */
#include "node/handoff/handoff.h"

#include "cluster/handoff/streams.h"
#include "codec/varint.h"
#include "node/collect/collect.h"
#include "node/internal.h"
#include "node/tasks/tasks.h"

/* --- keys ------------------------------------------------------------------------------------ */

struct bytes handoff_tenure_key(struct arena *arena, uint32_t partition)
{
    uint8_t *data = arena_allocate(arena, 4);
    if (data == NULL)
        return (struct bytes){ 0 };
    const uint8_t key[] = { 'm', 't', (uint8_t)(partition >> 8), (uint8_t)partition };
    memcpy(data, key, sizeof(key));
    return bytes_make(data, sizeof(key));
}

struct bytes handoff_stream_key(struct arena *arena, uint32_t partition, uint8_t place)
{
    uint8_t *data = arena_allocate(arena, 5);
    if (data == NULL)
        return (struct bytes){ 0 };
    const uint8_t key[] = { 'm', 's', (uint8_t)(partition >> 8), (uint8_t)partition, place };
    memcpy(data, key, sizeof(key));
    return bytes_make(data, sizeof(key));
}

/* --- at the start ---------------------------------------------------------------------------- */

static void load_tenure(struct holding *holding, struct bytes value)
{
    struct reader reader = reader_of(value);
    uint64_t session = read_u64(&reader);
    if (reader_finished(&reader))
        holding->tenure = session;
}

/* Of a stream only whether it is whole, and of which session; where to go on is read when it does.
 * */
static void load_stream(struct holding *holding, uint8_t place, struct bytes value)
{
    struct reader reader = reader_of(value);
    bool whole = read_u8(&reader) == 1;
    uint64_t session = read_u64(&reader);
    if (reader.failed || !whole || place >= RING_REPLICAS_MAX)
        return;
    if (session > holding->session) {
        holding->session = session;
        holding->received = 0;
    }
    if (session == holding->session)
        holding->received |= 1u << place;
}

static void load_entry(struct node *node, struct bytes key, struct bytes value)
{
    uint32_t partition = key.size >= 4 ? (uint32_t)key.data[2] << 8 | key.data[3] : UINT32_MAX;
    if (partition >= node->config.epoch->partition_count)
        return;
    struct holding *holding = &node->handoff->holdings[partition];
    if (key.size == 4 && key.data[1] == 't')
        load_tenure(holding, value);
    else if (key.size == 5 && key.data[1] == 's')
        load_stream(holding, key.data[4], value);
}

static kvorum_status load_store(struct node *node, struct engine *store)
{
    struct engine_range range = { .lower = BYTES_LITERAL("m"), .upper = BYTES_LITERAL("n") };
    struct engine_iterator *iterator;
    kvorum_status status = engine_iterate(store, &range, &iterator);
    if (status != KVORUM_OK)
        return status == KVORUM_UNSUPPORTED ? KVORUM_OK : status;
    engine_iterator_first(iterator);
    for (; iterator->valid; engine_iterator_next(iterator))
        load_entry(node, iterator->key, iterator->value);
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status load(struct node *node)
{
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++)
        if (node->config.stores[i] != NULL)
            status = load_store(node, node->config.stores[i]);
    return status;
}

static void follow(struct node *node);

kvorum_status handoff_open(struct node *node)
{
    struct handoff *handoff = calloc(1, sizeof(*handoff));
    uint32_t partitions = node->config.epoch->partition_count;
    node->handoff = handoff;
    if (handoff == NULL)
        return KVORUM_NO_MEMORY;
    list_init(&handoff->streams);
    throttle_set(&handoff->throttle, node->config.handoff_rate, node->now_us);
    handoff->holdings = calloc(partitions, sizeof(*handoff->holdings));
    bool fine = handoff->holdings != NULL;
    if (fine && node->config.shard == 0) {
        handoff->settled = calloc(RING_MEMBERS_MAX, sizeof(*handoff->settled));
        handoff->shard_epochs = calloc(node->config.shard_count, sizeof(*handoff->shard_epochs));
        handoff->shard_dry = calloc(node->config.shard_count, sizeof(*handoff->shard_dry));
        handoff->dry_us = calloc(RING_MEMBERS_MAX, sizeof(*handoff->dry_us));
        handoff->arrivals = calloc(partitions, sizeof(*handoff->arrivals));
        handoff->steps = calloc(HANDOFF_STEPS_MAX, sizeof(*handoff->steps));
        fine = handoff->settled != NULL && handoff->shard_epochs != NULL &&
               handoff->arrivals != NULL && handoff->steps != NULL && handoff->shard_dry != NULL &&
               handoff->dry_us != NULL;
    }
    if (!fine || !heap_insert(&node->timers, &handoff->timer, node->now_us + HANDOFF_TICK_US))
        return KVORUM_NO_MEMORY;
    kvorum_status status = load(node);
    if (status != KVORUM_OK)
        return status;
    for (uint32_t p = 0; p < partitions; p++) /* nobody remembers what was left when we stopped */
        handoff->holdings[p].left = placement_store(node, p) != NULL && !handoff_is_ours(node, p);
    follow(node);
    return KVORUM_OK;
}

void handoff_close(struct node *node)
{
    struct handoff *handoff = node->handoff;
    if (handoff == NULL)
        return;
    receive_close_all(node);
    heap_remove(&node->timers, &handoff->timer);
    free(handoff->holdings);
    free(handoff->settled);
    free(handoff->shard_epochs);
    free(handoff->shard_dry);
    free(handoff->dry_us);
    free(handoff->arrivals);
    free(handoff->steps);
    free(handoff);
    node->handoff = NULL;
}

/* --- following the epoch --------------------------------------------------------------------- */

bool handoff_is_ours(struct node *node, uint32_t partition)
{
    const struct epoch *epoch = node->config.epoch;
    const struct move *move = ring_move_of(epoch, partition);
    if (handoff_place(epoch, partition, node->config.self) != 0)
        return true;
    for (uint8_t i = 0; move != NULL && i < epoch->replica_count; i++)
        if (move->to[i] == node->config.self)
            return true;
    return false;
}

bool handoff_receives(struct node *node, const struct move *move)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint8_t n = 1; n <= epoch->replica_count; n++)
        if (handoff_needs(epoch, move, node->config.self, n))
            return true;
    return false;
}

static void begin(struct node *node, const struct move *move)
{
    struct holding *holding = &node->handoff->holdings[move->partition];
    bool is_newcomer = handoff_place(node->config.epoch, move->partition, node->config.self) == 0;
    if (holding->session != move->session) {
        holding->session = move->session;
        holding->received = holding->asking = 0;
    }
    holding->left = false;
    holding->unready = is_newcomer && holding->tenure != move->session;
}

static void follow(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint32_t i = 0; i < epoch->move_count; i++)
        if (placement_store(node, epoch->moves[i].partition) != NULL &&
            handoff_receives(node, &epoch->moves[i]))
            begin(node, &epoch->moves[i]);
}

void handoff_on_adopted(struct node *node, const struct epoch *former)
{
    struct handoff *handoff = node->handoff;
    for (uint32_t p = 0; p < former->partition_count; p++) {
        struct holding *holding = &handoff->holdings[p];
        if (placement_store(node, p) == NULL)
            continue;
        bool ours = handoff_is_ours(node, p);
        holding->left |=
            !ours && (holding->session != 0 || handoff_place(former, p, node->config.self) != 0);
        holding->left &= !ours;
        /* A move that is over waits for nobody: only who lost all since it was ready (a store in
         * memory) can be unready then. */
        holding->unready &= ours && ring_move_of(node->config.epoch, p) != NULL;
    }
    follow(node);
    receive_on_adopted(node);
    drive_tell(node);
    handoff_pump(node);
}

bool handoff_ready(const struct node *node, uint32_t partition)
{
    return !node->handoff->holdings[partition].unready && !collect_waits(node, partition);
}

uint64_t handoff_tenure(const struct node *node, uint32_t partition)
{
    return node->handoff->holdings[partition].tenure;
}

/* --- time ------------------------------------------------------------------------------------ */

void handoff_pump(struct node *node)
{
    sweep_pump(node);
    receive_pump(node);
}

void handoff_tick(struct node *node)
{
    drive_tell(node);
    if (node->config.shard == 0) {
        drive_tick(node);
        tasks_tick(node);
    }
    sweep_count_left(node);
    handoff_pump(node);
}
