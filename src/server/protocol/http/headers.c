/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of objects as header lines and back.
 *
 *      Content-Type: text/plain; charset=utf-8    X-Riak-Meta-Colour: red
 *      Content-Encoding: gzip                     X-Riak-Index-age_int: 7, 8
 *      X-Kvorum-TTL: 3600
 *      Link: </buckets/B/keys/K>; riaktag="T", </riak/B/K>; riaktag="T"
 */
#include "base/text.h"
#include "server/protocol/http/internal.h"

#include "codec/varint.h"

static const struct bytes meta_prefix = { (const uint8_t *)"x-riak-meta-", 12 };
static const struct bytes index_prefix = { (const uint8_t *)"x-riak-index-", 13 };

enum { TTL_DIGITS = 10 };

/* --- reading ---------------------------------------------------------------------------------- */

static bool add(struct operation *operation, struct metadata *items, enum metadata_kind kind,
                struct bytes name, struct bytes value)
{
    if (operation->metadata_count >= OBJECT_METADATA_MAX)
        return false;
    items[operation->metadata_count++] = (struct metadata){ (uint8_t)kind, name, value };
    return true;
}

static bool ends_with(struct bytes text, const char *end)
{
    struct bytes tail = bytes_of_string(end);
    return text.size > tail.size && bytes_equal(bytes_from(text, text.size - tail.size), tail);
}

static bool is_integer(struct bytes text)
{
    size_t i = text.size > 0 && text.data[0] == '-';
    bool digits = i < text.size && text.size - i <= 19;
    for (; i < text.size; i++)
        digits &= text.data[i] >= '0' && text.data[i] <= '9';
    return digits;
}

/* "X-Riak-Index-age_int: 7, 8": a comma separates values of one index. */
static bool add_index(struct http *http, struct operation *operation, struct metadata *items,
                      struct bytes name, struct bytes values)
{
    bool integer = ends_with(name, "_int");
    if (!integer && !ends_with(name, "_bin")) {
        http_text(http, 400, "Unknown index field type: a name ends in _bin or _int\n");
        return false;
    }
    while (values.size > 0) {
        const uint8_t *comma = memchr(values.data, ',', values.size);
        size_t size = comma == NULL ? values.size : (size_t)(comma - values.data);
        struct bytes value = text_trim(bytes_make(values.data, size));
        values = comma == NULL ? (struct bytes){ 0 } : bytes_from(values, size + 1);
        if ((integer && !is_integer(value)) ||
            !add(operation, items, METADATA_INDEX, name, value)) {
            http_text(http, 400, "Could not parse an index value, or too many of them\n");
            return false;
        }
    }
    return true;
}

/* "/buckets/B/keys/K" or "/riak/B/K", percent-encoded. */
static bool read_link_target(struct http *http, struct bytes target, struct bytes *ret_name)
{
    struct bytes parts[5], bucket, key;
    size_t count = 0;
    while (target.size > 0 && count < 5) {
        struct bytes part = text_cut(&target, '/');
        if (part.size > 0)
            parts[count++] = part;
    }
    bool new_form =
        count == 4 && bytes_is_text(parts[0], "buckets") && bytes_is_text(parts[2], "keys");
    bool old_form = count == 3 && bytes_is_text(parts[0], "riak");
    if (target.size > 0 || (!new_form && !old_form) ||
        !http_percent_decode(&http->arena, parts[1], false, &bucket) ||
        !http_percent_decode(&http->arena, parts[count - 1], false, &key))
        return false;
    struct buffer name;
    buffer_init(&name, 1 << 17);
    write_sized(&name, bucket);
    write_sized(&name, key);
    bool kept = !name.failed && arena_copy(&http->arena, buffer_bytes(&name), ret_name);
    buffer_done(&name);
    return kept;
}

/* One `<target>; riaktag="tag"`; the link to its own bucket (rel="up") is not kept. */
static bool add_link(struct http *http, struct operation *operation, struct metadata *items,
                     struct bytes link)
{
    struct bytes name, tag, rest = text_trim(link);
    if (rest.size == 0)
        return true;
    if (text_cut(&rest, '<').size != 0)
        return false;
    struct bytes target = text_cut(&rest, '>');
    (void)text_cut(&rest, ';');
    rest = text_trim(rest);
    if (bytes_starts_with(rest, BYTES_LITERAL("rel=")))
        return true;
    if (!bytes_starts_with(rest, BYTES_LITERAL("riaktag=\"")))
        return false;
    rest = bytes_from(rest, 9);
    tag = text_cut(&rest, '"');
    return read_link_target(http, target, &name) &&
           http_percent_decode(&http->arena, tag, false, &tag) &&
           add(operation, items, METADATA_LINK, name, tag);
}

