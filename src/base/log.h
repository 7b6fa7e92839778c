/* SPDX-License-Identifier: Apache-2.0 */
/** Leveled, structured logging.  A line is a message and named fields; how it looks (text, logfmt,
 *  json) and where it goes is the business of the sink.  No globals: a struct log is passed in.
 *
 *      log_warn(log, "peer link lost", LOG_TEXT("peer", name), LOG_U64("backoff_ms", 200));
 *
 *  Thread: any, as far as the sink allows (os/log_file.c does).  Blocks: as the sink does. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buffer.h"
#include "kvorum/status.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_NONE };
enum { LOG_VALUE_SIZE_MAX = 4096 };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_BYTES, LOG_FIELD_U64, LOG_FIELD_I64 } kind;
    struct bytes text;
    uint64_t number;
};

#define LOG_TEXT(n, v) ((struct log_field){ (n), LOG_FIELD_TEXT, bytes_of_string(v), 0 })
#define LOG_BYTES(n, v) ((struct log_field){ (n), LOG_FIELD_BYTES, (v), 0 })
#define LOG_U64(n, v) ((struct log_field){ (n), LOG_FIELD_U64, { 0, 0 }, (uint64_t)(v) })
#define LOG_I64(n, v) ((struct log_field){ (n), LOG_FIELD_I64, { 0, 0 }, (uint64_t)(int64_t)(v) })
#define LOG_STATUS(s) LOG_TEXT("status", kvorum_status_name(s))

struct log {
    enum log_level level; /* lines below it are dropped before formatting */
    enum log_format format;
    uint64_t (*wall_ms)(void *context);                                    /* NULL: no time stamp */
    void (*write)(void *context, enum log_level level, struct bytes line); /* line ends in \n */
    void *context;
};

/** Parse "debug|info|warn|error|none"; false when it is none of them. */
bool log_level_parse(const char *text, enum log_level *ret_level);
bool log_format_parse(const char *text, enum log_format *ret_format);

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t count);
/** Append the line as log_write would pass it to the sink, for tests and other sinks.  No time
 *  stamp when wall_ms is 0.  Bytes that are no printable UTF-8 are escaped, so nothing a client
 *  sends can fake a line or drive a terminal; values above LOG_VALUE_SIZE_MAX bytes are cut and end
 *  in "...". */
void log_format_line(enum log_format format, enum log_level level, uint64_t wall_ms,
                     const char *message, const struct log_field *fields, size_t count,
                     struct buffer *ret_line);

#define LOG_AT(log, at, message, ...)                                                              \
    do {                                                                                           \
        if ((log) != NULL && (at) >= (log)->level) {                                               \
            const struct log_field log_fields_[] = { __VA_ARGS__ };                                \
            log_write((log), (at), (message), log_fields_,                                         \
                      sizeof(log_fields_) / sizeof(struct log_field));                             \
        }                                                                                          \
    } while (0)
#define log_debug(log, ...) LOG_AT(log, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(log, ...) LOG_AT(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(log, ...) LOG_AT(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(log, ...) LOG_AT(log, LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
