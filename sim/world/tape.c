/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/tape.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/world/grow.h"

void tape_done(struct tape *tape)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        free(tape->streams[i].choices);
        free(tape->streams[i].starts);
    }
    *tape = (struct tape){ 0 };
}

static void *copy_list(const void *list, size_t size)
{
    void *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, list, size);
    return copy;
}

void tape_copy(const struct tape *tape, struct tape *ret_copy)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        struct tape_stream copy = tape->streams[i];
        copy.choices = copy_list(copy.choices, copy.count * sizeof(*copy.choices));
        copy.starts = copy_list(copy.starts, copy.span_count * sizeof(*copy.starts));
        copy.capacity = copy.count;
        copy.span_capacity = copy.span_count;
        ret_copy->streams[i] = copy;
    }
}

void tape_begin_span(struct tape *tape, enum stream stream)
{
    struct tape_stream *spans = &tape->streams[stream];
    spans->starts =
        sim_grow(spans->starts, spans->span_count, &spans->span_capacity, sizeof(*spans->starts));
    spans->starts[spans->span_count++] = spans->count;
}

void tape_record(struct tape *tape, enum stream stream, uint64_t choice)
{
    struct tape_stream *spans = &tape->streams[stream];
    assert(spans->span_count > 0);
    spans->choices =
        sim_grow(spans->choices, spans->count, &spans->capacity, sizeof(*spans->choices));
    spans->choices[spans->count++] = choice;
}

size_t tape_count_steered(const struct tape *tape)
{
    size_t count = 0;
    for (int i = STREAM_NOISE + 1; i < STREAM_COUNT; i++)
        count += tape->streams[i].count;
    return count;
}

size_t tape_count(const struct tape *tape)
{
    return tape_count_steered(tape) + tape->streams[STREAM_NOISE].count;
}

size_t tape_span_end(const struct tape_stream *stream, size_t span)
{
    assert(span < stream->span_count);
    return span + 1 < stream->span_count ? stream->starts[span + 1] : stream->count;
}

void tape_remove_spans(struct tape_stream *stream, size_t first, size_t count)
{
    assert(count > 0 && first + count <= stream->span_count);
    size_t from = stream->starts[first], to = tape_span_end(stream, first + count - 1);
    memmove(stream->choices + from, stream->choices + to,
            (stream->count - to) * sizeof(*stream->choices));
    stream->count -= to - from;
    for (size_t i = first + count; i < stream->span_count; i++)
        stream->starts[i - count] = stream->starts[i] - (to - from);
    stream->span_count -= count;
}

static void trim_stream(struct tape_stream *stream)
{
    size_t written = 0;
    for (size_t span = 0; span < stream->span_count; span++) {
        size_t from = stream->starts[span], to = tape_span_end(stream, span);
        while (to > from && stream->choices[to - 1] == 0)
            to--;
        stream->starts[span] = written;
        for (size_t i = from; i < to; i++)
            stream->choices[written++] = stream->choices[i];
    }
    stream->count = written;
}

void tape_trim(struct tape *tape)
{
    for (int i = 0; i < STREAM_COUNT; i++)
        trim_stream(&tape->streams[i]);
}

/* --- reading --------------------------------------------------------------------------------- */

void tape_reader_init(struct tape_reader *reader, const struct tape *tape)
{
    *reader = (struct tape_reader){ .tape = tape };
}

bool tape_reader_ended(const struct tape_reader *reader, enum stream stream)
{
    return reader->cursors[stream].next_span == reader->tape->streams[stream].span_count;
}

void tape_reader_next_span(struct tape_reader *reader, enum stream stream)
{
    const struct tape_stream *spans = &reader->tape->streams[stream];
    size_t span = reader->cursors[stream].next_span;
    if (tape_reader_ended(reader, stream)) {
        reader->cursors[stream].at = reader->cursors[stream].end;
        return;
    }
    reader->cursors[stream].at = spans->starts[span];
    reader->cursors[stream].end = tape_span_end(spans, span);
    reader->cursors[stream].next_span++;
}

uint64_t tape_reader_take(struct tape_reader *reader, enum stream stream)
{
    size_t at = reader->cursors[stream].at;
    if (at == reader->cursors[stream].end)
        return 0;
    reader->cursors[stream].at++;
    return reader->tape->streams[stream].choices[at];
}
