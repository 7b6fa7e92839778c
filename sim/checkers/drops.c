/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/drops.h"

#include <stdlib.h>

#include "base/planted.h"

static struct world *world_of(const struct drops_operation *operation)
{
    return operation->drops->cluster->world;
}

static const struct drops_operation *writer_of(const struct drops *drops, struct bytes value)
{
    char text[16] = { 0 };
    if (value.size == 0 || value.size >= sizeof(text))
        return NULL;
    memcpy(text, value.data, value.size);
    long id = strtol(text, NULL, 10);
    return id >= 0 && id < drops->count ? &drops->operations[id] : NULL;
}

/* --- reads ----------------------------------------------------------------------------------- */

/* An acknowledged drop, begun after `write` was begun and over before `read`, which the member that
 * was asked for the read knows. */
static bool is_between(const struct drops_operation *drop, const struct drops_operation *write,
                       const struct drops_operation *read)
{
    return drop->action == DROPS_DROP && drop->state == DROPS_ANSWERED &&
           drop->status == KVORUM_OK && drop->invoked_us > write->done_us &&
           drop->done_us < read->invoked_us && write->state != DROPS_OPEN;
}

/* A request begins again when it meets a newer epoch, or when whom it was forwarded to refused it,
 * and does so in the generation of that moment: it is between a drop and its answer then, and may
 * come before or behind it. */
static uint64_t latest_of(const struct drops_operation *operation)
{
    return operation->state == DROPS_OPEN ? DROPS_NEVER : operation->latest;
}

static void check_value(struct drops_operation *read, const struct drops_operation *write)
{
    const struct drops *drops = read->drops;
    if (write == NULL || write->action != DROPS_PUT || write->key != read->key) {
        world_fail(world_of(read), "dropped", "operation %d reads what nobody wrote under d%u",
                   read->id, read->key);
        return;
    }
    read->from = write->generation > read->from ? write->generation : read->from;
    read->to = latest_of(write) < read->to ? latest_of(write) : read->to;
    if (read->from > read->to)
        world_fail(
            world_of(read), "dropped",
            "operation %d reads d%u at n%u.%u in generation %llx, and what operation %d wrote "
            "in %llx",
            read->id, read->key, read->member, read->shard, (unsigned long long)read->generation,
            write->id, (unsigned long long)write->generation);
    bool knows = drops->confirmed[read->member] > write->generation;
    for (int32_t i = 0; i < drops->count && knows; i++)
        if (is_between(&drops->operations[i], write, read))
            world_fail(world_of(read), "dropped",
                       "operation %d reads what operation %d wrote before drop %d", read->id,
                       write->id, i);
}

void check_drop_read(struct drops_operation *read, const struct object *object)
{
    read->from = read->generation;
    read->to = latest_of(read);
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        if (sibling->tombstone)
            continue;
        read->found = true;
        check_value(read, writer_of(read->drops, sibling->value));
    }
}

void check_drop_listed(const struct drops_operation *list, struct bytes name)
{
    const struct drops *drops = list->drops;
    char text[16] = { 0 };
    if (name.size < 2 || name.size >= sizeof(text))
        return;
    memcpy(text, name.data, name.size);
    uint32_t key = (uint32_t)strtoul(text + 1, NULL, 10);
    for (int32_t i = 0; i < drops->count; i++) {
        const struct drops_operation *write = &drops->operations[i];
        if (write->action == DROPS_PUT && write->key == key && latest_of(write) >= list->generation)
            return;
    }
    world_fail(world_of(list), "dropped",
               "operation %d lists d%u at n%u.%u, which was not written since generation %llx",
               list->id, key, list->member, list->shard, (unsigned long long)list->generation);
}

/* --- who knows ------------------------------------------------------------------------------- */

static bool must_know(const struct cluster *cluster, const struct process *asked, uint16_t at)
{
    const struct node *node = asked->shards[0].node;
    const struct epoch *epoch = node_epoch(node);
    return process_alive(&cluster->processes[at]) && at < epoch->member_count &&
           epoch->members[at].state != MEMBER_GONE && node_liveness(node, at) != LIVENESS_DEAD;
}

/* Shard 0 decides, and took this member for dead when it may have; its answer to the shard that was
 * asked is under way for a moment, or for as long as the process is paused. */
static bool was_dead_when_decided(const struct drops_operation *drop, uint16_t at)
{
    const struct process *asked = &drop->drops->cluster->processes[drop->member];
    return drop->shard != 0 && asked->not_dead_since_us[at] >= drop->invoked_us;
}

/* One that forgets all at its end, or whose disk is put back, may have begun anew since it was
 * told. */
