/* SPDX-License-Identifier: Apache-2.0 */
/** Intrusive hash map with 64-bit keys: request ids, connection ids.  Items embed a struct map_item
 *  and are owned by the caller.  Iteration order depends only on the keys.  Thread: one at a time. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_item {
    uint64_t key;
    struct map_item *next;
};

struct map {
    struct map_item **buckets;
    size_t count, bucket_count;
};

void map_init(struct map *map);
void map_done(struct map *map); /* frees the table, not the items */
/** False when memory ran out.  The key must not be present. */
bool map_insert(struct map *map, struct map_item *item, uint64_t key);
struct map_item *map_find(const struct map *map, uint64_t key); /* NULL when absent */
struct map_item *map_remove(struct map *map, uint64_t key);     /* NULL when absent */
/** Any item, or NULL: to empty a map. */
struct map_item *map_any(const struct map *map);

#endif
