/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/window.h"

#include <stdlib.h>

void table_window_init(struct table_window *window, size_t ahead)
{
    *window = (struct table_window){ .ahead = ahead };
}

void table_window_done(struct table_window *window)
{
    free(window->data);
    free(window->raw);
    table_decompressor_done(&window->decompressor);
    table_window_init(window, 0);
}

void table_window_forget(struct table_window *window)
{
    window->first = window->end = 0;
}

static bool make_room(uint8_t **data, size_t *capacity, size_t size)
{
    if (*capacity >= size)
        return true;
    free(*data);
    *capacity = 0;
    *data = malloc(size + TABLE_SLACK);
    if (*data == NULL)
        return false;
    *capacity = size;
    return true;
}

static kvorum_status fill(struct table_window *window, struct table_open *open, size_t place,
                          bool backward)
{
    const uint64_t *offsets = open->index.offsets;
    size_t first = place, end = place + 1;
    while (backward && first > 0 && offsets[end] - offsets[first - 1] <= window->ahead)
        first--;
    while (!backward && end < open->index.count &&
           offsets[end + 1] - offsets[first] <= window->ahead)
        end++;
    size_t size = (size_t)(offsets[end] - offsets[first]);
    window->first = window->end = 0;
    if (!make_room(&window->data, &window->capacity, size))
        return KVORUM_NO_MEMORY;
    kvorum_status status = table_file_read(open->file, offsets[first], window->data, size);
    if (status != KVORUM_OK)
        return status;
    window->first = first;
    window->end = end;
    if (window->ahead < TABLE_WINDOW_MAX)
        window->ahead *= 2;
    return KVORUM_OK;
}

kvorum_status table_window_block(struct table_window *window, struct table_open *open, size_t place,
                                 bool backward, struct bytes *ret_raw)
{
    struct table_frame frame;
    kvorum_status status = KVORUM_OK;
    if (place < window->first || place >= window->end)
        status = fill(window, open, place, backward);
    if (status != KVORUM_OK)
        return status;
    uint64_t offset = open->index.offsets[place];
    const uint8_t *block = window->data + (offset - open->index.offsets[window->first]);
    struct bytes framed = bytes_make(block, table_index_block_size(&open->index, place));
    status = table_frame_decode(&open->foot.file, offset, framed, TABLE_ENTRIES, &frame);
    if (status != KVORUM_OK)
        return status;
    struct bytes raw = bytes_make(block + TABLE_FRAME_SIZE, frame.raw_size);
    if (frame.compression != LSM_STORED) {
        if (!make_room(&window->raw, &window->raw_capacity, frame.raw_size))
            return KVORUM_NO_MEMORY;
        status =
            table_decompress(&window->decompressor, frame.compression,
                             bytes_make(raw.data, frame.stored_size), window->raw, frame.raw_size);
        raw.data = window->raw;
    }
    if (status == KVORUM_OK && !table_view_check(raw.data, raw.size))
        status = KVORUM_CORRUPT;
    if (status == KVORUM_OK)
        *ret_raw = raw;
    return status;
}
