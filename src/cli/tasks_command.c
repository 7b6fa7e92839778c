/* SPDX-License-Identifier: Apache-2.0 */
/* tasks: background work of all nodes: shown, waited for, steered. */
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/session.h"
#include "os/clock.h"
#include "server/config.h"

enum { POLL_MS = 500, LINE_MS = 5000, GRACE_POLLS = 4, BAR_WIDTH = 24 };

/* --- asking --------------------------------------------------------------------------------- */

static int refused(struct session *session, const char *what)
{
    const struct http_response *response = &session->client.response;
    (void)session_refused(&session->client, what);
    return response->code == 404   ? EXIT_NO
           : response->code == 409 ? EXIT_UNSAFE
                                   : session_exit_code(response);
}

static int ask(struct session *session, const struct http_request *request, const char *what,
               json_t **ret_json)
{
    json_error_t error;
    kvorum_status status = http_client_call(&session->client, request);
    if (status != KVORUM_OK)
        return session_fail(&session->client, what, status);
    if (session->client.response.code != 200)
        return refused(session, what);
    struct bytes answer = buffer_bytes(&session->client.response.body);
    *ret_json =
        json_loadb(answer.size == 0 ? "" : (const char *)answer.data, answer.size, 0, &error);
    if (json_is_array(json_object_get(*ret_json, "tasks")))
        return EXIT_DONE;
    json_decref(*ret_json);
    *ret_json = NULL;
    return fail(EXIT_INTERNAL, "%s: the node's answer is malformed", what);
}

static int get(struct session *session, const char *task, json_t **ret_json)
{
    struct buffer path;
    buffer_init(&path, 1 << 12);
    buffer_append_text(&path, "/kvorum/tasks");
    if (task != NULL) {
        buffer_append_text(&path, "?task=");
        http_append_encoded(&path, bytes_of_string(task));
    }
    const struct http_request request = { .method = "GET", .path = buffer_bytes(&path) };
    int code = ask(session, &request, "cannot read the tasks", ret_json);
    buffer_done(&path);
    return code;
}

/* --- showing -------------------------------------------------------------------------------- */

