/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_response.h"

#include "support/rows.h"

struct row {
    const char *name;
    const char *input;
    const char *outcome; /* "CODE body" (~: the body runs to the end), or "bad", or "more" */
    const char *rest;    /* what was left in the input; NULL: nothing */
    bool without_body, then_closed;
};

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static const struct row rows[] = {
    { "a body by its length", OK_HEAD "Content-Length: 4\r\n\r\nmeow", "200 meow", NULL, 0, 0 },
    { "an empty body", OK_HEAD "Content-Length: 0\r\n\r\n", "200 ", NULL, 0, 0 },
    { "204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", "204 ", NULL, 0, 0 },
    { "an answer to HEAD has no body", OK_HEAD "Content-Length: 4\r\n\r\n", "200 ", NULL, 1, 0 },
    { "the next response stays", OK_HEAD "Content-Length: 1\r\n\r\naHTTP", "200 a", "HTTP", 0, 0 },
    { "chunks", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
      "200 abc", NULL, 0, 0 },
    { "chunks with trailers",
      OK_HEAD "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest",
      "200 0123456789", "rest", 0, 0 },
    { "a body to the end", OK_HEAD "\r\nmeow", "200 meow", NULL, 0, 1 },
    { "100 Continue is passed over",
      "HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "Content-Length: 1\r\n\r\na", "200 a", NULL, 0, 0 },
    { "names of fields have no case", OK_HEAD "cOnTeNt-LeNgTh:1\r\n\r\na", "200 a", NULL, 0, 0 },
    { "half a head waits", OK_HEAD "Content-Le", "more", NULL, 0, 0 },
    { "half a body waits", OK_HEAD "Content-Length: 4\r\n\r\nme", "more", NULL, 0, 0 },
    { "closed in a body", OK_HEAD "Content-Length: 4\r\n\r\nme", "bad", NULL, 0, 1 },
    { "closed before a head", "", "bad", NULL, 0, 1 },
    { "closed in chunks", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "bad", NULL, 0,
      1 },
    { "not HTTP at all", "-ERR unknown command\r\n\r\n", "bad", NULL, 0, 0 },
    { "a later major version", "HTTP/2.0 200 OK\r\n\r\n", "bad", NULL, 0, 0 },
    { "a code of two digits", "HTTP/1.1 20 OK\r\n\r\n", "bad", NULL, 0, 0 },
    { "a bare line feed", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "bad", NULL, 0, 0 },
    { "a folded field", OK_HEAD "X: a\r\n b\r\n\r\n", "bad", NULL, 0, 0 },
    { "a blank before the colon", OK_HEAD "Content-Length : 4\r\n\r\n", "bad", NULL, 0, 0 },
    { "a negative length", OK_HEAD "Content-Length: -4\r\n\r\n", "bad", NULL, 0, 0 },
    { "a length beyond reason", OK_HEAD "Content-Length: 9999999999999999999\r\n\r\n", "bad", NULL,
      0, 0 },
    { "two different lengths", OK_HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad",
      NULL, 0, 0 },
    { "a length and chunks", OK_HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "bad", NULL, 0, 0 },
    { "an unknown encoding", OK_HEAD "Transfer-Encoding: gzip\r\n\r\n", "bad", NULL, 0, 0 },
    { "a chunk size of letters", OK_HEAD "Transfer-Encoding: chunked\r\n\r\nxy\r\n", "bad", NULL, 0,
      0 },
    { "a chunk size of 16 digits", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1111111111111111\r\n",
      "bad", NULL, 0, 0 },
    { "a chunk without its line end", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nabc", "bad",
      NULL, 0, 0 },
    { "a body above the limit",
      OK_HEAD "Content-Length: 65\r\n\r\n"
              "0123456789012345678901234567890123456789012345678901234567890"
              "1234",
      "bad", NULL, 0, 0 },
};

static void feed(struct http_response *response, struct bytes input, size_t step, size_t *ret_taken)
{
    size_t taken = 0;
    while (taken < input.size && response->state < HTTP_COMPLETE) {
        struct bytes part = bytes_from(input, taken);
        part.size = part.size < step ? part.size : step;
        taken += http_response_input(response, part);
    }
    *ret_taken = taken;
}

/* Whole, then byte by byte: where the input is cut never matters. */
static void check(const void *context)
{
    const struct row *row = context;
    struct bytes input = bytes_of_string(row->input);
    for (size_t step = 1000; step > 0; step /= 10) {
        struct http_response response;
        size_t taken;
        http_response_init(&response, 64);
        http_response_reset(&response, row->without_body);
        feed(&response, input, step, &taken);
        if (row->then_closed)
            http_response_end(&response);
        if (strcmp(row->outcome, "bad") == 0) {
            assert_int_equal(response.state, HTTP_BAD);
            assert_non_null(response.problem);
        } else if (strcmp(row->outcome, "more") == 0) {
            assert_true(response.state < HTTP_COMPLETE);
        } else {
            assert_int_equal(response.state, HTTP_COMPLETE);
            assert_int_equal(response.code, strtol(row->outcome, NULL, 10));
            assert_true(
                bytes_equal(buffer_bytes(&response.body), bytes_of_string(row->outcome + 4)));
            assert_string_equal(row->input + taken, row->rest == NULL ? "" : row->rest);
        }
        http_response_done(&response);
    }
}

int main(void)
{
    return RUN_ROWS("http_response", rows, check);
}
