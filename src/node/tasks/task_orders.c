/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the file `tasks`, integers little-endian:
 *
 *      offset size
 *       0     4    magic "KVT1" (the format version is its last byte)
 *       4     4    count of kinds
 *       8          each: its name, sized; flags: 1 paused, 2 limited; limit u64
 *      end-8  8    XXH3-64 of all before */
#include "node/tasks/task_orders.h"

#include <string.h>

#include "base/hash.h"
#include "codec/varint.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/small_file.h"
#include "node/tasks/tasks.h"

static const char orders_file[] = "tasks", orders_temporary[] = "tasks.new";
static const uint8_t magic[4] = { 'K', 'V', 'T', '1' };

enum { HEADER_SIZE = 8, SUM_SIZE = 8, KINDS_MAX = 64, FLAG_PAUSED = 1, FLAG_LIMITED = 2 };

/* --- bytes ----------------------------------------------------------------------------------- */

void task_orders_encode(const struct task_orders *orders, struct buffer *buffer)
{
    buffer_append(buffer, magic, sizeof(magic));
    write_u32(buffer, TASK_KINDS);
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        const struct task_order *order = &orders->kinds[kind];
        write_sized(buffer, bytes_of_string(task_sources[kind].name));
        uint8_t flags =
            (uint8_t)((order->paused ? FLAG_PAUSED : 0) | (order->limited ? FLAG_LIMITED : 0));
        buffer_append(buffer, &flags, sizeof(flags));
        write_u64(buffer, order->limited ? order->limit : 0);
    }
    if (!buffer->failed)
        write_u64(buffer, hash64(buffer_bytes(buffer), 0));
}

static kvorum_status check_frame(struct bytes bytes)
{
    if (bytes.size < HEADER_SIZE + SUM_SIZE || memcmp(bytes.data, magic, 3) != 0)
        return KVORUM_CORRUPT;
    if (bytes.data[3] != magic[3])
        return bytes.data[3] > magic[3] ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct reader sum = reader_of(bytes_from(bytes, bytes.size - SUM_SIZE));
    return read_u64(&sum) == hash64(bytes_make(bytes.data, bytes.size - SUM_SIZE), 0)
               ? KVORUM_OK
               : KVORUM_CORRUPT;
}

/* Of a kind that this release does not know nothing is kept. */
static bool read_order(struct reader *reader, struct task_orders *orders)
{
    struct bytes name = read_sized(reader, TASK_NAME_MAX);
    uint8_t flags = read_u8(reader);
    uint64_t limit = read_u64(reader);
    if (reader->failed || name.size == 0 || flags > (FLAG_PAUSED | FLAG_LIMITED))
        return false;
    for (int kind = 0; kind < TASK_KINDS; kind++)
        if (bytes_equal(name, bytes_of_string(task_sources[kind].name)))
            orders->kinds[kind] = (struct task_order){ (flags & FLAG_PAUSED) != 0,
                                                       (flags & FLAG_LIMITED) != 0, limit };
    return true;
}

kvorum_status task_orders_decode(struct bytes bytes, struct task_orders *ret_orders)
{
    struct task_orders orders = { 0 };
    kvorum_status status = check_frame(bytes);
    if (status != KVORUM_OK)
        return status;
    struct reader reader =
        reader_of(bytes_make(bytes.data + sizeof(magic), bytes.size - sizeof(magic) - SUM_SIZE));
    uint32_t count = read_u32(&reader);
    if (count > KINDS_MAX)
        return KVORUM_CORRUPT;
    for (uint32_t i = 0; i < count; i++)
        if (!read_order(&reader, &orders))
            return KVORUM_CORRUPT;
    if (!reader_finished(&reader))
        return KVORUM_CORRUPT;
    *ret_orders = orders;
    return KVORUM_OK;
}

/* --- the file -------------------------------------------------------------------------------- */

kvorum_status task_orders_load(struct disk *disk, struct task_orders *ret_orders)
{
    struct buffer buffer;
    buffer_init(&buffer, TASK_ORDERS_SIZE_MAX);
    kvorum_status status = small_file_read(disk, orders_file, &buffer);
    if (status == KVORUM_OK)
        status = task_orders_decode(buffer_bytes(&buffer), ret_orders);
    buffer_done(&buffer);
    return status == KVORUM_TOO_LARGE ? KVORUM_CORRUPT : status;
}

static kvorum_status write_file(struct disk *disk, struct bytes bytes)
{
    return small_file_replace(disk, orders_file, orders_temporary, bytes);
}

static void save_now(struct node *node)
{
    struct tasks *tasks = node->tasks;
    struct epoch_save *save = tasks->orders_save;
    tasks->orders_changed = false;
    buffer_reset(&save->bytes);
    task_orders_encode(&tasks->orders, &save->bytes);
    if (!save->bytes.failed)
        epochs_save(node, save);
}

static void on_saved(struct node *node, kvorum_status status)
{
    if (status != KVORUM_OK)
        log_error(node->config.log,
                  "pauses and limits of background work cannot be written, and will be forgotten "
                  "at a restart",
                  LOG_STATUS(status), LOG_TEXT("next", "check the disk, then order them again"));
    if (node->tasks->orders_changed)
        save_now(node);
}

void task_orders_save(struct node *node)
{
    struct tasks *tasks = node->tasks;
    tasks->orders_changed = true;
    if (node->config.disk != NULL && !tasks->orders_save->busy)
        save_now(node);
}

kvorum_status task_orders_open(struct node *node)
{
    node->tasks->orders_save = epochs_save_open(write_file, on_saved);
    return node->tasks->orders_save == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

void task_orders_close(struct node *node)
{
    epochs_save_leave(node->tasks->orders_save);
    node->tasks->orders_save = NULL;
}
