/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct bytes bytes, struct buffer *buffer)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        char text[4] = { alphabet[group >> 18], alphabet[group >> 12 & 63],
                         left > 1 ? alphabet[group >> 6 & 63] : '=',
                         left > 2 ? alphabet[group & 63] : '=' };
        buffer_append(buffer, text, sizeof(text));
    }
}

static int digit(uint8_t c)
{
    const char *at = c == 0 ? NULL : memchr(alphabet, c, sizeof(alphabet) - 1);
    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Four characters to at most three bytes; the last group may end in padding. */
static bool decode_group(const uint8_t *text, bool last, uint8_t **at)
{
    int padding = last ? (text[3] == '=') + (text[3] == '=' && text[2] == '=') : 0;
    uint32_t group = 0;
    for (int i = 0; i < 4 - padding; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return false;
        group |= (uint32_t)value << (18 - 6 * i);
    }
    for (int i = 0; i < 3 - padding; i++)
        *(*at)++ = (uint8_t)(group >> (16 - 8 * i));
    uint32_t unused = padding == 2 ? 0xffff : padding == 1 ? 0xff : 0;
    return (group & unused) == 0;
}

bool base64_decode(struct bytes text, struct arena *arena, struct bytes *ret)
{
    uint8_t *data = arena_allocate(arena, text.size / 4 * 3), *at = data;
    if (data == NULL || text.size % 4 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 4)
        if (!decode_group(text.data + i, i + 4 == text.size, &at))
            return false;
    *ret = bytes_make(data, (size_t)(at - data));
    return true;
}
