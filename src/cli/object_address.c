/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/object_address.h"

#include <stdio.h>

#include "cli/message.h"

bool object_address_read(const struct invocation *invocation, int count,
                         struct object_address *ret_address)
{
    const char *first = invocation->arguments[0];
    const char *slash = strchr(first, '/');
    struct object_address address;
    if (count == 2) {
        address.bucket = bytes_of_string(first);
        address.key = bytes_of_string(invocation->arguments[1]);
    } else if (slash != NULL) {
        address.bucket = bytes_make(first, (size_t)(slash - first));
        address.key = bytes_of_string(slash + 1);
    } else {
        address.bucket = address.key = BYTES_LITERAL("");
    }
    if (address.bucket.size == 0 || address.key.size == 0) {
        say_error("'%s' names no key; write BUCKET/KEY or BUCKET KEY, for example pets/cat", first);
        return false;
    }
    snprintf(address.text, sizeof(address.text), "%.*s/%.*s", (int)address.bucket.size,
             (const char *)address.bucket.data, (int)address.key.size,
             (const char *)address.key.data);
    *ret_address = address;
    return true;
}
