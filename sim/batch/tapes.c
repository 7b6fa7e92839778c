/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/tapes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim/batch/isolate.h"
#include "sim/batch/shrink.h"

enum { RUN_SECONDS = 60, CANDIDATE_SECONDS = 5 };

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- files ----------------------------------------------------------------------------------- */

static bool read_file(const char *path, struct buffer *buffer)
{
    FILE *file = fopen(path, "rbe");
    size_t got = 0;
    if (file == NULL)
        return false;
    uint8_t *room = buffer_reserve(buffer, TAPE_SIZE_MAX + 1); /* so that a longer one is seen */
    if (room != NULL)
        got = fread(room, 1, TAPE_SIZE_MAX + 1, file);
    buffer->size += got;
    bool fine = room != NULL && ferror(file) == 0;
    fclose(file);
    return fine;
}

static bool complain(const char *path, const char *why)
{
    fprintf(stderr, "kvorum-sim: tape %s %s\n", path, why);
    return false;
}

/* A tape goes into a new file beside the old one, which is then replaced. */
static bool write_tape(const char *path, const struct tape_header *header, const struct tape *tape)
{
    char temporary[4096];
    struct buffer buffer;
    buffer_init(&buffer, TAPE_SIZE_MAX);
    tape_encode(header, tape, &buffer);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = buffer.failed ? NULL : fopen(temporary, "wbe");
    bool written = file != NULL && fwrite(buffer.data, 1, buffer.size, file) == buffer.size;
    if (file != NULL && fclose(file) != 0)
        written = false;
    written = written && rename(temporary, path) == 0;
    buffer_done(&buffer);
    if (!written)
        fprintf(stderr, "kvorum-sim: tape %s cannot be written: %s\n", path, strerror(errno));
    return written;
}

static bool plant(const char *path, const struct tape_header *header)
{
    enum planted_bug bug = header->bug[0] == '\0' ? PLANTED_NONE : bug_of_name(header->bug);
    if (bug == PLANTED_NONE && header->bug[0] != '\0') {
        fprintf(stderr,
                "kvorum-sim: tape %s is of the planted bug %s, which this kvorum-sim does not "
                "have: use the one that wrote it\n",
                path, header->bug);
        return false;
    }
    bug_plant(bug);
    return true;
}

bool tapes_read(const char *path, struct tape_header *ret_header, struct tape *ret_tape,
                struct run_options *ret_options)
{
    struct buffer buffer;
    const char *why = "cannot be read: see whether the file is there";
    buffer_init(&buffer, 2 * TAPE_SIZE_MAX);
    bool fine = read_file(path, &buffer) &&
                tape_decode(buffer_bytes(&buffer), ret_header, ret_tape, &why) == KVORUM_OK;
    buffer_done(&buffer);
    if (!fine)
        return complain(path, why);
    if (!plant(path, ret_header)) {
        tape_done(ret_tape);
        return false;
    }
    *ret_options = (struct run_options){ .seed = ret_header->seed,
                                         .operation_count = ret_header->operation_count,
                                         .kind = ret_header->kind,
                                         .told_key = -1,
                                         .replay = ret_tape };
    return true;
}

static void make_header(const struct run_options *options, const struct run_result *result,
                        struct tape_header *ret)
{
    const char *checker = result->violation.checker, *bug = bug_name(planted_bug_active);
    *ret = (struct tape_header){ .seed = options->seed,
                                 .trace_hash = result->trace_hash,
                                 .operation_count = options->operation_count,
                                 .kind = options->kind };
    if (planted_bug_active != PLANTED_NONE)
        snprintf(ret->bug, sizeof(ret->bug), "%s", bug);
    if (checker != NULL)
        snprintf(ret->checker, sizeof(ret->checker), "%s", checker);
}

/* --- shrinking ------------------------------------------------------------------------------- */

struct shrinking {
    const struct run_options *options;
    const char *checker; /* that every candidate must be found by */
    struct run_result best;
    double end, reported;
};

static bool fails(void *context, const struct tape *candidate, uint64_t noise_seed,
                  struct tape *ret_used)
{
    struct shrinking *shrinking = context;
    struct run_options options = *shrinking->options;
    struct run_result result;
    options.replay = candidate;
    options.noise_seed = noise_seed;
    options.ret_tape = ret_used;
    isolate_run(&options, CANDIDATE_SECONDS, true, &result);
    if (result.violation.checker != NULL &&
        strcmp(result.violation.checker, shrinking->checker) == 0) {
        shrinking->best = result;
        return true;
    }
    tape_done(ret_used);
    return false;
}

