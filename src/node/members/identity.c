/* SPDX-License-Identifier: Apache-2.0 */
#include "node/members/identity.h"

#include "base/hash.h"
#include "base/planted.h"
#include "engine/engine.h"
#include "node/small_file.h"

#include <assert.h>
#include <endian.h>

/* A life refutes few accusations: its incarnations are given out with the write that begins it. */
enum { INCARNATIONS_PER_LIFE = 1 << 16 };

enum { EPOCH_SIZE_MAX = 16 << 20 };

static const char identity_file[] = "identity", identity_temporary[] = "identity.new";
static const char epoch_file[] = "epoch", epoch_temporary[] = "epoch.new";

/* --- the file ------------------------------------------------------------------------------ */

static kvorum_status save(struct disk *disk, const struct identity *identity)
{
    uint8_t bytes[IDENTITY_SIZE];
    identity_encode(identity, bytes);
    return small_file_replace(disk, identity_file, identity_temporary,
                              bytes_make(bytes, sizeof(bytes)));
}

static kvorum_status load(struct disk *disk, struct identity *ret, const char **ret_why)
{
    struct buffer buffer;
    buffer_init(&buffer, 4 * IDENTITY_SIZE);
    kvorum_status status = small_file_read(disk, identity_file, &buffer);
    *ret_why = "its file `identity` cannot be read";
    if (status == KVORUM_TOO_LARGE) {
        *ret_why = "its file `identity` was not made by kvorum";
        status = KVORUM_FOREIGN;
    }
    if (status == KVORUM_OK)
        status = identity_decode(buffer_bytes(&buffer), ret, ret_why);
    buffer_done(&buffer);
    return status;
}

/* --- a directory without an identity -------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

/* Things of people and file systems, and our own before the first identity is there. */
static bool may_stand_in_empty(const char *name)
{
    static const char *const names[] = { "lost+found", "lock", identity_temporary };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return ends_with(name, ".log") || ends_with(name, ".pid") || ends_with(name, ".conf");
}

static bool note_foreign(void *context, const char *name)
{
    bool *foreign = context;
    *foreign = !may_stand_in_empty(name);
    return !*foreign;
}

static kvorum_status check_empty(struct disk *disk, const char **ret_why)
{
    bool foreign = false;
    kvorum_status status = disk->ops->list(disk, "", note_foreign, &foreign);
    *ret_why = "it cannot be listed";
    if (status != KVORUM_OK || !foreign)
        return status;
    *ret_why = "it holds files but no `identity`: not made by kvorum, or its identity was lost";
    return KVORUM_FOREIGN;
}

static kvorum_status make(struct disk *disk, const struct identity_options *options,
                          struct identity *ret, const char **ret_why)
{
    kvorum_status status = check_empty(disk, ret_why);
    if (status != KVORUM_OK)
        return status;
    *ret_why = "it is empty";
    if (!options->create)
        return KVORUM_NOT_FOUND;
    *ret = (struct identity){ .node = options->fresh_id, .store_count = options->store_count };
    memcpy(ret->engine, options->engine, strlen(options->engine));
    return KVORUM_OK;
}

/* --- lives --------------------------------------------------------------------------------- */

kvorum_status identity_open(struct disk *disk, const struct identity_options *options,
                            struct identity *ret_identity, const char **ret_why)
{
    assert(options->store_count > 0 && strlen(options->engine) <= IDENTITY_ENGINE_MAX);
    struct identity identity;
    kvorum_status status = load(disk, &identity, ret_why);
    if (status == KVORUM_NOT_FOUND)
        status = make(disk, options, &identity, ret_why);
    if (status != KVORUM_OK)
        return status;
    if (strcmp(identity.engine, options->engine) != 0) {
        *ret_why = "it was made with another engine ([storage] engine)";
        return KVORUM_INVALID;
    }
    life_begin(&identity.life, options->fresh_life | 1);
    identity.inherited = identity.clean && !options->volatile_stores ? identity.actor : 0;
    identity.clean = false;
    identity.incarnation_first = identity.incarnation_limit > 0 ? identity.incarnation_limit : 1;
    identity.incarnation_limit = identity.incarnation_first + INCARNATIONS_PER_LIFE;
    *ret_why = "its file `identity` cannot be written";
    status = save(disk, &identity);
    if (status != KVORUM_OK)
        return status;
    *ret_identity = identity;
    return KVORUM_OK;
}

static kvorum_status change(struct disk *disk, struct identity *identity, struct identity changed)
{
    kvorum_status status = save(disk, &changed);
    if (status == KVORUM_OK)
        *identity = changed;
    return status;
}

kvorum_status identity_join(struct disk *disk, struct identity *identity,
                            const struct node_id *cluster)
{
    struct identity changed = *identity;
    changed.cluster = *cluster;
    if (memcmp(&identity->cluster, cluster, sizeof(*cluster)) == 0)
        return KVORUM_OK;
    if (identity_has_cluster(identity))
        return KVORUM_WRONG_CLUSTER;
    return change(disk, identity, changed);
}

