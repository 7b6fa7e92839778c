/* SPDX-License-Identifier: Apache-2.0 */
/** Random entries in order, and a table made of them on a fault_disk. */
#ifndef TESTS_SUPPORT_TABLE_MODEL_H
#define TESTS_SUPPORT_TABLE_MODEL_H

#include "base/random.h"
#include "engine/lsm/table/table.h"
#include "tests/support/fault_disk.h"

struct model_shape {
    size_t keys;
    size_t key_max;    /* bytes; keys share much, or little */
    size_t value_max;  /* bytes; most values are far smaller */
    unsigned versions; /* of a key, at most */
    unsigned letters;  /* different bytes in keys: few make long common beginnings */
    bool bottom;       /* all PUT, sequence 0 */
};

struct model {
    struct lsm_entry *entries;
    size_t count;
    uint8_t *memory;
    uint64_t sequence_max;
};

static inline int model_compare(const void *a, const void *b)
{
    const struct lsm_entry *left = a, *right = b;
    return lsm_order(left->key, left->sequence, right);
}

static inline uint8_t *model_bytes(struct random *random, size_t size, unsigned letters)
{
    uint8_t *bytes = malloc(size + 1);
    assert(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(letters >= 256 ? random_below(random, 256)
                                            : 'a' + random_below(random, letters));
    return bytes;
}

/* Small more often than large. */
static inline size_t model_size(struct random *random, size_t max)
{
    if (max == 0)
        return 0;
    uint64_t limit = random_chance(random, 1, 50) ? max : random_chance(random, 1, 4) ? 200 : 24;
    return (size_t)random_below(random, (limit < max ? limit : max) + 1);
}

static inline void model_init(struct model *model, const struct model_shape *shape, uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    size_t capacity = shape->keys * shape->versions;
    *model = (struct model){ .entries = calloc(capacity, sizeof(*model->entries)) };
    assert(model->entries != NULL);
    for (size_t i = 0; i < shape->keys; i++) {
        size_t size = 1 + model_size(&random, shape->key_max - 1);
        uint8_t *key = model_bytes(&random, size, shape->letters);
        size_t versions = 1 + (size_t)random_below(&random, shape->versions);
        for (size_t v = 0; v < versions; v++) {
            struct lsm_entry *entry = &model->entries[model->count++];
            size_t value_size = model_size(&random, shape->value_max);
            entry->key = bytes_make(memcpy(malloc(size), key, size), size);
            entry->value = bytes_make(model_bytes(&random, value_size, 4), value_size);
            entry->sequence = shape->bottom ? 0 : 1 + random_below(&random, 1 << 24);
            entry->kind = shape->bottom ? LSM_PUT : (enum lsm_kind)random_below(&random, LSM_KINDS);
        }
        free(key);
    }
    qsort(model->entries, model->count, sizeof(*model->entries), model_compare);
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++) { /* (key, sequence) is unique */
        if (count > 0 && model_compare(&model->entries[count - 1], &model->entries[i]) == 0) {
            free((void *)model->entries[i].key.data);
            free((void *)model->entries[i].value.data);
        } else {
            model->entries[count++] = model->entries[i];
        }
    }
    model->count = count;
}

static inline void model_done(struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        free((void *)model->entries[i].key.data);
        free((void *)model->entries[i].value.data);
    }
    free(model->entries);
}

/** Index of the first entry at or after (key, sequence). */
static inline size_t model_seek(const struct model *model, struct bytes key, uint64_t sequence)
{
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lsm_order(key, sequence, &model->entries[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/** The entry that a read of `key` at `sequence` gives; NULL: none. */
static inline const struct lsm_entry *model_get(const struct model *model, struct bytes key,
                                                uint64_t sequence)
{
    size_t at = model_seek(model, key, sequence);
    bool found = at < model->count && bytes_equal(model->entries[at].key, key);
    return found ? &model->entries[at] : NULL;
}

static const struct lsm_id model_store = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 };
static const struct lsm_id model_file = { 0x2726252423222120, 0x2f2e2d2c2b2a2928 };
enum { MODEL_NUMBER = 7 };

/** Errors as the writer's; on OK the table `path` is there. */
static inline kvorum_status model_write(const struct model *model, struct disk *disk,
                                        const char *path, const struct lsm_table_options *options,
                                        const struct lsm_range *ranges, size_t range_count,
                                        struct lsm_table_meta *ret_meta)
{
    struct lsm_table_writer *writer;
    kvorum_status status = lsm_table_writer_create(disk, path, &model_store, &model_file,
                                                   MODEL_NUMBER, options, &writer);
    if (status != KVORUM_OK)
        return status;
    for (size_t i = 0; i < range_count && status == KVORUM_OK; i++)
        status = lsm_table_writer_add_range(writer, &ranges[i]);
    for (size_t i = 0; i < model->count && status == KVORUM_OK; i++)
        status = lsm_table_writer_add(writer, &model->entries[i]);
    if (status == KVORUM_OK)
        return lsm_table_writer_finish(writer, ret_meta);
    lsm_table_writer_abandon(writer);
    return status;
}

#endif
