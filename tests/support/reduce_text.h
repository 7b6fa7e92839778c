/* SPDX-License-Identifier: Apache-2.0 */
/** What a reduction is given, from text: see engine/lsm/reduce_test.c. */
#ifndef TESTS_SUPPORT_REDUCE_TEXT_H
#define TESTS_SUPPORT_REDUCE_TEXT_H

#include "engine/lsm/merge/reduce.h"

#include <assert.h>
#include <stdlib.h>

enum { REDUCE_TEXT_MAX = 64 };

struct reduce_text {
    struct lsm_reduce_options options;
    struct lsm_entry entries[REDUCE_TEXT_MAX];
    size_t entry_count;
    uint64_t snapshots[REDUCE_TEXT_MAX];
    struct lsm_ranges *ranges;
    struct engine_merge_operator merge;
    struct engine_compaction_filter filter;
    kvorum_status blob_status;
};

static const char reduce_text_kinds[LSM_KINDS] = { 'D', 'P', 'M', 'B' };

/** Operands behind the base, or behind "-"; refuses "!". */
static inline kvorum_status reduce_text_merge(void *context, struct bytes key,
                                              const struct bytes *base,
                                              const struct bytes *operands, size_t count,
                                              struct buffer *ret_value)
{
    (void)context;
    (void)key;
    buffer_append_bytes(ret_value, base == NULL ? BYTES_LITERAL("-") : *base);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(operands[i], BYTES_LITERAL("!")))
            return KVORUM_CORRUPT;
        buffer_append_bytes(ret_value, operands[i]);
    }
    return KVORUM_OK;
}

static inline bool reduce_text_keep(void *context, struct bytes key, struct bytes value)
{
    (void)context;
    (void)key;
    return value.size == 0 || value.data[value.size - 1] != 'x';
}

static inline kvorum_status reduce_text_blob(void *context, const struct lsm_entry *entry,
                                             struct buffer *memory, struct bytes *ret_value)
{
    (void)context;
    buffer_append_text(memory, "blob.");
    buffer_append_bytes(memory, entry->value);
    *ret_value = buffer_bytes(memory);
    return KVORUM_OK;
}

static inline void reduce_text_write(struct buffer *text, const struct lsm_entry *entry)
{
    buffer_printf(text, "%s%.*s%llu%c%.*s", text->size > 0 ? " " : "", (int)entry->key.size,
                  (const char *)entry->key.data, (unsigned long long)entry->sequence,
                  reduce_text_kinds[entry->kind], (int)entry->value.size,
                  (const char *)entry->value.data);
}

static inline const char *reduce_text_entry(const char *text, struct lsm_entry *ret)
{
    char *end;
    int kind = 0;
    ret->key = bytes_make(text, 1);
    ret->sequence = strtoull(text + 1, &end, 10);
    while (reduce_text_kinds[kind] != *end)
        kind++;
    ret->kind = (enum lsm_kind)kind;
    ret->value = bytes_make(end + 1, strcspn(end + 1, " "));
    end += 1 + ret->value.size;
    return end + strspn(end, " ");
}

static inline const char *reduce_text_range(const char *text, struct lsm_range *ret)
{
    const char *dash = strchr(text, '-'), *colon = strchr(text, ':');
    char *end;
    ret->lower = bytes_make(text, (size_t)(dash - text));
    ret->upper = bytes_make(dash + 1, (size_t)(colon - dash - 1));
    ret->sequence = strtoull(colon + 1, &end, 10);
    return end + strspn(end, " ");
}

static inline void reduce_text_init(struct reduce_text *text, const char *flags,
                                    const char *snapshots, const char *ranges, const char *entries)
{
    struct lsm_range list[REDUCE_TEXT_MAX];
    size_t count = 0;
    char *end;
    *text = (struct reduce_text){ .merge = { "text", reduce_text_merge, NULL },
                                  .filter = { reduce_text_keep, NULL } };
    while (*entries != 0)
        entries = reduce_text_entry(entries, &text->entries[text->entry_count++]);
    while (*ranges != 0)
        ranges = reduce_text_range(ranges, &list[count++]);
    if (count > 0 && lsm_ranges_create(list, count, &text->ranges) != KVORUM_OK)
        abort();
    for (count = 0; *snapshots != 0; snapshots = end + strspn(end, " "))
        text->snapshots[count++] = strtoull(snapshots, &end, 10);
    text->options = (struct lsm_reduce_options){
        .snapshots = text->snapshots,
        .snapshot_count = count,
        .ranges = text->ranges,
        .bottom = strchr(flags, 'b') != NULL,
        .merge = strchr(flags, 'm') != NULL ? &text->merge : NULL,
        .filter = strchr(flags, 'f') != NULL ? &text->filter : NULL,
        .blob_read = reduce_text_blob,
        .context = text,
    };
}

static inline void reduce_text_done(struct reduce_text *text)
{
    lsm_ranges_destroy(text->ranges);
}

#endif
