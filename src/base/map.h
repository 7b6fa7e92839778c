/* SPDX-License-Identifier: Apache-2.0 */
/** Intrusive hash map with 64-bit keys: request ids, connection ids.  Items embed a struct
 *  map_item and are owned by the caller.  Thread: one at a time.
 *
 *  Bucket number and place in a chain both follow hash_mix64(key), so a walk meets the items in
 *  that order: iteration depends only on the keys present, not on history.  The table doubles
 *  when there are as many items as buckets, and never shrinks. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/hash.h"

struct map_item {
    uint64_t key;
    struct map_item *next;
};

struct map {
    struct map_item **buckets;
    size_t count, bucket_count;
    size_t first; /* no bucket below it holds an item */
};

static inline size_t map_bucket_of_mixed(const struct map *map, uint64_t mixed)
{
    return (size_t)(((unsigned __int128)mixed * map->bucket_count) >> 64);
}

static inline size_t map_bucket(const struct map *map, uint64_t key)
{
    return map_bucket_of_mixed(map, hash_mix64(key));
}

void map_init(struct map *map);
void map_done(struct map *map); /* frees the table, not the items */
/** False when memory ran out, and the item is then not in the map.  The key must not be present. */
bool map_insert(struct map *map, struct map_item *item, uint64_t key);
/** NULL when absent. */
static inline struct map_item *map_find(const struct map *map, uint64_t key)
{
    if (map->count == 0)
        return NULL;
    struct map_item *item = map->buckets[map_bucket(map, key)];
    while (item != NULL && item->key != key)
        item = item->next;
    return item;
}

/** Take out and return the item; NULL when absent. */
struct map_item *map_remove(struct map *map, uint64_t key);
/** The first item, or NULL.  Emptying a map by it costs one walk in all. */
struct map_item *map_any(struct map *map);
/** The item after `item`, or NULL.  To go on after a removal, ask for the next one before it. */
struct map_item *map_next(const struct map *map, const struct map_item *item);

#endif
