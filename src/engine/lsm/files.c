/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files in a store. */
#include "engine/lsm/internal.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *before, *after;
} forms[] = {
    [LSM_FILE_LOG] = { "log-", ".log" },
    [LSM_FILE_LOG_NEW] = { "log-", ".new" },
    [LSM_FILE_TABLE] = { "table-", ".tbl" },
    [LSM_FILE_BLOB] = { "blob-", ".blb" },
};

kvorum_status lsm_path(const struct lsm *lsm, const char *name, char *ret_path)
{
    int size = snprintf(ret_path, LSM_PATH_SIZE, "%s/%s", lsm->path, name);
    return size > 0 && size < LSM_PATH_SIZE ? KVORUM_OK : KVORUM_INVALID;
}

kvorum_status lsm_open_own(const struct lsm *lsm, const char *name, struct disk_file **ret_file)
{
    char path[LSM_PATH_SIZE];
    kvorum_status status = lsm_path(lsm, name, path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, ret_file);
    return status == KVORUM_NOT_FOUND ? KVORUM_CORRUPT : status;
}

void lsm_file_name(enum lsm_file kind, uint64_t number, char *ret_name)
{
    snprintf(ret_name, LSM_NAME_SIZE, "%s%016" PRIx64 "%s", forms[kind].before, number,
             forms[kind].after);
}

bool lsm_file_parse(const char *name, enum lsm_file kind, uint64_t *ret_number)
{
    char expected[LSM_NAME_SIZE];
    size_t before = strlen(forms[kind].before);
    uint64_t number;
    if (strncmp(name, forms[kind].before, before) != 0 ||
        sscanf(name + before, "%16" SCNx64, &number) != 1)
        return false;
    lsm_file_name(kind, number, expected);
    if (strcmp(name, expected) != 0)
        return false;
    *ret_number = number;
    return true;
}

kvorum_status lsm_file_path(const struct lsm *lsm, enum lsm_file kind, uint64_t number,
                            char *ret_path)
{
    char name[LSM_NAME_SIZE];
    lsm_file_name(kind, number, name);
    return lsm_path(lsm, name, ret_path);
}

struct lsm_id lsm_new_id(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->identity);
    struct lsm_id id = { random_next(&lsm->random), random_next(&lsm->random) };
    pthread_mutex_unlock(&lsm->identity);
    return id;
}

static kvorum_status write_temporary(struct disk *disk, const char *path, struct bytes bytes)
{
    struct disk_file *file;
    kvorum_status status = disk->ops->open(disk, path, DISK_WRITE | DISK_CREATE, &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->truncate(file, 0);
    if (status == KVORUM_OK)
        status = file->ops->pwrite(file, bytes.data, bytes.size, 0);
    if (status == KVORUM_OK)
        status = file->ops->sync(file);
    file->ops->close(file);
    return status;
}

kvorum_status lsm_write_whole(struct disk *disk, const char *directory, const char *name,
                              struct bytes bytes, bool *ret_unsure)
{
    char temporary[LSM_PATH_SIZE], path[LSM_PATH_SIZE];
    int size = snprintf(temporary, sizeof(temporary), "%s/%s.new", directory, name);
    *ret_unsure = false;
    if (size < 0 || size >= LSM_PATH_SIZE)
        return KVORUM_INVALID;
    snprintf(path, sizeof(path), "%.*s", size - (int)strlen(".new"), temporary);
    kvorum_status status = write_temporary(disk, temporary, bytes);
    if (status == KVORUM_OK)
        status = disk->ops->sync_dir(disk, directory); /* names made before come before */
    if (status != KVORUM_OK)
        return status;
    *ret_unsure = true;
    status = disk->ops->rename(disk, temporary, path);
    return status == KVORUM_OK ? disk->ops->sync_dir(disk, directory) : status;
}
