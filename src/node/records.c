/* SPDX-License-Identifier: Apache-2.0 */
#include "node/records.h"

#include "node/internal.h"

static void name_damaged(const struct node *node, const struct record_area *area,
                         const struct engine_iterator *iterator)
{
    log_error(node->config.log,
              "a record of the node itself is malformed, though the store can read it",
              LOG_TEXT("of", area->name), LOG_BYTES("key", iterator->key),
              LOG_U64("value_size", iterator->value.size),
              LOG_TEXT("next", "where the node does not start: start with a new data directory as "
                               "another node, and kvorum cluster replace"));
}

kvorum_status records_load(struct node *node, struct engine *store, const struct record_area *area,
                           record_fn take, void *context)
{
    struct engine_range range = { .lower = bytes_of_string(area->lower),
                                  .upper = bytes_of_string(area->upper) };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(store, &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && status == KVORUM_OK) {
        status = take(node, iterator->key, iterator->value, context);
        if (status == KVORUM_CORRUPT)
            name_damaged(node, area, iterator);
        engine_iterator_next(iterator);
    }
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}
