/* SPDX-License-Identifier: Apache-2.0 */
/** One line in the three formats:
 *
 *      text     2026-11-21T07:00:00.123Z warn  peer link lost peer=n2 backoff_ms=200
 *      logfmt   time=2026-11-21T07:00:00.123Z level=warn message="peer link lost" peer=n2
 *      json     {"time":"2026-11-21T07:00:00.123Z","level":"warn","message":...}
 *
 *  A byte that is no UTF-8 becomes \xff (JSON strings know no bytes: there it is text, "\\xff"). */
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>

enum { LINE_SIZE_MAX = 256 * 1024 };

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_NONE] = "none",
};
static const char *const format_names[] = {
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_LOGFMT] = "logfmt",
    [LOG_FORMAT_JSON] = "json",
};

static int find_name(const char *const *names, int count, const char *text)
{
    int i = 0;
    while (i < count && strcmp(names[i], text) != 0)
        i++;
    return i;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    int i = find_name(level_names, LOG_LEVEL_NONE + 1, text);
    if (i > LOG_LEVEL_NONE)
        return false;
    *ret_level = (enum log_level)i;
    return true;
}

bool log_format_parse(const char *text, enum log_format *ret_format)
{
    int i = find_name(format_names, LOG_FORMAT_JSON + 1, text);
    if (i > LOG_FORMAT_JSON)
        return false;
    *ret_format = (enum log_format)i;
    return true;
}

/* --- characters ---------------------------------------------------------------------------- */

static bool is_continuation(struct bytes text, size_t index)
{
    return index < text.size && (text.data[index] & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 character (not ASCII) that `text` starts with; 0 when it is none. */
static size_t utf8_size(struct bytes text)
{
    uint8_t first = text.data[0];
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(text, i))
            return 0;
    }
    uint8_t second = text.data[1];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90))
        return 0; /* overlong */
    if ((first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90))
        return 0; /* surrogates, and above U+10FFFF */
    return size;
}

static void append_ascii(struct buffer *line, uint8_t byte)
{
    switch (byte) {
    case '"':
        buffer_append_text(line, "\\\"");
        break;
    case '\\':
        buffer_append_text(line, "\\\\");
        break;
    case '\n':
        buffer_append_text(line, "\\n");
        break;
    case '\r':
        buffer_append_text(line, "\\r");
        break;
    case '\t':
        buffer_append_text(line, "\\t");
        break;
    default:
        if (byte < 0x20 || byte == 0x7f)
            buffer_printf(line, "\\u%04x", byte);
        else
            buffer_append_u8(line, byte);
    }
}

/* Append one character, escaped; returns how many bytes of `text` it was. */
static size_t append_character(struct buffer *line, enum log_format format, struct bytes text)
{
    if (text.data[0] < 0x80) {
        append_ascii(line, text.data[0]);
        return 1;
    }
    size_t size = utf8_size(text);
    if (size == 0) {
        buffer_printf(line, format == LOG_FORMAT_JSON ? "\\\\x%02x" : "\\x%02x", text.data[0]);
        return 1;
    }
    if (text.data[0] == 0xc2 && text.data[1] < 0xa0) /* C1 controls: terminals obey them */
        buffer_printf(line, "\\u%04x", text.data[1]);
    else
        buffer_append(line, text.data, size);
    return size;
}

static void append_escaped(struct buffer *line, enum log_format format, struct bytes text)
{
    size_t at = 0;
    while (at < text.size && at < LOG_VALUE_SIZE_MAX)
        at += append_character(line, format, bytes_from(text, at));
    if (at < text.size)
        buffer_append_text(line, "...");
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '=' || byte == '\\')
            return false;
    }
    return text.size > 0;
}

static void append_string(struct buffer *line, enum log_format format, struct bytes text)
{
    bool quoted = format == LOG_FORMAT_JSON || !is_plain(text);
    if (quoted)
        buffer_append_u8(line, '"');
    append_escaped(line, format, text);
    if (quoted)
        buffer_append_u8(line, '"');
}

/* --- time ---------------------------------------------------------------------------------- */

struct date {
    uint64_t year;
    unsigned month, day;
};

