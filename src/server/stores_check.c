/* SPDX-License-Identifier: Apache-2.0 */
/* After disk errors: is a disk full, or lost, and has it room again? */
#include "server/stores_internal.h"

#include <stdio.h>
#include <sys/statvfs.h>

enum {
    DISK_FULL_BELOW = 1 << 20,
    DISK_LOW_BELOW = 128 << 20, /* a store asks for a whole segment of its log at a time */
};

static bool disk_has_less(const struct server *server, uint64_t size)
{
    struct statvfs about;
    return statvfs(server->config.data_dir, &about) == 0 &&
           (uint64_t)about.f_bavail * about.f_frsize < size;
}

static void note_full(struct server *server, uint16_t index, bool lost)
{
    char name[32];
    snprintf(name, sizeof(name), "store-%u", index);
    if (!atomic_exchange(&server->disk_full, true))
        log_error(server->log, "the disk is full: writes are refused, reads go on",
                  LOG_TEXT("store", name), LOG_TEXT("data_dir", server->config.data_dir),
                  LOG_TEXT("next", lost ? "make room and restart this node" : "make room"));
}

/* The node met disk errors; `status` is what a barrier then got from the store.  A store that still
 * takes it refused a write before it had begun, for want of room. */
static void judge(struct server *server, uint16_t index, kvorum_status status)
{
    bool lost = status == KVORUM_IO || status == KVORUM_POISONED;
    char name[32];
    snprintf(name, sizeof(name), "store-%u", index);
    if (lost)
        atomic_store(&server->unclean, true);
    if (lost && !disk_has_less(server, DISK_FULL_BELOW))
        server_die_of_disk(server, name);
    if (lost || status == KVORUM_NO_SPACE || disk_has_less(server, DISK_LOW_BELOW))
        note_full(server, index, lost);
}

static void checked(struct engine_commit *commit, kvorum_status status)
{
    struct store_job *store = LIST_ENTRY(commit, struct store_job, check);
    store->checking = false;
    judge(store->reactor->server, store->index, status);
}

static void check_store(struct reactor *reactor, struct store_job *store)
{
    struct engine *engine = reactor->stores[store->index];
    struct engine_batch *empty = engine_batch_create();
    if (empty == NULL)
        return;
    store->check.done = checked;
    store->checking = true;
    kvorum_status status = engine_submit(engine, empty, ENGINE_SYNC, &store->check);
    engine_batch_destroy(empty);
    if (status == KVORUM_OK)
        return;
    store->checking = false;
    judge(reactor->server, store->index, status);
}

static void note_room(struct server *server)
{
    if (!atomic_load(&server->disk_full) || atomic_load(&server->unclean) ||
        disk_has_less(server, DISK_LOW_BELOW))
        return;
    atomic_store(&server->disk_full, false);
    log_info(server->log, "the disk has room again");
}

void stores_check(struct reactor *reactor)
{
    uint64_t errors = node_counters(reactor->node)->disk_errors;
    if (errors == reactor->disk_errors_checked) {
        note_room(reactor->server);
        return;
    }
    reactor->disk_errors_checked = errors;
    for (uint16_t i = 0; i < reactor->server->store_count; i++) {
        struct store_job *store = &reactor->opening->stores[i];
        if (reactor->stores[i] != NULL && !store->checking)
            check_store(reactor, store);
    }
}
