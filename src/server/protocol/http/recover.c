/* SPDX-License-Identifier: Apache-2.0 */
/* A recovery from a lost majority of voters: GET plans it, POST carries it out. */
#include "server/protocol/http/internal.h"

#include <jansson.h>
#include <stdlib.h>

#include "server/cluster_view.h"
#include "server/recover_view.h"

enum { JSON_SIZE_MAX = 8 << 20 };

/** One question, from the request to its answer. */
struct recovery_ask {
    struct http_setting *setting;
    bool does;
    struct recover_order order;
    const char *names[RING_MEMBERS_MAX];
    char text[]; /* of the names */
};

static void answer(struct http *http, const Peer__RecoverReport *report, bool does)
{
    kvorum_status status = (kvorum_status)report->status;
    struct buffer json;
    if (does ? status != KVORUM_OK : report->n_members == 0) {
        http_text(http, http_change_code(status), "%s\n",
                  report->reason[0] != '\0' ? report->reason : kvorum_status_text(status));
        return;
    }
    buffer_init(&json, JSON_SIZE_MAX);
    if (does)
        cluster_view_json(http->environment.node, &json);
    else
        recover_view_json(report, &json);
    http_begin(http, json.failed ? 500 : 200);
    http_add(http, "Content-Type", "application/json");
    http_end(http, buffer_bytes(&json));
    buffer_done(&json);
}

static void on_report(void *context, const Peer__RecoverReport *report)
{
    struct recovery_ask *ask = context;
    struct http *http = ask->setting->http;
    bool does = ask->does;
    free(ask->setting);
    free(ask);
    if (http == NULL)
        return;
    http->setting = NULL;
    answer(http, report, does);
}

static void submit(struct http *http, struct recovery_ask *ask)
{
    ask->setting = malloc(sizeof(*ask->setting));
    if (ask->setting == NULL) {
        free(ask);
        http_text(http, 500, "out of memory\n");
        return;
    }
    ask->setting->http = http;
    http->setting = ask->setting;
    ask->does = ask->order.does;
    node_recover(http->environment.node, &ask->order, on_report, ask);
}

/* --- reading -------------------------------------------------------------------------------- */

/* Of names with commas between them.  NULL: too many, no memory, or one is empty. */
static struct recovery_ask *read_names(struct bytes list)
{
    struct recovery_ask *ask = calloc(1, sizeof(*ask) + list.size + 1);
    if (ask == NULL)
        return NULL;
    if (list.size > 0)
        memcpy(ask->text, list.data, list.size);
    ask->order.lost = ask->names;
    for (char *at = ask->text; list.size > 0 && at != NULL;) {
        char *name = at, *comma = strchr(at, ',');
        at = comma == NULL ? NULL : comma + 1;
        if (comma != NULL)
            *comma = '\0';
        if (*name == '\0' || ask->order.lost_count == RING_MEMBERS_MAX) {
            free(ask);
            return NULL;
        }
        ask->names[ask->order.lost_count++] = name;
    }
    return ask;
}

void http_get_cluster_recover(struct http *http)
{
    struct bytes lost = { 0 };
    (void)http_query(http, "lost", &lost);
    struct recovery_ask *ask = read_names(lost);
    if (ask == NULL) {
        http_text(http, 400, "lost must be the names of nodes, with commas between them\n");
        return;
    }
    ask->order.switched_off = http_query_is(http, "switched_off", "true");
    submit(http, ask);
}

static bool is_list(const json_t *lost)
{
    for (size_t i = 0; i < json_array_size(lost); i++) {
        const json_t *name = json_array_get(lost, i);
        if (!json_is_string(name) || strchr(json_string_value(name), ',') != NULL)
            return false;
    }
    return json_is_array(lost);
}

static struct recovery_ask *read_body(const json_t *body)
{
    const json_t *lost = json_object_get(body, "lost"), *epoch = json_object_get(body, "epoch");
    const json_t *off = json_object_get(body, "switched_off");
    struct buffer names;
    if (!json_is_object(body) || !is_list(lost) || (off != NULL && !json_is_boolean(off)) ||
        (epoch != NULL && (!json_is_integer(epoch) || json_integer_value(epoch) < 1)))
        return NULL;
    buffer_init(&names, RING_MEMBERS_MAX * (RING_NAME_MAX + 1));
    for (size_t i = 0; i < json_array_size(lost); i++)
        buffer_printf(&names, "%s%s", i == 0 ? "" : ",",
                      json_string_value(json_array_get(lost, i)));
    struct recovery_ask *ask = names.failed ? NULL : read_names(buffer_bytes(&names));
    buffer_done(&names);
    if (ask == NULL)
        return NULL;
    ask->order.does = true;
    ask->order.expected = (uint64_t)json_integer_value(epoch);
    ask->order.switched_off = json_is_true(off);
    return ask;
}

void http_post_cluster_recover(struct http *http)
{
    struct bytes bytes = http->request.body;
    json_error_t error;
    json_t *body = json_loadb(bytes.size == 0 ? "" : (const char *)bytes.data, bytes.size,
                              JSON_REJECT_DUPLICATES, &error);
    struct recovery_ask *ask = read_body(body);
    json_decref(body);
    if (ask != NULL)
        submit(http, ask);
    else
        http_text(http, 400,
                  "the body must be a JSON object: {\"lost\": [NAME, ...]}, and \"epoch\": NUMBER "
                  "of the plan, \"switched_off\": true or false, each as needed\n");
}
