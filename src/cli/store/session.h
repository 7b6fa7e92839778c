/* SPDX-License-Identifier: Apache-2.0 */
/** One command's use of one store's files: how failures are told and turned into exit codes.
 *
 *      store_open -> ... -> store_close
 *
 *  Thread: one.  Blocks: on disk. */
#ifndef CLI_STORE_SESSION_H
#define CLI_STORE_SESSION_H

#include "base/buffer.h"
#include "cli/exit_code.h"
#include "cli/option.h"
#include "kvorum/kvorum.h"

struct store_session {
    const struct invocation *invocation;
    const char *path; /* the first argument */
    kvorum_store *store;
    char said[1024]; /* the last warning or error of the store's log; empty: none */
};

/** Make ready without opening. */
void store_begin(struct store_session *session, const struct invocation *invocation);
/** Options whose log goes to `session`. */
kvorum_options store_options(struct store_session *session);
/** Open the store that must be there, to change it or only to look.  EXIT_DONE, or an exit code
 *  after saying why not. */
int store_open(struct store_session *session, const struct invocation *invocation);
int store_open_to_read(struct store_session *session, const struct invocation *invocation);
void store_close(struct store_session *session);

/** Say that `what` ("open the store") failed, why, and what to do next; returns the exit code. */
int store_fail(const struct store_session *session, const char *what, kvorum_status status);

/** Append argument `index`, unescaped when --escaped is given.  False after saying why not. */
bool store_argument(const struct invocation *invocation, int index, struct buffer *out);
/** The same for the option `name`; nothing is appended when it is not given. */
bool store_option(const struct invocation *invocation, const char *name, struct buffer *out);

static inline kvorum_bytes store_bytes(const struct buffer *buffer)
{
    return kvorum_make(buffer->data, buffer->size);
}

static inline struct bytes bytes_of_public(kvorum_bytes bytes)
{
    return bytes_make(bytes.data, bytes.size);
}

#endif
