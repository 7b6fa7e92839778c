/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the address of a value out of line, and as the file that it leads to.
 *
 *      mode 1 | size of the address 1 | address | bytes of blob file 1
 *
 * In mode 'R' the checksum of the record is repaired, so that what lies behind it is reached.  An
 * address that is accepted is written back as one that leads to the same place. */
#include "engine/lsm/blob.h"

#include "base/hash.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/little.h"
#include "tests/support/fault_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct lsm_blob_address *address)
{
    uint8_t bytes[LSM_BLOB_ADDRESS_MAX];
    struct lsm_blob_address again;
    size_t size = lsm_blob_address_encode(address, bytes);
    assert(lsm_blob_address_decode(bytes_make(bytes, size), &again));
    assert(again.number == address->number && again.offset == address->offset &&
           again.size == address->size);
}

/* As the format says: seeded with store, number and offset. */
static void repair(const struct lsm_blob_address *address, struct fault_bytes *file)
{
    uint8_t place[32] = { 0 };
    if (address->offset > file->size || address->size > file->size - address->offset)
        return;
    little_put64(place + 16, address->number);
    little_put64(place + 24, address->offset);
    uint64_t seed = hash64(bytes_make(place, sizeof(place)), 0);
    uint8_t *record = file->data + address->offset;
    little_put64(record, hash64(bytes_make(record + 8, address->size - 8), seed));
}

static void check_read(struct fault_disk *disk, struct bytes place, size_t file_size)
{
    struct lsm *lsm =
        calloc(1, sizeof(*lsm)); /* never opened: names and the (zero) id are enough */
    struct buffer value;
    assert(lsm != NULL);
    lsm->disk = &disk->base;
    lsm->path[0] = 's';
    buffer_init(&value, (size_t)ENGINE_VALUE_SIZE_MAX + 1);
    kvorum_status status = lsm_blob_read(lsm, place, &value);
    assert(status == KVORUM_OK || status == KVORUM_CORRUPT || status == KVORUM_NO_MEMORY);
    assert(status != KVORUM_OK || value.size < file_size);
    buffer_done(&value);
    free(lsm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault_disk disk;
    struct lsm_blob_address address;
    if (size < 2 || size < 2 + (size_t)data[1])
        return 0;
    struct bytes place = bytes_make(data + 2, data[1]);
    struct bytes bytes = bytes_make(place.data + place.size, size - 2 - place.size);
    fault_disk_init(&disk);
    int inode = fault_image_add(&disk.now);
    fault_set_name(&disk.now.names, "s/blob-0000000000000001.blb", inode);
    fault_write(fault_disk_bytes(&disk, inode), 0, bytes.data, bytes.size);
    if (lsm_blob_address_decode(place, &address)) {
        check_round_trip(&address);
        if (data[0] == 'R')
            repair(&address, fault_disk_bytes(&disk, inode));
    }
    check_read(&disk, place, bytes.size);
    fault_disk_done(&disk);
    return 0;
}
