/* SPDX-License-Identifier: Apache-2.0 */
/* A memtable as a sorted source.  A place is an entry of the tree and a version of its chain.
 *
 *      bounded by a reader's sequence   newest version at or below it; on through merges only,
 *      since
 *                                       what is below anything else may be used again
 *      frozen, unbounded                the whole chain */
#include "engine/lsm/memtable/memtable.h"

#include <stdlib.h>

struct memtable_source {
    struct lsm_source source; /* first */
    const struct lsm_memtable *memtable;
    uint64_t sequence;
    struct tree_cursor cursor;
    const struct version *version;
};

static struct memtable_source *of(struct lsm_source *source)
{
    return (struct memtable_source *)source;
}

static const struct version *first_version(const struct memtable_source *self)
{
    const struct entry *entry = tree_entry(&self->cursor);
    return entry == NULL ? NULL : entry_version(entry, self->sequence);
}

static const struct version *next_version(const struct memtable_source *self)
{
    bool all = self->sequence == LSM_SEQUENCE_MAX;
    return all || self->version->merge ? self->version->older : NULL;
}

static void publish(struct memtable_source *self)
{
    struct lsm_source *source = &self->source;
    source->valid = self->version != NULL;
    if (!source->valid)
        return;
    source->entry.key = entry_key(tree_entry(&self->cursor));
    source->entry.value = version_value(self->version);
    source->entry.sequence = self->version->sequence;
    source->entry.kind = lsm_version_kind(self->version);
}

/* From the cursor on to the first entry that has a version to show. */
static void settle(struct memtable_source *self)
{
    for (self->version = first_version(self);
         self->version == NULL && tree_entry(&self->cursor) != NULL;
         self->version = first_version(self))
        tree_next(&self->cursor);
    publish(self);
}

/* The same backwards, to its last version. */
static void settle_back(struct memtable_source *self)
{
    for (self->version = first_version(self);
         self->version == NULL && tree_entry(&self->cursor) != NULL;
         self->version = first_version(self))
        tree_previous(&self->cursor);
    for (const struct version *older = self->version; older != NULL; older = next_version(self))
        self->version = older;
    publish(self);
}

static void source_first(struct lsm_source *source)
{
    tree_first(&of(source)->memtable->tree, &of(source)->cursor);
    settle(of(source));
}

static void source_last(struct lsm_source *source)
{
    tree_last(&of(source)->memtable->tree, &of(source)->cursor);
    settle_back(of(source));
}

static void source_next(struct lsm_source *source)
{
    struct memtable_source *self = of(source);
    self->version = next_version(self);
    if (self->version != NULL) {
        publish(self);
        return;
    }
    tree_next(&self->cursor);
    settle(self);
}

static void source_seek(struct lsm_source *source, struct bytes key, uint64_t sequence)
{
    tree_seek(&of(source)->memtable->tree, key, &of(source)->cursor);
    settle(of(source));
    while (source->valid && bytes_equal(source->entry.key, key) &&
           source->entry.sequence > sequence)
        source_next(source);
}

static void source_seek_before(struct lsm_source *source, struct bytes key)
{
    tree_seek_before(&of(source)->memtable->tree, key, &of(source)->cursor);
    settle_back(of(source));
}

/* The version above this one in the chain; chains are short, and only lead downwards. */
static const struct version *version_above(struct memtable_source *self)
{
    const struct version *below = self->version, *above = NULL;
    const struct version *version = first_version(self);
    while (version != below) {
        above = version;
        self->version = version;
        version = next_version(self);
    }
    return above;
}

static void source_previous(struct lsm_source *source)
{
    struct memtable_source *self = of(source);
    const struct version *above = version_above(self);
    if (above != NULL) {
        self->version = above;
        publish(self);
        return;
    }
    tree_previous(&self->cursor);
    settle_back(self);
}

static void source_close(struct lsm_source *source)
{
    free(source);
}

static const struct lsm_source_ops memtable_source_ops = {
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .seek_before = source_seek_before,
    .next = source_next,
    .previous = source_previous,
    .close = source_close,
};

kvorum_status lsm_memtable_source(const struct lsm_memtable *memtable, uint64_t sequence,
                                  struct lsm_source **ret_source)
{
    struct memtable_source *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return KVORUM_NO_MEMORY;
    self->source.ops = &memtable_source_ops;
    self->memtable = memtable;
    self->sequence = sequence;
    *ret_source = &self->source;
    return KVORUM_OK;
}
