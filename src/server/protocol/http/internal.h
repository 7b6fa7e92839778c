/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of protocol/http share.
 *
 *      http.c       one connection: llhttp in front, one request at a time, limits
 *      request.c    a request: path segments, query, headers, quorum parameters
 *      response.c   status line, headers, bodies whole or in chunks
 *      routes.c     the table of routes
 *      object.c     reading objects           store.c   writing and deleting them
 *      condition.c  If-Match and its kin      headers.c object metadata <-> headers
 *      list.c       keys and buckets          props.c   bucket properties
 *      cluster.c    the shape of the cluster, and changes of it
 *      tasks.c      background work         repair.c  comparing replicas now
 *      about.c      /, /ping, /stats, /kvorum/status, and what is not there yet
 *
 *  Requests of a connection run one after another, as HTTP/1.1 promises pipelining clients; while
 *  one runs the connection's further bytes wait. */
#ifndef SERVER_HTTP_INTERNAL_H
#define SERVER_HTTP_INTERNAL_H

#include <llhttp.h>

#include "base/arena.h"
#include "server/protocol/protocol.h"

enum { HTTP_HEADERS_MAX = 256, HTTP_SEGMENTS_MAX = 12, HTTP_ARENA_LIMIT = 1 << 30 };

struct http_span {
    size_t offset, size; /* in http->head */
};

struct http_header {
    struct http_span name, value; /* the name in lower case */
};

struct http_request {
    uint8_t method; /* HTTP_GET, ... */
    bool keep_alive, minor_0;
    struct bytes path;
    struct bytes query;                       /* without '?' */
    struct bytes segments[HTTP_SEGMENTS_MAX]; /* decoded */
    uint32_t segment_count;
    struct bytes type, bucket, key; /* set by the router */
    bool key_made;                  /* by us, for a POST without one */
    struct bytes body;
};

/* A change of properties or of the cluster cannot be cancelled: its answer may come when the
 * connection is gone. */
struct http_setting {
    struct http *http; /* NULL: gone */
};

struct http {
    struct protocol base;
    struct connection *connection;
    struct protocol_environment environment;
    llhttp_t parser;
    bool mid_request; /* begun, not whole */
    bool complete;    /* whole, to be run */
    bool busy;        /* running */
    bool in_input;
    bool finished;    /* no more requests */
    uint16_t refused; /* status to answer with instead of running it; 0: none */
    const char *refused_why;
    struct http_span url;
    struct http_header headers[HTTP_HEADERS_MAX];
    uint32_t header_count;
    bool in_value;
    struct buffer head, body;
    struct arena arena; /* of the request */
    struct http_request request;
    uint64_t operation_id; /* in flight at the node; 0: none */
    struct http_setting *setting;
    /* the response */
    struct buffer response; /* header lines so far */
    bool chunked, streaming;
    uint16_t status;
    /* object operations */
    struct operation operation;
    /* lists */
    bool list_stream, list_started, list_named, list_buckets, list_paused;
    bool list_encoded; /* names as in a path */
    bool list_props;   /* the old form also shows the properties */
};

/* http.c */
/** The response is written: take the next request. */
void http_done(struct http *http);
/** The context of a change that is given to the node.  NULL: no memory, and the answer is sent. */
struct http_setting *http_setting_begin(struct http *http);
/** It was answered.  NULL: nobody is there any more. */
struct http *http_setting_end(struct http_setting *setting);

/* request.c */
struct bytes http_span_bytes(const struct http *http, struct http_span span);
/** The first header of this (lower-case) name; data NULL when there is none. */
struct bytes http_header(const struct http *http, const char *name);
/** False: a malformed target; `refused` says how. */
bool http_request_parse(struct http *http);
bool http_percent_decode(struct arena *arena, struct bytes text, bool plus, struct bytes *ret);
/** The value of a query parameter, decoded; false when it is not there. */
bool http_query(struct http *http, const char *name, struct bytes *ret);
bool http_query_is(struct http *http, const char *name, const char *value);
/** "true" or "false"; false: a 400 was sent. */
bool http_query_flag(struct http *http, const char *name, int8_t *flag);
/** Quorum parameters, timeout and flags; false: a 400 was sent. */
bool http_query_levels(struct http *http, struct quorum_levels *ret, uint32_t *ret_timeout_ms);
bool bytes_is_text(struct bytes bytes, const char *text);
bool bytes_is_text_any_case(struct bytes bytes, const char *lower);

