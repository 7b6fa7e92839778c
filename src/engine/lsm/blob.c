/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/blob.h"

#include "base/hash.h"
#include "base/planted.h"
#include "codec/varint.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/little.h"

#include <assert.h>
#include <stdlib.h>

static const uint8_t magic[8] = { 'K', 'V', 'l', 's', 'm', 'B', 'L', 'B' };

enum { VERSION = 1, HEADER_CHECKSUM = 56, RECORD_KEY = 8, RECORD_VALUE = 12, ALIGNMENT = 8 };

/* --- addresses ----------------------------------------------------------------------------- */

size_t lsm_blob_address_encode(const struct lsm_blob_address *address, uint8_t *ret_bytes)
{
    uint8_t *at = varint_put(ret_bytes, address->number);
    at = varint_put(at, address->offset);
    at = varint_put(at, address->size);
    return (size_t)(at - ret_bytes);
}

bool lsm_blob_address_decode(struct bytes bytes, struct lsm_blob_address *ret_address)
{
    struct reader reader = reader_of(bytes);
    struct lsm_blob_address address;
    address.number = read_varint(&reader);
    address.offset = read_varint(&reader);
    address.size = read_varint(&reader);
    if (reader.failed || reader.rest.size > 0 || address.offset % ALIGNMENT != 0 ||
        address.size < LSM_BLOB_RECORD_SIZE ||
        address.size > (uint64_t)ENGINE_VALUE_SIZE_MAX + ENGINE_KEY_SIZE_MAX + 64)
        return false;
    *ret_address = address;
    return true;
}

/* --- files --------------------------------------------------------------------------------- */

