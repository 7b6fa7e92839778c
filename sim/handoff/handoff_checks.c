/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true of writes that were handed over, and of those whose deadlines pass. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/handoff/hint.h"
#include "sim/handoff/handoff_internal.h"

enum { READS_MAX = 20, ARENA_LIMIT = 1 << 26 };

uint64_t handoff_wall_ms(struct process *process)
{
    return clock_wall_ms(&process->clock.base);
}

/* Of the write whose value it is; -1: of none.  That of a deletion has no bytes to be looked at. */
static int32_t number_of(struct bytes value)
{
    char head[SOLO_HEAD_SIZE] = "";
    int number;
    if (value.size > 0)
        memcpy(head, value.data, value.size < 9 ? value.size : 9);
    return sscanf(head, "w%08d", &number) == 1 ? number : -1;
}

/* The number of the newest write that `process` holds of the key; -1: none. */
static int32_t held_by(struct process *process, const char *name)
{
    struct arena arena;
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    int32_t newest = -1;
    arena_init(&arena, ARENA_LIMIT);
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct engine_iterator *iterator;
        if (engine_iterate(process->stores[i], &objects, &iterator) != KVORUM_OK)
            abort();
        for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
            struct object object;
            if (memmem(iterator->key.data, iterator->key.size, name, strlen(name)) == NULL ||
                object_decode(iterator->value, &arena, &object) != KVORUM_OK ||
                object.sibling_count == 0)
                continue;
            int32_t number = number_of(object_winner(&object)->value);
            if (number > newest)
                newest = number;
        }
        engine_iterator_close(iterator);
    }
    arena_done(&arena);
    return newest;
}

static bool owns(const struct handoff *h, uint32_t partition, uint16_t member)
{
    const struct epoch *epoch = &h->solo.cluster.epoch;
    return hint_target_owns(epoch, partition, epoch->replica_count, member);
}

void handoff_check_key(struct handoff *h, uint32_t key)
{
    const struct written *written = &h->written[key];
    char name[SIM_KEY_SIZE];
    history_key(key, name);
    uint32_t partition = solo_partition(&h->solo, name);
    for (uint16_t i = 0; i < h->solo.cluster.count; i++) {
        int32_t held = held_by(&h->solo.cluster.processes[i], name);
        /* Without streams only what was handed over is where it should be after a new epoch. */
        bool due = written->away || !h->moves;
        bool expired = written->deadline_ms != 0 &&
                       handoff_wall_ms(&h->solo.cluster.processes[i]) >= written->deadline_ms;
        bool dropped = held < 0 && (expired || written->unsure);
        if (due && !dropped && owns(h, partition, i) && held < written->number)
            world_fail(h->solo.world, "handed-over",
                       "%s: n%u, an owner, holds write %d and not %d, which was acknowledged", name,
                       i, held, written->number);
        else if (h->moves && !owns(h, partition, i) && written->away && held == written->number)
            world_fail(h->solo.world, "stranger",
                       "%s: n%u is no owner any more and holds write %d, made while it was away",
                       name, i, held);
    }
}

/* --- deadlines ------------------------------------------------------------------------------- */

static bool read_key(struct handoff *h, struct process *process, const char *name,
                     struct asked *ret)
{
    struct operation operation = solo_operation(OPERATION_GET, name);
    operation.levels.r = LEVEL_ALL;
    return solo_ask(&h->solo, process, 0, &operation, ret);
}

/* By the clock of the node that is asked a deadline has come or has not, to the millisecond. */
static void check_deadline(struct handoff *h, uint32_t key)
{
    const struct written *written = &h->written[key];
    struct process *process = handoff_choose_process(h);
    struct asked seen = { .status = KVORUM_TIMEOUT };
    uint64_t before_ms = 0;
    char name[SIM_KEY_SIZE];
    history_key(key, name);
    if (written->number < 0 || written->unsure || written->tried != written->number ||
        (h->moves && !written->away))
        return;
    for (int i = 0; i < READS_MAX && seen.status != KVORUM_OK && seen.status != KVORUM_NOT_FOUND;
         i++) {
        before_ms = handoff_wall_ms(process);
        if (!read_key(h, process, name, &seen) || !solo_pass_time(&h->solo, SOLO_POLL_US))
            return;
    }
    uint64_t after_ms = handoff_wall_ms(process);
    int32_t number = seen.status == KVORUM_OK ? number_of(bytes_of_string(seen.head)) : -1;
    bool over = written->deadline_ms != 0 && before_ms >= written->deadline_ms;
    bool live = written->deadline_ms == 0 || after_ms < written->deadline_ms;
    if (over && seen.status == KVORUM_OK)
        world_fail(h->solo.world, "expired", "%s: write %d is read %llu ms after its deadline",
                   name, number, (unsigned long long)(before_ms - written->deadline_ms));
    else if (live && number != written->number)
        world_fail(h->solo.world, "expired", "%s: write %d is not read before its deadline: %s, %d",
                   name, written->number, kvorum_status_name(seen.status), number);
}

void handoff_check_deadlines(struct handoff *h)
{
    for (uint32_t key = 0; key < h->solo.keys && h->solo.world->violation.checker == NULL; key++)
        check_deadline(h, key);
}

/* Nobody waits for a deadline any more, and nobody has a value that has passed it. */
static void check_dropped(struct handoff *h, struct process *process)
{
    struct engine_range waiting = { .lower = BYTES_LITERAL("e"), .upper = BYTES_LITERAL("f") };
    for (uint16_t i = 0; i < process->store_count; i++) {
        struct engine_iterator *iterator;
        if (engine_iterate(process->stores[i], &waiting, &iterator) != KVORUM_OK)
            abort();
        engine_iterator_first(iterator);
        if (iterator->valid)
            world_fail(h->solo.world, "liveness", "n%u has not dropped a value that expired",
                       process->member);
        engine_iterator_close(iterator);
    }
}

void handoff_outlive_all(struct handoff *h)
{
    uint64_t most_ms = 0;
    for (uint16_t i = 0; i < h->solo.cluster.count; i++) {
        uint64_t now_ms = handoff_wall_ms(&h->solo.cluster.processes[i]);
        if (h->last_deadline_ms > now_ms && h->last_deadline_ms - now_ms > most_ms)
            most_ms = h->last_deadline_ms - now_ms;
    }
    if (!solo_pass_time(&h->solo, most_ms * SIM_MILLISECOND + 2 * SOLO_SETTLE_US))
        return;
    handoff_check_deadlines(h);
    for (uint16_t i = 0; i < h->solo.cluster.count; i++)
        check_dropped(h, &h->solo.cluster.processes[i]);
}
