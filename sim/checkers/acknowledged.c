/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

static const struct record *writer_of(const struct history *history, const struct version *version)
{
    return version->writer == NO_OPERATION ? NULL : &history->records[version->writer];
}

/* Siblings: the value itself, or a version that may have replaced it. */
static bool accounts(const struct history *history, const struct version *version,
                     const struct record *write)
{
    const struct record *writer = writer_of(history, version);
    if (writer == NULL)
        return maybe_deleted(history, write);
    if (writer == write || maybe_replaces(writer, write))
        return true;
    /* "A write to a key that holds nothing but tombstones replaces them", whatever was seen. */
    return writer->action == ACTION_PUT_BLIND && maybe_deleted(history, write);
}

/* Last write wins (in the bucket, or when the write was made): itself or something newer, and never
 * what it replaced. */
static bool outranks(const struct history *history, const struct version *version,
                     const struct record *write)
{
    const struct record *writer = writer_of(history, version);
    if (writer == write)
        return true;
    if (writer != NULL && surely_replaces(write, writer))
        return false;
    return !write->version_known || version_compare(version, &write->version) > 0;
}

/* While a bucket changes its mode: a write whose context may have seen `write` took its place, and,
 * made where the last write wins, gave way to something newer without being seen in its turn. */
static bool gave_way(const struct history *history, const struct record *read,
                     const struct record *write)
{
    const int32_t *ids = history->by_key[read->key];
    for (uint32_t i = 0; i < history->by_key_count[read->key]; i++) {
        const struct record *between = &history->records[ids[i]];
        if (record_is_kept(history, between) || !record_may_happen(between) ||
            !maybe_replaces(between, write))
            continue;
        for (uint32_t j = 0; j < read->reading.count; j++)
            if (outranks(history, &read->reading.versions[j], between))
                return true;
    }
    return false;
}

static bool accounted(const struct history *history, const struct record *read,
                      const struct record *write)
{
    if (history->changes && gave_way(history, read, write))
        return true;
    if (read->reading.count == 0 && maybe_collected(history, write))
        return true;
    for (uint32_t i = 0; i < read->reading.count; i++) {
        const struct version *version = &read->reading.versions[i];
        bool kept = record_is_kept(history, write);
        if (!kept && outranks(history, version, write))
            return true;
        if ((kept || history->changes) && accounts(history, version, write))
            return true;
    }
    return false;
}

void check_acknowledged(struct history *history, const struct record *read)
{
    const int32_t *ids = history->by_key[read->key];
    for (uint32_t i = 0; i < history->by_key_count[read->key]; i++) {
        const struct record *write = &history->records[ids[i]];
        if (!action_writes_value(write->action) || !record_acknowledged(write) ||
            write->done_us >= read->invoked_us || accounted(history, read, write))
            continue;
        world_fail(history->world, "acknowledged",
                   "operation %d (read of key %u, %u versions, first by %d) misses operation %d, "
                   "acknowledged %llu us before it began; nothing in the answer may replace it",
                   read->id, read->key, read->reading.count,
                   read->reading.count == 0 ? NO_OPERATION : read->reading.versions[0].writer,
                   write->id, (unsigned long long)(read->invoked_us - write->done_us));
    }
}
