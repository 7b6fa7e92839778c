/* SPDX-License-Identifier: Apache-2.0 */
/** BUCKET/KEY or BUCKET KEY among a command's arguments. */
#ifndef CLI_OBJECT_ADDRESS_H
#define CLI_OBJECT_ADDRESS_H

#include "base/bytes.h"
#include "cli/option.h"

struct object_address {
    struct bytes bucket, key;
    char text[160]; /* for messages, cut when long */
};

/** `count` arguments (1 or 2) are the address.  False after saying what is wrong. */
bool object_address_read(const struct invocation *invocation, int count,
                         struct object_address *ret_address);

#endif