static bool add_links(struct http *http, struct operation *operation, struct metadata *items,
                      struct bytes links)
{
    bool fine = true;
    while (fine && links.size > 0)
        fine = add_link(http, operation, items, text_cut(&links, ','));
    if (!fine)
        http_text(http, 400,
                  "Invalid Link header: expected "
                  "</buckets/B/keys/K>; riaktag=\"tag\"\n");
    return fine;
}

static bool add_content_type(struct operation *operation, struct metadata *items,
                             struct bytes value)
{
    struct bytes rest = value, type = text_trim(text_cut(&rest, ';'));
    rest = text_trim(rest);
    bool fine = add(operation, items, METADATA_CONTENT_TYPE, (struct bytes){ 0 }, type);
    if (bytes_starts_with(rest, BYTES_LITERAL("charset=")))
        fine &= add(operation, items, METADATA_CHARSET, (struct bytes){ 0 }, bytes_from(rest, 8));
    return fine;
}

static bool add_header(struct http *http, struct operation *operation, struct metadata *items,
                       struct bytes name, struct bytes value)
{
    if (bytes_is_text(name, "content-encoding"))
        return add(operation, items, METADATA_CONTENT_ENCODING, (struct bytes){ 0 }, value);
    if (bytes_is_text(name, "link"))
        return add_links(http, operation, items, value);
    if (bytes_starts_with(name, meta_prefix))
        return add(operation, items, METADATA_USER, bytes_from(name, meta_prefix.size), value);
    if (bytes_starts_with(name, index_prefix))
        return add_index(http, operation, items, bytes_from(name, index_prefix.size), value);
    return true;
}

/* Seconds from now; 0: never, whatever the bucket says. */
bool http_read_ttl(struct http *http, struct operation *operation)
{
    struct bytes text = http_header(http, "x-kvorum-ttl");
    uint64_t seconds = 0;
    bool fine = text.size > 0 && text.size <= TTL_DIGITS;
    if (text.data == NULL)
        return true;
    for (size_t i = 0; fine && i < text.size; i++) {
        fine = text.data[i] >= '0' && text.data[i] <= '9';
        seconds = seconds * 10 + text.data[i] - '0';
    }
    if (!fine) {
        http_text(http, 400, "X-Kvorum-TTL must be a number of seconds; 0: never\n");
        return false;
    }
    operation->deadline_ms =
        seconds == 0 ? NODE_NEVER : node_wall_ms(http->environment.node) + seconds * 1000;
    return true;
}

bool http_read_metadata(struct http *http, struct operation *operation)
{
    struct metadata *items = arena_allocate(&http->arena, OBJECT_METADATA_MAX * sizeof(*items));
    struct bytes type = http_header(http, "content-type");
    if (type.data == NULL || items == NULL) {
        http_text(http, 400, "Missing Content-Type request header\n");
        return false;
    }
    operation->metadata = items;
    operation->metadata_count = 0;
    bool fine = add_content_type(operation, items, type);
    for (uint32_t i = 0; fine && i < http->header_count; i++)
        fine = add_header(http, operation, items, http_span_bytes(http, http->headers[i].name),
                          http_span_bytes(http, http->headers[i].value));
    if (!fine && http->busy) /* not answered yet */
        http_text(http, 400, "too many metadata headers\n");
    return fine;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_line(struct buffer *lines, const char *prefix, struct bytes name,
                       struct bytes value)
{
    buffer_append_text(lines, prefix);
    buffer_append_bytes(lines, name);
    buffer_append(lines, ": ", 2);
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] >= 0x20 && value.data[i] != 0x7f)
            buffer_append_u8(lines, value.data[i]);
    buffer_append(lines, "\r\n", 2);
}

