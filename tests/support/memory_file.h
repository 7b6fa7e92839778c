/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes as a file of base/disk.h that can only be read. */
#ifndef TESTS_SUPPORT_MEMORY_FILE_H
#define TESTS_SUPPORT_MEMORY_FILE_H

#include "base/disk.h"

struct memory_file {
    struct disk_file base;
    struct bytes bytes;
};

static inline kvorum_status memory_file_pread(struct disk_file *base, void *data, size_t size,
                                              uint64_t offset, size_t *ret_size)
{
    struct bytes bytes = ((struct memory_file *)base)->bytes;
    uint64_t rest = offset < bytes.size ? bytes.size - offset : 0;
    *ret_size = size < rest ? size : (size_t)rest;
    if (*ret_size > 0)
        memcpy(data, bytes.data + offset, *ret_size);
    return KVORUM_OK;
}

static inline kvorum_status memory_file_size(struct disk_file *base, uint64_t *ret_size)
{
    *ret_size = ((struct memory_file *)base)->bytes.size;
    return KVORUM_OK;
}

static const struct disk_ops memory_file_ops = { .pread = memory_file_pread,
                                                 .size = memory_file_size };

static inline struct memory_file memory_file_of(struct bytes bytes)
{
    return (struct memory_file){ { &memory_file_ops }, bytes };
}

#endif
