/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory: whose it is, and what its files `identity` and `epoch` say of this node. */
#include "server/data_directory.h"

#include "os/disk.h"
#include "os/entropy.h"
#include "server/internal.h"

#include <stdio.h>
#include <string.h>

enum { EPOCH_MEMORY_MAX = 64 << 20 };

static const char *next_after(kvorum_status status)
{
    switch (status) {
    case KVORUM_LOCKED:
        return "stop that process, or give this node another --data-dir";
    case KVORUM_FOREIGN:
        return "give this node a --data-dir that is missing or empty, or was made by kvorum";
    case KVORUM_INVALID:
        return "correct --data-dir or [storage] engine";
    case KVORUM_WRONG_CLUSTER:
        return "nothing was changed: put its own files back, or start it on an empty data "
               "directory if it is to join a cluster";
    case KVORUM_NEWER_FORMAT:
        return "nothing was changed: start the newer release";
    case KVORUM_CORRUPT:
        return "nothing was changed: put the file back from a copy, or start with a new data "
               "directory as another node and give it this one's place: kvorum cluster replace";
    case KVORUM_NO_SPACE:
        return "make room, then start again";
    default:
        return "see to the directory and its disk, then start again";
    }
}

int data_directory_refuse(const struct server *server, kvorum_status status, const char *why)
{
    log_error(server->log, "cannot use the data directory",
              LOG_TEXT("data_dir", server->config.data_dir), LOG_STATUS(status),
              LOG_TEXT("why", why), LOG_TEXT("next", next_after(status)));
    bool failed = status == KVORUM_IO || status == KVORUM_NO_SPACE || status == KVORUM_NO_MEMORY;
    return failed ? EXIT_CODE_FAILED : EXIT_CODE_UNSAFE;
}

/* It is made where it is missing, but nothing above it: a path that is misspelt, or a disk that is
 * not mounted, must not become a new node. */
static const char *why_not_opened(kvorum_status status)
{
    switch (status) {
    case KVORUM_NOT_FOUND:
        return "the directory above it is not there: make it, mount its disk, or correct "
               "--data-dir";
    case KVORUM_INVALID:
        return "it, or something above it, is a file and no directory: correct --data-dir";
    case KVORUM_NOT_ALLOWED:
        return "this user may not open or make it: change its owner, or run as another user";
    default:
        return kvorum_status_text(status);
    }
}

int data_directory_open(struct server *server)
{
    kvorum_status status = os_disk_open(server->config.data_dir, true, &server->disk);
    if (status != KVORUM_OK)
        return data_directory_refuse(server, status, why_not_opened(status));
    status = server->disk->ops->lock(server->disk, "lock", &server->lock);
    if (status == KVORUM_LOCKED)
        return data_directory_refuse(server, status, "another process uses it");
    if (status != KVORUM_OK)
        return data_directory_refuse(server, status, kvorum_status_text(status));
    return EXIT_CODE_OK;
}

int data_directory_identify(struct server *server)
{
    const struct config *config = &server->config;
    unsigned cores = uv_available_parallelism();
    struct identity_options options = {
        .create = true,
        .volatile_stores = config->engine == CONFIG_ENGINE_MEMORY,
        .store_count = (uint16_t)(config->stores != 0 ? config->stores
                                  : cores < 64        ? cores
                                                      : 64),
        .engine = config->engine == CONFIG_ENGINE_MEMORY ? "memory" : "lsm",
    };
    os_entropy(options.fresh_id.bytes, NODE_ID_SIZE);
    options.fresh_life = os_entropy_u64();
    const char *why = "";
    kvorum_status status = identity_open(server->disk, &options, &server->identity, &why);
    if (status != KVORUM_OK)
        return data_directory_refuse(server, status, why);
    server->store_count = server->identity.store_count;
    if (config->stores != 0 && config->stores != server->identity.store_count)
        log_warn(server->log, "the number of stores is fixed when a data directory is made",
                 LOG_U64("stores", server->identity.store_count),
                 LOG_U64("configured", config->stores));
    if (server->identity.store_count <= NODE_STORES_MAX)
        return EXIT_CODE_OK;
    return data_directory_refuse(server, KVORUM_CORRUPT, "more stores than this release can have");
}

/* --- what this node is ------------------------------------------------------------------------ */

static void fill_member(struct server *server)
{
    const struct config *config = &server->config;
    struct member *member = &server->member;
    const uint8_t *id = server->identity.node.bytes;
    const char *peer = server->listeners.all[LISTENER_PEER].address;
    *member = (struct member){ .id = server->identity.node, .weight = (uint32_t)config->weight };
    if (config->name[0] != '\0')
        snprintf(member->name, sizeof(member->name), "%.63s", config->name);
    else
        snprintf(member->name, sizeof(member->name), "node-%02x%02x%02x%02x", id[0], id[1], id[2],
                 id[3]);
    snprintf(member->zone, sizeof(member->zone), "%.63s", config->zone);
    snprintf(member->address, sizeof(member->address), "%.255s",
             config->advertise[0] != '\0' ? config->advertise
             : peer[0] != '\0'            ? peer
                                          : "none:0");
}

static bool is_set(const struct config *config, const char *key)
{
    return config->origins[config_find("node", key) - config_options].kind != CONFIG_DEFAULT;
}

static void warn_changed(const struct server *server, const char *key, const char *known,
                         const char *asked)
{
    if (is_set(&server->config, key) && strcmp(known, asked) != 0)
        log_warn(server->log, "the cluster knows this node otherwise; its value stays in force",
                 LOG_TEXT("option", key), LOG_TEXT("cluster", known), LOG_TEXT("configured", asked),
                 LOG_TEXT("next", "kvorum cluster weight, kvorum cluster zone"));
}

/* Zone and weight are the operator's business; where a node is, the node knows best. */
static void compare_with_epoch(struct server *server)
{
    const struct member *known =
        &server->epoch.members[ring_member_index(&server->epoch, &server->identity.node)];
    char known_weight[16], weight[16];
    snprintf(known_weight, sizeof(known_weight), "%u", known->weight);
    snprintf(weight, sizeof(weight), "%u", server->member.weight);
    warn_changed(server, "name", known->name, server->member.name);
    warn_changed(server, "zone", known->zone, server->member.zone);
    warn_changed(server, "weight", known_weight, weight);
    if (strcmp(known->address, server->member.address) != 0)
        log_info(server->log, "this node has moved: its new address is told to the cluster",
                 LOG_TEXT("cluster", known->address), LOG_TEXT("here", server->member.address));
    server->member = *known;
}

int data_directory_load_epoch(struct server *server)
{
    const char *why = "";
    arena_init(&server->epoch_arena, EPOCH_MEMORY_MAX);
    server->self = RING_NO_MEMBER;
    fill_member(server);
    memcpy(server->address, server->member.address, sizeof(server->address));
    kvorum_status status = identity_load_epoch(server->disk, &server->identity,
                                               &server->epoch_arena, &server->epoch, &why);
    if (status == KVORUM_NOT_FOUND)
        return EXIT_CODE_OK;
    if (status != KVORUM_OK)
        return data_directory_refuse(server, status, why);
    server->founded = true;
    compare_with_epoch(server);
    return EXIT_CODE_OK;
}
