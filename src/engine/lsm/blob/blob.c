/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/blob/blob.h"

#include "base/hash.h"
#include "base/planted.h"
#include "codec/varint.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/log/little.h"

#include <assert.h>
#include <stdlib.h>

static const uint8_t magic[8] = { 'K', 'V', 'l', 's', 'm', 'B', 'L', 'B' };

enum {
    HEADER_VERSION = 8,
    HEADER_STORE = 16,
    HEADER_NUMBER = 32,
    HEADER_CHECKSUM = 56,
    RECORD_KEY = 8,
    RECORD_VALUE = 12,
};

/* --- addresses ----------------------------------------------------------------------------- */

size_t lsm_blob_address_encode(const struct lsm_blob_address *address, uint8_t *ret_bytes)
{
    uint8_t *at = varint_put(ret_bytes, address->number);
    at = varint_put(at, address->offset);
    at = varint_put(at, address->size);
    return (size_t)(at - ret_bytes);
}

static bool address_plausible(const struct lsm_blob_address *address)
{
    return address->number > 0 && address->offset >= LSM_BLOB_HEADER_SIZE &&
           address->offset % LSM_BLOB_ALIGNMENT == 0 && address->size >= LSM_BLOB_RECORD_SIZE &&
           address->size % LSM_BLOB_ALIGNMENT == 0 && address->size <= LSM_BLOB_RECORD_SIZE_MAX &&
           address->offset <= INT64_MAX - address->size;
}

bool lsm_blob_address_decode(struct bytes bytes, struct lsm_blob_address *ret_address)
{
    struct reader reader = reader_of(bytes);
    struct lsm_blob_address address;
    address.number = read_varint(&reader);
    address.offset = read_varint(&reader);
    address.size = read_varint(&reader);
    if (!reader_finished(&reader) || !address_plausible(&address))
        return false;
    *ret_address = address;
    return true;
}

/* --- headers ------------------------------------------------------------------------------- */

/* The checksum leaves the magic out: damage to the magic alone is told from another file. */
static uint64_t header_checksum(const uint8_t *header)
{
    return hash64(bytes_make(header + sizeof(magic), HEADER_CHECKSUM - sizeof(magic)), 0);
}

void lsm_blob_header_encode(const struct lsm_id *store, uint64_t number, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, LSM_BLOB_HEADER_SIZE);
    memcpy(ret_bytes, magic, sizeof(magic));
    little_put32(ret_bytes + HEADER_VERSION, LSM_BLOB_VERSION);
    lsm_id_put(ret_bytes + HEADER_STORE, store);
    little_put64(ret_bytes + HEADER_NUMBER, number);
    little_put64(ret_bytes + HEADER_CHECKSUM, header_checksum(ret_bytes));
}

kvorum_status lsm_blob_header_judge(struct bytes bytes, const struct lsm_id *store, uint64_t number)
{
    uint8_t due[LSM_BLOB_HEADER_SIZE];
    struct lsm_id said;
    bool ours = bytes.size >= sizeof(magic) && memcmp(bytes.data, magic, sizeof(magic)) == 0;
    if (bytes.size < LSM_BLOB_HEADER_SIZE)
        return ours || bytes.size < sizeof(magic) ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    bool intact = little_get64(bytes.data + HEADER_CHECKSUM) == header_checksum(bytes.data);
    kvorum_status status =
        lsm_header_judge(ours, intact, little_get32(bytes.data + HEADER_VERSION), LSM_BLOB_VERSION);
    if (status != KVORUM_OK)
        return status;
    said = lsm_id_get(bytes.data + HEADER_STORE);
    if (!lsm_id_equal(&said, store))
        return KVORUM_FOREIGN;
    lsm_blob_header_encode(store, number, due);
    return memcmp(bytes.data, due, sizeof(due)) == 0 ? KVORUM_OK : KVORUM_CORRUPT;
}

/* --- records ------------------------------------------------------------------------------- */

static uint64_t record_seed(const struct lsm_id *store, const struct lsm_blob_address *address)
{
    uint8_t place[32];
    lsm_id_put(place, store);
    little_put64(place + 16, address->number);
    little_put64(place + 24, address->offset);
    return hash64(bytes_make(place, sizeof(place)), 0);
}

static uint64_t record_checksum(const struct lsm_id *store, const struct lsm_blob_address *address,
                                const uint8_t *record)
{
    return hash64(bytes_make(record + RECORD_KEY, address->size - RECORD_KEY),
                  record_seed(store, address));
}

