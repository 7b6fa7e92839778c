/* SPDX-License-Identifier: Apache-2.0 */
/* The store's directory.
 *
 *      LOCK                       held while open
 *      FORMAT                     48 bytes:  offset size
 *                                               0     8   magic "KVORUMst"
 *                                               8     4   format version, 2 (1: before tables)
 *                                              12     4   kind of engine: 1 lsm
 *                                              16    16   id of the store
 *                                              32     8   zero
 *                                              40     8   XXH3-64 of bytes 8..39
 *      MANIFEST                   which tables make up the store, manifest.h
 *      log-NUMBER.log, .new       segments, segment.c
 *      table-NUMBER.tbl           sorted tables, table/table.h
 *      blob-NUMBER.blb            large values, blob.h
 *
 * A new store gets an (empty) first segment under its temporary name and an empty manifest, then
 * FORMAT, then that segment its final name: with FORMAT there, the lack of a manifest or of any
 * segment is damage, not a new store. */
#include "base/hash.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/log/little.h"
#include "engine/lsm/log/segment.h"

#include <stdio.h>
#include <string.h>

enum { FORMAT_VERSION = 2, FORMAT_KIND_LSM = 1, FORMAT_SIZE = 48, FORMAT_CHECKSUM = 40 };

static const uint8_t magic[8] = { 'K', 'V', 'O', 'R', 'U', 'M', 's', 't' };

struct names {
    bool format, first_temporary, segments, tables, others;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t size = strlen(name), suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static bool see_name(void *context, const char *name)
{
    struct names *names = context;
    char first[LSM_NAME_SIZE];
    uint64_t number;
    lsm_file_name(LSM_FILE_LOG_NEW, 1, first);
    if (strcmp(name, "FORMAT") == 0)
        names->format = true;
    else if (strcmp(name, first) == 0)
        names->first_temporary = true;
    else if (lsm_file_parse(name, LSM_FILE_LOG, &number))
        names->segments = true;
    else if (lsm_file_parse(name, LSM_FILE_TABLE, &number) ||
             lsm_file_parse(name, LSM_FILE_BLOB, &number))
        names->tables = true;
    else if (strcmp(name, "LOCK") != 0 && strcmp(name, "MANIFEST") != 0 &&
             !has_suffix(name, ".new"))
        names->others = true;
    return true;
}

static kvorum_status look(struct lsm *lsm, struct names *ret_names)
{
    *ret_names = (struct names){ 0 };
    return lsm->disk->ops->list(lsm->disk, lsm->path, see_name, ret_names);
}

/* --- the FORMAT file ----------------------------------------------------------------------- */

static uint64_t format_checksum(const uint8_t *bytes)
{
    return hash64(bytes_make(bytes + sizeof(magic), FORMAT_CHECKSUM - sizeof(magic)), 0);
}

static void format_encode(const struct lsm *lsm, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, FORMAT_SIZE);
    memcpy(ret_bytes, magic, sizeof(magic));
    little_put32(ret_bytes + 8, FORMAT_VERSION);
    little_put32(ret_bytes + 12, FORMAT_KIND_LSM);
    lsm_id_put(ret_bytes + 16, &lsm->store);
    little_put64(ret_bytes + FORMAT_CHECKSUM, format_checksum(ret_bytes));
}

static kvorum_status format_decode(struct lsm *lsm, const uint8_t *bytes, size_t size,
                                   uint32_t *ret_version)
{
    bool ours = size >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
    if (size < FORMAT_SIZE)
        return ours ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    bool intact = little_get64(bytes + FORMAT_CHECKSUM) == format_checksum(bytes);
    kvorum_status status = lsm_header_judge(ours, intact, little_get32(bytes + 8), FORMAT_VERSION);
    if (status != KVORUM_OK)
        return status;
    *ret_version = little_get32(bytes + 8);
    if (little_get32(bytes + 12) != FORMAT_KIND_LSM)
        return KVORUM_FOREIGN;
    lsm->store = lsm_id_get(bytes + 16);
    return KVORUM_OK;
}

