/* SPDX-License-Identifier: Apache-2.0 */
/* /kvorum/tasks: background work of all nodes.  GET shows it, POST steers it. */
#include "server/protocol/http/json_body.h"

#include <stdlib.h>

#include "node/tasks/task.h"

enum { JSON_LIMIT = 8 << 20 };

/* --- showing -------------------------------------------------------------------------------- */

static const char *const nature_names[] = {
    [TASK_ASKED] = "asked", [TASK_BACKGROUND] = "background", [TASK_ENDLESS] = "endless"
};
static const char *const state_names[] = { [TASK_IDLE] = "idle",
                                           [TASK_RUNNING] = "running",
                                           [TASK_PAUSED] = "paused",
                                           [TASK_DONE] = "done",
                                           [TASK_CANCELLED] = "cancelled" };

static const char *name_of(const struct epoch *epoch, uint16_t member)
{
    return member < epoch->member_count ? epoch->members[member].name : "?";
}

static json_t *known(bool is_known, uint64_t number)
{
    return is_known ? json_integer((json_int_t)number) : json_null();
}

static json_t *json_task(const struct epoch *epoch, const struct task *task)
{
    const char *node = name_of(epoch, task->member);
    char id[RING_NAME_MAX + TASK_NAME_MAX + 2];
    snprintf(id, sizeof(id), "%s/%.*s", node, TASK_NAME_MAX, task->kind);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:I, s:I, "
        "s:s}",
        "task", id, "node", node, "kind", task->kind, "nature", nature_names[task->nature], "state",
        state_names[task->state], "stalled", task->stalled, "unit", task->unit, "done",
        (json_int_t)task->done, "total", (json_int_t)task->total, "failed",
        (json_int_t)task->failed, "size", (json_int_t)task->size, "size_total",
        known(task->size_total > 0, task->size_total), "rate", (json_int_t)task->rate, "limit",
        known(task->limit > 0, task->limit), "left_ms",
        known(task->left_ms != TASK_NEVER, task->left_ms), "age_ms", (json_int_t)task->age_ms,
        "idle_ms", (json_int_t)task->idle_ms, "note", task->note);
}

static json_t *json_list(const struct epoch *epoch, const struct task_list *list)
{
    json_t *tasks = json_array(), *silent = json_array();
    for (uint32_t i = 0; i < list->count; i++)
        json_array_append_new(tasks, json_task(epoch, &list->tasks[i]));
    for (uint32_t i = 0; i < list->silent_count; i++)
        json_array_append_new(silent, json_pack("{s:s, s:s, s:s}", "node",
                                                name_of(epoch, list->silent[i].member), "status",
                                                kvorum_status_name(list->silent[i].status),
                                                "reason", list->silent[i].reason));
    return json_pack("{s:o, s:o}", "tasks", tasks, "silent", silent);
}

static void answer_list(struct http *http, const struct task_list *list)
{
    json_t *json = json_list(node_epoch(http->environment.node), list);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(2));
    http_begin(http, text == NULL ? 500 : 200);
    http_add(http, "Content-Type", "application/json");
    http_end(http, text == NULL ? (struct bytes){ 0 } : bytes_of_string(text));
    free(text);
    json_decref(json);
}

static uint16_t code_of(kvorum_status status)
{
    switch (status) {
    case KVORUM_NOT_FOUND:
        return 404;
    case KVORUM_NOT_ALLOWED:
    case KVORUM_UNSUPPORTED:
    case KVORUM_INVALID:
        return 409;
    default:
        return 503;
    }
}

static void on_list(void *context, const struct task_list *list)
{
    struct http *http = http_setting_end(context);
    if (http == NULL)
        return;
    if (list->status != KVORUM_OK) {
        http_text(http, code_of(list->status), "%s\n",
                  list->reason[0] != '\0' ? list->reason : kvorum_status_text(list->status));
    } else if (list->count == 0 && list->silent_count > 0) {
        http_text(http, 503, "%s: %s\n",
                  name_of(node_epoch(http->environment.node), list->silent[0].member),
                  list->silent[0].reason);
    } else {
        answer_list(http, list);
    }
}

static void submit(struct http *http, const struct task_request *request)
{
    struct http_setting *setting = http_setting_begin(http);
    if (setting != NULL)
        node_tasks(http->environment.node, request, on_list, setting);
}

/* --- which --------------------------------------------------------------------------------- */

static uint16_t member_named(const struct epoch *epoch, struct bytes name)
{
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && bytes_is_text(name, epoch->members[i].name))
            return i;
    return RING_NO_MEMBER;
}

/* NODE/KIND, or KIND: of every node.  False: the answer was given. */
static bool read_task(struct http *http, struct bytes text, struct task_request *ret)
{
    const uint8_t *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
    struct bytes kind = text;
    if (slash != NULL) {
        struct bytes name = bytes_make(text.data, (size_t)(slash - text.data));
        kind = bytes_make(slash + 1, text.size - name.size - 1);
        ret->member = member_named(node_epoch(http->environment.node), name);
        if (ret->member == RING_NO_MEMBER) {
            http_text(http, 404, "no node of this cluster is named %.*s\n", (int)name.size,
                      (const char *)name.data);
            return false;
        }
    }
    if (kind.size == 0 || kind.size > TASK_NAME_MAX) {
        http_text(http, 404,
                  "a task is NODE/KIND, or KIND for that of every node; GET "
                  "/kvorum/tasks lists them\n");
        return false;
    }
    memcpy(ret->kind, kind.data, kind.size);
    return true;
}

void http_get_tasks(struct http *http)
{
    struct task_request request = { .ask = TASK_LIST, .member = TASK_UNKNOWN_MEMBER };
    struct bytes task;
    if (!http_query(http, "task", &task) || read_task(http, task, &request))
        submit(http, &request);
}

/* --- steering ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum task_ask ask;
} asks[] = { { "pause", TASK_PAUSE },
             { "resume", TASK_RESUME },
             { "limit", TASK_LIMIT },
             { "cancel", TASK_CANCEL } };

static bool read_ask(const json_t *body, struct task_request *ret)
{
    const char *name = json_string_value(json_object_get(body, "do"));
    const json_t *limit = json_object_get(body, "limit");
    for (size_t i = 0; name != NULL && i < sizeof(asks) / sizeof(asks[0]); i++)
        if (strcmp(asks[i].name, name) == 0)
            ret->ask = asks[i].ask;
    if (ret->ask == TASK_LIST || (limit != NULL) != (ret->ask == TASK_LIMIT))
        return false;
    ret->limit = (uint64_t)json_integer_value(limit);
    return limit == NULL || (json_is_integer(limit) && json_integer_value(limit) >= 0);
}

void http_post_tasks(struct http *http)
{
    struct task_request request = { .ask = TASK_LIST, .member = TASK_UNKNOWN_MEMBER };
    json_t *json = http_json_body(http);
    const json_t *task = json_object_get(json, "task");
    if (!json_is_string(task) || !read_ask(json, &request))
        http_text(http, 400,
                  "the body must be a JSON object: {\"task\": \"NODE/KIND\", \"do\": "
                  "\"pause|resume|limit|cancel\"}, and \"limit\": BYTES a second, 0 for none, "
                  "where it is limit\n");
    else if (read_task(http, bytes_make(json_string_value(task), json_string_length(task)),
                       &request))
        submit(http, &request);
    json_decref(json);
}
