/* SPDX-License-Identifier: Apache-2.0 */
#include "server/protocol/http/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct status_name {
    uint16_t status;
    const char *name;
};

static const struct status_name status_names[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 409, "Conflict" },
    { 412, "Precondition Failed" },
    { 413, "Payload Too Large" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 503, "Service Unavailable" },
    { 507, "Insufficient Storage" },
};

static const char *name_of(uint16_t status)
{
    for (size_t i = 0; i < sizeof(status_names) / sizeof(status_names[0]); i++)
        if (status_names[i].status == status)
            return status_names[i].name;
    return "Unknown";
}

void http_date(uint64_t wall_ms, char ret_text[32])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(ret_text, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

void http_begin(struct http *http, uint16_t status)
{
    char date[32];
    http_date(node_wall_ms(http->environment.node), date);
    http->status = status;
    http->chunked = http->streaming = false;
    buffer_reset(&http->response);
    buffer_printf(&http->response, "HTTP/1.1 %u %s\r\nServer: kvorum/%s\r\nDate: %s\r\n", status,
                  name_of(status), KVORUM_VERSION, date);
}

/* Values come from clients as well: a control byte in one would let it write headers of its own. */
void http_add_bytes(struct http *http, const char *name, struct bytes value)
{
    buffer_append_text(&http->response, name);
    buffer_append(&http->response, ": ", 2);
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] >= 0x20 && value.data[i] != 0x7f)
            buffer_append_u8(&http->response, value.data[i]);
    buffer_append(&http->response, "\r\n", 2);
}

void http_add(struct http *http, const char *name, const char *value)
{
    http_add_bytes(http, name, bytes_of_string(value));
}

static bool has_body(const struct http *http)
{
    return http->status != 204 && http->status != 304;
}

static void add_connection(struct http *http)
{
    if (!http->request.keep_alive || http->finished)
        http_add(http, "Connection", "close");
    else if (http->request.minor_0)
        http_add(http, "Connection", "keep-alive");
}

void http_end(struct http *http, struct bytes body)
{
    struct buffer *output = connection_output(http->connection);
    add_connection(http);
    if (has_body(http))
        buffer_printf(&http->response, "Content-Length: %zu\r\n", body.size);
    buffer_append(&http->response, "\r\n", 2);
    buffer_append_bytes(output, buffer_bytes(&http->response));
    output->failed |= http->response.failed;
    if (has_body(http) && http->request.method != HTTP_HEAD)
        buffer_append_bytes(output, body);
    http_done(http);
}

void http_end_text(struct http *http, const char *text)
{
    http_add(http, "Content-Type", "text/plain");
    http_end(http, bytes_of_string(text));
}

void http_text(struct http *http, uint16_t status, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    http_begin(http, status);
    http_end_text(http, text);
}

/* --- bodies in pieces ------------------------------------------------------------------------- */

/* HTTP/1.0 knows no chunks: there the end of the connection is the end of the body. */
void http_stream_begin(struct http *http)
{
    http->streaming = true;
    http->chunked = !http->request.minor_0;
    if (http->chunked)
        http_add(http, "Transfer-Encoding", "chunked");
    else
        http->request.keep_alive = false;
    add_connection(http);
    buffer_append(&http->response, "\r\n", 2);
    buffer_append_bytes(connection_output(http->connection), buffer_bytes(&http->response));
}

void http_stream_write(struct http *http, struct bytes piece)
{
    struct buffer *output = connection_output(http->connection);
    if (piece.size == 0 || http->request.method == HTTP_HEAD)
        return;
    if (http->chunked)
        buffer_printf(output, "%zx\r\n", piece.size);
    buffer_append_bytes(output, piece);
    if (http->chunked)
        buffer_append(output, "\r\n", 2);
    connection_wake(http->connection);
}

void http_stream_end(struct http *http)
{
    if (http->chunked && http->request.method != HTTP_HEAD)
        buffer_append_text(connection_output(http->connection), "0\r\n\r\n");
    http_done(http);
}

