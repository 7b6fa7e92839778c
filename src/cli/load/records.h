/* SPDX-License-Identifier: Apache-2.0 */
/** Sources of records: text in which one record follows another, each with a key inside.  The
 *  value of a record is its text as it stands in the source.  Pure, but for the reader's
 *  read(2). */
#ifndef CLI_LOAD_RECORDS_H
#define CLI_LOAD_RECORDS_H

#include "base/buffer.h"

struct record_format {
    const char *name;
    const char *content_type;
    const char *key_field; /* the usual one; NULL: must be given */
    /** Find the record at the front of `text`.  Returns the size of it with what separates it
     *  from the next; 0 when more text is needed (never with `at_end`).  *ret_record is empty
     *  when only separators were left. */
    size_t (*cut)(struct bytes text, bool at_end, struct bytes *ret_record);
    /** Append the key.  NULL, or why there is none (static text). */
    const char *(*key)(struct bytes record, const char *field, struct buffer *ret_key);
};

/* The last is what `export` writes: the values are in the records, and restore.c takes them out. */
extern const struct record_format record_format_deb822, record_format_jsonl, record_format_export;

const struct record_format *record_format_find(const char *name);

enum { RECORD_SIZE_MAX = 512 << 20 };

struct record_reader {
    const struct record_format *format;
    const char *key_field;
    int descriptor; /* the caller's */
    struct buffer text;
    size_t at;     /* where the next record begins in text */
    uint64_t line; /* of the record returned last, from 1 */
    uint64_t next_line;
    uint64_t offset; /* bytes of the source before `at` */
    bool at_end;
};

enum record_outcome { RECORD_FOUND, RECORD_BAD, RECORD_END, RECORD_FAILED };

void record_reader_init(struct record_reader *reader, const struct record_format *format,
                        const char *key_field, int descriptor);
/** Read from memory instead. */
void record_reader_init_text(struct record_reader *reader, const struct record_format *format,
                             const char *key_field, struct bytes text);
void record_reader_done(struct record_reader *reader);
/** The next record.  *ret_value is a view until the next call; the key is put into `key`.
 *  BAD: this record has no usable key, *ret_reason says why; reading goes on behind it.
 *  FAILED: the source cannot be read, *ret_reason says why. */
enum record_outcome record_reader_next(struct record_reader *reader, struct buffer *key,
                                       struct bytes *ret_value, const char **ret_reason);

#endif
