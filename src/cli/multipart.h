/* SPDX-License-Identifier: Apache-2.0 */
/** The parts of a multipart/mixed body (RFC 2046): how siblings come over HTTP.  Pure. */
#ifndef CLI_MULTIPART_H
#define CLI_MULTIPART_H

#include "base/bytes.h"

enum { MULTIPART_BOUNDARY_MAX = 70 };

struct multipart {
    struct bytes rest;
    char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF -- boundary */
};

/** False when `content_type` is no multipart with a usable boundary, or `body` has no first
 *  part. */
bool multipart_begin(struct multipart *multipart, struct bytes content_type, struct bytes body);
/** The next part; false after the last one, or at malformed bytes.  Views into the body. */
bool multipart_next(struct multipart *multipart, struct bytes *ret_head, struct bytes *ret_body);
/** The value of a field of a part's head; `name` in lower case. */
bool multipart_field(struct bytes head, const char *name, struct bytes *ret_value);

/** The next field of `head`, which moves behind it; false: there is none. */
bool multipart_next_field(struct bytes *head, struct bytes *ret_name, struct bytes *ret_value);

#endif
