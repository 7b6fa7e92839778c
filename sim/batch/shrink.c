/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/shrink.h"

enum {
    ROUNDS_MAX = 20,
    REDRAWS = 4,
    NOISE_PIECES = 256,    /* noise is made calm in pieces no smaller than this part of it, */
    NOISE_CHOICES_FEW = 64 /* unless there is little left */
};

static bool may_go_on(const struct shrink *shrink)
{
    return shrink->runs < shrink->runs_max && shrink->go_on(shrink->context, shrink);
}

static bool try_with_noise(struct shrink *shrink, const struct tape *candidate, uint64_t noise_seed)
{
    struct tape used = { 0 };
    if (!may_go_on(shrink))
        return false;
    shrink->runs++;
    if (!shrink->fails(shrink->context, candidate, noise_seed, &used))
        return false;
    tape_done(&shrink->best);
    shrink->best = used;
    return true;
}

/* Takes the candidate; true when it is the best one now. */
static bool try(struct shrink *shrink, struct tape *candidate)
{
    bool better = try_with_noise(shrink, candidate, 0);
    tape_done(candidate);
    return better;
}

/* --- removing what actors do ----------------------------------------------------------------- */

/* Without an operation all noise behind it means something else; none, or some other, may do. */
static bool try_without(struct shrink *shrink, enum stream stream, size_t first, size_t count)
{
    struct tape candidate;
    tape_copy(&shrink->best, &candidate);
    tape_remove_spans(&candidate.streams[stream], first, count);
    bool noisy = shrink->best.streams[STREAM_NOISE].count > 0;
    bool better = try_with_noise(shrink, &candidate, 0);
    if (noisy && !better) {
        candidate.streams[STREAM_NOISE].count = 0; /* calm */
        better = try_with_noise(shrink, &candidate, 0);
    }
    for (int i = 0; i < REDRAWS && noisy && !better; i++)
        better = try_with_noise(shrink, &candidate, 1 + shrink->runs);
    tape_done(&candidate);
    return better;
}

static bool remove_some(struct shrink *shrink, enum stream stream, size_t size)
{
    const struct tape_stream *now = &shrink->best.streams[stream];
    bool better = false;
    size_t first = 0;
    while (first < now->span_count && may_go_on(shrink)) {
        size_t left = now->span_count - first;
        if (try_without(shrink, stream, first, left < size ? left : size))
            better = true;
        else
            first += size;
    }
    return better;
}

static bool remove_spans(struct shrink *shrink, enum stream stream)
{
    bool better = false;
    for (size_t size = shrink->best.streams[stream].span_count; size >= 1; size /= 2)
        better |= remove_some(shrink, stream, size);
    return better;
}

/* --- making choices calm --------------------------------------------------------------------- */

static bool all_calm(const struct tape_stream *stream, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (stream->choices[i] != 0)
            return false;
    }
    return true;
}

static bool try_calm(struct shrink *shrink, enum stream number, size_t first, size_t size)
{
    const struct tape_stream *now = &shrink->best.streams[number];
    size_t end = now->count - first < size ? now->count : first + size;
    if (all_calm(now, first, end))
        return false;
    struct tape candidate;
    tape_copy(&shrink->best, &candidate);
    struct tape_stream *stream = &candidate.streams[number];
    memset(stream->choices + first, 0, (end - first) * sizeof(*stream->choices));
    return try(shrink, &candidate);
}

static bool calm_down(struct shrink *shrink, enum stream stream)
{
    const struct tape_stream *now = &shrink->best.streams[stream];
    size_t least = 1;
    if (stream == STREAM_NOISE && now->count > NOISE_CHOICES_FEW)
        least = now->count / NOISE_PIECES;
    bool better = false;
    for (size_t size = now->count; size >= least && size > 0; size /= 2) {
        for (size_t first = 0; first < now->count && may_go_on(shrink); first += size)
            better |= try_calm(shrink, stream, first, size);
    }
    return better;
}

/* --- lowering choices ------------------------------------------------------------------------ */

static bool try_lower(struct shrink *shrink, enum stream stream, size_t at, uint64_t choice)
{
    struct tape candidate;
    tape_copy(&shrink->best, &candidate);
    candidate.streams[stream].choices[at] = choice;
    return try(shrink, &candidate);
}

/* By large steps first: delays have twenty bits and more. */
static bool lower_one(struct shrink *shrink, enum stream stream, size_t at)
{
    const struct tape_stream *now = &shrink->best.streams[stream];
    bool better = false;
    for (unsigned shift = 32; shift >= 1; shift /= 2) {
        while (at < now->count && now->choices[at] > 1 &&
               try_lower(shrink, stream, at, now->choices[at] >> shift))
            better = true;
    }
    return better;
}

static bool lower(struct shrink *shrink, enum stream stream)
{
    const struct tape_stream *now = &shrink->best.streams[stream];
    bool better = false;
    if (stream == STREAM_NOISE && now->count > NOISE_CHOICES_FEW)
        return false;
    for (size_t at = 0; at < now->count && may_go_on(shrink); at++)
        better |= lower_one(shrink, stream, at);
    return better;
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The plan has two spans with a meaning by their place: features, and the founding. */
static bool is_removable(enum stream stream)
{
    return stream != STREAM_NOISE && stream != STREAM_PLAN;
}

static bool shrink_round(struct shrink *shrink)
{
    bool better = false;
    better |= calm_down(shrink, STREAM_NOISE);
    for (int i = STREAM_COUNT - 1; i > 0; i--) {
        if (is_removable((enum stream)i))
            better |= remove_spans(shrink, (enum stream)i);
    }
    for (int i = STREAM_PLAN; i < STREAM_COUNT; i++)
        better |= calm_down(shrink, (enum stream)i);
    for (int i = 0; i < STREAM_COUNT; i++)
        better |= lower(shrink, (enum stream)i);
    return better;
}

void shrink_run(struct shrink *shrink)
{
    tape_trim(&shrink->best);
    for (int round = 0; round < ROUNDS_MAX && may_go_on(shrink); round++) {
        if (!shrink_round(shrink))
            return;
    }
}
