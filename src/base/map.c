/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_BUCKET_COUNT = 16 };

void map_init(struct map *map)
{
    *map = (struct map){ 0 };
}

void map_done(struct map *map)
{
    free(map->buckets);
    map_init(map);
}

/* The link to the first item of the chain that does not come before `mixed`. */
static struct map_item **find_place(const struct map *map, size_t bucket, uint64_t mixed)
{
    struct map_item **link = &map->buckets[bucket];
    while (*link != NULL && hash_mix64((*link)->key) < mixed)
        link = &(*link)->next;
    return link;
}

static void link_item(struct map *map, struct map_item *item)
{
    uint64_t mixed = hash_mix64(item->key);
    size_t bucket = map_bucket_of_mixed(map, mixed);
    struct map_item **link = find_place(map, bucket, mixed);
    assert(*link == NULL || (*link)->key != item->key);
    item->next = *link;
    *link = item;
    map->count++;
    if (bucket < map->first)
        map->first = bucket;
}

static bool grow(struct map *map)
{
    size_t bucket_count = map->bucket_count == 0 ? FIRST_BUCKET_COUNT : map->bucket_count * 2;
    struct map_item **buckets = calloc(bucket_count, sizeof(struct map_item *));
    if (buckets == NULL)
        return false;
    struct map grown = { buckets, 0, bucket_count, bucket_count };
    for (struct map_item *item; (item = map_any(map)) != NULL;) {
        map->buckets[map->first] = item->next;
        map->count--;
        link_item(&grown, item);
    }
    free(map->buckets);
    *map = grown;
    return true;
}

bool map_insert(struct map *map, struct map_item *item, uint64_t key)
{
    /* without memory to grow, longer chains do */
    if (map->count == map->bucket_count && !grow(map) && map->bucket_count == 0)
        return false;
    item->key = key;
    link_item(map, item);
    return true;
}

struct map_item *map_remove(struct map *map, uint64_t key)
{
    if (map->count == 0)
        return NULL;
    uint64_t mixed = hash_mix64(key);
    struct map_item **link = find_place(map, map_bucket_of_mixed(map, mixed), mixed);
    struct map_item *item = *link;
    if (item == NULL || item->key != key)
        return NULL;
    *link = item->next;
    item->next = NULL;
    map->count--;
    return item;
}

struct map_item *map_any(struct map *map)
{
    if (map->count == 0)
        return NULL;
    while (map->buckets[map->first] == NULL)
        map->first++;
    return map->buckets[map->first];
}

struct map_item *map_next(const struct map *map, const struct map_item *item)
{
    if (item->next != NULL)
        return item->next;
    for (size_t i = map_bucket(map, item->key) + 1; i < map->bucket_count; i++) {
        if (map->buckets[i] != NULL)
            return map->buckets[i];
    }
    return NULL;
}