kvorum_status lsm_format_read(struct lsm *lsm, uint32_t *ret_version)
{
    char path[LSM_PATH_SIZE];
    struct disk_file *file;
    uint8_t bytes[FORMAT_SIZE];
    size_t size = 0;
    kvorum_status status = lsm_path(lsm, "FORMAT", path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->pread(file, bytes, sizeof(bytes), 0, &size);
    file->ops->close(file);
    if (status != KVORUM_OK)
        return status;
    status = format_decode(lsm, bytes, size, ret_version);
    if (status != KVORUM_OK)
        log_error(lsm->log, "this is not a store that can be opened", LOG_TEXT("file", path),
                  LOG_STATUS(status));
    return status;
}

kvorum_status lsm_format_write(struct lsm *lsm, const char *directory)
{
    uint8_t bytes[FORMAT_SIZE];
    bool unsure;
    format_encode(lsm, bytes);
    return lsm_write_whole(lsm->disk, directory, "FORMAT", bytes_make(bytes, sizeof(bytes)),
                           &unsure);
}

kvorum_status lsm_format_check(struct lsm *lsm, uint64_t *size)
{
    uint8_t due[FORMAT_SIZE], found[FORMAT_SIZE + 1];
    struct disk_file *file;
    size_t found_size = 0;
    kvorum_status status = lsm_open_own(lsm, "FORMAT", &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->pread(file, found, sizeof(found), 0, &found_size);
    file->ops->close(file);
    *size += found_size;
    format_encode(lsm, due);
    if (status != KVORUM_OK)
        return status;
    return found_size == sizeof(due) && memcmp(found, due, sizeof(due)) == 0 ? KVORUM_OK
                                                                             : KVORUM_CORRUPT;
}

/* --- opening ------------------------------------------------------------------------------- */

static kvorum_status make_store(struct lsm *lsm)
{
    struct lsm_segment *first;
    lsm->store = lsm_new_id(lsm);
    kvorum_status status = lsm_segment_create(lsm, 1, LSM_LOG_HEADER_SIZE, false, &first);
    if (status != KVORUM_OK)
        return status;
    status = lsm_manifest_begin(lsm);
    if (status == KVORUM_OK)
        status = lsm_format_write(lsm, lsm->path);
    lsm_segment_close(lsm, first, false);
    return status;
}

kvorum_status lsm_make_directory(struct disk *disk, const char *path)
{
    char parent[LSM_PATH_SIZE];
    kvorum_status status = disk->ops->make_dir(disk, path);
    if (status != KVORUM_OK)
        return status;
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    *(slash == NULL ? parent : slash) = '\0';
    return disk->ops->sync_dir(disk, parent);
}

static bool see_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
    return false;
}

kvorum_status lsm_directory_taken(struct disk *disk, const char *path, bool *ret_taken)
{
    bool taken = false;
    kvorum_status status = disk->ops->list(disk, path, see_any, &taken);
    if (status == KVORUM_OK)
        *ret_taken = taken;
    return status;
}

/* Before anything is written, the lock file included, make sure that the place is ours to use. */
static kvorum_status judge(struct lsm *lsm, bool create)
{
    struct names names;
    kvorum_status status = look(lsm, &names);
    if (status == KVORUM_NOT_FOUND && create) {
        status = lsm_make_directory(lsm->disk, lsm->path);
        if (status == KVORUM_OK)
            status = look(lsm, &names);
    }
    if (status != KVORUM_OK)
        return status;
    if (names.format)
        return KVORUM_OK;
    if (names.segments || names.tables) {
        log_error(lsm->log, "files of a store, but no FORMAT file", LOG_TEXT("store", lsm->path));
        return KVORUM_CORRUPT;
    }
    if (names.others)
        return KVORUM_FOREIGN;
    return create ? KVORUM_OK : KVORUM_NOT_FOUND;
}

/* Stores of the release before tables: a log from segment 1 on, and nothing else. */
static kvorum_status upgrade(struct lsm *lsm)
{
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    kvorum_status status = lsm_manifest_begin(lsm);
    return status == KVORUM_OK ? lsm_format_write(lsm, lsm->path) : status;
}

static kvorum_status read_store(struct lsm *lsm, const struct names *names, bool *ret_fresh)
{
    uint32_t version = 0;
    kvorum_status status = lsm_format_read(lsm, &version);
    if (status == KVORUM_OK && version < FORMAT_VERSION)
        status = upgrade(lsm);
    if (status == KVORUM_OK)
        status = lsm_manifest_load(lsm);
    if (status != KVORUM_OK)
        return status;
    *ret_fresh = !names->segments;
    bool begins = names->first_temporary && lsm->first_segment == 1;
    if (names->segments || begins || lsm->log_begins)
        return KVORUM_OK;
    log_error(lsm->log, "the log is gone", LOG_TEXT("store", lsm->path));
    return KVORUM_CORRUPT;
}

kvorum_status lsm_store_open(struct lsm *lsm, bool create, bool *ret_fresh)
{
    char path[LSM_PATH_SIZE];
    struct names names;
    kvorum_status status = judge(lsm, create);
    if (status == KVORUM_OK)
        status = lsm_path(lsm, "LOCK", path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->lock(lsm->disk, path, &lsm->lock_file);
    if (status == KVORUM_OK)
        status = judge(lsm, create); /* another process may have made it meanwhile */
    if (status == KVORUM_OK)
        status = look(lsm, &names);
    if (status != KVORUM_OK)
        return status;
    *ret_fresh = true;
    if (!names.format)
        return lsm->options.read_only ? KVORUM_NOT_FOUND : make_store(lsm);
    return read_store(lsm, &names, ret_fresh);
}
