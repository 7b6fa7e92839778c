/* SPDX-License-Identifier: Apache-2.0 */
/* tasks: background work of all nodes: shown, waited for, steered. */
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/tasks.h"
#include "server/config.h"

/* --- asking --------------------------------------------------------------------------------- */

static int ask(struct session *session, const char *method, struct bytes path, const json_t *body,
               const char *what, json_t **ret_json)
{
    kvorum_status status = session_object(&session->client, method, path, body, ret_json);
    if (status != KVORUM_OK)
        return session_object_failed(&session->client, what, status);
    if (json_is_array(json_object_get(*ret_json, "tasks")))
        return EXIT_DONE;
    json_decref(*ret_json);
    *ret_json = NULL;
    return fail(EXIT_INTERNAL, "%s: the node's answer is malformed", what);
}

int tasks_get(struct session *session, const char *task, json_t **ret_json)
{
    struct buffer path;
    buffer_init(&path, 1 << 12);
    buffer_append_text(&path, "/kvorum/tasks");
    if (task != NULL) {
        buffer_append_text(&path, "?task=");
        http_append_encoded(&path, bytes_of_string(task));
    }
    int code = ask(session, "GET", buffer_bytes(&path), NULL, "cannot read the tasks", ret_json);
    buffer_done(&path);
    return code;
}

/* --- showing -------------------------------------------------------------------------------- */

static const char *left_text(const json_t *task)
{
    return task_knows(task, "left_ms") ? text_of_time((double)field_number(task, "left_ms") / 1000)
                                       : "-";
}

static const char *limit_text(const json_t *task)
{
    return task_knows(task, "limit") ? text_of_size(field_number(task, "limit")) : "none";
}

static void add_row(struct table *table, const json_t *task)
{
    uint64_t total = field_number(task, "total");
    table_cell(table, "%s", field_text(task, "task"));
    table_cell(table, "%s%s", field_text(task, "state"),
               json_is_true(json_object_get(task, "stalled")) ? ", stalled" : "");
    if (total == 0)
        table_cell(table, "-");
    else
        table_cell(table, "%llu of %llu %s", (unsigned long long)field_number(task, "done"),
                   (unsigned long long)total, field_text(task, "unit"));
    table_cell(table, "%llu", (unsigned long long)field_number(task, "failed"));
    table_cell(table, "%s", text_of_size(field_number(task, "size")));
    table_cell(table, "%s/s", text_of_size(field_number(task, "rate")));
    table_cell(table, "%s", limit_text(task));
    table_cell(table, "%s", left_text(task));
    table_cell(table, "%s", field_text(task, "note"));
}

/* Runs by itself, as it should. */
static bool is_quiet(const json_t *task)
{
    return task_is_background(task) && !task_is(task, "paused") &&
           !json_is_true(json_object_get(task, "stalled")) && field_number(task, "failed") == 0;
}

static bool is_shown(const json_t *task, bool all)
{
    return all || (!task_is(task, "idle") && !is_quiet(task)) ||
           field_text(task, "note")[0] != '\0';
}

/* One line for what always goes on somewhere. */
static void print_quiet(const json_t *json)
{
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i, count = 0;
    json_array_foreach(tasks, i, task)
    {
        if (!is_quiet(task) || !task_is(task, "running"))
            continue;
        printf("%s%s", count++ == 0 ? "in the background: " : ", ", field_text(task, "task"));
    }
    if (count > 0)
        puts(" (kvorum tasks list --all)");
}

static void warn_of_silent(const json_t *json)
{
    const json_t *silent = json_object_get(json, "silent"), *node;
    size_t i;
    json_array_foreach(silent, i, node) fprintf(
        stderr, "not known of %s: %s\n", field_text(node, "node"), field_text(node, "reason"));
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
    if (!all && format == OUTPUT_TABLE)
        print_quiet(json);
    table_done(&table);
}

void tasks_print(json_t *json, const struct invocation *invocation, bool all)
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

int tasks_judge(const json_t *json)
{
    const json_t *tasks = json_object_get(json, "tasks"), *task;
    size_t i;
    int code = json_array_size(json_object_get(json, "silent")) > 0 ? EXIT_NO : EXIT_DONE;
    json_array_foreach(tasks, i, task) if (json_is_true(json_object_get(task, "stalled")) ||
                                           field_number(task, "failed") > 0 ||
                                           task_is(task, "cancelled")) code = EXIT_NO;
    return code;
}

static int show(const struct invocation *invocation, const char *task, bool all, bool judged)
{
    struct session session;
    json_t *json = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code = tasks_get(&session, task, &json);
    if (code == EXIT_DONE && judged)
        code = tasks_judge(json);
    if (json != NULL)
        tasks_print(json, invocation, all);
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

/* --- steering ------------------------------------------------------------------------------- */

/* Takes `body`. */
static int post(const struct invocation *invocation, const char *what, json_t *body)
{
    struct session session;
    json_t *json = NULL;
    int code = EXIT_USAGE;
    if (session_begin(&session, invocation)) {
        code = ask(&session, "POST", BYTES_LITERAL("/kvorum/tasks"), body, what, &json);
        if (code == EXIT_DONE)
            tasks_print(json, invocation, true);
        session_end(&session);
    }
    json_decref(body);
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
