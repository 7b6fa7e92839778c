/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks are found without foot and index: at every eighth byte, a frame whose checksum is right
 * for this file and this place.  Nothing else looks like one, not even a copy of a block inside a
 * value.
 *
 * The file's id, which the checksums need, stands in the head, the foot and the properties. */
#include "engine/lsm/table/block_cursor.h"
#include "engine/lsm/table/file.h"

#include "engine/lsm/log/little.h"

#include <stdlib.h>

enum { PIECE_SIZE = 1024 * 1024, PAGE_SIZE = 4096, ID_IN_PROPERTIES = 16 };

struct salvage {
    struct disk_file *file;
    uint64_t size;
    struct lsm_id id;
    kvorum_status (*entry)(void *context, const struct lsm_entry *entry);
    kvorum_status (*range)(void *context, const struct lsm_range *range);
    void *context;
    uint8_t *data; /* what is looked at: bytes [begin, end) of the file */
    size_t capacity;
    uint64_t begin, end;
    uint8_t *raw;
    size_t raw_capacity;
    struct table_decompressor decompressor;
    struct table_block_cursor cursor;
    uint64_t lost;
    kvorum_status refused; /* what the caller answered, when not OK */
};

/* --- reading ------------------------------------------------------------------------------- */

/* What the disk does not give reads as zeros, page by page: no frame is found there. */
static kvorum_status read_pages(struct disk_file *file, uint64_t offset, uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE_SIZE) {
        size_t part = size - at < PAGE_SIZE ? size - at : PAGE_SIZE, got = 0;
        kvorum_status status = file->ops->pread(file, data + at, part, offset + at, &got);
        if (status == KVORUM_NO_MEMORY)
            return status;
        if (status != KVORUM_OK || got != part)
            memset(data + at, 0, part);
    }
    return KVORUM_OK;
}

/* Have `size` bytes at `offset` in view; they are inside the file. */
static kvorum_status look_at(struct salvage *s, uint64_t offset, uint64_t size)
{
    if (offset >= s->begin && offset + size <= s->end)
        return KVORUM_OK;
    if (size < PIECE_SIZE)
        size = s->size - offset < PIECE_SIZE ? s->size - offset : PIECE_SIZE;
    if (s->data == NULL || s->capacity < size) {
        free(s->data);
        s->capacity = 0;
        s->begin = s->end = 0;
        s->data = malloc(size + TABLE_SLACK);
        if (s->data == NULL)
            return KVORUM_NO_MEMORY;
        s->capacity = size;
    }
    s->begin = offset;
    s->end = offset + size;
    if (table_file_read(s->file, offset, s->data, size) == KVORUM_OK)
        return KVORUM_OK;
    return read_pages(s->file, offset, s->data, size);
}

static struct bytes view(const struct salvage *s, uint64_t offset, uint64_t size)
{
    return bytes_make(s->data + (offset - s->begin), size);
}

/* --- who is it ----------------------------------------------------------------------------- */

static kvorum_status ask_head(struct salvage *s)
{
    struct table_head head;
    uint64_t size = s->size < TABLE_HEAD_SIZE ? s->size : TABLE_HEAD_SIZE;
    kvorum_status status = look_at(s, 0, size);
    if (status == KVORUM_OK)
        status = table_head_decode(view(s, 0, size), &head);
    if (status == KVORUM_OK)
        s->id = head.file;
    return status;
}

static kvorum_status ask_foot(struct salvage *s)
{
    struct table_foot foot;
    if (s->size < TABLE_FOOT_SIZE)
        return KVORUM_CORRUPT;
    uint64_t offset = s->size - TABLE_FOOT_SIZE;
    kvorum_status status = look_at(s, offset, TABLE_FOOT_SIZE);
    if (status == KVORUM_OK)
        status = table_foot_decode(view(s, offset, TABLE_FOOT_SIZE), &foot);
    if (status == KVORUM_OK)
        s->id = foot.file;
    return status;
}

/* Properties that are right when their own id is believed.  They stand near the end. */
static kvorum_status ask_properties(struct salvage *s)
{
    uint64_t begin =
        s->size < PIECE_SIZE ? 0 : (s->size - PIECE_SIZE) / TABLE_ALIGNMENT * TABLE_ALIGNMENT;
    uint64_t size = s->size - begin;
    kvorum_status status = look_at(s, begin, size);
    if (status != KVORUM_OK)
        return status;
    for (uint64_t at = 0; at + TABLE_FRAME_SIZE + ID_IN_PROPERTIES + 16 <= size;
         at += TABLE_ALIGNMENT) {
        struct bytes rest = bytes_from(view(s, begin, size), at);
        const uint8_t *id = rest.data + TABLE_FRAME_SIZE + ID_IN_PROPERTIES;
        struct lsm_id file = lsm_id_get(id);
        struct table_frame frame;
        if (!table_frame_peek(&file, begin + at, rest, &frame) ||
            table_framed_size(frame.stored_size) > rest.size)
            continue;
        rest.size = table_framed_size(frame.stored_size);
        if (table_frame_decode(&file, begin + at, rest, TABLE_PROPERTIES, &frame) != KVORUM_OK)
            continue;
        s->id = file;
        return KVORUM_OK;
    }
    return KVORUM_CORRUPT;
}

