/* SPDX-License-Identifier: Apache-2.0 */
/* History: versions that are no longer the newest but that an open iterator sees.
 *
 *      entry -> newest 9 -> 7 -> 4        open snapshots: 5, 8        4 is seen by 5, 7 by 8
 *
 * A version v with the next newer one n is seen by a snapshot s when v.sequence <= s < n.sequence.
 * The entries concerned are listed, and trimmed when the oldest iterator closes: cost in proportion
 * to what was overwritten while it was open. */
#include "engine/memory/internal.h"

#include <assert.h>

void memory_drop(struct memory *memory, struct version *version)
{
    if (atomic_fetch_sub_explicit(&version->references, 1, memory_order_acq_rel) == 1)
        pool_free(&memory->pool, version, version_size(version->size));
}

void memory_collect(struct memory *memory)
{
    if (atomic_load_explicit(&memory->released, memory_order_relaxed) == NULL)
        return;
    struct version *version =
        atomic_exchange_explicit(&memory->released, NULL, memory_order_acquire);
    while (version != NULL) {
        struct version *next = version->older;
        pool_free(&memory->pool, version, version_size(version->size));
        version = next;
    }
}

void memory_list_stale(struct memory *memory, struct entry *entry)
{
    if (entry->listed)
        return;
    struct memory_stale *stale = pool_allocate(&memory->pool, sizeof(*stale));
    assert(stale != NULL); /* reserved */
    *stale = (struct memory_stale){ entry, memory->stale };
    memory->stale = stale;
    entry->listed = 1;
}

void memory_remove_entry(struct memory *memory, struct entry *entry)
{
    tree_remove(&memory->tree, entry_key(entry));
    memory_drop(memory, entry->newest);
    pool_free(&memory->pool, entry, entry_size(entry->key_size));
}

static bool seen_between(const struct memory *memory, uint64_t from, uint64_t to)
{
    for (const struct list *item = memory->snapshots.next; item != &memory->snapshots;
         item = item->next) {
        uint64_t snapshot = LIST_ENTRY(item, struct memory_iterator, list)->scan.sequence;
        if (snapshot >= from && snapshot < to)
            return true;
    }
    return false;
}

/* True when history is left. */
static bool trim_entry(struct memory *memory, struct entry *entry)
{
    struct version *newer = entry->newest;
    while (newer->older != NULL) {
        struct version *version = newer->older;
        if (seen_between(memory, version->sequence, newer->sequence)) {
            newer = version;
        } else {
            newer->older = version->older;
            memory_drop(memory, version);
        }
    }
    struct version *newest = entry->newest;
    if (newest->older != NULL)
        return true;
    if (!newest->deleted)
        return false;
    memory_remove_entry(memory, entry);
    return false;
}

void memory_trim(struct memory *memory)
{
    struct memory_stale **link = &memory->stale;
    while (*link != NULL) {
        struct memory_stale *stale = *link;
        stale->entry->listed = 0;
        if (trim_entry(memory, stale->entry)) {
            stale->entry->listed = 1;
            link = &stale->next;
        } else {
            *link = stale->next;
            pool_free(&memory->pool, stale, sizeof(*stale));
        }
    }
}
