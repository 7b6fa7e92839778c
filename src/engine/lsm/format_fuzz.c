/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the FORMAT file of a store without any other file.  Those that begin with 'R' are
 * repaired first: magic and checksum are made to fit.  Nothing is ever opened or changed. */
#include "engine/lsm/lsm.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"
#include "tests/support/fault_disk.h"

enum { FORMAT_SIZE = 48, FORMAT_CHECKSUM = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(uint8_t *bytes)
{
    static const uint8_t magic[] = { 'K', 'V', 'O', 'R', 'U', 'M', 's', 't' };
    memcpy(bytes, magic, sizeof(magic));
    little_put64(bytes + FORMAT_CHECKSUM, hash64(bytes_make(bytes + 8, FORMAT_CHECKSUM - 8), 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault_disk disk;
    struct engine *engine;
    fault_disk_init(&disk);
    int inode = fault_image_add(&disk.now);
    fault_set_name(&disk.now.names, "s", FAULT_FOLDER);
    fault_set_name(&disk.now.names, "s/FORMAT", inode);
    fault_write(fault_disk_bytes(&disk, inode), 0, data, size);
    if (size >= FORMAT_SIZE && data[0] == 'R')
        repair(fault_disk_bytes(&disk, inode)->data);
    struct lsm_options options = {
        .disk = &disk.base, .path = "s", .identity_seed = 1, .create = true, .read_only = true
    };
    kvorum_status status = lsm_open(&options, &engine);
    assert(status == KVORUM_CORRUPT || status == KVORUM_FOREIGN || status == KVORUM_NEWER_FORMAT ||
           status == KVORUM_NOT_ALLOWED);
    assert(disk.journal_count == 0);
    fault_disk_done(&disk);
    return 0;
}
