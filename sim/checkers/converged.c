/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

#include <stdlib.h>

struct difference {
    uint16_t a, b; /* members */
    struct holding of_a, of_b;
};

/* What `process` stores under a key, if that is an object: its only entry with the key's name in it
 * that begins as objects do (others are hints about the object). */
struct holding converged_look(const struct process *process, const char *key)
{
    struct holding holding = { false, 0 };
    struct engine_range everything = { 0 };
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct engine_iterator *iterator;
        if (engine_iterate(process->stores[i], &everything, &iterator) != KVORUM_OK)
            abort();
        for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
            if (iterator->key.data[0] == 'o' &&
                memmem(iterator->key.data, iterator->key.size, key, strlen(key)) != NULL)
                holding = (struct holding){ true, object_digest(iterator->value) };
        }
        engine_iterator_close(iterator);
    }
    return holding;
}

/* The first two owners that hold different objects; false: there are none. */
static bool compare_owners(struct cluster *cluster, const char *key, struct bytes bucket, uint8_t n,
                           struct difference *ret)
{
    const struct epoch *epoch = node_epoch(cluster_any_running(cluster)->shards[0].node);
    uint32_t partition = ring_partition_of_hash(
        epoch, ring_hash(epoch, BYTES_LITERAL("default"), bucket, bytes_of_string(key)));
    uint16_t owners[SIM_MEMBERS_MAX];
    uint8_t limit = ring_owner_limit(epoch, partition);
    uint16_t count = ring_preference(epoch, partition, owners, n < limit ? n : limit);
    struct holding first = converged_look(&cluster->processes[owners[0]], key);
    for (uint16_t i = 1; i < count; i++) {
        struct holding other = converged_look(&cluster->processes[owners[i]], key);
        *ret = (struct difference){ owners[0], owners[i], first, other };
        if (other.found != first.found || other.digest != first.digest)
            return true;
    }
    return false;
}

static void tell(struct cluster *cluster, const char *key, const struct difference *found)
{
    world_fail(cluster->world, "converged",
               "%s: owners n%u and n%u hold different objects (%s %llx, %s %llx)", key, found->a,
               found->b, found->of_a.found ? "found" : "none",
               (unsigned long long)found->of_a.digest, found->of_b.found ? "found" : "none",
               (unsigned long long)found->of_b.digest);
}

bool converged(struct cluster *cluster, const struct history *history, uint8_t n)
{
    bool equal = true;
    for (uint32_t key = 0; equal && key < history->key_count; key++) {
        char name[SIM_KEY_SIZE];
        struct difference unused;
        history_key(key, name);
        equal = !compare_owners(cluster, name, BYTES_LITERAL(SIM_BUCKET), n, &unused);
    }
    return equal;
}

void check_converged(struct cluster *cluster, struct history *history, uint8_t n)
{
    for (uint32_t key = 0; key < history->key_count; key++) {
        char name[SIM_KEY_SIZE];
        history_key(key, name);
        struct difference found;
        if (compare_owners(cluster, name, BYTES_LITERAL(SIM_BUCKET), n, &found))
            tell(cluster, name, &found);
    }
}
