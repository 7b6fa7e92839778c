/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

static void check_value(struct history *history, const struct record *read,
                        const struct record *value)
{
    const int32_t *ids = history->by_key[read->key];
    for (uint32_t i = 0; i < history->by_key_count[read->key]; i++) {
        const struct record *write = &history->records[ids[i]];
        if (action_deletes(write->action) && record_acknowledged(write) &&
            write->done_us < read->invoked_us && surely_replaces(write, value))
            world_fail(history->world, "deletes",
                       "operation %d (read of key %u) was given the value of operation %d, which "
                       "operation %d deleted, acknowledged before",
                       read->id, read->key, value->id, write->id);
    }
}

void check_deletes(struct history *history, const struct record *read)
{
    for (uint32_t i = 0; i < read->reading.count; i++) {
        int32_t id = read->reading.versions[i].writer;
        if (id != NO_OPERATION)
            check_value(history, read, &history->records[id]);
    }
}
