/* SPDX-License-Identifier: Apache-2.0 */
/** One command's conversation with one node over HTTP: who is asked, and how failures are told and
 *  turned into exit codes.  Thread: one.  Blocks: on the network. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <jansson.h>

#include "cli/exit_code.h"
#include "cli/http_client.h"
#include "cli/option.h"

enum { SESSION_BODY_MAX = 600 << 20, HTTP_PORT = 8098, RESP_PORT = 6379 };

struct session {
    struct http_client client;
    const struct invocation *invocation;
};

/** From --node and --timeout.  False after saying what is wrong. */
bool session_begin(struct session *session, const struct invocation *invocation);
void session_end(struct session *session);

/** Say why there is no answer to "cannot read pets/cat" (`what`), and return the exit code. */
int session_fail(const struct http_client *client, const char *what, kvorum_status status);
/** The same for an answer that is an error: its reason is passed on. */
int session_refused(const struct http_client *client, const char *what);

/** Ask with `method` and `body` (NULL: none), and take the object that is answered, to be given
 *  back by json_decref.  NOT_READY: an answer that is an error; INVALID: no object; else why there
 *  was no answer.  Blocks. */
KVORUM_CHECKED kvorum_status session_object(struct http_client *client, const char *method,
                                            struct bytes path, const json_t *body,
                                            json_t **ret_json);
/** The answer's body, to be given back by json_decref.  NULL: it is no JSON, as *ret_error says. */
json_t *session_json(const struct http_client *client, json_error_t *ret_error);
/** Say why session_object, which returned `status`, brought nothing to "cannot commit" (`what`),
 *  and return the exit code. */
int session_object_failed(const struct http_client *client, const char *what, kvorum_status status);
/** The exit code of an answer; EXIT_DONE for 2xx, 3xx. */
int session_exit_code(const struct http_response *response);

/** /types/T/buckets/B/keys/K; `type` NULL or "default", `key` without data: shorter. */
void session_append_path(struct buffer *path, const char *type, struct bytes bucket,
                         struct bytes key);
/** Append "?name=value" or "&name=value" for each quorum option given, and the timeout. */
void session_append_levels(struct buffer *path, const struct invocation *invocation);

#endif
