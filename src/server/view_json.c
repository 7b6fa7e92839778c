/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view_json.h"

#include <stdio.h>
#include <stdlib.h>

json_t *view_json_id(const struct node_id *id)
{
    char text[2 * NODE_ID_SIZE + 1];
    for (unsigned i = 0; i < NODE_ID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id->bytes[i]);
    return json_string(text);
}

void view_json_print(json_t *json, struct buffer *ret_text)
{
    char *text = json_dumps(json, JSON_INDENT(2));
    if (text != NULL)
        buffer_append_text(ret_text, text);
    else
        ret_text->failed = true;
    free(text);
    json_decref(json);
}
