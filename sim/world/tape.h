/* SPDX-License-Identifier: Apache-2.0 */
/** What choose() answered in one run, by who asked.
 *
 *      stream   plan, faults, repairs, changes, one for each client, noise (everything else)
 *      span     what one step of that actor drew: one fault, one operation of a client
 *      choice   distance from the calm answer: 0 is no loss, the mean delay, the first of several
 *
 *  Streams and spans keep a changed tape meaningful.  One that lacks the span of an operation has
 *  all faults and other operations as before; in a span that turns out too short the rest is calm,
 *  and what is left over of it is passed over.  A stream without further spans ends its actor: no
 *  more faults, no more operations of this client.  Only noise, one long span, goes on calmly.
 *
 *  docs/formats/tape.md has the bytes.  Thread: one.  When memory runs out the program aborts. */
#ifndef SIM_TAPE_H
#define SIM_TAPE_H

#include "base/buffer.h"
#include "kvorum/status.h"
#include "sim/kinds.h"

enum { TAPE_CLIENTS = 8, TAPE_NAME_MAX = 63, TAPE_SIZE_MAX = 16 << 20 /* of a file, bytes */ };

enum stream {
    STREAM_NOISE, /* delays, losses, the fate of un-synced bytes, seeds of nodes */
    STREAM_PLAN,
    STREAM_FAULTS,
    STREAM_REPAIRS,
    STREAM_CHANGES, /* of the bucket's mode */
    STREAM_CLIENTS, /* this one and the next */
    STREAM_COUNT = STREAM_CLIENTS + TAPE_CLIENTS
};

/** Every choice belongs to a span. */
struct tape_stream {
    uint64_t *choices;
    size_t count, capacity;
    size_t *starts; /* of its spans, ascending, the first 0 */
    size_t span_count, span_capacity;
};

/** Zero-initialised is empty. */
struct tape {
    struct tape_stream streams[STREAM_COUNT];
};

void tape_done(struct tape *tape);
/** `ret_copy` becomes a tape of its own. */
void tape_copy(const struct tape *tape, struct tape *ret_copy);
void tape_begin_span(struct tape *tape, enum stream stream);
/** Append to the last span, which there is. */
void tape_record(struct tape *tape, enum stream stream, uint64_t choice);
/** How many choices there are in all streams. */
size_t tape_count(const struct tape *tape);
/** How many there are besides noise. */
size_t tape_count_steered(const struct tape *tape);
/** Where a span's choices end. */
size_t tape_span_end(const struct tape_stream *stream, size_t span);
/** Remove spans [first, first + count). */
void tape_remove_spans(struct tape_stream *stream, size_t first, size_t count);
/** Calm choices at the end of a span say nothing. */
void tape_trim(struct tape *tape);

/** Reads a tape span by span. */
struct tape_reader {
    const struct tape *tape;
    struct {
        size_t next_span, at, end;
    } cursors[STREAM_COUNT];
};

void tape_reader_init(struct tape_reader *reader, const struct tape *tape);
void tape_reader_next_span(struct tape_reader *reader, enum stream stream);
/** No span is left. */
bool tape_reader_ended(const struct tape_reader *reader, enum stream stream);
/** The next choice of the span; calm when none is left. */
uint64_t tape_reader_take(struct tape_reader *reader, enum stream stream);

/** The run that a tape is of. */
struct tape_header {
    uint64_t seed, trace_hash;
    uint32_t operation_count; /* 0: the default */
    enum kind kind;
    char bug[TAPE_NAME_MAX + 1];     /* planted; "" is none */
    char checker[TAPE_NAME_MAX + 1]; /* that found it wrong; "" is none */
};

/** Appends the bytes of a file.  Allocates nothing when the buffer has the room. */
void tape_encode(const struct tape_header *header, const struct tape *tape, struct buffer *buffer);
/** FOREIGN, NEWER_FORMAT, CORRUPT, TOO_LARGE; *ret_why then says it for people (static text). */
KVORUM_CHECKED kvorum_status tape_decode(struct bytes bytes, struct tape_header *ret_header,
                                         struct tape *ret_tape, const char **ret_why);

#endif
