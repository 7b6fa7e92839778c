/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buffer *buffer, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t size = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= size > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= size > 2 ? bytes.data[i + 2] : 0;
        char out[4] = { digits[group >> 18], digits[group >> 12 & 63],
                        size > 1 ? digits[group >> 6 & 63] : '=',
                        size > 2 ? digits[group & 63] : '=' };
        buffer_append(buffer, out, 4);
    }
}

static int value_of(uint8_t c)
{
    const char *at = c == 0 ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

bool base64_append_decoded(struct buffer *buffer, struct bytes text)
{
    if (text.size % 4 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 4) {
        bool last = i + 4 == text.size;
        size_t padding = !last ? 0 : text.data[i + 3] != '=' ? 0 : text.data[i + 2] == '=' ? 2 : 1;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j < 4 - padding ? value_of(text.data[i + j]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        uint8_t out[3] = { (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group };
        buffer_append(buffer, out, 3 - padding);
    }
    return !buffer->failed;
}
