/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cluster/handoff/hint.h"
#include "engine/lsm/lsm.h"

enum { PATH_SIZE = 16 };

/* --- reading the stores ---------------------------------------------------------------------- */

typedef void hint_visitor(void *context, struct bytes key, const struct hint *hint);

/* False: it could not be read to its end. */
static bool visit_store(struct engine *store, hint_visitor *visit, void *context)
{
    struct engine_range range = { .lower = BYTES_LITERAL("h"), .upper = BYTES_LITERAL("k") };
    struct engine_iterator *iterator;
    if (engine_iterate(store, &range, &iterator) != KVORUM_OK)
        return false;
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
        struct hint hint;
        uint32_t unused;
        if (hint_parse(iterator->key, iterator->value, &hint, &unused) == HINT_ENTRY_QUEUE)
            visit(context, iterator->key, &hint);
    }
    bool whole = iterator->error == KVORUM_OK;
    engine_iterator_close(iterator);
    return whole;
}

static bool visit_stores(struct engine *const *stores, uint16_t count, hint_visitor *visit,
                         void *context)
{
    bool whole = true;
    for (uint16_t i = 0; i < count; i++)
        whole &= visit_store(stores[i], visit, context);
    return whole;
}

/* What a process that runs has in its stores: its disk may be dead already. */
static bool visit_hints(struct process *process, hint_visitor *visit, void *context)
{
    process->disk.peeked = true;
    bool whole = visit_stores(process->stores, process->store_count, visit, context);
    process->disk.peeked = false;
    return whole;
}

/* --- names ----------------------------------------------------------------------------------- */

static void add_name(void *context, struct bytes key, const struct hint *hint)
{
    struct debt_names *names = context;
    (void)hint;
    names->list = realloc(names->list, (names->count + 1) * sizeof(*names->list));
    if (names->list == NULL)
        abort();
    names->list[names->count++] = hash64(key, 0);
}

static bool has_name(const struct debt_names *names, uint64_t name)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->list[i] == name)
            return true;
    return false;
}

static void replace_names(struct debt_names *names, struct debt_names by)
{
    free(names->list);
    *names = by;
}

/* --- lives ----------------------------------------------------------------------------------- */

uint64_t debts_of(const struct process *process)
{
    uint64_t count = 0;
    for (uint16_t shard = 0; shard < process->shard_count; shard++) {
        const struct node *node = process->shards[shard].node;
        for (uint16_t i = 0; node != NULL && i < node_epoch(node)->member_count; i++) {
            struct node_hints hints;
            node_hints(node, i, &hints);
            count += hints.count;
        }
    }
    return count;
}

void debts_life_ends(struct process *process, uint64_t known)
{
    struct debt_names held = { 0 };
    held.whole = visit_hints(process, add_name, &held);
    process->debts.dry = known == 0;
    replace_names(&process->debts.held, held);
}

void debts_found(struct debts *debts, struct engine *const *stores, uint16_t count)
{
    struct debt_names found = { 0 };
    found.whole = visit_stores(stores, count, add_name, &found);
    size_t kept = 0;
    for (size_t i = 0; i < found.count; i++) {
        uint64_t name = found.list[i];
        if (debts->dry || has_name(&debts->settled, name) ||
            (debts->held.whole && !has_name(&debts->held, name)))
            found.list[kept++] = name;
    }
    found.count = kept;
    replace_names(&debts->settled, found);
}

/* A copy of its disk is read: in the stores that it opens itself, reading would move what is
 * cached, and with that all that follows. */
void debts_life_begins(struct process *process)
{
    struct engine *stores[SIM_STORES_MAX];
    struct sim_disk copy;
    uint16_t count = 0, limit = process->plan->store_count[process->member];
    if (process->plan->memory)
        return;
    sim_disk_copy_synced(&process->disk, &copy);
    for (uint16_t i = 0; i < limit; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof(path), "store-%u", i);
        struct lsm_options options = {
            .disk = &copy.base, .path = path, .identity_seed = 1, .segment_size = 1
        };
        count += lsm_open(&options, &stores[count]) == KVORUM_OK;
    }
    debts_found(&process->debts, stores, count);
    while (count > 0)
        engine_close(stores[--count]);
    sim_disk_done(&copy);
}

void debts_done(struct debts *debts)
{
    replace_names(&debts->held, (struct debt_names){ 0 });
    replace_names(&debts->settled, (struct debt_names){ 0 });
}

/* --- the checker ----------------------------------------------------------------------------- */

struct taking {
    const struct debts *debts;
    const struct epoch *epoch;
    uint32_t count;
    uint16_t target; /* of the first one */
    uint64_t order;
};

static void take_along(void *context, struct bytes key, const struct hint *hint)
{
    struct taking *taking = context;
    uint16_t target = ring_member_index(taking->epoch, &hint->target);
    if (target == RING_NO_MEMBER || has_name(&taking->debts->settled, hash64(key, 0)))
        return;
    if (taking->count++ > 0)
        return;
    taking->target = target;
    taking->order = hint->order;
}

void check_debts(struct process *process, const struct epoch *epoch)
{
    struct taking taking = { .debts = &process->debts, .epoch = epoch };
    if (!process->running || !epoch_book_parted(process->book, process->member))
        return;
    (void)visit_hints(process, take_along, &taking);
    if (taking.count > 0)
        world_fail(process->world, "debts",
                   "n%u left and took %u hints along that it never settled, the first for n%u, "
                   "taken at %llx",
                   process->member, taking.count, taking.target, (unsigned long long)taking.order);
}