/* response.c */
void http_begin(struct http *http, uint16_t status);
void http_add(struct http *http, const char *name, const char *value);
void http_add_bytes(struct http *http, const char *name, struct bytes value);
/** Whole body and end of the response. */
void http_end(struct http *http, struct bytes body);
void http_end_text(struct http *http, const char *text);
/** One counter of all shards (`stat`, as in /stats) under the `name` it has in an answer. */
struct http_number {
    const char *name, *stat;
    uint64_t value; /* filled in */
};
/** An object of the node's name, its number of shards, and `numbers` (ended by a NULL name). */
void http_answer_numbers(struct http *http, uint16_t status, struct http_number *numbers);
/** A plain text answer in one go. */
void http_text(struct http *http, uint16_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** A whole document; `json`, which ends with it, may have run out of memory: 500. */
void http_json(struct http *http, uint16_t status, struct buffer *json);
void http_error(struct http *http, const struct answer *answer);
/** A body in pieces: begin, any number of writes, end. */
void http_stream_begin(struct http *http);
void http_stream_write(struct http *http, struct bytes piece);
void http_stream_end(struct http *http);
void http_date(uint64_t wall_ms, char ret_text[32]);
void http_json_string(struct buffer *buffer, struct bytes text);

/* headers.c */
/** Metadata of the request's headers, in the arena; false: refused, the answer is sent. */
bool http_read_metadata(struct http *http, struct operation *operation);
bool http_read_ttl(struct http *http, struct operation *operation);
/** Header lines of one sibling, as "Name: value\r\n". */
void http_write_metadata(struct http *http, const struct sibling *sibling, struct buffer *lines);
void http_write_links(struct http *http, const struct sibling *sibling, struct buffer *lines);
/** Percent-encoded. */
void http_write_encoded(struct buffer *buffer, struct bytes text);

/* condition.c */
bool http_has_condition(const struct http *http);
/** What the conditions say about what is stored (NULL: nothing): 0 go on, or 304, 412. */
uint16_t http_check_conditions(struct http *http, const struct object *object);
void http_etag(const struct object *object, char ret_text[VTAG_SIZE]);

/* routes.c */
void http_route(struct http *http);

/* handlers */
void http_get_object(struct http *http);
void http_answer_object(struct http *http, const struct answer *answer);
void http_add_location(struct http *http);
void http_put_object(struct http *http);
void http_post_object(struct http *http);
void http_delete_object(struct http *http);
void http_list_keys(struct http *http);
void http_list_buckets(struct http *http);
void http_list_writable(struct http *http);
void http_get_props(struct http *http);
void http_put_props(struct http *http);
void http_reset_props(struct http *http);
void http_post_drop(struct http *http);
void http_write_props_json(struct http *http, struct buffer *json);
void http_get_bucket_old(struct http *http);
void http_get_root(struct http *http);
void http_get_ping(struct http *http);
void http_get_stats(struct http *http);
void http_get_status(struct http *http);
void http_get_cluster(struct http *http);
void http_get_cluster_plan(struct http *http);
void http_post_cluster_stage(struct http *http);
void http_post_cluster_clear(struct http *http);
void http_post_cluster_commit(struct http *http);
void http_get_cluster_recover(struct http *http);
void http_post_cluster_recover(struct http *http);
void http_get_repair(struct http *http);
void http_post_repair(struct http *http);
void http_get_tasks(struct http *http);
void http_post_tasks(struct http *http);
void http_get_scrub(struct http *http);
void http_post_scrub(struct http *http);
void http_post_scrub_accept(struct http *http);
void http_not_there_yet(struct http *http);

/** How a change of the cluster's shape, or a plan for one, that ended with `status` is answered. */
uint16_t http_change_code(kvorum_status status);

#endif
