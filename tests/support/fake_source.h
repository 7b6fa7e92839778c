/* SPDX-License-Identifier: Apache-2.0 */
/** An array of entries as a source (engine/lsm/source.h).  What `entry` views is overwritten and
 *  given back at the next move, so that whoever looks too long is caught. */
#ifndef TESTS_SUPPORT_FAKE_SOURCE_H
#define TESTS_SUPPORT_FAKE_SOURCE_H

#include "engine/lsm/merge/source.h"

#include <assert.h>
#include <stdlib.h>

struct fake_source {
    struct lsm_source base;
    const struct lsm_entry *entries; /* in order; not copied */
    size_t count, at;
    size_t moves_left; /* then `failure` */
    kvorum_status failure;
    uint8_t *lent;
    size_t lent_size;
    unsigned *closed; /* counted up, unless NULL */
};

static inline void fake_source_forget(struct fake_source *fake)
{
    if (fake->lent != NULL)
        memset(fake->lent, 0xdd, fake->lent_size);
    free(fake->lent);
    fake->lent = NULL;
}

static inline void fake_source_lend(struct fake_source *fake)
{
    const struct lsm_entry *entry = &fake->entries[fake->at];
    fake->lent_size = entry->key.size + entry->value.size;
    fake->lent = malloc(fake->lent_size + 1);
    assert(fake->lent != NULL);
    if (entry->key.size > 0)
        memcpy(fake->lent, entry->key.data, entry->key.size);
    if (entry->value.size > 0)
        memcpy(fake->lent + entry->key.size, entry->value.data, entry->value.size);
    fake->base.entry = *entry;
    fake->base.entry.key.data = fake->lent;
    fake->base.entry.value.data = fake->lent + entry->key.size;
}

/** SIZE_MAX and count: the two ends. */
static inline void fake_source_move(struct fake_source *fake, size_t at)
{
    fake_source_forget(fake);
    fake->at = at;
    fake->base.entry = (struct lsm_entry){ 0 };
    fake->base.status = fake->moves_left == 0 ? fake->failure : KVORUM_OK;
    fake->base.valid = fake->base.status == KVORUM_OK && at < fake->count;
    if (fake->moves_left > 0)
        fake->moves_left--;
    if (fake->base.valid)
        fake_source_lend(fake);
}

static inline void fake_source_first(struct lsm_source *base)
{
    fake_source_move((struct fake_source *)base, 0);
}

static inline void fake_source_last(struct lsm_source *base)
{
    struct fake_source *fake = (struct fake_source *)base;
    fake_source_move(fake, fake->count - 1);
}

static inline void fake_source_seek(struct lsm_source *base, struct bytes key, uint64_t sequence)
{
    struct fake_source *fake = (struct fake_source *)base;
    size_t at = 0;
    while (at < fake->count && lsm_order(key, sequence, &fake->entries[at]) > 0)
        at++;
    fake_source_move(fake, at);
}

static inline void fake_source_seek_before(struct lsm_source *base, struct bytes key)
{
    struct fake_source *fake = (struct fake_source *)base;
    size_t at = 0;
    while (at < fake->count && bytes_compare(fake->entries[at].key, key) < 0)
        at++;
    fake_source_move(fake, at - 1);
}

static inline void fake_source_next(struct lsm_source *base)
{
    struct fake_source *fake = (struct fake_source *)base;
    assert(base->valid);
    fake_source_move(fake, fake->at + 1);
}

static inline void fake_source_previous(struct lsm_source *base)
{
    struct fake_source *fake = (struct fake_source *)base;
    assert(base->valid);
    fake_source_move(fake, fake->at - 1);
}

static inline void fake_source_close(struct lsm_source *base)
{
    struct fake_source *fake = (struct fake_source *)base;
    fake_source_forget(fake);
    if (fake->closed != NULL)
        (*fake->closed)++;
    free(fake);
}

static const struct lsm_source_ops fake_source_ops = {
    .first = fake_source_first,
    .last = fake_source_last,
    .seek = fake_source_seek,
    .seek_before = fake_source_seek_before,
    .next = fake_source_next,
    .previous = fake_source_previous,
    .close = fake_source_close,
};

static inline struct fake_source *fake_source_create(const struct lsm_entry *entries, size_t count)
{
    struct fake_source *fake = calloc(1, sizeof(*fake));
    assert(fake != NULL);
    fake->base.ops = &fake_source_ops;
    fake->entries = entries;
    fake->count = count;
    fake->moves_left = SIZE_MAX;
    return fake;
}

#endif