static void print_progress(const struct shrinking *shrinking, const struct shrink *shrink)
{
    fprintf(stderr,
            "shrinking: run %" PRIu64 " of %" PRIu64 ", %zu choices, %zu of them besides noise, "
            "%" PRIu64 " operations\n",
            shrink->runs, shrink->runs_max, tape_count(&shrink->best),
            tape_count_steered(&shrink->best), shrinking->best.asked);
}

static bool go_on(void *context, const struct shrink *shrink)
{
    struct shrinking *shrinking = context;
    double now = seconds_now();
    if (now - shrinking->reported >= 1) {
        shrinking->reported = now;
        print_progress(shrinking, shrink);
    }
    return now < shrinking->end;
}

/* The key that the violation is about, or -1. */
static int64_t key_of(const struct violation *violation)
{
    const char *found = strstr(violation->text, "key ");
    return found == NULL || found[4] < '0' || found[4] > '9' ? -1 : strtoll(found + 4, NULL, 10);
}

static void tell(const struct run_options *options, const struct tape *tape,
                 const struct violation *violation)
{
    struct run_options telling = *options;
    struct run_result result;
    telling.replay = tape;
    telling.telling = true;
    telling.told_key = key_of(violation);
    telling.ret_tape = NULL;
    puts("What happens:");
    isolate_run(&telling, CANDIDATE_SECONDS, false, &result);
}

static void shrink_tape(const struct tapes_command *command, const struct run_options *options,
                        struct run_result *result, struct tape *tape)
{
    struct shrinking shrinking = {
        .options = options,
        .checker = result->violation.checker,
        .best = *result,
        .end = seconds_now() + (double)command->shrink_seconds,
    };
    size_t choices = tape_count(tape), steered = tape_count_steered(tape);
    struct shrink shrink = { .best = *tape,
                             .runs_max = command->shrink_runs,
                             .fails = fails,
                             .go_on = go_on,
                             .context = &shrinking };
    double start = seconds_now();
    shrink_run(&shrink);
    *tape = shrink.best;
    printf("shrunk in %" PRIu64 " runs, %.1f s: %zu choices -> %zu (%zu -> %zu besides noise), "
           "%" PRIu64 " operations -> %" PRIu64 "\n",
           shrink.runs, seconds_now() - start, choices, tape_count(tape), steered,
           tape_count_steered(tape), result->asked, shrinking.best.asked);
    *result = shrinking.best;
    tell(options, tape, &result->violation);
}

/* --- the command ----------------------------------------------------------------------------- */

static void print_outcome(const struct run_result *result, const struct tape *tape)
{
    if (result->violation.checker == NULL)
        printf("nothing wrong: trace hash %016" PRIx64 ", %zu choices, %" PRIu64 " operations\n",
               result->trace_hash, tape_count(tape), result->asked);
    else
        printf("%s, at %.6f s\n  %s\n  %s\n", result->violation.checker,
               (double)result->violation.at_us / (double)SIM_SECOND, result->violation.text,
               result->plan);
}

static void compare(const struct tape_header *header, const struct run_result *result)
{
    if (header->trace_hash != result->trace_hash)
        printf("not the run that was recorded (trace hash %016" PRIx64 ", now %016" PRIx64
               "): the code has changed since\n",
               header->trace_hash, result->trace_hash);
}

static int finish(const struct tapes_command *command, const struct run_options *options,
                  struct run_result *result, struct tape *tape)
{
    struct tape_header header;
    bool found = result->violation.checker != NULL;
    print_outcome(result, tape);
    if (command->shrink && found)
        shrink_tape(command, options, result, tape);
    else if (command->shrink)
        puts("nothing to shrink");
    make_header(options, result, &header);
    if (command->tape_out != NULL && !write_tape(command->tape_out, &header, tape))
        return 2;
    return found == (planted_bug_active != PLANTED_NONE) ? 0 : 1;
}

int tapes_run(const struct tapes_command *command)
{
    struct tape_header header;
    struct tape replayed = { 0 }, tape = { 0 };
    struct run_options options = command->options;
    struct run_result result;
    bug_plant(command->bug);
    if (command->replay != NULL && !tapes_read(command->replay, &header, &replayed, &options))
        return 2;
    options.tracing = command->options.tracing;
    options.ret_tape = &tape;
    isolate_run(&options, RUN_SECONDS, false, &result);
    if (command->replay != NULL)
        compare(&header, &result);
    options.tracing = false;
    int code = finish(command, &options, &result, &tape);
    tape_done(&replayed);
    tape_done(&tape);
    return code;
}
