/* SPDX-License-Identifier: Apache-2.0 */
/** What operators send: a JSON object. */
#ifndef SERVER_PROTOCOL_HTTP_JSON_BODY_H
#define SERVER_PROTOCOL_HTTP_JSON_BODY_H

#include <jansson.h>

#include "server/protocol/http/internal.h"

/** The request's body, to be given back by json_decref; without one, an empty object.  NULL: it is
 *  no JSON object, or names something twice. */
json_t *http_json_body(const struct http *http);

#endif
