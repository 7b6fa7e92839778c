/* SPDX-License-Identifier: Apache-2.0 */
/* Iterators of the memory engine: each is a snapshot.  While it is open nothing it sees is freed or
 * changed, so key and value are lent without copies; only the way to the next entry needs the lock,
 * and a new search when the tree has changed since. */
#include "engine/memory/internal.h"

#include <assert.h>
#include <stdlib.h>

static struct memory_iterator *of(struct engine_iterator *iterator)
{
    return (struct memory_iterator *)iterator;
}

kvorum_status memory_iterate(struct engine *engine, const struct engine_range *range,
                             const struct engine_read *read, struct engine_iterator **ret_iterator)
{
    struct memory *memory = (struct memory *)engine;
    (void)read;
    struct memory_iterator *iterator = calloc(1, sizeof(*iterator));
    if (iterator == NULL)
        return KVORUM_NO_MEMORY;
    if (!scan_init(&iterator->scan, engine->ops, &memory->tree, 0, range)) {
        free(iterator);
        return KVORUM_NO_MEMORY;
    }
    iterator->memory = memory;
    pthread_rwlock_wrlock(&memory->lock);
    iterator->scan.sequence = memory->newest_snapshot = memory->sequence;
    list_append(&memory->snapshots, &iterator->list);
    pthread_rwlock_unlock(&memory->lock);
    *ret_iterator = &iterator->scan.iterator;
    return KVORUM_OK;
}

void memory_iterator_close(struct engine_iterator *iterator)
{
    struct memory_iterator *closed = of(iterator);
    struct memory *memory = closed->memory;
    pthread_rwlock_wrlock(&memory->lock);
    bool oldest = list_first(&memory->snapshots) == &closed->list;
    list_remove(&closed->list);
    struct list *newest = memory->snapshots.previous;
    memory->newest_snapshot = list_empty(&memory->snapshots)
                                  ? 0
                                  : LIST_ENTRY(newest, struct memory_iterator, list)->scan.sequence;
    if (oldest)
        memory_trim(memory);
    pthread_rwlock_unlock(&memory->lock);
    scan_done(&closed->scan);
    free(closed);
}

static void begin(struct memory_iterator *iterator)
{
    pthread_rwlock_rdlock(&iterator->memory->lock);
}

static void end(struct memory_iterator *iterator)
{
    iterator->changes = iterator->memory->tree.changes;
    pthread_rwlock_unlock(&iterator->memory->lock);
}

/* The current entry is seen by this snapshot, so it is still in the tree. */
static void find_again(struct memory_iterator *iterator)
{
    if (iterator->changes == iterator->memory->tree.changes)
        return;
    tree_seek(&iterator->memory->tree, iterator->scan.iterator.key, &iterator->scan.cursor);
    assert(tree_entry(&iterator->scan.cursor)->key == iterator->scan.iterator.key.data);
}

void memory_iterator_first(struct engine_iterator *iterator)
{
    begin(of(iterator));
    scan_first(&of(iterator)->scan);
    end(of(iterator));
}

void memory_iterator_last(struct engine_iterator *iterator)
{
    begin(of(iterator));
    scan_last(&of(iterator)->scan);
    end(of(iterator));
}

void memory_iterator_seek(struct engine_iterator *iterator, struct bytes key)
{
    begin(of(iterator));
    scan_seek(&of(iterator)->scan, key);
    end(of(iterator));
}

void memory_iterator_next(struct engine_iterator *iterator)
{
    begin(of(iterator));
    find_again(of(iterator));
    scan_next(&of(iterator)->scan);
    end(of(iterator));
}

void memory_iterator_previous(struct engine_iterator *iterator)
{
    begin(of(iterator));
    find_again(of(iterator));
    scan_previous(&of(iterator)->scan);
    end(of(iterator));
}
