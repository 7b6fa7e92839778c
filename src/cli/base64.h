/* SPDX-License-Identifier: Apache-2.0 */
/** Base64 with padding (RFC 4648 section 4). */
#ifndef CLI_BASE64_H
#define CLI_BASE64_H

#include "base/buffer.h"

void base64_append(struct buffer *buffer, struct bytes bytes);
/** False when `text` is no base64; then bytes may have been appended. */
bool base64_append_decoded(struct buffer *buffer, struct bytes text);

#endif
