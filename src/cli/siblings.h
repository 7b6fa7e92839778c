/* SPDX-License-Identifier: Apache-2.0 */
/** The values in an answer to a read: one for 200, several for 300 Multiple Choices. */
#ifndef CLI_SIBLINGS_H
#define CLI_SIBLINGS_H

#include "cli/http_response.h"
#include "cli/option.h"

enum { SIBLINGS_MAX = 1024 };

struct sibling_view { /* views into the response; empty where the answer says nothing */
    struct bytes value, content_type, vtag, last_modified;
    bool deleted;
    const struct http_response *response; /* whose fields are its, or NULL: */
    struct bytes head;                    /* of its part */
};

struct siblings {
    struct bytes context;
    uint32_t count;
    struct sibling_view list[SIBLINGS_MAX];
};

/** False when a 300 answer carries no readable parts. */
bool siblings_read(const struct http_response *response, struct siblings *ret_siblings);

/** Every header field of one value, of an answer with it alone also those of the answer. */
void sibling_visit_fields(const struct sibling_view *view,
                          void (*visit)(void *context, struct bytes name, struct bytes value),
                          void *context);

struct object_address;
/** Print them as -o says.  Returns an exit code. */
int siblings_print(const struct siblings *siblings, const struct object_address *address,
                   const struct invocation *invocation);

#endif
