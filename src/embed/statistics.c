/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a store: as a struct for programs, as text for people. */
#include <inttypes.h>
#include <stdlib.h>

#include "embed/internal.h"

enum { TEXT_SIZE_MAX = 1 << 20 };

/* Every figure that has one value: its name is the same in both structs. */
#define FIGURES(X)                                                                                 \
    X(live_entries)                                                                                \
    X(memory_size)                                                                                 \
    X(memory_limit)                                                                                \
    X(disk_size)                                                                                   \
    X(log_size)                                                                                    \
    X(batches)                                                                                     \
    X(puts)                                                                                        \
    X(deletes)                                                                                     \
    X(gets)                                                                                        \
    X(syncs)                                                                                       \
    X(synced_batches)                                                                              \
    X(recovered_batches)                                                                           \
    X(dropped_tail_size)                                                                           \
    X(cache_size)                                                                                  \
    X(cache_limit)                                                                                 \
    X(cache_hits)                                                                                  \
    X(cache_misses)                                                                                \
    X(table_memory_size)                                                                           \
    X(filter_refusals)                                                                             \
    X(flushes)                                                                                     \
    X(flushed_size)                                                                                \
    X(compactions)                                                                                 \
    X(compaction_read_size)                                                                        \
    X(compaction_written_size)                                                                     \
    X(read_compactions)                                                                            \
    X(slowdowns)                                                                                   \
    X(stalls)                                                                                      \
    X(snapshots)                                                                                   \
    X(blob_files)                                                                                  \
    X(blob_size)                                                                                   \
    X(blob_garbage)

static_assert((int)KVORUM_LEVELS == (int)ENGINE_LEVELS, "one is the other");

static kvorum_level_statistics level_of(const struct engine_level_stats *stats)
{
    return (kvorum_level_statistics){ .tables = stats->tables,
                                      .size = stats->size,
                                      .read_size = stats->read_size,
                                      .written_size = stats->written_size,
                                      .compactions = stats->compactions,
                                      .moves = stats->moves };
}

kvorum_status kvorum_get_statistics(kvorum_store *store, kvorum_statistics *ret_statistics)
{
    struct engine_stats stats;
    if (store == NULL || ret_statistics == NULL)
        return KVORUM_INVALID;
    engine_stats(store->engine, &stats);
    *ret_statistics = (kvorum_statistics){ 0 };
#define X(name) ret_statistics->name = stats.name;
    FIGURES(X)
#undef X
    for (size_t i = 0; i < KVORUM_LEVELS; i++)
        ret_statistics->levels[i] = level_of(&stats.levels[i]);
    return KVORUM_OK;
}

/* --- properties ---------------------------------------------------------------------------- */

static void print_names(kvorum_store *store, struct buffer *text);

static void print_engine(kvorum_store *store, struct buffer *text)
{
    buffer_printf(text, "%s\n", store->engine->ops->name);
}

static void print_figures(kvorum_store *store, struct buffer *text)
{
    struct engine_stats stats;
    engine_stats(store->engine, &stats);
#define X(name) buffer_printf(text, "%-24s %" PRIu64 "\n", #name, stats.name);
    FIGURES(X)
#undef X
}

static void print_levels(kvorum_store *store, struct buffer *text)
{
    struct engine_stats stats;
    engine_stats(store->engine, &stats);
    buffer_printf(text, "level  %8s  %16s  %16s  %16s  %11s  %8s\n", "tables", "bytes", "read",
                  "written", "compactions", "moves");
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        const struct engine_level_stats *level = &stats.levels[i];
        buffer_printf(text,
                      "%5d  %8" PRIu64 "  %16" PRIu64 "  %16" PRIu64 "  %16" PRIu64 "  %11" PRIu64
                      "  %8" PRIu64 "\n",
                      i, level->tables, level->size, level->read_size, level->written_size,
                      level->compactions, level->moves);
    }
}

static const struct property {
    const char *name;
    void (*print)(kvorum_store *store, struct buffer *text);
} properties[] = {
    { "properties", print_names },
    { "engine", print_engine },
    { "stats", print_figures },
    { "levels", print_levels },
};

enum { PROPERTIES = sizeof(properties) / sizeof(properties[0]) };

static void print_names(kvorum_store *store, struct buffer *text)
{
    (void)store;
    for (size_t i = 0; i < PROPERTIES; i++)
        buffer_printf(text, "%s\n", properties[i].name);
}

static kvorum_status print(const struct property *property, kvorum_store *store, char **ret_text)
{
    struct buffer text;
    buffer_init(&text, TEXT_SIZE_MAX);
    property->print(store, &text);
    buffer_append_u8(&text, '\0');
    if (text.failed) {
        buffer_done(&text);
        return KVORUM_NO_MEMORY;
    }
    *ret_text = (char *)text.data; /* from malloc, and now the caller's */
    return KVORUM_OK;
}

kvorum_status kvorum_property(kvorum_store *store, const char *name, char **ret_text)
{
    if (store == NULL || name == NULL || ret_text == NULL)
        return KVORUM_INVALID;
    for (size_t i = 0; i < PROPERTIES; i++) {
        if (strcmp(properties[i].name, name) == 0)
            return print(&properties[i], store, ret_text);
    }
    return KVORUM_UNSUPPORTED;
}

void kvorum_free(void *memory)
{
    free(memory);
}
