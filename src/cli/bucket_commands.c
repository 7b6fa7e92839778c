/* SPDX-License-Identifier: Apache-2.0 */
/* bucket drop: all values of a bucket at once. */
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/names.h"
#include "cli/output.h"

#include <unistd.h>

enum { COUNTED_MAX = 1000, ANSWER_MAX = 1024 };

static bool count_name(void *context, struct bytes name)
{
    uint64_t *count = context;
    (void)name;
    return ++*count < COUNTED_MAX;
}

/* What will go, as far as can be seen quickly.  Returns an exit code. */
static int show_contents(struct session *session, const char *bucket)
{
    uint64_t count = 0;
    int code = names_visit(session, bytes_of_string(bucket), count_name, &count);
    if (code != EXIT_DONE)
        return code;
    fprintf(stderr, "This drops every value of the bucket ");
    print_safely(stderr, bytes_of_string(bucket));
    fprintf(stderr, ", on all nodes, at once and for good: %s key%s%s.  Its properties stay.\n",
            text_of_count(count), count == 1 ? "" : "s", count == COUNTED_MAX ? " or more" : "");
    return EXIT_DONE;
}

/* The name is typed again, since a y is typed too quickly. */
static bool is_confirmed(const char *bucket)
{
    char answer[ANSWER_MAX];
    fprintf(stderr, "Type the name of the bucket to drop it: ");
    fflush(stderr);
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, bucket) == 0;
}

static int confirm(struct session *session, const char *bucket)
{
    if (option_flag(session->invocation, "yes"))
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO))
        return fail(EXIT_UNSAFE, "nothing was dropped: there is nobody to confirm it here. Next: "
                                 "give --yes if all values of the bucket are to go");
    int code = show_contents(session, bucket);
    if (code != EXIT_DONE)
        return code;
    return is_confirmed(bucket) ? EXIT_DONE
                                : fail(EXIT_NO, "nothing was dropped: that is not its name");
}

static kvorum_status drop(struct session *session, const char *bucket, json_t **ret_answer)
{
    struct buffer path;
    buffer_init(&path, 1 << 16);
    session_append_path(&path, option_text(session->invocation, "type"), bytes_of_string(bucket),
                        (struct bytes){ 0 });
    path.size -= strlen("keys");
    buffer_append_text(&path, "drop");
    kvorum_status status = path.failed ? KVORUM_NO_MEMORY
                                       : session_object(&session->client, "POST",
                                                        buffer_bytes(&path), NULL, ret_answer);
    buffer_done(&path);
    return status;
}

static int print_dropped(json_t *answer, enum output_format format)
{
    if (format == OUTPUT_JSON)
        return json_print(answer, stdout);
    const char *bucket = json_string_value(json_object_get(answer, "bucket"));
    print_safely(stdout, bytes_of_string(bucket == NULL ? "" : bucket));
    puts(" is empty; its room is given back in the background (kvorum tasks list)");
    json_decref(answer);
    return EXIT_DONE;
}

int command_bucket_drop(const struct invocation *invocation)
{
    struct session session;
    const char *bucket = invocation->arguments[0];
    json_t *answer = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code = confirm(&session, bucket);
    if (code == EXIT_DONE) {
        kvorum_status status = drop(&session, bucket, &answer);
        if (status == KVORUM_OK)
            code = print_dropped(answer, output_format_parse(option_text(invocation, "output")));
        else
            code = session_object_failed(&session.client, "cannot drop the bucket", status);
    }
    session_end(&session);
    return code;
}