static bool may_forget(const struct cluster *cluster, uint16_t at)
{
    return cluster->plan->memory || cluster->yesterday_of == &cluster->processes[at];
}

/* What is in memory of a drop that is under way may not be on disk. */
static bool another_is_under_way(const struct drops_operation *drop)
{
    const struct drops *drops = drop->drops;
    for (int32_t i = 0; i < drops->count; i++) {
        const struct drops_operation *other = &drops->operations[i];
        bool may_go_on =
            other->state == DROPS_OPEN ||
            (other->status != KVORUM_OK && drop->done_us < other->done_us + 10 * SIM_SECOND);
        if (other != drop && other->action == DROPS_DROP && may_go_on)
            return true;
    }
    return false;
}

void check_drop_told(const struct drops_operation *drop)
{
    struct drops *drops = drop->drops;
    struct cluster *cluster = drops->cluster;
    const struct process *asked = &cluster->processes[drop->member];
    uint64_t generation = drops_generation(asked, drop->shard);
    PROBE("drops: a drop was acknowledged");
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        if (!must_know(cluster, asked, i) || may_forget(cluster, i) ||
            was_dead_when_decided(drop, i))
            continue;
        for (uint16_t shard = 0; shard < process->shard_count; shard++)
            if (node_serves(process->shards[shard].node) &&
                drops_generation(process, shard) <= drop->generation)
                world_fail(cluster->world, "dropped",
                           "n%u answered drop %d, and n%u.%u, which it does not take for dead, "
                           "goes by generation %llx",
                           drop->member, drop->id, i, shard,
                           (unsigned long long)drops_generation(process, shard));
        if (!another_is_under_way(drop) && drops->confirmed[i] < generation)
            drops->confirmed[i] = generation;
    }
}

void check_drop_kept(const struct drops_operation *operation, bool serves)
{
    const struct drops *drops = operation->drops;
    if (operation->generation < drops->confirmed[operation->member] &&
        !may_forget(drops->cluster, operation->member) && serves)
        world_fail(world_of(operation), "dropped",
                   "n%u.%u goes by generation %llx, and was told %llx", operation->member,
                   operation->shard, (unsigned long long)operation->generation,
                   (unsigned long long)drops->confirmed[operation->member]);
}

/* --- the end --------------------------------------------------------------------------------- */

void check_drop_lost(const struct drops_operation *read)
{
    const struct drops *drops = read->drops;
    if (!drops->cluster->plan->durable || read->found)
        return;
    for (int32_t i = 0; i < drops->count; i++) {
        const struct drops_operation *write = &drops->operations[i];
        if (write->action == DROPS_PUT && write->key == read->key &&
            write->state == DROPS_ANSWERED && write->status == KVORUM_OK &&
            write->generation == read->generation)
            world_fail(world_of(read), "dropped",
                       "operation %d does not find d%u, which operation %d wrote in the last "
                       "generation",
                       read->id, read->key, write->id);
    }
}

/* docs/formats/keys.md. */
bool check_drop_key(struct bytes key, uint64_t *ret_generation)
{
    static const char first[] = "\7default\0\7" DROPS_BUCKET,
                      later[] = "\7default\x80\7" DROPS_BUCKET;
    enum { SIZE = sizeof(first) - 1 };
    *ret_generation = 0;
    if (key.size < 3 + SIZE)
        return false;
    if (memcmp(key.data + 3, first, SIZE) == 0)
        return true;
    if (memcmp(key.data + 3, later, SIZE) != 0 || key.size < 3 + SIZE + 8)
        return false;
    for (size_t i = 0; i < 8; i++)
        *ret_generation = *ret_generation << 8 | key.data[3 + SIZE + i];
    return true;
}

static void check_store(const struct drops *drops, const struct process *process,
                        struct engine *store)
{
    const struct engine_range range = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    uint64_t last = drops_generation(process, 0), generation;
    if (engine_iterate(store, &range, &iterator) != KVORUM_OK)
        return;
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        if (check_drop_key(iterator->key, &generation) && generation != last)
            world_fail(drops->cluster->world, "dropped",
                       "n%u goes by generation %llx, and keeps an object of %llx in partition %u",
                       process->member, (unsigned long long)last, (unsigned long long)generation,
                       (unsigned)(iterator->key.data[1] << 8 | iterator->key.data[2]));
    engine_iterator_close(iterator);
}

void check_drop_reclaimed(const struct drops *drops)
{
    for (uint16_t i = 0; i < drops->cluster->count; i++) {
        struct process *process = &drops->cluster->processes[i];
        bool counts = process->running && !epoch_book_gone(&drops->cluster->book, i);
        for (uint16_t store = 0; counts && store < process->store_count; store++)
            check_store(drops, process, process->stores[store]);
    }
}
