/* SPDX-License-Identifier: Apache-2.0 */
#include "server/protocol/http/json_body.h"

json_t *http_json_body(const struct http *http)
{
    struct bytes body = http->request.body;
    json_error_t error;
    if (body.size == 0)
        return json_object();
    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}
