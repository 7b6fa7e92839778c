/* SPDX-License-Identifier: Apache-2.0 */
/** What the documents about this process and its cluster share.  Thread: any. */
#ifndef SERVER_VIEW_JSON_H
#define SERVER_VIEW_JSON_H

#include <jansson.h>

#include "base/buffer.h"
#include "cluster/ring/ring.h"

/** Its bytes in hexadecimal. */
json_t *view_json_id(const struct node_id *id);
/** Append the document as text, and end it.  Without memory the buffer has failed. */
void view_json_print(json_t *json, struct buffer *ret_text);

#endif