/* The head says best what the file is, when no part tells its id. */
static kvorum_status identify(struct salvage *s)
{
    if (s->size == 0)
        return KVORUM_CORRUPT;
    kvorum_status head = ask_head(s);
    if (head == KVORUM_OK || head == KVORUM_NO_MEMORY || head == KVORUM_NEWER_FORMAT)
        return head;
    s->lost += s->size < TABLE_HEAD_SIZE ? s->size : TABLE_HEAD_SIZE;
    kvorum_status status = ask_foot(s);
    if (status == KVORUM_OK || status == KVORUM_NO_MEMORY || status == KVORUM_NEWER_FORMAT)
        return status;
    status = ask_properties(s);
    return status == KVORUM_CORRUPT ? head : status;
}

/* --- blocks -------------------------------------------------------------------------------- */

static kvorum_status unpack(struct salvage *s, const struct table_frame *frame, struct bytes *raw)
{
    if (frame->compression == LSM_STORED)
        return KVORUM_OK;
    if (s->raw_capacity < frame->raw_size) {
        free(s->raw);
        s->raw_capacity = 0;
        s->raw = malloc((size_t)frame->raw_size + TABLE_SLACK);
        if (s->raw == NULL)
            return KVORUM_NO_MEMORY;
        s->raw_capacity = frame->raw_size;
    }
    kvorum_status status =
        table_decompress(&s->decompressor, frame->compression,
                         bytes_make(raw->data, frame->stored_size), s->raw, frame->raw_size);
    *raw = bytes_make(s->raw, frame->raw_size);
    return status;
}

static kvorum_status take_entries(struct salvage *s, struct bytes raw)
{
    if (!table_view_check(raw.data, raw.size))
        return KVORUM_CORRUPT;
    table_block_cursor_view(&s->cursor, raw.data, raw.size);
    for (size_t i = 0; i < s->cursor.view.count; i++) {
        struct lsm_entry entry;
        kvorum_status status = table_block_cursor_at(&s->cursor, i, &entry);
        if (status == KVORUM_OK)
            status = s->refused = s->entry(s->context, &entry);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}

static kvorum_status visit_range(void *context, const struct lsm_range *range)
{
    struct salvage *s = context;
    s->refused = s->range(s->context, range);
    return s->refused;
}

/* How many there are is known by those who wrote them; here the bytes must end with one. */
static kvorum_status take_ranges(struct salvage *s, struct bytes raw)
{
    return table_ranges_visit(raw, UINT64_MAX, visit_range, s);
}

/* A block that is intact.  *ret_size: of it; 0: there is none. */
static kvorum_status take_block(struct salvage *s, uint64_t offset, uint64_t *ret_size)
{
    struct table_frame frame;
    *ret_size = 0;
    kvorum_status status = look_at(s, offset, TABLE_FRAME_SIZE);
    if (status != KVORUM_OK ||
        !table_frame_peek(&s->id, offset, view(s, offset, TABLE_FRAME_SIZE), &frame))
        return status;
    uint64_t size = table_framed_size(frame.stored_size);
    if (size > s->size - offset)
        return KVORUM_OK;
    status = look_at(s, offset, size);
    if (status != KVORUM_OK)
        return status;
    struct bytes block = view(s, offset, size);
    if (table_frame_decode(&s->id, offset, block, frame.type, &frame) != KVORUM_OK)
        return KVORUM_OK;
    struct bytes raw = bytes_make(block.data + TABLE_FRAME_SIZE, frame.raw_size);
    status = unpack(s, &frame, &raw);
    if (status == KVORUM_OK && frame.type == TABLE_ENTRIES)
        status = take_entries(s, raw);
    if (status == KVORUM_OK && frame.type == TABLE_RANGES)
        status = take_ranges(s, raw);
    if (status == KVORUM_OK)
        *ret_size = size;
    if (s->refused != KVORUM_OK)
        return s->refused;
    return status == KVORUM_CORRUPT ? KVORUM_OK : status;
}

static bool is_foot(struct salvage *s, uint64_t offset)
{
    struct table_foot foot;
    return s->size - offset == TABLE_FOOT_SIZE &&
           look_at(s, offset, TABLE_FOOT_SIZE) == KVORUM_OK &&
           table_foot_decode(view(s, offset, TABLE_FOOT_SIZE), &foot) == KVORUM_OK;
}

static kvorum_status search(struct salvage *s)
{
    uint64_t offset = s->size < TABLE_HEAD_SIZE ? s->size : TABLE_HEAD_SIZE;
    while (s->size - offset >= TABLE_FRAME_SIZE) {
        uint64_t size = 0;
        kvorum_status status = take_block(s, offset, &size);
        if (status != KVORUM_OK)
            return status;
        if (size == 0 && is_foot(s, offset))
            return KVORUM_OK;
        s->lost += size == 0 ? TABLE_ALIGNMENT : 0;
        offset += size == 0 ? TABLE_ALIGNMENT : size;
    }
    s->lost += s->size - offset;
    return KVORUM_OK;
}

kvorum_status
lsm_table_salvage(struct disk *disk, const char *path,
                  kvorum_status (*entry)(void *context, const struct lsm_entry *entry),
                  kvorum_status (*range)(void *context, const struct lsm_range *range),
                  void *context, uint64_t *ret_lost_size)
{
    struct salvage s = { .entry = entry, .range = range, .context = context };
    kvorum_status status = disk->ops->open(disk, path, DISK_READ, &s.file);
    if (status != KVORUM_OK)
        return status;
    table_block_cursor_init(&s.cursor);
    status = s.file->ops->size(s.file, &s.size);
    if (status == KVORUM_OK)
        status = identify(&s);
    if (status == KVORUM_OK)
        status = search(&s);
    if (status == KVORUM_OK)
        *ret_lost_size = s.lost;
    s.file->ops->close(s.file);
    table_block_cursor_done(&s.cursor);
    table_decompressor_done(&s.decompressor);
    free(s.data);
    free(s.raw);
    return status;
}