/* --- JSON text -------------------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at `text`, 0 when it is none. */
static size_t utf8_size(struct bytes text)
{
    uint8_t c = text.data[0];
    size_t size = c < 0x80                ? 1
                  : c >= 0xc2 && c < 0xe0 ? 2
                  : (c & 0xf0) == 0xe0    ? 3
                  : c >= 0xf0 && c < 0xf5 ? 4
                                          : 0;
    if (size == 0 || size > text.size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && text.data[1] < 0xa0) || (c == 0xf0 && text.data[1] < 0x90);
    bool surrogate = c == 0xed && text.data[1] >= 0xa0;
    bool beyond = c == 0xf4 && text.data[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

/* Bytes that are not UTF-8 appear as the code points of the same number. */
void http_json_string(struct buffer *buffer, struct bytes text)
{
    buffer_append_u8(buffer, '"');
    while (text.size > 0) {
        size_t size = utf8_size(text);
        uint8_t c = text.data[0];
        if (size == 0 || c < 0x20 || c == 0x7f)
            buffer_printf(buffer, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buffer_printf(buffer, "\\%c", c);
        else
            buffer_append(buffer, text.data, size);
        text = bytes_from(text, size == 0 ? 1 : size);
    }
    buffer_append_u8(buffer, '"');
}

void http_json(struct http *http, uint16_t status, struct buffer *json)
{
    http_begin(http, json->failed ? 500 : status);
    http_add(http, "Content-Type", "application/json");
    http_end(http, buffer_bytes(json));
    buffer_done(json);
}

/* --- errors of operations --------------------------------------------------------------------- */

static const char *level_title(const char *level)
{
    static const char *const titles[][2] = {
        { "r", "R" },   { "pr", "PR" }, { "w", "W" },
        { "dw", "DW" }, { "pw", "PW" }, { "node_confirms", "node_confirms" },
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (level != NULL && strcmp(level, titles[i][0]) == 0)
            return titles[i][1];
    return "Quorum";
}

/* Nothing has happened, and soon it may. */
static void error_busy(struct http *http, const struct answer *answer)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s\n", answer->reason);
    http_begin(http, 503);
    http_add(http, "Retry-After", "1");
    http_end_text(http, text);
}

static void error_impossible(struct http *http, const struct answer *answer)
{
    bool reading = answer->level != NULL &&
                   (strcmp(answer->level, "r") == 0 || strcmp(answer->level, "pr") == 0);
    struct bucket_properties properties;
    node_properties(http->environment.node, http->request.type, http->request.bucket, &properties);
    http_text(http, 400, "Specified %s values invalid for bucket n value of %u\n%s\n",
              reading ? "r/pr" : "w/dw/pw/node_confirms", properties.levels.n, answer->reason);
}

void http_error(struct http *http, const struct answer *answer)
{
    switch (answer->status) {
    case KVORUM_TIMEOUT:
    case KVORUM_CLOSED:
        http_text(http, 503, "request timed out\n%s\n", answer->reason);
        break;
    case KVORUM_UNAVAILABLE:
        http_text(http, 503, "%s-value unsatisfied: %u/%u\n%s\n", level_title(answer->level),
                  answer->answered, answer->needed, answer->reason);
        break;
    case KVORUM_QUORUM_IMPOSSIBLE:
        error_impossible(http, answer);
        break;
    case KVORUM_NOT_READY:
    case KVORUM_OVERLOADED:
        error_busy(http, answer);
        break;
    case KVORUM_GONE: /* not 410: the value is elsewhere, and proxies should look there */
        http_text(http, 503, "%s\n", answer->reason);
        break;
    case KVORUM_INVALID:
        http_text(http, 400, "%s\n", answer->reason);
        break;
    case KVORUM_TOO_LARGE:
        http_text(http, 413, "Error:\ntoo_large\n%s\n", answer->reason);
        break;
    case KVORUM_TOO_MANY_SIBLINGS:
        http_text(http, 500, "Error:\ntoo_many_siblings\n%s\n", answer->reason);
        break;
    case KVORUM_NO_SPACE:
    case KVORUM_STORE_FULL:
        http_text(http, 507, "%s\n", answer->reason);
        break;
    default:
        http_text(http, 500, "Error:\n%s\n%s\n", kvorum_status_text(answer->status),
                  answer->reason == NULL ? "" : answer->reason);
        break;
    }
}