static void write_type(const struct sibling *sibling, struct buffer *lines)
{
    const struct metadata *type = sibling_metadata(sibling, METADATA_CONTENT_TYPE);
    const struct metadata *charset = sibling_metadata(sibling, METADATA_CHARSET);
    struct buffer value;
    buffer_init(&value, 1 << 16);
    buffer_append_bytes(&value,
                        type == NULL ? BYTES_LITERAL("application/octet-stream") : type->value);
    if (charset != NULL) {
        buffer_append_text(&value, "; charset=");
        buffer_append_bytes(&value, charset->value);
    }
    write_line(lines, "Content-Type", (struct bytes){ 0 }, buffer_bytes(&value));
    buffer_done(&value);
}

void http_write_encoded(struct buffer *buffer, struct bytes text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != 0 && strchr(safe, text.data[i]) != NULL)
            buffer_append_u8(buffer, text.data[i]);
        else
            buffer_printf(buffer, "%%%02X", text.data[i]);
}

static void write_link(const struct metadata *link, struct buffer *line)
{
    struct reader reader = reader_of(link->name);
    struct bytes bucket = read_sized(&reader, 1 << 17), key = read_sized(&reader, 1 << 17);
    if (reader.failed)
        return;
    buffer_append_text(line, ", </buckets/");
    http_write_encoded(line, bucket);
    buffer_append_text(line, "/keys/");
    http_write_encoded(line, key);
    buffer_append_text(line, ">; riaktag=\"");
    http_write_encoded(line, link->value);
    buffer_append_u8(line, '"');
}

void http_write_links(struct http *http, const struct sibling *sibling, struct buffer *lines)
{
    buffer_append_text(lines, "Link: </buckets/");
    http_write_encoded(lines, http->request.bucket);
    buffer_append_text(lines, ">; rel=\"up\"");
    for (uint32_t i = 0; sibling != NULL && i < sibling->metadata_count; i++)
        if (sibling->metadata[i].kind == METADATA_LINK)
            write_link(&sibling->metadata[i], lines);
    buffer_append(lines, "\r\n", 2);
}

/* Values of one index stand on one line. */
static void write_indexes(const struct sibling *sibling, struct buffer *lines)
{
    for (uint32_t i = 0; i < sibling->metadata_count; i++) {
        const struct metadata *item = &sibling->metadata[i];
        if (item->kind != METADATA_INDEX ||
            (i > 0 && item[-1].kind == METADATA_INDEX && bytes_equal(item[-1].name, item->name)))
            continue;
        buffer_append_text(lines, "x-riak-index-");
        buffer_append_bytes(lines, item->name);
        buffer_append(lines, ": ", 2);
        for (uint32_t j = i; j < sibling->metadata_count; j++) {
            const struct metadata *same = &sibling->metadata[j];
            if (same->kind != METADATA_INDEX || !bytes_equal(same->name, item->name))
                break;
            if (j > i)
                buffer_append(lines, ", ", 2);
            buffer_append_bytes(lines, same->value);
        }
        buffer_append(lines, "\r\n", 2);
    }
}

void http_write_metadata(struct http *http, const struct sibling *sibling, struct buffer *lines)
{
    char date[32];
    http_date(sibling->stamp >> 16, date);
    write_type(sibling, lines);
    const struct metadata *encoding = sibling_metadata(sibling, METADATA_CONTENT_ENCODING);
    if (encoding != NULL)
        write_line(lines, "Content-Encoding", (struct bytes){ 0 }, encoding->value);
    http_write_links(http, sibling, lines);
    write_line(lines, "Last-Modified", (struct bytes){ 0 }, bytes_of_string(date));
    for (uint32_t i = 0; i < sibling->metadata_count; i++)
        if (sibling->metadata[i].kind == METADATA_USER)
            write_line(lines, "X-Riak-Meta-", sibling->metadata[i].name,
                       sibling->metadata[i].value);
    write_indexes(sibling, lines);
    uint64_t now_ms = node_wall_ms(http->environment.node);
    if (sibling->deadline_ms > now_ms && !sibling->tombstone)
        buffer_printf(lines, "X-Kvorum-TTL: %llu\r\n",
                      (unsigned long long)(sibling->deadline_ms - now_ms + 999) / 1000);
    if (sibling->tombstone)
        buffer_append_text(lines, "X-Riak-Deleted: true\r\n");
}
