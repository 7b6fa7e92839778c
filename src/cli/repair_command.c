/* SPDX-License-Identifier: Apache-2.0 */
/* repair: have one node compare its replicas with those of every other owner, and watch. */
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"

#include <time.h>

enum { POLL_MS = 200 };

static void append_parameter(struct buffer *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buffer_printf(path, "%c%s=", memchr(path->data, '?', path->size) == NULL ? '?' : '&', name);
    http_append_encoded(path, bytes_of_string(value));
}

static kvorum_status begin(struct session *session, json_t **ret_before)
{
    struct buffer path;
    json_t *answer = NULL;
    buffer_init(&path, 1 << 16);
    buffer_append_text(&path, "/kvorum/repair");
    kvorum_status status =
        session_object(&session->client, "GET", buffer_bytes(&path), NULL, ret_before);
    append_parameter(&path, "type", option_text(session->invocation, "type"));
    append_parameter(&path, "bucket", option_text(session->invocation, "bucket"));
    if (status == KVORUM_OK)
        status = session_object(&session->client, "POST", buffer_bytes(&path), NULL, &answer);
    json_decref(answer);
    buffer_done(&path);
    return status;
}

static bool over(const json_t *before, const json_t *now)
{
    return field_number(now, "demands") >=
               field_number(before, "demands") + field_number(now, "shards") &&
           field_number(now, "done") >= field_number(now, "pairs");
}

/* Until it is over; the node goes on when we are interrupted. */
static kvorum_status watch(struct session *session, const json_t *before, json_t **ret_now)
{
    struct progress progress;
    kvorum_status status = KVORUM_OK;
    json_t *now = NULL;
    progress_begin(&progress, "repair", "pairs", 0);
    while (status == KVORUM_OK) {
        struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        json_decref(now);
        now = NULL;
        status =
            session_object(&session->client, "GET", BYTES_LITERAL("/kvorum/repair"), NULL, &now);
        if (status != KVORUM_OK || over(before, now))
            break;
        progress.total = field_number(now, "pairs");
        progress_update(&progress, field_number(now, "done"), field_number(now, "done"));
        nanosleep(&pause, NULL);
    }
    progress_end(&progress);
    *ret_now = now;
    return status;
}

static int print_outcome(const json_t *before, const json_t *now, enum output_format format)
{
    static const char *const names[] = { "keys_compared", "keys_differing", "fetched",
                                         "pushed",        "bytes_out",      "bytes_in" };
    json_t *outcome = json_object();
    json_object_set_new(outcome, "node", json_incref(json_object_get(now, "node")));
    json_object_set_new(outcome, "pairs", json_integer((json_int_t)field_number(now, "pairs")));
    json_object_set_new(outcome, "failed", json_integer((json_int_t)field_number(now, "failed")));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_object_set_new(outcome, names[i],
                            json_integer((json_int_t)(field_number(now, names[i]) -
                                                      field_number(before, names[i]))));
    int code = field_number(now, "failed") == 0 ? EXIT_DONE : EXIT_NO;
    if (format == OUTPUT_JSON) {
        (void)json_print(outcome, stdout);
        return code;
    }
    printf("%s: %s pairs of replicas compared, %s in vain; %s keys differed: %s objects fetched, "
           "%s pushed; %s sent, %s received\n",
           json_string_value(json_object_get(outcome, "node")),
           text_of_count(field_number(outcome, "pairs")),
           text_of_count(field_number(outcome, "failed")),
           text_of_count(field_number(outcome, "keys_differing")),
           text_of_count(field_number(outcome, "fetched")),
           text_of_count(field_number(outcome, "pushed")),
           text_of_size(field_number(outcome, "bytes_out")),
           text_of_size(field_number(outcome, "bytes_in")));
    json_decref(outcome);
    return code;
}

int command_repair(const struct invocation *invocation)
{
    struct session session;
    json_t *before = NULL, *now = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    kvorum_status status = begin(&session, &before);
    if (status == KVORUM_OK)
        status = watch(&session, before, &now);
    int code;
    if (status == KVORUM_OK)
        code = print_outcome(before, now, output_format_parse(option_text(invocation, "output")));
    else
        code = session_object_failed(&session.client, "cannot repair", status);
    json_decref(before);
    json_decref(now);
    session_end(&session);
    return code;
}
