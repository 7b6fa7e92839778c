/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/checkers.h"

void check_invented_value(struct history *history, uint32_t key, const struct sibling *sibling,
                          const struct version *version)
{
    if (version->tombstone || version->writer != NO_OPERATION)
        return;
    world_fail(history->world, "invented",
               "key %u holds a value nobody wrote there: %zu bytes, \"%.*s\"", key,
               sibling->value.size, (int)(sibling->value.size < 40 ? sibling->value.size : 40),
               sibling->value.size == 0 ? "" : (const char *)sibling->value.data);
}

void check_invented_failed(struct history *history, const struct record *read)
{
    for (uint32_t i = 0; i < read->reading.count; i++) {
        int32_t id = read->reading.versions[i].writer;
        if (id == NO_OPERATION || record_may_happen(&history->records[id]))
            continue;
        world_fail(
            history->world, "invented",
            "operation %d read the value of operation %d (key %u), whose client was told %s: "
            "it did not happen",
            read->id, id, read->key, kvorum_status_name(history->records[id].status));
    }
}