kvorum_status identity_reserve(struct disk *disk, struct identity *identity, uint64_t limit)
{
    struct identity changed = *identity;
    changed.incarnation_limit = limit;
    return limit <= identity->incarnation_limit ? KVORUM_OK : change(disk, identity, changed);
}

kvorum_status identity_mark_stores_made(struct disk *disk, struct identity *identity)
{
    struct identity changed = *identity;
    changed.stores_made = true;
    return change(disk, identity, changed);
}

kvorum_status identity_mark_clean(struct disk *disk, struct identity *identity, uint64_t actor,
                                  uint64_t seal)
{
    struct identity changed = *identity;
    changed.clean = actor != 0 && seal != 0;
    changed.actor = actor;
    changed.seal = seal;
    return change(disk, identity, changed);
}

kvorum_status identity_save_life(struct disk *disk, struct identity *identity,
                                 const struct node_life *life)
{
    struct identity changed = *identity;
    changed.life = *life;
    return change(disk, identity, changed);
}

uint64_t identity_seal_store(struct engine *store, uint16_t number)
{
    struct engine_stats stats;
    engine_stats(store, &stats);
    uint64_t words[] = { number, stats.store_id[0], stats.store_id[1], stats.sequence };
    return stats.store_id[0] == 0 && stats.store_id[1] == 0
               ? 0
               : hash64(bytes_make(words, sizeof(words)), 0);
}

bool identity_check_seal(struct identity *identity, uint64_t seal)
{
    if (identity->inherited == 0 || seal == identity->seal)
        return true;
    identity->inherited = 0;
    return false;
}

uint64_t identity_actor(const struct identity *identity)
{
    uint64_t words[] = { htole64(identity->life.number), htole64(identity->life.history[0]) };
    const struct bytes parts[] = { bytes_make(identity->node.bytes, NODE_ID_SIZE),
                                   bytes_make(words, sizeof(words)) };
    size_t count = PLANTED(DOT_REUSED_AFTER_RESTART) ? 1 : 2;
    return hash64_parts(parts, count, 0);
}

bool identity_has_cluster(const struct identity *identity)
{
    static const struct node_id none;
    return memcmp(&identity->cluster, &none, sizeof(none)) != 0;
}

/* --- the epoch record ----------------------------------------------------------------------- */

/* The record is first: an identity that names a cluster can always tell who is in it. */
kvorum_status identity_save_epoch(struct disk *disk, struct identity *identity,
                                  const struct epoch *epoch)
{
    if (identity_has_cluster(identity) &&
        memcmp(&identity->cluster, &epoch->cluster, sizeof(epoch->cluster)) != 0)
        return KVORUM_WRONG_CLUSTER;
    struct buffer buffer;
    buffer_init(&buffer, EPOCH_SIZE_MAX);
    epoch_encode(epoch, &buffer);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (!buffer.failed)
        status = small_file_replace(disk, epoch_file, epoch_temporary, buffer_bytes(&buffer));
    buffer_done(&buffer);
    return status == KVORUM_OK ? identity_join(disk, identity, &epoch->cluster) : status;
}

kvorum_status identity_replace_epoch(struct disk *disk, struct bytes record)
{
    return small_file_replace(disk, epoch_file, epoch_temporary, record);
}

static kvorum_status check_epoch(struct disk *disk, struct identity *identity,
                                 const struct epoch *epoch, const char **ret_why)
{
    *ret_why = "its files `identity` and `epoch` are of two clusters";
    kvorum_status status = identity_join(disk, identity, &epoch->cluster);
    if (status != KVORUM_OK)
        return status;
    *ret_why =
        "its file `epoch` does not list this node: it left the cluster, or was removed from it";
    bool listed = ring_member_index(epoch, &identity->node) != RING_NO_MEMBER;
    return listed ? KVORUM_OK : KVORUM_WRONG_CLUSTER;
}

static kvorum_status missing_epoch(const struct identity *identity, const char **ret_why)
{
    if (!identity_has_cluster(identity))
        return KVORUM_NOT_FOUND;
    *ret_why = "its file `epoch` is missing, though it belongs to a cluster";
    return KVORUM_CORRUPT;
}

kvorum_status identity_load_epoch(struct disk *disk, struct identity *identity, struct arena *arena,
                                  struct epoch *ret_epoch, const char **ret_why)
{
    struct buffer buffer;
    buffer_init(&buffer, EPOCH_SIZE_MAX);
    struct epoch epoch;
    *ret_why = "its file `epoch` cannot be read";
    kvorum_status status = small_file_read(disk, epoch_file, &buffer);
    if (status == KVORUM_OK) {
        *ret_why = "its file `epoch` is damaged or of a newer release";
        status = epoch_decode(buffer_bytes(&buffer), arena, &epoch);
        if (status == KVORUM_OK)
            status = check_epoch(disk, identity, &epoch, ret_why);
    } else if (status == KVORUM_NOT_FOUND) {
        status = missing_epoch(identity, ret_why);
    }
    buffer_done(&buffer);
    if (status == KVORUM_OK)
        *ret_epoch = epoch;
    return status;
}
