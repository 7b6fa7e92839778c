/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of `kvorum tasks` share: the document of GET /kvorum/tasks (docs/http.md). */
#ifndef CLI_TASKS_H
#define CLI_TASKS_H

#include <jansson.h>
#include <string.h>

#include "cli/json_field.h"
#include "cli/session.h"

/** All tasks, or `task`.  Own: *ret_json, when it returns EXIT_DONE; otherwise it has said why. */
int tasks_get(struct session *session, const char *task, json_t **ret_json);
/** As --output says; `all`: also what is idle.  Takes `json`. */
void tasks_print(json_t *json, const struct invocation *invocation, bool all);
/** EXIT_NO: something is stalled, failed or was cancelled, or a node is silent. */
int tasks_judge(const json_t *json);

/* --- of one task ------------------------------------------------------------------------------ */

static inline bool task_knows(const json_t *json, const char *name)
{
    return json_is_integer(json_object_get(json, name));
}

static inline bool task_is(const json_t *task, const char *state)
{
    return strcmp(field_text(task, "state"), state) == 0;
}

/** It begins by itself, and nobody waits for it. */
static inline bool task_is_background(const json_t *task)
{
    return strcmp(field_text(task, "nature"), "background") == 0 ||
           strcmp(field_text(task, "nature"), "endless") == 0;
}

static inline bool task_is_under_way(const json_t *task)
{
    return task_is(task, "running") || task_is(task, "paused");
}

#endif
