/* SPDX-License-Identifier: Apache-2.0 */
/** Tapes: their bytes, what is refused, and how a changed one is read. */
#include "sim/world/tape.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/random.h"
#include "support/rows.h"

enum { RECORD_MAX = 4096, HEADER_SIZE = 27 + 5 + 7 };

static const struct tape_header sample_header = {
    .seed = 7,
    .trace_hash = 0x1122334455667788,
    .operation_count = 150,
    .kind = KIND_LIVENESS,
    .bug = "a-bug",
    .checker = "durable",
};

/* Noise 1 0 300; a plan of two spans, one empty; one operation of the third client. */
static void make_sample(struct tape *tape)
{
    *tape = (struct tape){ 0 };
    tape_begin_span(tape, STREAM_NOISE);
    tape_record(tape, STREAM_NOISE, 1);
    tape_record(tape, STREAM_NOISE, 0);
    tape_record(tape, STREAM_NOISE, 300);
    tape_begin_span(tape, STREAM_PLAN);
    tape_record(tape, STREAM_PLAN, 5);
    tape_begin_span(tape, STREAM_PLAN);
    tape_begin_span(tape, (enum stream)(STREAM_CLIENTS + 2));
    tape_record(tape, (enum stream)(STREAM_CLIENTS + 2), UINT64_MAX);
}

static void encode_sample(struct buffer *buffer)
{
    struct tape tape;
    make_sample(&tape);
    buffer_init(buffer, RECORD_MAX);
    tape_encode(&sample_header, &tape, buffer);
    assert_false(buffer->failed);
    tape_done(&tape);
}

static void assert_same_tape(const struct tape *a, const struct tape *b)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        const struct tape_stream *x = &a->streams[i], *y = &b->streams[i];
        assert_int_equal(x->count, y->count);
        assert_int_equal(x->span_count, y->span_count);
        for (size_t at = 0; at < x->count; at++)
            assert_true(x->choices[at] == y->choices[at]);
        for (size_t at = 0; at < x->span_count; at++)
            assert_int_equal(x->starts[at], y->starts[at]);
    }
}

/* --- golden bytes ---------------------------------------------------------------------------- */

static void golden(void **state)
{
    (void)state;
    static const char path[] = "tests/golden/tape/sample.tape";
    struct buffer buffer;
    uint8_t bytes[RECORD_MAX];
    encode_sample(&buffer);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(buffer.data, 1, buffer.size, file), buffer.size);
        fclose(file);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_make(bytes, size)));
    buffer_done(&buffer);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct buffer buffer;
    struct tape_header header;
    struct tape tape, sample;
    const char *why = "";
    encode_sample(&buffer);
    make_sample(&sample);
    assert_int_equal(KVORUM_OK, tape_decode(buffer_bytes(&buffer), &header, &tape, &why));
    assert_same_tape(&sample, &tape);
    assert_memory_equal(&sample_header, &header, sizeof(header));
    tape_done(&tape);
    tape_done(&sample);
    buffer_done(&buffer);
}

/* --- damage: the sample changed at one place, under a good checksum -------------------------- */

struct damage {
    const char *name;
    size_t offset;
    uint8_t byte;
    kvorum_status status;
    const char *why;
};

static const struct damage damages[] = {
    { "other magic is not a tape", 0, 'X', KVORUM_FOREIGN, "is not a tape of kvorum-sim" },
    { "a later version is of a newer release", 3, '2', KVORUM_NEWER_FORMAT,
      "was written by a newer release of kvorum-sim" },
    { "a kind of run that nobody has is refused", 24, 255, KVORUM_CORRUPT,
      "holds values out of range" },
    { "a bug's name is longer than any", 25, 64, KVORUM_CORRUPT, "holds values out of range" },
    { "a bug's name has other letters", 26, '/', KVORUM_CORRUPT, "holds values out of range" },
    { "other streams than ours", HEADER_SIZE, STREAM_COUNT + 1, KVORUM_CORRUPT,
      "has other streams than this kvorum-sim" },
    { "more spans than there are bytes", HEADER_SIZE + 1, 0x7f, KVORUM_CORRUPT,
      "holds values out of range" },
    { "more choices than there are bytes", HEADER_SIZE + 2, 0x7f, KVORUM_CORRUPT,
      "holds values out of range" },
};

static void check_damage(const void *context)
{
    const struct damage *row = context;
    struct buffer buffer;
    struct tape_header header;
    struct tape tape;
    const char *why = "";
    encode_sample(&buffer);
    assert_true(row->offset < buffer.size - 8);
    buffer.data[row->offset] = row->byte;
    uint64_t checksum = htole64(hash64(bytes_make(buffer.data, buffer.size - 8), 0));
    memcpy(buffer.data + buffer.size - 8, &checksum, sizeof(checksum));
    assert_int_equal(row->status, tape_decode(buffer_bytes(&buffer), &header, &tape, &why));
    assert_string_equal(row->why, why);
    buffer_done(&buffer);
}

