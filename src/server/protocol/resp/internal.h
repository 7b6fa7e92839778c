/* SPDX-License-Identifier: Apache-2.0 */
/** A RESP connection: requests are run as they are parsed, replies leave in the order of the
 *  requests.
 *
 *      queue   [GET a: waiting] [GET b: done, 7 bytes] [PING: done, 7 bytes]
 *               first: its answer goes straight to the output; the others keep theirs until then
 *
 *  A pipeline is several requests in flight at once, so the order of their effects is guarded: a
 *  request that depends on an unanswered one of this connection waits for it (see hazard.c), and
 *  nothing overtakes a command that changes many keys. */
#ifndef SERVER_RESP_INTERNAL_H
#define SERVER_RESP_INTERNAL_H

#include "base/list.h"
#include "codec/resp.h"
#include "server/protocol/protocol.h"
#include "server/view.h"

enum {
    RESP_DATABASES = 16,
    RESP_SPARE_REPLIES = 64,    /* kept for reuse, a connection */
    RESP_REPLY_KEPT = 4096,     /* bytes a spare reply may hold on to */
    RESP_HOLD_WEIGHT = 1 << 20, /* above any [limits] pipeline */
    RESP_HAZARDS = 64,
    RESP_CLIENT_NAME_MAX = 255,
};

struct resp_gather;
struct resp_flush;

/* What a request does with its key. */
enum resp_use { RESP_USE_NONE, RESP_USE_READ, RESP_USE_SET, RESP_USE_DELETE, RESP_USES };

struct resp_reply {
    struct list link; /* queue or spare */
    struct resp_connection *owner;
    uint64_t operation; /* for node_cancel; 0: none under way */
    struct resp_gather *gather;
    struct resp_flush *flush;
    struct buffer text; /* while it is not first in the queue */
    uint8_t use, place; /* see hazard.c */
    bool done, counted;
    bool listing, more, ended; /* DBSIZE */
    uint64_t total;
};

struct resp_connection {
    struct protocol protocol; /* first */
    struct connection *connection;
    const struct protocol_environment *environment;
    struct resp_parser parser;
    struct operation operation; /* what is the same in all: bucket, levels */
    struct list queue, spare;
    uint32_t spare_count;
    uint32_t used, gathering;    /* unanswered: of one key, reading many */
    uint32_t used_as[RESP_USES]; /* `used`, by what they do with it */
    uint16_t uses[RESP_HAZARDS][RESP_USES];
    bool parsing; /* inside input() */
    bool partial; /* the last request is not whole */
    bool held;    /* parse nothing until the queue is empty */
    bool quitting, finished;
    uint8_t database;
    char bucket[8];
    uint64_t id;
    char name[RESP_CLIENT_NAME_MAX + 1];
};

struct resp_call {
    struct resp_connection *connection;
    const struct resp_command *command;
    uint32_t count;     /* arguments, the name included */
    struct buffer *out; /* of immediate commands */
    bool wait;          /* set by a command that must run later: nothing has happened */
};

enum resp_command_flags {
    RESP_WRITE = 1 << 0,
    RESP_READONLY = 1 << 1,
    RESP_FAST = 1 << 2,
    RESP_ADMIN = 1 << 3,
    RESP_LOADING = 1 << 4,
    RESP_ASYNC = 1 << 8, /* makes its own reply; the others write into call->out */
};

struct resp_command {
    const char *name;
    int8_t arity; /* Redis' way: with the name; -n: at least n */
    uint8_t first_key;
    int8_t last_key, key_step;
    uint16_t flags;
    void (*run)(struct resp_call *call);
    const char *group, *summary;
};

static inline struct bytes resp_call_argument(const struct resp_call *call, uint32_t index)
{
    return resp_argument(&call->connection->parser, index);
}

bool resp_is(struct bytes word, const char *name); /* whatever the case */

/* commands.c */
extern const struct resp_command resp_commands[];
extern const uint32_t resp_command_count;
const struct resp_command *resp_command_find(struct bytes name);
/** The known command most like `name`, or NULL when none is near. */
const struct resp_command *resp_command_nearest(struct bytes name);
void resp_execute(struct resp_connection *resp, struct resp_call *call);

