/* SPDX-License-Identifier: Apache-2.0 */
/* scrub: have one node read and check all its files, and watch. */
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"

#include <time.h>

enum { POLL_MS = 200, ACCEPT_POLLS = 25 };

static const struct bytes path = BYTES_LITERAL("/kvorum/scrub");

static bool over(const json_t *before, const json_t *now)
{
    return field_number(now, "demands") >=
               field_number(before, "demands") + field_number(now, "shards") &&
           field_number(now, "running") == 0 &&
           field_number(now, "in_doubt") == field_number(now, "lost");
}

/* Until all is read, and nothing is in doubt that somebody may still have; the node goes on when we
 * are interrupted. */
static kvorum_status watch(struct session *session, const json_t *before, json_t **ret_now)
{
    struct progress progress;
    kvorum_status status = KVORUM_OK;
    json_t *now = NULL;
    progress_begin(&progress, "scrub", "bytes", 0);
    while (status == KVORUM_OK) {
        struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        json_decref(now);
        now = NULL;
        status = session_object(&session->client, "GET", path, NULL, &now);
        if (status != KVORUM_OK || over(before, now))
            break;
        progress.total = field_number(now, "total");
        progress_update(&progress, field_number(now, "read"), field_number(now, "read"));
        nanosleep(&pause, NULL);
    }
    progress_end(&progress);
    *ret_now = now;
    return status;
}

static int print_outcome(const json_t *before, const json_t *now, enum output_format format)
{
    static const char *const names[] = { "blocks", "damaged", "mended", "refilled" };
    uint64_t lost = field_number(now, "lost");
    json_t *outcome = json_object();
    json_object_set_new(outcome, "node", json_incref(json_object_get(now, "node")));
    json_object_set_new(outcome, "read", json_integer((json_int_t)field_number(now, "read")));
    json_object_set_new(outcome, "in_doubt",
                        json_integer((json_int_t)field_number(now, "in_doubt")));
    json_object_set_new(outcome, "lost", json_integer((json_int_t)lost));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_object_set_new(outcome, names[i],
                            json_integer((json_int_t)(field_number(now, names[i]) -
                                                      field_number(before, names[i]))));
    int code = field_number(now, "in_doubt") == 0 ? EXIT_DONE : EXIT_NO;
    if (format == OUTPUT_JSON) {
        (void)json_print(outcome, stdout);
        return code;
    }
    printf("%s: %s read, %s blocks; %s damaged places, %s files mended, %s ranges of keys "
           "refilled\n",
           json_string_value(json_object_get(outcome, "node")),
           text_of_size(field_number(outcome, "read")),
           text_of_count(field_number(outcome, "blocks")),
           text_of_count(field_number(outcome, "damaged")),
           text_of_count(field_number(outcome, "mended")),
           text_of_count(field_number(outcome, "refilled")));
    if (lost > 0)
        printf("%s ranges of keys are lost, and no other node owns some of their keys: reads of "
               "those fail. Next: restore them, then kvorum scrub --accept\n",
               text_of_count(lost));
    json_decref(outcome);
    return code;
}

static int begun(const json_t *begun)
{
    printf("%s reads and checks its files; kvorum_scrub_* in /stats counts what it finds\n",
           json_string_value(json_object_get(begun, "node")));
    return EXIT_DONE;
}

/* Every shard has done it once `accepted` is what `lost` was. */
static kvorum_status accept_lost(struct session *session, const json_t *before, json_t **ret_now)
{
    uint64_t due = field_number(before, "accepted") + field_number(before, "lost");
    kvorum_status status = session_object(&session->client, "POST",
                                          BYTES_LITERAL("/kvorum/scrub/accept"), NULL, ret_now);
    for (int i = 0;
         status == KVORUM_OK && i < ACCEPT_POLLS && field_number(*ret_now, "accepted") < due; i++) {
        struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
        nanosleep(&pause, NULL);
        json_decref(*ret_now);
        *ret_now = NULL;
        status = session_object(&session->client, "GET", path, NULL, ret_now);
    }
    return status;
}

static int print_accepted(const json_t *before, const json_t *now, enum output_format format)
{
    uint64_t accepted = field_number(now, "accepted") - field_number(before, "accepted");
    uint64_t left = field_number(now, "in_doubt");
    int code = left == 0 ? EXIT_DONE : EXIT_NO;
    if (format == OUTPUT_JSON) {
        (void)json_print(
            json_pack("{s:I, s:I}", "accepted", (json_int_t)accepted, "in_doubt", (json_int_t)left),
            stdout);
        return code;
    }
    printf("%s ranges of lost keys given up; %s still in doubt\n", text_of_count(accepted),
           text_of_count(left));
    return code;
}

int command_scrub(const struct invocation *invocation)
{
    struct session session;
    json_t *before = NULL, *answer = NULL, *now = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    bool accepts = option_flag(invocation, "accept");
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    bool waits = option_flag(invocation, "wait");
    kvorum_status status = session_object(&session.client, "GET", path, NULL, &before);
    if (status == KVORUM_OK && accepts)
        status = accept_lost(&session, before, &now);
    else if (status == KVORUM_OK)
        status = session_object(&session.client, "POST", path, NULL, &answer);
    if (status == KVORUM_OK && waits && !accepts)
        status = watch(&session, before, &now);
    int code;
    if (status == KVORUM_OK && accepts)
        code = print_accepted(before, now, format);
    else if (status == KVORUM_OK)
        code = waits ? print_outcome(before, now, format) : begun(answer);
    else
        code = session_object_failed(&session.client, "cannot scrub", status);
    json_decref(before);
    json_decref(answer);
    json_decref(now);
    session_end(&session);
    return code;
}
