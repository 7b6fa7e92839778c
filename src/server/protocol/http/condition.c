/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional requests (RFC 9110, 13): If-Match, If-None-Match, If-Modified-Since,
 * If-Unmodified-Since.  On a write they are checked by a read before it, so they are not atomic. */
#include "server/protocol/http/internal.h"

#include <time.h>

#include "object/hlc.h"

void http_etag(const struct object *object, char ret_text[VTAG_SIZE])
{
    if (object->sibling_count == 1)
        vtag_of_dot(object->siblings[0].dot, ret_text);
    else
        vtag_of_clock(&object->clock, ret_text);
}

bool http_has_condition(const struct http *http)
{
    return http_header(http, "if-match").data != NULL ||
           http_header(http, "if-none-match").data != NULL ||
           http_header(http, "if-unmodified-since").data != NULL ||
           http_header(http, "if-modified-since").data != NULL;
}

/* `list` is "*" or tags in quotes, with commas between. */
static bool lists_tag(struct bytes list, const char *tag, bool exists)
{
    if (bytes_is_text(list, "*"))
        return exists;
    size_t size = strlen(tag);
    for (size_t i = 0; exists && i + size + 2 <= list.size; i++)
        if (list.data[i] == '"' && memcmp(list.data + i + 1, tag, size) == 0 &&
            list.data[i + 1 + size] == '"')
            return true;
    return false;
}

/* Seconds since 1970 of an RFC 1123 date; false when it is none, and the header is then ignored. */
static bool read_date(struct bytes text, uint64_t *ret_seconds)
{
    char copy[64];
    struct tm parts = { 0 };
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    time_t seconds = end == NULL ? -1 : timegm(&parts);
    *ret_seconds = (uint64_t)seconds;
    return end != NULL && *end == 0 && seconds >= 0;
}

uint16_t http_check_conditions(struct http *http, const struct object *object)
{
    bool exists = object != NULL && !object_is_deleted(object);
    bool reading = http->request.method == HTTP_GET || http->request.method == HTTP_HEAD;
    char tag[VTAG_SIZE] = "";
    uint64_t modified = 0, seconds;
    if (exists) {
        http_etag(object, tag);
        modified = hlc_wall_ms(object_max_stamp(object)) / 1000;
    }
    struct bytes match = http_header(http, "if-match");
    struct bytes none = http_header(http, "if-none-match");
    if (match.data != NULL && !lists_tag(match, tag, exists))
        return 412;
    if (match.data == NULL && exists &&
        read_date(http_header(http, "if-unmodified-since"), &seconds) && modified > seconds)
        return 412;
    if (none.data != NULL)
        return !lists_tag(none, tag, exists) ? 0 : reading ? 304 : 412;
    if (reading && exists && read_date(http_header(http, "if-modified-since"), &seconds) &&
        modified <= seconds)
        return 304;
    return 0;
}