uint64_t lsm_blob_record_size(size_t key_size, size_t value_size)
{
    uint64_t size = LSM_BLOB_RECORD_SIZE + (uint64_t)key_size + value_size;
    return (size + LSM_BLOB_ALIGNMENT - 1) / LSM_BLOB_ALIGNMENT * LSM_BLOB_ALIGNMENT;
}

void lsm_blob_record_encode(const struct lsm_id *store, const struct lsm_blob_address *address,
                            struct bytes key, struct bytes value, uint8_t *ret_record)
{
    uint8_t *at = ret_record + LSM_BLOB_RECORD_SIZE;
    uint64_t used = LSM_BLOB_RECORD_SIZE + (uint64_t)key.size + value.size;
    little_put32(ret_record + RECORD_KEY, (uint32_t)key.size);
    little_put32(ret_record + RECORD_VALUE, (uint32_t)value.size);
    memcpy(at, key.data, key.size);
    if (value.size > 0)
        memcpy(at + key.size, value.data, value.size);
    memset(ret_record + used, 0, address->size - used);
    little_put64(ret_record, record_checksum(store, address, ret_record));
}

kvorum_status lsm_blob_record_decode(const struct lsm_id *store,
                                     const struct lsm_blob_address *address, const uint8_t *record,
                                     struct bytes *ret_key, struct bytes *ret_value)
{
    uint32_t key_size = little_get32(record + RECORD_KEY);
    uint32_t value_size = little_get32(record + RECORD_VALUE);
    if (lsm_blob_record_size(key_size, value_size) != address->size ||
        little_get64(record) != record_checksum(store, address, record))
        return KVORUM_CORRUPT;
    *ret_key = bytes_make(record + LSM_BLOB_RECORD_SIZE, key_size);
    *ret_value = bytes_make(record + LSM_BLOB_RECORD_SIZE + key_size, value_size);
    return KVORUM_OK;
}

/* --- reading ------------------------------------------------------------------------------- */

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

kvorum_status lsm_blob_read(const struct lsm *lsm, struct bytes bytes, struct buffer *memory,
                            struct bytes *ret_value)
{
    struct lsm_blob_address address;
    struct bytes key;
    if (!lsm_blob_address_decode(bytes, &address))
        return KVORUM_CORRUPT;
    buffer_reset(memory);
    uint8_t *record = buffer_reserve(memory, address.size);
    if (record == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = read_record(lsm, &address, record);
    if (status != KVORUM_OK)
        return status;
    memory->size = address.size;
    return lsm_blob_record_decode(&lsm->store, &address, record, &key, ret_value);
}

/* --- writing ------------------------------------------------------------------------------- */

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
        status = lsm->disk->ops->open(lsm->disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE,
                                      &writer.file);
    if (status != KVORUM_OK)
        return status;
    buffer_init(&writer.record, LSM_BLOB_RECORD_SIZE_MAX);
    lsm_blob_header_encode(&lsm->store, number, header);
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
    const struct lsm_blob_address address = { writer->number, writer->size,
                                              lsm_blob_record_size(key.size, value.size) };
    buffer_reset(&writer->record);
    uint8_t *record = buffer_reserve(&writer->record, address.size);
    if (record == NULL)
        return KVORUM_NO_MEMORY;
    lsm_blob_record_encode(&writer->store, &address, key, value, record);
    kvorum_status status =
        writer->file->ops->pwrite(writer->file, record, address.size, address.offset);
    if (status != KVORUM_OK)
        return status;
    *ret_address = address;
    writer->size += address.size;
    return KVORUM_OK;
}

static void close_file(struct lsm_blob_writer *writer)
{
    writer->file->ops->close(writer->file);
    writer->file = NULL;
    buffer_done(&writer->record);
}

kvorum_status lsm_blob_writer_finish(struct lsm *lsm, struct lsm_blob_writer *writer)
{
    kvorum_status status = writer->file->ops->sync(writer->file);
    if (status == KVORUM_OK)
        close_file(writer);
    else
        lsm_blob_writer_abandon(lsm, writer);
    return status;
}

void lsm_blob_writer_abandon(struct lsm *lsm, struct lsm_blob_writer *writer)
{
    char path[LSM_PATH_SIZE];
    if (writer->file == NULL)
        return;
    close_file(writer);
    /* What cannot be removed now is a file that no manifest names: the next open removes it. */
    if (lsm_file_path(lsm, LSM_FILE_BLOB, writer->number, path) == KVORUM_OK)
        (void)!lsm->disk->ops->remove(lsm->disk, path);
}
