/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

#include <stdlib.h>

struct holding {
    bool found;
    uint64_t digest;
};

/* What `process` stores under a key, if that is an object: its only entry with the key's name in it
 * that begins as objects do (others are hints about the object). */
static struct holding look(const struct process *process, const char *key)
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

static void check_key(struct cluster *cluster, const char *key, struct bytes bucket, uint8_t n)
{
    const struct epoch *epoch = &cluster->epoch;
    uint32_t partition = ring_partition_of_hash(
        epoch, ring_hash(epoch, BYTES_LITERAL("default"), bucket, bytes_of_string(key)));
    uint16_t owners[SIM_MEMBERS_MAX];
    uint16_t count = ring_preference(epoch, partition, owners, n);
    struct holding first = look(&cluster->processes[owners[0]], key);
    for (uint16_t i = 1; i < count; i++) {
        struct holding other = look(&cluster->processes[owners[i]], key);
        if (other.found != first.found || other.digest != first.digest)
            world_fail(cluster->world, "converged",
                       "%s: owners n%u and n%u hold different objects (%s %llx, %s %llx)", key,
                       owners[0], owners[i], first.found ? "found" : "none",
                       (unsigned long long)first.digest, other.found ? "found" : "none",
                       (unsigned long long)other.digest);
    }
}

void check_converged(struct cluster *cluster, struct history *history, uint8_t n)
{
    for (uint32_t key = 0; key < history->key_count; key++) {
        char name[SIM_KEY_SIZE];
        history_key(key, name);
        check_key(cluster, name, BYTES_LITERAL(SIM_BUCKET), n);
    }
}