/* ahead.c */
/** Tell the node about the requests in `input`; returns how many to run before the next look. */
uint32_t resp_look_ahead(struct resp_connection *resp, struct bytes input);

/* reply.c */
/** NULL: out of memory, and the connection is being closed. */
struct resp_reply *resp_reply_begin(struct resp_connection *resp);
/** Where to write the reply, all at once, just before resp_reply_end. */
struct buffer *resp_reply_out(struct resp_reply *reply);
void resp_reply_end(struct resp_reply *reply);
/** The operation of `reply` did not end inside node_submit. */
void resp_reply_pending(struct resp_reply *reply, uint64_t operation);
void resp_reply_error(struct resp_connection *resp, const char *code, const char *text);
void resp_replies_cancel(struct resp_connection *resp);
/** Parse nothing more until the queue is empty. */
void resp_hold(struct resp_connection *resp);
/** Write the error reply that stands for `answer`. */
void resp_write_answer(struct buffer *out, const struct answer *answer);

/* hazard.c */
bool resp_key_busy(const struct resp_connection *resp, struct bytes key, enum resp_use use);
void resp_key_note(struct resp_reply *reply, struct bytes key, enum resp_use use);
void resp_key_forget(struct resp_reply *reply);

/* gather.c */
struct resp_gather_kind;
extern const struct resp_gather_kind resp_gather_get, resp_gather_exists, resp_gather_delete,
    resp_gather_set;
/** Run one operation a key of the request and answer with all of it. */
void resp_gather(struct resp_call *call, const struct resp_gather_kind *kind);
void resp_gather_cancel(struct resp_gather *gather);

/* flush.c */
void resp_run_flushdb(struct resp_call *call);
void resp_run_flushall(struct resp_call *call);
/** Its client is gone. */
void resp_flush_cancel(struct resp_flush *flush);

/* keys.c */
void resp_run_get(struct resp_call *call);
void resp_run_set(struct resp_call *call);
void resp_run_del(struct resp_call *call);
void resp_run_exists(struct resp_call *call);
void resp_run_mget(struct resp_call *call);
void resp_run_mset(struct resp_call *call);
void resp_run_dbsize(struct resp_call *call);
void resp_run_setex(struct resp_call *call);
void resp_run_psetex(struct resp_call *call);
/** Run `operation` on the key in the first argument, or let the call wait for its turn. */
void resp_submit(struct resp_call *call, struct operation *operation, enum resp_use use,
                 node_answer_fn on_answer);
/** The value Redis clients see: the winner's, and false when that is a deletion. */
bool resp_value_of(const struct answer *answer, struct bytes *ret_value);

/* expire.c */
enum resp_time { RESP_TIME_SECONDS, RESP_TIME_MS, RESP_TIME_UNIX_SECONDS, RESP_TIME_UNIX_MS };
/** A time to live, or a moment, that must lie in the future or at least be above 0: false and an
 *  error reply when it is none. */
bool resp_read_deadline(struct resp_call *call, struct bytes text, enum resp_time time,
                        uint64_t *ret_ms);
void resp_run_expire(struct resp_call *call);
void resp_run_pexpire(struct resp_call *call);
void resp_run_expireat(struct resp_call *call);
void resp_run_pexpireat(struct resp_call *call);
void resp_run_persist(struct resp_call *call);
void resp_run_ttl(struct resp_call *call);
void resp_run_pttl(struct resp_call *call);
void resp_run_expiretime(struct resp_call *call);
void resp_run_pexpiretime(struct resp_call *call);

/* session.c */
void resp_session_reset(struct resp_connection *resp);
void resp_run_ping(struct resp_call *call);
void resp_run_echo(struct resp_call *call);
void resp_run_select(struct resp_call *call);
void resp_run_quit(struct resp_call *call);
void resp_run_reset(struct resp_call *call);
void resp_run_hello(struct resp_call *call);
void resp_run_client(struct resp_call *call);

/* info.c, config.c, describe.c */
void resp_run_info(struct resp_call *call);
void resp_run_config(struct resp_call *call);
void resp_run_command(struct resp_call *call);

/* glob.c */
/** Redis' patterns: * ? [a-z] [^a] and \ before any byte, whatever the case.  Time is bounded by
 *  the product of the sizes. */
bool resp_glob_match(struct bytes pattern, struct bytes text);

#endif