struct lsm_blob_file *lsm_blob_file_create(struct lsm *lsm, uint64_t number, uint64_t size,
                                           uint64_t garbage)
{
    char path[LSM_PATH_SIZE];
    struct lsm_blob_file *file = calloc(1, sizeof(*file));
    if (file == NULL || lsm_file_path(lsm, LSM_FILE_BLOB, number, path) != KVORUM_OK ||
        (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    file->number = number;
    file->size = size;
    file->garbage = garbage;
    file->references = 1;
    file->disk = lsm->disk;
    return file;
}

void lsm_blob_file_release(struct lsm_blob_file *file)
{
    if (file == NULL || atomic_fetch_sub(&file->references, 1) != 1)
        return;
    if (atomic_load(&file->obsolete))
        (void)file->disk->ops->remove(file->disk, file->path); /* else the next open does */
    free(file->path);
    free(file);
}

bool lsm_blob_file_worn(const struct lsm_blob_file *file)
{
    return atomic_load(&file->garbage) > (file->size - LSM_BLOB_HEADER_SIZE) / 2;
}

static bool is_all_garbage(const struct lsm_blob_file *file)
{
    return atomic_load(&file->garbage) >= file->size - LSM_BLOB_HEADER_SIZE;
}

/* Numbers only rise, but a compaction may finish after a flush that began later. */
static void insert_sorted(struct lsm_blobs *blobs, struct lsm_blob_file *file)
{
    size_t at = blobs->count++;
    for (; at > 0 && blobs->files[at - 1]->number > file->number; at--)
        blobs->files[at] = blobs->files[at - 1];
    blobs->files[at] = file;
}

struct lsm_blobs *lsm_blobs_edit(const struct lsm_blobs *old, struct lsm_blob_file *const *added,
                                 size_t added_count)
{
    size_t old_count = old == NULL ? 0 : old->count;
    struct lsm_blobs *blobs =
        calloc(1, sizeof(*blobs) + (old_count + added_count) * sizeof(blobs->files[0]));
    if (blobs == NULL)
        return NULL;
    blobs->references = 1;
    for (size_t i = 0; i < old_count; i++) {
        bool gone = is_all_garbage(old->files[i]) ||
                    (PLANTED(BLOB_REMOVED_EARLY) && lsm_blob_file_worn(old->files[i]));
        if (gone) {
            PROBE("lsm: a blob file was all garbage");
            continue;
        }
        atomic_fetch_add(&old->files[i]->references, 1);
        insert_sorted(blobs, old->files[i]);
    }
    for (size_t i = 0; i < added_count; i++)
        insert_sorted(blobs, added[i]);
    return blobs;
}

void lsm_blobs_retire(const struct lsm_blobs *old, const struct lsm_blobs *next)
{
    for (size_t i = 0; old != NULL && i < old->count; i++)
        if (lsm_blobs_find(next, old->files[i]->number) == NULL)
            atomic_store(&old->files[i]->obsolete, true);
}

struct lsm_blobs *lsm_blobs_reference(struct lsm_blobs *blobs)
{
    if (blobs != NULL)
        atomic_fetch_add(&blobs->references, 1);
    return blobs;
}

void lsm_blobs_release(struct lsm_blobs *blobs)
{
    if (blobs == NULL || atomic_fetch_sub(&blobs->references, 1) != 1)
        return;
    for (size_t i = 0; i < blobs->count; i++)
        lsm_blob_file_release(blobs->files[i]);
    free(blobs);
}

struct lsm_blob_file *lsm_blobs_find(const struct lsm_blobs *blobs, uint64_t number)
{
    size_t low = 0, high = blobs == NULL ? 0 : blobs->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (blobs->files[middle]->number == number)
            return blobs->files[middle];
        if (blobs->files[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- reading ------------------------------------------------------------------------------- */

static uint64_t record_seed(const struct lsm_id *store, uint64_t number, uint64_t offset)
{
    uint8_t place[32];
    little_put64(place, store->low);
    little_put64(place + 8, store->high);
    little_put64(place + 16, number);
    little_put64(place + 24, offset);
    return hash64(bytes_make(place, sizeof(place)), 0);
}

static uint64_t record_size(size_t key_size, size_t value_size)
{
    uint64_t size = LSM_BLOB_RECORD_SIZE + (uint64_t)key_size + value_size;
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static kvorum_status judge(const struct lsm *lsm, const struct lsm_blob_address *address,
                           const uint8_t *record, struct bytes *ret_value)
{
    uint64_t seed = record_seed(&lsm->store, address->number, address->offset);
    struct bytes covered = bytes_make(record + 8, address->size - 8);
    uint32_t key_size = little_get32(record + RECORD_KEY);
    uint32_t value_size = little_get32(record + RECORD_VALUE);
    if (little_get64(record) != hash64(covered, seed) ||
        record_size(key_size, value_size) != address->size)
        return KVORUM_CORRUPT;
    *ret_value = bytes_make(record + LSM_BLOB_RECORD_SIZE + key_size, value_size);
    return KVORUM_OK;
}

static kvorum_status read_record(const struct lsm *lsm, const struct lsm_blob_address *address,
                                 uint8_t *ret_record)
{
    char path[LSM_PATH_SIZE];
    struct disk_file *file;
    size_t size = 0;
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_BLOB, address->number, path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, &file);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_CORRUPT;
    if (status != KVORUM_OK)
        return status;
    status = file->ops->pread(file, ret_record, address->size, address->offset, &size);
    file->ops->close(file);
    if (status == KVORUM_OK && size < address->size)
        return KVORUM_CORRUPT;
    return status;
}

kvorum_status lsm_blob_read(const struct lsm *lsm, struct bytes bytes, struct buffer *ret_value)
{
    struct lsm_blob_address address;
    struct bytes value;
    if (!lsm_blob_address_decode(bytes, &address))
        return KVORUM_CORRUPT;
    uint8_t *record = malloc(address.size);
    if (record == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = read_record(lsm, &address, record);
    if (status == KVORUM_OK)
        status = judge(lsm, &address, record, &value);
    if (status == KVORUM_OK)
        buffer_append_bytes(ret_value, value);
    free(record);
    return status == KVORUM_OK && ret_value->failed ? KVORUM_NO_MEMORY : status;
}

/* --- writing ------------------------------------------------------------------------------- */

static void header_encode(const struct lsm_blob_writer *writer, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, LSM_BLOB_HEADER_SIZE);
    memcpy(ret_bytes, magic, sizeof(magic));
    little_put32(ret_bytes + 8, VERSION);
    little_put64(ret_bytes + 16, writer->store.low);
    little_put64(ret_bytes + 24, writer->store.high);
    little_put64(ret_bytes + 32, writer->number);
    little_put64(ret_bytes + HEADER_CHECKSUM, hash64(bytes_make(ret_bytes, HEADER_CHECKSUM), 0));
}

kvorum_status lsm_blob_writer_open(struct lsm *lsm, uint64_t number,
                                   struct lsm_blob_writer *ret_writer)
{
    char path[LSM_PATH_SIZE];
    uint8_t header[LSM_BLOB_HEADER_SIZE];
    struct lsm_blob_writer writer = { .number = number,
                                      .size = LSM_BLOB_HEADER_SIZE,
                                      .store = lsm->store };
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_BLOB, number, path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_WRITE | DISK_CREATE, &writer.file);
    if (status != KVORUM_OK)
        return status;
    header_encode(&writer, header);
    status = writer.file->ops->truncate(writer.file, 0);
    if (status == KVORUM_OK)
        status = writer.file->ops->pwrite(writer.file, header, sizeof(header), 0);
    if (status != KVORUM_OK) {
        lsm_blob_writer_abandon(lsm, &writer);
        return status;
    }
    *ret_writer = writer;
    return KVORUM_OK;
}

kvorum_status lsm_blob_writer_add(struct lsm_blob_writer *writer, struct bytes key,
                                  struct bytes value, struct lsm_blob_address *ret_address)
{
    uint64_t size = record_size(key.size, value.size), used = LSM_BLOB_RECORD_SIZE + key.size;
    uint8_t *record = malloc(size);
    if (record == NULL)
        return KVORUM_NO_MEMORY;
    little_put32(record + RECORD_KEY, (uint32_t)key.size);
    little_put32(record + RECORD_VALUE, (uint32_t)value.size);
    memcpy(record + LSM_BLOB_RECORD_SIZE, key.data, key.size);
    memcpy(record + used, value.data, value.size);
    memset(record + used + value.size, 0, size - used - value.size);
    uint64_t seed = record_seed(&writer->store, writer->number, writer->size);
    little_put64(record, hash64(bytes_make(record + 8, size - 8), seed));
    kvorum_status status = writer->file->ops->pwrite(writer->file, record, size, writer->size);
    free(record);
    if (status != KVORUM_OK)
        return status;
    *ret_address = (struct lsm_blob_address){ writer->number, writer->size, size };
    writer->size += size;
    return KVORUM_OK;
}

kvorum_status lsm_blob_writer_finish(struct lsm_blob_writer *writer)
{
    kvorum_status status = writer->file->ops->sync(writer->file);
    writer->file->ops->close(writer->file);
    writer->file = NULL;
    return status;
}

void lsm_blob_writer_abandon(struct lsm *lsm, struct lsm_blob_writer *writer)
{
    char path[LSM_PATH_SIZE];
    if (writer->file != NULL)
        writer->file->ops->close(writer->file);
    writer->file = NULL;
    if (lsm_file_path(lsm, LSM_FILE_BLOB, writer->number, path) == KVORUM_OK)
        (void)lsm->disk->ops->remove(lsm->disk, path);
}