static const char *text_at(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

static uint64_t number_at(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static bool is_known(const json_t *json, const char *name)
{
    return json_is_integer(json_object_get(json, name));
}

static bool is_state(const json_t *task, const char *state)
{
    return strcmp(text_at(task, "state"), state) == 0;
}

static bool is_under_way(const json_t *task)
{
    return is_state(task, "running") || is_state(task, "paused");
}

static const char *left_text(const json_t *task)
{
    return is_known(task, "left_ms") ? text_of_time((double)number_at(task, "left_ms") / 1000)
                                     : "-";
}

static const char *limit_text(const json_t *task)
{
    return is_known(task, "limit") ? text_of_size(number_at(task, "limit")) : "none";
}

static void add_row(struct table *table, const json_t *task)
{
    uint64_t total = number_at(task, "total");
    table_cell(table, "%s", text_at(task, "task"));
    table_cell(table, "%s%s", text_at(task, "state"),
               json_is_true(json_object_get(task, "stalled")) ? ", stalled" : "");
    if (total == 0)
        table_cell(table, "-");
    else
        table_cell(table, "%llu of %llu %s", (unsigned long long)number_at(task, "done"),
                   (unsigned long long)total, text_at(task, "unit"));
    table_cell(table, "%llu", (unsigned long long)number_at(task, "failed"));
    table_cell(table, "%s", text_of_size(number_at(task, "size")));
    table_cell(table, "%s/s", text_of_size(number_at(task, "rate")));
    table_cell(table, "%s", limit_text(task));
    table_cell(table, "%s", left_text(task));
    table_cell(table, "%s", text_at(task, "note"));
}

static bool is_shown(const json_t *task, bool all)
{
    return all || !is_state(task, "idle") || text_at(task, "note")[0] != '\0';
}

static void warn_of_silent(const json_t *json)
{
    const json_t *silent = json_object_get(json, "silent"), *node;
    size_t i;
    json_array_foreach(silent, i, node)
        fprintf(stderr, "not known of %s: %s\n", text_at(node, "node"), text_at(node, "reason"));
}

static void print_table(const json_t *json, bool all, enum output_format format)
{
    static const char *const columns[] = { "task",  "state",  "done",  ">failed", ">size",
                                           ">rate", ">limit", ">left", "note",    NULL };
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    struct table table;
    size_t i, shown = 0;
    table_init(&table, columns);
    json_array_foreach(tasks, i, task)
    {
        if (!is_shown(task, all))
            continue;
        add_row(&table, task);
        shown++;
    }
    if (shown > 0 || format != OUTPUT_TABLE)
        table_print(&table, format, stdout);
    else
        puts("nothing is under way");
    table_done(&table);
}

/* Takes `json`. */
static void print(json_t *json, const struct invocation *invocation, bool all)
{
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    if (format == OUTPUT_JSON) {
        (void)json_print(json, stdout);
        return;
    }
    print_table(json, all, format);
    warn_of_silent(json);
    json_decref(json);
}

/* EXIT_NO: something is stalled, failed or was cancelled, or a node is silent. */
static int judge(const json_t *json)
{
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i;
    int code = json_array_size(json_object_get(json, "silent")) > 0 ? EXIT_NO : EXIT_DONE;
    json_array_foreach(tasks, i, task) if (json_is_true(json_object_get(task, "stalled")) ||
                                           number_at(task, "failed") > 0 ||
                                           is_state(task, "cancelled")) code = EXIT_NO;
    return code;
}

static int show(const struct invocation *invocation, const char *task, bool all, bool judged)
{
    struct session session;
    json_t *json = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code = get(&session, task, &json);
    if (code == EXIT_DONE && judged)
        code = judge(json);
    if (json != NULL)
        print(json, invocation, all);
    session_end(&session);
    return code;
}

int command_tasks_list(const struct invocation *invocation)
{
    return show(invocation, NULL, option_flag(invocation, "all"), false);
}

int command_tasks_status(const struct invocation *invocation)
{
    return show(invocation, invocation->arguments[0], true, true);
}

/* --- waiting -------------------------------------------------------------------------------- */

struct waiting {
    struct os_clock clock;
    uint64_t begin_us, printed_us;
    bool terminal, shown, told_stalled, told_paused;
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
    const json_t *stalled, *paused;
    const char *unit;
};

static struct sums add_up(const json_t *json)
{
    struct sums sums = { .left_known = true, .unit = "" };
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i;
    json_array_foreach(tasks, i, task)
    {
        if (!is_under_way(task))
            continue;
        sums.under_way++;
        sums.unit = text_at(task, "unit");
        sums.done += number_at(task, "done");
        sums.total += number_at(task, "total");
        sums.size += number_at(task, "size");
        sums.rate += number_at(task, "rate");
        sums.left_known &= is_known(task, "left_ms");
        if (number_at(task, "left_ms") > sums.left_ms)
            sums.left_ms = number_at(task, "left_ms");
        if (json_is_true(json_object_get(task, "stalled")))
            sums.stalled = task;
        if (is_state(task, "paused"))
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
    fprintf(stderr, "%s is %s%s%s\n", text_at(task, "task"), what,
            text_at(task, "note")[0] == '\0' ? "" : ": ", text_at(task, "note"));
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
    json_array_foreach(tasks, i, task) ended |=
        is_state(task, "done") || is_state(task, "cancelled");
    bool seen = waiting->shown && ended;
    return seen || ++waiting->quiet > GRACE_POLLS;
}

static int watch(struct session *session, const char *task, uint64_t limit_ms, json_t **ret_json)
{
    struct waiting waiting = { .terminal = isatty(STDERR_FILENO) };
    os_clock_init(&waiting.clock);
    waiting.begin_us = waiting.printed_us = clock_monotonic_us(&waiting.clock.clock);
    for (;;) {
        const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        int code = get(session, task, ret_json);
        if (code != EXIT_DONE)
            return code;
        const struct sums sums = add_up(*ret_json);
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
    return judge(*ret_json);
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
        print(json, invocation, false);
    session_end(&session);
    return code;
}

/* --- steering ------------------------------------------------------------------------------- */

/* Takes `body`. */
static int post(const struct invocation *invocation, const char *what, json_t *body)
{
    struct session session;
    json_t *json = NULL;
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (text == NULL)
        return fail(EXIT_INTERNAL, "out of memory");
    const struct http_request request = {
        .method = "POST",
        .path = BYTES_LITERAL("/kvorum/tasks"),
        .fields = BYTES_LITERAL("Content-Type: application/json\r\n"),
        .body = bytes_of_string(text),
        .has_body = true,
    };
    int code = EXIT_USAGE;
    if (session_begin(&session, invocation)) {
        code = ask(&session, &request, what, &json);
        if (code == EXIT_DONE)
            print(json, invocation, true);
        session_end(&session);
    }
    free(text);
    return code;
}

static int steer(const struct invocation *invocation, const char *what)
{
    char text[160];
    snprintf(text, sizeof(text), "cannot %s %.100s", what, invocation->arguments[0]);
    return post(invocation, text,
                json_pack("{s:s, s:s}", "task", invocation->arguments[0], "do", what));
}

int command_tasks_pause(const struct invocation *invocation)
{
    return steer(invocation, "pause");
}

int command_tasks_resume(const struct invocation *invocation)
{
    return steer(invocation, "resume");
}

int command_tasks_cancel(const struct invocation *invocation)
{
    return steer(invocation, "cancel");
}

int command_tasks_limit(const struct invocation *invocation)
{
    const char *task = invocation->arguments[0], *rate = invocation->arguments[1];
    uint64_t limit = 0;
    if (strcmp(rate, "none") != 0 && (!config_parse_size(rate, &limit) || limit > INT64_MAX))
        return fail(EXIT_USAGE, "a rate is bytes a second, as 10MB, or none; not %.60s", rate);
    return post(
        invocation, "cannot limit",
        json_pack("{s:s, s:s, s:I}", "task", task, "do", "limit", "limit", (json_int_t)limit));
}
