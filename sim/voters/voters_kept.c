/* SPDX-License-Identifier: Apache-2.0 */
/* What must be there after it: what an owner who is left held, and room for new writes. */
#include <stdlib.h>

#include "node/epochs/epochs.h"
#include "node/placement/placement.h"
#include "node/small_file.h"
#include "sim/voters/voters_internal.h"

/* --- before, when most are lost -------------------------------------------------------------- */

static bool owns(const struct voters *v, const char *name, uint16_t member)
{
    const struct epoch *epoch = &v->solo.cluster.epoch;
    const uint16_t *row = ring_row(epoch, solo_partition(&v->solo, name));
    for (uint8_t c = 0; c < epoch->replica_count; c++)
        if (row[c] == member)
            return true;
    return false;
}

static bool store_holds(struct engine *store, const char *name)
{
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    bool found = false;
    if (engine_iterate(store, &objects, &iterator) != KVORUM_OK)
        abort();
    for (engine_iterator_first(iterator); iterator->valid && !found;
         engine_iterator_next(iterator)) {
        struct key_address address;
        found = store_key_parse(iterator->key, &address) &&
                bytes_equal(address.key, bytes_of_string(name));
    }
    engine_iterator_close(iterator);
    return found;
}

static bool process_holds(const struct process *process, const char *name)
{
    for (uint16_t s = 0; s < process->store_count; s++)
        if (store_holds(process->stores[s], name))
            return true;
    return false;
}

/* By the table of the founding: what is kept is looked at where nothing moves. */
void voters_find_holders(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++) {
        char name[SIM_KEY_SIZE];
        history_key(key, name);
        for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
            const struct process *process = &v->solo.cluster.processes[i];
            if (process->running && owns(v, name, i) && process_holds(process, name))
                v->holders[key] |= 1u << i;
        }
    }
}

/* What each had accepted as a voter, by its disk. */
void voters_note_votes(struct voters *v)
{
    static const uint8_t magic[VOTES_MAGIC_SIZE] = { 'K', 'V', 'V', '1' };
    for (uint16_t i = 0; i < v->solo.cluster.count; i++) {
        struct process *process = &v->solo.cluster.processes[i];
        struct acceptor acceptor;
        struct bytes record;
        struct sim_disk copy;
        struct buffer buffer;
        if (!process->running)
            continue;
        buffer_init(&buffer, EPOCH_RECORD_MAX);
        sim_disk_copy_synced(&process->disk, &copy);
        if (small_file_read(&copy.base, "votes", &buffer) == KVORUM_OK &&
            votes_decode(magic, buffer_bytes(&buffer), &acceptor, &record) == KVORUM_OK &&
            record.size > 0)
            v->solo.cluster.book.voted[i] = acceptor.number;
        sim_disk_done(&copy);
        buffer_done(&buffer);
    }
}

/* --- after it -------------------------------------------------------------------------------- */

static bool is_kept(const struct voters *v, uint32_t key)
{
    uint32_t forgetful = v->ever_lost | v->yesterday.put_back;
    uint32_t left = v->holders[key] & ~(forgetful | v->solo.cluster.book.gone);
    return !v->moves && v->acknowledged[key] && left != 0;
}

static bool check_key(struct voters *v, uint32_t key)
{
    char name[SIM_KEY_SIZE];
    struct asked asked = { 0 };
    history_key(key, name);
    struct operation operation = solo_operation(OPERATION_GET, name);
    operation.levels.r = LEVEL_ALL;
    for (int i = 0; i < SOLO_ATTEMPTS_MAX; i++) {
        struct process *process = voters_choose_left(v);
        if (process != NULL && !voters_ask(v, process, &operation, &asked))
            return false;
        if (asked.answered && (asked.status == KVORUM_OK || asked.status == KVORUM_NOT_FOUND))
            break;
        if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    }
    if (is_kept(v, key) && asked.status != KVORUM_OK)
        world_fail(v->solo.world, "kept",
                   "%s was held by an owner who is left, and is not read: %s", name,
                   kvorum_status_name(asked.status));
    return v->solo.world->violation.checker == NULL;
}

bool voters_check_reads(struct voters *v)
{
    for (uint32_t key = 0; key < v->solo.keys; key++)
        if (!check_key(v, key))
            return false;
    return true;
}

bool voters_check_writes(struct voters *v, uint32_t key)
{
    for (int i = 0; i < SOLO_ATTEMPTS_MAX; i++)
        if (voters_write_key(v, key, LEVEL_ALL))
            return true;
        else if (!solo_pass_time(&v->solo, SOLO_POLL_US))
            return false;
    world_fail(v->solo.world, "liveness", "key %u cannot be written in a new line", key);
    return false;
}
