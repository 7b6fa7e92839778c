/* SPDX-License-Identifier: Apache-2.0 */
/* tasks wait: until nothing is under way, with its progress on standard error. */
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/tasks.h"
#include "os/clock.h"

enum { POLL_MS = 500, LINE_MS = 5000, GRACE_POLLS = 4, BAR_WIDTH = 24 };

struct waiting {
    struct os_clock clock;
    uint64_t begin_us, printed_us;
    bool terminal, shown, told_stalled, told_paused;
    bool named;     /* else what runs by itself is not waited for */
    unsigned quiet; /* polls in which nothing was under way */
};

static uint64_t passed_ms(struct waiting *waiting, uint64_t since_us)
{
    return (clock_monotonic_us(&waiting->clock.clock) - since_us) / 1000;
}

static void clear_line(const struct waiting *waiting)
{
    if (waiting->terminal && waiting->shown)
        fputs("\r\x1b[K", stderr);
}

struct sums {
    uint64_t done, total, size, rate, left_ms;
    unsigned under_way;
    bool left_known;
    const json_t *stalled, *paused, *endless;
    const char *unit;
};

static struct sums add_up(const json_t *json, bool named)
{
    struct sums sums = { .left_known = true, .unit = "" };
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i;
    json_array_foreach(tasks, i, task)
    {
        if (!task_is_under_way(task) || (!named && task_is_background(task)))
            continue;
        if (strcmp(field_text(task, "nature"), "endless") == 0)
            sums.endless = task;
        sums.under_way++;
        sums.unit = field_text(task, "unit");
        sums.done += field_number(task, "done");
        sums.total += field_number(task, "total");
        sums.size += field_number(task, "size");
        sums.rate += field_number(task, "rate");
        sums.left_known &= task_knows(task, "left_ms");
        if (field_number(task, "left_ms") > sums.left_ms)
            sums.left_ms = field_number(task, "left_ms");
        if (json_is_true(json_object_get(task, "stalled")))
            sums.stalled = task;
        if (task_is(task, "paused"))
            sums.paused = task;
    }
    return sums;
}

static void print_progress(struct waiting *waiting, const struct sums *sums)
{
    bool due = passed_ms(waiting, waiting->printed_us) >= LINE_MS;
    double part = sums->total == 0 ? 0 : (double)sums->done / (double)sums->total;
    if (!waiting->terminal && !due)
        return;
    clear_line(waiting);
    waiting->printed_us = clock_monotonic_us(&waiting->clock.clock);
    fprintf(stderr, "  %s%s%3.0f %%  %s of %s %s, %s, %s/s",
            waiting->terminal ? text_of_bar(part, BAR_WIDTH) : "", waiting->terminal ? "▏" : "",
            part * 100, text_of_count(sums->done), text_of_count(sums->total), sums->unit,
            text_of_size(sums->size), text_of_size(sums->rate));
    if (sums->left_known && sums->left_ms > 0)
        fprintf(stderr, ", %s left", text_of_time((double)sums->left_ms / 1000));
    if (!waiting->terminal)
        fputc('\n', stderr);
    fflush(stderr);
    waiting->shown = true;
}

static void tell_once(struct waiting *waiting, bool *told, const json_t *task, const char *what)
{
    if (task == NULL || *told) {
        *told = task != NULL;
        return;
    }
    clear_line(waiting);
    fprintf(stderr, "%s is %s%s%s\n", field_text(task, "task"), what,
            field_text(task, "note")[0] == '\0' ? "" : ": ", field_text(task, "note"));
    *told = true;
}

/* Just after a commit a node may not have heard of it: nothing under way has to last. */
static bool is_over(struct waiting *waiting, const json_t *json, const struct sums *sums)
{
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i;
    bool ended = false;
    if (sums->under_way > 0) {
        waiting->quiet = 0;
        return false;
    }
    json_array_foreach(tasks, i, task) ended |= task_is(task, "done") || task_is(task, "cancelled");
    bool seen = waiting->shown && ended;
    return seen || ++waiting->quiet > GRACE_POLLS;
}

static int refuse_endless(const struct sums *sums, json_t **json)
{
    int code =
        fail(EXIT_USAGE, "%s begins anew each time it is through; there is nothing to wait for",
             field_text(sums->endless, "task"));
    json_decref(*json);
    *json = NULL;
    return code;
}

static int watch(struct session *session, const char *task, uint64_t limit_ms, json_t **ret_json)
{
    struct waiting waiting = { .terminal = isatty(STDERR_FILENO), .named = task != NULL };
    os_clock_init(&waiting.clock);
    waiting.begin_us = waiting.printed_us = clock_monotonic_us(&waiting.clock.clock);
    for (;;) {
        const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        int code = tasks_get(session, task, ret_json);
        if (code != EXIT_DONE)
            return code;
        const struct sums sums = add_up(*ret_json, waiting.named);
        if (sums.endless != NULL)
            return refuse_endless(&sums, ret_json);
        if (is_over(&waiting, *ret_json, &sums))
            break;
        print_progress(&waiting, &sums);
        waiting.shown |= sums.under_way > 0;
        tell_once(&waiting, &waiting.told_stalled, sums.stalled, "stalled");
        tell_once(&waiting, &waiting.told_paused, sums.paused, "paused");
        if (limit_ms > 0 && passed_ms(&waiting, waiting.begin_us) >= limit_ms) {
            clear_line(&waiting);
            return fail(EXIT_TIMEOUT, "still under way; it goes on");
        }
        json_decref(*ret_json);
        *ret_json = NULL;
        nanosleep(&pause, NULL);
    }
    clear_line(&waiting);
    return tasks_judge(*ret_json);
}

int command_tasks_wait(const struct invocation *invocation)
{
    struct session session;
    json_t *json = NULL;
    const char *task = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code =
        watch(&session, task, (uint64_t)option_number(invocation, "seconds", 0) * 1000, &json);
    if (json != NULL)
        tasks_print(json, invocation, false);
    session_end(&session);
    return code;
}
