/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/records.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "cli/base64.h"
#include "cli/message.h"

enum { READ_SIZE_MIN = 256 * 1024, KEY_SIZE_MAX = 65536 };

/* --- Debian control records: fields, an empty line ------------------------------------------- */

/* Size of the line at the front with its newline; 0 when it is not whole yet. */
static size_t line_size(struct bytes text, bool at_end)
{
    const uint8_t *end = text.size == 0 ? NULL : memchr(text.data, '\n', text.size);
    if (end != NULL)
        return (size_t)(end - text.data) + 1;
    return at_end ? text.size : 0;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r' &&
            line.data[i] != '\n')
            return false;
    }
    return true;
}

/* Blank lines before the record and one behind it belong to the cut, not to the record. */
static size_t cut_deb822(struct bytes text, bool at_end, struct bytes *ret_record)
{
    size_t begin = 0, size;
    while ((size = line_size(bytes_from(text, begin), at_end)) > 0 &&
           is_blank(bytes_make(text.data + begin, size)))
        begin += size;
    size_t end = begin;
    while ((size = line_size(bytes_from(text, end), at_end)) > 0) {
        if (is_blank(bytes_make(text.data + end, size)))
            break;
        end += size;
    }
    if (size == 0 && !at_end)
        return 0;
    *ret_record = bytes_make(text.data + begin, end - begin);
    return end + size;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.size > 0 && strchr(" \t\r\n", text.data[text.size - 1]) != NULL)
        text.size--;
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_from(text, 1);
    return text;
}

static const char *key_deb822(struct bytes record, const char *field, struct buffer *ret_key)
{
    size_t name_size = strlen(field), size;
    for (; (size = line_size(record, true)) > 0; record = bytes_from(record, size)) {
        if (size <= name_size || record.data[name_size] != ':' ||
            strncasecmp((const char *)record.data, field, name_size) != 0)
            continue;
        struct bytes value = trimmed(bytes_make(record.data + name_size + 1, size - name_size - 1));
        if (value.size == 0)
            return "its key field is empty";
        buffer_append_bytes(ret_key, value);
        return NULL;
    }
    return "it has no such field as the key field";
}

const struct record_format record_format_deb822 = {
    .name = "deb822",
    .content_type = "text/plain; charset=utf-8",
    .key_field = "Package",
    .cut = cut_deb822,
    .key = key_deb822,
};

/* --- JSON lines ------------------------------------------------------------------------------ */

static size_t cut_jsonl(struct bytes text, bool at_end, struct bytes *ret_record)
{
    size_t begin = 0, size;
    while ((size = line_size(bytes_from(text, begin), at_end)) > 0 &&
           is_blank(bytes_make(text.data + begin, size)))
        begin += size;
    if (size == 0 && !at_end)
        return 0;
    *ret_record = trimmed(bytes_make(text.data + begin, size));
    return begin + size;
}

static const char *append_json_key(const json_t *value, struct buffer *ret_key)
{
    if (json_is_integer(value))
        buffer_printf(ret_key, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_string(value))
        buffer_append(ret_key, json_string_value(value), json_string_length(value));
    else
        return value == NULL ? "it has no such field as the key field"
                             : "its key field is neither text nor a whole number";
    return ret_key->size == 0 ? "its key field is empty" : NULL;
}

static const char *key_jsonl(struct bytes record, const char *field, struct buffer *ret_key)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)record.data, record.size, JSON_ALLOW_NUL, &error);
    const char *problem = object == NULL ? "it is no valid JSON"
                          : !json_is_object(object)
                              ? "it is no JSON object"
                              : append_json_key(json_object_get(object, field), ret_key);
    json_decref(object);
    return problem;
}

const struct record_format record_format_jsonl = {
    .name = "jsonl",
    .content_type = "application/json",
    .key_field = NULL,
    .cut = cut_jsonl,
    .key = key_jsonl,
};

/* --- what export wrote ----------------------------------------------------------------------- */

