/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, bytes out, against a fake node.  Each row runs whole and in pieces, with answers given
 * at once and late: the responses must be the same.  To be readable, rows leave out the headers
 * that all responses have (Server, Date, Vary, the link to the bucket), the context and the
 * versions' names. */
#include <stdio.h>

#include "server/protocol/http/internal.h"
#include "tests/support/fake_connection.h"
#include "tests/support/rows.h"

struct row {
    const char *name, *input, *expected;
    bool finished;
};

#define GET(path) "GET " path " HTTP/1.1\r\n\r\n"
#define TEXT "Content-Type: text/plain\r\n"
/* A body of one byte. */
#define WRITE(method, path, headers, body)                                                         \
    method " " path " HTTP/1.1\r\n" headers "Content-Length: 1\r\n\r\n" body
#define PUT(path, body) WRITE("PUT", path, TEXT, body)
#define CAT "/buckets/pets/keys/cat"

#define NO_CONTENT "204 No Content\nContent-Type: text/plain\n\n"
#define PLAIN(status, length, body)                                                                \
    status "\nContent-Type: text/plain\nContent-Length: " length "\n\n" body
#define MODIFIED "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\n"
#define VALUE(body) /* of one byte */                                                              \
    "200 OK\nContent-Type: text/plain\n" MODIFIED "Content-Length: 1\n\n" body
#define MISSING PLAIN("404 Not Found", "10", "not found\n")
#define CHUNKED "200 OK\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"

