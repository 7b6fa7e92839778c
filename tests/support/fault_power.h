/* SPDX-License-Identifier: Apache-2.0 */
/** Power failures of a fault_disk: what it may look like after n operations of its journal.
 *
 *      durable   what a sync covers: a file's bytes by its sync, names by the sync_dir of theirs
 *      pending   everything else, oldest first; each is kept, dropped or torn
 *
 *  A fault_power walks the journal once, so that a failure after every operation costs only what is
 *  pending there. */
#ifndef TESTS_SUPPORT_FAULT_POWER_H
#define TESTS_SUPPORT_FAULT_POWER_H

#include "tests/support/fault_disk.h"

enum { FAULT_DISK_SECTOR = 512 };

enum fault_crash {
    FAULT_KEEP,    /* all that is pending */
    FAULT_DROP,    /* nothing of it */
    FAULT_TEAR,    /* by chance, sector by sector; of names a first part, as a journal keeps them */
    FAULT_SCATTER, /* the same, and each name by chance */
};

struct fault_power {
    const struct fault_disk *disk;
    size_t at; /* operations done */
    struct fault_image durable;
    size_t *pending; /* their indices */
    size_t pending_count, pending_capacity;
};

static inline void fault_power_init(struct fault_power *power, const struct fault_disk *disk)
{
    *power = (struct fault_power){ .disk = disk };
    fault_image_copy(&power->durable, &disk->start);
}

static inline void fault_power_done(struct fault_power *power)
{
    fault_image_done(&power->durable);
    free(power->pending);
}

static inline bool fault_is_name(const struct fault_operation *operation)
{
    return operation->kind == FAULT_NAME || operation->kind == FAULT_UNNAME;
}

/* --- doing operations again ---------------------------------------------------------------- */

/* Each sector of the write alone is kept, dropped, or cut at some byte. */
static inline void fault_tear(struct fault_bytes *bytes, const struct fault_operation *operation,
                              struct random *random)
{
    for (size_t at = 0; at < operation->size;) {
        size_t size = FAULT_DISK_SECTOR - (operation->offset + at) % FAULT_DISK_SECTOR;
        if (size > operation->size - at)
            size = operation->size - at;
        uint64_t dice = random_below(random, 3);
        size_t kept = dice == 0 ? 0 : dice == 1 ? size : (size_t)random_below(random, size + 1);
        fault_write(bytes, operation->offset + at, operation->data + at, kept);
        at += size;
    }
}

/* `random`: torn; or NULL. */
static inline void fault_redo(struct fault_image *image, const struct fault_operation *operation,
                              struct random *random)
{
    while (operation->kind != FAULT_UNNAME && operation->inode >= image->inode_count)
        fault_image_add(image);
    if (operation->kind == FAULT_WRITE && random != NULL)
        fault_tear(fault_image_bytes(image, operation->inode), operation, random);
    else if (operation->kind == FAULT_WRITE)
        fault_write(fault_image_bytes(image, operation->inode), operation->offset, operation->data,
                    operation->size);
    else if (operation->kind == FAULT_RESIZE)
        fault_resize(fault_image_bytes(image, operation->inode), operation->offset);
    else if (operation->kind == FAULT_NAME)
        fault_set_name(&image->names, operation->path, operation->inode);
    else if (operation->kind == FAULT_UNNAME)
        fault_unset_name(&image->names, operation->path);
}

/* --- going on ------------------------------------------------------------------------------ */

static inline void fault_power_add(struct fault_power *power, size_t index)
{
    if (power->pending_count == power->pending_capacity) {
        power->pending_capacity = power->pending_capacity * 2 + 64;
        power->pending =
            fault_memory(power->pending, power->pending_capacity * sizeof(power->pending[0]));
    }
    power->pending[power->pending_count++] = index;
}

static inline bool fault_folder_of(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    return strlen(folder) == size && strncmp(path, folder, size) == 0;
}

static inline bool fault_covers(const struct fault_operation *sync,
                                const struct fault_operation *operation)
{
    if (sync->kind == FAULT_SYNC)
        return !fault_is_name(operation) && operation->inode == sync->inode;
    return fault_is_name(operation) && fault_folder_of(operation->path, sync->path);
}

static inline void fault_power_sync(struct fault_power *power, const struct fault_operation *sync)
{
    size_t kept = 0;
    for (size_t i = 0; i < power->pending_count; i++) {
        const struct fault_operation *operation = &power->disk->journal[power->pending[i]];
        if (fault_covers(sync, operation))
            fault_redo(&power->durable, operation, NULL);
        else
            power->pending[kept++] = power->pending[i];
    }
    power->pending_count = kept;
}

/** To the state after the first `count` operations, not before where it is. */
static inline void fault_power_to(struct fault_power *power, size_t count)
{
    const struct fault_disk *disk = power->disk;
    if (count < disk->journal_count && disk->journal[count].joined)
        count++; /* a rename is one */
    for (; power->at < count; power->at++) {
        const struct fault_operation *operation = &disk->journal[power->at];
        if (operation->kind == FAULT_SYNC || operation->kind == FAULT_SYNC_DIR)
            fault_power_sync(power, operation);
        else
            fault_power_add(power, power->at);
    }
}

/* --- failing ------------------------------------------------------------------------------- */

static inline void fault_drop_folder(struct fault_names *names, const char *folder)
{
    for (int i = names->count - 1; i >= 0; i--)
        if (fault_is_in(names->list[i].path, folder))
            names->list[i] = names->list[--names->count];
}

/** Make `ret` (uninitialised) the disk after the power failed here. */
static inline void fault_power_fail(const struct fault_power *power, enum fault_crash how,
                                    uint64_t seed, struct fault_disk *ret)
{
    struct random random;
    bool torn = how == FAULT_TEAR || how == FAULT_SCATTER, names_live = true, kept = true;
    random_init(&random, seed);
    fault_disk_init(ret);
    ret->maps = power->disk->maps;
    fault_image_copy(&ret->now, &power->durable);
    for (size_t i = 0; i < power->pending_count; i++) {
        const struct fault_operation *operation = &power->disk->journal[power->pending[i]];
        if (!operation->joined)
            kept = how == FAULT_KEEP || (torn && random_chance(&random, 1, 2));
        if (fault_is_name(operation) && how != FAULT_SCATTER)
            kept = names_live = names_live && kept;
        if (kept)
            fault_redo(&ret->now, operation, torn ? &random : NULL);
    }
    for (size_t i = 0; i < power->pending_count; i++) { /* a folder takes what is in it along */
        const struct fault_operation *operation = &power->disk->journal[power->pending[i]];
        if (fault_is_name(operation) && fault_find(&ret->now.names, operation->path) == NULL)
            fault_drop_folder(&ret->now.names, operation->path);
    }
    fault_disk_begin(ret);
}

/** The same after the first `count` operations of `disk`. */
static inline void fault_disk_crash(const struct fault_disk *disk, size_t count,
                                    enum fault_crash how, uint64_t seed, struct fault_disk *ret)
{
    struct fault_power power;
    fault_power_init(&power, disk);
    fault_power_to(&power, count);
    fault_power_fail(&power, how, seed, ret);
    fault_power_done(&power);
}

#endif
