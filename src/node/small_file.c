/* SPDX-License-Identifier: Apache-2.0 */
#include "node/small_file.h"

static kvorum_status read_all(struct disk *disk, struct disk_file *file, struct buffer *buffer)
{
    uint64_t size;
    kvorum_status status = disk->ops->size(file, &size);
    if (status != KVORUM_OK)
        return status;
    if (size > buffer->limit - buffer->size)
        return KVORUM_TOO_LARGE;
    uint8_t *at = buffer_reserve(buffer, size);
    if (at == NULL)
        return KVORUM_NO_MEMORY;
    size_t got = 0;
    status = disk->ops->pread(file, at, size, 0, &got);
    if (status == KVORUM_OK)
        buffer->size += got;
    return status;
}

kvorum_status small_file_read(struct disk *disk, const char *path, struct buffer *ret_buffer)
{
    struct disk_file *file;
    kvorum_status status = disk->ops->open(disk, path, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status;
    status = read_all(disk, file, ret_buffer);
    disk->ops->close(file);
    return status;
}

static kvorum_status write_new(struct disk *disk, const char *path, struct bytes bytes)
{
    struct disk_file *file;
    kvorum_status status = disk->ops->open(disk, path, DISK_WRITE | DISK_CREATE, &file);
    if (status != KVORUM_OK)
        return status;
    status = disk->ops->truncate(file, 0);
    if (status == KVORUM_OK)
        status = disk->ops->pwrite(file, bytes.data, bytes.size, 0);
    if (status == KVORUM_OK)
        status = disk->ops->sync(file);
    disk->ops->close(file);
    return status;
}

kvorum_status small_file_replace(struct disk *disk, const char *path, const char *temporary,
                                 struct bytes bytes)
{
    kvorum_status status = write_new(disk, temporary, bytes);
    if (status == KVORUM_OK)
        status = disk->ops->rename(disk, temporary, path);
    if (status == KVORUM_OK)
        status = disk->ops->sync_dir(disk, "");
    return status;
}
