/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "sim/checkers/checkers.h"

struct known_dot {
    struct map_item item; /* by (key, actor, counter) */
    uint64_t digest;      /* of the version it names */
    int32_t writer;
};

static uint64_t digest_of(const struct sibling *sibling)
{
    uint64_t head[2] = { sibling->stamp, sibling->tombstone };
    struct bytes parts[2] = { bytes_make(head, sizeof(head)), sibling->value };
    return hash64_parts(parts, 2, 0);
}

static void check_one_dot(struct history *history, const struct version *version)
{
    if (version->writer == NO_OPERATION || !history->records[version->writer].version_known)
        return;
    struct dot known = history->records[version->writer].version.dot;
    if (known.actor == version->dot.actor && known.counter == version->dot.counter)
        return;
    world_fail(history->world, "dots",
               "operation %d was carried out twice: as dot (%llx, %llu) and as (%llx, %llu)",
               version->writer, (unsigned long long)known.actor, (unsigned long long)known.counter,
               (unsigned long long)version->dot.actor, (unsigned long long)version->dot.counter);
}

void check_dot(struct history *history, uint32_t key, const struct sibling *sibling,
               const struct version *version)
{
    uint64_t name[3] = { key, sibling->dot.actor, sibling->dot.counter };
    uint64_t hash = hash64(bytes_make(name, sizeof(name)), 0);
    struct map_item *item = map_find(&history->dots, hash);
    check_one_dot(history, version);
    if (item == NULL) {
        struct known_dot *fresh = calloc(1, sizeof(*fresh));
        if (fresh == NULL || !map_insert(&history->dots, &fresh->item, hash))
            abort();
        fresh->digest = digest_of(sibling);
        fresh->writer = version->writer;
        return;
    }
    const struct known_dot *known = LIST_ENTRY(item, struct known_dot, item);
    if (known->digest == digest_of(sibling))
        return;
    world_fail(history->world, "dots",
               "key %u: dot (%llx, %llu) names two versions: of operation %d and of operation %d "
               "(%d: a tombstone)",
               key, (unsigned long long)sibling->dot.actor,
               (unsigned long long)sibling->dot.counter, known->writer, version->writer,
               NO_OPERATION);
}

void dots_done(struct history *history)
{
    struct map_item *item;
    while ((item = map_any(&history->dots)) != NULL) {
        map_remove(&history->dots, item->key);
        free(LIST_ENTRY(item, struct known_dot, item));
    }
    map_done(&history->dots);
}