static const struct row rows[] = {
    /* framing */
    { "ping", GET("/ping"), "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK", false },
    { "responses of a pipeline are in order", PUT(CAT, "x") GET("/ping") GET(CAT) GET("/nothing/"),
      NO_CONTENT "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK" VALUE("x")
          PLAIN("404 Not Found", "74",
                "no such resource; GET / lists them, an object is /buckets/BUCKET/keys/KEY\n"),
      false },
    { "Connection: close ends after the response",
      "GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n",
      "200 OK\nContent-Type: text/html\nConnection: close\nContent-Length: 2\n\nOK", true },
    { "HTTP/1.0 closes", "GET /ping HTTP/1.0\r\n\r\n",
      "200 OK\nContent-Type: text/html\nConnection: close\nContent-Length: 2\n\nOK", true },
    { "HTTP/1.0 may keep alive", "GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "200 OK\nContent-Type: text/html\nConnection: keep-alive\nContent-Length: 2\n\nOK", false },
    { "a HEAD has no body", "HEAD /ping HTTP/1.1\r\n\r\n",
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\n", false },
    { "an upgrade is ignored",
      "GET /ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET("/ping"),
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK"
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK",
      false },
    { "Expect: 100-continue", WRITE("PUT", CAT, TEXT "Expect: 100-continue\r\n", "x"),
      "100 Continue\n\n" NO_CONTENT, false },
    { "a body in chunks",
      "PUT " CAT " HTTP/1.1\r\n" TEXT
      "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" GET(CAT),
      NO_CONTENT VALUE("x"), false },
    { "two lengths are refused",
      "PUT " CAT " HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "a length and chunks are refused",
      "PUT " CAT " HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "a length that is no number", "PUT " CAT " HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "a length beyond all numbers",
      "PUT " CAT " HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "a body above the limit is refused by its length",
      "PUT " CAT " HTTP/1.1\r\nContent-Length: 65537\r\n\r\n",
      "413 Payload Too Large\nContent-Type: text/plain\nConnection: close\n*", true },
    { "no HTTP at all", "HELLO WORLD\r\n\r\n",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "a method nobody knows", "FROB / HTTP/1.1\r\n\r\n",
      "400 Bad Request\nContent-Type: text/plain\nConnection: close\n*", true },
    { "requests ahead of a bad one are answered", GET("/ping") "FROB / HTTP/1.1\r\n\r\n",
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK400 Bad Request\n"
      "Content-Type: text/plain\nConnection: close\n*",
      true },
    { "bad percent-encoding in the path", GET("/buckets/a%2/keys/b"),
      PLAIN("400 Bad Request", "58", "malformed path: bad percent-encoding or too many segments\n"),
      false },
    { "a page of another server is kept out",
      "GET /ping HTTP/1.1\r\nHost: a:8098\r\nReferer: http://evil.example/x\r\n\r\n",
      PLAIN("403 Forbidden", "59", "Forbidden: the request comes from a page of another server\n"),
      false },
    { "a page of this server is let in",
      "GET /ping HTTP/1.1\r\nHost: a:8098\r\nReferer: http://a:8098/x\r\n\r\n",
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK", false },
    { "a page from nowhere is kept out", "GET /ping HTTP/1.1\r\nOrigin: null\r\n\r\n",
      "403 Forbidden\n*", false },
    /* routes */
    { "the wrong method", "DELETE /ping HTTP/1.1\r\n\r\n",
      "405 Method Not Allowed\nAllow: GET, HEAD\n*", false },
    { "the wrong method for an object", "PATCH " CAT " HTTP/1.1\r\n\r\n",
      "405 Method Not Allowed\nAllow: GET, HEAD, PUT, POST, DELETE\n*", false },
    { "an unknown bucket type", GET("/types/maps/buckets/b/keys/k"),
      PLAIN("404 Not Found", "26", "Unknown bucket type: maps\n"), false },
    { "the default bucket type", PUT("/types/default/buckets/pets/keys/cat", "x") GET(CAT),
      NO_CONTENT VALUE("x"), false },
    { "the old form", PUT("/riak/pets/cat", "x") GET(CAT) GET("/riak/pets/cat"),
      NO_CONTENT VALUE("x") VALUE("x"), false },
    { "an absolute target", PUT("http://a" CAT, "x") GET("http://a:80" CAT), NO_CONTENT VALUE("x"),
      false },
    { "a slash inside a key", PUT("/buckets/b/keys/a%2Fb", "x") GET("/buckets/b/keys/a%2fb"),
      NO_CONTENT VALUE("x"), false },
    { "a plus in a path is a plus", PUT("/buckets/b/keys/a+b", "x") GET("/buckets/b/keys/a%2Bb"),
      NO_CONTENT VALUE("x"), false },
    { "MapReduce is not there", WRITE("POST", "/mapred", TEXT, "x"), "501 Not Implemented\n*",
      false },
    { "index queries are not there", GET("/buckets/b/index/age_int/7"), "501 Not Implemented\n*",
      false },
    { "counters are not there", GET("/buckets/b/counters/c"), "501 Not Implemented\n*", false },
    { "data types are not there", GET("/types/default/buckets/b/datatypes/c"),
      "501 Not Implemented\n*", false },
    { "link walking is not there", GET(CAT "/pets,_,1"), "501 Not Implemented\n*", false },
    { "properties of types are not there", GET("/types/default/props"), "501 Not Implemented\n*",
      false },
    /* objects */
    { "an absent object", GET(CAT), MISSING, false },
    { "what was put is got", PUT(CAT, "x") GET(CAT), NO_CONTENT VALUE("x"), false },
    { "HEAD of an object", PUT(CAT, "x") "HEAD " CAT " HTTP/1.1\r\n\r\n", NO_CONTENT VALUE(""),
      false },
    { "POST to a key is a PUT", WRITE("POST", CAT, TEXT, "x") GET(CAT), NO_CONTENT VALUE("x"),
      false },
    { "a value needs a type", WRITE("PUT", CAT, "", "x"),
      PLAIN("400 Bad Request", "36", "Missing Content-Type request header\n"), false },
    { "returnbody", WRITE("PUT", CAT "?returnbody=true", TEXT, "x"), VALUE("x"), false },
    { "returnbody of neither", WRITE("PUT", CAT "?returnbody=yes", TEXT, "x"),
      PLAIN("400 Bad Request", "49", "returnbody query parameter must be true or false\n"), false },
    { "DELETE, then it is gone, and says so",
      PUT(CAT, "x") "DELETE " CAT " HTTP/1.1\r\n\r\n" GET(CAT),
      NO_CONTENT NO_CONTENT "404 Not Found\nX-Riak-Deleted: true\nContent-Type: text/plain\n"
                            "Content-Length: 10\n\nnot found\n",
      false },
    { "DELETE of what is not there", "DELETE " CAT " HTTP/1.1\r\n\r\n", MISSING, false },
    { "metadata comes back",
      WRITE("PUT", CAT,
            "Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n"
            "X-Riak-Meta-Colour: red\r\nX-Riak-Index-Age_int: 7, 8\r\n"
            "X-Riak-Index-name_bin: tom\r\n",
            "x") GET(CAT),
      "204 No Content\nContent-Type: text/plain\n\n"
      "200 OK\nContent-Type: text/html; charset=utf-8\nContent-Encoding: gzip\n" MODIFIED
      "X-Riak-Meta-colour: red\nx-riak-index-age_int: 7, 8\nx-riak-index-name_bin: tom\n"
      "Content-Length: 1\n\nx",
      false },
    { "a time to live is told as what is left of it",
      WRITE("PUT", CAT, TEXT "X-Kvorum-TTL: 60\r\n", "x") GET(CAT),
      NO_CONTENT "200 OK\nContent-Type: text/plain\n" MODIFIED
                 "X-Kvorum-TTL: 60\nContent-Length: 1\n\nx",
      false },
    { "a time to live of 0 is for ever",
      WRITE("PUT", CAT, TEXT "X-Kvorum-TTL: 0\r\n", "x") GET(CAT), NO_CONTENT VALUE("x"), false },
    { "a time to live that is none", WRITE("PUT", CAT, TEXT "X-Kvorum-TTL: soon\r\n", "x"),
      PLAIN("400 Bad Request", "51", "X-Kvorum-TTL must be a number of seconds; 0: never\n"),
      false },
    { "links come back in the new form",
      WRITE("PUT", CAT,
            TEXT "Link: </buckets/pets/keys/d%20g>; riaktag=\"hates\", </riak/pets/owl>; "
                 "riaktag=\"a\", </buckets/pets>; rel=\"up\"\r\n",
            "x") GET(CAT),
      NO_CONTENT "200 OK\nContent-Type: text/plain\n"
                 "Link: </buckets/pets>; rel=\"up\", </buckets/pets/keys/d%20g>; "
                 "riaktag=\"hates\", </buckets/pets/keys/owl>; riaktag=\"a\"\n" MODIFIED
                 "Content-Length: 1\n\nx",
      false },
    { "a bad link", WRITE("PUT", CAT, TEXT "Link: <nowhere>; riaktag=\"a\"\r\n", "x"),
      "400 Bad Request\n*", false },
    { "an index of an unknown kind", WRITE("PUT", CAT, TEXT "X-Riak-Index-age: 7\r\n", "x"),
      "400 Bad Request\n*", false },
    { "an integer index that is none", WRITE("PUT", CAT, TEXT "X-Riak-Index-a_int: x\r\n", "x"),
      "400 Bad Request\n*", false },
    { "a context that is not base64", WRITE("PUT", CAT, TEXT "X-Riak-Vclock: !\r\n", "x"),
      "400 Bad Request\n*", false },
    { "a context of somebody else", WRITE("PUT", CAT, TEXT "X-Riak-Vclock: a2V5\r\n", "x"),
      "400 Bad Request\n*", false },
    /* quorums and errors */
    { "r that is neither number nor word", GET(CAT "?r=most"),
      PLAIN("400 Bad Request", "124",
            "r query parameter must be an integer or one of the following words: 'one', "
            "'quorum', 'all', 'local_quorum' or 'each_quorum'\n"),
      false },
    { "basic_quorum that is neither", GET(CAT "?basic_quorum=1"),
      PLAIN("400 Bad Request", "51", "basic_quorum query parameter must be true or false\n"),
      false },
    { "a bad timeout", GET(CAT "?timeout=soon"), "400 Bad Request\n*", false },
    { "a quorum above n", GET("/buckets/b/keys/fail-QUORUM_IMPOSSIBLE"),
      "400 Bad Request\nContent-Type: text/plain\nContent-Length: 75\n\n"
      "Specified r/pr values invalid for bucket n value of 3\nwhy,\n  and what next\n",
      false },
    { "too few replicas answered", GET("/buckets/b/keys/fail-UNAVAILABLE"),
      PLAIN("503 Service Unavailable", "46", "R-value unsatisfied: 1/2\nwhy,\n  and what next\n"),
      false },
    { "a write timed out", PUT("/buckets/b/keys/fail-TIMEOUT", "x"),
      PLAIN("503 Service Unavailable", "39", "request timed out\nwhy,\n  and what next\n"), false },
    { "too large for the node", PUT("/buckets/b/keys/fail-TOO_LARGE", "x"),
      "413 Payload Too Large\n*", false },
    { "too many siblings", PUT("/buckets/b/keys/fail-TOO_MANY_SIBLINGS", "x"),
      "500 Internal Server Error\nContent-Type: text/plain\nContent-Length: 46\n\n"
      "Error:\ntoo_many_siblings\nwhy,\n  and what next\n",
      false },
    { "a full store", PUT("/buckets/b/keys/fail-STORE_FULL", "x"), "507 Insufficient Storage\n*",
      false },
    { "an overloaded node", GET("/buckets/b/keys/fail-OVERLOADED"),
      "503 Service Unavailable\nRetry-After: 1\n*", false },
    /* conditions */
    { "If-None-Match: * writes what is new", WRITE("PUT", CAT, TEXT "If-None-Match: *\r\n", "x"),
      NO_CONTENT, false },
    { "If-None-Match: * refuses what is there",
      PUT(CAT, "x") WRITE("PUT", CAT, TEXT "If-None-Match: *\r\n", "y") GET(CAT),
      NO_CONTENT PLAIN("412 Precondition Failed", "20", "Precondition Failed\n") VALUE("x"),
      false },
    { "If-Match of another version refuses",
      PUT(CAT, "x") WRITE("PUT", CAT, TEXT "If-Match: \"other\"\r\n", "y") GET(CAT),
      NO_CONTENT PLAIN("412 Precondition Failed", "20", "Precondition Failed\n") VALUE("x"),
      false },
    { "If-Match: * needs something there", WRITE("PUT", CAT, TEXT "If-Match: *\r\n", "x"),
      PLAIN("412 Precondition Failed", "20", "Precondition Failed\n"), false },
    { "If-Modified-Since that day: not modified",
      PUT(CAT, "x") "GET " CAT " HTTP/1.1\r\n"
                    "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n",
      NO_CONTENT "304 Not Modified\nContent-Type: text/plain\n\n", false },
    { "If-Modified-Since before",
      PUT(CAT, "x") "GET " CAT " HTTP/1.1\r\n"
                    "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT\r\n\r\n",
      NO_CONTENT VALUE("x"), false },
    { "If-Unmodified-Since before: refused",
      PUT(CAT, "x")
          WRITE("PUT", CAT, TEXT "If-Unmodified-Since: Mon, 13 Nov 2023 22:13:20 GMT\r\n", "y"),
      NO_CONTENT PLAIN("412 Precondition Failed", "20", "Precondition Failed\n"), false },
    { "a date that is none is ignored",
      PUT(CAT, "x") "GET " CAT " HTTP/1.1\r\nIf-Modified-Since: yesterday\r\n\r\n",
      NO_CONTENT VALUE("x"), false },
    /* lists */
    { "keys need to be asked for", GET("/buckets/b/keys"), "400 Bad Request\n*", false },
    { "keys of an empty bucket", GET("/buckets/b/keys?keys=true"),
      CHUNKED "9\n{\"keys\":[\n2\n]}\n0\n\n", false },
    { "keys over pages",
      PUT("/buckets/b/keys/1", "x") PUT("/buckets/b/keys/2", "x") PUT("/buckets/b/keys/3", "x")
          PUT("/buckets/b/keys/4", "x") GET("/buckets/b/keys?keys=true") GET("/ping"),
      NO_CONTENT NO_CONTENT NO_CONTENT NO_CONTENT CHUNKED
      "9\n{\"keys\":[\nb\n\"1\",\"2\",\"3\"\n4\n,\"4\"\n2\n]}\n0\n\n"
      "200 OK\nContent-Type: text/html\nContent-Length: 2\n\nOK",
      false },
    { "keys as a stream",
      PUT("/buckets/b/keys/1", "x") PUT("/buckets/b/keys/2", "x") PUT("/buckets/b/keys/3", "x")
          PUT("/buckets/b/keys/4", "x") GET("/buckets/b/keys?keys=stream"),
      NO_CONTENT NO_CONTENT NO_CONTENT NO_CONTENT CHUNKED
      "16\n{\"keys\":[\"1\",\"2\",\"3\"]}\ne\n{\"keys\":[\"4\"]}\nb\n{\"keys\":[]}\n0\n\n",
      false },
    { "keys that are no text",
      PUT("/buckets/b/keys/%22%0A%FF%C3%A9", "x") GET("/buckets/b/keys?keys=true"),
      NO_CONTENT CHUNKED "9\n{\"keys\":[\n12\n\"\\\"\\u000a\\u00ff\xc3\xa9\"\n2\n]}\n0\n\n",
      false },
    { "buckets", PUT("/buckets/a/keys/1", "x") GET("/buckets?buckets=true"),
      NO_CONTENT CHUNKED "c\n{\"buckets\":[\n3\n\"a\"\n2\n]}\n0\n\n", false },
    { "a listing for HTTP/1.0 ends with the connection",
      PUT("/buckets/b/keys/1", "x") "GET /buckets/b/keys?keys=true HTTP/1.0\r\n\r\n",
      NO_CONTENT "200 OK\nContent-Type: application/json\nConnection: close\n\n{\"keys\":[\"1\"]}",
      true },
    { "a listing that fails", GET("/buckets/fail-TIMEOUT/keys?keys=true"),
      "503 Service Unavailable\n*", false },
    { "the old form shows the properties too",
      PUT("/riak/b/1", "x") GET("/riak/b?keys=true&props=false"),
      NO_CONTENT CHUNKED "9\n{\"keys\":[\n3\n\"1\"\n2\n]}\n0\n\n", false },
    /* properties */
    { "a property is set and reset",
      "PUT /buckets/b/props HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: "
      "51\r\n\r\n{\"props\":{\"allow_mult\":\"true\",\"n_val\":2,\"r\":\"one\"}}"
      "DELETE /buckets/b/props HTTP/1.1\r\n\r\n",
      "204 No Content\n\n204 No Content\n\n", false },
    { "properties of another shape", "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
      PLAIN("400 Bad Request", "62",
            "bucket PUT must be a JSON object of the form:\n{\"props\":{...}}\n"),
      false },
    { "a property that is no boolean",
      "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: "
      "30\r\n\r\n{\"props\":{\"allow_mult\":\"odd\"}}",
      "400 Bad Request\nContent-Type: application/json\nContent-Length: 29\n\n"
      "{\"allow_mult\":\"not_boolean\"}\n",
      false },
    { "a property that is not supported",
      "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: 26\r\n\r\n{\"props\":{\"backend\":\"be\"}}",
      "400 Bad Request\nContent-Type: application/json\nContent-Length: 45\n\n"
      "{\"backend\":\"this property is not supported\"}\n",
      false },
    { "Riak's own value of a property that is not used",
      "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: 26\r\n\r\n{\"props\":{\"precommit\":[]}}",
      "204 No Content\n\n", false },
    { "n that is impossible",
      "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: 21\r\n\r\n{\"props\":{\"n_val\":9}}",
      PLAIN("400 Bad Request", "32", "n_val: not a number from 1 to 7\n"), false },
    /* about */
    { "statistics", GET("/stats"),
      "200 OK\nContent-Type: application/json\nContent-Length: 99\n\n"
      "{\"node_gets\":12,\"kvorum_clients\":3,\"kvorum_uptime_s\":86401,\"nodename\":\"n1\","
      "\"storage_backend\":\"lsm\"}",
      false },
    { "status", GET("/kvorum/status"),
      "200 OK\nContent-Type: application/json\nContent-Length: 13\n\n{\"node\":\"n1\"}", false },
    { "the cluster", GET("/kvorum/cluster"),
      "200 OK\nContent-Type: application/json\nContent-Length: 11\n\n{\"epoch\":7}", false },
    { "its plan", GET("/kvorum/cluster/plan"),
      "200 OK\nContent-Type: application/json\nContent-Length: 18\n\n{\"possible\":false}", false },
    { "a change that is granted",
      "POST /kvorum/cluster/stage HTTP/1.1\r\nContent-Length: 30\r\n\r\n"
      "{\"change\":\"leave\",\"node\":\"n1\"}",
      "200 OK\nContent-Type: application/json\nContent-Length: 11\n\n{\"epoch\":7}", false },
    { "a change of nobody",
      "POST /kvorum/cluster/stage HTTP/1.1\r\nContent-Length: 34\r\n\r\n"
      "{\"change\":\"leave\",\"node\":\"nobody\"}",
      "404 Not Found\nContent-Type: text/plain\nContent-Length: 13\n\nno such node\n", false },
    { "a change that is none",
      "POST /kvorum/cluster/stage HTTP/1.1\r\nContent-Length: 30\r\n\r\n"
      "{\"change\":\"dance\",\"node\":\"n1\"}",
      "400 Bad Request\nContent-Type: text/plain\nContent-Length: 180*", false },
    { "a recovery is planned", GET("/kvorum/cluster/recover?lost=a,b"),
      "200 OK\nContent-Type: application/json\nContent-Length: 17\n\n{\"possible\":true}", false },
    { "a recovery is carried out",
      "POST /kvorum/cluster/recover HTTP/1.1\r\nContent-Length: 36\r\n\r\n"
      "{\"lost\":[\"a\",\"b\"],\"epoch\":7        }",
      "200 OK\nContent-Type: application/json\nContent-Length: 11\n\n{\"epoch\":7}", false },
    { "a recovery is refused",
      "POST /kvorum/cluster/recover HTTP/1.1\r\nContent-Length: 11\r\n\r\n{\"lost\":[]}",
      "409 Conflict\nContent-Type: text/plain\nContent-Length: 18\n\neverybody answers\n", false },
    { "an empty name", GET("/kvorum/cluster/recover?lost=a,,b"), "400 Bad Request\n*", false },
    { "the tasks", GET("/kvorum/tasks"), "200 OK\nContent-Type: application/json\n*", false },
    { "one task", GET("/kvorum/tasks?task=n1%2Fmove"), "200 OK\nContent-Type: application/json\n*",
      false },
    { "a task is paused",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 31\r\n\r\n"
      "{\"task\":\"n1/move\",\"do\":\"pause\"}",
      "200 OK\nContent-Type: application/json\n*", false },
    { "a task is limited",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 44\r\n\r\n"
      "{\"task\":\"move\",\"do\":\"limit\",\"limit\":1048576}",
      "200 OK\nContent-Type: application/json\n*", false },
    { "a limit without a number",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 28\r\n\r\n"
      "{\"task\":\"move\",\"do\":\"limit\"}",
      "400 Bad Request\n*", false },
    { "a limit below zero",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 39\r\n\r\n"
      "{\"task\":\"move\",\"do\":\"limit\",\"limit\":-1}",
      "400 Bad Request\n*", false },
    { "a number where there is no limit",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 38\r\n\r\n"
      "{\"task\":\"move\",\"do\":\"pause\",\"limit\":1}",
      "400 Bad Request\n*", false },
    { "a task of no node",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 31\r\n\r\n"
      "{\"task\":\"n9/move\",\"do\":\"pause\"}",
      "404 Not Found\nContent-Type: text/plain\nContent-Length: 36\n\n"
      "no node of this cluster is named n9\n",
      false },
    { "a task of no kind",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 29\r\n\r\n"
      "{\"task\":\"sleep\",\"do\":\"pause\"}",
      "404 Not Found\nContent-Type: text/plain\nContent-Length: 21\n\nno such kind of work\n",
      false },
    { "a task without a kind",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 27\r\n\r\n"
      "{\"task\":\"n1/\",\"do\":\"pause\"}",
      "404 Not Found\n*", false },
    { "a task that cannot be given up",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 32\r\n\r\n"
      "{\"task\":\"n1/move\",\"do\":\"cancel\"}",
      "409 Conflict\nContent-Type: text/plain\nContent-Length: 13\n\nnot given up\n", false },
    { "something else is to be done",
      "POST /kvorum/tasks HTTP/1.1\r\nContent-Length: 31\r\n\r\n"
      "{\"task\":\"n1/move\",\"do\":\"dance\"}",
      "400 Bad Request\n*", false },
    { "a repair is begun", "POST /kvorum/repair?bucket=b HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
      "202 Accepted\nContent-Type: application/json\nContent-Length: 153\n\n"
      "{\"node\":\"n1\",\"shards\":1,\"demands\":0,\"pairs\":0,\"done\":0,"
      "\"failed\":0,\"keys_compared\":0,\"keys_differing\":0,\"fetched\":0,\"pushed\":0,\"bytes_"
      "out\":0,\"bytes_in\":0}",
      false },
    { "a repair is watched", GET("/kvorum/repair"),
      "200 OK\nContent-Type: application/json\nContent-Length: 153\n\n"
      "{\"node\":\"n1\",\"shards\":1,\"demands\":0,\"pairs\":0,\"done\":0,"
      "\"failed\":0,\"keys_compared\":0,\"keys_differing\":0,\"fetched\":0,\"pushed\":0,\"bytes_"
      "out\":0,\"bytes_in\":0}",
      false },
    { "the root as JSON", "GET / HTTP/1.1\r\nAccept: application/json\r\n\r\n",
      "200 OK\nLink: </buckets>; rel=\"riak_kv_wm_buckets\"*", false },
};

/* --- checking ------------------------------------------------------------------------------- */

static bool left_out(struct bytes line)
{
    static const char *const names[] = { "Server: ", "Date: ", "Vary: ", "ETag: ",
                                         "X-Riak-Vclock: " };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_starts_with(line, bytes_of_string(names[i])))
            return true;
    return bytes_starts_with(line, BYTES_LITERAL("Link: </buckets/")) &&
           line.data[line.size - 1] == '"' && memmem(line.data, line.size, ", ", 2) == NULL;
}

/* The responses as rows show them: without "HTTP/1.1 " and carriage returns. */
static void brief(struct bytes text, struct buffer *ret)
{
    while (text.size > 0) {
        const uint8_t *end = memmem(text.data, text.size, "\r\n", 2);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        struct bytes line = bytes_make(text.data, size);
        text = end == NULL ? (struct bytes){ 0 } : bytes_from(text, size + 2);
        const uint8_t *version = line.size == 0 ? NULL : memmem(line.data, size, "HTTP/1.1 ", 9);
        if (left_out(line))
            continue;
        if (version != NULL) { /* a response follows the body of the one before */
            buffer_append(ret, line.data, (size_t)(version - line.data));
            line = bytes_from(line, (size_t)(version - line.data) + 9);
        }
        buffer_append_bytes(ret, line);
        if (end != NULL)
            buffer_append_u8(ret, '\n');
    }
    buffer_append_u8(ret, 0);
}

/* A star at the end stands for anything. */
static void compare(const char *got, const char *expected)
{
    size_t size = strlen(expected);
    if (size > 0 && expected[size - 1] == '*' && strncmp(got, expected, size - 1) == 0)
        return;
    assert_string_equal(got, expected);
}

static void check_mode(const struct row *row, bool delayed, size_t step)
{
    struct node *node = malloc(sizeof(*node));
    struct connection connection;
    struct buffer text;
    assert_non_null(node);
    fake_node_init(node);
    buffer_init(&text, SIZE_MAX);
    node->delayed = delayed;
    fake_open(&connection, node, &protocol_http);
    struct bytes input = bytes_of_string(row->input);
    while (input.size > 0) {
        size_t size = input.size < step ? input.size : step;
        fake_send(&connection, bytes_make(input.data, size));
        input = bytes_from(input, size);
    }
    fake_settle(&connection, false);
    brief(buffer_bytes(&connection.received), &text);
    compare((const char *)text.data, row->expected);
    assert_int_equal(connection.finished, row->finished);
    assert_int_equal(connection.in_flight, 0);
    if (!row->finished)
        assert_false(connection.protocol->ops->mid_request(connection.protocol));
    buffer_done(&text);
    fake_close(&connection);
    fake_node_done(node);
    free(node);
}

static void check(const void *argument)
{
    for (int delayed = 0; delayed < 2; delayed++) {
        check_mode(argument, delayed, SIZE_MAX);
        check_mode(argument, delayed, 1);
        check_mode(argument, delayed, 13);
    }
}

/* --- stories -------------------------------------------------------------------------------- */

struct fixture {
    struct node node;
    struct connection connection;
    struct buffer scratch;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL)
        return -1;
    fake_node_init(&fixture->node);
    fake_open(&fixture->connection, &fixture->node, &protocol_http);
    buffer_init(&fixture->scratch, SIZE_MAX);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_close(&fixture->connection);
    fake_node_done(&fixture->node);
    buffer_done(&fixture->scratch);
    free(fixture);
    return 0;
}

/* The raw response to one request, as text. */
static const char *ask(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *ask(struct fixture *fixture, const char *format, ...)
{
    char request[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request, sizeof(request), format, arguments);
    va_end(arguments);
    buffer_reset(&fixture->connection.received);
    fake_send(&fixture->connection, bytes_of_string(request));
    fake_settle(&fixture->connection, false);
    buffer_append_u8(&fixture->connection.received, 0);
    return (const char *)fixture->connection.received.data;
}

static void header_of(const char *response, const char *name, char ret_value[512])
{
    const char *at = strstr(response, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    snprintf(ret_value, 512, "%.*s", (int)strcspn(at, "\r"), at);
}

static void allow_siblings(struct fixture *fixture)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    fake_set_properties(&fixture->node, BYTES_LITERAL("pets"), &properties);
}

static void siblings_are_chosen_among(void **state)
{
    struct fixture *fixture = *state;
    char vtag[64], etag[512];
    allow_siblings(fixture);
    ask(fixture, "%s", PUT(CAT, "x"));
    ask(fixture, "%s", PUT(CAT, "y"));
    const char *response = ask(fixture, "%s", GET(CAT));
    assert_non_null(strstr(response, "HTTP/1.1 300 Multiple Choices\r\n"));
    assert_non_null(strstr(response, "Content-Type: text/plain\r\n"));
    const char *list = strstr(response, "\r\n\r\nSiblings:\n");
    assert_non_null(list);
    assert_int_equal(sscanf(list, "\r\n\r\nSiblings:\n%63s", vtag), 1);
    header_of(response, "ETag", etag);
    response = ask(fixture, "GET " CAT "?vtag=%s HTTP/1.1\r\n\r\n", vtag);
    assert_non_null(strstr(response, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(response, "\r\n\r\nx"));
    response = ask(fixture, "GET " CAT " HTTP/1.1\r\nIf-None-Match: %s\r\n\r\n", etag);
    assert_non_null(strstr(response, "HTTP/1.1 304 Not Modified\r\n"));
    response = ask(fixture, "%s", GET(CAT "?vtag=nonsense"));
    assert_non_null(strstr(response, "HTTP/1.1 300 Multiple Choices\r\n"));
}

static void siblings_come_as_parts(void **state)
{
    struct fixture *fixture = *state;
    char type[512], boundary[512];
    allow_siblings(fixture);
    ask(fixture, "%s", WRITE("PUT", CAT, TEXT "X-Riak-Meta-A: 1\r\n", "x"));
    ask(fixture, "%s", PUT(CAT, "y"));
    const char *response = ask(fixture, "GET " CAT " HTTP/1.1\r\nAccept: multipart/mixed\r\n\r\n");
    assert_non_null(strstr(response, "HTTP/1.1 300 Multiple Choices\r\n"));
    header_of(response, "Content-Type", type);
    assert_int_equal(sscanf(type, "multipart/mixed; boundary=%511s", boundary), 1);
    buffer_printf(&fixture->scratch, "\r\n--%s\r\nContent-Type: text/plain\r\n", boundary);
    buffer_append_u8(&fixture->scratch, 0);
    const char *part = strstr(response, (const char *)fixture->scratch.data);
    assert_non_null(part);
    assert_non_null(strstr(part, "X-Riak-Meta-a: 1\r\n"));
    assert_non_null(strstr(part, "\r\n\r\nx\r\n--"));
    buffer_reset(&fixture->scratch);
    buffer_printf(&fixture->scratch, "\r\n\r\ny\r\n--%s--\r\n", boundary);
    buffer_append_u8(&fixture->scratch, 0);
    assert_non_null(strstr(part, (const char *)fixture->scratch.data));
}

static void a_context_replaces_what_was_read(void **state)
{
    struct fixture *fixture = *state;
    char context[512];
    allow_siblings(fixture);
    ask(fixture, "%s", PUT(CAT, "x"));
    header_of(ask(fixture, "%s", PUT(CAT "?returnbody=true", "y")), "X-Riak-Vclock", context);
    const char *response = ask(
        fixture, "PUT " CAT " HTTP/1.1\r\n" TEXT "X-Riak-Vclock: %s\r\nContent-Length: 1\r\n\r\nz",
        context);
    assert_non_null(strstr(response, "HTTP/1.1 204 No Content\r\n"));
    response = ask(fixture, "%s", GET(CAT));
    assert_non_null(strstr(response, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(response, "\r\n\r\nz"));
}

static void a_write_may_depend_on_the_context(void **state)
{
    struct fixture *fixture = *state;
    char first[512];
    header_of(ask(fixture, "%s", PUT(CAT "?returnbody=true", "x")), "X-Riak-Vclock", first);
    static const char request[] =
        "PUT " CAT " HTTP/1.1\r\n" TEXT "X-Riak-If-Not-Modified: %s\r\nContent-Length: 1\r\n\r\ny";
    assert_non_null(strstr(ask(fixture, request, first), "HTTP/1.1 204 No Content\r\n"));
    assert_non_null(strstr(ask(fixture, request, first), "HTTP/1.1 409 Conflict\r\n"));
}

static void if_match_takes_the_tag_that_was_read(void **state)
{
    struct fixture *fixture = *state;
    char etag[512];
    header_of(ask(fixture, "%s", PUT(CAT "?returnbody=true", "x")), "ETag", etag);
    static const char request[] =
        "PUT " CAT " HTTP/1.1\r\n" TEXT "If-Match: \"a\", %s\r\nContent-Length: 1\r\n\r\ny";
    assert_non_null(strstr(ask(fixture, request, etag), "HTTP/1.1 204 No Content\r\n"));
    assert_non_null(strstr(ask(fixture, request, etag), "HTTP/1.1 412 Precondition Failed\r\n"));
}

static void a_key_is_made(void **state)
{
    struct fixture *fixture = *state;
    char first[512], second[512];
    const char *response = ask(fixture, "%s", WRITE("POST", "/buckets/a%20b/keys", TEXT, "x"));
    assert_non_null(strstr(response, "HTTP/1.1 201 Created\r\n"));
    header_of(response, "Location", first);
    assert_int_equal(strncmp(first, "/buckets/a%20b/keys/", 20), 0);
    assert_non_null(strstr(ask(fixture, "GET %s HTTP/1.1\r\n\r\n", first), "\r\n\r\nx"));
    response = ask(fixture, "%s", WRITE("POST", "/riak/b?returnbody=true", TEXT, "x"));
    assert_non_null(strstr(response, "HTTP/1.1 201 Created\r\n"));
    assert_non_null(strstr(response, "\r\n\r\nx"));
    header_of(response, "Location", second);
    assert_int_equal(strncmp(second, "/riak/b/", 8), 0);
    assert_string_not_equal(strrchr(first, '/'), strrchr(second, '/'));
}

static void quorum_parameters_reach_the_node(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "%s",
        GET(CAT "?r=2&pr=one&basic_quorum=true&notfound_ok=false&timeout=1500"
                "&node_confirms=all&sloppy_quorum=false"));
    const struct operation *last = &fixture->node.last;
    assert_int_equal(last->levels.r, 2);
    assert_int_equal(last->levels.pr, LEVEL_ONE);
    assert_int_equal(last->levels.node_confirms, LEVEL_ALL);
    assert_int_equal(last->levels.w, LEVEL_DEFAULT);
    assert_int_equal(last->levels.basic_quorum, 1);
    assert_int_equal(last->levels.notfound_ok, 0);
    assert_int_equal(last->levels.sloppy, 0);
    assert_int_equal(last->timeout_ms, 1500);
    ask(fixture, "%s", PUT(CAT "?w=quorum&dw=0&pw=3", "x"));
    assert_int_equal(last->levels.w, LEVEL_QUORUM);
    assert_int_equal(last->levels.dw, 0);
    assert_int_equal(last->levels.pw, 3);
}

static void properties_are_shown(void **state)
{
    struct fixture *fixture = *state;
    static const char body[] =
        "{\"props\":{\"allow_mult\":true,\"n_val\":2,\"r\":\"one\",\"w\":2}}";
    const char *response =
        ask(fixture, "PUT /buckets/b/props HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s",
            sizeof(body) - 1, body);
    assert_non_null(strstr(response, "HTTP/1.1 204 No Content\r\n"));
    response = ask(fixture, "%s", GET("/buckets/b/props"));
    static const char *const parts[] = { "{\"props\":{\"name\":\"b\",",
                                         "\"allow_mult\":true",
                                         "\"n_val\":2",
                                         "\"r\":\"one\"",
                                         "\"w\":2",
                                         "\"dw\":\"quorum\"",
                                         "\"pr\":0",
                                         "\"precommit\":[]" };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_non_null(strstr(response, parts[i]));
}

static void a_large_header_is_refused(void **state)
{
    struct fixture *fixture = *state;
    buffer_append_text(&fixture->scratch, "GET /ping HTTP/1.1\r\nX-Long: ");
    for (int i = 0; i < 9000; i++)
        buffer_append_u8(&fixture->scratch, 'a');
    fake_send(&fixture->connection, buffer_bytes(&fixture->scratch));
    buffer_append_u8(&fixture->connection.received, 0);
    assert_non_null(strstr((const char *)fixture->connection.received.data,
                           "HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    assert_true(fixture->connection.finished);
}

static void chunks_above_the_limit_are_refused(void **state)
{
    struct fixture *fixture = *state;
    buffer_append_text(&fixture->scratch,
                       "PUT " CAT " HTTP/1.1\r\n" TEXT "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++)
        buffer_printf(&fixture->scratch, "400\r\n%01024d\r\n", 0);
    fake_send(&fixture->connection, buffer_bytes(&fixture->scratch));
    buffer_append_u8(&fixture->connection.received, 0);
    assert_non_null(strstr((const char *)fixture->connection.received.data, "HTTP/1.1 413 "));
    assert_true(fixture->connection.finished);
}

static void too_much_metadata_is_refused(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "%s", GET("/ping")); /* a response before it must not be taken for its answer */
    buffer_append_text(&fixture->scratch, "PUT " CAT " HTTP/1.1\r\n" TEXT "X-Riak-Index-a_bin: ");
    for (int i = 0; i < 1022; i++)
        buffer_append_text(&fixture->scratch, "a,");
    buffer_append_text(&fixture->scratch,
                       "b\r\nX-Riak-Meta-B: 1\r\nX-Riak-Meta-C: 1\r\nContent-Length: 0\r\n\r\n");
    buffer_append_u8(&fixture->scratch, 0);
    const char *response = ask(fixture, "%s", (const char *)fixture->scratch.data);
    assert_non_null(strstr(response, "HTTP/1.1 400 Bad Request\r\n"));
}

static void a_client_that_leaves_cancels_its_request(void **state)
{
    struct fixture *fixture = *state;
    static const char *const requests[] = { GET(CAT), PUT(CAT, "x"),
                                            GET("/buckets/b/keys?keys=true"),
                                            WRITE("PUT", CAT, TEXT "If-Match: *\r\n", "x"),
                                            "PUT " CAT " HTTP/1.1\r\nConte" };
    fixture->node.delayed = true;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        fake_send(&fixture->connection, bytes_of_string(requests[i]));
        fake_close(&fixture->connection);
        assert_int_equal(fixture->node.pending_count, 0);
        fake_open(&fixture->connection, &fixture->node, &protocol_http);
    }
}

static void properties_may_be_set_after_the_client_left(void **state)
{
    struct fixture *fixture = *state;
    fixture->node.delayed = true;
    fake_send(&fixture->connection,
              bytes_of_string("DELETE /buckets/b/props HTTP/1.1\r\n\r\n" GET("/ping")));
    assert_int_equal(fixture->node.pending_count, 1);
    fake_close(&fixture->connection);
    fake_open(&fixture->connection, &fixture->node, &protocol_http);
    assert_true(fake_release(&fixture->node, false));
    assert_int_equal(fixture->connection.output.size, 0);
}

static void a_client_that_does_not_read_holds_up_the_listing(void **state)
{
    struct fixture *fixture = *state;
    struct operation put = { .kind = OPERATION_PUT, .bucket = BYTES_LITERAL("b") };
    struct arena arena;
    struct object *none = NULL;
    char key[2001];
    arena_init(&arena, SIZE_MAX);
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof(key), "%02000d", i);
        put.key = bytes_of_string(key);
        assert_int_equal(fake_write(&fixture->node, &put, &arena, &none), KVORUM_OK);
    }
    arena_done(&arena);
    fixture->connection.high_water = 1 << 20;
    static const char request[] = GET("/buckets/b/keys?keys=true");
    buffer_append_text(&fixture->connection.input, request);
    fake_parse(&fixture->connection);
    assert_in_range(fixture->connection.output.size, 256 * 1024, 300 * 1024);
    fake_settle(&fixture->connection, false);
    assert_in_range(fixture->connection.received.size, 1200000, 1300000);
    assert_memory_equal(fixture->connection.received.data + fixture->connection.received.size - 9,
                        "]}\r\n0\r\n\r\n", 9);
}

int main(void)
{
    const struct CMUnitTest stories[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(siblings_are_chosen_among),
        STORY(siblings_come_as_parts),
        STORY(a_context_replaces_what_was_read),
        STORY(a_write_may_depend_on_the_context),
        STORY(if_match_takes_the_tag_that_was_read),
        STORY(a_key_is_made),
        STORY(quorum_parameters_reach_the_node),
        STORY(properties_are_shown),
        STORY(a_large_header_is_refused),
        STORY(chunks_above_the_limit_are_refused),
        STORY(too_much_metadata_is_refused),
        STORY(a_client_that_leaves_cancels_its_request),
        STORY(properties_may_be_set_after_the_client_left),
        STORY(a_client_that_does_not_read_holds_up_the_listing),
    };
    int failed = RUN_ROWS("http protocol", rows, check);
    return failed + cmocka_run_group_tests_name("http stories", stories, NULL, NULL);
}
