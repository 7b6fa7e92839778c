/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_STATUS_COMMAND_H
#define CLI_STATUS_COMMAND_H

#include <jansson.h>

#include "cli/http_client.h"

/** Ask a node for its status document.  Own: the caller ends *ret_status with json_decref.
 *  Errors as http_client_call, and NOT_READY for an HTTP error, INVALID for a document we cannot
 *  read. */
KVORUM_CHECKED kvorum_status status_fetch(struct http_client *client, json_t **ret_status);

#endif
