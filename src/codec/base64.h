/* SPDX-License-Identifier: Apache-2.0 */
/** Base64 (RFC 4648, with padding). */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/arena.h"
#include "base/buffer.h"

void base64_encode(struct bytes bytes, struct buffer *buffer);
/** False: not base64 (strict: padding, no blanks), or no memory. */
bool base64_decode(struct bytes text, struct arena *arena, struct bytes *ret);

#endif