/* Gregorian date, `days` after 1970-01-01.  Years are counted from March, so that the leap day is
 * the last of its year and months before it have fixed places.  (gmtime_r would read files.) */
static struct date date_of(uint64_t days)
{
    days += 719468;                                    /* from 0000-03-01 */
    uint64_t era = days / 146097, day = days % 146097; /* of 400 years */
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    unsigned month = (5 * (unsigned)day + 2) / 153; /* 0 is March */
    struct date date = { .year = era * 400 + year,
                         .day = (unsigned)day - (153 * month + 2) / 5 + 1 };
    date.month = month < 10 ? month + 3 : month - 9;
    date.year += date.month <= 2;
    return date;
}

static void append_time(struct buffer *line, uint64_t wall_ms)
{
    struct date date = date_of(wall_ms / 86400000);
    unsigned ms = (unsigned)(wall_ms % 86400000);
    buffer_printf(line, "%04" PRIu64 "-%02u-%02uT%02u:%02u:%02u.%03uZ", date.year, date.month,
                  date.day, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* --- lines --------------------------------------------------------------------------------- */

static void append_name(struct buffer *line, enum log_format format, const char *name)
{
    struct bytes text = bytes_of_string(name);
    if (format == LOG_FORMAT_JSON) {
        buffer_append_text(line, line->data[line->size - 1] == '{' ? "" : ",");
        append_string(line, format, text);
        buffer_append_text(line, ":");
        return;
    }
    if (line->size > 0)
        buffer_append_u8(line, ' ');
    append_escaped(line, format, text);
    buffer_append_u8(line, '=');
}

static void append_field(struct buffer *line, enum log_format format, const struct log_field *field)
{
    append_name(line, format, field->name);
    switch (field->kind) {
    case LOG_FIELD_TEXT:
    case LOG_FIELD_BYTES:
        append_string(line, format, field->text);
        break;
    case LOG_FIELD_U64:
        buffer_printf(line, "%" PRIu64, field->number);
        break;
    case LOG_FIELD_I64:
        buffer_printf(line, "%" PRId64, (int64_t)field->number);
        break;
    }
}

static void append_head_text(struct buffer *line, enum log_level level, uint64_t wall_ms,
                             const char *message)
{
    if (wall_ms != 0) {
        append_time(line, wall_ms);
        buffer_append_u8(line, ' ');
    }
    buffer_printf(line, "%-5s ", level_names[level]);
    append_escaped(line, LOG_FORMAT_TEXT, bytes_of_string(message));
}

static void append_head_named(struct buffer *line, enum log_format format, enum log_level level,
                              uint64_t wall_ms, const char *message)
{
    const char *quote = format == LOG_FORMAT_JSON ? "\"" : "";
    if (wall_ms != 0) {
        append_name(line, format, "time");
        buffer_append_text(line, quote);
        append_time(line, wall_ms);
        buffer_append_text(line, quote);
    }
    append_name(line, format, "level");
    append_string(line, format, bytes_of_string(level_names[level]));
    append_name(line, format, "message");
    append_string(line, format, bytes_of_string(message));
}

void log_format_line(enum log_format format, enum log_level level, uint64_t wall_ms,
                     const char *message, const struct log_field *fields, size_t count,
                     struct buffer *ret_line)
{
    assert(level <= LOG_LEVEL_NONE);
    if (format == LOG_FORMAT_JSON)
        buffer_append_u8(ret_line, '{');
    if (format == LOG_FORMAT_TEXT)
        append_head_text(ret_line, level, wall_ms, message);
    else
        append_head_named(ret_line, format, level, wall_ms, message);
    for (size_t i = 0; i < count; i++)
        append_field(ret_line, format, &fields[i]);
    buffer_append_text(ret_line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
}

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t count)
{
    struct buffer line;
    buffer_init(&line, LINE_SIZE_MAX);
    uint64_t wall_ms = log->wall_ms == NULL ? 0 : log->wall_ms(log->context);
    log_format_line(log->format, level, wall_ms, message, fields, count, &line);
    if (!line.failed)
        log->write(log->context, level, buffer_bytes(&line));
    buffer_done(&line);
}
