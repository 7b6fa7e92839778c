/* SPDX-License-Identifier: Apache-2.0 */
/** What the encodings of objects and of contexts share.  The table of bytes is in encode.c. */
#ifndef OBJECT_ENCODING_H
#define OBJECT_ENCODING_H

#include "codec/varint.h"
#include "object/object.h"

enum { OBJECT_FORMAT = 1, OBJECT_FLAG_TOMBSTONE = 1 };

/** Write the clock at `at`, where clock_vector_packed_size bytes are free; returns the new end. */
uint8_t *clock_vector_pack(uint8_t *at, const struct clock_vector *clock);
size_t clock_vector_packed_size(const struct clock_vector *clock);
/** Read what clock_vector_pack wrote.  CORRUPT (also when the reader failed), NO_MEMORY. */
KVORUM_CHECKED kvorum_status clock_vector_read(struct reader *reader, struct arena *arena,
                                               struct clock_vector *ret_clock);

#endif
