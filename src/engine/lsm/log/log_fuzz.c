/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a segment of the log: read, search, and walk the batches found.  Bytes that begin
 * with 'R' are repaired first (checksums made to fit), so that what lies behind the checksums is
 * reached. */
#include "engine/common/batch.h"
#include "engine/lsm/log/little.h"
#include "engine/lsm/log/log_reader.h"
#include "tests/support/memory_file.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_batch(struct bytes payload)
{
    struct batch_cursor cursor = batch_cursor_of(payload);
    struct batch_change change;
    size_t keys = 0;
    while (batch_next(&cursor, &change)) {
        assert(change.key.size > 0 && change.key.size <= ENGINE_KEY_SIZE_MAX);
        keys += change.key.size + change.value.size;
    }
    assert(keys <= payload.size);
}

static void read_segment(struct bytes bytes)
{
    struct memory_file file = memory_file_of(bytes);
    struct lsm_log_reader reader;
    struct lsm_log_record record;
    uint64_t offset;
    kvorum_status status = lsm_log_reader_init(&reader, &file.base);
    if (status == KVORUM_OK) {
        while (lsm_log_reader_next(&reader, &record) == KVORUM_OK)
            walk_batch(record.payload);
        assert(reader.offset <= bytes.size);
        if (lsm_log_reader_search(&reader, &offset) == KVORUM_OK)
            assert(offset > reader.offset && offset < bytes.size);
    }
    lsm_log_reader_done(&reader);
}

static void repair(uint8_t *data, size_t size)
{
    struct lsm_log_header header = { .first_sequence = data[56] };
    lsm_log_header_encode(&header, data);
    uint64_t offset = LSM_LOG_HEADER_SIZE, sequence = header.first_sequence;
    while (offset + LSM_LOG_RECORD_SIZE < size) {
        uint64_t rest = size - offset - LSM_LOG_RECORD_SIZE;
        size_t payload_size = little_get32(data + offset + 12) % 64;
        struct lsm_log_record record = { sequence++, data[offset + 24], LSM_LOG_BATCH,
                                         bytes_make(data + offset + LSM_LOG_RECORD_SIZE,
                                                    payload_size) };
        uint8_t encoded[LSM_LOG_RECORD_SIZE + 64];
        uint64_t whole = lsm_log_record_size(payload_size);
        if (whole > rest + LSM_LOG_RECORD_SIZE)
            return;
        lsm_log_record_encode(&header.file, offset, &record, encoded);
        memcpy(data + offset, encoded, whole);
        offset += whole;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    if (size >= LSM_LOG_HEADER_SIZE && data[0] == 'R')
        repair(copy, size);
    read_segment(bytes_make(copy, size));
    free(copy);
    return 0;
}
