/* SPDX-License-Identifier: Apache-2.0 */
/** Tables in memory in place of engine/lsm/table/, and a notation for the levels they make up:
 *
 *      "0: a-d c-f | 1: a-b:30 c-e%60 x-"
 *
 *  Level 0 stands newest first.  A table is LOWER-UPPER, without an upper bound when that is empty;
 *  behind it :SIZE in bytes (else 10) and %PERCENT of deletions among its entries.
 *
 *  Include it in one .c of a program that needs nothing else of table/: it defines functions. */
#ifndef TESTS_SUPPORT_FAKE_TABLES_H
#define TESTS_SUPPORT_FAKE_TABLES_H

#include "engine/lsm/levels/levels.h"
#include "tests/support/fake_source.h"

#include <ctype.h>
#include <stdio.h>

enum { FAKE_TABLE_KEY_MAX = 24 };

struct fake_table {
    struct lsm_table table; /* first */
    char lower[FAKE_TABLE_KEY_MAX], upper[FAKE_TABLE_KEY_MAX];
    const struct lsm_entry *entries; /* what lsm_table_source gives; not copied */
    size_t entry_count;
    kvorum_status open_status; /* not OK: it cannot be opened */
    void *content;             /* the test's; freed with the table */
};

static uint64_t fake_tables_alive, fake_tables_made, fake_tables_open;

static inline struct lsm_table *fake_table_create(const char *lower, const char *upper,
                                                  uint64_t size)
{
    struct fake_table *fake = calloc(1, sizeof(*fake));
    uint64_t number = ++fake_tables_made;
    assert(fake != NULL);
    snprintf(fake->lower, sizeof(fake->lower), "%s", lower);
    snprintf(fake->upper, sizeof(fake->upper), "%s", upper);
    fake->table.meta = (struct lsm_table_meta){
        .number = number,
        .size = size,
        .lower = bytes_of_string(fake->lower),
        .upper = bytes_of_string(fake->upper),
        .sequence_min = 1,
        .sequence_max = number,
        .entries = 100,
    };
    atomic_init(&fake->table.references, 1);
    fake_tables_alive++;
    return &fake->table;
}

void lsm_table_reference(struct lsm_table *table)
{
    atomic_fetch_add(&table->references, 1);
}

void lsm_table_release(struct lsm_table *table)
{
    if (atomic_fetch_sub(&table->references, 1) > 1)
        return;
    struct fake_table *fake = (struct fake_table *)table;
    fake_tables_alive--;
    free(fake->content);
    free(table->shares);
    free(fake);
}

static inline void fake_table_source_close(struct lsm_source *source)
{
    fake_tables_open--;
    fake_source_close(source);
}

kvorum_status lsm_table_source(struct lsm_table *table, const struct lsm_table_scan *scan,
                               struct lsm_source **ret_source)
{
    static struct lsm_source_ops ops;
    const struct fake_table *fake = (const struct fake_table *)table;
    (void)scan;
    if (fake->open_status != KVORUM_OK)
        return fake->open_status;
    struct fake_source *source = fake_source_create(fake->entries, fake->entry_count);
    ops = fake_source_ops;
    ops.close = fake_table_source_close;
    source->base.ops = &ops;
    fake_tables_open++;
    *ret_source = &source->base;
    return KVORUM_OK;
}

kvorum_status lsm_table_source_turn(struct lsm_source *source, struct lsm_table *table)
{
    const struct fake_table *fake = (const struct fake_table *)table;
    if (fake->open_status != KVORUM_OK)
        return fake->open_status;
    struct fake_source *self = (struct fake_source *)source;
    self->entries = fake->entries;
    self->count = fake->entry_count;
    fake_source_move(self, SIZE_MAX);
    return KVORUM_OK;
}

/* --- notation ------------------------------------------------------------------------------ */

static inline struct lsm_table *fake_table_parse(const char *word)
{
    char lower[FAKE_TABLE_KEY_MAX] = "", upper[FAKE_TABLE_KEY_MAX] = "";
    unsigned long long size = 10, percent = 0;
    int used = 0;
    if (sscanf(word, "%20[a-z0-9]-%n", lower, &used) != 1)
        assert(false);
    word += used;
    used = 0;
    if (sscanf(word, "%20[a-z0-9]%n", upper, &used) == 1)
        word += used;
    if (*word == ':')
        size = strtoull(word + 1, (char **)&word, 10);
    if (*word == '%')
        percent = strtoull(word + 1, (char **)&word, 10);
    assert(*word == 0);
    struct lsm_table *table = fake_table_create(lower, upper, size);
    table->meta.deletes = percent;
    return table;
}

/** Levels of the notation. */
static inline struct lsm_levels *fake_levels_parse(const char *text)
{
    struct lsm_edit_add added[256];
    struct lsm_edit edit = { .added = added };
    struct lsm_levels *empty, *levels;
    char word[64];
    int level = 0, used;
    while (sscanf(text, " %60s%n", word, &used) == 1) {
        text += used;
        if (isdigit((unsigned char)word[0]) && word[1] == ':') {
            level = word[0] - '0';
        } else if (word[0] != '|') {
            struct lsm_table *table = fake_table_parse(word);
            table->meta.sequence_max = 1000000 - edit.added_count;
            added[edit.added_count++] = (struct lsm_edit_add){ level, table };
        }
    }
    if (lsm_levels_create(&empty) != KVORUM_OK ||
        lsm_levels_edit(empty, &edit, &levels) != KVORUM_OK)
        abort();
    lsm_levels_release(empty);
    return levels;
}

/** The notation of levels, without sizes. */
static inline void fake_levels_print(const struct lsm_levels *levels, struct buffer *ret)
{
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        const struct lsm_level *level = &levels->level[i];
        if (level->count > 0)
            buffer_printf(ret, "%s%d:", ret->size > 0 ? " | " : "", i);
        for (size_t j = 0; j < level->count; j++) {
            struct bytes lower = level->tables[j]->meta.lower, upper = level->tables[j]->meta.upper;
            buffer_printf(ret, " %.*s-%.*s", (int)lower.size, (const char *)lower.data,
                          (int)upper.size, (const char *)upper.data);
        }
    }
}

#endif
