/* SPDX-License-Identifier: Apache-2.0 */
/* The disks are copied as they would surely be after a power failure, their stores opened from the
 * copies, and the write looked for: as a version, or below the clock of an object of its key, which
 * says that it was seen there and replaced. */
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "engine/lsm/lsm.h"
#include "sim/checkers/checkers.h"

enum { ARENA_LIMIT = 1 << 26, PATH_SIZE = 16 };

struct search {
    struct history *history;
    const struct record *write;
    char key[SIM_KEY_SIZE];
    struct arena arena;
};

static bool covers(const struct clock_vector *clock, struct dot dot)
{
    return clock_vector_counter(clock, dot.actor) >= dot.counter;
}

static bool shows(struct search *search, struct bytes value)
{
    struct object object;
    const struct record *write = search->write;
    if (object_decode(value, &search->arena, &object) != KVORUM_OK)
        return false;
    if (write->version_known && covers(&object.clock, write->version.dot))
        return true;
    for (uint32_t i = 0; i < object.sibling_count; i++) {
        if (!object.siblings[i].tombstone &&
            history_writer(search->history, write->key, object.siblings[i].value) == write->id)
            return true;
    }
    return false;
}

static bool store_shows(struct search *search, struct engine *store)
{
    struct engine_range everything = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    if (engine_iterate(store, &everything, &iterator) != KVORUM_OK)
        abort();
    bool found = false;
    engine_iterator_first(iterator);
    while (!found && iterator->valid) {
        found = memmem(iterator->key.data, iterator->key.size, search->key, strlen(search->key)) !=
                    NULL &&
                shows(search, iterator->value);
        engine_iterator_next(iterator);
    }
    engine_iterator_close(iterator);
    return found;
}

static bool disk_shows(struct search *search, struct process *process)
{
    struct sim_disk copy;
    bool found = false;
    sim_disk_copy_synced(&process->disk, &copy);
    for (uint16_t i = 0; !found && i < process->store_count; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof(path), "store-%u", i);
        struct lsm_options options = {
            .disk = &copy.base, .path = path, .identity_seed = 1, .segment_size = 1
        };
        struct engine *store;
        if (lsm_open(&options, &store) != KVORUM_OK)
            continue;
        found = store_shows(search, store);
        engine_close(store);
    }
    sim_disk_done(&copy);
    return found;
}

bool disk_holds(struct history *history, const struct record *write, struct process *process)
{
    struct search search = { .history = history, .write = write };
    arena_init(&search.arena, ARENA_LIMIT);
    history_key(write->key, search.key);
    bool holds = disk_shows(&search, process);
    arena_done(&search.arena);
    return holds;
}

void check_durable(struct cluster *cluster, struct history *history, const struct record *write,
                   uint32_t dw)
{
    uint32_t disks = 0;
    if (cluster->put_back_us > write->invoked_us || cluster->struck_us > write->invoked_us)
        return; /* one may have held it, and forgot */
    if (history->collects && cluster->put_back_us > 0)
        return; /* one whose disk was put back drops what it took until it found out (0010) */
    for (uint16_t i = 0; disks < dw && i < cluster->count; i++)
        disks += disk_holds(history, write, &cluster->processes[i]);
    if (disks >= dw || (history->collects && maybe_collected(history, write)))
        return;
    if (!write->version_known) { /* replaced before anybody saw it: its dot is not known */
        PROBE("checker: durability of an unseen write could not be judged");
        if (disks == 0 || cluster->count > 1)
            return;
    }
    world_fail(cluster->world, "durable",
               "operation %d (key %u) was acknowledged with dw=%u while only %u disks hold it",
               write->id, write->key, dw, disks);
}
