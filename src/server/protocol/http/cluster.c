/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of the cluster, for operators: GET shows it, POST changes it. */
#include "server/protocol/http/json_body.h"

#include <jansson.h>
#include <stdlib.h>

#include "server/cluster_view.h"

void http_get_cluster(struct http *http)
{
    struct buffer json;
    buffer_init(&json, 8 << 20);
    cluster_view_json(http->environment.node, &json);
    http_json(http, 200, &json);
}

static void on_plan(void *context, const struct node_plan *plan)
{
    struct http_setting *setting = context;
    struct http *http = setting->http;
    free(setting);
    if (http == NULL)
        return;
    http->setting = NULL;
    if (plan->epoch == NULL) {
        http_text(http, 503, "%s\n", plan->why);
        return;
    }
    struct buffer json;
    buffer_init(&json, 8 << 20);
    cluster_plan_json(plan, &json);
    http_json(http, 200, &json);
}

void http_get_cluster_plan(struct http *http)
{
    struct http_setting *setting = malloc(sizeof(*setting));
    if (setting == NULL) {
        http_text(http, 500, "out of memory\n");
        return;
    }
    setting->http = http;
    http->setting = setting;
    node_plan(http->environment.node, on_plan, setting);
}

/* --- changing it ---------------------------------------------------------------------------- */

uint16_t http_change_code(kvorum_status status)
{
    switch (status) {
    case KVORUM_OK:
        return 200;
    case KVORUM_NOT_FOUND:
        return 404;
    case KVORUM_INVALID:
    case KVORUM_NOT_ALLOWED:
    case KVORUM_UNSUPPORTED:
    case KVORUM_CONFLICT:
    case KVORUM_TOO_LARGE:
        return 409;
    case KVORUM_TIMEOUT:
        return 504;
    default:
        return 503;
    }
}

static void on_changed(void *context, const struct answer *answer)
{
    struct http *http = http_setting_end(context);
    if (http == NULL)
        return;
    if (answer->status != KVORUM_OK) {
        http_text(http, http_change_code(answer->status), "%s\n",
                  answer->reason[0] != '\0' ? answer->reason : kvorum_status_text(answer->status));
        return;
    }
    http_get_cluster(http);
}

static void submit(struct http *http, const struct change_request *request)
{
    struct http_setting *setting = http_setting_begin(http);
    if (setting != NULL)
        node_change_epoch(http->environment.node, request, on_changed, setting);
}

static const struct {
    const char *name;
    enum change_kind kind;
} kinds[] = { { "join", CHANGE_JOIN },     { "leave", CHANGE_LEAVE },
              { "remove", CHANGE_REMOVE }, { "replace", CHANGE_REPLACE },
              { "weight", CHANGE_WEIGHT }, { "zone", CHANGE_ZONE } };

static bool read_text(const json_t *body, const char *name, bool needed, char *ret)
{
    const json_t *value = json_object_get(body, name);
    size_t size = json_string_length(value);
    if (value == NULL)
        return !needed;
    if (!json_is_string(value) || size == 0 || size > RING_NAME_MAX)
        return false;
    memcpy(ret, json_string_value(value), size + 1);
    return true;
}

static bool read_kind(const json_t *body, enum change_kind *ret)
{
    const char *name = json_string_value(json_object_get(body, "change"));
    for (size_t i = 0; name != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        *ret = kinds[i].kind;
        return true;
    }
    return false;
}

static bool read_number(const json_t *body, const char *name, bool needed, json_int_t most,
                        json_int_t *ret)
{
    const json_t *value = json_object_get(body, name);
    if (value == NULL)
        return !needed;
    *ret = json_integer_value(value);
    return json_is_integer(value) && *ret >= 1 && *ret <= most;
}

static bool read_flag(const json_t *body, const char *name, bool *ret)
{
    const json_t *value = json_object_get(body, name);
    *ret = json_is_true(value);
    return value == NULL || json_is_boolean(value);
}

static bool read_stage(const json_t *body, struct change_request *ret)
{
    json_int_t weight = 0;
    *ret = (struct change_request){ .kind = ASK_STAGE };
    if (!read_kind(body, &ret->change.kind) || !read_text(body, "node", true, ret->name) ||
        !read_text(body, "with", ret->change.kind == CHANGE_REPLACE, ret->with) ||
        !read_text(body, "zone", ret->change.kind == CHANGE_ZONE, ret->change.zone) ||
        !read_number(body, "weight", ret->change.kind == CHANGE_WEIGHT, 10000, &weight))
        return false;
    ret->change.weight = (uint32_t)weight;
    return true;
}

void http_post_cluster_stage(struct http *http)
{
    json_t *body = http_json_body(http);
    struct change_request request;
    if (body != NULL && read_stage(body, &request))
        submit(http, &request);
    else
        http_text(
            http, 400,
            "the body must be a JSON object: {\"change\": \"join|leave|remove|replace|weight|"
            "zone\", \"node\": NAME}, and \"with\": NAME, \"weight\": 1 to 10000 or \"zone\": "
            "NAME where the change needs it\n");
    json_decref(body);
}

void http_post_cluster_clear(struct http *http)
{
    submit(http, &(struct change_request){ .kind = ASK_CLEAR });
}

void http_post_cluster_commit(struct http *http)
{
    json_t *body = http_json_body(http);
    json_int_t epoch = 0;
    struct change_request request = { .kind = ASK_COMMIT };
    if (body != NULL && read_number(body, "epoch", false, INT64_MAX, &epoch) &&
        read_flag(body, "allow_zone_loss", &request.allow_zone_loss)) {
        request.expected = (uint64_t)epoch;
        submit(http, &request);
    } else {
        http_text(http, 400,
                  "the body must be empty or {\"epoch\": NUMBER of the plan, "
                  "\"allow_zone_loss\": true or false}, each as needed\n");
    }
    json_decref(body);
}
