/* SPDX-License-Identifier: Apache-2.0 */
/** What the encodings of objects and of contexts share.  The table of bytes is in encode.c. */
#ifndef OBJECT_ENCODING_H
#define OBJECT_ENCODING_H

#include "codec/varint.h"
#include "object/object.h"

enum {
    OBJECT_FORMAT_LAST = 1,    /* nothing is kept and nothing that is not was replaced by it */
    OBJECT_FORMAT_KEPT = 2,    /* everything else that never expires */
    OBJECT_FORMAT_EXPIRES = 3, /* as 2, and some sibling has a deadline */
    OBJECT_FLAG_TOMBSTONE = 1,
    OBJECT_FLAG_KEPT = 2,
    OBJECT_FLAG_EXPIRES = 4,
};

/** Write the clock at `at`, where clock_vector_packed_size bytes are free; returns the new end. */
uint8_t *clock_vector_pack(uint8_t *at, const struct clock_vector *clock);
size_t clock_vector_packed_size(const struct clock_vector *clock);
/** A dot by the clock it lies under, from entry `from` on; *ret_entry is its place there. */
uint8_t *dot_pack(uint8_t *at, const struct clock_vector *clock, struct dot dot, uint32_t from,
                  uint32_t *ret_entry);
size_t dot_packed_size(const struct clock_vector *clock, struct dot dot, uint32_t from,
                       uint32_t *ret_entry);
/** A stamp and a dot. */
uint8_t *write_mark_pack(uint8_t *at, const struct clock_vector *clock, struct write_mark mark);
size_t write_mark_packed_size(const struct clock_vector *clock, struct write_mark mark);
/** Read what they wrote; a dot that the clock does not cover fails the reader. */
struct dot dot_read(struct reader *reader, const struct clock_vector *clock);
struct write_mark write_mark_read(struct reader *reader, const struct clock_vector *clock);
/** Read what clock_vector_pack wrote.  CORRUPT (also when the reader failed), NO_MEMORY. */
KVORUM_CHECKED kvorum_status clock_vector_read(struct reader *reader, struct arena *arena,
                                               struct clock_vector *ret_clock);

#endif
