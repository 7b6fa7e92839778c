/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an address (first byte 'A'), or as a file (else; 'R': repaired first): a header, and
 * a record that takes all the rest.  What is accepted is written back as the same bytes. */
#include "engine/lsm/blob/blob.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct lsm_id store = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 };
enum { NUMBER = 19 };

static void read_address(struct bytes bytes)
{
    struct lsm_blob_address address;
    uint8_t again[LSM_BLOB_ADDRESS_MAX];
    if (!lsm_blob_address_decode(bytes, &address))
        return;
    size_t size = lsm_blob_address_encode(&address, again);
    assert(bytes_equal(bytes_make(again, size), bytes));
}

/* The checksum is the last thing looked at, so it is taken from what the record should be. */
static void repair_record(const struct lsm_blob_address *address, uint8_t *record)
{
    uint32_t key_size = little_get32(record + 8), value_size = little_get32(record + 12);
    uint8_t *made = malloc(address->size);
    if (made != NULL && lsm_blob_record_size(key_size, value_size) == address->size) {
        lsm_blob_record_encode(&store, address, bytes_make(record + 16, key_size),
                               bytes_make(record + 16 + key_size, value_size), made);
        memcpy(record, made, address->size);
    }
    free(made);
}

static void read_record(const struct lsm_blob_address *address, uint8_t *record, bool repaired)
{
    struct bytes key, value;
    if (repaired)
        repair_record(address, record);
    if (lsm_blob_record_decode(&store, address, record, &key, &value) != KVORUM_OK)
        return;
    assert(key.data >= record && value.data + value.size <= record + address->size);
    uint8_t *again = malloc(address->size);
    if (again == NULL)
        return;
    lsm_blob_record_encode(&store, address, key, value, again);
    assert(memcmp(again, record, address->size) == 0 || !repaired);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t header[LSM_BLOB_HEADER_SIZE];
    if (size > 0 && data[0] == 'A') {
        read_address(bytes_make(data + 1, size - 1));
        return 0;
    }
    if (lsm_blob_header_judge(bytes_make(data, size), &store, NUMBER) == KVORUM_OK) {
        lsm_blob_header_encode(&store, NUMBER, header);
        assert(memcmp(header, data, sizeof(header)) == 0);
    }
    if (size < LSM_BLOB_HEADER_SIZE + LSM_BLOB_RECORD_SIZE)
        return 0;
    const struct lsm_blob_address address = { NUMBER, LSM_BLOB_HEADER_SIZE,
                                              (size - LSM_BLOB_HEADER_SIZE) / LSM_BLOB_ALIGNMENT *
                                                  LSM_BLOB_ALIGNMENT };
    uint8_t *record = malloc(address.size); /* alone, so that reading past it is seen */
    if (record == NULL)
        return 0;
    memcpy(record, data + LSM_BLOB_HEADER_SIZE, address.size);
    read_record(&address, record, data[0] == 'R');
    free(record);
    return 0;
}