static const char *key_export(struct bytes record, const char *field, struct buffer *ret_key)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)record.data, record.size, JSON_ALLOW_NUL, &error);
    const json_t *base64 = json_object_get(object, "key_base64");
    const char *problem = object == NULL            ? "it is no valid JSON"
                          : !json_is_object(object) ? "it is no JSON object"
                                                    : NULL;
    if (problem == NULL && base64 == NULL)
        problem = append_json_key(json_object_get(object, field), ret_key);
    else if (problem == NULL &&
             (!json_is_string(base64) ||
              !base64_append_decoded(
                  ret_key, bytes_make(json_string_value(base64), json_string_length(base64)))))
        problem = "its key_base64 is no base64; without it the key is in";
    json_decref(object);
    return problem;
}

const struct record_format record_format_export = {
    .name = "export",
    .content_type = "",
    .key_field = "key",
    .cut = cut_jsonl,
    .key = key_export,
};

const struct record_format *record_format_find(const char *name)
{
    return strcmp(name, "deb822") == 0   ? &record_format_deb822
           : strcmp(name, "export") == 0 ? &record_format_export
                                         : &record_format_jsonl;
}

/* --- the reader ------------------------------------------------------------------------------ */

void record_reader_init(struct record_reader *reader, const struct record_format *format,
                        const char *key_field, int descriptor)
{
    *reader = (struct record_reader){
        .format = format, .key_field = key_field, .descriptor = descriptor, .next_line = 1
    };
    buffer_init(&reader->text, RECORD_SIZE_MAX);
}

void record_reader_init_text(struct record_reader *reader, const struct record_format *format,
                             const char *key_field, struct bytes text)
{
    record_reader_init(reader, format, key_field, -1);
    buffer_append_bytes(&reader->text, text);
    reader->at_end = true;
}

void record_reader_done(struct record_reader *reader)
{
    buffer_done(&reader->text);
}

/* Twice as much each time a record is still not whole, so that long ones are not scanned over and
 * over. */
static const char *read_more(struct record_reader *reader)
{
    buffer_consume(&reader->text, reader->at);
    reader->at = 0;
    size_t wanted = reader->text.size > READ_SIZE_MIN ? reader->text.size : READ_SIZE_MIN;
    uint8_t *room = buffer_reserve(&reader->text, wanted);
    if (room == NULL)
        return "a record is larger than 512 MB, or the memory ran out";
    size_t got = 0;
    while (got < wanted && !reader->at_end) {
        ssize_t size = read(reader->descriptor, room + got, wanted - got);
        if (size < 0 && errno != EINTR)
            return errno_text(errno);
        reader->at_end = size == 0;
        got += size > 0 ? (size_t)size : 0;
    }
    reader->text.size += got;
    return NULL;
}

static uint64_t count_lines(const uint8_t *from, const uint8_t *to)
{
    uint64_t count = 0;
    for (const uint8_t *p = from; p < to && (p = memchr(p, '\n', (size_t)(to - p))) != NULL; p++)
        count++;
    return count;
}

enum record_outcome record_reader_next(struct record_reader *reader, struct buffer *key,
                                       struct bytes *ret_value, const char **ret_reason)
{
    struct bytes rest, record = { 0 };
    size_t size;
    for (;;) {
        rest = bytes_from(buffer_bytes(&reader->text), reader->at);
        size = rest.size == 0 ? 0 : reader->format->cut(rest, reader->at_end, &record);
        if (size > 0)
            break;
        if (reader->at_end)
            return RECORD_END;
        *ret_reason = read_more(reader);
        if (*ret_reason != NULL)
            return RECORD_FAILED;
    }
    reader->at += size;
    reader->offset += size;
    reader->line = reader->next_line + count_lines(rest.data, record.data);
    reader->next_line += count_lines(rest.data, rest.data + size);
    if (record.size == 0)
        return record_reader_next(reader, key, ret_value, ret_reason);
    *ret_value = record;
    *ret_reason = reader->format->key(record, reader->key_field, key);
    if (*ret_reason == NULL && (key->failed || key->size > KEY_SIZE_MAX))
        *ret_reason = "its key is larger than 64 KiB";
    return *ret_reason == NULL ? RECORD_FOUND : RECORD_BAD;
}
