/* SPDX-License-Identifier: Apache-2.0 */
/* scrub: have one node read and check all its files, and watch. */
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"

#include <time.h>

enum { POLL_MS = 200 };

static uint64_t number(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static const struct bytes path = BYTES_LITERAL("/kvorum/scrub");

static bool over(const json_t *before, const json_t *now)
{
    return number(now, "demands") >= number(before, "demands") + number(now, "shards") &&
           number(now, "running") == 0 && number(now, "in_doubt") == 0;
}

/* Until all is read, and nothing is in doubt; the node goes on when we are interrupted. */
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
        status = session_object(&session->client, "GET", path, &now);
        if (status != KVORUM_OK || over(before, now))
            break;
        progress.total = number(now, "total");
        progress_update(&progress, number(now, "read"), number(now, "read"));
        nanosleep(&pause, NULL);
    }
    progress_end(&progress);
    *ret_now = now;
    return status;
}

static int print_outcome(const json_t *before, const json_t *now, enum output_format format)
{
    static const char *const names[] = { "blocks", "damaged", "mended", "refilled" };
    json_t *outcome = json_object();
    json_object_set_new(outcome, "node", json_incref(json_object_get(now, "node")));
    json_object_set_new(outcome, "read", json_integer((json_int_t)number(now, "read")));
    json_object_set_new(outcome, "in_doubt", json_integer((json_int_t)number(now, "in_doubt")));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_object_set_new(
            outcome, names[i],
            json_integer((json_int_t)(number(now, names[i]) - number(before, names[i]))));
    int code = number(now, "in_doubt") == 0 ? EXIT_DONE : EXIT_NO;
    if (format == OUTPUT_JSON) {
        (void)json_print(outcome, stdout);
        return code;
    }
    printf("%s: %s read, %s blocks; %s damaged places, %s tables mended, %s ranges of keys "
           "refilled\n",
           json_string_value(json_object_get(outcome, "node")),
           text_of_size(number(outcome, "read")), text_of_count(number(outcome, "blocks")),
           text_of_count(number(outcome, "damaged")), text_of_count(number(outcome, "mended")),
           text_of_count(number(outcome, "refilled")));
    json_decref(outcome);
    return code;
}

static int begun(const json_t *begun)
{
    printf("%s reads and checks its files; kvorum_scrub_* in /stats counts what it finds\n",
           json_string_value(json_object_get(begun, "node")));
    return EXIT_DONE;
}

int command_scrub(const struct invocation *invocation)
{
    struct session session;
    json_t *before = NULL, *answer = NULL, *now = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    bool waits = option_flag(invocation, "wait");
    kvorum_status status = session_object(&session.client, "GET", path, &before);
    if (status == KVORUM_OK)
        status = session_object(&session.client, "POST", path, &answer);
    if (status == KVORUM_OK && waits)
        status = watch(&session, before, &now);
    int code;
    if (status == KVORUM_OK)
        code = waits ? print_outcome(before, now,
                                     output_format_parse(option_text(invocation, "output")))
                     : begun(answer);
    else if (status == KVORUM_NOT_READY)
        code = session_refused(&session.client, "cannot scrub");
    else
        code = session_fail(&session.client, "cannot scrub", status);
    json_decref(before);
    json_decref(answer);
    json_decref(now);
    session_end(&session);
    return code;
}
