/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

static void check_pair(struct history *history, const struct record *read, const struct record *a,
                       const struct record *b)
{
    if (surely_replaces(a, b))
        world_fail(
            history->world, "superseded",
            "operation %d (key %u) was given the value of operation %d together with that of "
            "%d, which it replaced",
            read->id, read->key, a->id, b->id);
}

static void check_value(struct history *history, const struct record *read,
                        const struct record *value)
{
    const int32_t *ids = history->by_key[read->key];
    for (uint32_t i = 0; i < history->by_key_count[read->key]; i++) {
        const struct record *write = &history->records[ids[i]];
        if (!action_writes_value(write->action) || !record_acknowledged(write) ||
            write->done_us >= read->invoked_us || !surely_replaces(write, value))
            continue;
        world_fail(history->world, "superseded",
                   "operation %d (read of key %u) was given the value of operation %d, which "
                   "operation %d, acknowledged before, replaced",
                   read->id, read->key, value->id, write->id);
    }
}

void check_superseded(struct history *history, const struct record *read,
                      enum reading_strength strength)
{
    const struct reading *reading = &read->reading;
    for (uint32_t i = 0; i < reading->count; i++) {
        if (reading->versions[i].writer == NO_OPERATION)
            continue;
        const struct record *value = &history->records[reading->versions[i].writer];
        for (uint32_t j = 0; j < reading->count; j++) {
            if (j != i && reading->versions[j].writer != NO_OPERATION)
                check_pair(history, read, value, &history->records[reading->versions[j].writer]);
        }
        if (strength == READING_STRONG)
            check_value(history, read, value);
    }
}
