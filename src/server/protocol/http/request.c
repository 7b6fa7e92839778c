/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "server/protocol/http/internal.h"

struct bytes http_span_bytes(const struct http *http, struct http_span span)
{
    return http->head.data == NULL ? (struct bytes){ 0 }
                                   : bytes_make(http->head.data + span.offset, span.size);
}

bool bytes_is_text(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_string(text));
}

bool bytes_is_text_any_case(struct bytes bytes, const char *lower)
{
    size_t i = 0;
    for (; i < bytes.size && lower[i] != 0; i++) {
        uint8_t c = bytes.data[i];
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
        if (c != (uint8_t)lower[i])
            return false;
    }
    return i == bytes.size && lower[i] == 0;
}

struct bytes http_header(const struct http *http, const char *name)
{
    for (uint32_t i = 0; i < http->header_count; i++)
        if (bytes_is_text(http_span_bytes(http, http->headers[i].name), name)) {
            struct bytes value = http_span_bytes(http, http->headers[i].value);
            return value.size == 0 ? BYTES_LITERAL("") : value;
        }
    return (struct bytes){ 0 };
}

/* --- the target ------------------------------------------------------------------------------- */

bool http_percent_decode(struct arena *arena, struct bytes text, bool plus, struct bytes *ret)
{
    uint8_t *data = arena_allocate(arena, text.size), *at = data;
    if (data == NULL)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? text_hex_digit(text.data[i + 1]) : -1;
            int low = high < 0 ? -1 : text_hex_digit(text.data[i + 2]);
            if (low < 0)
                return false;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus)
            c = ' ';
        *at++ = c;
    }
    *ret = bytes_make(data, (size_t)(at - data));
    return true;
}

static bool split_path(struct http *http)
{
    struct http_request *request = &http->request;
    struct bytes rest = request->path;
    while (rest.size > 0) {
        struct bytes part = text_cut(&rest, '/');
        if (part.size == 0)
            continue; /* the leading slash, doubled or trailing ones */
        if (request->segment_count >= HTTP_SEGMENTS_MAX ||
            !http_percent_decode(&http->arena, part, false,
                                 &request->segments[request->segment_count++]))
            return false;
    }
    return true;
}

/* An absolute target ("http://host/path") is cut down to its path. */
static struct bytes path_of(struct bytes url)
{
    if (!bytes_starts_with(url, BYTES_LITERAL("http://")))
        return url;
    url = bytes_from(url, 7);
    const uint8_t *slash = url.size == 0 ? NULL : memchr(url.data, '/', url.size);
    return slash == NULL ? BYTES_LITERAL("/") : bytes_from(url, (size_t)(slash - url.data));
}

bool http_request_parse(struct http *http)
{
    struct http_request *request = &http->request;
    struct bytes url = path_of(http_span_bytes(http, http->url));
    request->path = text_cut(&url, '?');
    request->query = url;
    http->refused_why = "malformed path: bad percent-encoding or too many segments";
    return split_path(http);
}

/* --- the query -------------------------------------------------------------------------------- */

bool http_query(struct http *http, const char *name, struct bytes *ret)
{
    struct bytes rest = http->request.query;
    while (rest.size > 0) {
        struct bytes pair = text_cut(&rest, '&');
        struct bytes found = text_cut(&pair, '=');
        if (bytes_is_text(found, name))
            return http_percent_decode(&http->arena, pair, true, ret);
    }
    return false;
}

bool http_query_is(struct http *http, const char *name, const char *value)
{
    struct bytes found;
    return http_query(http, name, &found) && bytes_is_text(found, value);
}

static bool read_level(struct http *http, const char *name, uint32_t *level)
{
    struct bytes text;
    if (!http_query(http, name, &text))
        return true;
    if (quorum_level_parse(text, level))
        return true;
    http_text(http, 400,
              "%s query parameter must be an integer or one of the following words: 'one', "
              "'quorum', 'all', 'local_quorum' or 'each_quorum'\n",
              name);
    return false;
}

bool http_query_flag(struct http *http, const char *name, int8_t *flag)
{
    struct bytes text;
    if (!http_query(http, name, &text))
        return true;
    if (bytes_is_text(text, "true") || bytes_is_text(text, "false")) {
        *flag = bytes_is_text(text, "true");
        return true;
    }
    http_text(http, 400, "%s query parameter must be true or false\n", name);
    return false;
}

static bool read_number(struct bytes text, uint32_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > UINT32_MAX)
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *ret = (uint32_t)value;
    return text.size > 0 && value <= UINT32_MAX;
}

bool http_query_levels(struct http *http, struct quorum_levels *ret, uint32_t *ret_timeout_ms)
{
    struct quorum_levels levels;
    struct bytes text;
    quorum_levels_init(&levels);
    *ret_timeout_ms = 0;
    struct {
        const char *name;
        uint32_t *level;
    } names[] = { { "r", &levels.r },   { "w", &levels.w },
                  { "dw", &levels.dw }, { "pr", &levels.pr },
                  { "pw", &levels.pw }, { "node_confirms", &levels.node_confirms } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!read_level(http, names[i].name, names[i].level))
            return false;
    if (!http_query_flag(http, "basic_quorum", &levels.basic_quorum) ||
        !http_query_flag(http, "notfound_ok", &levels.notfound_ok) ||
        !http_query_flag(http, "sloppy_quorum", &levels.sloppy))
        return false;
    if (http_query(http, "timeout", &text) && !read_number(text, ret_timeout_ms)) {
        http_text(http, 400, "Bad timeout value: not a number of milliseconds\n");
        return false;
    }
    *ret = levels;
    return true;
}
