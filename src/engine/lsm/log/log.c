/* SPDX-License-Identifier: Apache-2.0 */
/* The log's bytes as log.h lays them out. */
#include "engine/lsm/log/log.h"

#include "base/hash.h"
#include "base/planted.h"
#include "engine/engine.h"
#include "engine/lsm/log/little.h"

static const uint8_t magic[8] = { 'K', 'V', 'l', 's', 'm', 'L', 'O', 'G' };

enum {
    HEADER_CHECKSUM = 88,
    RECORD_CHECK = 8,
    RECORD_SIZE = 12,
    RECORD_SEQUENCE = 16,
    RECORD_UNDURABLE = 24,
    RECORD_TYPE = 28,
};

static uint64_t header_checksum(const uint8_t *bytes)
{
    return hash64(bytes_make(bytes + sizeof(magic), HEADER_CHECKSUM - sizeof(magic)), 0);
}

void lsm_log_header_encode(const struct lsm_log_header *header, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, LSM_LOG_HEADER_SIZE);
    memcpy(ret_bytes, magic, sizeof(magic));
    little_put32(ret_bytes + 8, LSM_LOG_VERSION);
    little_put32(ret_bytes + 12, LSM_LOG_HEADER_SIZE);
    lsm_id_put(ret_bytes + 16, &header->store);
    lsm_id_put(ret_bytes + 32, &header->file);
    little_put64(ret_bytes + 48, header->number);
    little_put64(ret_bytes + 56, header->first_sequence);
    little_put64(ret_bytes + 64, header->previous_size);
    little_put64(ret_bytes + HEADER_CHECKSUM, header_checksum(ret_bytes));
}

static kvorum_status judge_header(struct bytes bytes)
{
    if (bytes.size < sizeof(magic))
        return KVORUM_CORRUPT;
    bool ours = memcmp(bytes.data, magic, sizeof(magic)) == 0;
    if (bytes.size < LSM_LOG_HEADER_SIZE)
        return ours ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    bool intact = little_get64(bytes.data + HEADER_CHECKSUM) == header_checksum(bytes.data);
    kvorum_status status =
        lsm_header_judge(ours, intact, little_get32(bytes.data + 8), LSM_LOG_VERSION);
    if (status != KVORUM_OK)
        return status;
    return little_get32(bytes.data + 12) == LSM_LOG_HEADER_SIZE ? KVORUM_OK : KVORUM_CORRUPT;
}

kvorum_status lsm_log_header_decode(struct bytes bytes, struct lsm_log_header *ret_header)
{
    kvorum_status status = judge_header(bytes);
    if (status != KVORUM_OK)
        return status;
    *ret_header = (struct lsm_log_header){
        .store = lsm_id_get(bytes.data + 16),
        .file = lsm_id_get(bytes.data + 32),
        .number = little_get64(bytes.data + 48),
        .first_sequence = little_get64(bytes.data + 56),
        .previous_size = little_get64(bytes.data + 64),
    };
    return KVORUM_OK;
}

static uint32_t record_check(const uint8_t *bytes, uint64_t seed)
{
    return (uint32_t)hash64(bytes_make(bytes + RECORD_SIZE, LSM_LOG_RECORD_SIZE - RECORD_SIZE),
                            seed);
}

static uint64_t record_checksum(const uint8_t *bytes, size_t payload_size, uint64_t seed)
{
    return hash64(
        bytes_make(bytes + RECORD_CHECK, LSM_LOG_RECORD_SIZE - RECORD_CHECK + payload_size), seed);
}

void lsm_log_record_encode(const struct lsm_id *file, uint64_t offset,
                           const struct lsm_log_record *record, uint8_t *ret_bytes)
{
    uint64_t seed = lsm_place_seed(file, offset);
    size_t size = record->payload.size;
    uint64_t padded = lsm_log_record_size(size);
    memset(ret_bytes + padded - LSM_LOG_ALIGNMENT, 0, LSM_LOG_ALIGNMENT);
    memset(ret_bytes, 0, LSM_LOG_RECORD_SIZE);
    little_put32(ret_bytes + RECORD_SIZE, (uint32_t)size);
    little_put64(ret_bytes + RECORD_SEQUENCE, record->sequence);
    little_put32(ret_bytes + RECORD_UNDURABLE, record->undurable);
    ret_bytes[RECORD_TYPE] = (uint8_t)record->type;
    if (size > 0)
        memcpy(ret_bytes + LSM_LOG_RECORD_SIZE, record->payload.data, size);
    little_put32(ret_bytes + RECORD_CHECK, record_check(ret_bytes, seed));
    little_put64(ret_bytes, record_checksum(ret_bytes, size, seed));
}

/* Cheap tests first: a search tries every eighth byte of a file that is mostly zeros. */
static bool plausible(const uint8_t *bytes)
{
    uint32_t size = little_get32(bytes + RECORD_SIZE);
    uint32_t type = little_get32(bytes + RECORD_TYPE); /* and its three zeros */
    if (type == LSM_LOG_MARK || type == LSM_LOG_NEXT)
        return size == 0;
    return type == LSM_LOG_BATCH && size > 0 && size <= ENGINE_BATCH_SIZE_MAX;
}

enum lsm_log_found lsm_log_record_decode(const struct lsm_id *file, uint64_t offset,
                                         struct bytes bytes, struct lsm_log_record *ret_record,
                                         uint64_t *ret_size)
{
    if (bytes.size < LSM_LOG_RECORD_SIZE || !plausible(bytes.data))
        return LSM_LOG_NONE;
    uint64_t seed = lsm_place_seed(file, offset);
    if (little_get32(bytes.data + RECORD_CHECK) != record_check(bytes.data, seed))
        return LSM_LOG_NONE;
    size_t size = little_get32(bytes.data + RECORD_SIZE);
    *ret_size = lsm_log_record_size(size);
    if (bytes.size < *ret_size)
        return LSM_LOG_PARTIAL;
    if (!PLANTED(LOG_TAIL_UNCHECKED) &&
        little_get64(bytes.data) != record_checksum(bytes.data, size, seed))
        return LSM_LOG_NONE;
    *ret_record = (struct lsm_log_record){
        .sequence = little_get64(bytes.data + RECORD_SEQUENCE),
        .undurable = little_get32(bytes.data + RECORD_UNDURABLE),
        .type = (enum lsm_log_type)bytes.data[RECORD_TYPE],
        .payload = bytes_make(bytes.data + LSM_LOG_RECORD_SIZE, size),
    };
    return ret_record->sequence > ret_record->undurable ? LSM_LOG_FOUND : LSM_LOG_NONE;
}