static void every_cut_and_flip_is_refused(void **state)
{
    (void)state;
    struct buffer buffer;
    struct tape_header header;
    struct tape tape;
    const char *why;
    encode_sample(&buffer);
    for (size_t size = 0; size < buffer.size; size++)
        assert_int_not_equal(KVORUM_OK,
                             tape_decode(bytes_make(buffer.data, size), &header, &tape, &why));
    for (size_t bit = 0; bit < 8 * buffer.size; bit++) {
        buffer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(KVORUM_OK, tape_decode(buffer_bytes(&buffer), &header, &tape, &why));
        buffer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_done(&buffer);
}

static void more_than_any_tape_is_refused(void **state)
{
    (void)state;
    static uint8_t large[TAPE_SIZE_MAX + 1];
    struct tape_header header;
    struct tape tape;
    const char *why;
    assert_int_equal(KVORUM_TOO_LARGE,
                     tape_decode(bytes_make(large, sizeof(large)), &header, &tape, &why));
}

/* --- reading --------------------------------------------------------------------------------- */

static void a_span_that_is_too_short_is_calm_and_left_overs_are_passed_over(void **state)
{
    (void)state;
    struct tape tape = { 0 };
    struct tape_reader reader;
    for (uint64_t span = 1; span <= 2; span++) {
        tape_begin_span(&tape, STREAM_FAULTS);
        tape_record(&tape, STREAM_FAULTS, 10 * span);
        tape_record(&tape, STREAM_FAULTS, 10 * span + 1);
    }
    tape_reader_init(&reader, &tape);
    assert_false(tape_reader_ended(&reader, STREAM_FAULTS));
    tape_reader_next_span(&reader, STREAM_FAULTS);
    assert_int_equal(10, tape_reader_take(&reader, STREAM_FAULTS));
    tape_reader_next_span(&reader, STREAM_FAULTS); /* 11 is left over */
    assert_true(tape_reader_ended(&reader, STREAM_FAULTS));
    assert_int_equal(20, tape_reader_take(&reader, STREAM_FAULTS));
    assert_int_equal(21, tape_reader_take(&reader, STREAM_FAULTS));
    assert_int_equal(0, tape_reader_take(&reader, STREAM_FAULTS));
    tape_reader_next_span(&reader, STREAM_FAULTS);
    assert_int_equal(0, tape_reader_take(&reader, STREAM_FAULTS));
    tape_done(&tape);
}

/* --- removing spans, against a slow model: spans of one choice that names them ---------------- */

static void removed_spans_are_gone_and_no_others(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 1);
    for (int round = 0; round < 200; round++) {
        struct tape tape = { 0 };
        size_t spans = 1 + random_below(&random, 20);
        for (size_t span = 0; span < spans; span++) {
            tape_begin_span(&tape, STREAM_CLIENTS);
            for (uint64_t i = random_below(&random, 4); i > 0; i--)
                tape_record(&tape, STREAM_CLIENTS, span);
        }
        size_t first = random_below(&random, spans);
        size_t count = 1 + random_below(&random, spans - first);
        struct tape copy;
        tape_copy(&tape, &copy);
        struct tape_stream *left = &copy.streams[STREAM_CLIENTS];
        const struct tape_stream *all = &tape.streams[STREAM_CLIENTS];
        tape_remove_spans(left, first, count);
        assert_int_equal(spans - count, left->span_count);
        for (size_t span = 0; span < left->span_count; span++) {
            size_t was = span < first ? span : span + count;
            size_t size = tape_span_end(left, span) - left->starts[span];
            assert_int_equal(tape_span_end(all, was) - all->starts[was], size);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(was, left->choices[left->starts[span] + i]);
        }
        tape_done(&copy);
        tape_done(&tape);
    }
}

static void calm_ends_of_spans_are_trimmed_and_the_spans_stay(void **state)
{
    (void)state;
    struct tape tape = { 0 };
    static const uint64_t choices[3][3] = { { 1, 0, 0 }, { 0, 0, 0 }, { 0, 2, 0 } };
    for (int span = 0; span < 3; span++) {
        tape_begin_span(&tape, STREAM_PLAN);
        for (int i = 0; i < 3; i++)
            tape_record(&tape, STREAM_PLAN, choices[span][i]);
    }
    tape_trim(&tape);
    const struct tape_stream *plan = &tape.streams[STREAM_PLAN];
    assert_int_equal(3, plan->span_count);
    assert_int_equal(3, plan->count);
    assert_int_equal(1, plan->starts[1]);
    assert_int_equal(1, plan->starts[2]);
    assert_int_equal(2, plan->choices[2]);
    tape_done(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_cut_and_flip_is_refused),
        cmocka_unit_test(more_than_any_tape_is_refused),
        cmocka_unit_test(a_span_that_is_too_short_is_calm_and_left_overs_are_passed_over),
        cmocka_unit_test(removed_spans_are_gone_and_no_others),
        cmocka_unit_test(calm_ends_of_spans_are_trimmed_and_the_spans_stay),
    };
    int failed = RUN_ROWS("damaged tapes", damages, check_damage);
    return failed + cmocka_run_group_tests_name("tapes", tests, NULL, NULL);
}
